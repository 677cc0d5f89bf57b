"""Why a version that a FHIR party made may not be applied, and what that means for what we write there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from fhir_adapter.access.identity import Party
from fhir_adapter.checks.validate import errors_in
from fhir_adapter.fhir.resources import Resource, parse_json
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import change, history, known_persons
from fhir_adapter.flows.incoming import Incoming
from fhir_adapter.flows.naming import Renaming
from fhir_adapter.plan.identity import about, is_nobody
from fhir_adapter.plan.quarantine import is_about_another_person
from fhir_adapter.remotes.client import RemoteVersion
from fhir_adapter.store import copies, outbox, resources
from fhir_adapter.store.copies import Copy
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3

NOT_SHOWN = "a write to something that the party was not shown"
"""Why a version is parked that stands where something of the plan would go."""


def reason_to_park(
    connection: sqlite3.Connection,
    incoming: Incoming,
    plan: Plan | None,
    news: Sequence[RemoteVersion],
    ours: Renaming,
) -> str | None:
    """Why this version may not be applied: kept in the journal, neither applied nor dropped."""
    version = incoming.version
    if plan is None:
        return "belongs to no shared plan"
    if version.deleted:
        return None
    if _is_about_another_person(connection, incoming, plan):
        return "about another person than it was shared for"  # whom a question about it would show to others
    if _is_of_nobody(connection, incoming):
        return "of a person whom no plan is about any more"  # it would be theirs whose number that is
    errors = errors_in(version.resource or {})
    if errors:
        return f"not valid: {errors[0].path}: {errors[0].code}"
    is_here = resources.read(connection, version.type, incoming.id) is not None
    if is_here and not incoming.is_shared:
        return NOT_SHOWN
    is_new = incoming.known is None
    return _reason_to_park_a_new_one(connection, plan, incoming.said, news, ours) if is_new else None


def _reason_to_park_a_new_one(
    connection: sqlite3.Connection, plan: Plan, said: Resource, news: Sequence[RemoteVersion], ours: Renaming
) -> str | None:
    """The same for what is new here and whole: it is about the person of the plan, or nobody's to see in it."""
    person = change.person_of(connection, plan.id)

    def look_up(name: str) -> Resource | None:
        came = (each.resource for each in news if each.type == "Patient" and ours(f"Patient/{each.id}") == name)
        return known_persons.person_here(connection, name) or next(came, None)

    is_anothers = person and is_about_another_person(said, [about(person)], look_up)
    return "about another person than the plan that names it" if is_anothers else None


def _is_of_nobody(connection: sqlite3.Connection, incoming: Incoming) -> bool:
    here = known_persons.person_here(connection, f"{incoming.version.type}/{incoming.id}")
    return here is not None and is_nobody(here)


def _is_about_another_person(connection: sqlite3.Connection, incoming: Incoming, plan: Plan) -> bool:
    """Than it was there, and than the plan has it for: a party that takes back that it joined two persons is right."""
    ours = resources.read(connection, incoming.version.type, incoming.id)
    bodies = [incoming.known, parse_json(ours.body) if ours and not ours.deleted else None]
    known = [body for body in bodies if body]
    return is_about_another_person(incoming.said, known, lambda name: change.load(connection, plan).get(name))


def park(connection: sqlite3.Connection, party: Party, incoming: Incoming) -> None:
    if not leave_alone(connection, party, incoming.version):
        stand_in_the_way(connection, party, incoming)


def leave_alone(connection: sqlite3.Connection, party: Party, version: RemoteVersion) -> bool:
    """A version that was parked is not written over until somebody has looked; whatever comes next is compared with
    what was there before. False: we have nothing of it that we could write."""
    copy = copies.by_remote(connection, party.name, version.type, version.id)
    if copy is None or not copy.is_shown:
        return False
    parked = replace(copy, version=version.version, sent=None, made=history.made(version))
    copies.save(connection, party.name, parked)
    return True


def stand_in_the_way(connection: sqlite3.Connection, party: Party, incoming: Incoming) -> None:
    """What was parked is where ours would go: ours is not written, and the rest of the plan not held up."""
    type_, remote_id = incoming.version.type, incoming.version.id
    if resources.read(connection, type_, incoming.id):
        copies.save(connection, party.name, Copy(type_, incoming.id, remote_id, "", None, b"{}"))


def give_way(connection: sqlite3.Connection, party: Party, incoming: Incoming, plan: Plan, now: datetime) -> None:
    """What stood where ours would go was deleted there."""
    if incoming.copy:
        copies.forget(connection, party.name, incoming.copy)
        outbox.queue(connection, plan.id, party.name, instant(now))
