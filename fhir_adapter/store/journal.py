"""The journal: every change that arrived, raw and durable, under the key that makes it count once."""

from __future__ import annotations

import hashlib
import sqlite3
from dataclasses import dataclass
from typing import Literal

from fhir_adapter.store.database import queries

State = Literal["applied", "unchanged", "refused", "parked"]

_SQL = queries("journal.sql")


@dataclass(frozen=True, slots=True)
class Entry:
    """One journal row; `receipt` is the JSON text that was answered, `status` the HTTP status with it."""

    id: int
    digest: bytes
    state: State
    status: int
    plan: str | None
    receipt: str | None
    body: bytes


@dataclass(frozen=True, slots=True)
class Parked:
    """A change that was neither applied nor dropped when it arrived; `word`: what somebody decided since, if at all.

    `key`: the Idempotency-Key of a push, or Type/id/_history/version; `receipt`: the push's receipt, or why.
    """

    id: int
    party: str
    key: str
    media_type: str
    received: str
    plan: str | None
    receipt: str | None
    body: bytes
    word: str | None
    reason: str | None
    decided: str | None


def digest_of(body: bytes) -> bytes:
    """SHA-256 of a raw body."""
    return hashlib.sha256(body).digest()


def enter(connection: sqlite3.Connection, *, party: str, key: str, media_type: str, body: bytes, received: str) -> int:
    """Keep `body` as it came and return the row's id. The row counts as refused until it is closed."""
    cursor = connection.execute(
        _SQL["enter"],
        {
            "party": party,
            "key": key,
            "digest": digest_of(body),
            "media_type": media_type,
            "body": body,
            "received": received,
            "state": "refused",
            "status": 500,
        },
    )
    return int(cursor.lastrowid or 0)


def close(
    connection: sqlite3.Connection,
    entry: int,
    state: State,
    *,
    status: int = 200,
    plan: str | None = None,
    receipt: str | None = None,
) -> None:
    """Write down what became of the entry."""
    connection.execute(_SQL["close"], {"id": entry, "state": state, "status": status, "plan": plan, "receipt": receipt})


def by_key(connection: sqlite3.Connection, party: str, key: str) -> Entry | None:
    """The entry that this party sent under this key, if it ever did."""
    row = connection.execute(_SQL["by_key"], {"party": party, "key": key}).fetchone()
    return Entry(*row) if row else None


def keys_of(connection: sqlite3.Connection, party: str, name: str) -> set[str]:
    """The keys `name` and `name@…` that this party's entries have."""
    return {str(row[0]) for row in connection.execute(_SQL["keys_of"], {"party": party, "name": name})}


def by_id(connection: sqlite3.Connection, entry: int) -> Entry:
    """The entry with this id, which must exist."""
    return Entry(*connection.execute(_SQL["by_id"], {"id": entry}).fetchone())


def parked(connection: sqlite3.Connection) -> list[Parked]:
    """What was parked, oldest first: what waits, and what somebody has decided about."""
    return [Parked(*row) for row in connection.execute(_SQL["parked"])]


def count_parked(connection: sqlite3.Connection, party: str) -> int:
    """How much of what the party said was parked and waits for somebody to look."""
    return int(connection.execute(_SQL["count_parked"], {"party": party}).fetchone()[0])


def parked_by_id(connection: sqlite3.Connection, entry: int) -> Parked | None:
    """One of these."""
    row = connection.execute(_SQL["parked_by_id"], {"id": entry}).fetchone()
    return Parked(*row) if row else None


def has_newer(connection: sqlite3.Connection, change: Parked) -> bool:
    """Whether the party has said something newer of the plan that was taken."""
    values = {"party": change.party, "plan": change.plan, "id": change.id}
    return connection.execute(_SQL["has_newer"], values).fetchone() is not None


def decide_parked(connection: sqlite3.Connection, entry: int, word: str, reason: str | None, at: str) -> None:
    """Note what became of a parked change: `applied` or `dropped`."""
    values = {"journal": entry, "word": word, "reason": reason, "at": at}
    connection.execute(_SQL["decide_parked"], values)
