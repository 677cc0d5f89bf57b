"""The search index beside the resources: rows added, rows dropped, and all of it made again when it must be."""

from __future__ import annotations

import sqlite3

from fhir_adapter.fhir.index import Rows, index_rows
from fhir_adapter.fhir.parameters import FINGERPRINT
from fhir_adapter.fhir.resources import parse_json
from fhir_adapter.store.database import Database, Row, insert, queries
from fhir_adapter.store.names import Names

_SQL = queries("index.sql")


def rows_of_version(connection: sqlite3.Connection, seq: int, rid: int) -> Rows:
    """The rows that the version `seq` of the resource `rid` was found by."""
    body = connection.execute(_SQL["body"], (seq,)).fetchone()[0]
    return index_rows(parse_json(body), rid) if body else Rows.none()


def write_rows(connection: sqlite3.Connection, names: Names, *, gone: Rows, come: Rows) -> None:
    """Take rows out and put others in: few statements a table, in the order of its keys."""
    for table, values in _stored(names, gone).items():
        if values:
            connection.executemany(_SQL[f"{table}_drop"], values)
    for table, values in _stored(names, come).items():
        if values:
            insert(connection, _SQL[f"{table}_add"], sorted(values))


def _stored(names: Names, rows: Rows) -> dict[str, list[Row]]:
    """Rows by their table, as it holds them: a reference by the number of its target."""
    tables: dict[str, list[Row]] = rows._asdict()
    if rows.reference:
        names.number_all({target for _, target, _ in rows.reference})
        tables["reference"] = [(param, names.numbers[target], rid) for param, target, rid in rows.reference]
    return tables


def keep_index_current(database: Database) -> None:
    """Make the index again if another version of the parameter table made it. Quick when there is nothing to do."""
    if database.read().execute(_SQL["index_made_by"]).fetchone() != (FINGERPRINT,):
        database.write(_make_again)


def _make_again(connection: sqlite3.Connection) -> None:
    for table in Rows._fields:
        connection.execute(f"DELETE FROM idx_{table}")  # noqa: S608  (our own table names)
    for rid, seq in connection.execute(_SQL["all_current"]).fetchall():
        write_rows(connection, Names(connection), gone=Rows.none(), come=rows_of_version(connection, seq, rid))
    connection.execute(_SQL["index_made_by_set"], (FINGERPRINT,))
