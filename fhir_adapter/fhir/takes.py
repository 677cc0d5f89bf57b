"""What is taken of one value for the search index, by its FHIR type: its rows, as they stand in the index."""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache
from typing import Any, NamedTuple
from unicodedata import normalize

from fhir_adapter.fhir.parameters import Kind
from fhir_adapter.fhir.times import FIRST, LAST, range_of

TEXT_LENGTH = 200
"""Of the words beside a code so much is searchable with :text; a goal can be 5,000 words long."""


class Rows(NamedTuple):
    """Index rows by table: first the number of the parameter, last that of the resource (`rid`). Between them:

    token: code, system. reference: target (its type and id). date: low, high (ticks). string: norm, exact. uri: uri.
    quantity: low, high, system, code, unit. organisation has no parameter: the digits of its number.
    """

    token: list[tuple[int, str, str, int]]
    reference: list[tuple[int, tuple[str, str], int]]
    date: list[tuple[int, int, int, int]]
    string: list[tuple[int, str, str, int]]
    uri: list[tuple[int, str, int]]
    quantity: list[tuple[int, float, float, str, str, str, int]]
    organisation: list[tuple[str, int]]

    @staticmethod
    def none() -> Rows:
        """No rows yet, or those of what is deleted."""
        return Rows([], [], [], [], [], [], [])


Take = Callable[[Rows, int, int, Any], None]
"""Adds the rows of a value: all rows, number of the parameter, rid, the value."""


def normal(text: str) -> str:
    """Text as a plain search compares it: composed (NFC), without case, without space around it."""
    if text.isascii():
        return text.strip().lower()
    return normalize("NFC", normalize("NFC", text).casefold()).strip()


_normal_words = lru_cache(maxsize=2048)(normal)
"""For the words of codes, which are the same in every plan."""


@lru_cache(maxsize=8192)  # everything in a plan refers to the same person
def split_reference(reference: str) -> tuple[str, str]:
    """Type and id of what is referred to by `Type/id`, with or without /_history; '' and the text for anything else."""
    parts = reference.split("/")
    is_relative = len(parts) == 2 or (len(parts) == 4 and parts[2] == "_history")
    if is_relative and parts[0].isalpha() and parts[0][0].isupper():
        return parts[0], parts[1]
    return "", reference


def _values(value: Any, names: tuple[str, ...]) -> list[Any]:
    """What is found along `names`, lists opened at every step."""
    found = value if type(value) is list else [value]
    for name in names:
        below: list[Any] = []
        for item in found:
            if type(item) is dict and name in item:
                child = item[name]
                if type(child) is list:
                    below += child
                else:
                    below.append(child)
        found = below
    return found


CODE = """\
if type({value}) is str:
    token.append(({number}, {value}, "", rid))
"""
"""As Python, to stand in the walk down a resource itself: codes and references are most of what there is."""

REFERENCE = """\
if type({value}) is dict:
    literal = {value}.get("reference")
    if type(literal) is str and literal[:1] != "#":
        reference.append(({number}, split_reference(literal), rid))
    if "identifier" in {value}:
        take_identifier(rows, {number}, rid, {value}["identifier"])
"""


def _take_boolean(rows: Rows, number: int, rid: int, value: Any) -> None:
    if type(value) is bool:
        rows.token.append((number, "true" if value else "false", "", rid))


def _take_presence(rows: Rows, number: int, rid: int, value: Any) -> None:
    rows.token.append((number, "true", "", rid))


def _take_coding(rows: Rows, number: int, rid: int, value: Any) -> None:
    if type(value) is dict:
        code, system, display = value.get("code"), value.get("system"), value.get("display")
        if type(code) is str:
            rows.token.append((number, code, system if type(system) is str else "", rid))
        if type(display) is str:
            rows.string.append((number, _normal_words(display[:TEXT_LENGTH]), "", rid))


def _take_concept(rows: Rows, number: int, rid: int, value: Any) -> None:
    if type(value) is dict:
        codings, text = value.get("coding"), value.get("text")
        if type(codings) is list:
            for coding in codings:
                _take_coding(rows, number, rid, coding)
        if type(text) is str:
            rows.string.append((number, _normal_words(text[:TEXT_LENGTH]), "", rid))


def take_identifier(rows: Rows, number: int, rid: int, value: Any) -> None:
    if type(value) is dict and type(value.get("value")) is str:
        rows.token.append((number, value["value"], _text(value, "system"), rid))


def _take_contact(rows: Rows, number: int, rid: int, value: Any) -> None:
    if type(value) is dict and type(value.get("value")) is str:
        rows.token.append((number, value["value"], _text(value, "system"), rid))


def contact_of(system: str) -> Take:
    def take(rows: Rows, number: int, rid: int, value: Any) -> None:
        if type(value) is dict and value.get("system") == system:
            _take_contact(rows, number, rid, value)

    return take


def _take_canonical(rows: Rows, number: int, rid: int, value: Any) -> None:
    if type(value) is str:
        rows.reference.append((number, ("", value), rid))


def _take_uri(rows: Rows, number: int, rid: int, value: Any) -> None:
    if type(value) is str:
        rows.uri.append((number, value, rid))


def _take_string(rows: Rows, number: int, rid: int, value: Any) -> None:
    if type(value) is str:
        rows.string.append((number, normal(value), value, rid))


def _parts(*names: str) -> Take:
    def take(rows: Rows, number: int, rid: int, value: Any) -> None:
        if type(value) is dict:
            for name in names:
                if name in value:
                    for part in _values(value[name], ()):
                        _take_string(rows, number, rid, part)

    return take


def _take_date(rows: Rows, number: int, rid: int, value: Any) -> None:
    _add_range(rows, number, rid, value, value)


def _take_period(rows: Rows, number: int, rid: int, value: Any) -> None:
    if type(value) is dict and ("start" in value or "end" in value):
        _add_range(rows, number, rid, value.get("start"), value.get("end"))


def _take_timing(rows: Rows, number: int, rid: int, value: Any) -> None:
    """From the first to the last instant that a Timing names: its events and the bounds of its repetition."""
    if type(value) is not dict:
        return
    for event in _values(value.get("event"), ()):
        _take_date(rows, number, rid, event)
    for bounds in _values(value, ("repeat", "boundsPeriod")):
        _take_period(rows, number, rid, bounds)


def _add_range(rows: Rows, number: int, rid: int, start: Any, end: Any) -> None:
    try:
        low = range_of(start)[0] if type(start) is str else FIRST
        high = range_of(end)[1] if type(end) is str else LAST
    except ValueError:
        return
    if low > FIRST or high < LAST:
        rows.date.append((number, low, high, rid))


def _take_quantity(rows: Rows, number: int, rid: int, value: Any) -> None:
    if type(value) is dict and (size := _number(value.get("value"))) is not None:
        low, high = _BOUNDS.get(value.get("comparator"), _exactly)(size)
        rows.quantity.append(
            (number, low, high, _text(value, "system"), _text(value, "code"), _text(value, "unit"), rid)
        )


def _take_range(rows: Rows, number: int, rid: int, value: Any) -> None:
    if type(value) is dict:
        low, high = value.get("low") or {}, value.get("high") or {}
        ends = _number(low.get("value")), _number(high.get("value"))
        if ends != (None, None):
            unit = low or high
            rows.quantity.append(
                (number, -_ENDLESS if ends[0] is None else ends[0], _ENDLESS if ends[1] is None else ends[1],
                 _text(unit, "system"), _text(unit, "code"), _text(unit, "unit"), rid)
            )  # fmt: skip


def _take_number(rows: Rows, number: int, rid: int, value: Any) -> None:
    if (size := _number(value)) is not None:
        rows.quantity.append((number, size, size, "", "", "", rid))


def _number(value: Any) -> float | None:
    if value is None or isinstance(value, bool | str | dict | list):
        return None
    try:
        return float(value)
    except OverflowError:
        return _ENDLESS if value > 0 else -_ENDLESS


def _text(value: dict[str, Any], name: str) -> str:
    found = value.get(name)
    return found if type(found) is str else ""


_ENDLESS = 1e300


def _exactly(size: float) -> tuple[float, float]:
    return size, size


_BOUNDS: dict[Any, Callable[[float], tuple[float, float]]] = {
    "<": lambda size: (-_ENDLESS, size),
    "<=": lambda size: (-_ENDLESS, size),
    ">": lambda size: (size, _ENDLESS),
    ">=": lambda size: (size, _ENDLESS),
}

TAKES: dict[Kind, dict[str, Take | str]] = {
    "token": {
        "code": CODE, "string": CODE, "id": CODE, "uri": CODE, "boolean": _take_boolean,
        "exists": _take_presence, "Coding": _take_coding, "CodeableConcept": _take_concept,
        "Identifier": take_identifier, "ContactPoint": _take_contact,
    },
    "reference": {"Reference": REFERENCE, "canonical": _take_canonical, "uri": _take_canonical},
    "date": {
        "date": _take_date, "dateTime": _take_date, "instant": _take_date, "Period": _take_period,
        "Timing": _take_timing,
    },
    "string": {
        "string": _take_string, "markdown": _take_string, "code": _take_string,
        "HumanName": _parts("text", "family", "given", "prefix", "suffix"),
        "Address": _parts("text", "line", "city", "district", "state", "postalCode", "country"),
    },
    "uri": {"uri": _take_uri, "url": _take_uri, "canonical": _take_uri, "oid": _take_uri, "uuid": _take_uri},
    "quantity": {
        "Quantity": _take_quantity, "SimpleQuantity": _take_quantity, "Age": _take_quantity,
        "Duration": _take_quantity, "Money": _take_quantity, "Range": _take_range,
    },
    "number": {
        "decimal": _take_number, "integer": _take_number, "positiveInt": _take_number, "unsignedInt": _take_number,
    },
}  # fmt: skip
"""Kind of parameter -> FHIR type -> what takes its values; as text, what stands in the walk itself."""
