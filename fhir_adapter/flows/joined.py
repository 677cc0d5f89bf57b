"""Persons whom a FHIR party joined: two patients there become one, and what pointed to the old one is rewritten.

R4 says it in Patient.link (http://hl7.org/fhir/R4/patient-definitions.html#Patient.link): replaced-by on the one that
is given up. Our person goes by the remaining one's name there from then on, until the party takes it back. The joining
is that party's: here nobody is joined with anybody, but where both are persons of ours, somebody is asked.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from typing import TYPE_CHECKING

from fhir_adapter.access.identity import Party
from fhir_adapter.fhir.resources import Resource, dump_json, parse_json, references_in, rewrite_references
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import change, history, known_persons
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.naming import as_ours, id_in, names_in, names_to_ours, names_to_theirs
from fhir_adapter.plan.identity import about, are_one_person, pointers_moved
from fhir_adapter.remotes.client import RemoteVersion
from fhir_adapter.remotes.directory import replaced_by
from fhir_adapter.store import copies, outbox, plans
from fhir_adapter.store.copies import Copy
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3


def follow(connection: sqlite3.Connection, hub: Hub, party: Party, seen: Sequence[RemoteVersion]) -> None:
    """Use the remaining person's name where one was given up, the old name again where that was taken back."""
    newest = {version.id: version for version in seen if version.type == "Patient" and version.resource}
    for version in newest.values():
        remaining = replaced_by(version.resource or {})
        if remaining is None:
            _part(connection, hub, party, version)
        else:
            _join(connection, hub, party, version.id, remaining)


def _join(connection: sqlite3.Connection, hub: Hub, party: Party, given_up: str, remaining: str) -> None:
    others = _known_as(connection, party, remaining)
    for copy in _known_as(connection, party, given_up):
        if known_persons.remaining_for(connection, copy.reference) in [other.reference for other in others]:
            continue  # that is our own word
        copies.join(connection, party.name, copy, remaining)
        for other in others:
            known_persons.ask(connection, hub, copy.reference, other.reference, "joined-there", party)


def _part(connection: sqlite3.Connection, hub: Hub, party: Party, version: RemoteVersion) -> None:
    ours = names_to_ours(connection, hub, party)
    body = dump_json(as_ours(version.resource or {}, ours))
    now = Copy("Patient", version.id, version.id, version.version, 0, body, history.made(version))
    for joined in copies.part(connection, party.name, now):
        remaining = ours(f"Patient/{joined.remote_id}")
        known_persons.withdraw(connection, hub, joined.reference, remaining, "joined-there")
        for plan_id in plans.plans_of(connection, "Patient", joined.id):
            _tell_again(connection, hub, party, plan_id, joined.reference, remaining)


def _tell_again(
    connection: sqlite3.Connection, hub: Hub, party: Party, plan_id: str, person: str, remaining: str
) -> None:
    """What we wrote there while they were one points to the remaining one, and nobody there takes that back."""
    for held in copies.of_plan(connection, party.name, plan_id).values():
        body = parse_json(held.body)
        if held.sent is not None and any(each["reference"] == person for _, each in references_in(body)):
            said = dump_json(rewrite_references(body, lambda name: remaining if name == person else name))
            copies.save(connection, party.name, replace(held, sent=0, body=said))
    outbox.queue(connection, plan_id, party.name, instant(hub.now()))


def call_by_own_names(connection: sqlite3.Connection, hub: Hub, party: Party, gone: Iterable[Copy]) -> None:
    """Of those for whom the party's own resource stood that it deleted, each is given again as one of its own.

    Who is left alone with the name keeps it.
    """
    for copy in gone:
        named = copies.named(connection, party.name, copy.type, copy.remote_id)
        others = [one for one in named if one.id != copy.id and not (one.is_theirs or one.is_only_a_name)]
        if others:
            own = replace(copy, remote_id=copy.id, version=copies.LOST, made="")
            copies.save(connection, party.name, own)
            for plan_id in plans.plans_of(connection, copy.type, copy.id):
                _tell_again(connection, hub, party, plan_id, copy.reference, others[0].reference)


def _known_as(connection: sqlite3.Connection, party: Party, id_: str) -> list[Copy]:
    """Our persons who go by this name there."""
    return [copy for copy in copies.named(connection, party.name, "Patient", id_) if not copy.is_only_a_name]


def left_alone(hub: Hub, party: Party, versions: Sequence[RemoteVersion]) -> list[RemoteVersion]:
    """The persons, as they are there now, to whom something pointed that points to another one by now.

    What a joining rewrites may be read before the mark on the person that is given up: that is looked for last.
    """
    connection = hub.database.read()
    theirs, names = names_to_theirs(connection, party), set()
    for version in versions:
        copy = copies.by_remote(connection, party.name, version.type, version.id)
        if version.resource and copy and not copy.is_only_a_name:
            base = rewrite_references(parse_json(copy.body), theirs)
            names.update(pointers_moved(base, version.resource))
    found = (hub.clients[party.name].read("Patient", id_in(name)) for name in sorted(names))
    return [version for version in found if version]


def without_strangers(
    connection: sqlite3.Connection,
    party: Party,
    versions: Sequence[RemoteVersion],
    is_due: Callable[[RemoteVersion], str | None],
) -> list[RemoteVersion]:
    """Without persons who are new and named only by what was, or had to be, about somebody else, unless a number says
    that they are one.

    What names them is parked; with them in the plan, those who see it would see a person whom it is not about.
    `is_due`: the person of the plan that a version which is new here would become part of.
    """
    theirs = names_to_theirs(connection, party)

    def is_of_another(version: RemoteVersion, person: RemoteVersion) -> bool:
        copy = copies.by_remote(connection, party.name, version.type, version.id)
        base = parse_json(copy.body) if copy and not copy.is_only_a_name else about(is_due(version) or "")
        moved = pointers_moved(version.resource or {}, rewrite_references(base, theirs))
        before = [known_persons.person_here(connection, name) for name in pointers_moved(base, {})]
        is_one = any(are_one_person(person.resource or {}, one) for one in before if one)
        return bool(before) and f"Patient/{person.id}" in moved and not is_one

    def is_stranger(person: RemoteVersion) -> bool:
        if person.type != "Patient" or _known_as(connection, party, person.id):
            return False
        naming = [each for each in versions if f"Patient/{person.id}" in names_in(each.resource)]
        return bool(naming) and all(is_of_another(each, person) for each in naming)

    return [version for version in versions if not is_stranger(version)]


def of_its_person(
    connection: sqlite3.Connection, hub: Hub, party: Party, plan: Plan | None, said: Resource, base: Resource | None
) -> tuple[Resource, Resource | None]:
    """What is said and what was before, as said of those who remain of the persons that were given up here.

    A plan stays with its person; where a party points it to another one, somebody is asked whether the two are one.
    """
    now = known_persons.about_the_remaining(connection, said)
    before = known_persons.about_the_remaining(connection, base) if base else base
    person = change.person_of(connection, plan.id) if plan and now and before else None
    if person and person in pointers_moved(before or {}, now):
        for other in pointers_moved(now, before or {}):
            known_persons.ask(connection, hub, person, other, "moved-there", party)
    return now, before
