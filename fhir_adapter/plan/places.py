"""One element of a resource by the path that a conflict names it with: reading it and writing it."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Any

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.plan.keys import KEYS, MISSING, content, label
from fhir_adapter.plan.ownership import Rules, choice_stem

_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\[([^\]]*)\])?(?:\.|$)")
"""A name and, for an item of a list, the merge's key of it: `participant[PractitionerRole/1]`."""

Step = tuple[str, str | None]


def rule_path(path: str) -> str:
    """The path without the keys of items, as rules and tables write it: `participant.period`."""
    return ".".join(name for name, _ in _steps(path))


def has_several_names(path: str, values: Iterable[Any]) -> bool:
    """Whether the values of a conflict hold an element under its real names: `_x` beside x, or the forms of x[y].

    Such a value is an object from each real name to what stands there (`{"dueDate": …}`).
    """
    name = path.rpartition(".")[2]
    objects = [value for value in values if isinstance(value, dict) and value]
    named = [key for one in objects for key in one]
    fits = all(key.lstrip("_") == name or _is_form(name, key) for key in named)
    return fits and any(key != name for key in named)


def _is_form(stem: str, name: str) -> bool:
    bare = name.lstrip("_")
    return bare.startswith(stem) and bare[len(stem) : len(stem) + 1].isupper()


def value_at(resource: Resource, path: str, *, several: bool = False) -> Any:
    """What stands at the path, MISSING where nothing does. `several`: under all names of the element, as an object."""
    node: Any = resource
    above = ""
    steps = _steps(path)
    for place, (name, key) in enumerate(steps):
        if not isinstance(node, dict):
            return MISSING
        if several and place == len(steps) - 1:
            return {one: node[one] for one in _names_of(resource, above, node, name)} or MISSING
        node = node.get(name, MISSING)
        above = f"{above}.{name}".lstrip(".")
        if key is not None:
            items = node if isinstance(node, list) else []
            node = next((item for item in items if key in _labels(resource, above, item)), MISSING)
    return node


def is_there(resource: Resource, path: str) -> bool:
    """Whether the items of lists that the path leads through are there; what it ends in may be missing."""
    holders = [path[: match.end()] for match in re.finditer(r"\]\.", path)]
    return all(value_at(resource, holder.removesuffix(".")) is not MISSING for holder in holders)


def item_at(resource: Resource, path: str) -> Any:
    """The innermost list item that the path leads into; None where it leads into none, or that is not there."""
    above, bracket, _ = path.rpartition("]")
    item = value_at(resource, above + bracket) if bracket else None
    return None if item is MISSING else item


def with_value_at(resource: Resource, path: str, value: Any, *, several: bool = False) -> Resource:
    """The resource with the value at the path; None takes away what stands there. Nothing given is changed."""
    changed: Resource = _put(resource, resource, "", _steps(path), None if value is MISSING else value, several)
    return changed


def _put(resource: Resource, node: Resource, above: str, steps: list[Step], value: Any, several: bool) -> Resource:
    (name, key), *rest = steps
    if several and not rest:
        names = _names_of(resource, above, node, name)
        return {one: node[one] for one in node if one not in names} | (value or {})
    inside = f"{above}.{name}".lstrip(".")
    below = node.get(name)
    new: Any = value
    if key is not None:
        new = _put_item(resource, below if isinstance(below, list) else [], inside, key, rest, value, several)
    elif rest:
        new = _put(resource, below if isinstance(below, dict) else {}, inside, rest, value, several)
    if new in (None, [], {}):
        return {one: node[one] for one in node if one != name}
    return node | {name: new}


def _put_item(
    resource: Resource, items: list[Any], inside: str, key: str, rest: list[Step], value: Any, several: bool
) -> list[Any]:
    """The list with its item of this key replaced, taken away (None), or put behind the others."""
    places = [place for place, item in enumerate(items) if key in _labels(resource, inside, item)]
    if rest:
        return [
            _put(resource, item, inside, rest, value, several) if place in places[:1] else item
            for place, item in enumerate(items)
        ]
    new = [] if value is None else [value]
    if not places:
        return [*items, *new]
    return [*items[: places[0]], *new, *items[places[0] + 1 :]]


def _steps(path: str) -> list[Step]:
    return [(match[1], match[2]) for match in _STEP.finditer(path)]


def _names_of(resource: Resource, above: str, node: Resource, stem: str) -> list[str]:
    """The names under which the element stands in the object that holds it."""
    type_ = resource.get("resourceType", "")
    wanted = choice_stem(type_, above, stem)
    return [name for name in node if choice_stem(type_, above, name) == wanted]


def _labels(resource: Resource, path: str, item: Any) -> set[str]:
    """Every word by which a conflict may call the item: one for each key of the list, one for its content."""
    names = Rules.default().rule_for(resource.get("resourceType", ""), path).keys or ("reference",)
    keys = [KEYS[name](item) for name in names] if isinstance(item, dict) else []
    return {label(("", key)) for key in (*keys, content(item)) if key is not None}
