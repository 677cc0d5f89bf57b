"""A write to a FHIR party, from the note that it is under way until what became of it is known.

A transaction is all or nothing: one item that is there says that all are. One that is not there yet says nothing for
long: the write may still be on its way. It then comes too late for its condition, or is known by its id; so whoever
wants to write again need not wait for it, nor look at its other items.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING

from fhir_adapter.access.identity import Party
from fhir_adapter.fhir.resources import dump_json
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import change
from fhir_adapter.flows.history import after, made
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.naming import as_ours, id_in, names_to_ours, write_id_of
from fhir_adapter.flows.news import SHARED, newest
from fhir_adapter.remotes import feed
from fhir_adapter.remotes.client import RemoteVersion
from fhir_adapter.store import copies, outbox, plans
from fhir_adapter.store.copies import Copy, Written
from fhir_adapter.store.outbox import Claim

if TYPE_CHECKING:
    import sqlite3


class OvertakenError(Exception):
    """The lease ran out while this worker stalled: the delivery is another one's now."""


def begin(connection: sqlite3.Connection, hub: Hub, claim: Claim, write_id: str, items: Sequence[Written]) -> None:
    """The note that a write is under way, by whoever is the one to write. Raises OvertakenError."""
    _hold(connection, hub, claim)
    now = instant(hub.now())
    copies.begin_write(connection, write_id, party=claim.party, plan=claim.plan, items=items, now=now)


def _hold(connection: sqlite3.Connection, hub: Hub, claim: Claim) -> None:
    if not outbox.renew(connection, claim, seconds=hub.limits.lease):
        raise OvertakenError


def settle(
    connection: sqlite3.Connection,
    hub: Hub,
    party: Party,
    plan_id: str,
    write_id: str,
    made_there: Sequence[RemoteVersion] = (),
) -> None:
    """The write is there: remember what it made, from when on the server's history concerns us, and who was told."""
    _remember(connection, hub, party, plan_id, write_id, made_there)
    if not copies.settle_write(connection, write_id):
        return
    left = [_as_it_was_made(copy) for copy in copies.left_by(connection, write_id)]
    if left and copies.watermark(connection, party.name) is None:
        copies.move_watermark(connection, party.name, min(version.updated for version in left if version.updated))
    if landmark := newest([version for version in left if version.type in SHARED]):
        copies.set_landmark_written(connection, party.name, landmark)
    plan = plans.get(connection, plan_id)
    if plan:
        change.audit(connection, hub, plan, party, "R", hub.now())


def _as_it_was_made(copy: Copy) -> RemoteVersion:
    return RemoteVersion(copy.type, copy.remote_id, copy.version, copy.made, deleted=False, resource=None)


def _remember(
    connection: sqlite3.Connection,
    hub: Hub,
    party: Party,
    plan_id: str,
    write_id: str,
    versions: Sequence[RemoteVersion],
) -> None:
    """The versions that a write made.

    What a reader of the history has seen meanwhile is left out: newer versions may have been taken in since.
    """
    ours = names_to_ours(connection, hub, party, plan_id)
    by_id = {(item.type, item.id): item for item in copies.items_of(connection, write_id)}
    for version in versions:
        item = by_id.get((version.type, id_in(ours(f"{version.type}/{version.id}"))))
        if item is None or not copies.note_arrival(connection, write_id, item.type, item.id, version.version):
            continue
        body = dump_json(as_ours(version.resource or {}, ours))
        copy = Copy(item.type, item.id, version.id, version.version, item.seq, body, made(version))
        copies.save(connection, party.name, copy)


# --- after a crash or a lost answer


def look_for_what_is_under_way(hub: Hub, party: Party, claim: Claim) -> None:
    """Find out whether what was begun has arrived, before anything is written again.

    What was found out about an item is durable at once: who is interrupted goes on from there. Raises RemoteError and
    OvertakenError.
    """
    while pending := copies.pending_writes(hub.database.read(), party.name, claim.plan):
        write_id, is_there = next(iter(pending.items()))
        for item in copies.items_of(hub.database.read(), write_id):
            is_there = item.is_absent or _is_there(hub, party, claim, write_id, item, is_there)
            if not is_there:
                break
        hub.database.write(partial(_end, hub=hub, party=party, claim=claim, write_id=write_id, is_there=is_there))


def _is_there(hub: Hub, party: Party, claim: Claim, write_id: str, item: Written, was_seen: bool) -> bool:
    """Whether the write has arrived, after one more look; `was_seen`: another item of it said so."""
    if write_id in _look_at(hub, party, claim, item):
        return True
    if was_seen:  # the party lost it since, or keeps no histories
        hub.database.write(partial(copies.note_absence, write_id=write_id, item=item))
    return was_seen


def came_late(hub: Hub, party: Party, claim: Claim, refused: Sequence[Written]) -> bool:
    """Whether a write of ours that had been given up is in the way of what was `refused`, or this one, sent twice.

    One look, at what most writes had in common. Raises RemoteError and OvertakenError.
    """
    connection = hub.database.read()

    def unseen(item: Written) -> int:
        return len(copies.unseen_writes_of(connection, party.name, item.type, item.id))

    return bool(_look_at(hub, party, claim, max(refused, key=unseen)))


def _look_at(hub: Hub, party: Party, claim: Claim, item: Written) -> Collection[str]:
    """The writes that made a version of it there of which nobody had known; from now on it is known."""
    found = _found_there(hub, party, item)
    if found:
        hub.database.write(partial(_note, hub=hub, party=party, claim=claim, found=found))
    return found.keys()


def _found_there(hub: Hub, party: Party, item: Written) -> dict[str, RemoteVersion]:
    """By write id, the version that it made: the first one after the base that carries the id."""
    connection = hub.database.read()
    copy = copies.by_id(connection, party.name, item.type, item.id)
    unseen = copies.unseen_writes_of(connection, party.name, item.type, item.id)
    found: dict[str, RemoteVersion] = {}
    versions = feed.versions_of(hub.clients[party.name], item.type, copy.remote_id if copy else item.id)
    for version in after(versions, copy):
        write_id = write_id_of(version.resource)
        if write_id in unseen:
            found.setdefault(write_id, version)
    return found


def _note(
    connection: sqlite3.Connection, hub: Hub, party: Party, claim: Claim, found: Mapping[str, RemoteVersion]
) -> None:
    """So far it got: an attempt that gets further is none in vain."""
    _hold(connection, hub, claim)
    outbox.count_anew(connection, claim)
    for write_id, version in found.items():
        _remember(connection, hub, party, claim.plan, write_id, [version])
        copies.note_that_it_arrived(connection, write_id)


def _end(
    connection: sqlite3.Connection, hub: Hub, party: Party, claim: Claim, write_id: str, *, is_there: bool
) -> None:
    if is_there:
        settle(connection, hub, party, claim.plan, write_id)
    else:
        copies.abandon_write(connection, write_id)
