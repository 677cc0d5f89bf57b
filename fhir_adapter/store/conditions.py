"""A condition of a search as SQL: the set of resources that fulfil it, by their rid.

Every statement text here is made of constants of this file; what a client sent only ever travels as a bound value.
"""

# ruff: noqa: S608 - see above

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from fhir_adapter.fhir.parameters import Parameter
from fhir_adapter.fhir.search_request import (
    Chain,
    Condition,
    Has,
    Ids,
    Match,
    Size,
    Span,
    Target,
    Text,
    Token,
    Updated,
    Uri,
    Value,
)
from fhir_adapter.fhir.times import DAY, TICKS

IS_FEW = 2
"""The highest rank of what names few resources for certain: ids, identifiers, and what refers to them."""

MOST_ALTERNATIVES = 16
"""So many are read one beside the other; longer lists are of ids and identifiers, where there is little to read."""

NEWS = 10_000
"""Changes since an instant are few up to here: to ask each of another set when it changed would cost more."""

NEVER_FIRST = 9
"""The rank of a set that is only good to check with."""


@dataclass(frozen=True, slots=True)
class Rids:
    """A set of rids: `SELECT rid FROM {source} WHERE {where}` with its values. Columns carry no table name, so that
    the same text can stand alone and inside a statement that calls its own rows `i`.

    `rank` guesses how few they are (lower is fewer). `is_checked` says that the index finds one given rid in it in
    one step; else the whole set is made once and looked into. `alternatives`: conditions with their values of which
    one is enough, each of which the index has in the order of rid; `check`: how it is checked, where that is another
    way than it is found, with the same values; `few`: a search begins with it, whatever the guess, if it is smaller.
    """

    source: str
    where: str
    values: tuple[Any, ...]
    rank: int
    is_checked: bool = True
    wanted: bool = True
    alternatives: tuple[tuple[str, tuple[Any, ...]], ...] = ()
    check: str = ""
    few: int = 200

    def query(self) -> str:
        return f"SELECT rid FROM {self.source} WHERE {self.where}"

    def condition(self, rid: str) -> str:
        """Whether the resource `rid` (an SQL expression) is in the set."""
        no = "" if self.wanted else "NOT "
        if self.check:
            return no + self.check.format(rid=rid)
        if self.is_checked:
            return f"{no}EXISTS (SELECT 1 FROM {self.source} WHERE rid = {rid} AND ({self.where}))"
        return f"{rid} {no}IN ({self.query()})"


def all_of(type_: str) -> Rids:
    """Everything of a type."""
    return Rids("resource", "type = ? AND NOT deleted", (type_,), 8)


def rids_of(condition: Condition) -> Rids:
    """What fulfils the condition."""
    match condition:
        case Match():
            return _match(condition)
        case Ids():
            where = f"type = ? AND id IN ({marks(condition.ids)}) AND deleted = 0"  # NOT would bring resource_by_type
            rank = 0 if condition.wanted else NEVER_FIRST
            return Rids("resource", where, (condition.type, *condition.ids), rank, wanted=condition.wanted)
        case Updated():
            return _updated(condition)
        case Chain():
            return _chain(condition)
        case Has():
            return _has(condition)


def _match(match: Match) -> Rids:
    parameter = match.parameter
    if match.modifier == "missing":
        return _presence(parameter, wanted=not match.wanted)
    table = "token" if match.modifier == "identifier" else "string" if match.modifier == "text" else parameter.kind
    clauses = [_clause(value, match.modifier) for value in match.values]
    are_in_order = table in ("token", "reference") and len(clauses) <= MOST_ALTERNATIVES
    alternatives = [(f"param = ? AND ({sql})", (parameter.number, *its)) for sql, its in clauses if are_in_order]
    where = f"param = ? AND ({' OR '.join(f'({sql})' for sql, _ in clauses)})"
    values = (parameter.number, *(value for _, its in clauses for value in its))
    return Rids(
        f"idx_{'quantity' if table == 'number' else table}",
        where,
        values,
        NEVER_FIRST if match.modifier == "not" else _rank(parameter, match.modifier),
        is_checked=table not in ("string", "uri"),
        wanted=match.modifier != "not",
        alternatives=tuple(alternatives),
    )


def _rank(parameter: Parameter, modifier: str) -> int:
    """A guess at how few resources share one value: identifiers fewest, a code or a date many."""
    if modifier == "identifier" or any(source.fhir_type == "Identifier" for source in parameter.sources):
        return 1
    return {"reference": 3, "string": 4, "uri": 5, "token": 6}.get(parameter.kind, 7)


def _presence(parameter: Parameter, *, wanted: bool) -> Rids:
    """Whether there is any value. A code may be there in words only, a reference as identifier only."""
    tables = _PRESENT.get(parameter.kind, (f"idx_{parameter.kind}",))
    source = " UNION ALL ".join(f"SELECT rid FROM {table} WHERE param = ?" for table in tables)
    values: tuple[Any, ...] = (parameter.number,) * len(tables)
    if parameter.only_target:
        source, values = (
            "SELECT f.rid FROM idx_reference f JOIN resource t ON t.rid = f.target WHERE f.param = ? AND t.type = ?",
            (*values[:1], parameter.only_target),
        )
    return Rids(f"({source})", "1", values, NEVER_FIRST, is_checked=False, wanted=wanted)


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
            return f"target IN (SELECT rid FROM resource WHERE type IN ({marks(types)}) AND id = ?)", (*types, id_)
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


def _updated(updated: Updated) -> Rids:
    clauses = [_clause_of_instant(span) for span in updated.spans]
    where = " OR ".join(f"({sql})" for sql, _ in clauses)
    source = (
        "(SELECT u.rid FROM version w INDEXED BY version_by_time CROSS JOIN resource u "
        f"ON u.rid = w.rid AND u.seq = w.seq WHERE w.type = ? AND ({where}) AND u.deleted = 0)"
    )
    check = (
        "EXISTS (SELECT 1 FROM resource u CROSS JOIN version w ON w.seq = u.seq "
        f"WHERE u.rid = {{rid}} AND u.type = ? AND ({where}) AND u.deleted = 0)"
    )
    values = (updated.type, *(value for _, its in clauses for value in its))
    return Rids(source, "1", values, 7, check=check, few=NEWS)


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


def _chain(chain: Chain) -> Rids:
    """Those that refer to a member of one of the inner sets."""
    parts, values = [], []
    for condition in chain.conditions:
        inner = rids_of(condition)
        parts.append(
            f"SELECT f.rid FROM ({_members(inner, condition)}) t "
            "CROSS JOIN idx_reference f ON f.param = ? AND f.target = t.rid"
        )
        values += [*_member_values(inner, condition), chain.parameter.number]
    return Rids(f"({' UNION ALL '.join(parts)})", "1", tuple(values), 2, is_checked=False)


def _has(has: Has) -> Rids:
    """Those that a member of the inner set refers to."""
    inner = rids_of(has.condition)
    source = (
        f"(SELECT p.rid FROM ({_members(inner, has.condition)}) t "
        "CROSS JOIN idx_reference f INDEXED BY idx_reference_from ON f.rid = t.rid AND f.param = ? "
        "CROSS JOIN resource p ON p.rid = f.target WHERE p.type = ? AND NOT p.deleted)"
    )
    values = (*_member_values(inner, has.condition), has.parameter.number, has.type)
    return Rids(source, "1", values, 6, is_checked=False)


def _members(rids: Rids, condition: Condition) -> str:
    if rids.wanted:
        return rids.query()
    return f"SELECT r.rid FROM resource r WHERE r.type = ? AND NOT r.deleted AND {rids.condition('r.rid')}"


def _member_values(rids: Rids, condition: Condition) -> tuple[Any, ...]:
    return rids.values if rids.wanted else (_type_of(condition), *rids.values)


def _type_of(condition: Condition) -> str:
    match condition:
        case Match(parameter) | Chain(parameter):
            return parameter.resource_type
        case Ids(type_) | Updated(type_):
            return type_
        case Has(type_):
            return type_


def marks(values: Sequence[Any]) -> str:
    """?,?,? for as many values."""
    return ",".join("?" * len(values))
