"""FHIR JSON as plain dicts: reading and writing it without losing a digit, and following its references."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterator, Sequence
from decimal import Decimal, InvalidOperation
from itertools import chain
from typing import Any

import msgspec

from fhir_adapter.errors import BadRequest, Issue

Resource = dict[str, Any]

BASE = "https://fhir-adapter.example"
"""Root of every canonical URL and identifier system that is ours (RFC 2606 reserved name: nobody else's)."""

EXTENSIONS = f"{BASE}/fhir/StructureDefinition"
CODES = f"{BASE}/fhir/CodeSystem"
WRITE_ID = f"{EXTENSIONS}/write-id"
STATUTORY_BASIS = f"{EXTENSIONS}/statutory-basis"
"""Extension of a CarePlan: the statute that it is shared by."""

DEEPEST = 64
"""Levels of lists and objects in what is taken in: more than FHIR or a record needs, far from what breaks a parser."""

MOST_DIGITS = 300
"""Places before or after the point. Most systems hold numbers as floats of 64 bits: beyond, they read infinity."""


_TOO_LONG = f"a number of more than {MOST_DIGITS} places, which other systems cannot hold"


def _number(text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:  # not even Python can
        value = None
    if value is None or (value and abs(value.adjusted()) > MOST_DIGITS):
        raise BadRequest(_TOO_LONG)
    return value


_decoder = msgspec.json.Decoder(float_hook=Decimal)
_input_decoder = msgspec.json.Decoder(float_hook=_number)
_encoder = msgspec.json.Encoder(decimal_format="number")


def parse_json(raw: bytes, decoder: msgspec.json.Decoder[Any] = _decoder) -> Any:
    """The JSON value of `raw`, decimals exact (1.00 stays 1.00). Raises BadRequest with the place of the fault."""
    try:
        return decoder.decode(raw)
    except RecursionError:
        raise BadRequest(f"nested deeper than {DEEPEST} levels") from None
    except UnicodeDecodeError:
        raise BadRequest("not valid JSON: its text is not UTF-8") from None
    except msgspec.ValidationError:  # without a type to fit, the one thing that does not is an integer beyond any
        raise BadRequest(_TOO_LONG) from None
    except msgspec.DecodeError as fault:
        raise BadRequest(f"not valid JSON: {_what_is_wrong(raw) or fault}") from None


_HALF_A_SIGN = re.compile(rb"\\u[dD][89abAB]..(?!\\u[dD][c-fC-F])")


def _what_is_wrong(raw: bytes) -> str | None:
    """What the parser takes for the end of the text."""
    if not raw.strip():
        return "there is nothing in it"
    return "it holds one half of a surrogate pair" if _HALF_A_SIGN.search(raw) else None


def parse_input(raw: bytes) -> Any:
    """`parse_nested` for what comes from outside. Raises BadRequest too for a name that stands twice in one object:
    parsers keep one of the two, and nobody is told."""
    value = parse_nested(raw)
    if paths := names_that_stand_twice(raw, value):
        raise stands_twice(paths)
    return value


def parse_nested(raw: bytes) -> Any:
    """`parse_json`; raises BadRequest too for what is nested deeper than DEEPEST, and for a number that most systems
    cannot hold."""
    if raw[:3] == b"\xef\xbb\xbf" or raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise BadRequest("not valid JSON: it starts with a byte order mark; send UTF-8 without one")
    if raw[:2] == b"\x1f\x8b":
        raise BadRequest("not valid JSON: it is compressed; send it as it is")
    value = parse_json(raw, _input_decoder)
    if raw.count(b"[") + raw.count(b"{") > DEEPEST and _levels_of(value) > DEEPEST:
        raise BadRequest(f"nested deeper than {DEEPEST} levels")
    if _LONG in raw.translate(_DIGITS) and _holds_a_long_integer(value):
        raise BadRequest(_TOO_LONG)
    return value


_DIGITS = bytes.maketrans(b"123456789", b"0" * 9)
_LONG = b"0" * (MOST_DIGITS + 2)


def _holds_a_long_integer(value: Any) -> bool:
    if isinstance(value, dict | list):
        return any(map(_holds_a_long_integer, value.values() if isinstance(value, dict) else value))
    return isinstance(value, int) and abs(value) >= 10 ** (MOST_DIGITS + 1)


def stands_twice(paths: list[str]) -> BadRequest:
    """What to answer where an object has two members of one name."""
    message = "stands twice in the same object: which of the two is meant cannot be told"
    issues = [Issue("error", "structure", path, message, "each name once") for path in paths]
    return BadRequest(f"{paths[0]} {message}", issues)


_NAME_ENDS = re.compile(rb'"\s*:')


def names_that_stand_twice(raw: bytes, value: Any) -> list[str]:
    """The paths (`goals[1].text`) of members whose object has them twice, in JSON that was parsed to `value`."""
    if len(_NAME_ENDS.findall(raw)) == _names_in(value):
        return []
    # else it has, or a text holds what looks like the end of a name
    return list(_twice(json.loads(raw, object_pairs_hook=tuple, parse_int=str, parse_float=str), ""))


def _names_in(value: Any) -> int:
    """How many members all its objects have."""
    count, found = 0, [value]
    for one in found:  # it grows meanwhile: a call for each of some hundred values would be dear
        if one.__class__ is dict:
            count += len(one)
            found += one.values()
        elif one.__class__ is list:
            found += one
    return count


def _twice(value: Any, path: str) -> Iterator[str]:
    """The paths of members that stand twice; objects are tuples of (name, value)."""
    if isinstance(value, tuple):
        seen: set[str] = set()
        for name, child in value:
            below = f"{path}.{name}" if path else name
            if name in seen:
                yield below
            seen.add(name)
            yield from _twice(child, below)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _twice(child, f"{path}[{index}]")


def _levels_of(value: Any) -> int:
    """How many lists and objects stand inside each other; no more than DEEPEST + 1 are counted."""
    levels, here = 0, [value]
    while levels <= DEEPEST:
        here = [one for one in here if one.__class__ is dict or one.__class__ is list]
        if not here:
            break
        levels += 1
        here = [*chain.from_iterable(one.values() if one.__class__ is dict else one for one in here)]
    return levels


def dump_json(value: Any) -> bytes:
    """Compact JSON in UTF-8; Decimal is written with the digits it was read with."""
    return _encoder.encode(value)


class Readings:
    """Resources by the JSON that says them: what says the same to the letter need not be read again.

    What is read is shared with whoever gave the resources. Nobody may change it.
    """

    def __init__(self, resources: Sequence[Resource] = ()) -> None:
        self.raw = tuple(map(dump_json, resources))
        self._known = dict(zip(self.raw, resources, strict=True))

    def read(self, raw: bytes) -> Resource:
        """The resource in `raw`. Raises BadRequest."""
        known = self._known.get(raw)
        if known is None:
            known = parse_json(raw)
        return known


NO_READINGS = Readings()


def indented(raw: bytes) -> bytes:
    """The same JSON, two spaces a level, for readers; no digit changes."""
    return msgspec.json.format(raw, indent=2)


def reference_of(resource: Resource) -> str:
    """`Type/id` of a resource."""
    return f"{resource['resourceType']}/{resource['id']}"


def references_in(value: Any, path: str = "") -> Iterator[tuple[str, Resource]]:
    """Every Reference object that carries a literal `reference`, with its FHIR path."""
    if isinstance(value, dict):
        if isinstance(value.get("reference"), str):
            yield path, value
        for name, child in value.items():
            if isinstance(child, dict | list):
                yield from references_in(child, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            if isinstance(child, dict | list):
                yield from references_in(child, f"{path}[{index}]")


def rewrite_references(value: Any, rename: Callable[[str], str]) -> Any:
    """A copy of `value` in which every literal reference is `rename`d; nothing else changes."""
    if isinstance(value, dict):
        return {
            name: rename(child) if name == "reference" and isinstance(child, str) else rewrite_references(child, rename)
            for name, child in value.items()
        }
    if isinstance(value, list):
        return [rewrite_references(child, rename) for child in value]
    return value


def asks_for_a_decision(resource: Resource) -> bool:
    """Whether this is one of the service's own Tasks about a conflict."""
    if resource.get("resourceType") != "Task":
        return False
    codings = resource.get("code", {}).get("coding", [])
    return any(coding.get("system") == f"{CODES}/conflict" for coding in codings)
