"""The elements of R4: what a type holds, how often, and whether a path leads anywhere."""

from __future__ import annotations

import difflib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path

from fhir_adapter.fhir.paths import Step
from fhir_adapter.fhir.resources import parse_json


@dataclass(frozen=True, slots=True)
class Element:
    """One element: its type (`Goal.target` for one with elements of its own), whether it is a list, and required.

    `targets`: the resource types that a Reference may lead to; empty where R4 takes any.
    """

    type: str
    is_list: bool
    is_required: bool
    targets: frozenset[str] = frozenset()


@lru_cache(maxsize=1)
def _table() -> dict[str, dict[str, str]]:
    """elements.json, made by scripts/build_elements.py; read where a declaration is loaded."""
    table: dict[str, dict[str, str]] = parse_json((Path(__file__).parent / "elements.json").read_bytes())
    return table


@lru_cache(maxsize=512)
def elements_of(type_: str) -> Mapping[str, Element]:
    """The elements of a type, or of an element that has some: `Goal.target`. Empty for a primitive or no type of R4."""
    return {name: _element(text) for name, text in _table().get(type_, {}).items()}


def _element(text: str) -> Element:
    bounds, type_, *targets = text.split(" ")
    return Element(
        type_, bounds.endswith("*"), bounds.startswith("1"), frozenset(targets[0].split("|") if targets else ())
    )


_ONLY_ALIKE = frozenset({"instantiates", "payment"})
"""Stems of elements that look like forms of one x[y] and are several: Task.instantiatesUri, instantiatesCanonical."""


@lru_cache(maxsize=512)
def forms_of(type_: str) -> Mapping[str, str]:
    """The elements of a type that are forms of one x[y], each with its stem: `onsetAge` -> `onset`."""
    stems = {
        name: name.removesuffix(kind)
        for name, element in elements_of(type_).items()
        if not element.is_list and name.endswith(kind := element.type[0].upper() + element.type[1:])
    }
    counts = Counter(stems.values())
    return {name: stem for name, stem in stems.items() if stem and counts[stem] > 1 and stem not in _ONLY_ALIKE}


def type_below(type_: str, path: str) -> str:
    """The type at the end of a path without positions (`activity.detail` of CarePlan); empty where it leads nowhere."""
    for name in path.split(".") if path else ():
        found = elements_of(type_).get(name)
        type_ = found.type if found else ""
    return type_


def is_resource_type(type_: str) -> bool:
    """Is it a resource type of R4?"""
    return "." not in type_ and "meta" in elements_of(type_) and "implicitRules" in elements_of(type_)


def type_at(type_: str, steps: Sequence[Step], *, whole_list: bool = False) -> str:
    """The type of the element that `steps` lead to from `type_`.

    Raises ValueError where they lead nowhere. `whole_list`: the last step may be a list without saying which item.
    """
    here = type_
    for place, step in enumerate(steps):
        found = elements_of(here).get(step.name) or _beside_primitive(here, step.name)
        if found is None:
            raise ValueError(_nowhere(here, step.name))
        selects = step.every or step.index is not None or step.key is not None
        if selects and not found.is_list:
            raise ValueError(f"{here}.{step.name} is no list in R4: write it without [...]")
        if found.is_list and not selects and not (whole_list and place == len(steps) - 1):
            raise ValueError(f"{here}.{step.name} is a list in R4: write {step.name}[0], {step.name}[] or [key=value]")
        if step.key is not None and step.key not in elements_of(found.type):
            raise ValueError(_nowhere(found.type, step.key))
        here = found.type
    return here


def targets_at(type_: str, steps: Sequence[Step]) -> frozenset[str]:
    """The resource types that the Reference at the end of `steps` may lead to; empty where R4 takes any."""
    found = elements_of(type_at(type_, steps[:-1])).get(steps[-1].name)
    return found.targets if found is not None else frozenset()


def is_list_at(type_: str, steps: Sequence[Step]) -> bool:
    """Do `steps` lead to a list, or through every item of one?"""
    if any(step.every for step in steps):
        return True
    last = steps[-1]
    found = elements_of(type_at(type_, steps[:-1])).get(last.name)
    return found is not None and found.is_list and last.index is None and last.key is None


def is_primitive(type_: str) -> bool:
    """Is it a plain value: a string, a number, a date?"""
    return type_[:1].islower()


def _beside_primitive(type_: str, name: str) -> Element | None:
    """`_gender` beside `gender`: the id and extensions of a primitive value."""
    value = elements_of(type_).get(name[1:]) if name.startswith("_") else None
    return Element("Element", value.is_list, False) if value is not None and value.type[0].islower() else None


def _nowhere(type_: str, name: str) -> str:
    near = difflib.get_close_matches(name, elements_of(type_), n=1)
    choice = sorted(known for known in elements_of(type_) if known.startswith(name) and known[len(name)].isupper())
    hint = f"; did you mean {near[0]!r}?" if near else f"; there is {', '.join(choice)}" if choice else ""
    return f"R4 has no element {type_}.{name}{hint}"
