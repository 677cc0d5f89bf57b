"""What was taken out of each plan: kept for good, so that it does not come back by accident."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from fhir_adapter.store.database import queries

_SQL = queries("tombstones.sql")


@dataclass(frozen=True, slots=True)
class KeptTombstone:
    """One thing that was taken out: `removed` as JSON text, `at` an instant."""

    reference: str
    path: str
    removed: str
    party: str
    at: str


def add(connection: sqlite3.Connection, plan: str, tombstones: Iterable[KeptTombstone]) -> None:
    """Keep what was taken out of the plan now."""
    rows = [(plan, one.reference, one.path, one.removed, one.party, one.at) for one in tombstones]
    connection.executemany(_SQL["add"], rows)


def of_plan(connection: sqlite3.Connection, plan: str) -> list[KeptTombstone]:
    """All that was ever taken out of the plan, oldest first."""
    return [KeptTombstone(*row) for row in connection.execute(_SQL["of_plan"], (plan,))]
