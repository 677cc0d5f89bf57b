"""The shared plan: decisions as values, no input or output."""
