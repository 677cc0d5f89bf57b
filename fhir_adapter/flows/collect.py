"""Take in what a FHIR party changed: its history is a hint, every version since the base goes through the one merge."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from fhir_adapter.access.identity import Party
from fhir_adapter.checks.validate import check_resource
from fhir_adapter.fhir.resources import Resource, dump_json, parse_json, reference_of
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import change, conflicts, joined, known_persons, safety
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.naming import (
    Renaming,
    as_ours,
    id_in,
    names_in,
    names_to_ours,
    with_our_words,
    without_links,
    write_id_of,
)
from fhir_adapter.plan.identity import about
from fhir_adapter.plan.merge import Refs
from fhir_adapter.plan.quarantine import is_about_another_person
from fhir_adapter.plan.steps import normalise
from fhir_adapter.remotes import feed
from fhir_adapter.remotes.client import RemoteVersion
from fhir_adapter.store import copies, journal, outbox, plans, resources, sides
from fhir_adapter.store.copies import Copy
from fhir_adapter.store.database import attempt
from fhir_adapter.store.plans import Plan
from fhir_adapter.store.sides import Turn

if TYPE_CHECKING:
    import sqlite3

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

OVERLAP = timedelta(seconds=5)
"""How far back of the watermark a history is read again: versions of transactions that ended late lie there."""

LONG_OVERLAP = timedelta(minutes=15)
"""The same for a look that also finds what was written while the other side's clock was behind."""

PATIENCE = 10.0
"""Seconds that a delivery waits for another worker to end its reading."""

NOT_SHOWN = "a write to something that the party was not shown"
"""Why a version is parked that stands where something of the plan would go."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a party is for; `collect` says what each means."""

    suspects: Sequence[tuple[str, str]]
    overlap: timedelta
    deletions_are_meant: bool


def collect(
    hub: Hub,
    party: Party,
    suspects: Sequence[tuple[str, str]] = (),
    *,
    overlap: timedelta = OVERLAP,
    deletions_are_meant: bool = False,
) -> int:
    """Take in what changed at the party since the watermark (and at `suspects`); returns how many versions counted.

    `overlap`: how far before the watermark the look begins; LONG_OVERLAP now and then, for clocks that were set back.
    `deletions_are_meant`: somebody said so; else many at once stop the party and nothing is taken in.

    The server's history is only a hint at what to look at; each resource's own history decides. One worker at a time
    reads a party: without suspects, nothing is done while another one is at it.
    """
    if copies.watermark(hub.database.read(), party.name) is None and not suspects:
        return 0
    turn = _turn(hub, party, PATIENCE if suspects else 0.0)
    if turn is None:
        return 0
    try:
        return _collect(hub, party, turn, Look(suspects, overlap, deletions_are_meant))
    finally:
        hub.database.write(lambda connection: sides.end_reading(connection, turn))


def _turn(hub: Hub, party: Party, patience: float) -> Turn | None:
    until = time.monotonic() + patience
    begin = partial(sides.begin_reading, party=party.name, seconds=hub.limits.lease)
    while (turn := hub.database.write(begin)) is None and time.monotonic() < until:
        time.sleep(0.05)
    return turn


def _collect(hub: Hub, party: Party, turn: Turn, look: Look) -> int:
    since = copies.watermark(hub.database.read(), party.name)
    seen = _changes_since(hub, party, datetime.fromisoformat(since) - look.overlap) if since else []
    versions = _news(hub, party, seen, look.suspects)
    if not look.deletions_are_meant and safety.deletes_too_much(hub, party, versions):
        return 0
    look_again = joined.left_alone(hub, party, versions)
    newest = max((utc(version.updated) for version in seen if version.updated), default=since)
    if not versions and newest == since:
        return 0

    def take_in(connection: sqlite3.Connection) -> int:
        if not sides.reads_still(connection, turn):
            return 0  # another worker reads since this one stalled: it takes the same in
        joined.follow(connection, hub, party, [*seen, *look_again])
        is_due = partial(_person_it_is_due_to, connection, hub, party, versions)
        news = joined.without_strangers(connection, party, versions, is_due)
        taken = sum(_take_in_or_park(connection, hub, party, version, news) for version in news)
        if newest:
            copies.move_watermark(connection, party.name, newest)
        return taken

    taken = hub.database.write(take_in)
    if taken:
        hub.changed()
    return taken


def _changes_since(hub: Hub, party: Party, start: datetime) -> list[RemoteVersion]:
    return feed.changes_since(hub.clients[party.name], instant(start), SHARED)


def _news(
    hub: Hub, party: Party, changes: Sequence[RemoteVersion], suspects: Sequence[tuple[str, str]]
) -> list[RemoteVersion]:
    """Every version after the base of what we share, and every new resource that hangs on a plan, oldest first."""
    connection = hub.database.read()
    found: list[RemoteVersion] = []
    strangers: list[RemoteVersion] = []
    for type_, id_ in dict.fromkeys([*((v.type, v.id) for v in changes), *suspects]):
        copy = copies.by_remote(connection, party.name, type_, id_)
        seen = [version for version in changes if (version.type, version.id) == (type_, id_)]
        if (copy is None or copy.is_only_a_name) and (type_, id_) not in suspects:
            strangers += seen
        elif copy is None or copy.is_only_a_name:  # something stands in the way of a create
            found += feed.versions_of(hub.clients[party.name], type_, id_)
        elif not copy.is_theirs and ((type_, id_) in suspects or any(v.version != copy.version for v in seen)):
            found += after(feed.versions_of(hub.clients[party.name], type_, id_), copy)
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
            or _is_named_in_a_plan(connection, party, version)
            or _points_into_a_plan(connection, party, version, inside)
        ]
        joined += more
        remaining = [version for version in remaining if version not in more]
        growing = bool(more)
    return joined


def _is_named_in_a_plan(connection: sqlite3.Connection, party: Party, version: RemoteVersion) -> bool:
    known = copies.by_remote(connection, party.name, version.type, version.id)
    return bool(plans.naming(connection, version.type, known.id if known else version.id))


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
        as_it_came = version.resource or {}
        key = _unused_key(connection, party, version, as_it_came)
        if key is None:
            return False  # it failed at an earlier look and is parked already
        entry = journal.enter(
            connection,
            party=party.name,
            key=key,
            media_type="application/fhir+json",
            body=dump_json(as_it_came),
            received=instant(hub.now()),
        )
        journal.close(connection, entry, "parked", receipt=type(fault).__name__)
        _leave_alone(connection, party, version)
        log.error("version parked", party=party.name, type=version.type, problem=type(fault).__name__)
        return True


def _leave_alone(connection: sqlite3.Connection, party: Party, version: RemoteVersion) -> bool:
    """What stands there in a version that was parked is not written over until somebody has looked. False: we have
    nothing of it that we could write."""
    copy = copies.by_remote(connection, party.name, version.type, version.id)
    if copy is None or copy.is_only_a_name:
        return False
    copies.save(connection, party.name, Copy(version.type, copy.id, version.id, version.version, None, copy.body))
    return True


def _take_in(
    connection: sqlite3.Connection, hub: Hub, party: Party, version: RemoteVersion, news: Sequence[RemoteVersion]
) -> bool:
    """One version: ours coming back is settled, anybody else's is journaled and merged."""
    copy = copies.by_remote(connection, party.name, version.type, version.id)
    if copy and (copy.is_theirs or version.version == copy.version):
        return False
    id_ = id_in(names_to_ours(connection, hub, party)(f"{version.type}/{version.id}"))
    ours = names_to_ours(connection, hub, party, resources.home_plan_of(connection, version.type, id_))
    theirs = as_ours(version.resource, ours) if version.resource else {}
    write_id = write_id_of(version.resource)
    if write_id and copies.made_by(connection, party.name, version.type, id_, version.version) == write_id:
        return False  # settled by whoever wrote it, after this was read
    unseen = copies.unseen_writes_of(connection, party.name, version.type, id_)
    if write_id in unseen:
        arrived = Copy(version.type, id_, version.id, version.version, unseen[write_id], dump_json(theirs))
        copies.save(connection, party.name, arrived)
        copies.note_arrival(connection, write_id, version.type, id_, version.version)
        copies.note_that_it_arrived(connection, write_id)
        for plan_id in plans.plans_of(connection, version.type, id_):  # it may have come late, over a newer one
            outbox.queue(connection, plan_id, party.name, instant(hub.now()))
        return False
    key = _unused_key(connection, party, version, theirs)
    if key is None:
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
    plan = _plan_for(connection, version, theirs, news, ours)
    base = parse_json(copy.body) if copy and not copy.is_only_a_name else None
    if plan and version.resource:
        theirs = as_ours(version.resource, names_to_ours(connection, hub, party, plan.id))
        theirs = with_our_words(connection, party, theirs, base or {})
    said, known = joined.of_its_person(connection, hub, party, plan, theirs, base)
    problem = _reason_to_park(connection, version, id_, plan, known, said) or (
        _reason_to_park_a_new_one(connection, plan, said, news, ours) if plan and known is None else None
    )
    if plan is None or problem:
        journal.close(connection, entry, "parked", plan=plan.id if plan else None, receipt=problem)
        if not _leave_alone(connection, party, version) and resources.read(
            connection, version.type, id_
        ):  # it stands where ours would go: the rest is not held up
            copies.save(connection, party.name, Copy(version.type, id_, version.id, "", None, b"{}"))
        log.warning("version parked", party=party.name, type=version.type, version=version.version, problem=problem)
        return True
    before = change.load(connection, plan)
    if conflicts.is_a_question(theirs, before):
        applied = conflicts.take_answer(connection, hub, party, plan, before, theirs, entry, now)
    else:
        arrival = _arrival(party, entry, plan, version, said, known, before | _tasks_to_come(theirs, news, ours))
        applied = change.apply(connection, hub, plan, before, arrival, now)
    _note_copy(connection, party, version, id_, theirs)
    outbox.queue(connection, plan.id, party.name, instant(now))
    journal.close(connection, entry, "applied" if applied.changed else "unchanged", plan=plan.id)
    return True


def _unused_key(connection: sqlite3.Connection, party: Party, version: RemoteVersion, theirs: Resource) -> str | None:
    """The journal key of a version; None if it came before. After a restore there, numbers stand for other versions."""
    key = f"{version.type}/{version.id}/_history/{version.version}"
    entry = journal.by_key(connection, party.name, key)
    if entry is None:
        return key
    other = f"{key}@{version.updated}"
    is_the_same = entry.digest == journal.digest_of(dump_json(theirs))
    return None if is_the_same or journal.by_key(connection, party.name, other) else other


def _arrival(
    party: Party, entry: int, plan: Plan, version: RemoteVersion, theirs: Resource, base: Resource | None, ours: Refs
) -> change.Arrival:
    """The version as something that the party says. A deletion there is a snapshot that lacks this one resource."""
    if version.deleted:
        return change.Arrival(party, entry, [{reference_of(base): base} if base else {}], {}, partial=False)
    return change.Arrival(party, entry, [_inner_form(base, plan, ours)], _inner_form(theirs, plan, ours), partial=True)


def _tasks_to_come(theirs: Resource, news: Sequence[RemoteVersion], ours: Renaming) -> Refs:
    """The party's own Tasks about a request that it brings: with them none has to be made for it."""
    if theirs.get("resourceType") != "ServiceRequest":
        return {}
    tasks = [as_ours(version.resource, ours) for version in news if version.type == "Task" and version.resource]
    about = reference_of(theirs)
    return {reference_of(task): task for task in tasks if task.get("focus", {}).get("reference") == about}


def _inner_form(resource: Resource | None, plan: Plan, ours: Refs) -> Refs:
    """The resource as the plan writes interventions, with the parts of the plan that this changes as well.

    A plan brings its requests, so that each gets its Task and the notes made on its activity; a Task brings its
    request for the same reason; an intervention that only says `basedOn` is put among the plan's activities.
    """
    if resource is None:
        return {}
    resource = without_links(resource)
    plan_ref = f"CarePlan/{plan.id}"
    beside = _requests_with_notes(resource, ours)
    if plan_ref in ours and _is_loose_intervention(resource, plan_ref, ours):
        link = {"reference": {"reference": reference_of(resource)}}
        activities = ours[plan_ref].get("activity", [])
        named = resource["resourceType"] == "CarePlan" or link in activities
        beside = [ours[plan_ref] | {"activity": activities if named else [*activities, link]}]
    parts = normalise([resource, *beside], plan_ref=plan_ref, known=ours)
    return {reference_of(part): part for part in parts}


def _is_loose_intervention(resource: Resource, plan_ref: str, ours: Refs) -> bool:
    """KL's CarePlan for one intervention, a Task that is about nothing but the plan, or a new request for it.

    A request that is known already may have been taken out of the plan's activities: it is not put there again.
    """
    if plan_ref not in [each.get("reference") for each in resource.get("basedOn", [])]:
        return False
    match resource["resourceType"]:
        case "CarePlan":
            return True
        case "Task":
            return "focus" not in resource
        case "ServiceRequest":
            return reference_of(resource) not in ours
    return False


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
    connection: sqlite3.Connection,
    version: RemoteVersion,
    id_: str,
    plan: Plan | None,
    base: Resource | None,
    theirs: Resource,
) -> str | None:
    """Why this version may not be applied: kept in the journal, neither applied nor dropped."""
    if plan is None:
        return "belongs to no shared plan"
    if base is None and resources.read(connection, version.type, id_):
        return NOT_SHOWN
    if version.deleted:
        return None if base else "a deletion of something that was not shared"
    if base and _is_about_another_person(connection, plan, base, theirs):
        return "about another person than it was shared for"  # whom a question about it would show to others
    errors = [issue for issue in check_resource(version.resource or {}) if issue.severity == "error"]
    return f"not valid: {errors[0].path}: {errors[0].code}" if errors else None


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


def _is_about_another_person(connection: sqlite3.Connection, plan: Plan, base: Resource, theirs: Resource) -> bool:
    """Than it was there, and than the plan has it for: a party that takes back that it joined two persons is right."""
    ours = resources.read(connection, theirs["resourceType"], theirs["id"])
    known = [base, *([parse_json(ours.body)] if ours and not ours.deleted else [])]
    return is_about_another_person(theirs, known, lambda reference: change.load(connection, plan).get(reference))


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
    named_in = plans.naming(connection, type_, id_)
    return plans.get(connection, named_in[0]) if named_in else None


def _plan_for(
    connection: sqlite3.Connection,
    version: RemoteVersion,
    theirs: Resource,
    news: Sequence[RemoteVersion],
    ours: Renaming,
) -> Plan | None:
    """The plan of a version, `theirs` in our ids: by itself, else by what came along and points to it."""
    id_ = id_in(ours(f"{version.type}/{version.id}"))
    return _plan_of(connection, version.type, id_, theirs) or _plan_of_whoever_names(connection, version, news, ours)


def _person_it_is_due_to(
    connection: sqlite3.Connection, hub: Hub, party: Party, news: Sequence[RemoteVersion], version: RemoteVersion
) -> str | None:
    """The person of the plan that the version would become part of, as `Patient/id`."""
    ours = names_to_ours(connection, hub, party)
    plan = _plan_for(connection, version, as_ours(version.resource or {}, ours), news, ours)
    return change.person_of(connection, plan.id) if plan else None


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


def after(versions: Sequence[RemoteVersion], copy: Copy | None) -> list[RemoteVersion]:
    """The versions that came after the one we know, oldest first; all of them where that one is no longer listed."""
    known = [index for index, version in enumerate(versions) if copy and version.version == copy.version]
    return list(versions[known[0] + 1 :] if known else versions)


def _moment(version: RemoteVersion) -> str:
    """When a version was made, for putting versions in order; HAPI does not say when it deleted: that is the last."""
    return utc(version.updated) if version.updated else "9999"


def utc(moment: str) -> str:
    """A FHIR instant in the one form in which instants sort as text."""
    return instant(datetime.fromisoformat(moment).astimezone(UTC))


# --- what was parked ---------------------------------------------------------------------------------------------


def take_in_again(
    connection: sqlite3.Connection, hub: Hub, party: Party, version: RemoteVersion, entry: int
) -> str | None:
    """A parked version goes through the merge after all, as what the party says; or why it still may not."""
    ours = names_to_ours(connection, hub, party)
    id_, theirs = id_in(ours(f"{version.type}/{version.id}")), as_ours(version.resource or {}, ours)
    copy = copies.by_remote(connection, party.name, version.type, version.id)
    base = parse_json(copy.body) if copy and not copy.is_only_a_name else None
    plan = _plan_of(connection, version.type, id_, theirs)
    if copy and base is not None and copy.version != version.version:
        return "a newer version of it has been taken in since"
    said, known = joined.of_its_person(connection, hub, party, plan, theirs, base)
    problem = _reason_to_park(connection, version, id_, plan, known, said)
    if plan is None or (problem and problem != NOT_SHOWN):
        return problem
    before = change.load(connection, plan)
    arrival = _arrival(party, entry, plan, version, said, known, before)
    change.apply(connection, hub, plan, before, arrival, hub.now())
    _note_copy(connection, party, version, id_, theirs)
    outbox.queue(connection, plan.id, party.name, instant(hub.now()))
    return None


def leave_aside(connection: sqlite3.Connection, hub: Hub, party: Party, version: RemoteVersion) -> None:
    """A parked version is dropped: what the plan has is to be written over it, unless something newer came since."""
    ours = names_to_ours(connection, hub, party)
    id_, theirs = id_in(ours(f"{version.type}/{version.id}")), as_ours(version.resource or {}, ours)
    copy = copies.by_remote(connection, party.name, version.type, version.id)
    if copy is None or not (copy.is_only_a_name or copy.version == version.version):
        return
    copies.save(connection, party.name, Copy(version.type, id_, version.id, version.version, 0, dump_json(theirs)))
    for plan in plans.plans_of(connection, version.type, id_):
        outbox.queue(connection, plan, party.name, instant(hub.now()))
