"""What an operator does who backs up a server's store and brings it back, while the server runs."""

from __future__ import annotations

import sqlite3

from fhir_adapter.store.database import Database


def take(database: Database) -> sqlite3.Connection:
    """All that the store holds now."""
    kept = sqlite3.connect(":memory:", check_same_thread=False)
    database.read().backup(kept)
    return kept


def restore(database: Database, kept: sqlite3.Connection) -> None:
    """The store holds what it held then; what came since is gone, and version numbers begin anew there."""
    with database._writing:  # whoever restores stops the writing meanwhile
        kept.backup(database._writer)


def forget(database: Database, type_: str, id_: str) -> None:
    """One resource is gone with its history, and nothing tells of it."""

    def work(connection: sqlite3.Connection) -> None:
        (rid,) = connection.execute("SELECT rid FROM resource WHERE type = ? AND id = ?", (type_, id_)).fetchone()
        for table in ("token", "reference", "date", "string", "uri", "quantity"):
            connection.execute(f"DELETE FROM idx_{table} WHERE rid = ?", (rid,))
        connection.execute("DELETE FROM version WHERE rid = ?", (rid,))
        # the name stays: others may refer to it
        connection.execute("UPDATE resource SET seq = 0, version = 0, deleted = 1 WHERE rid = ?", (rid,))

    database.write(work)
