"""How much SQLite does for a piece of work, whatever the clock says."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable, Iterable


def steps(connections: Iterable[sqlite3.Connection], work: Callable[[], object]) -> int:
    """How many instructions of its machine SQLite runs on these connections while `work` is done: what it reads."""
    counted = 0

    def count() -> int:
        nonlocal counted
        counted += 1
        return 0

    for connection in connections:
        connection.set_progress_handler(count, 1)
    try:
        work()
    finally:
        for connection in connections:
            connection.set_progress_handler(None, 1)
    return counted
