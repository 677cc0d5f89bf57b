"""What a record is compared with when it comes again: what its party said last, and what it was shown (decision 3).

By the same its items that have no id are known again (decision 31).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from fhir_adapter.access.identity import Party
from fhir_adapter.access.projection import project
from fhir_adapter.errors import Issue, PreconditionFailed, Refused
from fhir_adapter.fhir.resources import Readings, Resource, reference_of
from fhir_adapter.flows import change
from fhir_adapter.flows.pull import what_a_record_tells
from fhir_adapter.flows.said import Lens, by_reference
from fhir_adapter.mapping.recognising import Earlier, are_names_of, names_in_words, names_of
from fhir_adapter.plan.identity import (
    as_the_plans_person,
    with_what_was_said_before,
)
from fhir_adapter.plan.merge import Refs
from fhir_adapter.store import journal, plans, resources
from fhir_adapter.store.plans import Plan, Record

if TYPE_CHECKING:
    import sqlite3


FORMS = 2
"""In which what was shown is a base: as the plan has it, and as the party would say it."""


class Known(NamedTuple):
    """The plan that a record stands for, the party's own copy of it, and the entry in which it spoke of it last."""

    plan: Plan
    record: Record | None
    said: journal.Entry | None

    @property
    def names(self) -> str | None:
        """What its items without id are called in what it said."""
        return self.record.names if self.record else None


def known_of(connection: sqlite3.Connection, party: Party, native: Any) -> Known | None:
    """What is here of a record, if the party sent it before or was shown it."""
    id_ = native.get("id") if isinstance(native, dict) else None
    plan = plans.of_record(connection, party.name, str(id_)) if id_ is not None else None
    if plan is None:
        return None
    record = plans.record_of(connection, party.name, plan.id)
    return Known(plan, record, journal.by_id(connection, record.said) if record and record.said is not None else None)


class _Shown(NamedTuple):
    """The plan as it was shown, and the party's record with it."""

    refs: Refs
    record: Earlier


@dataclass(frozen=True)
class Past:
    """What a party said and was shown of a record; `seen`: the version that it says it has seen now, if it does."""

    connection: sqlite3.Connection
    party: Party
    lens: Lens
    known: Known
    seen: int | None

    def bases(self, readings: Readings, ours: Refs) -> list[Refs]:
        """What the party last said, and what it was last shown; or only the version that it says it has seen.

        What was shown stands here twice: as the plan has it, and as the party would say it in its own format.
        """
        said = self.known.said if self.seen is None else None
        bases = [_meant(self.lens, self.lens.resources(said, self.known.names, readings), ours)] if said else []
        return bases + [form for shown in self._shown for form in self._forms(shown, ours)]

    def ends_in_own_words(self, bases: Sequence[Refs]) -> bool:
        """Whether the last of its bases is the one before it as the party would say it."""
        return len(bases) - (self.known.said is not None and self.seen is None) == FORMS

    def earlier(self, ours: Refs) -> list[Refs]:
        """What the party was shown since it spoke, but for the newest: it may have taken up any of these."""
        return [form for shown in self._shown_before for form in self._forms(shown, ours)]

    def names(self, native: dict[str, Any]) -> str | None:
        """What the items without id are called in the record that came; None where each tells its own."""
        mark = self.lens.mapping.mark_of(native)
        if mark is None if self.known.names is None else are_names_of(self.known.names, mark):
            return self.known.names
        said = [self._said] if self.known.said else []
        shown = [one.record for one in (*self._shown, *self._shown_before)]
        earlier = [*said, *shown] if self.seen is None else [*shown, *said]
        return names_in_words(self.lens.names_in(native, earlier, _Held(self.connection)), mark)

    def records(self) -> list[dict[str, Any]]:
        """The record as the party said it last, and in each form in which it was shown since."""
        return [one.record for one in (self._said, *(each.record for each in (*self._shown, *self._shown_before)))]

    @cached_property
    def _said(self) -> Earlier:
        body = self.known.said.body if self.known.said else None
        return Earlier(self.lens.mapping.record_in(body) if body is not None else {}, names_of(self.known.names))

    @cached_property
    def _shown(self) -> list[_Shown]:
        if self.seen is not None:
            change_seen = plans.change_of_version(self.connection, self.known.plan.id, self.seen)
            if change_seen is None:
                told = "the ETag of the record as you were shown it"  # not which: who is denied the plan asks, too
                issue = Issue("error", "conflict", "If-Match", "no such version of this record", told)
                raise PreconditionFailed("If-Match names a version that this plan never had", [issue])
            return [self._as_of(change_seen)]
        shown = self.known.record.shown if self.known.record else None
        return [self._as_of(shown)] if shown is not None else []

    @cached_property
    def _shown_before(self) -> list[_Shown]:
        if self.seen is not None:
            return []
        return [self._as_of(one) for one in plans.shown_before(self.connection, self.party.name, self.known.plan.id)]

    def _as_of(self, change_seen: int) -> _Shown:
        members = plans.members_as_of_change(self.connection, self.known.plan.id, change_seen)
        shown = project(change.as_refs(members), self.party)
        return _Shown(shown, self.lens.put(what_a_record_tells(shown), self._said))

    def _forms(self, shown: _Shown, ours: Refs) -> list[Refs]:
        try:
            said = self.lens.get_again(*shown.record).resources
        except Refused:  # what others wrote need not be a valid record; then there is nothing that it would say
            return [shown.refs]
        return [shown.refs, _meant(self.lens, said, ours)]


class _Held:
    """References to what is here: no new item gets the name of one."""

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection

    def __contains__(self, reference: object) -> bool:
        type_, _, id_ = str(reference).partition("/")
        return resources.read(self._connection, type_, id_) is not None


def _meant(lens: Lens, said: Sequence[Resource], ours: Refs) -> Refs:
    """The same of an earlier record, which was about the person whom the plan is about, whatever number it had."""
    return as_the_plans_person(by_reference(lens, said, ours), ours, reference_of(said[0]))


class Newcomers(NamedTuple):
    """Persons and relatives of other plans of a party who are new in one: as they are here, what it said of them with
    those plans, oldest first, and what it says now, measured by that (`theirs`)."""

    here: Refs
    said: dict[str, list[Resource]]
    theirs: Refs

    def with_bases(self, bases: Sequence[Refs]) -> list[Refs]:
        """The bases with what was said of them. One is bare: a record that says less takes nothing away."""
        if not self.here:
            return list(bases)
        bare = {name: {"resourceType": one["resourceType"], "id": one["id"]} for name, one in self.here.items()}
        if bases:
            newest = {name: said[-1] for name, said in self.said.items() if said}
            return [bases[0] | bare | newest, *(base | bare for base in bases[1:])]
        return [*({name: one} for name, said in self.said.items() for one in said), bare]


def newcomers_in(
    connection: sqlite3.Connection, party: Party, lens: Lens, readings: Readings, plan: Plan, ours: Refs, theirs: Refs
) -> Newcomers:
    """Who is new in the plan and at home in others of its party. Nor does a value take away that says less (an address
    of which the record knows the municipality)."""
    here, said, now = {}, {}, {}
    for name in (one for one in theirs if one not in ours):
        if plans.plans_beside(connection, plan.id, name) and (stored := resources.read(connection, *name.split("/"))):
            here[name] = change.as_saved(stored.body)
            said[name] = said_beside(connection, party, lens, readings, plan, name)
            now[name] = with_what_was_said_before(theirs[name], said[name])
    return Newcomers(here, said, theirs | now)


def said_beside(
    connection: sqlite3.Connection, party: Party, lens: Lens, readings: Readings, plan: Plan, name: str
) -> list[Resource]:
    """What the party said last of a person with the other plans in which that one is at home; [] of anything else."""
    others = plans.plans_beside(connection, plan.id, name)
    said = (said_with(connection, party, lens, readings, one).get(name) for one in others)
    return [person for person in said if person]


def said_with(connection: sqlite3.Connection, party: Party, lens: Lens, readings: Readings, plan: Plan) -> Refs:
    """What the party said last of a plan."""
    record = plans.record_of(connection, party.name, plan.id)
    if record is None or record.said is None:
        return {}
    said = lens.resources(journal.by_id(connection, record.said), record.names, readings)
    return _meant(lens, said, change.load(connection, plan))
