"""A party that suddenly lost much of what it was given is stopped until somebody has looked.

An empty database behind the right address, a restore of an old backup, a script that deletes: taken for what people
said, each would empty the plans of everybody else.
"""

from __future__ import annotations

import random
from collections.abc import Iterable, Sequence
from typing import TYPE_CHECKING

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import Conflict
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import letters
from fhir_adapter.flows.hub import Hub
from fhir_adapter.remotes.client import FhirClient, RemoteVersion
from fhir_adapter.store import copies, outbox, plans, sides
from fhir_adapter.store.copies import LOST, Copy

if TYPE_CHECKING:
    import sqlite3

SAMPLE = 40
"""How many plans are looked for at a time."""

FEW = 5
"""So many deletions are never too many: people do delete."""

BATCH = 50
"""Ids in one search: short enough for every server."""


def has_lost_too_much(hub: Hub, party: Party) -> bool:
    """Now and then: is a sample of the plans that it was given still there? If not, the party is stopped."""
    seconds = hub.limits.check_interval
    if not hub.database.write(lambda connection: sides.is_to_be_checked(connection, party.name, seconds=seconds)):
        return False
    given = copies.given(hub.database.read(), party.name, "CarePlan")
    sample = random.sample(given, min(SAMPLE, len(given)))
    missing = _vanished(hub.clients[party.name], sample)
    if not sample or len(missing) / len(sample) <= hub.limits.stop_when_lost_share:
        return False
    letters.stop(hub, party, f"{len(missing)} of {len(sample)} plans that were looked for are not there any more")
    return True


def deletes_too_much(hub: Hub, party: Party, versions: Sequence[RemoteVersion]) -> bool:
    """Whether so much was deleted there at once that somebody has to confirm it; the party is stopped then."""
    deleted = {(version.type, version.id) for version in versions if version.deleted}
    if len(deleted) <= FEW:
        return False
    held = copies.count(hub.database.read(), party.name)
    if len(deleted) / max(held, 1) <= hub.limits.stop_when_lost_share:
        return False
    letters.stop(hub, party, f"{len(deleted)} of {held} resources were deleted there at once")
    return True


def resume(hub: Hub, party: Party, *, restore: bool) -> int:
    """Go on with a party that was stopped; returns how many resources it is given again.

    Raises Conflict when it was not stopped, or when plans are still missing there and `restore` is not asked for.
    """
    if sides.get(hub.database.read(), party.name).stopped is None:
        raise Conflict(f"{party.name} was not stopped")
    client, connection = hub.clients[party.name], hub.database.read()
    given = copies.given(connection, party.name, "CarePlan")
    missing = _vanished(client, given)
    if not restore and len(missing) > hub.limits.stop_when_lost_share * len(given):
        raise Conflict(f"{len(missing)} of {len(given)} plans are still missing at {party.name}: --restore brings them")
    lost = _vanished(client, copies.given(connection, party.name)) if restore else []
    hub.database.write(lambda connection: _bring_again(connection, hub, party, lost))
    letters.resume(hub, party)
    return len(lost)


def _bring_again(connection: sqlite3.Connection, hub: Hub, party: Party, lost: Iterable[Copy]) -> None:
    concerned = set()
    for copy in lost:
        copies.save(connection, party.name, Copy(copy.type, copy.id, copy.remote_id, LOST, 0, b"{}"))
        concerned.update(plans.plans_of(connection, copy.type, copy.id))
    for plan_id in sorted(concerned):
        outbox.queue(connection, plan_id, party.name, instant(hub.now()))


def _vanished(client: FhirClient, held: Sequence[Copy]) -> list[Copy]:
    """What is gone without a trace. What somebody deleted leaves one (410)."""
    there = found_by_id(client, held)
    absent = (copy for copy in held if (copy.type, copy.remote_id) not in there)
    return [copy for copy in absent if client.read(copy.type, copy.remote_id) is None]


def found_by_id(client: FhirClient, wanted: Sequence[Copy]) -> dict[tuple[str, str], Resource]:
    """The current resources there, by type and id, asked for many at once."""
    found: dict[tuple[str, str], Resource] = {}
    for type_ in sorted({copy.type for copy in wanted}):
        ids = sorted(copy.remote_id for copy in wanted if copy.type == type_)
        for start in range(0, len(ids), BATCH):
            for resource in client.search(type_, {"_id": ",".join(ids[start : start + BATCH])}):
                found[resource["resourceType"], resource["id"]] = resource
    return found
