"""The sync story: keep a FHIR server the same as the shared plan, in both directions, through the one merge.

collect  what changed there? -> every version since the base -> journal -> merge -> move the watermark
deliver  claim -> what does it lack? -> note the write -> transaction with If-Match -> settle
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import Conflict, RemoteError
from fhir_adapter.flows import circuit, deletions, letters, reading, safety
from fhir_adapter.flows.collect import LONG_OVERLAP, OVERLAP, collect
from fhir_adapter.flows.deliver import deliver, deliver_next
from fhir_adapter.flows.hub import Hub
from fhir_adapter.store import copies, journal, outbox, sides

__all__ = [
    "LONG_OVERLAP",
    "OVERLAP",
    "Cycle",
    "collect",
    "cycle",
    "deliver",
    "deliver_next",
    "look",
    "resume",
    "standing",
]


@dataclass(frozen=True, slots=True)
class Cycle:
    """One turn with a party: versions taken in, plans delivered, and what is left. `problem`: it did not answer.

    `undecided`: versions that are parked, and deletions of which somebody is asked whether the thing ends.
    """

    party: str
    taken: int
    delivered: int
    waiting: int
    parked: int
    undecided: int
    problem: str | None = None
    stopped: str | None = None

    @property
    def is_settled(self) -> bool:
        """Whether nothing is left to do or to look at."""
        return not (self.waiting or self.parked or self.undecided or self.problem or self.stopped)


def cycle(hub: Hub, party: Party, *, overlap: timedelta = OVERLAP) -> Cycle:
    """Take in what is new at the party, then bring it up to date. A party that rests or was stopped is left alone."""
    taken = look(hub, party, overlap=overlap)
    return standing(hub, party, taken or 0, 0 if taken is None else deliver(hub, party))


def look(hub: Hub, party: Party, *, overlap: timedelta = OVERLAP) -> int | None:
    """Take in what is new at the party: how many versions; None where it rests, was stopped or does not answer."""
    if not circuit.may_go(hub, party):
        return None
    try:
        astray = safety.astray_in_a_sample(reading.patiently(hub, party), party)
        return collect(hub, party, astray, overlap=overlap) if circuit.may_go(hub, party) else None
    except RemoteError as fault:
        circuit.failed(hub, party, fault)
        return None


def standing(hub: Hub, party: Party, taken: int = 0, delivered: int = 0) -> Cycle:
    """How it stands with the party."""
    connection = hub.database.read()
    side = sides.get(connection, party.name)
    waiting, parked = outbox.open_count(connection, party.name)
    undecided = journal.count_parked(connection, party.name) + deletions.count_asked_about(connection, hub, party)
    return Cycle(party.name, taken, delivered, waiting, parked, undecided, side.problem, side.stopped)


def resume(hub: Hub, party: Party, *, restore: bool = False, accept: bool = False) -> int:
    """Go on with a party that was stopped; returns how many resources it is given again.

    `restore`: what it lost, deleted or holds in an earlier state it is told again; `accept`: what it deleted was meant.
    Raises Conflict when it was not stopped, or when much is still lost or deleted there and neither is asked for.
    """
    if sides.get(hub.database.read(), party.name).stopped is None:
        raise Conflict(f"{party.name} was not stopped")
    held = copies.held(hub.database.read(), party.name)
    lost = safety.astray(hub, party, held)
    deleted = [] if accept else safety.deleted(hub, party, held)
    for found, what, how in ((lost, safety.GONE, ""), (deleted, "deleted", ", --accept takes that as meant")):
        if not restore and safety.is_much(hub, len(found), len(held)):
            many = f"{len(found)} of {len(held)} resources at {party.name}"
            raise Conflict(f"{many} are still {what}: --restore brings them{how}")
    reading.forget(hub, party)  # it was repaired since
    # what it lost is noted while nobody looks: a worker that missed it would stop the party again
    collect(hub, party, lost, overlap=LONG_OVERLAP, deletions_are_meant=accept, setbacks_are_known=restore)
    letters.resume(hub, party)
    return len(lost) + len(deleted) if restore else 0
