"""Do the two sides of a rule fit: a list and a list, a plain value and one of its kind? Told at start-up."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

from fhir_adapter.fhir.elements import is_list_at, is_primitive, targets_at, type_at
from fhir_adapter.fhir.paths import parse_path
from fhir_adapter.mapping.converters.registry import Converter
from fhir_adapter.mapping.model import Pair, Run, reference_in
from fhir_adapter.mapping.rules import Target

_KINDS = {
    "boolean": {"boolean"},
    "decimal": {"number", "integer"},
    "integer": {"number", "integer"},
    "positiveInt": {"number", "integer"},
    "unsignedInt": {"number", "integer"},
}
"""what a record's schema calls the kinds of plain values that are no text in FHIR"""

_PLAIN = {"string", "number", "integer", "boolean"}


def leads_to_list(target: Target) -> bool:
    """Is there more than one part at the end of this path?"""
    return is_list_at(target.type, parse_path(target.text))


def misfit(
    many: str, targets: Sequence[Target], converter: Converter | None, declared: Mapping[str, Any]
) -> str | None:
    """Why the two sides of a rule cannot be each other, and what to do; None where they can.

    `many`: of the native side, as in Field; `declared`: what the record's schema says of the (first) native field.
    """
    if len(targets) > 1:
        return None
    (target,) = targets
    many_in_fhir = leads_to_list(target)
    if converter is not None and converter.whole:
        return _misfit_of_whole(many, converter, target, many_in_fhir=many_in_fhir)
    if many != "one" and not many_in_fhir:
        return f"each item would overwrite the one before: end the path in [], or give one item: {target.text}[0]"
    return None if converter is not None else _misfit_of_copy(many, target, declared)


def _misfit_of_whole(many: str, converter: Converter, target: Target, *, many_in_fhir: bool) -> str | None:
    if many != "one":
        return f"the converter {converter.name!r} finds its part in the whole list: write the field without [] or *"
    if not many_in_fhir:
        return f"the converter {converter.name!r} finds its part in a list: end the path {target.text} in []"
    return None


def _misfit_of_copy(many: str, target: Target, declared: Mapping[str, Any]) -> str | None:
    steps = parse_path(target.text)
    type_ = type_at(target.type, steps, whole_list=True)
    if not is_primitive(type_):
        return (
            f"{type_} is no plain value: name a converter (such as `| text`), or one of its parts: {target.text}.PART"
        )
    if many == "one" and any(step.every for step in steps):
        return f"{target.text} is a list: write the field as FIELD[], or one item of the list, with [0]"
    return _misfit_of_kinds(many, type_, declared)


def _misfit_of_kinds(many: str, type_: str, declared: Mapping[str, Any]) -> str | None:
    node = declared.get("items", declared) if many != "one" else declared
    said = node.get("type") or ()
    kinds = ({said} if isinstance(said, str) else set(said)) & _PLAIN
    wanted = _KINDS.get(type_, {"string"})
    if not kinds or kinds & wanted:
        return None
    said_kinds, kind = " or ".join(sorted(kinds)), sorted(wanted)[-1]
    return f"the schema says {said_kinds}, and {type_} in FHIR is a {kind}: name a converter, or correct the schema"


def first_of_its_own(pair: Pair) -> Pair:
    """The pair for one field that stands for one part of a list: the first part that the converter knows as its own."""

    def to_native(parts: Sequence[Any], run: Run) -> Any:
        return next((value for part in parts if (value := pair.to_native(part, run)) is not None), None)

    return replace(pair, to_native=to_native)


def within_r4(pair: Pair, target: Target) -> Pair:
    """The pair for a reference that R4 lets lead to some types only: to any other type stays nothing but its name."""
    allowed = targets_at(target.type, parse_path(target.text))
    if not allowed:
        return pair

    def to_fhir(value: Any, run: Run, path: str) -> Any:
        made = pair.to_fhir(value, run, path)
        reference = reference_in(made)
        if reference is None or reference.partition("/")[0] in allowed:
            return made
        words = value if isinstance(value, tuple) else (value,)
        name = made.get("display") or next((word for word in words if isinstance(word, str)), None)
        return {"display": name} if name else made

    return replace(pair, to_fhir=to_fhir)
