"""Paths of fields inside a record: read from a column's name, taken apart, and put together again."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

_STEP = re.compile(r"([^.\[\]]+)((?:\[\d*\])?)(?:\.|$)")


@dataclass(frozen=True, slots=True)
class FieldPath:
    """A field of a flat table: `mal[].text` is in each row's item, `mal[1].text` in the second item.

    `lists` are the lists that rows make items of, from the outside in; `rest` leads from there to the field. A list of
    plain values (`diagnoser[]`) has an empty rest.
    """

    text: str
    lists: tuple[str, ...]
    rest: tuple[str | int, ...]


def field_path(text: str) -> FieldPath:
    """Reads a path. Raises ValueError where it is none."""
    steps = _STEP.findall(text)
    if not steps or ".".join(name + index for name, index in steps) != text:
        raise ValueError(f"{text!r} is not the path of a field, like `person.namn` or `mal[].text`")
    lists: list[str] = []
    rest: list[str | int] = []
    for name, index in steps:
        rest.append(name)
        if index == "[]":
            if any(isinstance(step, int) for step in rest):
                raise ValueError(f"{text!r}: a list of rows cannot be inside a numbered item")
            lists.append(".".join(map(str, rest)))
            rest = []
        elif index:
            rest.append(int(index[1:-1]))
    return FieldPath(text, tuple(lists), tuple(rest))


def put_at(holder: dict[str, Any], steps: tuple[str | int, ...], value: Any) -> None:
    """Sets a value, making objects and lists on the way; items that were left out before it become empty objects."""
    node: Any = holder
    for step, below in pairwise(steps):
        node = _below(node, step, [] if isinstance(below, int) else {})
    last = steps[-1]
    if isinstance(last, int):
        node.extend([None] * (last + 1 - len(node)))
    node[last] = value


def _below(node: Any, step: str | int, empty: Any) -> Any:
    if isinstance(step, int):
        node.extend([None] * (step + 1 - len(node)))
        if node[step] is None:
            node[step] = empty
        return node[step]
    return node.setdefault(step, empty)


def without_gaps(value: Any) -> Any:
    """The value with no None in its lists: numbered columns that were empty made no item."""
    if isinstance(value, dict):
        return {name: without_gaps(child) for name, child in value.items()}
    if isinstance(value, list):
        return [without_gaps(child) for child in value if child is not None]
    return value


def leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    """Every plain value of a record by its path with positions; null and empty things are nothing."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from leaves(child, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from leaves(child, f"{path}[{index}]")
    elif value is not None and value != "":
        yield path, value
