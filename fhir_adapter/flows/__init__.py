"""One file per story: push, pull, sync."""
