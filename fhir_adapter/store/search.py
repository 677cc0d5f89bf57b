"""A SearchRequest as SQL over the index tables: one statement finds a page, and its bytes come with it.

Every statement text below is made of constants of this file; what a client sent only ever travels as a bound value.
"""

# ruff: noqa: S608 - see above

from __future__ import annotations

import sqlite3
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

from fhir_adapter.fhir.bundles import Found
from fhir_adapter.fhir.search_request import Cursor, SearchRequest, Sort
from fhir_adapter.store.conditions import NEVER_FIRST, all_of, rids_of
from fhir_adapter.store.includes import included


@dataclass(frozen=True, slots=True)
class Page:
    """One page of an answer. `cursor` leads to the next one; `total` where it is known; `cut` when includes were."""

    matches: Sequence[Found]
    included: Sequence[Found]
    cursor: Cursor | None
    total: int | None
    cut: bool = False


def search(connection: sqlite3.Connection, request: SearchRequest, after: Cursor | None = None) -> Page:
    """The page of matches that the request asks for, the first or the one `after` a cursor, with what it includes."""
    if request.count_only:
        return Page((), (), None, count(connection, request))
    rows = _rows(connection, request, after)
    has_more = len(rows) > request.count
    if has_more:
        rows.pop()
    brought: Sequence[Found] = ()
    is_cut = False
    if request.includes and rows:
        brought, is_cut = included(connection, request.includes, [row[3] for row in rows])
    cursor = Cursor(rows[-1][3], tuple(rows[-1][4:])) if has_more else None
    total = len(rows) if not has_more and after is None else None
    if total is None and request.total:
        total = count(connection, request)
    return Page([row[:3] for row in rows], brought, cursor, total, is_cut)


def count(connection: sqlite3.Connection, request: SearchRequest) -> int:
    """How many matches there are on all pages."""
    source, where, values = _matching(request)
    found = connection.execute(f"SELECT count(DISTINCT i.rid) FROM {source} WHERE {where}", values)
    return int(found.fetchone()[0])


def _rows(connection: sqlite3.Connection, request: SearchRequest, after: Cursor | None) -> list[Any]:
    """Up to count + 1 rows: type, id, body, rid and the sort keys."""
    statement, values = _prepared(request, after is not None)
    if after is not None:
        values = (*values, *_after_values(after))
    rows = connection.execute(statement, (*values, request.count + 1)).fetchall()
    if not request.sort:  # the joins keep this order already; SQLite does not promise it, and would copy bodies to sort
        rows.sort(key=itemgetter(3))
    return rows


@lru_cache(maxsize=2048)
def _prepared(request: SearchRequest, is_continued: bool) -> tuple[str, tuple[Any, ...]]:
    """The statement of a page, and the values that stand before those of the cursor. Clients repeat themselves."""
    source, where, values = _matching(request)
    keys = [f"k{number}" for number in range(len(request.sort))]
    computed = [_sort_key(sort) for sort in request.sort]
    columns = "".join(f", {sql} AS {key}" for key, (sql, _) in zip(keys, computed, strict=True))
    after = _after(request.sort, keys) if is_continued else "1"
    order = "".join(
        f"{key} {'DESC' if sort.descending else 'ASC'}, " for key, sort in zip(keys, request.sort, strict=True)
    )
    if request.sort:
        rids = f"SELECT * FROM (SELECT DISTINCT i.rid{columns} FROM {source} WHERE {where}) i WHERE {after}"
    else:
        rids = f"SELECT DISTINCT i.rid FROM {source} WHERE {where} AND {after}"
    statement = (
        f"SELECT r.type, r.id, v.body, i.rid{''.join(f', {key}' for key in keys)} "
        f"FROM ({rids} ORDER BY {order}i.rid LIMIT ?) i "
        "CROSS JOIN resource r ON r.rid = i.rid CROSS JOIN version v ON v.seq = r.seq"
    )
    if request.sort:
        statement += f" ORDER BY {order}i.rid"
    return statement, (*(value for _, its in computed for value in its), *values)


def _matching(request: SearchRequest) -> tuple[str, str, tuple[Any, ...]]:
    """FROM and WHERE that give the rids of all matches as i.rid: the smallest set, each of it checked in the rest."""
    sets = sorted((rids_of(condition) for condition in request.conditions), key=lambda rids: rids.rank)
    if sets and sets[0].wanted and sets[0].rank < NEVER_FIRST:
        first, *rest = sets
    else:
        first, rest = all_of(request.type), sets
    where = " AND ".join([f"({first.where})", *(rids.condition("i.rid") for rids in rest)])
    return f"{first.source} i", where, first.values + tuple(value for rids in rest for value in rids.values)


def _after(sorts: Sequence[Sort], keys: Sequence[str]) -> str:
    """What comes after the cursor in the order of the keys, then of rid."""
    branches, equal = [], ""
    for key, sort in zip(keys, sorts, strict=True):
        branches.append(f"{equal}{key} {'<' if sort.descending else '>'} ?")
        equal += f"{key} = ? AND "
    return f"({' OR '.join([*branches, f'{equal}i.rid > ?'])})"


def _after_values(cursor: Cursor) -> tuple[Any, ...]:
    """The values for _after: each branch has those of the keys before it and its own."""
    branches = [cursor.keys[: number + 1] for number in range(len(cursor.keys))]
    return (*chain.from_iterable(branches), *cursor.keys, cursor.rid)


def _sort_key(sort: Sort) -> tuple[str, tuple[Any, ...]]:
    """An expression over i.rid, never NULL: what has no value comes last, whichever the direction."""
    if sort.parameter is None:
        column = {"_id": "id", "_lastUpdated": "seq"}[sort.name]
        return f"(SELECT {column} FROM resource WHERE rid = i.rid)", ()
    table = "idx_date" if sort.parameter.kind == "date" else "idx_quantity"
    best, last = ("max(high)", "-9e999") if sort.descending else ("min(low)", "9e999")
    return f"coalesce((SELECT {best} FROM {table} WHERE param = ? AND rid = i.rid), {last})", (sort.parameter.number,)
