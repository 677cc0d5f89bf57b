"""Anchors: which FHIR resource or list element stands for an item, and how it is found again (made: compiled.py)."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from itertools import chain
from typing import Any

from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.mapping.frames import Frame, Look, NativePath, Nodes, are_same
from fhir_adapter.mapping.model import Run, reference_in


class PublicIdentity(str):
    """`system|value`: a number that everybody knows a thing by, not only the source."""

    __slots__ = ()


Identify = Callable[[Run, Frame], str | None]
"""the business id of an item's resource, or a PublicIdentity; None where the item does not say enough"""

Candidates = list[tuple[str, Resource | None]]
"""nodes by identity; a resource that is referred to but did not come is None"""


@dataclass(frozen=True, slots=True)
class Link:
    """Where a parent anchor refers to this one, or holds it; `every`: the path is a list of references."""

    parent: str
    text: str
    every: bool
    read: Callable[[Resource], Any]


@dataclass(frozen=True, slots=True)
class Mark:
    """A code carried by an anchor; `known_by` tells whether it must be there on the way back."""

    text: str
    """the path that it is written to"""
    concept: Resource
    read: Callable[[Resource], Any]
    system: str
    code: str
    known_by: bool

    def is_on(self, node: Resource) -> bool:
        """Does `node` carry this code?"""
        found = self.read(node)
        for concept in found if isinstance(found, list) else [found]:
            for coding in concept.get("coding") or () if isinstance(concept, dict) else ():
                if isinstance(coding, dict) and (coding.get("code"), coding.get("system")) == (self.code, self.system):
                    return True
        return False


@dataclass(frozen=True, slots=True)
class Anchor:
    """A FHIR node made for an item: a resource, a list element, or another anchor under a second name."""

    name: str
    type: str | None
    identify: Identify | None
    id_text: str | None
    """the declared words for the id, where there is one wording only"""
    constants: Resource
    refers: tuple[tuple[str, str], ...]
    """anchor referred to, path text"""
    links: tuple[Link, ...]
    also: tuple[Link, ...]
    held_by: tuple[Link, ...]
    """where what may stand for the record in this one's place refers to it"""
    reverse: Link | None
    """where this one refers to another: the path is its own"""
    element: Link | None
    match: tuple[Callable[[Resource], Any], ...]
    words: tuple[Callable[[Resource], Any], ...]
    """the last of the paths that each `match` names: what an element says where a reference has come or gone"""
    mark: Mark | None
    extension: str | None
    skip: tuple[Callable[[Resource], Any], str] | None
    gone: Callable[[Resource], Any] | None
    same: str | None
    of: tuple[str, NativePath] | None
    needs: str | None
    when: Callable[[dict[str, Any]], bool] | None
    stands_on: NativePath | None
    """the field that `when` asks for, where it asks for one: it is no more where the node is not"""
    adopt: bool
    born: Identify | None
    """words for the id within the plan's id, where the item was born elsewhere"""
    identifier: bool
    call: NativePath | None
    needed: tuple[str, str, str] | None
    """field, message and expectation of the error where no id can be made"""
    root: bool = False
    """may stand for the record where the anchors before it that can are not there"""
    anywhere: bool = False
    """every resource of its type that came is an item, whatever refers to it; one that did not come stays"""
    is_element: bool = False
    """stands for a part of a resource, its own or under a second name: nothing can refer to it"""
    found_by: tuple[Look, ...] = ()
    """where it is looked for: the elements that refer to it or hold it, the id of what it refers to itself"""
    told_by: tuple[str, ...] = ()
    """the elements of a resource that tell whether it is this one"""

    def stays(self, before: Nodes, nodes: Nodes, run: Run) -> bool:
        """Does the same node stand here as before, or none as before? So it is where nothing is new by which it is
        found; what else it says may be new."""
        was = before.get(self.name)
        if self.type in run.news and (was is None or run.index.get(reference_of(was)) is not was):
            return False
        return are_same(self.found_by, nodes, before)

    def came_for(self, was: Resource, nodes: Nodes, run: Run) -> Resource | None:
        """What came for the node that stood here and stays."""
        if self.same is not None:
            return nodes.get(self.same)
        return was if self.element is not None else run.index.get(reference_of(was))

    @property
    def may_be_public(self) -> bool:
        """May its id be made from a number that everybody knows it by? Then it has this id whoever brings it."""
        return self.identify is not None and (self.id_text is None or "|" in self.id_text)

    def find(self, nodes: Nodes, run: Run) -> Resource | None:
        """This anchor's node among the resources that came, or None."""
        if self.of is not None:
            return None
        if self.same is not None:
            return self._find_same(nodes)
        return next((node for _, node in self.candidates(nodes, run) or () if node is not None), None)

    def _find_same(self, nodes: Nodes) -> Resource | None:
        other = nodes.get(self.same or "")
        if other is None or not self.links:
            return None
        references = [reference_in(link.read(nodes[link.parent])) for link in self.links if link.parent in nodes]
        return other if reference_of(other) in references else None

    def is_gone(self, before: Nodes, nodes: Nodes, gone: Collection[str], run: Run) -> bool:
        """Does what came say that the node from before is no more? A reference taken away does, and so does the end of
        what referred to it; that a resource which nothing refers to did not come says nothing."""
        if self.of is not None or self.same is not None:
            return False
        was = before[self.name]
        if self.element is None:
            links = self.links or self.also
            by = next((link for link in links if _refers(link, before, reference_of(was))), None)
            if by is None:
                return self.hangs_on(gone)
            if by.parent not in nodes:
                return by.parent in gone
            if by not in self.links or self.reverse is not None:
                return not _refers(by, nodes, reference_of(was))
        found = self.candidates(nodes, run)
        return found is not None and self.identity(was) not in [identity for identity, _ in found]

    def is_taken_away(self, before: Nodes, nodes: Nodes) -> bool:
        """Did something that came refer to the node from before, and does no more?"""
        was = before.get(self.name)
        if was is None or self.type is None:
            return False
        here = (link for link in (*self.links, *self.also) if link.parent in nodes)
        reference = reference_of(was)
        return any(_refers(link, before, reference) and not _refers(link, nodes, reference) for link in here)

    def is_let_go(self, was: Resource, nodes: Nodes) -> bool:
        """Does what stands for the record now not refer to what stood for it before?"""
        here = [link for link in self.held_by if link.parent in nodes]
        return bool(here) and not any(_refers(link, nodes, reference_of(was)) for link in here)

    def hangs_on(self, gone: Collection[str]) -> bool:
        """Is what held it no more? The items of a list are asked only where nothing that holds them came."""
        held = [link.parent for link in self.links] or ([self.reverse.parent] if self.reverse is not None else [])
        return any(holder in gone for holder in (*held, *([self.element.parent] if self.element is not None else ())))

    def candidates(self, nodes: Nodes, run: Run) -> Candidates | None:
        """Every node that can be this anchor, by identity; a resource that is referred to but did not come is None.

        The whole answer is None where the parent itself did not come: then nothing can be said.
        """
        if self.element is not None:
            return self._elements(nodes, run)
        references = self._references(nodes, run)
        if references is None:
            return None
        found: Candidates = []
        for reference in references:
            resource = run.index.get(reference)
            if resource is None:
                found.append((reference, None))
            elif (reference not in run.claimed or self.links_to_shared()) and self._is_mine(resource):
                found.append((reference, resource))
        return found

    def _is_mine(self, resource: Resource) -> bool:
        if self.skip is not None and self._is_skipped(resource):
            return False
        return self.carries_mark(resource)

    def carries_mark(self, resource: Resource) -> bool:
        """Is it known as this anchor, by its mark where it has one?"""
        return self.mark is None or not self.mark.known_by or self.mark.is_on(resource)

    def is_known_as(self, node: Resource) -> bool:
        """Does its mark alone tell that it is this anchor?"""
        return (
            self.mark is not None
            and self.mark.known_by
            and node.get("resourceType") == self.type
            and self.mark.is_on(node)
        )

    def links_to_shared(self) -> bool:
        """May several items stand for one resource of this type (one practitioner in two roles)?"""
        return self.type in ("Practitioner", "Organization", "Patient")

    def _references(self, nodes: Nodes, run: Run) -> list[str] | None:
        """The references to resources of this type, or None where what refers to them did not come."""
        if self.anywhere:
            return run.of_type(self.type or "")
        if self.reverse is not None:
            if self.reverse.parent not in nodes:
                return None
            pointing = run.pointing(self.type or "", self.reverse.text, self.reverse.read)
            return pointing.get(reference_of(nodes[self.reverse.parent]), [])
        parents = [link for link in self.links if link.parent in nodes]
        if not parents:
            return None
        found = [run.linked(nodes[link.parent], link.text, link.read, self.type or "") for link in parents]
        return found[0] if len(found) == 1 else list(dict.fromkeys(chain.from_iterable(found)))

    def _elements(self, nodes: Nodes, run: Run) -> Candidates | None:
        assert self.element is not None
        if self.element.parent not in nodes:
            return None
        elements = self.element.read(nodes[self.element.parent]) or ()
        return [
            (self.identity(node), node) for node in elements if isinstance(node, dict) and self._is_my_element(node)
        ]

    def _is_my_element(self, node: Resource) -> bool:
        if self.extension is not None and node.get("url") != self.extension:
            return False
        if self.gone is not None and self.gone(node) is not None:
            return False
        if self.match and self.extension is None and all(read(node) is None for read in self.match):
            return False  # an element that names nobody: the record could not say who it is
        return self.skip is None or not self._is_skipped(node)

    def _is_skipped(self, node: Resource) -> bool:
        """Does it carry a code of the system that belongs to other rules?"""
        assert self.skip is not None
        read, system = self.skip
        return any(coding.get("system") == system for coding in codings(read(node)))

    def is_mute(self, node: Resource) -> bool:
        """Is it an element that would not be found again: it names nobody, or says itself that it has ended?"""
        return self.element is not None and not self._is_my_element(node)

    def identity(self, node: Resource) -> str:
        """What tells this node from its neighbours: its reference, or for an element the fragments it is matched by."""
        if self.element is None:
            return reference_of(node)
        return "\x1f".join(str(read(node)) for read in self.match)

    def words_of(self, node: Resource) -> str:
        """What an element says of itself, whoever it refers to; empty where it says nothing."""
        said = [_without_references(read(node)) for read in self.words]
        return "\x1f".join(map(str, said)) if any(said) else ""


def _without_references(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _without_references(child) for name, child in value.items() if name != "reference"}
    return [_without_references(child) for child in value] if isinstance(value, list) else value


def _refers(link: Link, nodes: Nodes, reference: str) -> bool:
    found = link.read(nodes[link.parent]) if link.parent in nodes else None
    return reference in [reference_in(one) for one in (found if isinstance(found, list) else [found])]


def codings(fragment: Any) -> Iterator[Resource]:
    """Every Coding in a CodeableConcept, or in a list of them."""
    for concept in fragment if isinstance(fragment, list) else [fragment]:
        if isinstance(concept, dict):
            yield from (coding for coding in concept.get("coding") or () if isinstance(coding, dict))


def told_by(anchors: Iterable[Anchor]) -> dict[str, set[str]]:
    """By resource type, the elements that tell which anchor a resource stands for."""
    found: dict[str, set[str]] = {}
    for anchor in anchors:
        if anchor.type is not None:
            found.setdefault(anchor.type, set()).update(anchor.told_by)
    return found


def key_in(business_id: str, anchor: Anchor, parent_key: str, run: Run) -> str:
    """The item's key within a business id: what stands after the part that is the same for all its neighbours."""
    assert anchor.identify is not None
    prefix = anchor.identify(run, Frame({}, "", "", parent_key, {}, {})) or ""
    return business_id.removeprefix(prefix)


def own_identifier(node: Resource, source: str) -> str | None:
    """The business id under which the record's own system, `source`, knows `node`."""
    for identifier in node.get("identifier") or ():
        if isinstance(identifier, dict) and identifier.get("system") == source:
            value = identifier.get("value")
            return value if isinstance(value, str) else None
    return None
