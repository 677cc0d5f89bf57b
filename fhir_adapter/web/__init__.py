"""Thin HTTP routes over the flows."""
