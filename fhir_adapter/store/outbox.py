"""The outbox: written with the change it announces, worked off first in first out per (plan, party)."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from fhir_adapter.store.database import queries

_SQL = queries("outbox.sql")


@dataclass(frozen=True, slots=True)
class Claim:
    """A row that this worker may work on until its lease ends; `fence` proves that it is still the one."""

    id: int
    plan: str
    party: str
    attempts: int
    refusals: int
    fence: int


@dataclass(frozen=True, slots=True)
class Letter:
    """A row for people to look at. `due` is in unix seconds by the database's clock; `claimed`: a worker is at it."""

    id: int
    plan: str
    party: str
    created: str
    state: str
    attempts: int
    due: float
    problem: str | None
    reason: str | None
    claimed: bool


def queue(connection: sqlite3.Connection, plan: str, party: str, now: str) -> None:
    """Have the party brought up to date with the plan."""
    connection.execute(_SQL["queue"], {"plan": plan, "party": party, "now": now})


def claim(connection: sqlite3.Connection, party: str, *, seconds: float) -> Claim | None:
    """The next row that is due for this party, leased for `seconds`; None when there is none or the party rests."""
    row = connection.execute(_SQL["claim"], {"party": party, "seconds": seconds}).fetchone()
    return Claim(*row) if row else None


def renew(connection: sqlite3.Connection, claim: Claim, *, seconds: float) -> bool:
    """Begin the lease anew. False when it has run out: another worker may be at it."""
    values = {"id": claim.id, "fence": claim.fence, "seconds": seconds}
    return connection.execute(_SQL["renew"], values).rowcount == 1


def count_anew(connection: sqlite3.Connection, claim: Claim) -> None:
    """The attempt brought something forward: those before it do not count any more, nor does this one."""
    connection.execute(_SQL["count_anew"], {"id": claim.id, "fence": claim.fence})


def as_it_stands(connection: sqlite3.Connection, claim: Claim) -> Claim:
    """The claim with what counts against it now."""
    row = connection.execute(_SQL["as_it_stands"], {"id": claim.id, "fence": claim.fence}).fetchone()
    return Claim(*row) if row else claim


def finish(connection: sqlite3.Connection, claim: Claim) -> list[int]:
    """The party is up to date. Returns the parked rows for the same plan that this settles as well."""
    if not _end(connection, claim, "done", None):
        return []  # another worker took the row over meanwhile
    values = {"plan": claim.plan, "party": claim.party, "id": claim.id}
    return [row[0] for row in connection.execute(_SQL["overtaken"], values).fetchall()]


def park(connection: sqlite3.Connection, claim: Claim, problem: str) -> bool:
    """Give up for now: the row stays, with a sentence that says why, until somebody looks. False: no longer ours."""
    return _end(connection, claim, "parked", problem)


def _end(connection: sqlite3.Connection, claim: Claim, state: str, problem: str | None) -> bool:
    values = {"id": claim.id, "fence": claim.fence, "state": state, "problem": problem}
    return connection.execute(_SQL["finish"], values).rowcount == 1


def postpone(
    connection: sqlite3.Connection,
    claim: Claim,
    *,
    seconds: float,
    problem: str,
    refused: bool = False,
    forgiven: bool = False,
) -> bool:
    """Try again after `seconds`. `refused`: for what was in it; `forgiven`: the attempt is not counted against it."""
    values = {"id": claim.id, "fence": claim.fence, "seconds": seconds, "problem": problem}
    values |= {"refused": int(refused), "forgiven": int(forgiven)}
    return connection.execute(_SQL["postpone"], values).rowcount == 1


def retry(connection: sqlite3.Connection, id_: int) -> bool:
    """Have a parked row tried anew, or a waiting one at once. False when it is neither."""
    return any(connection.execute(_SQL[name], {"id": id_}).rowcount for name in ("retry", "hurry"))


def drop(connection: sqlite3.Connection, id_: int, reason: str) -> bool:
    """Take a row out of the line; it stays to be seen. False when it is over already or a worker is at it."""
    return connection.execute(_SQL["drop"], {"id": id_, "reason": reason}).rowcount == 1


def get(connection: sqlite3.Connection, id_: int) -> Letter | None:
    """The row with this id."""
    row = connection.execute(_SQL["get"], {"id": id_}).fetchone()
    return _letter(row) if row else None


def letters(connection: sqlite3.Connection, count: int, *, also_settled: bool = False) -> list[Letter]:
    """What is not delivered yet, oldest first; with `also_settled` the newest rows of any state."""
    name = "newest" if also_settled else "open"
    return [_letter(row) for row in connection.execute(_SQL[name], {"count": count})]


def _letter(row: tuple[Any, ...]) -> Letter:
    return Letter(*row[:-1], claimed=bool(row[-1]))  # type: ignore[misc]  # the columns are in the order of the fields


def release(connection: sqlite3.Connection) -> None:
    """Free what a process that is gone had claimed. Only for who knows that no other worker is running."""
    connection.execute(_SQL["release"])


def is_open(connection: sqlite3.Connection, plan: str, party: str) -> bool:
    """Whether something of this plan is still to be delivered to the party."""
    return connection.execute(_SQL["is_open"], {"plan": plan, "party": party}).fetchone() is not None


def open_count(connection: sqlite3.Connection, party: str) -> tuple[int, int]:
    """How many of the party's rows wait, and how many are parked."""
    waiting, parked = connection.execute(_SQL["open_count"], {"party": party}).fetchone()
    return waiting, parked
