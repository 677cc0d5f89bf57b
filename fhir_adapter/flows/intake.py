"""One version that a FHIR party made: settled if it is our own coming back, else journaled, and merged or parked."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

import structlog

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import Unavailable
from fhir_adapter.fhir.resources import Resource, dump_json
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import change, conflict_tasks, history
from fhir_adapter.flows.arrivals import arrival_of, tasks_to_come
from fhir_adapter.flows.belonging import plan_for, plan_of
from fhir_adapter.flows.deletions import tell_again
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.incoming import Incoming, as_meant, incoming_of
from fhir_adapter.flows.naming import names_in, names_to_ours, write_id_of
from fhir_adapter.flows.news import News
from fhir_adapter.flows.parking import NOT_SHOWN, give_way, leave_alone, park, reason_to_park, stand_in_the_way
from fhir_adapter.flows.pull import LETS_ITSELF_IN, LetsItselfIn, decision_for
from fhir_adapter.plan.merge import Refs
from fhir_adapter.remotes.client import RemoteVersion
from fhir_adapter.store import copies, journal, outbox, plans, resources
from fhir_adapter.store.database import attempt
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3

log = structlog.get_logger()


def take_in_or_park(connection: sqlite3.Connection, hub: Hub, party: Party, version: RemoteVersion, news: News) -> bool:
    """Whether the version counted. One that cannot be taken in does not hold up those beside it: it is parked."""
    try:
        with attempt(connection):
            return _take_in(connection, hub, party, version, news)
    except Unavailable:
        raise
    except Exception as fault:  # noqa: BLE001 - whatever it is, it is this version's
        if journal.by_key(connection, party.name, history.key_of(version)):
            return False  # it failed at an earlier look and is parked already
        entry = _enter(connection, party, version, version.resource or {}, hub.now())
        journal.close(connection, entry, "parked", receipt=type(fault).__name__)
        leave_alone(connection, party, version)
        log.error("version parked", party=party.name, type=version.type, problem=type(fault).__name__)
        return True


def _take_in(connection: sqlite3.Connection, hub: Hub, party: Party, version: RemoteVersion, news: News) -> bool:
    copy = copies.by_remote(connection, party.name, version.type, version.id)
    if copy and (history.is_at(copy, version) or (copy.is_theirs and not version.deleted)):
        return False
    incoming = incoming_of(connection, hub, party, version, copy)
    if history.is_known(connection, party, incoming.id, version):
        _go_on_from(connection, party, incoming, news)
        return False
    if _is_our_own(connection, hub, party, incoming):
        return False
    now = hub.now()
    entry = _enter(connection, party, version, incoming.theirs, now)
    ours = names_to_ours(connection, hub, party)
    plan = plan_for(connection, version, incoming.theirs, news.versions, ours)
    incoming = as_meant(connection, hub, party, incoming, plan)
    problem = reason_to_park(connection, incoming, plan, news.versions, ours)
    if plan is None or problem:
        journal.close(connection, entry, "parked", plan=plan.id if plan else None, receipt=problem)
        park(connection, party, incoming)
        log.warning("version parked", party=party.name, type=version.type, version=version.version, problem=problem)
    elif version.deleted and not (incoming.is_shared or incoming.stands_for_ours):
        journal.close(connection, entry, "unchanged", plan=plan.id)
        give_way(connection, party, incoming, plan, now)
    elif version.deleted and news.deletions_are_undone:
        journal.close(connection, entry, "unchanged", plan=plan.id)
        _undo(connection, party, incoming, now)
    else:
        tasks = tasks_to_come(incoming.theirs, news.versions, ours)
        _merge_or_park(connection, hub, party, incoming, entry, plan, tasks)
    for other in _others_it_stood_for(connection, party, incoming):
        home = plan_of(connection, version.type, other.id, {})
        if news.deletions_are_undone:
            _undo(connection, party, other, now)
        elif home:
            _merge(connection, hub, party, other, entry, home, {})
    return True


def _others_it_stood_for(connection: sqlite3.Connection, party: Party, incoming: Incoming) -> list[Incoming]:
    """Whom else of ours the party's own resource stood for that it deleted: each is its own party's to be asked about.

    Whom the party joined with somebody has a record there.
    """
    version, name = incoming.version, party.name
    is_several = version.deleted and incoming.stands_for_ours
    found = copies.named(connection, name, version.type, version.id) if is_several else []
    others = [copy for copy in found if copy.is_theirs and copy.id != incoming.id]
    return [
        replace(incoming, id=copy.id, copy=copy)
        for copy in others
        if not copies.is_joined(connection, name, copy.type, copy.id)
    ]


def _undo(connection: sqlite3.Connection, party: Party, incoming: Incoming, now: datetime) -> None:
    """What was deleted there is nobody's removal: with no question about it, it is given again."""
    copy = incoming.as_copy(None)
    copies.save(connection, party.name, copy)
    tell_again(connection, party, copy, now)


def _merge_or_park(
    connection: sqlite3.Connection, hub: Hub, party: Party, incoming: Incoming, entry: int, plan: Plan, beside: Refs
) -> None:
    """Parked is what would let its party in, where it may not see the plan."""
    may_see = decision_for(connection, hub, party, plan, change.load(connection, plan)).permit
    try:
        with attempt(connection):
            applied = _merge(connection, hub, party, incoming, entry, plan, beside)
            if not may_see and decision_for(connection, hub, party, applied.plan, applied.found).permit:
                raise LetsItselfIn
    except LetsItselfIn:
        journal.close(connection, entry, "parked", plan=plan.id, receipt=LETS_ITSELF_IN)
        park(connection, party, incoming)
        log.warning("version parked", party=party.name, type=incoming.version.type, problem=LETS_ITSELF_IN)
    else:
        journal.close(connection, entry, "applied" if applied.changed else "unchanged", plan=plan.id)


def _go_on_from(connection: sqlite3.Connection, party: Party, incoming: Incoming, news: News) -> None:
    """A version that was here before: taken in, parked, or settled by whoever wrote it since this look.

    If it came after what we know of the party, that is where it is now; what was sent last is to be compared anew.
    """
    version, copy = incoming.version, incoming.copy
    told = news.told.get((version.type, version.id))
    if copy and told and told.leads_on(copy, version):
        copies.save(connection, party.name, incoming.as_copy(None if version.deleted else 0))
    elif not (incoming.is_shared or version.deleted):
        stand_in_the_way(connection, party, incoming)


def _is_our_own(connection: sqlite3.Connection, hub: Hub, party: Party, incoming: Incoming) -> bool:
    """A write of ours that nobody has seen there yet: it arrived with all its parts."""
    version, id_ = incoming.version, incoming.id
    unseen = copies.unseen_writes_of(connection, party.name, version.type, id_)
    write_id = write_id_of(version.resource)
    if write_id not in unseen:
        return False
    copies.save(connection, party.name, incoming.as_copy(unseen[write_id]))
    copies.note_arrival(connection, write_id, version.type, id_, version.version)
    copies.note_that_it_arrived(connection, write_id)
    for plan_id in plans.plans_of(connection, version.type, id_):  # it may have come late, over a newer one
        outbox.queue(connection, plan_id, party.name, instant(hub.now()))
    return True


def _merge(
    connection: sqlite3.Connection, hub: Hub, party: Party, incoming: Incoming, entry: int, plan: Plan, beside: Refs
) -> change.Applied:
    """`beside`: what comes with it."""
    now, before = hub.now(), change.load(connection, plan)
    if conflict_tasks.is_a_question(incoming.theirs, before):
        applied = conflict_tasks.take_answer(connection, hub, party, plan, before, incoming.theirs, entry, now)
    else:
        base = before.get(f"{incoming.version.type}/{incoming.id}") if incoming.stands_for_ours else incoming.known
        arrival = arrival_of(party, entry, plan, incoming.said, base, before | beside)
        applied = change.apply(connection, hub, plan, before, arrival, now)
    copies.save(connection, party.name, incoming.as_copy(_sent(connection, incoming)))
    for other in _sent_without_it(hub, party, incoming, before):
        copies.compare_again(connection, other.name, plan.id)
    outbox.queue(connection, plan.id, party.name, instant(now))
    return applied


def _sent_without_it(hub: Hub, party: Party, incoming: Incoming, before: Refs) -> Sequence[Party]:
    """Who was sent the plan without pointers to this, and may have them now: it was deleted there, or not here yet."""
    if incoming.copy and incoming.copy.is_deleted:
        return [party]
    name = f"{incoming.version.type}/{incoming.id}"
    is_missed = name not in before and any(name in names_in(one) for one in before.values())
    return hub.fhir_parties if is_missed else ()


def _sent(connection: sqlite3.Connection, incoming: Incoming) -> int | None:
    """Which version of ours the party has with it: none where it says something else and is to hear the plan's word.

    None: it was deleted there, and is not written again by itself.
    """
    if incoming.version.deleted:
        return None
    current = resources.read(connection, incoming.version.type, incoming.id)
    is_the_same = current and change.as_saved(current.body) == incoming.theirs
    return current.seq if current and is_the_same else 0


def _enter(connection: sqlite3.Connection, party: Party, version: RemoteVersion, body: Resource, now: datetime) -> int:
    return journal.enter(
        connection,
        party=party.name,
        key=history.key_of(version),
        media_type="application/fhir+json",
        body=dump_json(body),
        received=instant(now),
    )


def take_in_again(
    connection: sqlite3.Connection, hub: Hub, party: Party, version: RemoteVersion, entry: int
) -> str | None:
    """A parked version goes through the merge after all, as what the party says; or why it still may not."""
    copy = copies.by_remote(connection, party.name, version.type, version.id)
    incoming = incoming_of(connection, hub, party, version, copy)
    if copy and incoming.is_shared and not history.is_at(copy, version):
        return "a newer version of it has been taken in since"
    plan = plan_of(connection, version.type, incoming.id, incoming.theirs)
    incoming = as_meant(connection, hub, party, incoming, plan)
    problem = reason_to_park(connection, incoming, plan, (), names_to_ours(connection, hub, party))
    if plan is None or (problem and problem != NOT_SHOWN):
        return problem
    _merge(connection, hub, party, incoming, entry, plan, {})
    return None


def leave_aside(connection: sqlite3.Connection, hub: Hub, party: Party, version: RemoteVersion) -> None:
    """A parked version is dropped: what the plan has is to be written over it, unless something newer came since."""
    copy = copies.by_remote(connection, party.name, version.type, version.id)
    if copy is None or not (copy.is_only_a_name or history.is_at(copy, version)):
        return
    incoming = incoming_of(connection, hub, party, version, copy)
    left = incoming.as_copy(0)
    copies.save(connection, party.name, left if incoming.is_shared else replace(left, body=b"{}"))
    for plan in plans.plans_of(connection, version.type, incoming.id):
        outbox.queue(connection, plan, party.name, instant(hub.now()))
