"""What an anchor `set`s: constants that R4 must have a place for."""

from __future__ import annotations

from collections.abc import Iterator
from decimal import Decimal
from typing import Any

from fhir_adapter.fhir.elements import elements_of, is_primitive, type_at
from fhir_adapter.fhir.paths import Step

_KINDS: dict[str, type | tuple[type, ...]] = {
    "boolean": bool,
    "integer": int,
    "positiveInt": int,
    "unsignedInt": int,
    "decimal": (int, float, Decimal),
}
"""of plain values that are no text"""


def faults_in(type_: str, constants: Any, path: str = "") -> Iterator[str]:
    """What in the constants of a type, or of an element, has no place in R4."""
    if is_primitive(type_):
        yield from _fault_of_value(type_, constants, path)
    elif not isinstance(constants, dict) or not constants:
        yield f"{path or type_} is an object in R4, not {constants!r}"
    elif elements_of(type_):
        for name, value in constants.items():
            yield from _faults_of_element(type_, name, value, f"{path}.{name}".lstrip("."))


def _faults_of_element(type_: str, name: str, value: Any, path: str) -> Iterator[str]:
    known = elements_of(type_).get(name)
    try:
        inner = known.type if known is not None else type_at(type_, [Step(name)], whole_list=True)
    except ValueError as fault:
        yield str(fault)
        return
    is_list = isinstance(value, list)
    if known is not None and known.is_list != is_list:
        yield (
            f"{path} is a list in R4: write [...]"
            if known.is_list
            else f"{path} is no list in R4: write it without [...]"
        )
        return
    for place, item in enumerate(value if is_list else [value]):
        yield from faults_in(inner, item, f"{path}[{place}]" if is_list else path)


def _fault_of_value(type_: str, value: Any, path: str) -> Iterator[str]:
    wanted = _KINDS.get(type_, str)
    if not isinstance(value, wanted) or (isinstance(value, bool) and wanted is not bool):
        hint = ": put it in quotes" if wanted is str and not isinstance(value, (dict, list)) else ""
        yield f"{path} is a {type_} in R4, not {value!r}{hint}"
