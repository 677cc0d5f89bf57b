"""Conflicts as the store keeps them: two values where one can be live, and what was decided about them."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from dataclasses import dataclass

from fhir_adapter.store.database import queries

_SQL = queries("conflicts.sql")


@dataclass(frozen=True, slots=True)
class KeptConflict:
    """Two values where one can be live, as it was when it came up; base, live and other are JSON texts."""

    id: str
    plan: str
    reference: str
    path: str
    kind: str
    base: str | None
    live: str | None
    other: str | None
    live_party: str | None
    other_party: str
    at: str


@dataclass(frozen=True, slots=True)
class Decided:
    """What was decided last: keep, take, write (`value`, JSON), later (`until`), or settled by an ordinary edit.

    `journal` is the entry in which it came.
    """

    word: str
    party: str
    at: str
    value: str | None = None
    reason: str | None = None
    until: str | None = None
    journal: int = 0

    @property
    def is_final(self) -> bool:
        """Whether the conflict is closed by it."""
        return self.word != "later"


def add(connection: sqlite3.Connection, conflict: KeptConflict, *, journal: int) -> None:
    """Keep a conflict; the same one (same id) is kept once."""
    connection.execute(
        _SQL["add"],
        {
            "id": conflict.id,
            "plan": conflict.plan,
            "reference": conflict.reference,
            "path": conflict.path,
            "kind": conflict.kind,
            "base": conflict.base,
            "live": conflict.live,
            "other": conflict.other,
            "live_party": conflict.live_party,
            "other_party": conflict.other_party,
            "journal": journal,
            "at": conflict.at,
        },
    )


def get(connection: sqlite3.Connection, conflict: str) -> KeptConflict | None:
    """The conflict with this id."""
    row = connection.execute(_SQL["get"], {"id": conflict}).fetchone()
    return KeptConflict(*row) if row else None


def of_plan(connection: sqlite3.Connection, plan: str) -> list[KeptConflict]:
    """All conflicts that the plan ever had, oldest first."""
    return _found(connection.execute(_SQL["of_plan"], {"plan": plan}))


def open_of_plan(connection: sqlite3.Connection, plan: str) -> list[KeptConflict]:
    """The plan's conflicts that nobody has decided yet, oldest first."""
    return _found(connection.execute(_SQL["open_of_plan"], {"plan": plan}))


def everywhere(connection: sqlite3.Connection, *, also_decided: bool) -> list[KeptConflict]:
    """The conflicts of all plans, oldest first."""
    return _found(connection.execute(_SQL["all" if also_decided else "open"]))


def open_removals(connection: sqlite3.Connection, party: str) -> dict[str, str]:
    """What the party took away as a whole and nobody has decided yet whether it ends: reference -> conflict."""
    return dict(connection.execute(_SQL["open_removals"], {"party": party}).fetchall())


def plans_deleted_and_asked(connection: sqlite3.Connection, party: str) -> list[str]:
    """For each thing that the party deleted of which nobody has decided yet whether it ends, the plan that asks."""
    rows = connection.execute(_SQL["plans_deleted_and_asked"], {"party": party})
    return [plan for (plan,) in rows]


def repoint(connection: sqlite3.Connection, plan: str, old: str, new: str) -> None:
    """What was in question about the resource `old` of a plan is in question about `new`."""
    connection.execute(_SQL["repoint"], {"plan": plan, "old": old, "new": new})


def decide(connection: sqlite3.Connection, conflict: str, decided: Decided) -> None:
    """Note what was decided about a conflict; earlier decisions stay noted."""
    connection.execute(
        _SQL["decide"],
        {
            "conflict": conflict,
            "word": decided.word,
            "party": decided.party,
            "at": decided.at,
            "value": decided.value,
            "reason": decided.reason,
            "until": decided.until,
            "journal": decided.journal,
        },
    )


def last_decision(connection: sqlite3.Connection, conflict: str) -> Decided | None:
    """What was decided last about a conflict, None while nothing was."""
    row = connection.execute(_SQL["last_decision"], {"conflict": conflict}).fetchone()
    return Decided(*row) if row else None


def _found(rows: Iterable[tuple[str, ...]]) -> list[KeptConflict]:
    return [KeptConflict(*row) for row in rows]
