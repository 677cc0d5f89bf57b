"""Kinds of native values and what a converter takes: numbers and true or false may stand for their words."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from decimal import Decimal
from typing import Any

from fhir_adapter.mapping.converters.registry import KINDS, Converter
from fhir_adapter.mapping.knowledge import Table
from fhir_adapter.mapping.model import Pair, Run

_PYTHON: dict[str, type | tuple[type, ...]] = {
    "string": str,
    "boolean": bool,
    "integer": int,
    "number": (float, Decimal),
    "array": list,
    "object": dict,
}

Spell = tuple[Callable[[Any], Any], Callable[[Any], Any]]
"""how a native value becomes what the converter takes, and back"""


def fitted_to(
    pair: Pair, converter: Converter, names: Sequence[str], declared: Sequence[Mapping[str, Any]], many: str
) -> Pair:
    """The pair for fields of these kinds. Raises ValueError where the schema and the converter cannot agree.

    A whole number, and where the converter has a code table true and false, are read and written as their words. A
    value of a kind that only the schema lets pass is an error of the record.
    """
    taken = [converter.takes(place) for place in range(len(names))]
    kinds = [_kinds_in(schema, many) for schema in declared]
    spells = [_spell(*each, converter) for each in zip(names, kinds, taken, strict=True)]
    if kinds[0] == {"boolean"} and spells[0] is not None and pair.table is not None:
        _check_words_of_truth(names[0], pair.table)
    if all(kind <= allowed for kind, allowed in zip(kinds, taken, strict=True)):
        return pair
    return _guarded(pair, names, spells, taken)


def _kinds_in(schema: Mapping[str, Any], many: str) -> frozenset[str]:
    """What values may come: of one item where the field is a list; everything where the schema does not say."""
    node = schema.get("items", schema) if many == "list" else schema
    said = node.get("type") if many != "either" and isinstance(node, dict) else None
    if said is None and isinstance(node, dict) and ("const" in node or "enum" in node):
        return frozenset(_kind_of(value) for value in node.get("enum", [node.get("const")])) - {"null"}
    kinds = {said} if isinstance(said, str) else set(said or KINDS)
    return frozenset(kinds - {"null"})


def _kind_of(value: Any) -> str:
    if isinstance(value, float | Decimal) and value == int(value):
        return "integer"  # 60.0 is a whole number as well
    return next((kind for kind, types in _PYTHON.items() if isinstance(value, types)), "null")


def _spell(name: str, kinds: frozenset[str], taken: frozenset[str], converter: Converter) -> Spell | None:
    if kinds & taken or not kinds:
        return None
    if kinds == {"integer"} and "string" in taken:
        return lambda value: str(int(value)), _whole_number
    if kinds == {"boolean"} and "string" in taken and converter.usage.startswith("TABLE"):
        return (lambda value: "true" if value else "false"), (
            lambda word: {"true": True, "false": False}.get(word, word)
        )
    said, wanted = (" or ".join(sorted(each)) for each in (kinds, taken))
    raise ValueError(f"the schema says {said} of {name!r}, and it takes {wanted}: name another converter")


def _check_words_of_truth(name: str, table: Table) -> None:
    """A table for true and false has no other word that could be written into the field."""
    for row in table.rows:
        if row.words and row.words[0] not in ("true", "false"):
            raise ValueError(
                f"the schema says boolean of {name!r}, and line {row.line} of the table {table.name!r} would write"
                f" {row.words[0]!r} into it: let {row.codes[0]} stand beside the code of true or false, in one row"
            )


def _whole_number(word: Any) -> Any:
    digits = word.removeprefix("-") if isinstance(word, str) else ""
    return int(word) if digits.isascii() and digits.isdecimal() else word


def _guarded(pair: Pair, names: Sequence[str], spells: Sequence[Spell | None], taken: Sequence[frozenset[str]]) -> Pair:
    """The pair behind a look at each value: spelled out, or refused by its field."""

    def one(value: Any, place: int, run: Run, path: str) -> Any:
        spell = spells[place]
        if value is None or (kind := _kind_of(value)) in taken[place]:
            return value
        if spell is not None:
            return spell[0](value)
        wanted = " or ".join(sorted(taken[place]))
        return run.error(path, "structure", f"expected {wanted}, got {kind}", wanted)

    def to_fhir(value: Any, run: Run, path: str) -> Any:
        if len(names) > 1:
            values = tuple(one(each, place, run, path + names[place]) for place, each in enumerate(value))
            return pair.to_fhir(values, run, path)
        fitting = one(value, 0, run, path)
        return None if fitting is None else pair.to_fhir(fitting, run, path)

    def to_native(fragment: Any, run: Run) -> Any:
        made = pair.to_native(fragment, run)
        if len(names) == 1 or made is None:
            return _back(made, spells[0])
        return tuple(map(_back, made, spells))

    return replace(pair, to_fhir=to_fhir, to_native=to_native)


def _back(value: Any, spell: Spell | None) -> Any:
    return value if value is None or spell is None else spell[1](value)
