"""A search as a value: what a query asked for, in words that a store can carry out."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from fhir_adapter.fhir.parameters import Parameter

DEFAULT_COUNT = 20

Prefix = Literal["eq", "ne", "gt", "lt", "ge", "le", "sa", "eb", "ap"]


@dataclass(frozen=True, slots=True)
class Token:
    """system|code: None means any, '' means none."""

    system: str | None
    code: str | None


@dataclass(frozen=True, slots=True)
class Target:
    """What a reference points at: a resource by id and possible types, or a whole URL (of type '')."""

    id: str
    types: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class Span:
    """A date as first and last tick, with its comparison."""

    prefix: Prefix
    low: int
    high: int


@dataclass(frozen=True, slots=True)
class Text:
    """`norm` for plain comparison, `exact` as it was written."""

    norm: str
    exact: str


@dataclass(frozen=True, slots=True)
class Size:
    """A number: `low` and `high` are what the digits given leave open (5.4 is 5.35 to 5.45)."""

    prefix: Prefix
    value: float
    low: float
    high: float
    unit: Token


@dataclass(frozen=True, slots=True)
class Uri:
    """A URI, compared as it is written."""

    uri: str


Value = Token | Target | Span | Text | Uri | Size
Modifier = Literal["", "not", "missing", "text", "exact", "contains", "identifier"]


@dataclass(frozen=True, slots=True)
class Match:
    """One parameter with its alternatives. With `missing` there are no values and `wanted` says which."""

    parameter: Parameter
    modifier: Modifier
    values: tuple[Value, ...]
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class Ids:
    """`_id`, or `_id:not`."""

    type: str
    ids: tuple[str, ...]
    wanted: bool = True


@dataclass(frozen=True, slots=True)
class Updated:
    """`_lastUpdated`."""

    type: str
    spans: tuple[Span, ...]


@dataclass(frozen=True, slots=True)
class Chain:
    """The target of a reference fulfils one of `conditions`, each for one target type."""

    parameter: Parameter
    conditions: tuple[Condition, ...]


@dataclass(frozen=True, slots=True)
class Has:
    """Something that refers to the `type` searched for by `parameter` fulfils `condition` (`_has`)."""

    type: str
    parameter: Parameter
    condition: Condition


Condition = Match | Ids | Updated | Chain | Has


@dataclass(frozen=True, slots=True)
class Include:
    """`_include`, or with `reverse` `_revinclude`: follow these parameters, to or from `target` (None: any type)."""

    parameters: tuple[Parameter, ...]
    target: str | None
    iterate: bool
    reverse: bool


@dataclass(frozen=True, slots=True)
class Sort:
    """One key of the order. `parameter` None: `name` is _id or _lastUpdated."""

    name: str
    parameter: Parameter | None
    descending: bool


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page starts: after the resource `rid`, whose sort keys are `keys`."""

    rid: int
    keys: tuple[str | int | float, ...] = ()


@dataclass(frozen=True, slots=True, eq=False)
class SearchRequest:
    """A search that was understood. `understood` are its parameters as they came, for the self link.

    Compared by identity: what was prepared for one request is looked up by it, and comparing all it holds takes long.
    """

    type: str
    conditions: tuple[Condition, ...] = ()
    includes: tuple[Include, ...] = ()
    sort: tuple[Sort, ...] = ()
    count: int = DEFAULT_COUNT
    total: bool = False
    count_only: bool = False
    understood: tuple[tuple[str, str], ...] = ()
