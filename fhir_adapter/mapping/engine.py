"""The lens: one compiled declaration, read both ways.

`get` walks the record twice: first it makes every anchor (so that any field may refer to any other), then it lets every
rule write. `put` makes the same walk over `before` and over the FHIR that came, matches the items of both by identity,
and lets only those rules speak whose fragment differs from what `get(before)` gives: everything else in the record stays
as it was sent, to the letter. Hence put(get(n), n) == n by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import UUID, uuid5

from fhir_adapter.errors import Refused
from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.mapping.model import Knowledge, Mapped, Pair, Run, Unmapped, composed, is_uuid
from fhir_adapter.mapping.schema import RecordSchema

__all__ = ["Anchor", "Field", "Mapped", "Mapping", "NativePath", "Rule", "Scope", "Unmapped"]

Nodes = dict[str, Resource]
Identify = Callable[[Run, "Frame"], str | None]


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

    def read(self, item: dict[str, Any]) -> Any:
        """The value, or None where it (or an object above it) is missing or null."""
        node: Any = item
        for name in self.names:
            if node.__class__ is not dict:
                return None
            node = node.get(name)
        return node

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
    when: Callable[[dict[str, Any]], bool]
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
        if not self.when(frame.native) or (self.needs is not None and self.needs not in nodes):
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
        if "|" in business_id:
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


@dataclass(frozen=True, slots=True)
class Target:
    """One FHIR side of a rule: the path within an anchor."""

    anchor: str
    text: str
    read: Callable[[Resource], Any]
    write: Callable[[Resource, Any], None]


@dataclass(frozen=True, slots=True)
class Rule:
    """Native field(s) on one side, FHIR path(s) on the other, a converter pair between."""

    text: str
    targets: tuple[Target, ...]
    pair: Pair | None
    """None: the value is the same on both sides"""
    reads: bool
    writes: bool

    def fragments(self, nodes: Nodes) -> Any:
        """What the targets hold: one fragment, or a tuple where there are several targets."""
        if len(self.targets) == 1:
            target = self.targets[0]
            return target.read(nodes[target.anchor])
        return tuple(target.read(nodes[target.anchor]) if target.anchor in nodes else None for target in self.targets)

    def write(self, nodes: Nodes, fragments: Any) -> None:
        """Writes what the converter gave: None writes nothing."""
        if fragments is None:
            return
        if len(self.targets) == 1:
            self.targets[0].write(nodes[self.targets[0].anchor], fragments)
            return
        for target, fragment in zip(self.targets, fragments, strict=True):
            if fragment is not None and target.anchor in nodes:
                target.write(nodes[target.anchor], fragment)


@dataclass(frozen=True, slots=True)
class Field:
    """One native field (or a group read together) and every rule about it.

    `many`: "one" value; a "list" whose items are converted each on its own; or "either", one item with or without a list.
    """

    natives: tuple[NativePath, ...]
    many: str
    rules: tuple[Rule, ...]

    # ---- native -> FHIR

    def get(self, frame: Frame, run: Run) -> None:
        """Writes this field of the item into its nodes; says so where no node can carry it."""
        value = self._value(frame.native)
        if value is None:
            return
        nodes, carried = frame.nodes, False
        for rule in self.rules:
            if rule.targets[0].anchor not in nodes:
                continue
            carried = carried or rule.reads
            if rule.writes:
                self._write(rule, value, frame, run)
        if not carried:
            reason = f"cannot be carried for this item: no {' or '.join(rule.targets[0].anchor for rule in self.rules)}"
            sent = [path.text for path in self.natives if path.read(frame.native) is not None]
            run.unmapped += [Unmapped(frame.path + path, reason, "refused") for path in sent]

    def _value(self, native: dict[str, Any]) -> Any:
        """What the record says; empty words and lists say nothing (FHIR has no empty values)."""
        if len(self.natives) == 1:
            value = self.natives[0].read(native)
            return None if value == "" or value == [] else value
        values = tuple(path.read(native) for path in self.natives)
        return None if all(value is None for value in values) else values

    def _write(self, rule: Rule, value: Any, frame: Frame, run: Run) -> None:
        pair, nodes = rule.pair, frame.nodes
        if self.many == "one":
            if len(self.natives) == 1:
                path = frame.path + self.natives[0].text
                rule.write(nodes, value if pair is None else pair.to_fhir(value, run, path))
            else:
                rule.write(nodes, value if pair is None else pair.to_fhir(value, run, frame.path))
            return
        path = frame.path + self.natives[0].text
        if not isinstance(value, list):
            rule.write(nodes, value if pair is None else pair.to_fhir(value, run, path))
            return
        for index, item in enumerate(value):
            if item is not None:
                rule.write(nodes, item if pair is None else pair.to_fhir(item, run, f"{path}[{index}]"))

    # ---- FHIR -> native

    def put(self, frame: Frame, run: Run, run_before: Run | None) -> None:
        """Writes into the item what differs from what `before` gives; everything else is left alone."""
        for rule in self.rules:
            if not rule.reads or rule.targets[0].anchor not in frame.nodes:
                continue
            now = rule.fragments(frame.nodes)
            then = self._fragments_before(rule, frame.before)
            if now == then:
                if _is_nothing(now):
                    continue
                return
            if self.many == "one":
                self._put_one(rule, now, then, frame, run, run_before)
            else:
                self._put_each(rule, now, then, frame, run, run_before)
            return

    def _fragments_before(self, rule: Rule, before: Frame | None) -> Any:
        nothing = None if len(rule.targets) == 1 else (None,) * len(rule.targets)
        if before is None or rule.targets[0].anchor not in before.nodes:
            return nothing
        return rule.fragments(before.nodes)

    def _put_one(self, rule: Rule, now: Any, then: Any, frame: Frame, run: Run, run_before: Run | None) -> None:
        news = self._natives(rule, now, run)
        olds = self._natives(rule, then, run_before) if run_before is not None else (None,) * len(self.natives)
        for path, new, old in zip(self.natives, news, olds, strict=True):
            if new != old:
                path.write(frame.native, new)

    def _natives(self, rule: Rule, fragments: Any, run: Run) -> tuple[Any, ...]:
        """What the converter makes of the fragments, one value for each native field."""
        made = fragments if rule.pair is None else _to_native(rule.pair, fragments, run)
        if len(self.natives) == 1:
            return (made,)
        return (None,) * len(self.natives) if made is None else tuple(made)

    def _put_each(self, rule: Rule, now: Any, then: Any, frame: Frame, run: Run, run_before: Run | None) -> None:
        """Item by item: those whose fragment is still there stay as they were sent, in their order; new ones follow."""
        path = self.natives[0]
        sent = path.read(frame.native)
        was_list = isinstance(sent, list)
        kept: list[Any] = list(sent) if isinstance(sent, list) else [] if sent is None else [sent]
        olds = _own_fragments(rule.pair, then, run_before)
        news = _own_fragments(rule.pair, now, run)
        if [fragment for fragment, _ in olds] == [fragment for fragment, _ in news]:
            return
        for fragment, word in list(olds):
            if (fragment, word) in news:
                news.remove((fragment, word))
            elif (place := _place_of(word, kept)) is not None:
                del kept[place]
            else:  # the word was sent as a synonym: find the item by what it converts to
                kept = self._without(rule.pair, fragment, kept, run_before)
        kept.extend(word for _, word in news)
        if self.many == "either" and len(kept) == 1 and not was_list:
            path.write(frame.native, kept[0])
        else:
            path.write(frame.native, kept or None)

    def _without(self, pair: Pair | None, fragment: Any, kept: list[Any], run: Run | None) -> list[Any]:
        if pair is None or run is None:
            return kept
        for index, item in enumerate(kept):
            if pair.to_fhir(item, run, "") == fragment:
                return kept[:index] + kept[index + 1 :]
        return kept


def _to_native(pair: Pair, fragments: Any, run: Run) -> Any:
    return None if _is_nothing(fragments) else pair.to_native(fragments, run)


def _is_nothing(fragments: Any) -> bool:
    return fragments is None or (fragments.__class__ is tuple and all(fragment is None for fragment in fragments))


def _own_fragments(pair: Pair | None, fragments: Any, run: Run | None) -> list[tuple[Any, Any]]:
    """(fragment, word) for each fragment that the converter knows as its own."""
    found = []
    for fragment in fragments or ():
        word = fragment if pair is None or run is None else pair.to_native(fragment, run)
        if word is not None:
            found.append((fragment, word))
    return found


def _place_of(word: Any, items: list[Any]) -> int | None:
    return items.index(word) if word in items else None


def _reference(pointer: Any) -> str | None:
    reference = pointer.get("reference") if isinstance(pointer, dict) else None
    return reference if isinstance(reference, str) else None


def codings(fragment: Any) -> Iterator[Resource]:
    """Every Coding in a CodeableConcept, or in a list of them."""
    for concept in fragment if isinstance(fragment, list) else [fragment]:
        if isinstance(concept, dict):
            yield from (coding for coding in concept.get("coding") or () if isinstance(coding, dict))


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

    def open(self, outer: Frame, run: Run, opened: list[tuple[Scope, Frame]]) -> None:
        """Makes the frames of every item of this list in `outer`, and of the lists inside them."""
        items = self.native.read(outer.native)
        frames: list[Frame] = []
        if items:
            keys = Keys(self, outer.path + self.native.text)
            for index, item in enumerate(items):
                frame = Frame(
                    item, f"{outer.path}{self.native.text}[{index}].", keys.of(item, index, run), outer.key, {}, {}
                )
                frame.nodes = outer.nodes.copy()
                self.make_nodes(frame, run)
                opened.append((self, frame))
                frames.append(frame)
        outer.lists[self.name] = frames
        for frame in frames:
            for inner in self.lists:
                inner.open(frame, run, opened)

    def make_nodes(self, frame: Frame, run: Run) -> None:
        """The nodes of one item, and its key for those that refer to it."""
        for anchor in self.anchors:
            anchor.make(frame, run)
        primary = frame.nodes.get(self.primary.name)
        if primary is not None and self.primary.element is None:
            run.places[self.native.text, frame.key] = primary
            run.keys[reference_of(primary)] = frame.key

    def close(self, outer: Frame, run: Run, opened: list[tuple[Scope, Frame]]) -> None:
        """The way back: matches the items of `before` with the nodes that came; new ones are appended."""
        olds = outer.before.lists.get(self.name, []) if outer.before is not None else []
        found = self.primary.candidates(outer.nodes, run)
        if found is None:
            return
        came: dict[str, list[Resource | None]] = {}
        for identity, node in found:
            came.setdefault(identity, []).append(node)
        sent = self.native.read(outer.native) or []
        kept, frames = [], []
        for index, old in enumerate(olds):
            twins = came.get(self.primary.identity(old.nodes[self.primary.name]))
            if not twins:
                continue
            kept.append(sent[index])
            node = twins.pop(0)
            if node is not None:
                frames.append(self._frame(sent[index], old.key, node, outer, old))
        for identity, node in found:
            if node is not None and came.get(identity) and any(node is twin for twin in came[identity]):
                item: dict[str, Any] = {}
                frames.append(self._frame(item, self._new_key(item, node, outer, run, kept), node, outer, None))
                kept.append(item)
        if kept != sent or len(kept) != len(sent):
            self.native.write(outer.native, kept or None)
        for frame in frames:
            self._find_nodes(frame, run)
            opened.append((self, frame))
        for frame in frames:
            for inner in self.lists:
                inner.close(frame, run, opened)

    def _frame(self, item: dict[str, Any], key: str, node: Resource, outer: Frame, old: Frame | None) -> Frame:
        nodes = outer.nodes.copy()
        nodes[self.primary.name] = node
        return Frame(item, "", key, outer.key, nodes, {}, before=old, is_new=old is None)

    def _find_nodes(self, frame: Frame, run: Run) -> None:
        primary = frame.nodes[self.primary.name]
        if self.primary.element is None:
            run.claimed.add(id(primary))
            run.keys[reference_of(primary)] = frame.key
        for anchor in self.anchors:
            if anchor is not self.primary and (node := anchor.find(frame.nodes, run)) is not None:
                frame.nodes[anchor.name] = node

    def _new_key(self, item: dict[str, Any], node: Resource, outer: Frame, run: Run, kept: list[Any]) -> str:
        """The key of an item that is new to the record: our own business id, its place, or the id it was born with."""
        if self.primary.element is not None:
            return ""
        if self.key is None:
            own = own_identifier(node, run)
            assert self.primary.identify is not None
            if own is not None:
                item["id"] = key_in(own, self.primary, outer.key, run)
                return str(item["id"])
            place = f"#{sum(1 for other in kept if other.get('id') is None) + 1}"
            as_placed = Frame(item, "", place, outer.key, {}, {})
            if node["id"] == run.id_of(node["resourceType"], self.primary.identify(run, as_placed) or ""):
                return place
            item["id"] = node["id"]
        return str(node["id"])

    def name_new_items(self, frame: Frame, run: Run) -> None:
        """An item told by a field gets an `id` too where that field alone would not lead back to its resource."""
        adopting = next((a for a in self.anchors if a.adopt and a.name in frame.nodes), None)
        if not frame.is_new or self.key is None or adopting is None or adopting.identify is None:
            return
        own = own_identifier(frame.nodes[adopting.name], run)
        if own is not None:
            frame.native["id"] = key_in(own, adopting, frame.parent_key, run)
            return
        key = composed(str(frame.native.get(self.key, "")))
        as_named = Frame(frame.native, "", key, frame.parent_key, {}, {})
        node = frame.nodes[adopting.name]
        if node["id"] != run.id_of(node["resourceType"], adopting.identify(run, as_named) or ""):
            frame.native["id"] = node["id"]


class Keys:
    """Business keys of the items of one list: `id`, else the list's key field, else the place."""

    __slots__ = ("_field", "_path", "_placed", "_seen")

    def __init__(self, scope: Scope, path: str) -> None:
        self._field = scope.key
        self._path = path
        self._seen: dict[str, int] = {}
        self._placed = 0

    def of(self, item: dict[str, Any], index: int, run: Run) -> str:
        """The key of `item`. The same id twice is an error: the two could not be told apart afterwards."""
        own = item.get("id")
        if own is not None:
            if own in self._seen:
                run.error(f"{self._path}[{index}].id", "duplicate", "this id is used by another item of the same list")
            self._seen[own] = 1
            return str(own)
        named = item.get(self._field) if self._field is not None else None
        if named is None:
            self._placed += 1
            return f"#{self._placed}"
        key = composed(str(named))
        self._seen[key] = times = self._seen.get(key, 0) + 1
        return key if times == 1 else f"{key}#{times}"


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


class Mapping:
    """One system's declaration, compiled: `get`, `put` and `create` between its records and FHIR."""

    def __init__(
        self,
        name: str,
        version: str,
        folder: Path,
        root: Scope,
        schema: RecordSchema,
        knowledge: Knowledge,
        constants: dict[str, Any],
        refused: dict[str, str],
    ) -> None:
        self.name = name
        self.version = version
        self.folder = folder
        self.root = root
        self.schema = schema
        self.knowledge = knowledge
        self.constants = constants
        self.refused = {NativePath(path, tuple(path.split("."))): reason for path, reason in refused.items()}

    def get(self, native: Any, *, source: str, namespace: UUID) -> Mapped:
        """The record in FHIR, the CarePlan first. Raises Refused with every error at once, by native path."""
        errors = self.schema.errors(native)
        if errors:
            raise Refused("the record does not follow its format", errors)
        run = Run(native, str(native["id"]), source, namespace, self.knowledge)
        self._forward(native, run)
        issues = list(dict.fromkeys(run.issues))
        if any(issue.severity == "error" for issue in issues):
            raise Refused("the record cannot be taken", issues)
        unmapped = self.schema.unknown(native) + run.unmapped
        unmapped += [
            Unmapped(path.text, reason, "refused")
            for path, reason in self.refused.items()
            if path.read(native) is not None
        ]
        return Mapped(run.record_id, list(run.index.values()), issues, unmapped)

    def _forward(self, native: dict[str, Any], run: Run) -> Frame:
        root = Frame(native, "", run.record_id, "", {}, {})
        opened: list[tuple[Scope, Frame]] = [(self.root, root)]
        self.root.make_nodes(root, run)
        for inner in self.root.lists:
            inner.open(root, run, opened)
        for early in (True, False):
            for scope, frame in opened:
                if scope.early is early:
                    for field in scope.fields:
                        field.get(frame, run)
        return root

    def put(
        self, resources: Sequence[Resource], before: dict[str, Any], *, source: str, namespace: UUID
    ) -> dict[str, Any]:
        """`before`, with what `resources` say differently; fields and items that they say nothing about stay."""
        return self._back(resources, before, source, namespace)

    def create(self, resources: Sequence[Resource], *, source: str, namespace: UUID) -> dict[str, Any]:
        """A record for a plan that its system has not seen yet, in the format's first words."""
        return self._back(resources, {}, source, namespace)

    def _back(
        self, resources: Sequence[Resource], before: dict[str, Any], source: str, namespace: UUID
    ) -> dict[str, Any]:
        native = copied(before)
        run = Run(native, str(before.get("id", "")), source, namespace, self.knowledge)
        run.index = {reference_of(resource): resource for resource in resources if "id" in resource}
        plan = self._plan(run)
        if plan is None:
            return native
        run_before, frame_before = None, None
        if before:
            run_before = Run(before, run.record_id, source, namespace, self.knowledge)
            frame_before = self._forward(before, run_before)
        else:
            run.record_id = own_identifier(plan, run) or str(plan["id"])
            native.update({"id": run.record_id, **self.constants})
        root = Frame(native, "", run.record_id, "", {self.root.primary.name: plan}, {}, frame_before)
        opened: list[tuple[Scope, Frame]] = [(self.root, root)]
        run.claimed.add(id(plan))
        self.root._find_nodes(root, run)
        for inner in self.root.lists:
            inner.close(root, run, opened)
        for scope, frame in opened:
            for field in scope.fields:
                field.put(frame, run, run_before)
            scope.name_new_items(frame, run)
        return native if before else self.schema.ordered(native)

    def _plan(self, run: Run) -> Resource | None:
        """The plan that the record is about: by its id, else by its business id, else the only one there is."""
        plans = [resource for resource in run.index.values() if resource.get("resourceType") == self.root.primary.type]
        if not run.record_id:
            return plans[0] if plans else None
        adopted = run.record_id if is_uuid(run.record_id) else run.id_of(self.root.primary.type or "", run.record_id)
        known = [plan for plan in plans if plan["id"] == adopted or own_identifier(plan, run) == run.record_id]
        return next(iter(known or plans), None)

    def scopes(self) -> Iterator[Scope]:
        """Every list of the declaration, the record itself first."""
        waiting = [self.root]
        while waiting:
            scope = waiting.pop(0)
            yield scope
            waiting.extend(scope.lists)

    def coverage(self) -> Iterable[tuple[str, Rule]]:
        """Every native field, by its path in the format, with each rule that carries it."""
        for scope in self.scopes():
            prefix = "" if scope is self.root else f"{scope.name}."
            for field in scope.fields:
                for native in field.natives:
                    for rule in field.rules:
                        yield f"{prefix}{native.text}", rule


def copied(value: Any) -> Any:
    """A deep copy of JSON."""
    if value.__class__ is dict:
        return {name: copied(child) for name, child in value.items()}
    if value.__class__ is list:
        return [copied(child) for child in value]
    return value


def own_identifier_of_plan(resources: Iterable[Resource], source: str) -> str | None:
    """The business id of the CarePlan among `resources` in the system `source`: the record that it is."""
    for resource in resources:
        if resource.get("resourceType") == "CarePlan":
            for identifier in resource.get("identifier") or ():
                if identifier.get("system") == source and isinstance(identifier.get("value"), str):
                    return str(identifier["value"])
    return None
