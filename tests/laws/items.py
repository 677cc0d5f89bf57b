"""An item of a record as it is in FHIR: its own resources or element, and a copy of them that was born elsewhere."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from random import Random
from typing import Any

from fhir_adapter.fhir.ends import ENDS, end_of, is_taken_away
from fhir_adapter.fhir.paths import compile_path
from fhir_adapter.fhir.resources import Resource, reference_of, rewrite_references
from fhir_adapter.mapping.anchors import Anchor
from fhir_adapter.mapping.compiled import within_root
from fhir_adapter.mapping.engine import copied
from fhir_adapter.mapping.frames import Frame
from fhir_adapter.mapping.model import Run
from fhir_adapter.mapping.scopes import Scope
from tests.laws.pools import PLACE


def is_item(scope: Scope, frame: Frame) -> bool:
    """Is it an item of a list that FHIR has?"""
    return (
        bool(scope.name)
        and scope.primary.name in frame.nodes
        and not scope.primary.is_mute(frame.nodes[scope.primary.name])
    )


def own_anchors(scope: Scope, frame: Frame) -> Iterator[Anchor]:
    """The resource of an item, if it has one, and what hangs on it alone."""
    held = {scope.primary.name}
    if scope.primary.type is not None:
        yield scope.primary
    for anchor in scope.anchors:
        holders = {link.parent for link in anchor.links} | ({anchor.reverse.parent} if anchor.reverse else set())
        if anchor.type is not None and anchor.name in frame.nodes and holders & held and not anchor.links_to_shared():
            held.add(anchor.name)
            yield anchor


def own_nodes(scope: Scope, frame: Frame) -> Iterator[Resource]:
    """The resources that an item alone became, or the element, and those of the lists inside it."""
    if scope.primary.element is not None:
        yield frame.nodes[scope.primary.name]
    yield from (frame.nodes[anchor.name] for anchor in own_anchors(scope, frame))
    for inner in scope.lists:
        for each in frame.lists.get(inner.label, ()):
            if is_item(inner, each):
                yield from own_nodes(inner, each)


@dataclass(frozen=True)
class Taken:
    """One thing that a record can be without: the item of a list, or what a field stands for. `resources`: those that
    are this thing, by reference, as they are after somebody took it out of the plan."""

    anchor: Anchor
    resources: dict[str, Resource]


def taken_away(opened: list[tuple[Scope, Frame]], random: Random) -> Taken | None:
    """One of the things in a record that it does not say to be no more itself; None where there is none."""
    found = [
        Taken(
            anchor,
            {reference_of(node): node | end_of(node["resourceType"]) for node in _nodes_of(scope, frame, anchor)},
        )
        for scope, frame in opened
        for anchor in scope.anchors
        if anchor.name in scope.ends and anchor.name in frame.nodes
        if not any(map(is_taken_away, _nodes_of(scope, frame, anchor)))
    ]
    return random.choice(found) if found else None


def _nodes_of(scope: Scope, frame: Frame, anchor: Anchor) -> list[Resource]:
    """The resources that are a thing, such as an intervention with its Task."""
    anchors = own_anchors(scope, frame) if anchor is scope.primary else ()
    with_it = [one for one in anchors if one.type in ENDS and one.when is None and one is not anchor]
    return [frame.nodes[one.name] for one in (anchor, *with_it)]


def says_nothing(taken: Taken, opened: list[tuple[Scope, Frame]]) -> bool:
    """Has a record no field that speaks of this thing, although it brings it forth?"""
    name = taken.anchor.name
    items = [(scope, frame) for scope, frame in opened if name in frame.nodes and taken.anchor in scope.anchors]
    own = [(scope, frame) for scope, frame in items if reference_of(frame.nodes[name]) in taken.resources]
    fields = [(each, frame) for scope, frame in own for each in scope.fields]
    speaking = [(each, frame) for each, frame in fields if each.readers and each.readers[0].first == name]
    return all(native.read(frame.native) is None for each, frame in speaking for native in each.natives)


def without_elements(value: Any, elements: list[Resource]) -> Any:
    """The same without these elements, and without a list that is empty then."""
    if isinstance(value, list):
        return [without_elements(one, elements) for one in value if not any(one is gone for gone in elements)]
    if not isinstance(value, dict):
        return value
    made = {name: without_elements(child, elements) for name, child in value.items()}
    return {name: child for name, child in made.items() if child != []}


def born_id(anchor: Anchor, born: Frame, run: Run) -> str:
    """The id of what an item with this UUID becomes."""
    if anchor.adopt:
        return born.key
    if anchor.born is not None:
        return within_root(run, anchor.born(run, born))
    assert anchor.identify is not None
    return run.id_of(anchor.type or "", anchor.identify(run, born) or "")


def born_like(node: Resource, names: dict[str, str]) -> Resource:
    """A copy under new names, without the business id of the one that it is like."""
    made: Resource = rewrite_references(copied(node), lambda name: names.get(name, name))
    made["id"] = names[reference_of(node)].partition("/")[2]
    numbers = [one for one in made.pop("identifier", ()) if one.get("system") != PLACE["source"]]
    return made | ({"identifier": numbers} if numbers else {})


def link_to(anchor: Anchor, frame: Frame, names: dict[str, str]) -> None:
    """Refers to the copy wherever the one that it is like is referred to, among the anchors that are there."""
    first = next((link for link in anchor.links if link.parent in frame.nodes), None)
    for link in filter(None, (first, *anchor.also)):
        holder = frame.nodes.get(link.parent)
        if holder is not None and reference_of(holder) not in names:  # the copy's own parts point at it as they are
            compile_path(link.text).write(holder, {"reference": names[reference_of(frame.nodes[anchor.name])]})
