"""What is new at a FHIR party: read there and told apart from what is known here; nothing is written."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING

from fhir_adapter.access.identity import Party
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import history
from fhir_adapter.flows.guests import DIRECTORY
from fhir_adapter.flows.history import Setback, Told, utc
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.naming import names_in
from fhir_adapter.remotes import feed
from fhir_adapter.remotes.client import RemoteVersion
from fhir_adapter.store import copies, plans, resources
from fhir_adapter.store.copies import Copy, Landmark, Landmarks

if TYPE_CHECKING:
    import sqlite3

Name = tuple[str, str]
"""Type and id at the party."""

IF_NAMED = frozenset(
    {
        "CommunicationRequest",
        "DeviceRequest",
        "HealthcareService",
        "MedicationRequest",
        "NutritionOrder",
        "QuestionnaireResponse",
        "RequestGroup",
        "VisionPrescription",
    }
)
"""What becomes part of a plan where the plan points to it (an activity, an answer to a Task), and not by pointing to
the plan's needs itself: the other prescriptions for a need are the rest of a health record."""

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
    | DIRECTORY
    | IF_NAMED
)
"""What may become part of a plan when it turns up at a FHIR server; records of who did what stay where they are."""


@dataclass(frozen=True, slots=True)
class News:
    """What a look found: versions to take in, oldest first, and what was told of each resource that is shared.

    `deletions_are_undone`: somebody said that what was deleted there is to be told again.
    """

    versions: Sequence[RemoteVersion]
    told: dict[Name, Told]
    deletions_are_undone: bool = False

    @property
    def setbacks(self) -> list[Setback]:
        """What is not there any more as it was left."""
        return [one.setback for one in self.told.values() if one.setback]


def changes_since(hub: Hub, party: Party, start: datetime) -> list[RemoteVersion]:
    """What the party's history shows from this moment on."""
    return feed.changes_since(hub.clients[party.name], instant(start), SHARED)


def read(
    hub: Hub, party: Party, changes: Sequence[RemoteVersion], suspects: Sequence[Name], start: datetime | None
) -> News:
    """Every version after what we know of what we share, and every new resource that hangs on a plan, oldest first.

    `start`: from when on `changes` tells of all of them; None where nobody asked.
    """
    connection, client = hub.database.read(), hub.clients[party.name]
    found: list[RemoteVersion] = []
    strangers: list[RemoteVersion] = []
    told: dict[Name, Told] = {}
    seen_of: dict[Name, list[RemoteVersion]] = {}
    for version in changes:
        seen_of.setdefault((version.type, version.id), []).append(version)
    for (type_, id_), seen in (seen_of | {name: seen_of.get(name, []) for name in suspects}).items():
        copy = copies.by_remote(connection, party.name, type_, id_)
        is_suspect = (type_, id_) in suspects
        if copy is None or copy.is_only_a_name:
            if is_suspect or _may_be_ours(connection, party, type_, id_):  # it stands in the way of a create, or is one
                found += feed.versions_of(client, type_, id_)
            else:
                (found if copy and _stands_in_the_way(connection, copy) else strangers).extend(seen)
        elif copy.is_theirs and not is_suspect:
            found += [one for one in seen[-1:] if one.deleted and copy.remote_id == id_]
        elif is_suspect or any(_is_unknown(connection, party, copy, version) for version in seen):
            told[type_, id_] = history.read(connection, client, party, copy)
            found += told[type_, id_].news
    found += _those_that_hang_on(connection, party, found, strangers)
    found += _what_they_name(hub, party, found, start)
    return News(_in_the_order_they_were_made(found), told)


def _stands_in_the_way(connection: sqlite3.Connection, copy: Copy) -> bool:
    """Whether the party wrote something where ours would go, and that was parked."""
    return resources.read(connection, copy.type, copy.id) is not None


def _may_be_ours(connection: sqlite3.Connection, party: Party, type_: str, id_: str) -> bool:
    """Whether a write of ours that was not answered may have made it: whoever edits leaves our mark in, so only the
    first version tells, and a list of changes need not show that one."""
    return bool(copies.unseen_writes_of(connection, party.name, type_, id_))


def _is_unknown(connection: sqlite3.Connection, party: Party, copy: Copy, version: RemoteVersion) -> bool:
    return history.mark_of(connection, party, copy, version) != "same"


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
        inside = {f"{version.type}/{version.id}" for version in joined if version.type not in DIRECTORY}
        more = [
            version
            for version in remaining
            if f"{version.type}/{version.id}" in named
            or _is_named_in_a_plan(connection, party, version)
            or (version.type not in IF_NAMED and _points_into_a_plan(connection, party, version, inside))
        ]
        joined += more
        remaining = [version for version in remaining if version not in more]
        growing = bool(more)
    return _with_their_deletions(joined, strangers)


def _with_their_deletions(joined: Sequence[RemoteVersion], seen: Sequence[RemoteVersion]) -> list[RemoteVersion]:
    """What joined, in the order in which it was seen, and what was deleted and saved again in between."""
    begun: set[Name] = set()
    found: list[RemoteVersion] = []
    for version in seen:
        name = (version.type, version.id)
        if version in joined:
            begun.add(name)
            found.append(version)
        elif version.deleted and name in begun:
            found.append(version)
    return found


def _is_named_in_a_plan(connection: sqlite3.Connection, party: Party, version: RemoteVersion) -> bool:
    known = copies.by_remote(connection, party.name, version.type, version.id)
    return plans.naming(connection, version.type, known.id if known else version.id) is not None


def _points_into_a_plan(connection: sqlite3.Connection, party: Party, version: RemoteVersion, inside: set[str]) -> bool:
    def is_shared(name: str) -> bool:
        type_, _, id_ = name.partition("/")
        copy = copies.by_remote(connection, party.name, type_, id_)
        return copy is not None and not copy.is_only_a_name

    return any(
        name in inside or is_shared(name)
        for name in names_in(version.resource)
        if name.partition("/")[0] not in DIRECTORY
    )


def _what_they_name(
    hub: Hub, party: Party, news: Sequence[RemoteVersion], start: datetime | None
) -> list[RemoteVersion]:
    """What the news point to and what was there long before: a goal saved before the plan that names it, staff.

    Of staff and organisations also what those point to in turn, and of what is news itself: it was saved after the list
    of changes was read, which no later look tells. The rest of a health record is not followed further.
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
        versions = _as_named(hub, party, type_, id_)
        found += versions
        is_directory = type_ in DIRECTORY
        followed = (one for one in versions if is_directory or (start is not None and _moment(one) >= instant(start)))
        wanted += [name for version in followed for name in names_in(version.resource)]
    return found


def _as_named(hub: Hub, party: Party, type_: str, id_: str) -> list[RemoteVersion]:
    """What it is now; of what we may have written ourselves every version."""
    client = hub.clients[party.name]
    if _may_be_ours(hub.database.read(), party, type_, id_):
        return feed.versions_of(client, type_, id_)
    now = client.read(type_, id_)
    return [now] if now and now.resource else []


def _in_the_order_they_were_made(versions: Sequence[RemoteVersion]) -> list[RemoteVersion]:
    """By the server's clock, but never a later version of a resource before an earlier one: clocks are set back."""
    moments = []
    latest: dict[tuple[str, str], str] = {}
    for version in versions:
        name = (version.type, version.id)
        latest[name] = max(latest.get(name, ""), _moment(version))
        moments.append(latest[name])
    return [version for _, version in sorted(zip(moments, versions, strict=True), key=lambda each: each[0])]


def _moment(version: RemoteVersion) -> str:
    """When a version was made, for putting versions in order; HAPI does not say when it deleted: that is the last."""
    return utc(version.updated) if version.updated else "9999"


# --- does the history lead to where we were?


def is_missing(hub: Hub, party: Party, landmarks: Landmarks, start: datetime, seen: Sequence[RemoteVersion]) -> bool:
    """Whether a look from `start` on should have shown a landmark and did not: then the party went back."""
    known = (landmarks.seen, landmarks.written)
    return any(_is_missing(hub, party, landmark, start, seen) for landmark in known if landmark)


def _is_missing(hub: Hub, party: Party, landmark: Landmark, start: datetime, seen: Sequence[RemoteVersion]) -> bool:
    """Who answers with the newest version of each resource alone need not show it."""
    if landmark.at < instant(start):
        return False
    if any(history.key_of(version) == landmark.key for version in seen):
        return False
    type_, id_, *_ = landmark.key.split("/")
    return feed.tells_every_version(hub.clients[party.name], type_) or not any(
        (version.type, version.id) == (type_, id_) for version in seen
    )


def newest(seen: Sequence[RemoteVersion], known: Landmark | None = None) -> Landmark | None:
    """The version by which the next look can tell that it reads the same history."""
    latest = max((version for version in seen if version.updated and version.version), key=_moment, default=None)
    if latest is None or (known and known.at >= _moment(latest)):
        return known
    return Landmark(history.key_of(latest), _moment(latest))
