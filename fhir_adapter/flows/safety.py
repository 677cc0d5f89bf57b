"""A party that suddenly lost much of what it was given is stopped until somebody has looked.

An empty database behind the right address, a restore of an old backup, a script that deletes: taken for what people
said, each would empty the plans of everybody else.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fhir_adapter.access.identity import Party
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.flows import history, letters
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.news import Name, News
from fhir_adapter.remotes import feed
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.store import copies, sides
from fhir_adapter.store.copies import Copy

if TYPE_CHECKING:
    import sqlite3

SAMPLE = 40
"""How many resources are looked for at a time."""

FEW = 5
"""So many are never too many, unless that is all: people do delete."""

BATCH = 50
"""Ids in one search: short enough for every server."""


def astray_in_a_sample(hub: Hub, party: Party) -> list[Name]:
    """Now and then: what of a sample is not there as it was left. Where that is much, the party is stopped."""
    seconds = hub.limits.check_interval
    if not hub.database.write(lambda connection: sides.is_to_be_checked(connection, party.name, seconds=seconds)):
        return []
    sample = copies.some_held(hub.database.read(), party.name, SAMPLE)
    found = astray(hub, party, sample)
    if is_much(hub, len(found), len(sample)):
        letters.stop(hub, party, f"{len(found)} of {len(sample)} resources that were looked for are {GONE}")
    return found


GONE = "not there any more, or in an earlier state"


def is_too_much(hub: Hub, party: Party, news: News, deletions_are_meant: bool, setbacks_are_known: bool) -> bool:
    """Whether so much was deleted there at once, or went back, that somebody has to look; the party is stopped then."""
    deleted = {(version.type, version.id) for version in news.versions if version.deleted}
    lost = [one for one in news.setbacks if not one.copy.is_lost]
    held = _held_beside(hub, party, len(deleted))
    if not deletions_are_meant and is_much(hub, len(deleted), held):
        letters.stop(hub, party, f"{len(deleted)} of {held} resources were deleted there at once")
        return True
    held = _held_beside(hub, party, len(lost))
    if not setbacks_are_known and is_much(hub, len(lost), held):
        letters.stop(hub, party, f"{len(lost)} of {held} resources are {GONE}: was a backup restored there?")
        return True
    return False


def _held_beside(hub: Hub, party: Party, count: int) -> int:
    """How much the party holds, counted as far as it takes to see that `count` are not much of it."""
    enough = int(count / hub.limits.stop_when_lost_share) + 1
    return copies.count(hub.database.read(), party.name, enough)


def is_much(hub: Hub, count: int, of: int) -> bool:
    """Whether so many of so many are more than a few, and more than the share that may be lost."""
    return count / max(of, 1) > hub.limits.stop_when_lost_share and (count > FEW or count >= of)


def astray(hub: Hub, party: Party, held: Sequence[Copy]) -> list[Name]:
    """What is not there as it was left: gone without a trace, or in an earlier state, or another one's by now."""
    client, connection = hub.clients[party.name], hub.database.read()
    there = found_by_id(client, held)
    return [
        (copy.type, copy.remote_id)
        for copy in held
        if _is_astray(connection, client, party, copy, there.get((copy.type, copy.remote_id)))
    ]


def deleted(hub: Hub, party: Party, held: Sequence[Copy]) -> list[Name]:
    """What somebody deleted there since it was left."""
    here = [copy for copy in held if not (copy.is_theirs or copy.is_deleted)]
    there = found_by_id(hub.clients[party.name], here)
    missing = [copy for copy in here if (copy.type, copy.remote_id) not in there]
    return [(copy.type, copy.remote_id) for copy in missing if not history.is_gone(hub.clients[party.name], copy)]


def _is_astray(
    connection: sqlite3.Connection, client: FhirClient, party: Party, copy: Copy, now: Resource | None
) -> bool:
    if now is None:
        return history.is_gone(client, copy)
    if copy.is_theirs:
        return False
    version = feed.current_version(now)
    if history.is_at(copy, version):
        return False
    if history.mark_of(connection, party, copy, version) != "new":
        return True
    return history.is_older(version, copy) or history.was_made_before(version, copy)


def found_by_id(client: FhirClient, wanted: Sequence[Copy]) -> dict[Name, Resource]:
    """The current resources there, by type and id, asked for many at once."""
    found: dict[Name, Resource] = {}
    for type_ in sorted({copy.type for copy in wanted}):
        ids = sorted(copy.remote_id for copy in wanted if copy.type == type_)
        for start in range(0, len(ids), BATCH):
            for resource in client.search(type_, {"_id": ",".join(ids[start : start + BATCH])}):
                found[resource["resourceType"], resource["id"]] = resource
    return found
