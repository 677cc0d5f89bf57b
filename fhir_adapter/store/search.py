"""A SearchRequest as SQL over the index tables: one statement finds a page, and its bytes come with it.

Every statement text below is made of constants of this file; what a client sent only ever travels as a bound value.
"""

# ruff: noqa: S608 - see above

from __future__ import annotations

import sqlite3
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import lru_cache
from itertools import chain
from operator import itemgetter
from typing import Any

from fhir_adapter.fhir.bundles import Found
from fhir_adapter.fhir.parameters import Parameter
from fhir_adapter.fhir.search import (
    Chain,
    Condition,
    Cursor,
    Has,
    Ids,
    Include,
    Match,
    SearchRequest,
    Size,
    Sort,
    Span,
    Target,
    Text,
    Token,
    Updated,
    Uri,
    Value,
)
from fhir_adapter.fhir.times import DAY, TICKS

MOST_INCLUDED = 2000
"""A page carries at most so many included resources: a chain of _include=* could reach the whole store."""


@dataclass(frozen=True, slots=True)
class Page:
    """One page of an answer. `cursor` leads to the next one; `total` where it is known; `cut` when includes were."""

    matches: Sequence[Found]
    included: Sequence[Found]
    cursor: Cursor | None
    total: int | None
    cut: bool = False


@dataclass(frozen=True, slots=True)
class _Rids:
    """A set of rids: `SELECT rid FROM {source} WHERE {where}` with its values. Columns carry no table name, so that
    the same text can stand alone and inside a statement that calls its own rows `i`.

    `rank` guesses how few they are (lower is fewer). `is_checked` says that the index finds one given rid in it in
    one step; else the whole set is made once and looked into.
    """

    source: str
    where: str
    values: tuple[Any, ...]
    rank: int
    is_checked: bool = True
    wanted: bool = True

    def query(self) -> str:
        return f"SELECT rid FROM {self.source} WHERE {self.where}"

    def condition(self, rid: str) -> str:
        """Whether the resource `rid` (an SQL expression) is in the set."""
        no = "" if self.wanted else "NOT "
        if self.is_checked:
            return f"{no}EXISTS (SELECT 1 FROM {self.source} WHERE rid = {rid} AND ({self.where}))"
        return f"{rid} {no}IN ({self.query()})"


def search(connection: sqlite3.Connection, request: SearchRequest, after: Cursor | None = None) -> Page:
    """The page of matches that the request asks for, the first or the one `after` a cursor, with what it includes."""
    if request.count_only:
        return Page((), (), None, count(connection, request))
    rows = _rows(connection, request, after)
    has_more = len(rows) > request.count
    if has_more:
        rows.pop()
    included: Sequence[Found] = ()
    is_cut = False
    if request.includes and rows:
        included, is_cut = _included(connection, request.includes, [row[3] for row in rows])
    cursor = Cursor(rows[-1][3], tuple(rows[-1][4:])) if has_more else None
    total = len(rows) if not has_more and after is None else None
    if total is None and request.total:
        total = count(connection, request)
    return Page([row[:3] for row in rows], included, cursor, total, is_cut)


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
    sets = sorted((_rids(condition) for condition in request.conditions), key=lambda rids: rids.rank)
    if sets and sets[0].wanted and sets[0].rank < _NEVER_FIRST:
        first, *rest = sets
    else:
        first, rest = _all_of(request.type), sets
    where = " AND ".join([f"({first.where})", *(rids.condition("i.rid") for rids in rest)])
    return f"{first.source} i", where, first.values + tuple(value for rids in rest for value in rids.values)


_NEVER_FIRST = 9


def _all_of(type_: str) -> _Rids:
    return _Rids("resource", "type = ? AND NOT deleted", (type_,), 8)


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


def _rids(condition: Condition) -> _Rids:
    match condition:
        case Match():
            return _match(condition)
        case Ids():
            marks = _marks(condition.ids)
            where = f"type = ? AND id IN ({marks}) AND deleted = 0"  # NOT deleted would call in resource_by_type
            rank = 0 if condition.wanted else _NEVER_FIRST
            return _Rids("resource", where, (condition.type, *condition.ids), rank, wanted=condition.wanted)
        case Updated():
            return _updated(condition)
        case Chain():
            return _chain(condition)
        case Has():
            return _has(condition)


def _match(match: Match) -> _Rids:
    parameter = match.parameter
    if match.modifier == "missing":
        return _presence(parameter, wanted=not match.wanted)
    table = "token" if match.modifier == "identifier" else "string" if match.modifier == "text" else parameter.kind
    clauses = [_clause(value, match.modifier) for value in match.values]
    where = f"param = ? AND ({' OR '.join(f'({sql})' for sql, _ in clauses)})"
    values = (parameter.number, *(value for _, its in clauses for value in its))
    return _Rids(
        f"idx_{'quantity' if table == 'number' else table}",
        where,
        values,
        _NEVER_FIRST if match.modifier == "not" else _rank(parameter, match.modifier),
        is_checked=table not in ("string", "uri"),
        wanted=match.modifier != "not",
    )


def _rank(parameter: Parameter, modifier: str) -> int:
    """A guess at how few resources share one value: identifiers fewest, a code or a date many."""
    if modifier == "identifier" or any(source.fhir_type == "Identifier" for source in parameter.sources):
        return 1
    return {"reference": 3, "string": 4, "uri": 5, "token": 6}.get(parameter.kind, 7)


def _presence(parameter: Parameter, *, wanted: bool) -> _Rids:
    """Whether there is any value. A code may be there in words only, a reference as identifier only."""
    tables = _PRESENT.get(parameter.kind, (f"idx_{parameter.kind}",))
    source = " UNION ALL ".join(f"SELECT rid FROM {table} WHERE param = ?" for table in tables)
    values: tuple[Any, ...] = (parameter.number,) * len(tables)
    if parameter.only_target:
        source, values = (
            "SELECT rid FROM idx_reference WHERE param = ? AND type = ?",
            (*values[:1], parameter.only_target),
        )
    return _Rids(f"({source})", "1", values, _NEVER_FIRST, is_checked=False, wanted=wanted)


_PRESENT = {
    "token": ("idx_token", "idx_string"),
    "reference": ("idx_reference", "idx_token"),
    "number": ("idx_quantity",),
}


def _clause(value: Value, modifier: str) -> tuple[str, tuple[Any, ...]]:
    """One alternative as a condition on a row of the index."""
    match value:
        case Token():
            return _token(value, "code", "system")
        case Target(id_, (type_,)):
            return "target = (SELECT rid FROM resource WHERE type = ? AND id = ?)", (type_, id_)
        case Target(id_, types):
            return f"target IN (SELECT rid FROM resource WHERE type IN ({_marks(types)}) AND id = ?)", (*types, id_)
        case Span():
            return _RANGES[value.prefix], _ends(value.prefix, value.low, value.high)
        case Text():
            return _text(value, modifier)
        case Uri():
            return "uri = ?", (value.uri,)
        case Size():
            return _size(value)


def _token(token: Token, code: str, system: str) -> tuple[str, tuple[Any, ...]]:
    if token.system is None:
        return f"{code} = ?", (token.code,)
    if token.code is None:
        return f"{system} = ?", (token.system,)
    return f"{code} = ? AND {system} = ?", (token.code, token.system)


_LAST = "\U0010ffff"
"""Sorts after every letter: prefix + this is the end of all that begins so."""


def _text(text: Text, modifier: str) -> tuple[str, tuple[Any, ...]]:
    if modifier == "exact":
        return "norm >= ? AND norm < ? AND exact = ?", (text.norm, text.norm + _LAST, text.exact)
    if modifier == "contains":
        return "instr(norm, ?) > 0", (text.norm,)
    return "norm >= ? AND norm < ?", (text.norm, text.norm + _LAST)


_RANGES = {
    "eq": "low >= ? AND high <= ?",
    "ne": "low < ? OR high > ?",
    "gt": "high > ?",
    "lt": "low < ?",
    "ge": "high >= ?",
    "le": "low <= ?",
    "sa": "low > ?",
    "eb": "high < ?",
    "ap": "high >= ? AND low <= ?",
}
"""Comparisons of a range in the index with the range searched for (http://hl7.org/fhir/R4/search.html#prefix).

R4 lets "above or equal" begin at either end of the searched range. Here, as in other servers, it is the near one: a
plan that ends in the middle of March is found by ge2025-03."""


def _ends(prefix: str, low: Any, high: Any) -> tuple[Any, ...]:
    """The ends of the searched range in the order in which _RANGES wants them."""
    return {
        "gt": (high,), "sa": (high,), "lt": (low,), "eb": (low,), "ge": (low,), "le": (high,),
    }.get(prefix, (low, high))  # fmt: skip


def _size(size: Size) -> tuple[str, tuple[Any, ...]]:
    """Equality allows for the digits given; order compares with the number itself."""
    low, high = (size.low, size.high) if size.prefix in ("eq", "ne", "ap") else (size.value, size.value)
    where, values = f"({_RANGES[size.prefix]})", _ends(size.prefix, low, high)
    if size.unit.system:
        where, values = f"{where} AND system = ?", (*values, size.unit.system)
    if size.unit.code:
        where, values = f"{where} AND ? IN (code, unit)", (*values, size.unit.code)
    return where, values


def _updated(updated: Updated) -> _Rids:
    clauses = [_clause_of_instant(span) for span in updated.spans]
    where = " OR ".join(f"({sql})" for sql, _ in clauses)
    source = (
        "(SELECT u.rid FROM version w INDEXED BY version_by_time CROSS JOIN resource u "
        f"ON u.type = w.type AND u.id = w.id AND u.seq = w.seq WHERE w.type = ? AND ({where}) AND u.deleted = 0)"
    )
    values = (updated.type, *(value for _, its in clauses for value in its))
    return _Rids(source, "1", values, 7, is_checked=False)


def _clause_of_instant(span: Span) -> tuple[str, tuple[str, ...]]:
    """lastUpdated is one point on a grid of milliseconds, kept as text that sorts by time."""
    where = _RANGES[span.prefix].replace("low", "w.updated").replace("high", "w.updated")
    low, high = -(-span.low // (TICKS // 1000)), span.high // (TICKS // 1000)
    return where, _ends(span.prefix, _as_text(low), _as_text(high))


def _as_text(milliseconds: int) -> str:
    day, rest = divmod(milliseconds, DAY // (TICKS // 1000))
    day = min(max(day, 1), datetime.max.toordinal())
    moment = datetime.fromordinal(day).replace(tzinfo=UTC) + timedelta(milliseconds=rest)
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")


def _chain(chain: Chain) -> _Rids:
    """Those that refer to a member of one of the inner sets."""
    parts, values = [], []
    for condition in chain.conditions:
        inner = _rids(condition)
        parts.append(
            f"SELECT f.rid FROM ({_members(inner, condition)}) t "
            "CROSS JOIN idx_reference f ON f.param = ? AND f.target = t.rid"
        )
        values += [*_member_values(inner, condition), chain.parameter.number]
    return _Rids(f"({' UNION ALL '.join(parts)})", "1", tuple(values), 2, is_checked=False)


def _has(has: Has) -> _Rids:
    """Those that a member of the inner set refers to."""
    inner = _rids(has.condition)
    source = (
        f"(SELECT p.rid FROM ({_members(inner, has.condition)}) t "
        "CROSS JOIN idx_reference f INDEXED BY idx_reference_from ON f.rid = t.rid AND f.param = ? "
        "CROSS JOIN resource p ON p.rid = f.target WHERE p.type = ? AND NOT p.deleted)"
    )
    values = (*_member_values(inner, has.condition), has.parameter.number, has.type)
    return _Rids(source, "1", values, 6, is_checked=False)


def _members(rids: _Rids, condition: Condition) -> str:
    if rids.wanted:
        return rids.query()
    return f"SELECT r.rid FROM resource r WHERE r.type = ? AND NOT r.deleted AND {rids.condition('r.rid')}"


def _member_values(rids: _Rids, condition: Condition) -> tuple[Any, ...]:
    return rids.values if rids.wanted else (_type_of(condition), *rids.values)


def _type_of(condition: Condition) -> str:
    match condition:
        case Match(parameter) | Chain(parameter):
            return parameter.resource_type
        case Ids(type_) | Updated(type_):
            return type_
        case Has(type_):
            return type_


def _included(
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
            f"WHERE f.param IN ({_marks(numbers)}) AND f.target IN ({_marks(rids)})"
        )
        values: list[Any] = [*numbers, *rids]
    else:
        statement = (
            "SELECT DISTINCT p.rid FROM idx_reference f INDEXED BY idx_reference_from "
            "CROSS JOIN resource p ON p.rid = f.target "
            f"WHERE f.rid IN ({_marks(rids)}) AND f.param IN ({_marks(numbers)}) AND NOT p.deleted"
        )
        values = [*rids, *numbers]
    if include.target:
        statement += " AND p.type = ?"
        values.append(include.target)
    return [rid for (rid,) in connection.execute(f"{statement} LIMIT {MOST_INCLUDED + 1}", values)]


def _bodies(connection: sqlite3.Connection, rids: Sequence[int]) -> list[Found]:
    statement = (
        "SELECT r.type, r.id, v.body FROM resource r CROSS JOIN version v ON v.seq = r.seq "
        f"WHERE r.rid IN ({_marks(rids)}) ORDER BY r.rid"
    )
    return connection.execute(statement, rids).fetchall()


def _marks(values: Sequence[Any]) -> str:
    return ",".join("?" * len(values))
