"""How a person is known here: which record stands for whom, and the question whether two records are of one person.

Who holds plans of both is nobody's to know but the keeper's (decision 7): a party is neither asked nor told here.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Literal
from uuid import uuid5

import structlog

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import NotFound
from fhir_adapter.fhir.resources import Resource, dump_json, parse_json, reference_of, rewrite_references
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import change
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.said import ON_ITS_OWN, Lens
from fhir_adapter.plan import attention, identity
from fhir_adapter.plan.merge import Refs
from fhir_adapter.store import persons, plans, resources
from fhir_adapter.store.persons import Pair
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3

Why = Literal["another-number", "two-birth-dates", "joined-there", "moved-there"]

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Said:
    """A person's record that is not here (yet), and the plan that it came with."""

    plan: str
    person: Resource


def ask(
    connection: sqlite3.Connection, hub: Hub, old: str, new: str, why: Why, party: Party, said: Said | None = None
) -> None:
    """Have somebody look whether two records are one person's. `said`: the one of them that is not here.

    Nothing is asked about a protected identity (the question alone would link it), nor what was decided before.
    """
    found = [person_here(connection, name, said) for name in (old, new)]
    if old == new or any(person is None or identity.is_protected(person) for person in found):
        return
    known = persons.get(connection, old, new)
    if known and known.state != "open":
        return
    now = hub.now()
    kept = dump_json(asdict(said)) if said else None
    persons.ask(connection, Pair(old, new, "open", why, party.name, instant(now), said=kept))
    task = attention.task(
        "one-person",
        id=_task_id(hub, old, new),
        about=None,
        owner=party.reference,
        said={"party": party.name, "problem": why, "person": f"{old} {new}"},
        now=now,
    )
    resources.save(connection, task, now=now)
    log.warning("two records of one person?", party=party.name, why=why)


def withdraw(connection: sqlite3.Connection, hub: Hub, old: str, new: str, why: Why) -> None:
    """The reason to ask is gone."""
    if persons.withdraw(connection, old, new, why):
        close_task(connection, hub, old, new, "cancelled")


def as_known_here(connection: sqlite3.Connection, hub: Hub, party: Party, lens: Lens, said: Refs, plan: Plan) -> Refs:
    """What is said of a new plan, about the person as known here.

    Whom another party brought first has a record of this party's, so that each shows its readers what it says itself
    (decision 36); one that was given up for another is that one. Who has the number of a person with another birth date
    gets a record of its own until somebody has looked. The sender is not told, for it may not learn that there is
    another.
    """
    plan_ref = f"CarePlan/{plan.id}"
    name = str(said[plan_ref].get("subject", {}).get("reference"))
    known = person_here(connection, name) if name in said else None
    if known is None:
        return said
    its_own = name if is_at_home_with(connection, name, party.name) else lens.own_name(name)
    remaining = remaining_for(connection, its_own)
    if remaining != its_own:
        here = {plan_ref: {"subject": {"reference": remaining}}, remaining: required_person(connection, remaining)}
        return identity.as_the_known_person(said, here, plan_ref)
    for one in dict.fromkeys((name, its_own)):
        if (there := person_here(connection, one)) and identity.are_born_apart(there, said[name]):
            new = f"Patient/{uuid5(hub.namespace, f'{plan_ref}|{name}')}"
            apart = identity.under_the_name(said, name, new)
            ask(connection, hub, new, one, "two-birth-dates", party, Said(plan.id, apart[new]))
            return apart
    return identity.under_the_name(said, name, its_own)


def others_as_known_here(connection: sqlite3.Connection, lens: Lens, said: Refs, plan: Plan, ours: Refs) -> Refs:
    """The same for relatives and staff: whom another party brought has a record of this plan's party."""
    new = [name for name in said if name not in ours and name.partition("/")[0] in ON_ITS_OWN]
    for name in new:
        if not is_at_home_with(connection, name, plan.party):
            said = identity.under_the_name(said, name, lens.own_name(name))
    return said


def is_at_home_with(connection: sqlite3.Connection, name: str, party: str) -> bool:
    """Whether the party of this name brought the person's record, or would as the first one."""
    type_, _, id_ = name.partition("/")
    home_id = resources.home_plan_of(connection, type_, id_)
    home = plans.get(connection, home_id) if home_id else None
    return home is None or home.party == party


def remaining_for(connection: sqlite3.Connection, name: str) -> str:
    """The record that stands for this person: its own, or the one it was given up for."""
    while other := persons.replaced_by(connection, name):
        name = other
    return name


def about_the_remaining(connection: sqlite3.Connection, resource: Resource) -> Resource:
    """The resource with pointers to persons who were given up here leading to those who stand for them."""

    def rename(name: str) -> str:
        return remaining_for(connection, name) if name.startswith("Patient/") else name

    renamed: Resource = rewrite_references(resource, rename)
    return renamed


def plans_beside(connection: sqlite3.Connection, plan_id: str, found: Refs) -> list[Refs]:
    """The other plans of a person for whom another record was given up: what they refuse is refused here, too."""
    person = found.get(f"CarePlan/{plan_id}", {}).get("subject", {}).get("reference", "")
    others = persons.plans_of_joined(connection, person)
    return [change.as_refs(plans.members(connection, other)) for other in dict.fromkeys(others) if other != plan_id]


def person_here(connection: sqlite3.Connection, name: str, said: Said | None = None) -> Resource | None:
    """The record `Patient/id` as it is here, else as it was said."""
    stored = resources.read(connection, "Patient", id_of(name)) if name.startswith("Patient/") else None
    if stored and not stored.deleted:
        return change.as_saved(stored.body)
    return said.person if said and reference_of(said.person) == name else None


def required_person(connection: sqlite3.Connection, name: str, said: Said | None = None) -> Resource:
    """The same. Raises NotFound."""
    person = person_here(connection, name, said)
    if person is None:
        raise NotFound(f"{name}: there is no such person here")
    return person


def said_in(pair: Pair | None) -> Said | None:
    """What was kept of a record that is not here."""
    return Said(**parse_json(pair.said)) if pair and pair.said else None


def id_of(name: str) -> str:
    """The id in `Patient/id`."""
    return name.partition("/")[2]


def _task_id(hub: Hub, old: str, new: str) -> str:
    return str(uuid5(hub.namespace, f"one person|{old}|{new}"))


def close_task(connection: sqlite3.Connection, hub: Hub, old: str, new: str, status: str) -> None:
    """Nobody needs to look any more."""
    stored = resources.read(connection, "Task", _task_id(hub, old, new))
    if stored and not stored.deleted:
        resources.save(connection, attention.closed(stored.body, status, None), now=hub.now())
