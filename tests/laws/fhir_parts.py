"""Parts of FHIR resources, taken out and looked for."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_adapter.fhir.paths import Step
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.words import folded

Names = tuple[str, ...]
"""a resource type and the elements below it, without positions"""

_GONE = object()


def cut(node: Any, steps: Sequence[Step]) -> None:
    """Takes away what a path leads to, and what is empty or has nothing but its name then."""
    first, rest = steps[0], steps[1:]
    value = node.get(first.name)
    if value is None:
        return
    if isinstance(value, list):
        for item in [item for place, item in enumerate(value) if _is_chosen(first, place, item)]:
            if rest:
                cut(item, rest)
            if not rest or not item.keys() - {"url", first.key}:
                value[:] = [one for one in value if one is not item]
    elif rest:
        cut(value, rest)
    if not value or not (rest or isinstance(value, list)):
        del node[first.name]


def _is_chosen(step: Step, place: int, item: Any) -> bool:
    if step.index is not None:
        return place == step.index
    return step.key is None or (isinstance(item, dict) and item.get(step.key) == step.value)


def holder_of(node: Resource, steps: Sequence[Step]) -> tuple[Any, str]:
    """What holds the list at the end of a path, and the list's name there."""
    for step in steps[:-1]:
        value = node[step.name]
        chosen = (
            [item for place, item in enumerate(value) if _is_chosen(step, place, item)]
            if isinstance(value, list)
            else [value]
        )
        node = chosen[0]
    return node, steps[-1].name


def without(resource: Resource, gone: set[str]) -> Resource:
    """The resource without what points at these, and without each entry of a list that does: it was about them."""
    found = _pruned(resource, gone)
    assert isinstance(found, dict)
    return found


def _pruned(value: Any, gone: set[str]) -> Any:
    if isinstance(value, list):
        return [one for one in value if _pruned(one, gone) == one] or _GONE
    if not isinstance(value, dict):
        return value
    if str(value.get("reference")) in gone:
        return _GONE
    made = {name: one for name, child in value.items() if (one := _pruned(child, gone)) is not _GONE}
    return made or _GONE


def masked(resource: Resource, hidden: set[Names]) -> Resource:
    """The resource without these elements, wherever they stand in it."""
    for names in hidden:
        if names[0] == resource["resourceType"]:
            _strip(resource, names[1:])
    return resource


def _strip(node: Any, names: Names) -> None:
    if isinstance(node, list):
        for item in node:
            _strip(item, names)
        node[:] = [item for item in node if item != {}]
    elif isinstance(node, dict) and names[0] in node:
        if len(names) == 1:
            del node[names[0]]
            return
        _strip(node[names[0]], names[1:])
        if not node[names[0]]:
            del node[names[0]]


def values_at(node: Any, names: Names) -> list[Any]:
    """What a resource holds at an element, all of it where it stands several times; the first name is its type."""
    if names and isinstance(node, dict) and "resourceType" in node:
        return values_at({names[1]: node.get(names[1])}, names[1:]) if node["resourceType"] == names[0] else []
    if isinstance(node, list):
        return [value for item in node for value in values_at(item, names)]
    if not names or node is None:
        return [] if node is None else [node]
    return values_at(node.get(names[0]), names[1:]) if isinstance(node, dict) else []


def words_in(value: Any) -> set[str]:
    """Every text in JSON, folded."""
    if isinstance(value, dict | list | tuple):
        return {word for child in (value.values() if isinstance(value, dict) else value) for word in words_in(child)}
    return {folded(value)} if isinstance(value, str) else set()
