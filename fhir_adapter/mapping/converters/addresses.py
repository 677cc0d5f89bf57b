"""Addresses and municipalities."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair, Run


@converter("address", "postal_code=PATTERN")
def _address(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """`Storgatan 12, 151 72 Södertälje` <-> line, postalCode (of this pattern) and city; an address of another form is
    kept as text."""
    form = re.compile(f"(.+), ({words.option('postal_code')}) (.+)", re.DOTALL)

    def to_fhir(value: str, _run: Run, _path: str) -> Resource:
        parts = form.fullmatch(value)
        if parts is None:
            return {"text": value}
        made = {"line": parts.group(1).split(", "), "postalCode": parts.group(2), "city": parts.group(3)}
        return made if all(made["line"]) and _address_text(made) == value else {"text": value}

    def to_native(address: Resource, _run: Run) -> str | None:
        return address.get("text") or _address_text(address) or None

    return Pair(to_fhir, to_native)


def _address_text(address: Resource) -> str:
    town = " ".join(part for part in (address.get("postalCode"), address.get("city")) if part)
    return ", ".join([*(address.get("line") or ()), *([town] if town else ())])


@converter("lines", whole=True, fields=9, least=1)
def _lines(fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """(first line, second, ...) <-> the lines of an address. A line after one that is missing stays in the record, with
    a warning."""

    def to_fhir(values: tuple[Any, ...], run: Run, prefix: str) -> list[str] | None:
        gap = values.index(None) if None in values else len(values)
        for field, value in zip(fields[gap:], values[gap:], strict=True):
            if value is not None:
                run.warn(prefix + field, "incomplete", "a line without the one before it is not carried", fields[gap])
        return list(values[:gap]) or None

    def to_native(lines: list[str], _run: Run) -> tuple[Any, ...]:
        here = [*lines[: len(fields)], *[None] * len(fields)]
        return tuple(here[: len(fields)])

    return Pair(to_fhir, to_native)


@converter("municipality", targets=2)
def _municipality(_fields: Sequence[str], _words: Words, knowledge: Knowledge) -> Pair:
    """`Södertälje (0181)`, or one of the two <-> (the name, the code), by the organisations file."""
    register = knowledge.register
    example = next((f"{one.name} ({code})" for code, one in register.municipalities.items()), None)
    if example is None:
        raise ValueError("the organisations file names no municipalities")

    def to_fhir(value: str, run: Run, path: str) -> tuple[Any, ...]:
        name, code = register.municipality_in(value)
        if code is None:
            run.warn(path, "value", "no municipality code: the municipality cannot be told", example)
        elif code not in register.municipalities:
            run.warn(path, "not-found", "this municipality code is not in the table: its organisation is not known")
        return name, code

    def to_native(fragments: tuple[Any, ...], _run: Run) -> str | None:
        name, code = fragments
        return f"{name} ({code})" if name and code else name or code

    return Pair(to_fhir, to_native)


@converter("position", fields=2, kinds="number")
def _position(fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """(latitude, longitude) <-> a Location's position; FHIR takes both or none, so one alone stays in the record, with
    a warning."""

    def to_fhir(values: tuple[Any, ...], run: Run, prefix: str) -> Resource | None:
        if None not in values:
            return dict(zip(("latitude", "longitude"), values, strict=True))
        said, missing = fields if values[1] is None else reversed(fields)
        run.warn(prefix + said, "incomplete", "half a position cannot be carried to FHIR", f"{missing} beside it")
        return None

    return Pair(to_fhir, lambda position, _run: (position.get("latitude"), position.get("longitude")))
