"""The shared plans as the store keeps them: members, changes in one order, conflicts and each party's bases."""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple

from fhir_adapter.store.database import queries

_SQL = queries("plans.sql")


@dataclass(frozen=True, slots=True)
class Plan:
    """A shared plan: `version` counts its changes, `change` is its place in the order of all changes."""

    id: str
    party: str
    source: str
    record: str
    version: int
    change: int
    updated: str


class Reader(NamedTuple):
    """Whose plans are looked for: a party's name, and the digits of its organisation's identifiers."""

    party: str
    digits: frozenset[str]


class Member(NamedTuple):
    """One resource of a plan: the stored bytes of the version `seq`."""

    type: str
    id: str
    seq: int
    body: bytes


@dataclass(frozen=True, slots=True)
class Record:
    """A party's own copy: `said` is the journal id of its last snapshot, `shown` the change it was last shown.

    `said_last`: it spoke after it was shown anything. `names`: what its items without id are called in what it said,
    as JSON; None where each tells its own.
    """

    record: str
    said: int | None
    shown: int | None
    said_last: bool
    names: str | None


PERSONS = ("Patient", "RelatedPerson")
"""Types that are at home in every plan of the party that brought them."""


def add(connection: sqlite3.Connection, *, id: str, party: str, source: str, record: str, now: str) -> Plan:
    """A new plan at version 0: its first change makes it 1."""
    connection.execute(_SQL["add"], {"id": id, "party": party, "source": source, "record": record, "now": now})
    return Plan(id, party, source, record, 0, 0, now)


def get(connection: sqlite3.Connection, plan: str) -> Plan | None:
    """The plan with this CarePlan id."""
    row = connection.execute(_SQL["get"], {"id": plan}).fetchone()
    return Plan(*row) if row else None


def of_record(connection: sqlite3.Connection, party: str, record: str) -> Plan | None:
    """The plan that `party` knows under its own id `record`."""
    row = connection.execute(_SQL["of_record"], {"party": party, "record": record}).fetchone()
    return Plan(*row) if row else None


def add_guests(connection: sqlite3.Connection, plan: str, references: Iterable[str]) -> None:
    """Make `Type/id` references part of the plan that are at home in another one; what a plan brings is its own."""
    connection.executemany(_SQL["guest_add"], [(plan, *reference.split("/", 1)) for reference in references])


def guests(connection: sqlite3.Connection, plan: str) -> set[str]:
    """References to what belongs to the plan and is at home in another one only."""
    return {f"{type_}/{id_}" for type_, id_ in connection.execute(_SQL["guests"], {"plan": plan})}


def plans_beside(connection: sqlite3.Connection, plan: str, reference: str) -> list[Plan]:
    """The other plans in which a person of this one is at home, too, the one that changed last at the end."""
    type_, _, id_ = reference.partition("/")
    if type_ not in PERSONS:
        return []
    return [Plan(*row) for row in connection.execute(_SQL["plans_beside"], {"plan": plan, "type": type_, "id": id_})]


def members(connection: sqlite3.Connection, plan: str) -> list[Member]:
    """The current version of every resource of the plan, by type and id."""
    return [Member(*row) for row in connection.execute(_SQL["members"], {"plan": plan})]


def members_as_of_change(connection: sqlite3.Connection, plan: str, change: int) -> list[Member]:
    """The plan as it stood right after that change."""
    upto = connection.execute(_SQL["upto_of_change"], {"seq": change}).fetchone()
    if upto is None:
        return []
    return [Member(*row) for row in connection.execute(_SQL["members_as_of"], {"plan": plan, "upto": upto[0]})]


def naming(connection: sqlite3.Connection, type_: str, id_: str) -> Plan | None:
    """A plan in which something refers to `type_/id_`, which need not be here."""
    row = connection.execute(_SQL["naming"], {"type": type_, "id": id_}).fetchone()
    return get(connection, row[0]) if row else None


def plans_of(connection: sqlite3.Connection, type_: str, id_: str) -> list[str]:
    """Ids of the plans that this resource belongs to."""
    return [row[0] for row in connection.execute(_SQL["plans_of_resource"], {"type": type_, "id": id_})]


def advance(connection: sqlite3.Connection, plan: Plan, *, party: str, journal: int, at: str) -> Plan:
    """Note that `party` changed the plan, and give it its next version. The resources must be saved already."""
    version = plan.version + 1
    upto = connection.execute(_SQL["newest_resource_seq"]).fetchone()[0]
    change = connection.execute(
        _SQL["change_add"],
        {"plan": plan.id, "version": version, "party": party, "journal": journal, "at": at, "upto": upto},
    ).lastrowid
    connection.execute(_SQL["advance"], {"plan": plan.id, "version": version, "change": change, "at": at})
    return Plan(plan.id, plan.party, plan.source, plan.record, version, int(change or 0), at)


def change_of_version(connection: sqlite3.Connection, plan: str, version: int) -> int | None:
    """The change that made this version of the plan."""
    row = connection.execute(_SQL["change_of_version"], {"plan": plan, "version": version}).fetchone()
    return int(row[0]) if row else None


ONE_READ_IN_FULL = 50
"""So many plans are looked up for what it costs to read one with all its resources and decide who may see it."""

CHANGES_COUNTED = 1000


def changed_since(connection: sqlite3.Connection, reader: Reader, cursor: int, count: int) -> list[Plan]:
    """Plans whose newest change is after the cursor, oldest change first: all that the reader may see, and others.

    Either those that could concern it are looked through for what changed, or what changed is: whatever is less.
    """
    values = {"party": reader.party, "digits": json.dumps(sorted(reader.digits)), "cursor": cursor, "count": count}
    statement = "changed_since_of_party" if _are_less_than_the_changes(connection, values) else "changed_since"
    return [Plan(*row) for row in connection.execute(_SQL[statement], values)]


def _are_less_than_the_changes(connection: sqlite3.Connection, values: dict[str, Any]) -> bool:
    """Whether those that could concern the reader are sooner looked through. No more is counted than tells."""
    most = ONE_READ_IN_FULL
    if _count(connection, "known_count", values, most) < most:
        return True
    most *= _count(connection, "changed_count", values, CHANGES_COUNTED)
    return _count(connection, "known_count", values, most) < most


def _count(connection: sqlite3.Connection, statement: str, values: dict[str, Any], most: int) -> int:
    return int(connection.execute(_SQL[statement], values | {"most": most}).fetchone()[0])


def newest_change(connection: sqlite3.Connection) -> int:
    """The newest change of any plan; 0 before there is one."""
    return int(connection.execute(_SQL["newest_change"]).fetchone()[0])


def newest(connection: sqlite3.Connection, count: int) -> list[Plan]:
    """The plans that changed last."""
    return [Plan(*row) for row in connection.execute(_SQL["all"], {"count": count})]


def all_ids(connection: sqlite3.Connection) -> list[str]:
    """Every plan."""
    return [row[0] for row in connection.execute(_SQL["all_ids"])]


def changed_by(connection: sqlite3.Connection, plan: str, cursor: int) -> list[str]:
    """Names of the parties that changed the plan after the cursor."""
    return [row[0] for row in connection.execute(_SQL["changed_by"], {"plan": plan, "cursor": cursor})]


def wrote(connection: sqlite3.Connection, plan: str, reference: str) -> str | None:
    """The party whose change of the plan made the current version of a resource."""
    type_, id_ = reference.split("/", 1)
    row = connection.execute(_SQL["wrote"], {"plan": plan, "type": type_, "id": id_}).fetchone()
    return str(row[0]) if row else None


def versions_of(connection: sqlite3.Connection, plan: str, reference: str) -> Iterator[tuple[bytes, str]]:
    """Every version of a resource, oldest first, with the party whose change of the plan made it."""
    type_, id_ = reference.split("/", 1)
    yield from connection.execute(_SQL["versions_of"], {"plan": plan, "type": type_, "id": id_})


def record_of(connection: sqlite3.Connection, party: str, plan: str) -> Record | None:
    """The party's own copy of the plan, if it said or was shown anything yet."""
    row = connection.execute(_SQL["record_get"], {"party": party, "plan": plan}).fetchone()
    return Record(*row) if row else None


def note_said(
    connection: sqlite3.Connection, party: str, plan: str, record: str, journal: int, names: str | None
) -> None:
    """The party's newest accepted snapshot is this journal entry, in which its items have these names."""
    connection.execute(_SQL["forget_shown"], {"party": party, "plan": plan})
    values = {"party": party, "plan": plan, "record": record, "said": journal, "names": names}
    connection.execute(_SQL["record_said"], values)


def note_shown(connection: sqlite3.Connection, party: str, plan: str, record: str, change: int) -> None:
    """The party was shown the plan as of this change; `record` is the id under which it will know it."""
    values = {"party": party, "plan": plan, "record": record, "shown": change}
    connection.execute(_SQL["keep_shown"], values)
    connection.execute(_SQL["record_shown"], values)


def shown_before(connection: sqlite3.Connection, party: str, plan: str) -> list[int]:
    """The changes as of which the party was shown the plan since it spoke, but for the newest; the newest first."""
    return [change for (change,) in connection.execute(_SQL["shown_before"], {"party": party, "plan": plan})]


def instance_value(connection: sqlite3.Connection, name: str, first: str) -> str:
    """A fact about this installation, set to `first` when it is asked for the first time."""
    connection.execute(_SQL["instance_set"], {"name": name, "value": first})
    return str(connection.execute(_SQL["instance_get"], {"name": name}).fetchone()[0])
