"""What a page of matches brings along: _include and _revinclude.

Every statement text here is made of constants of this file; what a client sent only ever travels as a bound value.
"""

# ruff: noqa: S608 - see above

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from typing import Any

from fhir_adapter.fhir.bundles import Found
from fhir_adapter.fhir.search_request import Include
from fhir_adapter.store.conditions import marks

MOST_INCLUDED = 2000
"""A page carries at most so many included resources: a chain of _include=* could reach the whole store."""


def included(
    connection: sqlite3.Connection, includes: Iterable[Include], matches: Sequence[int]
) -> tuple[list[Found], bool]:
    """What the matches bring along, each resource once, and whether there was too much of it."""
    seen = dict.fromkeys(matches)
    newest: Sequence[int] = matches
    active = list(includes)
    while newest and active:
        reached: dict[int, None] = {}
        for include in active:
            for rid in _follow(connection, include, newest):
                if rid not in seen:
                    reached[rid] = None
        seen |= reached
        newest, active = list(reached), [include for include in active if include.iterate]
        if len(seen) - len(matches) > MOST_INCLUDED:
            break
    rids = list(seen)[len(matches) :]
    return _bodies(connection, rids[:MOST_INCLUDED]), len(rids) > MOST_INCLUDED


def _follow(connection: sqlite3.Connection, include: Include, rids: Sequence[int]) -> list[int]:
    """Resources that `rids` refer to by the parameters of the include, or with `reverse` that refer to them."""
    numbers = list(dict.fromkeys(parameter.number for parameter in include.parameters))
    if include.reverse:
        statement = (
            "SELECT DISTINCT f.rid FROM idx_reference f CROSS JOIN resource p ON p.rid = f.target "
            f"WHERE f.param IN ({marks(numbers)}) AND f.target IN ({marks(rids)})"
        )
        values: list[Any] = [*numbers, *rids]
    else:
        statement = (
            "SELECT DISTINCT p.rid FROM idx_reference f INDEXED BY idx_reference_from "
            "CROSS JOIN resource p ON p.rid = f.target "
            f"WHERE f.rid IN ({marks(rids)}) AND f.param IN ({marks(numbers)}) AND NOT p.deleted"
        )
        values = [*rids, *numbers]
    if include.target:
        statement += " AND p.type = ?"
        values.append(include.target)
    return [rid for (rid,) in connection.execute(f"{statement} LIMIT {MOST_INCLUDED + 1}", values)]


def _bodies(connection: sqlite3.Connection, rids: Sequence[int]) -> list[Found]:
    statement = (
        "SELECT r.type, r.id, v.body FROM resource r CROSS JOIN version v ON v.seq = r.seq "
        f"WHERE r.rid IN ({marks(rids)}) ORDER BY r.rid"
    )
    return connection.execute(statement, rids).fetchall()
