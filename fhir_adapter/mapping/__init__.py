"""One declaration per system, read in both directions."""
