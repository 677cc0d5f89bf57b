"""When a FHIR party may be spoken to: after failures in a row it rests, and one worker tries whether it is back."""

from __future__ import annotations

import random

import structlog

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import RemoteError
from fhir_adapter.flows.hub import Hub
from fhir_adapter.store import sides

LONGEST_REST = 3600.0
"""Seconds: a server that asks for a longer pause is asked again after this time."""

log = structlog.get_logger()


def may_go(hub: Hub, party: Party) -> bool:
    """Whether the party can be spoken to now. After a rest one worker finds out; the others wait for what it finds."""
    side = sides.get(hub.database.read(), party.name)
    if side.stopped is not None or side.rests:
        return False
    if side.failures < hub.limits.circuit_failures:
        return True
    seconds = hub.limits.lease
    if not hub.database.write(lambda connection: sides.may_try_again(connection, party.name, seconds=seconds)):
        return False
    fault = hub.clients[party.name].why_it_does_not_answer()
    if fault is not None:
        failed(hub, party, fault, tried=True)
        return False
    succeeded(hub, party)
    return True


def failed(hub: Hub, party: Party, fault: RemoteError, *, tried: bool = False) -> float:
    """Note that the party does not answer or asks for a pause; returns the seconds that nobody will speak to it.

    A longer pause that stands already stays; of who `tried` whether it is back, the others' wait for that ends.
    """
    failures = sides.get(hub.database.read(), party.name).failures + 1
    asked = min(fault.retry_after, LONGEST_REST) if fault.retry_after is not None else 0.0
    seconds = max(asked, pause(hub, failures) if failures >= hub.limits.circuit_failures else 0.0)
    what = problem(fault)
    hub.database.write(
        lambda connection: sides.fail(connection, party.name, seconds=seconds, problem=what, tried=tried)
    )
    log.warning("party does not answer", party=party.name, problem=what, failures=failures, seconds=round(seconds, 1))
    return seconds


def succeeded(hub: Hub, party: Party) -> None:
    """The party did what it was asked for."""
    if sides.get(hub.database.read(), party.name).failures:
        hub.database.write(lambda connection: sides.recover(connection, party.name))
        log.info("party answers again", party=party.name)


def is_down(hub: Hub, party: Party, fault: RemoteError) -> bool:
    """Whether a failure is the party's and not that of what was sent: does it answer anything at all?"""
    if fault.answered == 429:
        return True
    if fault.answered in (None, 502, 503, 504):
        return hub.clients[party.name].why_it_does_not_answer() is not None
    return False


def pause(hub: Hub, times: int) -> float:
    """Seconds until the next attempt: growing, and random over their whole range, so that nobody comes together."""
    return random.uniform(0, min(hub.limits.longest_pause, 0.5 * 2 ** min(times, 20)))  # noqa: S311 - jitter


def problem(fault: RemoteError) -> str:
    """What went wrong, in words that hold nothing about a person."""
    is_refusal = fault.answered is not None and not 200 <= fault.answered < 300
    return f"answered {fault.answered}" if is_refusal else str(fault)
