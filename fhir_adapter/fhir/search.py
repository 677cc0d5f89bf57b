"""A FHIR search, parsed once into a frozen SearchRequest; nobody looks at the strings again.

http://hl7.org/fhir/R4/search.html. Pure: the clock comes in as an argument (the prefix `ap` depends on it).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import get_args

from fhir_adapter.errors import BadRequest, Issue, NotFound
from fhir_adapter.fhir.index import TEXT_LENGTH, normal, split_reference
from fhir_adapter.fhir.parameters import PARAMETERS, TYPES, Parameter
from fhir_adapter.fhir.search_request import (
    DEFAULT_COUNT,
    Chain,
    Condition,
    Has,
    Ids,
    Include,
    Match,
    Modifier,
    Prefix,
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
from fhir_adapter.fhir.times import instant, range_of

MOST_COUNT = 200
"""A page holds no more matches than this, whatever was asked for."""

MOST_ALTERNATIVES = 500
"""Over all parameters of a search: SQLite follows conditions only so deep, and nobody types more."""

_PREFIXES: tuple[Prefix, ...] = get_args(Prefix)

Pairs = Sequence[tuple[str, str]]


def parse_search(type_: str, pairs: Pairs, *, base: str, now: datetime, lenient: bool = False) -> SearchRequest:
    """The search that `pairs` (names and values of the query, decoded) ask for.

    `base` is the server's own base URL: references may be given under it. Raises BadRequest naming every parameter
    that is unknown or has a bad value; with `lenient` unknown ones are passed over. Raises NotFound for a type that
    is not held here.
    """
    if type_ not in PARAMETERS:
        raise NotFound(f"this server holds no {type_}")
    if sum(1 + value.count(",") for _, value in pairs) > MOST_ALTERNATIVES:
        message = f"more than {MOST_ALTERNATIVES} alternatives in one search"
        raise BadRequest(message, [Issue("error", "too-costly", "", message)])
    parser = _Parser(type_, base, now)
    issues: list[Issue] = []
    for name, value in pairs:
        try:
            parser.take(name, value)
        except _UnknownError as fault:
            if not lenient:
                issues.append(Issue("error", "not-supported", name, str(fault)))
        except ValueError as fault:
            issues.append(Issue("error", "value", name, str(fault)))
    if issues:
        raise BadRequest("the search was not understood", issues)
    return parser.request()


class _UnknownError(Exception):
    """A parameter or modifier that this server does not have."""


class _Parser:
    """Collects what the single parameters of one search ask for."""

    def __init__(self, type_: str, base: str, now: datetime) -> None:
        self._type, self._base, self._now = type_, base, now
        self._conditions: list[Condition] = []
        self._includes: list[Include] = []
        self._controls: dict[str, str] = {}
        self._understood: list[tuple[str, str]] = []

    def take(self, name: str, value: str) -> None:
        plain, _, modifier = name.partition(":")
        if plain in ("_include", "_revinclude"):
            self._includes.append(_include(plain == "_revinclude", modifier, value))
        elif name in _CONTROLS:
            _CONTROLS[name](self._type, value)
            self._controls[name] = value
        else:
            self._conditions.append(self._condition(self._type, name, value))
        self._understood.append((name, value))

    def request(self) -> SearchRequest:
        controls, summary = self._controls, self._controls.get("_summary")
        count = _count(self._type, controls.get("_count", str(DEFAULT_COUNT)))
        return SearchRequest(
            type=self._type,
            conditions=tuple(self._conditions),
            includes=tuple(self._includes),
            sort=_sort(self._type, controls["_sort"]) if "_sort" in controls else (),
            count=min(count, MOST_COUNT),
            total=controls.get("_total", "none") != "none",
            count_only=summary == "count" or count == 0,
            understood=tuple(self._understood),
        )

    def _condition(self, type_: str, name: str, value: str) -> Condition:
        if name.startswith("_has:"):
            return self._has(type_, name, value)
        first, dot, rest = name.partition(".")
        if dot:
            return self._chain(type_, first, rest, value)
        code, _, modifier = name.partition(":")
        if modifier == "missing" and code in ("_id", "_lastUpdated"):
            return Ids(type_, (), wanted=_is_missing(value))  # no resource lacks them: none of no ids, or all of them
        if code == "_id":
            return _ids(type_, modifier, value)
        if code == "_lastUpdated":
            _refuse(modifier)
            return Updated(type_, tuple(self._span(part) for part in _alternatives(value)))
        return self._match(_parameter(type_, code), modifier, value)

    def _match(self, parameter: Parameter, modifier: str, value: str) -> Match:
        if modifier == "missing":
            return Match(parameter, "missing", (), _is_missing(value))
        allowed, parts = _MODIFIERS.get(parameter.kind, ()), _alternatives(value)
        if parameter.kind == "reference" and _TYPE.fullmatch(modifier):
            return Match(parameter, "", tuple(self._target(part, (modifier,), modifier) for part in parts))
        if modifier and modifier not in allowed:
            raise _UnknownError(f"{parameter.kind} parameters do not have the modifier :{modifier} here")
        read = _READ_MODIFIED.get(modifier) or self._reader(parameter)
        kept: Modifier = modifier  # type: ignore[assignment]  # one of _MODIFIERS, which are of this type
        return Match(parameter, kept, tuple(read(part) for part in parts))

    def _reader(self, parameter: Parameter) -> Callable[[str], Value]:
        """What reads one value of this kind of parameter."""
        match parameter.kind:
            case "token":
                return lambda part: _token(part, parameter.code_system)
            case "reference":
                return lambda part: self._target(part, parameter.targets, parameter.only_target)
            case "date":
                return self._span
            case "string":
                return _text
            case "uri":
                return lambda part: Uri(_unescaped(part))
            case _:
                return _size

    def _target(self, text: str, types: tuple[str, ...], only: str | None) -> Target:
        """`Type/id`, `id` (of one of `types`), or a URL, which under our own base is `Type/id`."""
        named, target = split_reference(text.removeprefix(f"{self._base}/"))
        if named:
            return Target(target, () if only and named != only else (named,))  # Device:patient: nothing can match
        return Target(target, types if _ID.fullmatch(target) else ("",))

    def _span(self, text: str) -> Span:
        prefix, rest = _prefix(text)
        low, high = range_of(rest.replace(" ", "+"))  # an unescaped + of a time zone arrives as a space
        if prefix == "ap":
            slack = abs(range_of(instant(self._now))[0] - low) // 10
            low, high = low - slack, high + slack
        return Span(prefix, low, high)

    def _chain(self, type_: str, first: str, rest: str, value: str) -> Chain:
        """patient.identifier or subject:Patient.identifier; one step."""
        code, _, wanted = first.partition(":")
        parameter = _parameter(type_, code)
        if parameter.kind != "reference":
            raise _UnknownError(f"{code} is no reference: it cannot be followed")
        if "." in rest:
            raise _UnknownError("chains of more than one step are not supported")
        targets = [wanted] if wanted else [*parameter.targets]
        conditions = [self._condition(target, rest, value) for target in targets if _knows(target, rest)]
        if not conditions:
            raise _UnknownError(f"no type that {code} points at has the parameter {rest.partition(':')[0]}")
        return Chain(parameter, tuple(conditions))

    def _has(self, type_: str, name: str, value: str) -> Has:
        """_has:Task:focus:status."""
        parts = name.split(":", 3)
        if len(parts) != 4 or parts[1] not in PARAMETERS:
            raise _UnknownError("not of the form _has:Type:reference:parameter")
        _, source, code, rest = parts
        parameter = _parameter(source, code)
        if parameter.kind != "reference" or type_ not in parameter.targets:
            raise _UnknownError(f"{source}.{code} does not point at {type_}")
        return Has(type_, parameter, self._condition(source, rest, value))


_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_TYPE = re.compile(r"[A-Z][A-Za-z]+")
_MODIFIERS = {"token": ("not", "text"), "string": ("exact", "contains"), "reference": ("identifier",)}


def _parameter(type_: str, code: str) -> Parameter:
    try:
        return PARAMETERS[type_][code]
    except KeyError:
        raise _UnknownError(f"{type_} has no search parameter {code!r} here") from None


def _knows(type_: str, name: str) -> bool:
    code = name.partition(":")[0]
    return type_ in PARAMETERS and (code in PARAMETERS[type_] or code in ("_id", "_lastUpdated"))


def _refuse(modifier: str) -> None:
    if modifier:
        raise _UnknownError(f"the modifier :{modifier} is not supported here")


def _is_missing(value: str) -> bool:
    """The value of `:missing`."""
    if value not in ("true", "false"):
        raise ValueError(f"{value!r} is neither true nor false")
    return value == "true"


def _ids(type_: str, modifier: str, value: str) -> Ids:
    if modifier != "not":
        _refuse(modifier)
    return Ids(type_, tuple(_alternatives(value)), wanted=modifier != "not")


def _alternatives(value: str) -> list[str]:
    """The parts between commas; they stay escaped."""
    parts = _split(value, ",")
    if not all(parts):
        raise ValueError("the value is empty, or one of its alternatives")
    return parts


def _split(text: str, mark: str) -> list[str]:
    """The parts between marks that no backslash escapes."""
    if "\\" not in text:
        return text.split(mark)
    parts, escaped = [""], False
    for letter in text:
        if letter == mark and not escaped:
            parts.append("")
        else:
            parts[-1] += letter
        escaped = letter == "\\" and not escaped
    return parts


def _unescaped(text: str) -> str:
    return re.sub(r"\\([,|$\\])", r"\1", text)


def _token(text: str, code_system: str | None = None) -> Token:
    """code, system|code, |code or system|. An element that is a bare code has its system by definition."""
    parts = _split(text, "|")
    if len(parts) > 2 or parts == ["", ""]:
        raise ValueError("not of the form code, system|code, |code or system|")
    *system, code = map(_unescaped, parts)
    if not system:
        return Token(None, code)
    return Token("" if system[0] == code_system else system[0], code or None)


def _text(text: str) -> Text:
    plain = _unescaped(text)
    return Text(normal(plain[:TEXT_LENGTH]), plain)


_READ_MODIFIED: dict[str, Callable[[str], Value]] = {"identifier": _token, "text": _text}


def _prefix(text: str) -> tuple[Prefix, str]:
    for prefix in _PREFIXES:
        if text.startswith(prefix):
            return prefix, text[2:]
    return "eq", text


def _size(text: str) -> Size:
    """A number with prefix, and for a quantity number|system|code, number|system or number||code."""
    number, *unit = _split(text, "|")
    if len(unit) > 2:
        raise ValueError("not of the form number, number|system|code or number||code")
    prefix, digits = _prefix(number)
    if not _NUMBER.fullmatch(digits):
        raise ValueError(f"not a number: {digits[:40]!r}")
    value = float(digits)
    half = abs(value) / 10 if prefix == "ap" else _half_of_last_digit(digits)
    system, code = (*map(_unescaped, unit), "", "")[:2]
    return Size(prefix, value, value - half, value + half, Token(system or None, code or None))


_NUMBER = re.compile(r"-?\d{1,40}(?:\.\d{1,40})?(?:[eE][+-]?\d{1,2})?", re.ASCII)


def _half_of_last_digit(digits: str) -> float:
    mantissa, _, exponent = digits.lower().partition("e")
    return 0.5 * 10.0 ** (int(exponent or 0) - len(mantissa.partition(".")[2]))


def _count(_: str, value: str) -> int:
    if not re.fullmatch(r"\d{1,18}", value):
        raise ValueError("not a whole number from 0 on")
    return int(value)


def _sort(type_: str, value: str) -> tuple[Sort, ...]:
    names = value.split(",")
    if len(names) > 3:
        raise ValueError("more than three sort keys")
    return tuple(_sort_key(type_, name) for name in names)


def _sort_key(type_: str, name: str) -> Sort:
    plain = name.removeprefix("-")
    if plain in ("_id", "_lastUpdated"):
        return Sort(plain, None, name != plain)
    parameter = PARAMETERS[type_].get(plain)
    if parameter is None or parameter.kind not in ("date", "number", "quantity"):
        raise ValueError(f"cannot sort by {plain!r}")
    return Sort(plain, parameter, name != plain)


def _one_of(*allowed: str) -> Callable[[str, str], None]:
    def check(_: str, value: str) -> None:
        if value not in allowed:
            raise ValueError(f"{value!r} is not supported: use one of {', '.join(allowed)}")

    return check


_CONTROLS: dict[str, Callable[[str, str], object]] = {
    "_count": _count,
    "_sort": _sort,
    "_total": _one_of("none", "accurate", "estimate"),
    "_summary": _one_of("count", "false"),
    "_format": lambda _, value: value,
    "_pretty": _one_of("true", "false"),
}
"""Parameters that shape the answer, each with what checks its value. The form of the answer is settled before this
point, so `_format` and `_pretty` change nothing here."""


def _include(reverse: bool, modifier: str, value: str) -> Include:
    """Type:parameter, Type:parameter:Target, Type:* or *."""
    if modifier not in ("", "iterate", "recurse"):
        raise _UnknownError(f"the modifier :{modifier} is not supported here")
    source, _, rest = value.partition(":")
    code, _, target = rest.partition(":")
    if value == "*":
        found = [parameter for type_ in TYPES for parameter in _references_of(type_)]
    elif source not in PARAMETERS:
        raise ValueError(f"this server holds no {source!r}")
    elif code == "*":
        found = list(_references_of(source))
    else:
        found = [parameter for parameter in _references_of(source) if parameter.code == code]
    if not found and code != "*":
        raise ValueError(f"{source} has no reference parameter {code!r}")
    if target and target not in PARAMETERS:
        raise ValueError(f"this server holds no {target!r}")
    return Include(tuple(found), target or found[0].only_target if len(found) == 1 else None, bool(modifier), reverse)


def _references_of(type_: str) -> Iterable[Parameter]:
    return (parameter for parameter in PARAMETERS[type_].values() if parameter.kind == "reference")
