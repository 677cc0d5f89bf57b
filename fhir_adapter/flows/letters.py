"""Deliveries that ended: done, parked with a Task that asks to look, retried, or dropped for a stated reason."""

from __future__ import annotations

from typing import TYPE_CHECKING
from uuid import uuid5

import structlog

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import Conflict, NotFound
from fhir_adapter.flows import change
from fhir_adapter.flows.hub import Hub
from fhir_adapter.plan import attention
from fhir_adapter.store import outbox, plans, resources, sides
from fhir_adapter.store.outbox import Claim, Letter

if TYPE_CHECKING:
    import sqlite3

log = structlog.get_logger()


def finish(hub: Hub, claim: Claim) -> None:
    """The party is up to date with the plan; so what was parked for it earlier is settled, too."""

    def work(connection: sqlite3.Connection) -> None:
        for overtaken in outbox.finish(connection, claim):
            _close_task(connection, hub, _task_id(hub, overtaken), "completed")

    hub.database.write(work)


def park(hub: Hub, claim: Claim, problem: str) -> None:
    """Give up for now, and ask somebody to look."""

    def work(connection: sqlite3.Connection) -> bool:
        if not outbox.park(connection, claim, problem):
            return False
        task = attention.task(
            "delivery-parked",
            id=_task_id(hub, claim.id),
            about=f"CarePlan/{claim.plan}",
            owner=hub.parties[claim.party].reference,
            said={"party": claim.party, "problem": problem, "delivery": str(claim.id), "attempts": str(claim.attempts)},
            now=hub.now(),
        )
        resources.save(connection, task, now=hub.now())  # no part of the plan: nobody else is told
        return True

    if hub.database.write(work):
        log.error("delivery parked", party=claim.party, plan=claim.plan, problem=problem)


def retry(hub: Hub, id_: int) -> Letter:
    """Have a parked delivery tried anew, a waiting one at once. Raises NotFound, and Conflict when it is over."""

    def work(connection: sqlite3.Connection) -> Letter:
        _known(connection, id_)
        if not outbox.retry(connection, id_):
            raise Conflict(f"delivery {id_} is over: only what waits or is parked can be tried again")
        _close_task(connection, hub, _task_id(hub, id_), "completed")
        return _known(connection, id_)

    letter = hub.database.write(work)
    hub.changed()
    return letter


def drop(hub: Hub, id_: int, reason: str) -> Letter:
    """Take a delivery out of the line and note why. Raises NotFound, and Conflict when it is over or under way."""

    def work(connection: sqlite3.Connection) -> Letter:
        letter = _known(connection, id_)
        if not outbox.drop(connection, id_, reason):
            raise Conflict(f"delivery {id_} is over, or a worker is at it: nothing was dropped")
        _close_task(connection, hub, _task_id(hub, id_), "cancelled", reason)
        plan, party = plans.get(connection, letter.plan), hub.parties.get(letter.party, Party(letter.party, ""))
        if plan:
            change.audit(connection, hub, plan, party, "E", hub.now(), [f"delivery {id_} dropped: {reason}"])
        return _known(connection, id_)

    return hub.database.write(work)


def listed(hub: Hub, *, also_settled: bool = False, count: int = 1000) -> list[Letter]:
    """What waits or is parked, oldest first; or the newest deliveries of any state."""
    return outbox.letters(hub.database.read(), count, also_settled=also_settled)


def show(hub: Hub, id_: int) -> Letter:
    """One delivery. Raises NotFound."""
    return _known(hub.database.read(), id_)


def stop(hub: Hub, party: Party, problem: str) -> None:
    """Exchange nothing more with the party until somebody has looked."""

    def work(connection: sqlite3.Connection) -> bool:
        if not sides.stop(connection, party.name, problem):
            return False
        said = {"party": party.name, "problem": problem}
        task = attention.task(
            "party-stopped",
            id=_stop_task_id(hub, party),
            about=None,
            owner=party.reference,
            said=said,
            now=hub.now(),
        )
        resources.save(connection, task, now=hub.now())
        return True

    if hub.database.write(work):
        log.error("party stopped", party=party.name, problem=problem)


def resume(hub: Hub, party: Party) -> bool:
    """Go on with a party that was stopped. False when it was not."""

    def work(connection: sqlite3.Connection) -> bool:
        _close_task(connection, hub, _stop_task_id(hub, party), "completed")
        return sides.resume(connection, party.name)

    return hub.database.write(work)


def _known(connection: sqlite3.Connection, id_: int) -> Letter:
    letter = outbox.get(connection, id_)
    if letter is None:
        raise NotFound(f"there is no delivery {id_}")
    return letter


def _task_id(hub: Hub, delivery: int) -> str:
    return str(uuid5(hub.namespace, f"delivery|{delivery}"))


def _stop_task_id(hub: Hub, party: Party) -> str:
    return str(uuid5(hub.namespace, f"stopped|{party.name}"))


def _close_task(connection: sqlite3.Connection, hub: Hub, id_: str, status: str, reason: str | None = None) -> None:
    stored = resources.read(connection, "Task", id_)
    if stored and not stored.deleted:
        resources.save(connection, attention.closed(stored.body, status, reason), now=hub.now())
