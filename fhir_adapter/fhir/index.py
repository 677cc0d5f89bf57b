"""What a resource can be found by: its index rows, taken by one function a type, written from the parameter table.

A walk through a table of parameters for every element of every resource costs more than the work itself, and each save
does it. `python -m fhir_adapter.fhir.index Goal` prints the function of a type.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterable, Iterator
from functools import cache
from typing import Any, NamedTuple

from fhir_adapter.fhir.organisations import organisations_named
from fhir_adapter.fhir.parameters import PARAMETERS, Parameter
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.fhir.takes import (
    TAKES,
    TEXT_LENGTH,
    Rows,
    Take,
    contact_of,
    normal,
    split_reference,
    take_identifier,
)

__all__ = ["TEXT_LENGTH", "Rows", "add_index_rows", "index_rows", "normal", "split_reference"]


def index_rows(resource: Resource, rid: int = 0) -> Rows:
    """Every row that the resource is found by. Values of a wrong JSON type are passed over: checks report them."""
    rows = Rows.none()
    add_index_rows(rows, resource, rid)
    return rows


def add_index_rows(rows: Rows, resource: Resource, rid: int) -> None:
    """The same, added to the rows of others."""
    if resource["resourceType"] in PARAMETERS:
        _walk_of(resource["resourceType"])(rows, resource, rid)
    rows.organisation.extend((digits, rid) for digits in organisations_named(resource))


class _Reader(NamedTuple):
    """What to take of the element with one name, by the numbers of parameters, and what of the elements inside it."""

    takes: list[tuple[int, Take | str]]
    below: _Readers


_Readers = dict[str, _Reader]


def _readers_of(parameters: Iterable[Parameter]) -> _Readers:
    """Parameters that share a number are read once."""
    readers: _Readers = {}
    for parameter in {parameter.number: parameter for parameter in parameters}.values():
        for source in parameter.sources:
            *outer, last = source.names
            place = readers
            for name in outer:
                place = place.setdefault(name, _Reader([], {})).below
            take = contact_of(source.system) if source.system else TAKES[parameter.kind][source.fhir_type]
            place.setdefault(last, _Reader([], {})).takes.append((parameter.number, take))
    return readers


_Walk = Callable[[Rows, Resource, int], None]


def _source(type_: str, names: dict[str, Any]) -> str:
    """The function of a type; what it calls is put into `names`."""
    lines = ["token, reference = rows.token, rows.reference", *_lines(_readers_of(PARAMETERS[type_].values()), names)]
    return "\n    ".join([f"def walk_{type_}(rows, resource, rid):", *lines]) + "\n"


def _lines(readers: _Readers, names: dict[str, Any], element: str = "resource", depth: int = 0) -> Iterator[str]:
    """Element by element: every value there, and what is inside it."""
    value = f"value_{depth}"
    for name, reader in readers.items():
        yield f"if {name!r} in {element}:"
        yield f"    found = {element}[{name!r}]"
        yield f"    for {value} in found if type(found) is list else (found,):"
        for number, take in reader.takes:
            yield from (f"        {line}" for line in _take_lines(take, number, value, names))
        if reader.below:
            yield f"        if type({value}) is dict:"
            yield from (f"            {line}" for line in _lines(reader.below, names, value, depth + 1))


def _take_lines(take: Take | str, number: int, value: str, names: dict[str, Any]) -> list[str]:
    if isinstance(take, str):
        return take.format(value=value, number=number).splitlines()
    name = f"take_{len(names)}"
    names[name] = take
    return [f"{name}(rows, {number}, rid, {value})"]


@cache
def _walk_of(type_: str) -> _Walk:
    space: dict[str, Any] = {"split_reference": split_reference, "take_identifier": take_identifier}
    exec(compile(_source(type_, space), f"<index of {type_}>", "exec"), space)  # noqa: S102 - made of our own table
    walk: _Walk = space[f"walk_{type_}"]
    return walk


if __name__ == "__main__":
    sys.stdout.write(_source(sys.argv[1], {}))
