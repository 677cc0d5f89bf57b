"""The only package that calls other systems."""
