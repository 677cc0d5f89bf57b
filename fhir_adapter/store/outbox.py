"""The outbox: written with the change it announces, worked off first in first out per (plan, party)."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from fhir_adapter.store.database import queries

_SQL = queries("outbox.sql")


@dataclass(frozen=True, slots=True)
class Claim:
    """A row that this worker may work on until its lease ends; `fence` proves that it is still the one."""

    id: int
    plan: str
    party: str
    attempts: int
    fence: int


def queue(connection: sqlite3.Connection, plan: str, party: str, now: str) -> None:
    """Have the party brought up to date with the plan."""
    connection.execute(_SQL["queue"], {"plan": plan, "party": party, "now": now})


def claim(connection: sqlite3.Connection, party: str, *, seconds: float) -> Claim | None:
    """The next row that is due for this party, leased for `seconds`; None when there is none."""
    row = connection.execute(_SQL["claim"], {"party": party, "seconds": seconds}).fetchone()
    return Claim(*row) if row else None


def finish(connection: sqlite3.Connection, claim: Claim) -> bool:
    """The party is up to date. False when another worker took the row over meanwhile."""
    return _end(connection, claim, "done", None)


def park(connection: sqlite3.Connection, claim: Claim, problem: str) -> bool:
    """Give up for now: the row stays, with a sentence that says why, until somebody looks."""
    return _end(connection, claim, "parked", problem)


def _end(connection: sqlite3.Connection, claim: Claim, state: str, problem: str | None) -> bool:
    return (
        connection.execute(
            _SQL["finish"], {"id": claim.id, "fence": claim.fence, "state": state, "problem": problem}
        ).rowcount
        == 1
    )


def postpone(connection: sqlite3.Connection, claim: Claim, *, seconds: float, problem: str) -> bool:
    """Try again after `seconds`."""
    return (
        connection.execute(
            _SQL["postpone"], {"id": claim.id, "fence": claim.fence, "seconds": seconds, "problem": problem}
        ).rowcount
        == 1
    )


def release(connection: sqlite3.Connection) -> None:
    """Free what a process that is gone had claimed. Only for who knows that no other worker is running."""
    connection.execute(_SQL["release"])


def counts(connection: sqlite3.Connection) -> dict[str, dict[str, int]]:
    """How many rows each party has in each state."""
    found: dict[str, dict[str, int]] = {}
    for party, state, count in connection.execute(_SQL["counts"]):
        found.setdefault(party, {})[state] = count
    return found
