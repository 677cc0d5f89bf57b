"""A plan that came under somebody else's number: it moves to whom it is about, and nothing of it stays with the other.

Its party sends the record with the right number; that is refused and asked about (another number is another person, or
a new number of the same one), and the keeper decides. docs/persons.md tells the story.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import Conflict, NotFound
from fhir_adapter.fhir.resources import NO_READINGS, Resource, reference_of
from fhir_adapter.flows import change, persons
from fhir_adapter.flows.bases import said_with
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.known_persons import (
    Said,
    id_of,
    is_at_home_with,
    person_here,
    remaining_for,
    said_in,
)
from fhir_adapter.flows.persons import Deed
from fhir_adapter.flows.said import Lens, own_name
from fhir_adapter.plan import identity
from fhir_adapter.store import conflicts, journal, plans
from fhir_adapter.store import persons as pairs
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3


def move(hub: Hub, plan_id: str, new: str | Said, party: Party, reason: str) -> str:
    """The plan is about `new` (`Patient/id`, or as a delivery says) from now on; whom it was about before is returned.

    What is known of the person by the plan goes from the record that it was about: where no other plan is about that
    one, nothing is left in it. Raises NotFound where there is no such plan, or `new` neither is here nor came with it.
    """

    def work(connection: sqlite3.Connection) -> str:
        plan, old = plans.get(connection, plan_id), change.person_of(connection, plan_id)
        if plan is None or old is None:
            raise NotFound(f"CarePlan/{plan_id}: there is no such plan here")
        said = said_in(pairs.get(connection, old, new)) if isinstance(new, str) else new
        named = new if isinstance(new, str) else reference_of(new.person)
        name = _its_record(connection, hub, plan, named)
        if name == old:
            raise Conflict(f"CarePlan/{plan.id} is about {old} already")
        deed = persons.enter(connection, hub, party, reason, {"move": [plan_id, old, name]})
        wrongly_said = _said_of(connection, hub, plan, old)
        _rewrite(connection, hub, plan, old, name, said, deed)
        others = [one for one in plans.plans_beside(connection, plan_id, old) if _is_about(connection, one, old)]
        if others and wrongly_said:
            _say_again(connection, hub, others[-1], wrongly_said, deed)
        if pairs.get(connection, old, named):
            persons.decide(connection, hub, old, named, "apart", deed, None)
        return old

    old = hub.database.write(work)
    hub.changed()
    return old


def _its_record(connection: sqlite3.Connection, hub: Hub, plan: Plan, new: str) -> str:
    """The record of `new` that the plan's party has, or is to get."""
    is_its_own = is_at_home_with(connection, new, plan.party)
    return remaining_for(connection, new if is_its_own else own_name(hub.namespace, plan.source, new))


def _rewrite(
    connection: sqlite3.Connection, hub: Hub, plan: Plan, old: str, new: str, said: Said | None, deed: Deed
) -> None:
    """What pointed to the old record in the plan points to the new one; what only this plan told goes with it."""
    found, here = change.load(connection, plan), person_here(connection, new)
    is_alone = persons.plans_about(connection, old) == (plan.id,)
    changed = identity.repointed(found, old, new)
    if here is None or identity.is_nobody(here):
        changed[new] = _as_it_came(new, said, found[old] if is_alone else {}) | {"id": id_of(new)}
    if here and new not in found:
        plans.add_guests(connection, plan.id, [new])
    if is_alone:
        changed[old] = {"resourceType": "Patient", "id": id_of(old)}
        conflicts.repoint(connection, plan.id, old, new)
    persons.save(connection, hub, plan.id, [*changed.values()], deed)
    persons.queue(connection, hub, plan.id, deed.now)


def as_delivered(hub: Hub, plan_id: str, key: str) -> Said:
    """The person of the record that the plan's party sent under this key, also if it was refused. Raises NotFound."""
    connection = hub.database.read()
    plan = plans.get(connection, plan_id)
    entry = journal.by_key(connection, plan.party, key) if plan else None
    if plan is None or entry is None:
        raise NotFound(f"CarePlan/{plan_id}: there is no such plan here, or its party sent nothing under that key")
    lens = _lens(hub, plan, hub.party(plan.party))
    said = {reference_of(one): one for one in lens.get(lens.mapping.record_in(entry.body)).resources}
    name = identity.person_in(said.get(f"CarePlan/{plan_id}", {}), "subject")
    if name not in said:
        raise NotFound(f"CarePlan/{plan_id}: what its party sent under that key is another record")
    return Said(plan_id, said[name])


def _as_it_came(new: str, said: Said | None, known: Resource) -> Resource:
    """What is known of the plan's person, with the numbers that came; `known`: the record so far, if it was alone."""
    if said is None:
        raise NotFound(f"{new}: there is no such person here, and no record of this plan came with that number")
    kept = {name: value for name, value in known.items() if name != "link"}  # whom the other one was joined with
    return kept | {"identifier": said.person["identifier"]} if kept else said.person


def _is_about(connection: sqlite3.Connection, plan: Plan, person: str) -> bool:
    return change.person_of(connection, plan.id) == person


def _said_of(connection: sqlite3.Connection, hub: Hub, plan: Plan, person: str) -> Resource | None:
    """What the plan's party said last of the person with this plan."""
    party = hub.parties.get(plan.party)
    if party is None or party.mapping is None:
        return None
    return said_with(connection, party, _lens(hub, plan, party), NO_READINGS, plan).get(person)


def _lens(hub: Hub, plan: Plan, party: Party) -> Lens:
    return Lens(hub.mapping_of(party), plan.source, hub.namespace)


def _say_again(connection: sqlite3.Connection, hub: Hub, plan: Plan, wrong: Resource, deed: Deed) -> None:
    """Another plan of the person says again what the wrong one wrote over; others' edits stay, or are asked about."""
    name, party = reference_of(wrong), hub.parties[plan.party]
    right = _said_of(connection, hub, plan, name)
    if right is None:
        return
    arrival = change.Arrival(party, deed.entry, [{name: wrong}], {name: right}, partial=True, exact=True)
    change.apply(connection, hub, plan, change.load(connection, plan), arrival, deed.now)
