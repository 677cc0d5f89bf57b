"""Take in what a FHIR party changed: its history is a hint, every version since the base goes through the one merge."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import structlog

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import RemoteError
from fhir_adapter.flows import deletions, joined, news, safety
from fhir_adapter.flows.belonging import person_it_is_due_to
from fhir_adapter.flows.history import Setback, utc
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.incoming import incoming_of
from fhir_adapter.flows.intake import take_in_or_park
from fhir_adapter.flows.news import Name
from fhir_adapter.flows.reading import Reading, take_up
from fhir_adapter.store import copies, sides
from fhir_adapter.store.copies import Copy, Landmark
from fhir_adapter.store.sides import Turn

if TYPE_CHECKING:
    import sqlite3

OVERLAP = timedelta(seconds=5)
"""How far back of the watermark a history is read again: versions of transactions that ended late lie there."""

LONG_OVERLAP = timedelta(minutes=15)
"""The same for a look that also finds what was written while the other side's clock was behind."""

PATIENCE = 10.0
"""Seconds that a delivery waits for another worker to end its reading."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Look:
    """What one look at a party is for; `collect` says what each means."""

    suspects: Sequence[Name]
    deletions_are_meant: bool
    setbacks_are_known: bool

    @property
    def undoes_deletions(self) -> bool:
        """Whether what was deleted there is to be told again, like what was lost."""
        return self.setbacks_are_known and not self.deletions_are_meant


def collect(
    hub: Hub,
    party: Party,
    suspects: Sequence[Name] = (),
    *,
    overlap: timedelta = OVERLAP,
    deletions_are_meant: bool = False,
    setbacks_are_known: bool = False,
) -> int:
    """Take in what changed at the party since the watermark (and at `suspects`); returns how many versions counted.

    `overlap`: how far before the watermark the look begins; LONG_OVERLAP now and then, for clocks that were set back.
    `deletions_are_meant`, `setbacks_are_known`: somebody said so; else many at once stop the party and nothing is
    taken in.

    The server's history is only a hint at what to look at; each resource's own history decides. One worker at a time
    reads a party: without suspects, nothing is done while another one is at it.
    """
    if copies.watermark(hub.database.read(), party.name) is None and not suspects:
        return 0
    turn = _turn(hub, party, PATIENCE if suspects else 0.0)
    if turn is None:
        return 0
    try:
        return _go_on(take_up(hub, party, overlap), turn, Look(suspects, deletions_are_meant, setbacks_are_known))
    finally:
        hub.database.write(lambda connection: sides.end_reading(connection, turn))


def _turn(hub: Hub, party: Party, patience: float) -> Turn | None:
    until = time.monotonic() + patience
    begin = partial(sides.begin_reading, party=party.name, seconds=hub.limits.lease)
    while (turn := hub.database.write(begin)) is None and time.monotonic() < until:
        time.sleep(0.05)
    return turn


def _go_on(reading: Reading, turn: Turn, look: Look) -> int:
    """Read what is left to be read, and take it in; what was read is kept where that does not succeed."""
    try:
        taken = _collect(reading.hub, reading.party, turn, look, reading)
    except RemoteError as fault:
        if fault.retry:
            reading.keep()
        raise
    if taken is None:  # another worker was at it since this one looked: the next turn takes the same in
        reading.keep()
    return taken or 0


def _collect(hub: Hub, party: Party, turn: Turn, look: Look, reading: Reading) -> int | None:
    asking, since, start, known = reading.asking, reading.since, reading.start, reading.known
    seen = news.changes_since(asking, party, start) if start else []
    is_lost = start is not None and news.is_missing(asking, party, known, start, seen)
    found = news.read(asking, party, seen, look.suspects, start)
    if is_lost or found.setbacks:  # what else went back with it?
        found = news.read(asking, party, seen, sorted({*look.suspects, *_doubtful(asking, party, known.seen)}), start)
    is_answered = look.deletions_are_meant or look.undoes_deletions
    if safety.is_too_much(hub, party, found, is_answered, look.setbacks_are_known):
        return 0
    look_again = joined.left_alone(hub, party, found.versions)
    newest = max((utc(version.updated) for version in seen if version.updated), default=since)
    if not (found.versions or found.setbacks or is_lost) and newest == since:
        return 0

    def take_in(connection: sqlite3.Connection) -> int | None:
        if not sides.reads_still(connection, turn) or _is_overtaken(connection, party, found.setbacks):
            return None
        joined.follow(connection, hub, party, [*seen, *look_again])
        for setback in found.setbacks:
            _go_back(connection, hub, party, setback)
        is_due = partial(person_it_is_due_to, connection, hub, party, found.versions)
        versions = joined.without_strangers(connection, party, found.versions, is_due)
        entering = replace(found, versions=versions, deletions_are_undone=look.undoes_deletions)
        taken = sum(take_in_or_park(connection, hub, party, version, entering) for version in entering.versions)
        if newest:
            copies.move_watermark(connection, party.name, newest)
            copies.set_landmark_seen(connection, party.name, news.newest(seen, None if is_lost else known.seen))
        if is_lost:
            copies.set_landmark_written(connection, party.name, None)
        return taken

    taken = hub.database.write(take_in)
    if taken or found.setbacks:
        hub.changed()
    return taken


def _doubtful(hub: Hub, party: Party, landmark: Landmark | None) -> list[Name]:
    """What is not there as it was left, and what came after all that is certain: that may have been written over what a
    backup had brought back."""
    held, certain = copies.held(hub.database.read(), party.name), landmark.at if landmark else ""
    return safety.astray(hub, party, held) + [(copy.type, copy.remote_id) for copy in held if copy.made > certain]


def _is_overtaken(connection: sqlite3.Connection, party: Party, setbacks: Sequence[Setback]) -> bool:
    """Whether somebody was at what went back since it was looked at."""
    return any(copies.by_id(connection, party.name, one.copy.type, one.copy.id) != one.copy for one in setbacks)


def _go_back(connection: sqlite3.Connection, hub: Hub, party: Party, setback: Setback) -> None:
    """What the party has now is what it goes on from, and it is told the plan's word again."""
    copy = setback.copy
    if setback.is_gone and copy.is_theirs:
        copies.forget(connection, party.name, copy)
    else:
        copies.save(connection, party.name, _copy_after(connection, hub, party, setback))
    deletions.tell_again(connection, party, copy, hub.now())
    log.warning("party went back", party=party.name, type=copy.type, known=copy.version)


def _copy_after(connection: sqlite3.Connection, hub: Hub, party: Party, setback: Setback) -> Copy:
    """What never was here is no base: what was made on it is a write to something that the party was not shown.

    Nor is what it wrote itself where it was shown nothing, and somebody dropped.
    """
    copy = setback.copy
    if setback.is_gone:
        return replace(copy, version=copies.LOST, sent=0, body=b"{}", made="")
    if setback.base is None:
        return replace(copy, version="", sent=None, body=b"{}", made="")
    base = incoming_of(connection, hub, party, setback.base, copy).as_copy(None if setback.base.deleted else 0)
    return base if copy.is_shown or copy.is_lost else replace(base, sent=0, body=b"{}")
