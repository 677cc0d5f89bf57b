"""Resources: saving a version, reading it back as the same bytes, and keeping the search index in step."""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, NamedTuple

from fhir_adapter.errors import NotFound
from fhir_adapter.fhir.index import Rows, add_index_rows, index_rows
from fhir_adapter.fhir.resources import Resource, dump_json
from fhir_adapter.fhir.times import instant
from fhir_adapter.store.database import Row, insert, queries
from fhir_adapter.store.index import rows_of_version, write_rows
from fhir_adapter.store.names import Names

_SQL = queries("resources.sql")
_NEWEST = 2**62


class Stored(NamedTuple):
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
    names = Names(connection)
    names.look_up([(resource["resourceType"], resource["id"])])
    batch = _Batch(connection, names, instant(now), plan, owner)
    seq, _, type_, id_, version, updated, _, body = batch.take(resource)
    batch.write()
    return Stored(type_, id_, version, seq, updated, False, body)


def save_all(
    connection: sqlite3.Connection,
    resources: Sequence[Resource],
    *,
    now: datetime,
    plan: str | None = None,
    owner: str | None = None,
    names: Names | None = None,
) -> None:
    """`save` for many resources, each of which is there once: much quicker than one after the other.

    `names`: what this piece of work has looked up already.
    """
    names = names or Names(connection)
    names.look_up((one["resourceType"], one["id"]) for one in resources)
    batch = _Batch(connection, names, instant(now), plan, owner)
    for resource in resources:
        batch.take(resource)
    batch.write()


class _Batch:
    """Versions that are written together: few statements a table, whatever their number."""

    def __init__(
        self, connection: sqlite3.Connection, names: Names, updated: str, plan: str | None, owner: str | None
    ) -> None:
        self._connection, self._names = connection, names
        self._updated, self._plan, self._owner = updated, plan, owner
        self._seq: int = connection.execute(_SQL["newest"]).fetchone()[0]
        self._added: list[Row] = []
        self._changed: list[Row] = []
        self._versions: list[Row] = []
        self._gone, self._come = Rows.none(), Rows.none()

    def take(self, resource: Resource) -> Row:
        """Work out the next version of a resource whose name was looked up; its row is returned."""
        type_, id_ = name = resource["resourceType"], resource["id"]
        known = self._names.current[name]
        self._seq += 1
        if known is None:
            rid, version = self._names.number_new(name), 1
            self._added.append((rid, type_, id_, self._seq, version, self._owner, self._plan))
        else:
            rid, version = known.rid, known.version + 1
            home = known.owner or self._owner, known.plan or self._plan
            self._changed.append((self._seq, version, 0, *home, rid))
        if known is None or known.seq == 0:  # 0: it was only referred to
            add_index_rows(self._come, resource, rid)
        else:
            self._compare(rows_of_version(self._connection, known.seq, rid), index_rows(resource, rid))
        body = dump_json(_stamped(resource, version, self._updated))
        row = (self._seq, rid, type_, id_, version, self._updated, 0, body)
        self._versions.append(row)
        return row

    def write(self) -> None:
        """Write what was taken."""
        insert(self._connection, _SQL["resource_add"], self._added)
        self._connection.executemany(_SQL["resource_set"], self._changed)
        insert(self._connection, _SQL["version_add"], self._versions)
        write_rows(self._connection, self._names, gone=self._gone, come=self._come)

    def _compare(self, before: Rows, after: Rows) -> None:
        """Only the difference is written: an edit of one status moves one row."""
        for table in Rows._fields:
            old, new = getattr(before, table), getattr(after, table)
            if old != new:
                getattr(self._gone, table).extend(set(old).difference(new))
                getattr(self._come, table).extend(set(new).difference(old))


def remove(connection: sqlite3.Connection, type_: str, id_: str, *, now: datetime) -> Stored:
    """Store a deletion as the next version. Raises NotFound where there is nothing; a second one changes nothing."""
    names = Names(connection)
    names.look_up([(type_, id_)])
    known = names.current[type_, id_]
    if known is None or known.seq == 0:
        raise NotFound(f"there is no {type_}/{id_} here")
    if known.deleted:
        return _required(read(connection, type_, id_))
    updated, version = instant(now), known.version + 1
    seq = connection.execute(_SQL["newest"]).fetchone()[0] + 1
    connection.execute(_SQL["version_add"], (seq, known.rid, type_, id_, version, updated, 1, b""))
    connection.execute(_SQL["resource_set"], (seq, version, 1, known.owner, known.plan, known.rid))
    write_rows(connection, names, gone=rows_of_version(connection, known.seq, known.rid), come=Rows.none())
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
    moment = instant(since) if since else ""
    before = _NEWEST if before is None else before
    values = {"type": type_, "id": id_, "before": before, "count": count, "since": moment}
    if id_ is not None:
        return _versions(connection, "history_of_instance", values)
    name = "history_of_type" if type_ else "history"
    end = connection.execute(_SQL[f"{name}_end"], values).fetchone() if since else None
    if end and end[0] >= moment:  # a full page is that new: what is older need not be sorted
        page = _versions(connection, name, values)
        if all(version.updated >= moment for version in page):
            return page
    return _versions(connection, f"{name}_since" if since else name, values)


def _versions(connection: sqlite3.Connection, name: str, values: Mapping[str, Any]) -> list[Stored]:
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


def _stamped(resource: Resource, version: int, updated: str) -> Resource:
    """A copy with type, id and meta in front, as people expect to read them."""
    stamped: Resource = {"resourceType": resource["resourceType"], "id": resource["id"], "meta": None, **resource}
    stamped["meta"] = {**resource.get("meta", {}), "versionId": str(version), "lastUpdated": updated}
    return stamped


_STAMPED = re.compile(
    rb'(\{"resourceType":"[A-Za-z]+","id":"[^"]+"),"meta":\{"versionId":"[0-9]+","lastUpdated":"[^"]+"\}'
)


def unstamped(body: bytes) -> bytes | None:
    """The JSON of a stored version as it was saved, not parsed; None where its meta says more than the stamp."""
    stamp = _STAMPED.match(body)
    return stamp[1] + body[stamp.end() :] if stamp else None


def _stored(row: Any) -> Stored | None:
    return _row_as_stored(row) if row else None


def _row_as_stored(row: Any) -> Stored:
    type_, id_, version, seq, updated, deleted, body = row
    return Stored(type_, id_, version, seq, updated, bool(deleted), body)


def _required(stored: Stored | None) -> Stored:
    assert stored is not None, "a resource row always has its current version"
    return stored
