"""A SearchRequest as SQL over the index tables: one statement finds a page, and its bytes come with it.

Every statement text below is made of constants of this file; what a client sent only ever travels as a bound value.
"""

# ruff: noqa: S608 - see above

from __future__ import annotations

import sqlite3
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

from fhir_adapter.fhir.bundles import Found
from fhir_adapter.fhir.search_request import Cursor, SearchRequest, Sort
from fhir_adapter.store.conditions import IS_FEW, NEVER_FIRST, Rids, all_of, rids_of
from fhir_adapter.store.includes import included

_Part = tuple[str, Sequence[tuple[Any, ...]]]
"""A SELECT and its values; of several that are joined, those of each."""


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
    found = _matching(request, _smallest(connection, request))
    statement = f"SELECT count(DISTINCT i.rid) FROM {found.first.source} i WHERE {found.where(found.first.where)}"
    return int(connection.execute(statement, found.first.values + found.values).fetchone()[0])


def _rows(connection: sqlite3.Connection, request: SearchRequest, after: Cursor | None) -> list[Any]:
    """Up to count + 1 rows: type, id, body, rid and the sort keys."""
    smallest = _smallest(connection, request)
    if [sort.name for sort in request.sort] == ["_lastUpdated"] and not _is_small(connection, request, smallest):
        return _in_the_order_of_change(connection, request, after)
    statement, values = _prepared(request, smallest, after is not None)
    limits = (*(_after_values(after) if after else ()), request.count + 1)
    every = chain.from_iterable((*each, *limits) for each in values)
    rows = connection.execute(statement, [*every, *limits[-1:]] if len(values) > 1 else [*every]).fetchall()
    if not request.sort:  # the joins keep this order already; SQLite does not promise it, and would copy bodies to sort
        rows.sort(key=itemgetter(3))
    return rows


def _in_the_order_of_change(connection: sqlite3.Connection, request: SearchRequest, after: Cursor | None) -> list[Any]:
    """The same, of matches that are many: the versions are gone through in their order until there are enough."""
    every = _matching(request, None)
    is_falling = request.sort[0].descending
    before = ("9e999" if is_falling else "-1") if after is None else "?"
    statement = (
        "SELECT i.type, i.id, w.body, i.rid, w.seq "
        "FROM version w INDEXED BY version_by_type CROSS JOIN resource i ON i.rid = w.rid AND i.seq = w.seq "
        f"WHERE w.type = ? AND {every.where('NOT i.deleted')} AND w.seq {'<' if is_falling else '>'} {before} "
        f"ORDER BY w.seq {'DESC' if is_falling else 'ASC'} LIMIT ?"
    )
    values = (request.type, *every.values, *(after.keys if after else ()), request.count + 1)
    return connection.execute(statement, values).fetchall()


def _smallest(connection: sqlite3.Connection, request: SearchRequest) -> int | None:
    """Which of the sets the search is to begin with: the smallest, as far as a short look tells. None: with all."""
    sets = [one for one in _sets(request) if one.wanted and one.rank < NEVER_FIRST]
    if len(sets) < 2 or sets[0].rank <= IS_FEW:
        return 0 if sets else None
    counts = [_count_if_few(connection, one) for one in sets]
    return min(range(len(sets)), key=counts.__getitem__)


def _is_small(connection: sqlite3.Connection, request: SearchRequest, smallest: int | None) -> bool:
    return smallest is not None and _count_if_few(connection, _sets(request)[smallest]) < MANY


MANY = sys.maxsize


def _count_if_few(connection: sqlite3.Connection, rids: Rids) -> int:
    """How many there are, MANY where they are more than it is worth to count: then the guess must do."""
    counted = connection.execute(f"SELECT count(*) FROM ({rids.query()} LIMIT {rids.few})", rids.values).fetchone()[0]
    return counted if counted < rids.few else MANY


@lru_cache(maxsize=2048)
def _sets(request: SearchRequest) -> tuple[Rids, ...]:
    """What is searched for, the smallest set first as far as can be guessed."""
    return tuple(sorted((rids_of(condition) for condition in request.conditions), key=lambda rids: rids.rank))


@lru_cache(maxsize=2048)
def _prepared(request: SearchRequest, smallest: int | None, is_continued: bool) -> _Part:
    """The statement of a page, and for each of its parts the values that stand before those of the cursor and the
    limit. Clients repeat themselves."""
    found = _matching(request, smallest)
    keys = [f"k{number}" for number in range(len(request.sort))]
    after = _after(request.sort, keys) if is_continued else "1"
    order = "".join(
        f"{key} {'DESC' if sort.descending else 'ASC'}, " for key, sort in zip(keys, request.sort, strict=True)
    )
    rids, values = _sorted(found, request.sort, keys, after) if keys else _in_order(found, after)
    statement = (
        f"SELECT r.type, r.id, v.body, i.rid{''.join(f', {key}' for key in keys)} "
        f"FROM ({rids} ORDER BY {order}i.rid LIMIT ?) i "
        "CROSS JOIN resource r ON r.rid = i.rid CROSS JOIN version v ON v.seq = r.seq"
    )
    return statement + (f" ORDER BY {order}i.rid" if keys else ""), values


def _sorted(found: _Matching, sorts: Sequence[Sort], keys: Sequence[str], after: str) -> _Part:
    """All matches with their keys: which come first shows at the end."""
    computed = [_sort_key(sort) for sort in sorts]
    columns = "".join(f", {sql} AS {key}" for key, (sql, _) in zip(keys, computed, strict=True))
    every = f"SELECT DISTINCT i.rid{columns} FROM {found.first.source} i WHERE {found.where(found.first.where)}"
    values = (*(value for _, its in computed for value in its), *found.first.values, *found.values)
    return f"SELECT * FROM ({every}) i WHERE {after}", (values,)


def _in_order(found: _Matching, after: str) -> _Part:
    """The matches in the order of rid. Each alternative is read as far as the page may need it, and no further."""
    alternatives = found.first.alternatives or ((found.first.where, found.first.values),)
    parts = [
        f"SELECT DISTINCT i.rid FROM {found.first.source} i WHERE {found.where(where)} AND {after}"
        for where, _ in alternatives
    ]
    values = [(*its, *found.values) for _, its in alternatives]
    if len(parts) == 1:
        return parts[0], values
    pages = (f"SELECT * FROM ({part} ORDER BY i.rid LIMIT ?)" for part in parts)
    return f"SELECT i.rid FROM ({' UNION '.join(pages)}) i", values


@dataclass(frozen=True, slots=True)
class _Matching:
    """The set to begin with, and the conditions with their values that each of it must fulfil as well."""

    first: Rids
    rest: Sequence[str]
    values: tuple[Any, ...]

    def where(self, first: str) -> str:
        return " AND ".join([f"({first})", *self.rest])


def _matching(request: SearchRequest, smallest: int | None) -> _Matching:
    sets = [*_sets(request)]
    first = all_of(request.type) if smallest is None else sets.pop(smallest)
    return _Matching(
        first, [rids.condition("i.rid") for rids in sets], tuple(value for rids in sets for value in rids.values)
    )


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
