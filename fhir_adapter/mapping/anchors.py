"""Anchors: which FHIR resource or list element stands for an item, how it is made, and how it is found again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID, uuid5

from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.mapping.frames import Frame, NativePath, Nodes
from fhir_adapter.mapping.model import Run, is_uuid


class PublicIdentity(str):
    """`system|value`: a number that everybody knows a thing by, not only the source."""

    __slots__ = ()


Identify = Callable[[Run, Frame], str | None]
"""the business id of an item's resource, or a PublicIdentity; None where the item does not say enough"""


@dataclass(frozen=True, slots=True)
class Link:
    """Where a parent anchor refers to this one; `every`: the path is a list of references."""

    parent: str
    text: str
    every: bool
    read: Callable[[Resource], Any]
    write: Callable[[Resource, Any], None]


@dataclass(frozen=True, slots=True)
class Mark:
    """A code carried by an anchor; `known_by` tells whether it must be there on the way back."""

    write: Callable[[Resource, Any], None]
    concept: Callable[[], Resource]
    read: Callable[[Resource], Any]
    system: str
    code: str
    known_by: bool

    def is_on(self, node: Resource) -> bool:
        """Does `node` carry this code?"""
        return any(
            coding.get("code") == self.code and coding.get("system") == self.system
            for coding in codings(self.read(node))
        )


@dataclass(frozen=True, slots=True)
class Anchor:
    """A FHIR node made for an item: a resource, a list element, or another anchor under a second name."""

    name: str
    type: str | None
    identify: Identify | None
    make_constants: Callable[[], Resource]
    refers: tuple[tuple[str, Callable[[Resource, Any], None]], ...]
    links: tuple[Link, ...]
    also: tuple[Link, ...]
    reverse: tuple[str, str, Callable[[Resource, Any], None]] | None
    """path text, anchor referred to, writer"""
    element: Link | None
    match: tuple[Callable[[Resource], Any], ...]
    mark: Mark | None
    extension: str | None
    skip: tuple[Callable[[Resource], Any], str] | None
    gone: Callable[[Resource], Any] | None
    same: str | None
    of: tuple[str, NativePath] | None
    needs: str | None
    when: Callable[[dict[str, Any]], bool] | None
    adopt: bool
    born: Identify | None
    """words for the id within the plan's id, where the item was born elsewhere"""
    identifier: bool
    call: NativePath | None
    needed: tuple[str, str, str] | None
    """field, message and expectation of the error where no id can be made"""

    # ---- native -> FHIR

    def make(self, frame: Frame, run: Run) -> None:
        """Adds this anchor's node to `frame`, with its constants, references and the references to it."""
        nodes = frame.nodes
        if self.when is not None and not self.when(frame.native):
            return
        if self.needs is not None and self.needs not in nodes:
            return
        if self.of is not None:
            node = run.places.get((self.of[0], str(self.of[1].read(frame.native))))
            if node is not None:
                nodes[self.name] = node
            return
        node = self._node(frame, run)
        if node is None:
            return
        nodes[self.name] = node
        for target, write in self.refers:
            if target in nodes:
                write(node, {"reference": reference_of(nodes[target])})
        if self.links or self.reverse is not None:
            self._connect(node, nodes)
        if self.call is not None and (name := self.call.read(frame.native)):
            run.call(name, reference_of(node))

    def _node(self, frame: Frame, run: Run) -> Resource | None:
        if self.same is not None:
            return frame.nodes.get(self.same)
        if self.element is not None:
            return self._new_element(frame.nodes)
        assert self.type is not None
        assert self.identify is not None
        business_id = self.identify(run, frame)
        if business_id is None:
            if self.needed is not None:
                field, message, expected = self.needed
                run.error(frame.path + field, "required", message, expected)
            return None
        adopted = self.adopt and is_uuid(frame.key)
        resource: Resource = {
            "resourceType": self.type,
            "id": frame.key if adopted else self._made_id(business_id, frame, run),
        }
        if self.identifier and frame.native.get("id") is not None and (not adopted or frame.key == run.record_id):
            resource["identifier"] = [{"system": run.source, "value": business_id}]
        resource.update(self.make_constants())
        if self.mark is not None:
            self.mark.write(resource, self.mark.concept())
        return run.add(resource)

    def _made_id(self, business_id: str, frame: Frame, run: Run) -> str:
        if isinstance(business_id, PublicIdentity):
            return run.national_id(business_id)
        if self.born is not None and is_uuid(frame.key):
            plan = next(iter(run.index.values()))
            return str(uuid5(UUID(plan["id"]), self.born(run, frame) or ""))
        assert self.type is not None
        return run.id_of(self.type, business_id)

    def _new_element(self, nodes: Nodes) -> Resource | None:
        assert self.element is not None
        parent = nodes.get(self.element.parent)
        if parent is None:
            return None
        element: Resource = {"url": self.extension} if self.extension is not None else {}
        self.element.write(parent, element)
        return element

    def _connect(self, node: Resource, nodes: Nodes) -> None:
        for link in self.links:
            if link.parent in nodes:
                link.write(nodes[link.parent], {"reference": reference_of(node)})
                break
        for link in self.also:
            if link.parent in nodes:
                link.write(nodes[link.parent], {"reference": reference_of(node)})
        if self.reverse is not None and self.reverse[1] in nodes:
            self.reverse[2](node, {"reference": reference_of(nodes[self.reverse[1]])})

    # ---- FHIR -> native

    def find(self, nodes: Nodes, run: Run) -> Resource | None:
        """This anchor's node among the resources that came, or None."""
        if self.of is not None:
            return None
        if self.same is not None:
            return self._find_same(nodes)
        found = next((node for _, node in self.candidates(nodes, run) or () if node is not None), None)
        if found is not None:
            run.claimed.add(id(found))
        return found

    def _find_same(self, nodes: Nodes) -> Resource | None:
        other = nodes.get(self.same or "")
        if other is None:
            return None
        references = [_reference(link.read(nodes[link.parent])) for link in self.links if link.parent in nodes]
        return other if reference_of(other) in references else None

    def candidates(self, nodes: Nodes, run: Run) -> list[tuple[str, Resource | None]] | None:
        """Every node that can be this anchor, by identity; a resource that is referred to but did not come is None.

        The whole answer is None where the parent itself did not come: then nothing can be said.
        """
        if self.element is not None:
            return self._elements(nodes, run)
        references = self._references(nodes, run)
        if references is None:
            return None
        found: list[tuple[str, Resource | None]] = []
        for reference in references:
            resource = run.index.get(reference)
            if resource is None:
                if reference.startswith(f"{self.type}/"):
                    found.append((reference, None))
            elif self._is_mine(resource, run):
                found.append((reference, resource))
        return found

    def _is_mine(self, resource: Resource, run: Run) -> bool:
        if resource.get("resourceType") != self.type:
            return False
        if id(resource) in run.claimed and not self.links_to_shared():
            return False
        return self.mark is None or not self.mark.known_by or self.mark.is_on(resource)

    def links_to_shared(self) -> bool:
        """May several items stand for one resource of this type (one practitioner in two roles)?"""
        return self.type in ("Practitioner", "Organization", "Patient")

    def _references(self, nodes: Nodes, run: Run) -> list[str] | None:
        if self.reverse is not None:
            path, parent, _ = self.reverse
            if parent not in nodes:
                return None
            return [reference_of(node) for node in run.pointing(self.type or "", path, reference_of(nodes[parent]))]
        parents = [link for link in self.links if link.parent in nodes]
        if not parents:
            return None
        found: list[str] = []
        for link in parents:
            fragment = link.read(nodes[link.parent])
            for pointer in fragment if isinstance(fragment, list) else [fragment]:
                reference = _reference(pointer)
                if reference is not None:
                    found.append(reference)
        return list(dict.fromkeys(found))

    def _elements(self, nodes: Nodes, run: Run) -> list[tuple[str, Resource | None]] | None:
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
        if self.skip is None:
            return True
        read, system = self.skip
        return all(coding.get("system") != system for coding in codings(read(node)))

    def identity(self, node: Resource) -> str:
        """What tells this node from its neighbours: its reference, or for an element the fragments it is matched by."""
        if self.element is None:
            return reference_of(node)
        return "\x1f".join(str(read(node)) for read in self.match)


def _reference(pointer: Any) -> str | None:
    reference = pointer.get("reference") if isinstance(pointer, dict) else None
    return reference if isinstance(reference, str) else None


def codings(fragment: Any) -> Iterator[Resource]:
    """Every Coding in a CodeableConcept, or in a list of them."""
    for concept in fragment if isinstance(fragment, list) else [fragment]:
        if isinstance(concept, dict):
            yield from (coding for coding in concept.get("coding") or () if isinstance(coding, dict))


def key_in(business_id: str, anchor: Anchor, parent_key: str, run: Run) -> str:
    """The item's key within a business id: what stands after the part that is the same for all its neighbours."""
    assert anchor.identify is not None
    prefix = anchor.identify(run, Frame({}, "", "", parent_key, {}, {})) or ""
    return business_id.removeprefix(prefix)


def own_identifier(node: Resource, run: Run) -> str | None:
    """The business id under which the record's own system knows `node`."""
    for identifier in node.get("identifier") or ():
        if isinstance(identifier, dict) and identifier.get("system") == run.source:
            value = identifier.get("value")
            return value if isinstance(value, str) else None
    return None
