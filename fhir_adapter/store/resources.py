"""Resources: saving a version, reading it back as the same bytes, and keeping the search index in step."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import blake2b
from typing import Any

from fhir_adapter.errors import NotFound
from fhir_adapter.fhir.index import Rows, index_rows
from fhir_adapter.fhir.parameters import FINGERPRINT
from fhir_adapter.fhir.resources import Resource, dump_json, parse_json
from fhir_adapter.fhir.times import instant
from fhir_adapter.store.database import Database, queries

_SQL = queries("resources.sql")
_NOTHING = Rows([], [], [], [], [], [])
_NEWEST = 2**62


@dataclass(frozen=True, slots=True)
class Stored:
    """One version of one resource. `updated` is a FHIR instant (ms, Z); `body` the JSON, empty for a deletion."""

    type: str
    id: str
    version: int
    seq: int
    updated: str
    deleted: bool
    body: bytes

    @property
    def reference(self) -> str:
        """`Type/id`."""
        return f"{self.type}/{self.id}"


def save(
    connection: sqlite3.Connection,
    resource: Resource,
    *,
    now: datetime,
    plan: str | None = None,
    owner: str | None = None,
) -> Stored:
    """Store the next version of `resource` and return it.

    meta.versionId and meta.lastUpdated are set in the stored bytes, other meta is kept, `resource` itself is not
    changed. `plan` and `owner` are taken at the first save that gives them and kept after.
    """
    return save_all(connection, (resource,), now=now, plan=plan, owner=owner)[0]


def save_all(
    connection: sqlite3.Connection,
    resources: Sequence[Resource],
    *,
    now: datetime,
    plan: str | None = None,
    owner: str | None = None,
) -> list[Stored]:
    """`save` for many resources, each of which is there once: a third quicker than one after the other."""
    updated = instant(now)
    seq, rid = connection.execute(_SQL["newest"]).fetchone()
    done: list[Stored] = []
    versions: list[tuple[Any, ...]] = []
    added: list[tuple[Any, ...]] = []
    added_rows: list[tuple[int, Rows]] = []
    for resource in resources:
        type_, id_ = resource["resourceType"], resource["id"]
        known = connection.execute(_SQL["current"], (type_, id_)).fetchone()
        rows = index_rows(resource)
        fingerprint = _fingerprint_of(rows)
        seq += 1
        version = known[2] + 1 if known else 1
        body = dump_json(_stamped(resource, version, updated))
        versions.append((seq, type_, id_, version, updated, 0, body))
        done.append(Stored(type_, id_, version, seq, updated, False, body))
        if known is None:
            rid += 1
            added.append((rid, type_, id_, seq, version, owner, plan, fingerprint))
            added_rows.append((rid, rows))
        else:
            known_rid, old_seq, _, _, known_owner, known_plan, old_fingerprint = known
            values = (seq, version, 0, known_owner or owner, known_plan or plan, fingerprint, known_rid)
            connection.execute(_SQL["resource_set"], values)
            if fingerprint != old_fingerprint:
                _replace_rows(connection, known_rid, _rows_of_version(connection, old_seq), rows)
    connection.executemany(_SQL["version_add"], versions)
    if added:
        connection.executemany(_SQL["resource_add"], added)
        _add_rows(connection, added_rows)
    return done


def remove(connection: sqlite3.Connection, type_: str, id_: str, *, now: datetime) -> Stored:
    """Store a deletion as the next version. Raises NotFound where there is nothing; a second one changes nothing."""
    known = connection.execute(_SQL["current"], (type_, id_)).fetchone()
    if known is None:
        raise NotFound(f"there is no {type_}/{id_} here")
    rid, old_seq, old_version, is_deleted, owner, plan, _ = known
    if is_deleted:
        return _required(read(connection, type_, id_))
    updated, version = instant(now), old_version + 1
    seq = connection.execute(_SQL["newest"]).fetchone()[0] + 1
    connection.execute(_SQL["version_add"], (seq, type_, id_, version, updated, 1, b""))
    connection.execute(_SQL["resource_set"], (seq, version, 1, owner, plan, _fingerprint_of(_NOTHING), rid))
    _replace_rows(connection, rid, _rows_of_version(connection, old_seq), _NOTHING)
    return Stored(type_, id_, version, seq, updated, True, b"")


def read(connection: sqlite3.Connection, type_: str, id_: str) -> Stored | None:
    """The current version; `deleted` tells a deletion."""
    return _stored(connection.execute(_SQL["read"], (type_, id_)).fetchone())


def vread(connection: sqlite3.Connection, type_: str, id_: str, version: int) -> Stored | None:
    """That version."""
    return _stored(connection.execute(_SQL["vread"], (type_, id_, version)).fetchone())


def as_of(connection: sqlite3.Connection, type_: str, id_: str, seq: int) -> Stored | None:
    """The version that was current when the newest of all changes was `seq`."""
    return _stored(connection.execute(_SQL["as_of"], {"type": type_, "id": id_, "seq": seq}).fetchone())


def history(
    connection: sqlite3.Connection,
    type_: str | None,
    id_: str | None,
    *,
    since: datetime | None,
    before: int | None,
    count: int,
) -> list[Stored]:
    """Versions of one resource, one type or everything, newest first: at most `count`, at or after `since`.

    `before` is the seq of the last version of the page before.
    """
    if id_ is not None:
        name = "history_of_instance"
    else:
        name = ("history_of_type" if type_ else "history") + ("_since" if since else "")
    values = {"type": type_, "id": id_, "before": _NEWEST if before is None else before, "count": count,
              "since": instant(since) if since else ""}  # fmt: skip
    return [_row_as_stored(row) for row in connection.execute(_SQL[name], values)]


def owner_of(connection: sqlite3.Connection, type_: str, id_: str) -> str | None:
    """The party that brought the resource."""
    return _owner_and_plan(connection, type_, id_)[0]


def home_plan_of(connection: sqlite3.Connection, type_: str, id_: str) -> str | None:
    """The plan that the resource came with."""
    return _owner_and_plan(connection, type_, id_)[1]


def _owner_and_plan(connection: sqlite3.Connection, type_: str, id_: str) -> tuple[str | None, str | None]:
    found = connection.execute(_SQL["owner_and_plan"], (type_, id_)).fetchone()
    return found or (None, None)


def keep_index_current(database: Database) -> None:
    """Make the index again if another version of the parameter table made it. Quick when there is nothing to do."""
    if database.read().execute(_SQL["index_made_by"]).fetchone() != (FINGERPRINT,):
        database.write(_rebuild_index)


def _rebuild_index(connection: sqlite3.Connection) -> None:
    for table in Rows._fields:
        connection.execute(f"DELETE FROM idx_{table}")  # noqa: S608  (our own table names)
    for rid, seq in connection.execute(_SQL["all_current"]).fetchall():
        rows = _rows_of_version(connection, seq)
        _add_rows(connection, [(rid, rows)])
        connection.execute(_SQL["fingerprint_set"], (_fingerprint_of(rows), rid))
    connection.execute(_SQL["index_made_by_set"], (FINGERPRINT,))


def _stamped(resource: Resource, version: int, updated: str) -> Resource:
    """A copy with type, id and meta in front, as people expect to read them."""
    stamped: Resource = {"resourceType": resource["resourceType"], "id": resource["id"], "meta": None, **resource}
    stamped["meta"] = {**resource.get("meta", {}), "versionId": str(version), "lastUpdated": updated}
    return stamped


def _fingerprint_of(rows: Rows) -> bytes:
    return blake2b(dump_json(rows), digest_size=8).digest()


def _rows_of_version(connection: sqlite3.Connection, seq: int) -> Rows:
    body = connection.execute(_SQL["body"], (seq,)).fetchone()[0]
    return index_rows(parse_json(body)) if body else _NOTHING


def _add_rows(connection: sqlite3.Connection, many: Sequence[tuple[int, Rows]]) -> None:
    """Index rows of resources that have none yet, by rid: one statement a table, in the order of its keys."""
    for position, table in enumerate(Rows._fields):
        values = [(*row, rid) for rid, rows in many for row in rows[position]]
        if values:
            values.sort()
            connection.executemany(_SQL[f"{table}_add"], values)


def _replace_rows(connection: sqlite3.Connection, rid: int, old: Rows, new: Rows) -> None:
    """Only the difference is written: an edit of one status moves one row."""
    for position, table in enumerate(Rows._fields):
        before, after = set(old[position]), set(new[position])
        gone, come = before - after, after - before
        _change(connection, f"{table}_drop", gone, rid)
        _change(connection, f"{table}_add", come, rid)


def _change(connection: sqlite3.Connection, statement: str, values: Iterable[tuple[Any, ...]], rid: int) -> None:
    connection.executemany(_SQL[statement], [(*value, rid) for value in values])


def _stored(row: Any) -> Stored | None:
    return _row_as_stored(row) if row else None


def _row_as_stored(row: Any) -> Stored:
    type_, id_, version, seq, updated, deleted, body = row
    return Stored(type_, id_, version, seq, updated, bool(deleted), body)


def _required(stored: Stored | None) -> Stored:
    assert stored is not None, "a resource row always has its current version"
    return stored
