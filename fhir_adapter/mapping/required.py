"""What R4 or a profile requires of the resources that a mapping makes, and which of it no rule fills."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from collections.abc import Mapping as Dict
from typing import Any

from fhir_adapter.fhir.elements import elements_of
from fhir_adapter.fhir.paths import parse_path
from fhir_adapter.mapping.anchors import Anchor
from fhir_adapter.mapping.engine import Mapping

Paths = set[tuple[str, ...]]
"""element paths without positions"""


def unfilled(mapping: Mapping, profiles: Dict[str, Sequence[str]]) -> Iterator[str]:
    """Each required element that nothing writes, as `Goal.description (anchor goal)`.

    `profiles`: resource type -> the elements (`Goal.startDate`) that the declaration's profiles require beyond R4.
    """
    for anchor, type_, filled in _written(mapping):
        for path in (*_required(type_, filled), *_beyond(type_, profiles)):
            if not any(_fills(each, path) for each in filled):
                yield f"{'.'.join((type_, *path))} (anchor {anchor})"


def _written(mapping: Mapping) -> Iterator[tuple[str, str, Paths]]:
    """Every anchor that is a resource, with its type and the paths that something in the declaration writes."""
    filled: dict[str, Paths] = {}
    types: dict[str, str] = {}
    for scope in mapping.scopes():
        for anchor in scope.anchors:
            types.setdefault(anchor.name, anchor.type or "")
            own = filled.setdefault(anchor.name, set())
            own.update(_by_anchor(anchor))
            for link in (*anchor.links, *anchor.also):
                filled.setdefault(link.parent, set()).add(_names(link.text))
            if anchor.element is not None:
                filled.setdefault(anchor.element.parent, set()).add(_names(anchor.element.text))
        for field in scope.fields:
            for rule in field.rules:
                for target in rule.targets if rule.writes else ():
                    filled.setdefault(target.anchor, set()).add(_names(target.text))
    yield from ((name, type_, filled[name]) for name, type_ in types.items() if type_)


def _by_anchor(anchor: Anchor) -> Iterator[tuple[str, ...]]:
    """What an anchor writes itself."""
    yield from _constants(anchor.constants)
    yield from (_names(path) for _, path in anchor.refers)
    if anchor.reverse is not None:
        yield _names(anchor.reverse.text)
    if anchor.mark is not None:
        yield _names(anchor.mark.text)
    if anchor.identifier:
        yield ("identifier",)


def _constants(value: Any, path: tuple[str, ...] = ()) -> Iterator[tuple[str, ...]]:
    if path:
        yield path
    for child in value if isinstance(value, list) else ():
        yield from _constants(child, path)
    for name, child in value.items() if isinstance(value, dict) else ():
        yield from _constants(child, (*path, name))


def _required(type_: str, filled: Paths) -> Iterator[tuple[str, ...]]:
    """What R4 requires of the resource, and of each element with elements of its own whose parts are written."""
    yield from ((name,) for name, element in elements_of(type_).items() if element.is_required)
    for first in sorted({path[0] for path in filled if len(path) > 1}):
        below = elements_of(type_).get(first)
        if below is None or not below.type.startswith(f"{type_}."):
            continue
        if (first,) not in filled:  # a converter that writes the whole element answers for all of it
            yield from ((first, name) for name, each in elements_of(below.type).items() if each.is_required)


def _beyond(type_: str, profiles: Dict[str, Sequence[str]]) -> Iterator[tuple[str, ...]]:
    yield from (tuple(path.split(".")[1:]) for path in profiles.get(type_, ()))


def _fills(written: tuple[str, ...], wanted: tuple[str, ...]) -> bool:
    """Does what is written lie at, in or around what is wanted? A choice is filled by any of its forms."""
    return all(
        one == other or (other.endswith("[x]") and one.startswith(other[:-3]))
        for one, other in zip(written, wanted, strict=False)
    )


def _names(path: str) -> tuple[str, ...]:
    return tuple(step.name for step in parse_path(path))
