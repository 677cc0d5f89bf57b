"""The one way in which a plan changes: merge what a party says, and write all of it in the caller's transaction.

Push and sync differ only in where `theirs` and `bases` come from; everything after that is here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cache, partial
from typing import TYPE_CHECKING, Any
from uuid import uuid5

from fhir_adapter.access.identity import Party
from fhir_adapter.access.projection import project
from fhir_adapter.errors import Issue
from fhir_adapter.fhir.resources import (
    NO_READINGS,
    Readings,
    Resource,
    dump_json,
    parse_json,
    reference_of,
)
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import questions
from fhir_adapter.flows.guests import plans_beside, without_guests
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.ownership import owners_of
from fhir_adapter.flows.questions import Closed, Deciding
from fhir_adapter.flows.standing import standing_of
from fhir_adapter.mapping.engine import Mapped
from fhir_adapter.plan import changes
from fhir_adapter.plan.called import intervention_of
from fhir_adapter.plan.changes import AuditAction
from fhir_adapter.plan.contents import STORED_META
from fhir_adapter.plan.decide import Steps, decide
from fhir_adapter.plan.identity import person_in
from fhir_adapter.plan.lead import hold_back_what_is_not_its
from fhir_adapter.plan.merge import Conflict, Kept, Merged, Refs, Tombstone, merge
from fhir_adapter.plan.negotiation import Standing, hold_back, is_negotiated
from fhir_adapter.plan.owners import Owners
from fhir_adapter.store import conflicts, outbox, persons, plans, resources, tombstones
from fhir_adapter.store.conflicts import KeptConflict
from fhir_adapter.store.names import Names
from fhir_adapter.store.plans import Member, Plan
from fhir_adapter.store.tombstones import KeptTombstone

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Arrival:
    """What a party now says, and what it is compared with.

    `partial`: theirs holds only what changed (a FHIR server); otherwise it is a whole snapshot and what is missing
    was removed. `journal` is the entry in which it came. `exact`: the party says which version it saw, and the
    bases are forms of that one. `said_last`: what the party said (the first base) is newer than what it was shown.
    `earlier`: what it was shown before that, since it spoke. `deletion`: it deleted what theirs lacks, by name.
    `is_stated`: whether its format has no word for how far a thing is. `beside`: what it said last of a resource with
    its other records. `spelled`: the last base is the one before it in the party's own words. `deciding`: it decides a
    conflict, and so speaks for whoever owns what it changes.
    """

    party: Party
    journal: int
    bases: Sequence[Refs]
    theirs: Refs
    partial: bool
    exact: bool = False
    said_last: bool = False
    earlier: Sequence[Refs] = ()
    deletion: bool = False
    is_stated: Callable[[Resource], bool] = lambda _: False
    beside: Callable[[str], Sequence[Resource]] = lambda _: ()
    spelled: bool = False
    deciding: Deciding | None = None


@dataclass(frozen=True, slots=True)
class Applied:
    """What became of an arrival: `found` are the plan's resources after it, `steps` the unusual changes of state."""

    plan: Plan
    found: Refs
    changed: bool
    conflicts: tuple[KeptConflict, ...]
    kept: tuple[Kept, ...]
    steps: tuple[tuple[str, Issue], ...] = ()


def as_refs(found: Sequence[Member], readings: Readings = NO_READINGS) -> Refs:
    """Stored members as resources by reference, without the meta that the store wrote."""
    return {f"{member.type}/{member.id}": as_saved(member.body, readings) for member in found}


def as_saved(body: bytes, readings: Readings = NO_READINGS) -> Resource:
    """The resource in the bytes of a stored version, without the meta that the store wrote."""
    bare = resources.unstamped(body)
    return without_storage_meta(parse_json(body)) if bare is None else readings.read(bare)


def without_storage_meta(resource: Resource) -> Resource:
    """The resource without what only says where and when it was stored."""
    meta = {name: value for name, value in resource.get("meta", {}).items() if name not in STORED_META}
    content = resource.copy()
    if meta:
        content["meta"] = meta
    else:
        content.pop("meta", None)
    return content


def load(connection: sqlite3.Connection, plan: Plan, readings: Readings = NO_READINGS) -> Refs:
    """The plan's resources as they are now."""
    return as_refs(plans.members(connection, plan.id), readings) if plan.version else {}


def person_of(connection: sqlite3.Connection, plan_id: str) -> str | None:
    """The person whom the plan is about, as `Patient/id`."""
    stored = resources.read(connection, "CarePlan", plan_id)
    return parse_json(stored.body).get("subject", {}).get("reference") if stored and not stored.deleted else None


def apply(connection: sqlite3.Connection, hub: Hub, plan: Plan, ours: Refs, arrival: Arrival, now: datetime) -> Applied:
    """Merge the arrival into the plan (`ours` as loaded): resources, conflicts, Provenance, audit and outbox rows."""
    whole = arrival.theirs
    names = Names(connection)
    arrival = without_guests(connection, names, plan, arrival, ours)
    guests = {ref: one for ref, one in whole.items() if ref not in arrival.theirs}
    merged = merged_with(connection, hub, plan, ours, arrival, now)
    steps = decide(merged, ours, now)
    kept = tuple(merged.kept)
    all_conflicts, new = questions.new_conflicts(connection, hub, plan, steps.ask, now)
    closed = questions.closed_by(
        connection, plan, arrival.party, ours, steps.save, arrival.deciding, arrival.journal, now
    )
    steps.save.update(closed.tasks)
    if not steps.save and not new:
        audit(connection, hub, plan, arrival.party, "U", now)
        return Applied(plan, guests | ours, False, tuple(all_conflicts), kept)
    written = _write(connection, names, hub, plan, arrival, steps, ours, new, closed, now)
    plans_changed = [plan, *plans_beside(connection, plan, written.keys() & ours.keys())]
    advanced, *beside = (
        plans.advance(connection, one, party=arrival.party.name, journal=arrival.journal, at=instant(now))
        for one in plans_changed
    )
    for plan_id in (*_concerned(connection, plan, written, ours), *(one.id for one in beside)):
        for party in hub.fhir_parties:
            outbox.queue(connection, plan_id, party.name, instant(now))
    return Applied(advanced, guests | ours | written, True, tuple(all_conflicts), kept, steps.unusual)


def merged_with(
    connection: sqlite3.Connection, hub: Hub, plan: Plan, ours: Refs, arrival: Arrival, now: datetime
) -> Merged:
    """What the plan becomes by the arrival, less the steps that are not its party's to take; nothing is written."""
    owned = owners_of(connection, hub, plan, ours)
    merged = merge(
        arrival.bases,
        ours,
        arrival.theirs,
        party=arrival.party.name,
        owners=owned if arrival.deciding is None else _speaking_for_all(arrival.party),
        partial=arrival.partial,
        now=now,
        hidden=ours.keys() - project(ours, arrival.party).keys(),
        exact=arrival.exact,
        said_last=arrival.said_last,
        earlier=arrival.earlier,
        deletion=arrival.deletion,
        is_stated=arrival.is_stated,
        beside=arrival.beside,
        spelled=arrival.spelled,
        buried=cache(lambda: [] if arrival.deciding else _buried(connection, plan)),
    )
    standing = partial(standing_of, hub, arrival.party, plan, owned, ours)
    hold_back(merged, ours, arrival.party.name, _every_role if arrival.deciding else standing, owned.wrote)
    if arrival.deciding is None:
        hold_back_what_is_not_its(merged, ours, arrival.party.name, owned)
    return merged


def _every_role(task: Resource) -> Standing:
    """Who decides speaks for all, and may take every step of a Task; what was asked for, and what ended, stays so."""
    return Standing(requester=True, owner=True, records=not is_negotiated(task))


def _concerned(connection: sqlite3.Connection, plan: Plan, written: Refs, ours: Refs) -> list[str]:
    """The plan; where its consents changed, also the other plans of a person who was joined: they go by them, too."""
    person = ours.get(f"CarePlan/{plan.id}", {}).get("subject", {}).get("reference", "")
    is_about_consent = any(reference.startswith("Consent/") for reference in written)
    beside = persons.plans_of_joined(connection, person) if is_about_consent else ()
    return list(dict.fromkeys([plan.id, *beside]))


def _write(
    connection: sqlite3.Connection,
    names: Names,
    hub: Hub,
    plan: Plan,
    arrival: Arrival,
    steps: Steps,
    ours: Refs,
    new: Sequence[tuple[KeptConflict, Conflict]],
    closed: Closed,
    now: datetime,
) -> Refs:
    written: list[Resource] = list(steps.save.values())
    care_plan = steps.save.get(f"CarePlan/{plan.id}") or ours.get(f"CarePlan/{plan.id}") or {}
    for kept, conflict in new:
        conflicts.add(connection, kept, journal=arrival.journal)
        written.append(
            changes.conflict_task(
                conflict,
                id=kept.id,
                plan_ref=f"CarePlan/{plan.id}",
                patient_ref=care_plan.get("subject", {}).get("reference"),
                owner_org_ref=care_plan.get("author", {}).get("reference"),
                now=now,
            )
        )
    for id_, decided in closed.decided:
        conflicts.decide(connection, id_, decided)
    tombstones.add(connection, plan.id, (_kept_tombstone(one) for one in steps.bury))
    provenance = changes.provenance(
        [reference_of(resource) for resource in written],
        id=str(uuid5(hub.namespace, f"provenance|{arrival.party.name}|{arrival.journal}|{plan.id}")),
        agent=arrival.party.reference,
        recorded=now,
    )
    event = _audit_event(hub, plan, arrival.party, "U" if plan.version else "C", now)
    resources.save_all(
        connection, [*written, provenance, event], now=now, plan=plan.id, owner=arrival.party.name, names=names
    )
    return {reference_of(resource): resource for resource in written}


def audit(
    connection: sqlite3.Connection,
    hub: Hub,
    plan: Plan,
    party: Party,
    action: AuditAction,
    now: datetime,
    reasons: Sequence[str] = (),
) -> None:
    """Note who looked at the plan or worked on it, in the transaction in which it happened. `apply` does it itself."""
    event = _audit_event(hub, plan, party, action, now, reasons)
    resources.save(connection, event, now=now, plan=plan.id, owner=party.name)


def _audit_event(
    hub: Hub, plan: Plan, party: Party, action: AuditAction, now: datetime, reasons: Sequence[str] = ()
) -> Resource:
    return changes.audit_event(
        id=str(hub.new_id()),
        action=action,
        agent=party.reference,
        plan_ref=f"CarePlan/{plan.id}",
        recorded=now,
        reasons=reasons,
    )


def field_of(mapped: Mapped, found: Refs, reference: str, element: str) -> str:
    """The record's own field behind an element of the plan (`found`); empty where there is none, or no single one.

    The plan may have the Task of an intervention, or the person's record, from somebody else; the record calls it by a
    name of its own.
    """
    root = mapped.resources[0]
    if reference == person_in(found.get(reference_of(root), {}), "subject"):
        return mapped.native_path(person_in(root, "subject"), element)
    about = intervention_of(found[reference]) if reference in found else ""
    own = (reference_of(one) for one in mapped.resources if about and intervention_of(one) == about)
    return mapped.native_path(next(own, reference), element)


def field_around(mapped: Mapped, found: Refs, reference: str, element: str) -> str:
    """The same; where no field is the element alone, such as the state of a thing that the format has no word for, the
    field or item that stands for the whole."""
    return field_of(mapped, found, reference, element) or field_of(mapped, found, reference, "")


def conflict_in_words(mapped: Mapped | None, conflict: KeptConflict, found: Refs) -> dict[str, Any]:
    """A conflict as a party is told of it: `path` is the field of its own record, where it has one."""
    return {
        "task": conflict.id,
        "path": field_around(mapped, found, conflict.reference, conflict.path) if mapped else "",
        "element": f"{conflict.reference}#{conflict.path}",
        "kind": conflict.kind,
        "live": parse_json(conflict.live.encode()) if conflict.live else None,
        "liveFrom": conflict.live_party,
        "kept": parse_json(conflict.other.encode()) if conflict.other else None,
        "keptFrom": conflict.other_party,
    }


def _speaking_for_all(party: Party) -> Owners:
    """Who decides a conflict has the last word about what it changes, whoever owns it."""
    return Owners(lead=party.name, of=lambda _reference: party.name)


def _kept_tombstone(one: Tombstone) -> KeptTombstone:
    return KeptTombstone(one.reference, one.path, dump_json(one.removed).decode(), one.by, instant(one.at))


def _buried(connection: sqlite3.Connection, plan: Plan) -> list[Tombstone]:
    """What was taken out of the plan before."""
    return [
        Tombstone(one.reference, one.path, parse_json(one.removed.encode()), one.party, datetime.fromisoformat(one.at))
        for one in tombstones.of_plan(connection, plan.id)
    ]
