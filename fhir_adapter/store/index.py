"""The search index beside the resources: rows added, rows dropped, and all of it made again when it must be."""

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from typing import Any

from fhir_adapter.fhir.index import Rows, index_rows
from fhir_adapter.fhir.parameters import FINGERPRINT
from fhir_adapter.fhir.resources import parse_json
from fhir_adapter.store.database import Database, insert, queries

_SQL = queries("index.sql")

NOTHING = Rows([], [], [], [], [], [])
"""The rows of what is deleted."""


class Names:
    """Numbers for names, (type, id) → rid, while one piece of work is done.

    What is referred to gets a number too, whether it is here or not: should it come later, the reference fits. Call
    `write_new` before the work ends.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._newest: int = connection.execute(_SQL["newest_name"]).fetchone()[0]
        self._known: dict[tuple[str, str], int] = {}
        self._referred_to: list[tuple[int, str, str]] = []

    def note(self, type_: str, id_: str, rid: int) -> None:
        """The name was read already."""
        self._known[type_, id_] = rid

    def number_new(self, type_: str, id_: str) -> int:
        """A number for a name that the caller is going to write itself."""
        self._newest += 1
        self._known[type_, id_] = self._newest
        return self._newest

    def number_of(self, type_: str, id_: str) -> int:
        """The number of a name that is referred to."""
        known = self._known.get((type_, id_))
        if known is not None:
            return known
        row = self._connection.execute(_SQL["name_of"], (type_, id_)).fetchone()
        if row is None:
            rid = self.number_new(type_, id_)
            self._referred_to.append((rid, type_, id_))
            return rid
        self._known[type_, id_] = int(row[0])
        return self._known[type_, id_]

    def write_new(self) -> None:
        """Write down the names that are only referred to."""
        if self._referred_to:
            insert(self._connection, _SQL["name_add"], self._referred_to)
            self._referred_to = []


def rows_of_version(connection: sqlite3.Connection, seq: int) -> Rows:
    """The rows that the version `seq` was found by."""
    body = connection.execute(_SQL["body"], (seq,)).fetchone()[0]
    return index_rows(parse_json(body)) if body else NOTHING


def add_rows(connection: sqlite3.Connection, names: Names, many: Sequence[tuple[int, Rows]]) -> None:
    """The rows of resources that have none yet, by rid: one statement a table, in the order of its keys."""
    for position, table in enumerate(Rows._fields):
        values = [(*row, rid) for rid, rows in many for row in _stored(names, table, rows[position])]
        if values:
            values.sort()
            insert(connection, _SQL[f"{table}_add"], values)


def replace_rows(connection: sqlite3.Connection, names: Names, rid: int, old: Rows, new: Rows) -> None:
    """Only the difference is written: an edit of one status moves one row."""
    for position, table in enumerate(Rows._fields):
        if old[position] == new[position]:
            continue
        before, after = (set(_stored(names, table, rows[position])) for rows in (old, new))
        connection.executemany(_SQL[f"{table}_drop"], [(*row, rid) for row in before - after])
        connection.executemany(_SQL[f"{table}_add"], [(*row, rid) for row in after - before])


def _stored(names: Names, table: str, rows: Sequence[tuple[Any, ...]]) -> Sequence[tuple[Any, ...]]:
    """Rows as their table holds them: a reference by the number of its target."""
    if table != "reference":
        return rows
    return [(param, names.number_of(type_, target)) for param, target, type_ in rows]


def keep_index_current(database: Database) -> None:
    """Make the index again if another version of the parameter table made it. Quick when there is nothing to do."""
    if database.read().execute(_SQL["index_made_by"]).fetchone() != (FINGERPRINT,):
        database.write(_make_again)


def _make_again(connection: sqlite3.Connection) -> None:
    for table in Rows._fields:
        connection.execute(f"DELETE FROM idx_{table}")  # noqa: S608  (our own table names)
    names = Names(connection)
    for rid, seq in connection.execute(_SQL["all_current"]).fetchall():
        add_rows(connection, names, [(rid, rows_of_version(connection, seq))])
    names.write_new()
    connection.execute(_SQL["index_made_by_set"], (FINGERPRINT,))
