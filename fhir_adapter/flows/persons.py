"""Two records of one person: asked about, joined, parted again; a protected identity is never linked.

Who holds plans of both is nobody's to know but the keeper's (decision 7): a party is neither asked nor told here.
docs/persons.md tells the story.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any
from uuid import uuid5

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import Conflict, NotFound
from fhir_adapter.fhir.resources import Resource, dump_json, parse_json, reference_of
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import change
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.known_persons import Said, close_task, id_of, person_here, required_person, said_in
from fhir_adapter.plan import identity
from fhir_adapter.plan.changes import provenance
from fhir_adapter.plan.identity import Joining, Pointer
from fhir_adapter.plan.merge import Refs
from fhir_adapter.store import copies, journal, outbox, persons, plans, resources
from fhir_adapter.store.persons import Pair

if TYPE_CHECKING:
    import sqlite3

ONE_NUMBER = "one-number"
"""Why two records are asked about that have a number in common: looked for when they are listed."""


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
    found = [one for pair in wanted if (one := _listed(connection, pair))]
    return [one for one in found if one.pair.why != ONE_NUMBER or not _are_of_two_parties(connection, one)]


def _are_of_two_parties(connection: sqlite3.Connection, one: Listed) -> bool:
    """Whether they are the records that two parties have of one person (decision 36): there is nothing to ask."""
    homes = (plans.get(connection, _home_of(connection, reference_of(record))) for record in (one.old, one.new))
    parties = {home.party for home in homes if home}
    return len(parties) == 2 and identity.have_one_number_now(one.old, one.new) and not one.are_born_apart


def _listed(connection: sqlite3.Connection, pair: Pair) -> Listed | None:
    said = said_in(pair)
    old, new = (person_here(connection, name, said) for name in (pair.old, pair.new))
    if old is None or new is None or identity.is_protected(old) or identity.is_protected(new):
        return None
    return Listed(pair, old, new, plans_about(connection, pair.old), plans_about(connection, pair.new))


# --- deciding ----------------------------------------------------------------------------------------------------


def join(hub: Hub, old: str, new: str, party: Party, reason: str) -> None:
    """The two are one person: whatever is about `old` is about `new` from now on.

    Raises NotFound, Refused for a protected identity, and Conflict where one of them was given up before.
    """

    def work(connection: sqlite3.Connection) -> None:
        for name in (old, new):
            _check_stands_for_itself(connection, name)
        said = said_in(persons.get(connection, old, new) or persons.get(connection, new, old))
        given_up, remaining, joining = identity.join(*(required_person(connection, name, said) for name in (old, new)))
        deed = enter(connection, hub, party, reason, {"join": [old, new]})
        about = plans_about(connection, old)
        pointers = {plan_id: identity.pointers_to(_plan(connection, plan_id), new) for plan_id in about}
        records = [(_home_of(connection, reference_of(one), said), one) for one in (given_up, remaining)]
        _rewrite(connection, hub, deed, records, (old, new), dict.fromkeys(about, ()))
        for plan_id in about:
            if new not in _plan(connection, plan_id):
                plans.add_guests(connection, plan_id, [new])
        done = Done(joining, pointers, _hand_over(connection, hub, old, new))
        decide(connection, hub, old, new, "joined", deed, done.as_json())

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
        parted = identity.part(required_person(connection, old), required_person(connection, new), done.joining)
        deed = enter(connection, hub, party, reason, {"undo": [old, new]})
        records = [(_home_of(connection, reference_of(one)), one) for one in parted]
        _rewrite(connection, hub, deed, records, (new, old), done.pointers)
        for name in done.parties:
            copies.hand_over(connection, name, "Patient", id_of(new), id_of(old))
        decide(connection, hub, old, new, "apart", deed, pair.done)

    hub.database.write(work)
    hub.changed()


def keep_apart(hub: Hub, old: str, new: str, party: Party, reason: str) -> None:
    """They are two persons: nobody is asked again. Raises NotFound, and Conflict where they are joined."""

    def work(connection: sqlite3.Connection) -> None:
        known = persons.get(connection, old, new)
        if known and known.state == "joined":
            raise Conflict("these two are joined: undo that first")
        for name in (old, new):
            required_person(connection, name, said_in(known))
        deed = enter(connection, hub, party, reason, {"apart": [old, new]})
        decide(connection, hub, old, new, "apart", deed, None)

    hub.database.write(work)


def _rewrite(
    connection: sqlite3.Connection,
    hub: Hub,
    deed: Deed,
    records: Sequence[tuple[str, Resource]],
    names: tuple[str, str],
    but: Mapping[str, tuple[Pointer, ...]],
) -> None:
    """Save both records where they are at home; in each plan of `but`, what points to the first of the names points to
    the second from now on, except for those pointers."""
    homes: dict[str, list[Resource]] = {plan_id: [] for plan_id in but}
    for home, record in records:
        homes.setdefault(home, []).append(record)
    for plan_id, own in homes.items():
        changed = identity.repointed(_plan(connection, plan_id), *names, but[plan_id]) if plan_id in but else {}
        save(connection, hub, plan_id, [*changed.values(), *own], deed)
    for name in names:
        for plan_id in plans.plans_of(connection, "Patient", id_of(name)):
            queue(connection, hub, plan_id, deed.now)


def save(connection: sqlite3.Connection, hub: Hub, plan_id: str, changed: list[Resource], deed: Deed) -> None:
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


def queue(connection: sqlite3.Connection, hub: Hub, plan_id: str, now: datetime) -> None:
    """Have every FHIR party brought up to date with the plan."""
    for party in hub.fhir_parties:
        outbox.queue(connection, plan_id, party.name, instant(now))


def _hand_over(connection: sqlite3.Connection, hub: Hub, old: str, new: str) -> tuple[str, ...]:
    """Where a party has a record of its own for the old one, that one stands for the new one."""
    names = [party.name for party in hub.fhir_parties]
    return tuple(name for name in names if copies.hand_over(connection, name, "Patient", id_of(old), id_of(new)))


def enter(connection: sqlite3.Connection, hub: Hub, party: Party, reason: str, what: dict[str, Any]) -> Deed:
    """Write a decision about persons down; `what` tells which, without their data."""
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


def decide(
    connection: sqlite3.Connection, hub: Hub, old: str, new: str, state: str, deed: Deed, done: bytes | None
) -> None:
    """What the two are from now on; nobody needs to look any more. `done`: what joining did."""
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
        close_task(connection, hub, one, other, "completed")


# --- looking up --------------------------------------------------------------------------------------------------


def _home_of(connection: sqlite3.Connection, name: str, said: Said | None = None) -> str:
    home = resources.home_plan_of(connection, "Patient", id_of(name))
    return home or (said.plan if said else "")


def _plan(connection: sqlite3.Connection, plan_id: str) -> Refs:
    return change.as_refs(plans.members(connection, plan_id))


def plans_about(connection: sqlite3.Connection, name: str) -> tuple[str, ...]:
    """Ids of the plans whose person this record is."""
    found = dict.fromkeys(plans.plans_of(connection, "Patient", id_of(name)))
    return tuple(plan_id for plan_id in found if change.person_of(connection, plan_id) == name)


def _check_stands_for_itself(connection: sqlite3.Connection, name: str) -> None:
    other = persons.replaced_by(connection, name)
    if other:
        raise Conflict(f"{name} was given up for {other}: undo that first, or name that one")
