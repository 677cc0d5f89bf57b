"""One item of a record, where its fields are, and the FHIR nodes that stand for it."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhir_adapter.fhir.resources import Resource

Nodes = dict[str, Resource]


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
    is_new: bool = False


@dataclass(frozen=True, slots=True)
class NativePath:
    """A field of an item, possibly inside its objects: `senast`, `person.name`."""

    text: str
    names: tuple[str, ...]
    read: Callable[[dict[str, Any]], Any]
    """the value, or None where it (or an object above it) is missing or null"""

    def write(self, item: dict[str, Any], value: Any) -> None:
        """Sets the value, making the objects above it; None takes the field away, and objects that are empty then."""
        if value is None:
            self._remove(item)
            return
        node = item
        for name in self.names[:-1]:
            below = node.get(name)
            if not isinstance(below, dict):
                below = node[name] = {}
            node = below
        node[self.names[-1]] = value

    def _remove(self, item: dict[str, Any]) -> None:
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
    if value.__class__ is dict:
        return {name: copied(child) for name, child in value.items()}
    if value.__class__ is list:
        return [copied(child) for child in value]
    return value


def native_path(text: str) -> NativePath:
    """A dotted path into a native item, compiled."""
    names = tuple(text.split("."))
    return NativePath(text, names, _reader(names))


def _reader(names: tuple[str, ...]) -> Callable[[dict[str, Any]], Any]:
    first, *rest = names
    if not rest:
        return lambda item: item.get(first)
    inner = _reader(tuple(rest))

    def read(item: dict[str, Any]) -> Any:
        below = item.get(first)
        return inner(below) if below.__class__ is dict else None

    return read
