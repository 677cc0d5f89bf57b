"""Is it right? All issues at once."""
