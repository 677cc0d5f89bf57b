"""The lists of a record: their items get keys and open into frames. The way back: matching.py."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_adapter.mapping.anchors import Anchor
from fhir_adapter.mapping.ends import Words
from fhir_adapter.mapping.frames import Frame, Look, NativePath
from fhir_adapter.mapping.keys import Keys
from fhir_adapter.mapping.lines import Walk
from fhir_adapter.mapping.model import Run
from fhir_adapter.mapping.rules import Field


@dataclass(frozen=True, slots=True)
class Watch:
    """What the way back for a list looks at. Where none of it is new, nothing is new to the list."""

    read: Mapping[str, tuple[str, ...]]
    """the anchors that its rules read, each with the elements of it"""
    found_by: frozenset[Look]
    """where its items are looked for"""
    around: frozenset[Look]
    """what else of the anchors around it is looked at, for the lists inside too"""
    types: frozenset[str]
    """the types of the resources that are found for its items"""
    types_inside: frozenset[str]
    """and for those of the lists inside"""


def watch_of(anchors: Sequence[Anchor], primary: Anchor, fields: Sequence[Field], lists: Sequence[Scope]) -> Watch:
    """What the way back looks at for a list of these anchors, the primary among them, of these fields and lists."""
    read: dict[str, list[str]] = {}
    for anchor, element in sorted({look for field in fields for look in field.looks}):
        read.setdefault(anchor, []).append(element)
    looks = {look for field in fields for look in field.looks}
    looks.update(*(anchor.found_by for anchor in anchors if anchor is not primary))
    looks.update(*(inner.watch.found_by | inner.watch.around for inner in lists))
    types = frozenset(anchor.type for anchor in anchors if anchor.type is not None)
    return Watch(
        {anchor: tuple(elements) for anchor, elements in read.items()},
        _outside(primary.found_by, anchors),
        _outside(looks, anchors),
        types,
        frozenset().union(*(inner.watch.types | inner.watch.types_inside for inner in lists)),
    )


def _outside(looks: Iterable[Look], anchors: Sequence[Anchor]) -> frozenset[Look]:
    """Those that are into other anchors than these, under the names that they have there."""
    called = {anchor.name: anchor.same for anchor in anchors}
    there = ((called.get(anchor, anchor), element) for anchor, element in looks)
    return frozenset((anchor, element) for anchor, element in there if anchor is not None and anchor not in called)


@dataclass(frozen=True, slots=True)
class Scope:
    """A list of the record (or the record itself): its anchors, its fields and the lists inside its items."""

    name: str
    """path in the record, `insatser[].anteckningar[]`, for documentation"""
    native: NativePath
    key: str | None
    anchors: tuple[Anchor, ...]
    primary: Anchor
    fields: tuple[Field, ...]
    lists: tuple[Scope, ...]
    early: bool
    make: Walk
    """native -> FHIR: makes the nodes of an item"""
    write: Walk
    """native -> FHIR: writes the fields of an item into its nodes"""
    source: str
    """both as Python, for readers"""
    where: Callable[[dict[str, Any]], bool] | None
    """which items of the native list belong to it; None: all"""
    line: int
    """where it is declared in mapping.yaml"""
    standing: tuple[Anchor, ...]
    """the anchors that may stand for an item, the primary first"""
    numbered: bool
    """do the format's items have an `id`, and are there resources whose ids are made from it?"""
    adopts: str | None
    """the type of the resource that has an item's `id` as its own, where that is a UUID"""
    whole: frozenset[str]
    """objects of an item that the format does not allow without certain fields"""
    watch: Watch
    """what the way back for it looks at"""
    ends: Mapping[str, Words]
    """the anchors of what an item can be without, with the words that it has for their state"""
    label: str
    """its path in the item around, and which one it is of several lists over the same items"""
    naming: tuple[Scope, ...]
    """the lists inside whose items, or those of lists inside them, are known again where they do not tell themselves
    which they are: they become resources, and a name alone does not tell them for good"""

    @property
    def is_placed(self) -> bool:
        """Are there resources whose ids are made of the places of items, for want of a name?"""
        return self.key is None and any(anchor.type is not None for anchor in self.anchors)

    def with_all_inside(self) -> Iterator[Scope]:
        """This list and every list inside it, the outer ones first."""
        waiting = [self]
        while waiting:
            scope = waiting.pop(0)
            yield scope
            waiting.extend(scope.lists)

    def open(self, outer: Frame, run: Run, opened: list[tuple[Scope, Frame]]) -> None:
        """Makes the frames of every item of the lists in `outer`, and of those inside them."""
        for scope in self.lists:
            items = scope.native.read(outer.native)
            if items:
                frames = outer.lists[scope.label] = scope._frames(items, outer, run)
                opened += [(scope, frame) for frame in frames]
                for frame in frames if scope.lists else ():
                    scope.open(frame, run, opened)

    def _frames(self, items: Sequence[dict[str, Any]], outer: Frame, run: Run) -> list[Frame]:
        frames = []
        path = outer.path + self.native.text
        known = run.known_keys.get(outer.path + self.label, ())
        keys = Keys(self.key, self.adopts, run.knowledge.zone, items, path, known)
        for place, item in enumerate(items):
            if self.where is None or self.where(item):
                key, nodes = keys.of(item, place, run), outer.nodes.copy()
                own = keys.own(item, key)
                frame = Frame(item, f"{path}[{place}].", key, outer.key, nodes, {}, place=place, own=own)
                self.make(frame, run)
                frames.append(frame)
        return frames

    def drop_empty(self, frame: Frame) -> None:
        """Takes the element of an item that said nothing out of FHIR, where nothing may be empty."""
        element = self.primary.element
        if element is not None and frame.nodes.get(self.primary.name) == {}:
            elements = element.read(frame.nodes[element.parent])
            if elements is None:
                return  # the one before said nothing either, and took the list with it
            elements[:] = [each for each in elements if each]
            if not elements:
                frame.nodes[element.parent].pop(element.text.removesuffix("[]"), None)
