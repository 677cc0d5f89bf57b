"""How it stands with each FHIR party, for all workers together: its circuit, who reads it, whether it was stopped."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from fhir_adapter.store.database import queries

_SQL = queries("sides.sql")


@dataclass(frozen=True, slots=True)
class Side:
    """`failures` in a row; `rests` for `seconds` more; `stopped`: why nothing is exchanged any more."""

    party: str
    failures: int = 0
    rests: bool = False
    seconds: float = 0.0
    problem: str | None = None
    stopped: str | None = None


@dataclass(frozen=True, slots=True)
class Turn:
    """The right to read a party's history; `fence` proves that it is still ours."""

    party: str
    fence: int


def get(connection: sqlite3.Connection, party: str) -> Side:
    """How it stands with the party."""
    row = connection.execute(_SQL["get"], {"party": party}).fetchone()
    return Side(row[0], row[1], bool(row[2]), *row[3:]) if row else Side(party)


def fail(connection: sqlite3.Connection, party: str, *, seconds: float, problem: str, tried: bool = False) -> None:
    """It did not answer, or asked for a pause: nobody speaks to it for `seconds`. `tried`: after `may_try_again`."""
    values = {"party": party, "seconds": seconds, "problem": problem, "tried": int(tried)}
    connection.execute(_SQL["fail"], values)


def may_try_again(connection: sqlite3.Connection, party: str, *, seconds: float) -> bool:
    """Whether this worker is the one that tries if the party is back; the others wait `seconds` for what it finds."""
    return connection.execute(_SQL["try_again"], {"party": party, "seconds": seconds}).rowcount == 1


def recover(connection: sqlite3.Connection, party: str) -> bool:
    """It answers again. True when it had not."""
    return connection.execute(_SQL["recover"], {"party": party}).rowcount == 1


def begin_reading(connection: sqlite3.Connection, party: str, *, seconds: float) -> Turn | None:
    """The right to read the party's history for `seconds`; None while another worker has it."""
    connection.execute(_SQL["add"], {"party": party})
    row = connection.execute(_SQL["read"], {"party": party, "seconds": seconds}).fetchone()
    return Turn(party, row[0]) if row else None


def reads_still(connection: sqlite3.Connection, turn: Turn) -> bool:
    """Whether nobody else has begun to read since."""
    return connection.execute(_SQL["reads_still"], {"party": turn.party, "fence": turn.fence}).fetchone() is not None


def end_reading(connection: sqlite3.Connection, turn: Turn) -> None:
    """Let the next one read."""
    connection.execute(_SQL["end_reading"], {"party": turn.party, "fence": turn.fence})


def is_to_be_checked(connection: sqlite3.Connection, party: str, *, seconds: float) -> bool:
    """Whether the last look at what it holds is `seconds` ago; if so it counts as done now."""
    connection.execute(_SQL["add"], {"party": party})
    return connection.execute(_SQL["check"], {"party": party, "seconds": seconds}).rowcount == 1


def stop(connection: sqlite3.Connection, party: str, problem: str) -> bool:
    """Exchange nothing more until somebody has looked. False when it was stopped already."""
    connection.execute(_SQL["add"], {"party": party})
    return connection.execute(_SQL["stop"], {"party": party, "problem": problem}).rowcount == 1


def resume(connection: sqlite3.Connection, party: str) -> bool:
    """Somebody has looked. False when it was not stopped."""
    return connection.execute(_SQL["resume"], {"party": party}).rowcount == 1


def release(connection: sqlite3.Connection) -> None:
    """Free what a process that is gone was reading or trying. Only for who knows that no other worker is running."""
    connection.execute(_SQL["release"])
