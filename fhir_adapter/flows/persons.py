"""Two records of one person: asked about, joined, parted again; a protected identity is never linked.

Who holds plans of both is nobody's to know but the keeper's (decision 7): a party is neither asked nor told here.
docs/persons.md tells the story.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal
from uuid import uuid5

import structlog

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import Conflict, NotFound
from fhir_adapter.fhir.resources import Resource, dump_json, parse_json, reference_of, rewrite_references
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import change
from fhir_adapter.flows.hub import Hub
from fhir_adapter.plan import attention, identity
from fhir_adapter.plan.changes import provenance
from fhir_adapter.plan.identity import Joining, Pointer
from fhir_adapter.plan.merge import Refs
from fhir_adapter.store import copies, journal, outbox, persons, plans, resources
from fhir_adapter.store.persons import Pair

if TYPE_CHECKING:
    import sqlite3

Why = Literal["another-number", "two-birth-dates", "joined-there", "moved-there"]

ONE_NUMBER = "one-number"
"""Why two records are asked about that have a number in common: looked for when they are listed."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Said:
    """A person's record that is not here (yet), and the plan that it came with."""

    plan: str
    person: Resource


@dataclass(frozen=True, slots=True)
class Listed:
    """Two records, and the plans about each. The records are personal data."""

    pair: Pair
    old: Resource
    new: Resource
    plans_of_old: tuple[str, ...]
    plans_of_new: tuple[str, ...]

    @property
    def are_born_apart(self) -> bool:
        """Whether their days of birth cannot be one."""
        return identity.are_born_apart(self.old, self.new)


@dataclass(frozen=True, slots=True)
class Done:
    """What a joining did: enough to undo it.

    `pointers`: the plans that were about the old record, each with what pointed to the new one before. `parties`:
    whose own name for the old one the new one took over.
    """

    joining: Joining
    pointers: Mapping[str, tuple[Pointer, ...]]
    parties: tuple[str, ...]

    def as_json(self) -> bytes:
        """As the store keeps it."""
        return dump_json(asdict(self))

    @classmethod
    def of_json(cls, raw: bytes) -> Done:
        """What `as_json` wrote."""
        found = parse_json(raw)
        joining = Joining(tuple(found["joining"]["numbers"]), found["joining"]["active"])
        pointers = {plan: tuple((ref, path) for ref, path in some) for plan, some in found["pointers"].items()}
        return cls(joining, pointers, tuple(found["parties"]))


@dataclass(frozen=True, slots=True)
class Deed:
    """One decision: who made it and why, when, and the journal entry that holds it."""

    party: Party
    reason: str
    now: datetime
    entry: int


# --- asking ------------------------------------------------------------------------------------------------------


def ask(
    connection: sqlite3.Connection, hub: Hub, old: str, new: str, why: Why, party: Party, said: Said | None = None
) -> None:
    """Have somebody look whether two records are one person's. `said`: the one of them that is not here.

    Nothing is asked about a protected identity (the question alone would link it), nor what was decided before.
    """
    found = [_person(connection, name, said) for name in (old, new)]
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
        _close_task(connection, hub, old, new, "cancelled")


def listed(hub: Hub, *, also_decided: bool = False) -> list[Listed]:
    """The pairs that somebody has to look at, oldest first; with `also_decided` those that were decided, too."""
    connection = hub.database.read()
    known = persons.known_pairs(connection)
    names = {frozenset((pair.old, pair.new)) for pair in known}
    by_number = (
        Pair(old, new, "open", ONE_NUMBER, "", "")
        for old, new in persons.with_one_number(connection)
        if frozenset((old, new)) not in names
    )
    wanted = (pair for pair in (*known, *by_number) if also_decided or pair.state == "open")
    return [one for pair in wanted if (one := _listed(connection, pair))]


def _listed(connection: sqlite3.Connection, pair: Pair) -> Listed | None:
    said = _said_in(pair)
    old, new = (_person(connection, name, said) for name in (pair.old, pair.new))
    if old is None or new is None or identity.is_protected(old) or identity.is_protected(new):
        return None
    return Listed(pair, old, new, _plans_about(connection, pair.old), _plans_about(connection, pair.new))


# --- deciding ----------------------------------------------------------------------------------------------------


def join(hub: Hub, old: str, new: str, party: Party, reason: str) -> None:
    """The two are one person: whatever is about `old` is about `new` from now on.

    Raises NotFound, Refused for a protected identity, and Conflict where one of them was given up before.
    """

    def work(connection: sqlite3.Connection) -> None:
        for name in (old, new):
            _check_stands_for_itself(connection, name)
        said = _said_in(persons.get(connection, old, new))
        given_up, remaining, joining = identity.join(*(_required(connection, name, said) for name in (old, new)))
        deed = _enter(connection, hub, party, reason, {"join": [old, new]})
        about = _plans_about(connection, old)
        pointers = {plan_id: identity.pointers_to(_plan(connection, plan_id), new) for plan_id in about}
        records = [(_home_of(connection, reference_of(one), said), one) for one in (given_up, remaining)]
        _rewrite(connection, hub, deed, about, records, lambda plan, _: identity.repointed(plan, old, new))
        for plan_id in about:
            if new not in _plan(connection, plan_id):
                plans.add_guests(connection, plan_id, [new])
        done = Done(joining, pointers, _hand_over(connection, hub, old, new))
        _decide(connection, hub, old, new, "joined", deed, done.as_json())

    hub.database.write(work)
    hub.changed()


def undo(hub: Hub, old: str, new: str, party: Party, reason: str) -> None:
    """They are two persons after all. Raises NotFound where they were not joined, Conflict where `new` was given up."""

    def work(connection: sqlite3.Connection) -> None:
        pair = persons.get(connection, old, new)
        if pair is None or pair.state != "joined" or pair.done is None:
            raise NotFound("these two are not joined")
        _check_stands_for_itself(connection, new)
        done = Done.of_json(pair.done)
        parted = identity.part(_required(connection, old), _required(connection, new), done.joining)
        deed = _enter(connection, hub, party, reason, {"undo": [old, new]})
        records = [(_home_of(connection, reference_of(one)), one) for one in parted]
        _rewrite(
            connection,
            hub,
            deed,
            done.pointers,
            records,
            lambda plan, plan_id: identity.repointed(plan, new, old, done.pointers[plan_id]),
        )
        for name in done.parties:
            copies.hand_over(connection, name, "Patient", _id(new), _id(old))
        _decide(connection, hub, old, new, "apart", deed, pair.done)

    hub.database.write(work)
    hub.changed()


def keep_apart(hub: Hub, old: str, new: str, party: Party, reason: str) -> None:
    """They are two persons: nobody is asked again. Raises NotFound, and Conflict where they are joined."""

    def work(connection: sqlite3.Connection) -> None:
        known = persons.get(connection, old, new)
        if known and known.state == "joined":
            raise Conflict("these two are joined: undo that first")
        for name in (old, new):
            _required(connection, name, _said_in(known))
        deed = _enter(connection, hub, party, reason, {"apart": [old, new]})
        _decide(connection, hub, old, new, "apart", deed, None)

    hub.database.write(work)


def _rewrite(
    connection: sqlite3.Connection,
    hub: Hub,
    deed: Deed,
    about: Iterable[str],
    records: Iterable[tuple[str, Resource]],
    repoint: Callable[[Refs, str], Refs],
) -> None:
    """Save both records where they are at home, and what points elsewhere by now in the plans about the old one."""
    homes: dict[str, list[Resource]] = {plan_id: [] for plan_id in about}
    repointing = set(homes)
    for home, record in records:
        homes.setdefault(home, []).append(record)
    for plan_id, own in homes.items():
        changed = repoint(_plan(connection, plan_id), plan_id) if plan_id in repointing else {}
        _save(connection, hub, plan_id, [*changed.values(), *own], deed)
    for name in {reference_of(record) for _, record in records}:
        for plan_id in plans.plans_of(connection, "Patient", _id(name)):
            _queue(connection, hub, plan_id, deed.now)


def _save(connection: sqlite3.Connection, hub: Hub, plan_id: str, changed: list[Resource], deed: Deed) -> None:
    """The next version of a plan, with who decided so and why."""
    plan = plans.get(connection, plan_id)
    if plan is None or not changed:
        return
    names = [reference_of(one) for one in changed]
    id_ = str(uuid5(hub.namespace, f"provenance|{deed.party.name}|{deed.entry}|{plan_id}"))
    behind = provenance(names, id=id_, agent=deed.party.reference, recorded=deed.now)
    resources.save_all(connection, [*changed, behind], now=deed.now, plan=plan_id, owner=deed.party.name)
    plans.advance(connection, plan, party=deed.party.name, journal=deed.entry, at=instant(deed.now))
    change.audit(connection, hub, plan, deed.party, "U", deed.now, [deed.reason])


def _queue(connection: sqlite3.Connection, hub: Hub, plan_id: str, now: datetime) -> None:
    for party in hub.fhir_parties:
        outbox.queue(connection, plan_id, party.name, instant(now))


def _hand_over(connection: sqlite3.Connection, hub: Hub, old: str, new: str) -> tuple[str, ...]:
    """Where a party has a record of its own for the old one, that one stands for the new one."""
    names = [party.name for party in hub.fhir_parties]
    return tuple(name for name in names if copies.hand_over(connection, name, "Patient", _id(old), _id(new)))


def _enter(connection: sqlite3.Connection, hub: Hub, party: Party, reason: str, what: dict[str, Any]) -> Deed:
    now = hub.now()
    entry = journal.enter(
        connection,
        party=party.name,
        key=f"persons/{hub.new_id()}",
        media_type="application/json",
        body=dump_json(what | {"reason": reason}),
        received=instant(now),
    )
    journal.close(connection, entry, "applied")
    return Deed(party, reason, now, entry)


def _decide(
    connection: sqlite3.Connection, hub: Hub, old: str, new: str, state: str, deed: Deed, done: bytes | None
) -> None:
    persons.decide(
        connection,
        old,
        new,
        state,
        party=deed.party.name,
        at=instant(deed.now),
        reason=deed.reason,
        done=done,
    )
    for one, other in ((old, new), (new, old)):
        _close_task(connection, hub, one, other, "completed")


# --- what it means for others ------------------------------------------------------------------------------------


def as_known_here(connection: sqlite3.Connection, hub: Hub, party: Party, said: Refs, plan_ref: str) -> Refs:
    """What is said of a new plan, about the person as known here.

    Who was given up for another record is that one. Who has the number of a person with another birth date gets a
    record of its own until somebody has looked; the sender is not told, for it may not learn that there is another.
    """
    name = str(said[plan_ref].get("subject", {}).get("reference"))
    known = _person(connection, name) if name in said else None
    if known is None:
        return said
    remaining = remaining_for(connection, name)
    if remaining != name:
        there = {plan_ref: {"subject": {"reference": remaining}}, remaining: _required(connection, remaining)}
        return identity.as_the_known_person(said, there, plan_ref)
    if identity.are_born_apart(known, said[name]):
        own = f"Patient/{uuid5(hub.namespace, f'{plan_ref}|{name}')}"
        apart = identity.under_the_name(said, name, own)
        ask(connection, hub, own, name, "two-birth-dates", party, Said(_id(plan_ref), apart[own]))
        return apart
    return said


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
    return [_plan(connection, other) for other in dict.fromkeys(others) if other != plan_id]


# --- looking up --------------------------------------------------------------------------------------------------


def _person(connection: sqlite3.Connection, name: str, said: Said | None = None) -> Resource | None:
    stored = resources.read(connection, "Patient", _id(name)) if name.startswith("Patient/") else None
    if stored and not stored.deleted:
        return change.without_storage_meta(parse_json(stored.body))
    return said.person if said and reference_of(said.person) == name else None


def _required(connection: sqlite3.Connection, name: str, said: Said | None = None) -> Resource:
    person = _person(connection, name, said)
    if person is None:
        raise NotFound(f"{name}: there is no such person here")
    return person


def _said_in(pair: Pair | None) -> Said | None:
    return Said(**parse_json(pair.said)) if pair and pair.said else None


def _home_of(connection: sqlite3.Connection, name: str, said: Said | None = None) -> str:
    home = resources.home_plan_of(connection, "Patient", _id(name))
    return home or (said.plan if said else "")


def _plan(connection: sqlite3.Connection, plan_id: str) -> Refs:
    return change.as_refs(plans.members(connection, plan_id))


def _plans_about(connection: sqlite3.Connection, name: str) -> tuple[str, ...]:
    found = dict.fromkeys(plans.plans_of(connection, "Patient", _id(name)))
    return tuple(plan_id for plan_id in found if change.person_of(connection, plan_id) == name)


def _check_stands_for_itself(connection: sqlite3.Connection, name: str) -> None:
    other = persons.replaced_by(connection, name)
    if other:
        raise Conflict(f"{name} was given up for {other}: undo that first, or name that one")


def _id(name: str) -> str:
    return name.partition("/")[2]


def _task_id(hub: Hub, old: str, new: str) -> str:
    return str(uuid5(hub.namespace, f"one person|{old}|{new}"))


def _close_task(connection: sqlite3.Connection, hub: Hub, old: str, new: str, status: str) -> None:
    stored = resources.read(connection, "Task", _task_id(hub, old, new))
    if stored and not stored.deleted:
        resources.save(connection, attention.closed(stored.body, status, None), now=hub.now())
