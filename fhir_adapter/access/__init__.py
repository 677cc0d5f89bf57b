"""Who may see what, with reasons."""
