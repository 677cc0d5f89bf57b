"""Paths into FHIR JSON, compiled once into closures: read a fragment, write one, list many.

Grammar, step by step, joined by dots:

    name             a field
    name[0]          one place in a list
    name[]           every element (read) or a new one at the end (write)
    name[key=value]  the first element whose `key` equals `value`; written with that key where there is none
    extension[word]  the extension with that url; a word without a scheme is one of ours,
                     `#part` is a part of a complex extension
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from fhir_adapter.fhir.resources import EXTENSIONS

Reader = Callable[[Any], Any]
Writer = Callable[[dict[str, Any], Any], None]

_STEP = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\[([^\]]*)\])?(?:\.|$)")


@dataclass(frozen=True, slots=True)
class Step:
    """One step: a field, and which element where the field is a list."""

    name: str
    index: int | None = None
    key: str | None = None
    value: str | None = None
    every: bool = False


@dataclass(frozen=True, slots=True)
class Path:
    """A compiled path. `read`: the fragment or None (a list for a path with `[]`); `write` makes what is missing."""

    text: str
    steps: tuple[Step, ...]
    read: Reader
    write: Writer


def extension_url(word: str) -> str:
    """The url of an extension: a word of ours under EXTENSIONS, `#part` of a complex one, any url as it is."""
    if word.startswith("#"):
        return word[1:]
    return word if ":" in word else f"{EXTENSIONS}/{word}"


def parse_path(text: str) -> tuple[Step, ...]:
    """The steps of `text`. Raises ValueError with the place that cannot be read."""
    steps, at = [], 0
    while at < len(text):
        found = _STEP.match(text, at)
        if found is None:
            raise ValueError(f"cannot read the path {text!r} from {text[at:]!r}")
        steps.append(step_of(found.group(1), found.group(2)))
        at = found.end()
    if not steps or text.endswith("."):
        raise ValueError(f"the path {text!r} ends without a field")
    return tuple(steps)


def step_of(name: str, selector: str | None) -> Step:
    """The step for a field and what stands in its brackets, or None. Raises ValueError."""
    if selector is None:
        return Step(name)
    if selector == "":
        return Step(name, every=True)
    if selector.isdigit():
        return Step(name, index=int(selector))
    if name in ("extension", "modifierExtension"):
        return Step(name, key="url", value=extension_url(selector))
    key, equals, value = selector.partition("=")
    if not equals:
        raise ValueError(f"the selector [{selector}] is neither a number nor key=value")
    return Step(name, key=key, value=value)


def compile_path(text: str) -> Path:
    """The path `text`, ready to read and write. Raises ValueError where it is not a path."""
    steps = parse_path(text)
    return Path(text, steps, reader(steps), writer(steps))


def reader(steps: tuple[Step, ...]) -> Reader:
    """Reads the fragment at the end of these steps, or None."""
    if len(steps) == 1:
        return _one_reader(steps[0])
    first, rest = _one_reader(steps[0]), reader(steps[1:])
    if steps[0].every:
        many = any(step.every for step in steps[1:])
        return lambda node: _gather(first(node), rest, many)

    def read(node: Any) -> Any:
        below = first(node)
        return rest(below) if isinstance(below, dict) else None

    return read


def _gather(elements: Any, rest: Reader, many: bool) -> list[Any] | None:
    found: list[Any] = []
    for element in elements or ():
        fragment = rest(element) if isinstance(element, dict) else None
        if fragment is not None:
            found.extend(fragment) if many else found.append(fragment)
    return found or None


def _one_reader(step: Step) -> Reader:
    name, index, key, value = step.name, step.index, step.key, step.value
    if step.every:
        return lambda node: _as_list(node.get(name)) or None
    if index is not None:
        return lambda node: _element_at(node.get(name), index)
    if key is not None:
        return lambda node: _element_with(node.get(name), key, value)
    return lambda node: node.get(name)


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _element_at(value: Any, index: int) -> Any:
    return value[index] if isinstance(value, list) and len(value) > index else None


def _element_with(value: Any, key: str, wanted: str | None) -> Any:
    for element in _as_list(value):
        if isinstance(element, dict) and element.get(key) == wanted:
            return element
    return None


def writer(steps: tuple[Step, ...]) -> Writer:
    """Writes a fragment at the end of these steps, making what is missing on the way."""
    last = steps[-1]
    if len(steps) == 1:
        return _last_writer(last)
    enter, rest = _enterer(steps[0]), writer(steps[1:])
    return lambda node, value: rest(enter(node), value)


def _last_writer(step: Step) -> Writer:
    name, index = step.name, step.index
    if step.every:
        return lambda node, value: node.setdefault(name, []).append(value)
    if index is not None:
        return lambda node, value: write_at(node.setdefault(name, []), index, value)
    if step.key is not None:
        enter = _enterer(step)
        return lambda node, value: enter(node).update(value)
    return lambda node, value: node.__setitem__(name, value)


def write_at(elements: list[Any], index: int, value: Any) -> None:
    """Puts `value` at a place of a list, or behind its end."""
    if index < len(elements):
        elements[index] = value
    else:
        elements.append(value)


def _enterer(step: Step) -> Callable[[dict[str, Any]], Any]:
    """Goes into the container of `step`, making it where it is missing."""
    name, index, key, wanted = step.name, step.index, step.key, step.value
    if key is not None:
        return lambda node: enter_with(node, name, key, wanted)
    if index is not None or step.every:
        return lambda node: enter_at(node, name, index)
    return lambda node: node.setdefault(name, {})


def enter_at(node: dict[str, Any], name: str, index: int | None) -> Any:
    """The element at a place of the list `name`, made at its end where there is none; None: always a new one."""
    elements = node.setdefault(name, [])
    found = _element_at(elements, index) if index is not None else None
    if found is None:
        found = {}
        elements.append(found)
    return found


def enter_with(node: dict[str, Any], name: str, key: str, wanted: str | None) -> Any:
    """The first element of the list `name` whose `key` is `wanted`, made where there is none."""
    elements = node.setdefault(name, [])
    found = _element_with(elements, key, wanted)
    if found is None:
        found = {key: wanted}
        elements.append(found)
    return found
