"""What a plan says and a record made of it does not: told beside the record, so that nobody takes it for the whole."""

from __future__ import annotations

import re
from collections.abc import Collection, Iterator, Mapping
from typing import Any

from fhir_adapter.fhir.differences import Untold
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.plan.keys import MISSING
from fhir_adapter.plan.spelling import shared

BY_NAME = frozenset({"Organization", "Patient", "Practitioner", "PractitionerRole", "RelatedPerson"})
"""Whom a record tells by name wherever something is about them."""

NOT_SAID = frozenset({"resourceType", "id", "meta", "identifier", "text", "language", "contained"})
"""Elements by which systems know a resource, or that repeat the others."""


def untold(
    plan: Mapping[str, Resource], record: Mapping[str, Resource], left_out: Collection[str] = ()
) -> Iterator[Untold]:
    """What of the plan's resources stands in none of the record's, which are those that FHIR gets of the record.
    Links to what was `left_out` on purpose are none."""
    for one in _untold_of_all(plan, record):
        if _target(one.value) not in left_out:
            yield one


def _target(value: Any) -> str:
    """What a link leads to, in an element of its own or not."""
    pointer = value.get("reference") if isinstance(value, dict) else None
    return str(pointer.get("reference") if isinstance(pointer, dict) else pointer)


def _untold_of_all(plan: Mapping[str, Resource], record: Mapping[str, Resource]) -> Iterator[Untold]:
    for reference, resource in plan.items():
        told = record.get(reference)
        if told is not None:
            said = {name: value for name, value in resource.items() if name not in NOT_SAID}
            for name, value in said.items():
                yield from (Untold(reference, *one) for one in _untold(value, told.get(name, MISSING), name))
        elif resource["resourceType"] not in BY_NAME:
            yield Untold(reference, "", resource)


def _untold(value: Any, told: Any, path: str) -> Iterator[tuple[str, Any]]:
    if told == value:
        return
    if isinstance(value, dict) and isinstance(told, dict):
        if "reference" in value or "reference" in told:  # another pointer to what goes by the same words
            return
        for name in value:
            yield from _untold(value[name], told.get(name, MISSING), f"{path}.{name}")
    elif isinstance(value, list):
        yield from _untold_items(value, told if isinstance(told, list) else [], path)
    else:
        yield path, value


def _untold_items(items: list[Any], told: list[Any], path: str) -> Iterator[tuple[str, Any]]:
    left = list(told)
    for item in items:
        likeness = [2 * shared(one, item) + (one == item) for one in left]
        if not any(likeness):
            yield path, item
            continue
        yield from _untold(item, left.pop(likeness.index(max(likeness))), path)


def whatever_the_place(path: str) -> str:
    """The path of an element without its places in lists, which is how `Untold` names it."""
    return re.sub(r"\[\d+\]", "", path)
