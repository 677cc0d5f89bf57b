"""Records of persons that are, or may be, of one person: what is asked, what was decided, what joining did."""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass

from fhir_adapter.fhir.parameters import PARAMETERS
from fhir_adapter.store.database import queries

_SQL = queries("persons.sql")
_NUMBER = PARAMETERS["Patient"]["identifier"].number


@dataclass(frozen=True, slots=True)
class Pair:
    """Two records: `old` is given up if they are one person's, `new` remains. Both as `Patient/id`.

    `state` is open, joined or apart; `why` says what raised the question, `party` who did, or who decided for what
    `reason`. `said` is the new one as it came (JSON) while it is not here, `done` what joining did (JSON).
    """

    old: str
    new: str
    state: str
    why: str
    party: str
    at: str
    reason: str | None = None
    said: bytes | None = None
    done: bytes | None = None


def ask(connection: sqlite3.Connection, pair: Pair) -> None:
    """Have somebody look whether they are one. What was decided stays decided."""
    connection.execute(_SQL["ask"], {"old": pair.old, "new": pair.new, "why": pair.why, "party": pair.party,
                                     "at": pair.at, "said": pair.said})  # fmt: skip


def withdraw(connection: sqlite3.Connection, old: str, new: str, why: str) -> bool:
    """There is no such reason to ask any more. False where nothing was asked for it."""
    return connection.execute(_SQL["withdraw"], {"old": old, "new": new, "why": why}).rowcount == 1


def decide(
    connection: sqlite3.Connection,
    old: str,
    new: str,
    state: str,
    *,
    party: str,
    at: str,
    reason: str,
    done: bytes | None = None,
) -> None:
    """They are `joined`, or kept `apart`; the same question the other way round is answered, too."""
    values = {"old": old, "new": new, "state": state, "party": party, "at": at, "reason": reason, "done": done}
    connection.execute(_SQL["decide"], values)
    connection.execute(_SQL["drop_reversed"], {"old": old, "new": new})


def get(connection: sqlite3.Connection, old: str, new: str) -> Pair | None:
    """What is known about these two."""
    row = connection.execute(_SQL["get"], {"old": old, "new": new}).fetchone()
    return Pair(*row) if row else None


def known_pairs(connection: sqlite3.Connection) -> list[Pair]:
    """All that was ever asked or decided, oldest first."""
    return [Pair(*row) for row in connection.execute(_SQL["all"])]


def with_one_number(connection: sqlite3.Connection) -> list[tuple[str, str]]:
    """Pairs of records that have a number in common, as `Patient/id`, the older one first."""
    rows = connection.execute(_SQL["with_one_number"], {"param": _NUMBER})
    return [(f"Patient/{one}", f"Patient/{other}") for one, other in rows]


def replaced_by(connection: sqlite3.Connection, person: str) -> str | None:
    """The record that stands for this one, if it was given up here."""
    row = connection.execute(_SQL["replaced_by"], {"old": person}).fetchone()
    return str(row[0]) if row else None


def ever_linked(connection: sqlite3.Connection, person: str) -> set[str]:
    """The records that this one was joined with here, even if that was undone."""
    return {row[0] for row in connection.execute(_SQL["ever_linked"], {"person": person})}


def plans_of_joined(connection: sqlite3.Connection, person: str) -> list[str]:
    """The plans of a person for whom another record was given up; none for any other person."""
    values = {"person": person, "id": person.partition("/")[2]}
    return [row[0] for row in connection.execute(_SQL["plans_of_joined"], values)]
