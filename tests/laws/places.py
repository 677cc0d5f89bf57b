"""Places in JSON: where something is, `("mal", 1, "text")`, and the path of the format that it is at, `mal[].text`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

Record = dict[str, Any]
Place = tuple[str | int, ...]


class _Nothing:
    """Stands for no value at all: None is one in JSON."""


NOTHING = _Nothing()


def places_in(value: Any, place: Place = ()) -> Iterator[Place]:
    """Every place of a JSON value, the value itself left out."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield (*place, step)
        yield from places_in(child, (*place, step))


def at(value: Any, place: Place) -> Any:
    """What stands at a place."""
    for step in place:
        value = value[step]
    return value


def path_of(place: Place) -> str:
    """The path in the format of a place: `mal[].text`."""
    path = ""
    for step in place:
        path += "[]" if isinstance(step, int) else f".{step}" if path else str(step)
    return path


def place_of(path: str) -> Place:
    """The place of a sender's path: `mal[1].text`."""
    steps: list[str | int] = []
    for step in path.split("."):
        name, *indexes = step.replace("]", "").split("[")
        steps += [name, *(int(index) for index in indexes if index.isdigit())]
    return tuple(steps)
