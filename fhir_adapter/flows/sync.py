"""The sync story: keep a FHIR server the same as the shared plan, in both directions, through the one merge.

    deliver  claim -> what does it lack? -> note the write -> transaction with If-Match -> settle
    collect  what changed there? -> every version since the base -> journal -> merge -> move the watermark

Each arrow ends in a commit or is a remote call; a process that dies between any two of them loses nothing.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from fhir_adapter.access.identity import Party
from fhir_adapter.access.projection import project
from fhir_adapter.checks.validate import check_resource
from fhir_adapter.errors import RemoteConflict, RemoteError
from fhir_adapter.fhir.resources import (
    Resource,
    dump_json,
    parse_json,
    reference_of,
)
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import change, conflicts
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.naming import (
    Renaming,
    as_ours,
    as_sent,
    id_in,
    names_in,
    names_to_ours,
    names_to_theirs,
    write_id_of,
)
from fhir_adapter.flows.pull import decision_for
from fhir_adapter.plan.merge import Refs
from fhir_adapter.plan.steps import normalise
from fhir_adapter.remotes.client import Entry, RemoteVersion
from fhir_adapter.remotes.directory import find_by_identifier
from fhir_adapter.store import copies, journal, outbox, plans, resources
from fhir_adapter.store.copies import Copy, Written
from fhir_adapter.store.database import attempt
from fhir_adapter.store.outbox import Claim
from fhir_adapter.store.plans import Member, Plan

if TYPE_CHECKING:
    import sqlite3

LEASE = 120.0
"""Seconds that a worker may take over one delivery before another may take it over."""

OVERLAP = timedelta(seconds=5)
"""How far back of the watermark a history is read again: versions of transactions that ended late lie there."""

LONG_OVERLAP = timedelta(minutes=15)
"""The same for a look that also finds what was written while the other side's clock was behind."""

MATCHED_BY_IDENTIFIER = ("Patient", "Organization", "Practitioner")
"""What a FHIR server may know already: it is then pointed to and never written."""

SHARED = frozenset(
    {
        "CarePlan",
        "CareTeam",
        "Goal",
        "ServiceRequest",
        "Task",
        "Appointment",
        "Consent",
        "Condition",
        "Observation",
        "Encounter",
        "Communication",
        "DocumentReference",
    }
    | change.DIRECTORY
)
"""What may become part of a plan when it turns up at a FHIR server; records of who did what stay where they are."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One resource that the party lacks in this form: `seq` is our version, `copy` what it holds now."""

    resource: Resource
    seq: int
    copy: Copy | None


# --- deliver ---------------------------------------------------------------------------------------------------------


def deliver(hub: Hub, party: Party) -> int:
    """Work off the party's outbox rows that are due; returns how many plans were brought up to date."""
    done = 0
    while claim := hub.database.write(lambda connection: outbox.claim(connection, party.name, seconds=LEASE)):
        done += _deliver_claimed(hub, party, claim)
    return done


def _deliver_claimed(hub: Hub, party: Party, claim: Claim) -> bool:
    if claim.attempts > hub.delivery_attempts:  # counted at the claim: what kills its worker ends here, too
        _park(hub, claim, "tried too often")
        return False
    try:
        _bring_up_to_date(hub, party, claim.plan)
    except RemoteError as fault:
        _put_off(hub, claim, fault)
        return False
    except Exception as fault:  # noqa: BLE001 - one plan that cannot be sent must not hold up the others
        _put_off(hub, claim, RemoteError(type(fault).__name__))
        return False
    hub.database.write(lambda connection: outbox.finish(connection, claim))
    return True


def _put_off(hub: Hub, claim: Claim, fault: RemoteError) -> None:
    """Try again later, with growing random pauses; park what was refused or has been tried often enough."""
    problem = f"answered {fault.answered}" if fault.answered else str(fault)
    refused = fault.answered is not None and 400 <= fault.answered < 500 and fault.answered not in (408, 409, 412, 429)
    if claim.attempts >= (3 if refused else hub.delivery_attempts):
        _park(hub, claim, problem)
        return
    pause = fault.retry_after or random.uniform(0, min(300.0, 0.5 * 2**claim.attempts))  # noqa: S311 - jitter
    hub.database.write(lambda connection: outbox.postpone(connection, claim, seconds=pause, problem=problem))
    log.warning("delivery put off", party=claim.party, plan=claim.plan, problem=problem, seconds=round(pause, 1))


def _park(hub: Hub, claim: Claim, problem: str) -> None:
    hub.database.write(lambda connection: outbox.park(connection, claim, problem))
    log.error("delivery parked", party=claim.party, plan=claim.plan, problem=problem)


def _bring_up_to_date(hub: Hub, party: Party, plan_id: str) -> None:
    _settle_what_is_pending(hub, party, plan_id)
    for _ in range(5):
        outgoing = _what_it_lacks(hub, party, plan_id)
        if not outgoing:
            return
        try:
            _write_there(hub, party, plan_id, outgoing)
            return
        except RemoteConflict:  # somebody edited there meanwhile: take that in first, then compare again
            collect(hub, party, [(out.copy.type, out.copy.remote_id) for out in outgoing if out.copy])
    raise RemoteError("the plan kept changing at the other side", answered=409)


def _what_it_lacks(hub: Hub, party: Party, plan_id: str) -> list[Outgoing]:
    connection = hub.database.read()
    plan = plans.get(connection, plan_id)
    found = plans.members(connection, plan_id)
    if plan is None or not decision_for(hub, party, plan, change.as_refs(found)).permit:
        return []
    _link_what_it_knows(hub, party, plan_id, found)
    held = copies.of_plan(connection, party.name, plan_id)
    visible = project(change.as_refs(found), party)
    return [
        Outgoing(visible[ref], member.seq, held.get(ref))
        for ref, member in ((f"{member.type}/{member.id}", member) for member in found)
        if ref in visible and _is_to_be_sent(visible[ref], member, held.get(ref))
    ]


def _is_to_be_sent(resource: Resource, member: Member, copy: Copy | None) -> bool:
    if copy is None:
        return True
    if copy.sent is None or copy.sent == member.seq:
        return False
    return change.without_storage_meta(resource) != change.without_storage_meta(parse_json(copy.body))


def _link_what_it_knows(hub: Hub, party: Party, plan_id: str, found: Sequence[Member]) -> None:
    """Persons and organisations that the server has under the same national identifier are used, not made twice."""
    held = copies.of_plan(hub.database.read(), party.name, plan_id)
    for member in found:
        if member.type in MATCHED_BY_IDENTIFIER and f"{member.type}/{member.id}" not in held:
            _link_by_identifier(hub, party, member)


def _link_by_identifier(hub: Hub, party: Party, member: Member) -> None:
    for identifier in parse_json(member.body).get("identifier", []):
        if not (identifier.get("system") and identifier.get("value")):
            continue
        known = find_by_identifier(hub.clients[party.name], member.type, identifier["system"], identifier["value"])
        if known and known != member.id:
            copy = Copy(member.type, member.id, known, copies.THEIRS, None, b"{}")
            hub.database.write(partial(copies.save, party=party.name, copy=copy))
            return


def _write_there(hub: Hub, party: Party, plan_id: str, outgoing: Sequence[Outgoing]) -> None:
    write_id = str(hub.new_id())
    items = [Written(out.resource["resourceType"], out.resource["id"], out.seq) for out in outgoing]
    hub.database.write(
        lambda connection: copies.begin_write(
            connection, write_id, party=party.name, plan=plan_id, items=items, now=instant(hub.now())
        )
    )
    theirs = names_to_theirs(hub.database.read(), party)
    entries = [
        Entry(as_sent(out.resource, write_id, theirs), out.copy.version if out.copy else None) for out in outgoing
    ]
    try:
        made = hub.clients[party.name].transaction(entries)
    except RemoteError as fault:
        if fault.answered is not None and fault.answered < 500:  # a clear no: nothing was written
            hub.database.write(lambda connection: copies.abandon_write(connection, write_id))
        raise
    arrived = [  # a server that returns no content is taken at its word
        version if version.resource else replace(version, resource=entry.resource)
        for version, entry in zip(made, entries, strict=True)
    ]
    hub.database.write(lambda connection: _settle(connection, hub, party, plan_id, write_id, items, arrived))


def _settle(
    connection: sqlite3.Connection,
    hub: Hub,
    party: Party,
    plan_id: str,
    write_id: str,
    items: Iterable[Written],
    arrived: Sequence[RemoteVersion],
) -> None:
    """The write is there: remember each version, and from when on the server's history concerns us."""
    ours = names_to_ours(connection, hub, party)
    by_id = {(item.type, item.id): item for item in items}
    for version in arrived:
        item = by_id[(version.type, id_in(ours(f"{version.type}/{version.id}")))]
        body = dump_json(as_ours(version.resource or {}, ours))
        copies.save(connection, party.name, Copy(item.type, item.id, version.id, version.version, item.seq, body))
    copies.settle_write(connection, write_id)
    if copies.watermark(connection, party.name) is None and arrived:
        copies.move_watermark(
            connection, party.name, min(_utc(version.updated) for version in arrived if version.updated)
        )
    plan = plans.get(connection, plan_id)
    if plan:
        change.audit(connection, hub, plan, party, "R", hub.now())


def _settle_what_is_pending(hub: Hub, party: Party, plan_id: str) -> None:
    """After a crash or a lost answer: look whether the write arrived before anything is written again.

    A transaction is all or nothing: one item that is there says that all are.
    """
    for write_id, was_seen in copies.pending_writes(hub.database.read(), party.name, plan_id).items():
        items = copies.items_of(hub.database.read(), write_id)
        arrived = [found for item in items if (found := _arrived(hub, party, item, write_id))]
        if was_seen or arrived:
            hub.database.write(
                partial(_settle, hub=hub, party=party, plan_id=plan_id, write_id=write_id, items=items, arrived=arrived)
            )
        else:
            hub.database.write(partial(copies.abandon_write, write_id=write_id))


def _arrived(hub: Hub, party: Party, item: Written, write_id: str) -> RemoteVersion | None:
    """The version that this write made of this item: the first one after the base that carries its id."""
    copy = copies.by_id(hub.database.read(), party.name, item.type, item.id)
    try:
        versions = hub.clients[party.name].history(item.type, copy.remote_id if copy else item.id, None)
    except RemoteError as fault:
        if fault.answered in (404, 410):
            return None
        raise
    return next((version for version in _after(versions, copy) if write_id_of(version.resource) == write_id), None)


# --- collect ---------------------------------------------------------------------------------------------------------


def collect(hub: Hub, party: Party, suspects: Sequence[tuple[str, str]] = (), *, overlap: timedelta = OVERLAP) -> int:
    """Take in what changed at the party since the watermark (and at `suspects`); returns how many versions counted.

    `overlap`: how far before the watermark the look begins; LONG_OVERLAP now and then, for clocks that were set back.

    The server's history is only a hint at what to look at; each resource's own history decides.
    """
    connection = hub.database.read()
    since = copies.watermark(connection, party.name)
    if since is None:
        return 0
    client = hub.clients[party.name]
    feed = client.history(None, None, instant(datetime.fromisoformat(since) - overlap))
    versions = _news(hub, party, feed, suspects)
    newest = max((_utc(version.updated) for version in feed if version.updated), default=since)

    def take_in(connection: sqlite3.Connection) -> int:
        taken = sum(_take_in_or_park(connection, hub, party, version, versions) for version in versions)
        copies.move_watermark(connection, party.name, newest)
        return taken

    if not versions and newest == since:
        return 0
    taken = hub.database.write(take_in)
    if taken:
        hub.changed()
    return taken


def _news(
    hub: Hub, party: Party, feed: Sequence[RemoteVersion], suspects: Sequence[tuple[str, str]]
) -> list[RemoteVersion]:
    """Every version after the base of what we share, and every new resource that hangs on a plan, oldest first."""
    connection = hub.database.read()
    found: list[RemoteVersion] = []
    strangers: list[RemoteVersion] = []
    for type_, id_ in dict.fromkeys([*((v.type, v.id) for v in feed), *suspects]):
        copy = copies.by_remote(connection, party.name, type_, id_)
        seen = [version for version in feed if (version.type, version.id) == (type_, id_)]
        if copy is None or copy.is_only_a_name:
            strangers += seen
        elif not copy.is_theirs and ((type_, id_) in suspects or any(v.version != copy.version for v in seen)):
            found += _after(hub.clients[party.name].history(type_, id_, None), copy)
    found += _those_that_hang_on(connection, party, found, strangers)
    found += _what_they_name(hub, party, found)
    return _in_the_order_they_were_made(found)


def _those_that_hang_on(
    connection: sqlite3.Connection, party: Party, news: Sequence[RemoteVersion], strangers: Sequence[RemoteVersion]
) -> list[RemoteVersion]:
    """Unknown resources that a shared one points to (now or since long), or that point to one; the rest is not ours.

    A pointer to the person alone is not enough: the rest of a health record stays where it is.
    """
    joined: list[RemoteVersion] = []
    remaining = [version for version in strangers if version.resource and version.type in SHARED]
    growing = True
    while growing:
        named = {name for version in (*news, *joined) for name in names_in(version.resource)}
        inside = {f"{version.type}/{version.id}" for version in joined if version.type not in change.DIRECTORY}
        more = [
            version
            for version in remaining
            if f"{version.type}/{version.id}" in named
            or plans.naming(connection, version.type, version.id)
            or _points_into_a_plan(connection, party, version, inside)
        ]
        joined += more
        remaining = [version for version in remaining if version not in more]
        growing = bool(more)
    return joined


def _points_into_a_plan(connection: sqlite3.Connection, party: Party, version: RemoteVersion, inside: set[str]) -> bool:
    def is_shared(name: str) -> bool:
        type_, _, id_ = name.partition("/")
        copy = copies.by_remote(connection, party.name, type_, id_)
        return copy is not None and not copy.is_only_a_name

    return any(
        name in inside or is_shared(name)
        for name in names_in(version.resource)
        if name.partition("/")[0] not in change.DIRECTORY
    )


def _what_they_name(hub: Hub, party: Party, news: Sequence[RemoteVersion]) -> list[RemoteVersion]:
    """What the news point to and what was there long before: a goal saved before the plan that names it, staff.

    Of staff and organisations also what those point to in turn; the rest of a health record is not followed further.
    """
    connection = hub.database.read()
    have = {f"{version.type}/{version.id}" for version in news}
    found: list[RemoteVersion] = []
    wanted = [name for version in news for name in names_in(version.resource)]
    while wanted:
        name = wanted.pop()
        type_, _, id_ = name.partition("/")
        if name in have or type_ not in SHARED or copies.by_remote(connection, party.name, type_, id_):
            continue
        have.add(name)
        version = hub.clients[party.name].read(type_, id_)
        if version and version.resource:
            found.append(version)
            wanted += names_in(version.resource) if type_ in change.DIRECTORY else []
    return found


def _in_the_order_they_were_made(versions: Sequence[RemoteVersion]) -> list[RemoteVersion]:
    """By the server's clock, but never a later version of a resource before an earlier one: clocks are set back."""
    moments = []
    latest: dict[tuple[str, str], str] = {}
    for version in versions:
        name = (version.type, version.id)
        latest[name] = max(latest.get(name, ""), _moment(version))
        moments.append(latest[name])
    return [version for _, version in sorted(zip(moments, versions, strict=True), key=lambda each: each[0])]


def _take_in_or_park(
    connection: sqlite3.Connection, hub: Hub, party: Party, version: RemoteVersion, news: Sequence[RemoteVersion]
) -> bool:
    """One version that cannot be taken in does not hold up those beside it: it is kept for somebody to look at."""
    try:
        with attempt(connection):
            return _take_in(connection, hub, party, version, news)
    except Exception as fault:  # noqa: BLE001 - whatever it is, it is this version's
        key = f"{version.type}/{version.id}/_history/{version.version}"
        entry = journal.enter(
            connection,
            party=party.name,
            key=key,
            media_type="application/fhir+json",
            body=dump_json(version.resource or {}),
            received=instant(hub.now()),
        )
        journal.close(connection, entry, "parked", receipt=type(fault).__name__)
        log.error("version parked", party=party.name, type=version.type, problem=type(fault).__name__)
        return True


def _take_in(
    connection: sqlite3.Connection, hub: Hub, party: Party, version: RemoteVersion, news: Sequence[RemoteVersion]
) -> bool:
    """One version: ours coming back is settled, anybody else's is journaled and merged."""
    copy = copies.by_remote(connection, party.name, version.type, version.id)
    if copy and version.version == copy.version:
        return False
    ours = names_to_ours(connection, hub, party)
    id_ = id_in(ours(f"{version.type}/{version.id}"))
    theirs = as_ours(version.resource, ours) if version.resource else {}
    unsettled = copies.unsettled_writes_of(connection, party.name, version.type, id_)
    write_id = write_id_of(version.resource)
    if write_id in unsettled:
        arrived = Copy(version.type, id_, version.id, version.version, unsettled[write_id], dump_json(theirs))
        copies.save(connection, party.name, arrived)
        copies.note_arrival(connection, write_id, version.type, id_)
        return False
    key = f"{version.type}/{version.id}/_history/{version.version}"
    if journal.by_key(connection, party.name, key):
        return False
    now = hub.now()
    entry = journal.enter(
        connection,
        party=party.name,
        key=key,
        media_type="application/fhir+json",
        body=dump_json(theirs),
        received=instant(now),
    )
    plan = _plan_of(connection, version.type, id_, theirs) or _plan_of_whoever_names(connection, version, news, ours)
    base = parse_json(copy.body) if copy and not copy.is_only_a_name else None
    problem = _reason_to_park(connection, version, id_, plan, base)
    if plan is None or problem:
        journal.close(connection, entry, "parked", plan=plan.id if plan else None, receipt=problem)
        if copy and not copy.is_only_a_name:  # not written over until somebody has looked
            copies.save(connection, party.name, Copy(version.type, id_, version.id, version.version, None, copy.body))
        log.warning("version parked", party=party.name, type=version.type, version=version.version, problem=problem)
        return True
    before = change.load(connection, plan)
    if conflicts.is_a_question(theirs, before):
        applied = conflicts.take_answer(connection, hub, party, plan, before, theirs, entry, now)
    else:
        arrival = _arrival(party, entry, plan, version, theirs, base, before)
        applied = change.apply(connection, hub, plan, before, arrival, now)
    _note_copy(connection, party, version, id_, theirs)
    outbox.queue(connection, plan.id, party.name, instant(now))
    journal.close(connection, entry, "applied" if applied.changed else "unchanged", plan=plan.id)
    change.audit(connection, hub, applied.plan, party, "U", now)
    return True


def _arrival(
    party: Party, entry: int, plan: Plan, version: RemoteVersion, theirs: Resource, base: Resource | None, ours: Refs
) -> change.Arrival:
    """The version as something that the party says. A deletion there is a snapshot that lacks this one resource."""
    if version.deleted:
        return change.Arrival(party, entry, [{reference_of(base): base} if base else {}], {}, partial=False)
    return change.Arrival(party, entry, [_inner_form(base, plan, ours)], _inner_form(theirs, plan, ours), partial=True)


def _inner_form(resource: Resource | None, plan: Plan, ours: Refs) -> Refs:
    """The resource as the plan writes interventions, with the parts of the plan that this changes as well.

    A plan brings its requests, so that each gets its Task and the notes made on its activity; a Task brings its
    request for the same reason; an intervention that only says `basedOn` is put among the plan's activities.
    """
    if resource is None:
        return {}
    plan_ref = f"CarePlan/{plan.id}"
    beside = _requests_with_notes(resource, ours)
    if plan_ref in ours and _is_loose_intervention(resource, plan_ref):
        link = {"reference": {"reference": reference_of(resource)}}
        activities = ours[plan_ref].get("activity", [])
        named = resource["resourceType"] == "CarePlan" or link in activities
        beside = [ours[plan_ref] | {"activity": activities if named else [*activities, link]}]
    parts = normalise([resource, *beside], plan_ref=plan_ref, known=ours)
    return {reference_of(part): part for part in parts}


def _is_loose_intervention(resource: Resource, plan_ref: str) -> bool:
    """KL's CarePlan for one intervention, or a Task that is about nothing but the plan."""
    based_on = [each.get("reference") for each in resource.get("basedOn", [])]
    is_form = resource["resourceType"] == "CarePlan" or (resource["resourceType"] == "Task" and "focus" not in resource)
    return is_form and plan_ref in based_on


def _requests_with_notes(resource: Resource, ours: Refs) -> list[Resource]:
    """The requests that the resource speaks of, with what it notes about them: a record has one place for notes."""
    if resource["resourceType"] == "CarePlan":
        said = [(each.get("reference", {}), each.get("progress", [])) for each in resource.get("activity", [])]
    else:
        said = [(resource.get("focus", {}), resource.get("note", []))] if resource["resourceType"] == "Task" else []
    found = []
    for pointer, notes in said:
        request = ours.get(pointer.get("reference", ""))
        if request and request["resourceType"] == "ServiceRequest":
            new = [note for note in notes if note not in request.get("note", [])]
            found.append(request | ({"note": [*request.get("note", []), *new]} if new else {}))
    return found


def _note_copy(
    connection: sqlite3.Connection, party: Party, version: RemoteVersion, id_: str, theirs: Resource
) -> None:
    current = resources.read(connection, version.type, id_)
    sent: int | None = 0  # it says something else than the plan: it is to hear the plan's word
    if version.deleted:
        sent = None  # withdrawn there: not written again by itself
    elif current and change.without_storage_meta(parse_json(current.body)) == change.without_storage_meta(theirs):
        sent = current.seq  # it has what we have: nothing to send back
    body = dump_json(theirs) if theirs else b"{}"
    copies.save(connection, party.name, Copy(version.type, id_, version.id, version.version, sent, body))


def _reason_to_park(
    connection: sqlite3.Connection, version: RemoteVersion, id_: str, plan: Plan | None, base: Resource | None
) -> str | None:
    """Why this version may not be applied: kept in the journal, neither applied nor dropped."""
    if plan is None:
        return "belongs to no shared plan"
    if base is None and resources.read(connection, version.type, id_):
        return "a write to something that the party was not shown"
    if version.deleted:
        return None if base else "a deletion of something that was not shared"
    errors = [issue for issue in check_resource(version.resource or {}) if issue.severity == "error"]
    return f"not valid: {errors[0].path}: {errors[0].code}" if errors else None


def _plan_of(connection: sqlite3.Connection, type_: str, id_: str, theirs: Resource) -> Plan | None:
    """The plan that the resource is at home in or part of; a new one is part of the plan of what it points to."""
    if home := resources.home_plan_of(connection, type_, id_):
        return plans.get(connection, home)
    candidates = [(type_, id_)] + [
        (name.partition("/")[0], id_in(name))
        for name in names_in(theirs)
        if name.partition("/")[0] not in change.DIRECTORY
    ]
    for candidate in candidates:
        if homes := plans.plans_of(connection, *candidate):
            return plans.get(connection, homes[0])
    return None


def _plan_of_whoever_names(
    connection: sqlite3.Connection, version: RemoteVersion, news: Sequence[RemoteVersion], ours: Renaming
) -> Plan | None:
    """The plan of the resource that points to this one, when it says nothing itself."""
    for other in news:
        if other is not version and f"{version.type}/{version.id}" in names_in(other.resource):
            theirs = as_ours(other.resource or {}, ours)
            if plan := _plan_of(connection, other.type, theirs["id"], theirs):
                return plan
            rest = [each for each in news if each not in (version, other)]
            if plan := _plan_of_whoever_names(connection, other, rest, ours):
                return plan
    return None


def _after(versions: Sequence[RemoteVersion], copy: Copy | None) -> list[RemoteVersion]:
    """The versions that came after the one we know, oldest first; all of them where that one is no longer listed."""
    known = [index for index, version in enumerate(versions) if copy and version.version == copy.version]
    return list(versions[known[0] + 1 :] if known else versions)


def _moment(version: RemoteVersion) -> str:
    """When a version was made, for putting versions in order; HAPI does not say when it deleted: that is the last."""
    return _utc(version.updated) if version.updated else "9999"


def _utc(moment: str) -> str:
    """A FHIR instant in the one form in which instants sort as text."""
    return instant(datetime.fromisoformat(moment).astimezone(UTC))
