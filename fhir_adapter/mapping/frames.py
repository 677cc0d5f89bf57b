"""One item of a record, where its fields are, and the FHIR nodes that stand for it."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Any

from fhir_adapter.fhir.paths import Step, reader, step_of, writer
from fhir_adapter.fhir.resources import Resource

Nodes = dict[str, Resource]

Look = tuple[str, str]
"""an anchor, and the name of one of its elements"""


@dataclass(slots=True)
class Frame:
    """One item of the record (or the record itself) and the FHIR nodes that stand for it."""

    native: dict[str, Any]
    path: str
    """its place in the record as a prefix for field names: `mal[0].`"""
    key: str
    parent_key: str
    nodes: Nodes
    lists: dict[str, list[Frame]]
    before: Frame | None = None
    keys: Any = None
    """the keys of its list, where it is new there"""
    gone: frozenset[str] = frozenset()
    """the anchors that were there before and are, as those say who refer to them, no more"""
    place: int = 0
    """its place in the list as it was sent"""
    own: str | None = None
    """its id, as its sender gave it or knew it before"""


@dataclass(frozen=True, slots=True)
class NativePath:
    """A field of an item, possibly inside its objects: `senast`, `person.name`."""

    text: str
    names: tuple[str, ...]
    """its fields, where all of them are plain; empty where one selects an item of a list"""
    read: Callable[[dict[str, Any]], Any]
    """the value, or None where it (or an object above it) is missing or null"""
    steps: tuple[Step, ...] = ()
    """with a selection: `name[0].given`, `telecom[system=phone].value`"""
    is_required: bool = False
    """by the format, of the object that it is in"""

    def write(self, item: dict[str, Any], value: Any) -> None:
        """Sets the value, making the objects above it; None takes the field away, and objects that are empty then."""
        if value is None:
            self._remove(item)
            return
        if self.steps:
            writer(self.steps)(item, value)
            return
        node = item
        for name in self.names[:-1]:
            below = node.get(name)
            if not isinstance(below, dict):
                below = node[name] = {}
            node = below
        node[self.names[-1]] = value

    def _remove(self, item: dict[str, Any]) -> None:
        if self.steps:
            _remove_selected(item, self.steps)
            return
        holders = [item]
        for name in self.names[:-1]:
            below = holders[-1].get(name)
            if not isinstance(below, dict):
                return
            holders.append(below)
        holders[-1].pop(self.names[-1], None)
        for holder, name in zip(reversed(holders[:-1]), reversed(self.names[:-1]), strict=True):
            if holder[name]:
                return
            del holder[name]


def copied(value: Any) -> Any:
    """A deep copy of JSON."""
    kind = value.__class__
    if kind is dict:
        return {name: copied(child) if child.__class__ in _HOLDERS else child for name, child in value.items()}
    if kind is list:
        return [copied(child) if child.__class__ in _HOLDERS else child for child in value]
    return value


_HOLDERS = frozenset((dict, list))


def says_something(value: Any) -> bool:
    """Is there anything in a JSON value but empty objects, lists and words?"""
    if value is None or value == "":
        return False
    if isinstance(value, dict | list):
        return any(map(says_something, value.values() if isinstance(value, dict) else value))
    return True


def are_same(looks: Iterable[Look], nodes: Nodes, before: Nodes) -> bool:
    """Are these elements the very ones that they were, or not there then and now?"""
    for anchor, element in looks:
        node, was = nodes.get(anchor), before.get(anchor)
        if node is not was and (node is None or was is None or node.get(element) is not was.get(element)):
            return False
    return True


_STEP = re.compile(r"([^.\[\]]+)(?:\[([^\[\]]*)\])?(?:\.|$)")


def native_path(text: str) -> NativePath:
    """A dotted path into a native item, compiled; a step may select an item of a list, as in a FHIR path."""
    if "[" not in text:
        names = tuple(text.split("."))
        return NativePath(text, names, _reader(names))
    steps = tuple(step_of(name, selector or None) for name, selector in _STEP.findall(text))
    return NativePath(text, (), reader(steps), steps)


def schema_path(text: str) -> str:
    """The field of the format that a native path is about: `name[].given` for `name[0].given`."""
    return re.sub(r"\[[^\]]*\]", "[]", text)


def _remove_selected(item: dict[str, Any], steps: tuple[Step, ...]) -> None:
    """Takes a field away, and an object that is empty then; items of lists keep their places."""
    holder = reader(steps[:-1])(item) if len(steps) > 1 else item
    if not isinstance(holder, dict):
        return
    last = steps[-1]
    if last.index is None and last.key is None:
        holder.pop(last.name, None)
        return
    chosen = reader((last,))(holder)
    holder[last.name] = [each for each in holder.get(last.name) or () if each is not chosen]


def _reader(names: tuple[str, ...]) -> Callable[[dict[str, Any]], Any]:
    first, *rest = names
    if not rest:
        return lambda item: item.get(first)
    inner = _reader(tuple(rest))

    def read(item: dict[str, Any]) -> Any:
        below = item.get(first)
        return inner(below) if below.__class__ is dict else None

    return read
