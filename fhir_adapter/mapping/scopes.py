"""The lists of a record: their items get keys, open into frames, and are matched with the nodes that came back."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any

from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.mapping.anchors import Anchor, Candidates, key_in, own_identifier
from fhir_adapter.mapping.compiled import Walk
from fhir_adapter.mapping.converters.times import instant_of
from fhir_adapter.mapping.frames import Frame, NativePath, Nodes, says_something
from fhir_adapter.mapping.model import Run, composed, is_uuid
from fhir_adapter.mapping.rules import Field


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
    watched: tuple[str, ...]
    """the anchors that its rules read"""
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
    whole: frozenset[str]
    """objects of an item that the format does not allow without certain fields"""
    label: str
    """what it is called in a frame: its name, and which one it is of several lists over the same items"""

    def with_all_inside(self) -> Iterator[Scope]:
        """This list and every list inside it, the outer ones first."""
        waiting = [self]
        while waiting:
            scope = waiting.pop(0)
            yield scope
            waiting.extend(scope.lists)

    def open(self, outer: Frame, run: Run, opened: list[tuple[Scope, Frame]]) -> None:
        """Makes the frames of every item of this list in `outer`, and of the lists inside them."""
        items = self.native.read(outer.native)
        frames: list[Frame] = []
        if items:
            keys = Keys(self, outer.path + self.native.text, run.knowledge.zone)
            for index, item in enumerate(items):
                if self.where is not None and not self.where(item):
                    continue
                frame = Frame(
                    item, f"{outer.path}{self.native.text}[{index}].", keys.of(item, index, run), outer.key, {}, {}
                )
                frame.place = index
                frame.nodes = outer.nodes.copy()
                self.make_nodes(frame, run)
                opened.append((self, frame))
                frames.append(frame)
        outer.lists[self.label] = frames
        for frame in frames:
            for inner in self.lists:
                inner.open(frame, run, opened)

    def roots(self) -> tuple[Anchor, ...]:
        """The anchors that may stand for the item, the first that is there."""
        return self.standing

    def make_nodes(self, frame: Frame, run: Run) -> None:
        """The nodes of one item, and its key for those that refer to it."""
        self.make(frame, run)
        primary = frame.nodes.get(self.primary.name)
        if primary is None:
            primary = next((frame.nodes[one.name] for one in self.standing if one.name in frame.nodes), None)
        if primary is not None and self.primary.element is None:
            run.places[self.native.text, frame.key] = primary
            run.keys[reference_of(primary)] = frame.key

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

    def close(self, outer: Frame, run: Run, opened: list[tuple[Scope, Frame]]) -> None:
        """The way back: matches the items of `before` with the nodes that came; new ones are appended."""
        olds = outer.before.lists.get(self.label, []) if outer.before is not None else []
        found = self.primary.candidates(outer.nodes, run)
        if found is None and self.primary.hangs_on(outer.gone):
            found = []
        if found is None or not (found or olds):
            return
        sent = run.sent(self.native.text, outer.native, self.native.read)
        pairs, left, news = self._matched(olds, found, outer, run)
        gone = [] if self.primary.anywhere else [sent[old.place] for old in left]
        kept = [item for item in self.native.read(outer.native) or () if not any(item is one for one in gone)]
        frames = [self._frame(sent[old.place], old.key, node, outer, old) for old, node in pairs if node is not None]
        keys = Keys(self, "", run.knowledge.zone)
        keys.take([old.key for old in olds if any(sent[old.place] is item for item in kept)])
        for node in self._in_their_places(news, outer, run, kept):
            item: dict[str, Any] = {}
            frames.append(self._frame(item, self._new_key(item, node, outer, run, kept), node, outer, None))
            frames[-1].keys = keys
            kept.append(item)
        if len(kept) != len(sent) or any(one is not other for one, other in zip(kept, sent, strict=True)):
            self.native.write(outer.native, kept or None)
        for frame in frames:
            self._find_nodes(frame, run)
            opened.append((self, frame))
        for frame in frames:
            for inner in self.lists:
                inner.close(frame, run, opened)

    def _matched(
        self, olds: list[Frame], found: Candidates, outer: Frame, run: Run
    ) -> tuple[list[tuple[Frame, Resource | None]], list[Frame], list[Resource]]:
        """The items of before with the nodes that they are now, those that are no more, and the nodes that are new."""
        came: dict[str, list[Resource | None]] = {}
        for identity, node in found:
            came.setdefault(identity, []).append(node)
        by_key = self._by_key(found, outer, run)
        pairs: list[tuple[Frame, Resource | None]] = []
        left: list[Frame] = []
        for old in olds:
            was = old.nodes.get(self.primary.name)
            if was is None or self.primary.is_mute(was):
                continue  # FHIR never said that it is there, so it cannot say that it is gone
            twins = came.get(by_key.get(old.key, "")) or came.get(self.primary.identity(was))
            if twins:
                pairs.append((old, twins.pop(0)))
            else:
                left.append(old)
        over = {id(node) for twins in came.values() for node in twins}
        news = [node for _, node in found if node is not None and id(node) in over]
        for old in left if self.primary.element is not None else ():
            said = self.primary.words_of(old.nodes[self.primary.name])
            node = next((node for node in news if said and self.primary.words_of(node) == said), None)
            if node is not None:
                pairs.append((old, node))
                news = [other for other in news if other is not node]
        paired = {id(old) for old, _ in pairs}
        return pairs, [old for old in left if id(old) not in paired], news

    def _by_key(self, found: Candidates, outer: Frame, run: Run) -> dict[str, str]:
        """The key of each node that came -> its identity: one that lost its public number is still the same item."""
        keys: dict[str, str] = {}
        for identity, node in found if self.primary.may_be_public else ():
            if node is not None:
                own = own_identifier(node, run.source)
                keys[node["id"] if own is None else key_in(own, self.primary, outer.key, run)] = identity
        return keys

    def _frame(self, item: dict[str, Any], key: str, node: Resource, outer: Frame, old: Frame | None) -> Frame:
        nodes = outer.nodes.copy()
        nodes[self.primary.name] = node
        return Frame(item, "", key, outer.key, nodes, {}, before=old, is_new=old is None)

    def _find_nodes(self, frame: Frame, run: Run) -> None:
        primary = next(one for one in self.roots() if one.name in frame.nodes)
        if primary.element is None:
            run.claimed.add(id(frame.nodes[primary.name]))
            run.keys[reference_of(frame.nodes[primary.name])] = frame.key
        gone: list[str] = []
        before = frame.before.nodes if frame.before is not None else {}
        for anchor in self.anchors:
            if anchor is primary:
                continue
            node = anchor.find(frame.nodes, run)
            if node is not None:
                frame.nodes[anchor.name] = node
            elif anchor.name in before and self._is_gone(anchor, before, frame.nodes, gone, run):
                gone.append(anchor.name)
        frame.gone = frozenset(gone)

    def _is_gone(self, anchor: Anchor, before: Nodes, nodes: Nodes, gone: list[str], run: Run) -> bool:
        if anchor in self.standing:
            return anchor.is_let_go(before[anchor.name], nodes)
        return anchor.is_gone(before, nodes, gone, run)

    def _new_key(self, item: dict[str, Any], node: Resource, outer: Frame, run: Run, kept: list[Any]) -> str:
        """The key of an item that is new to the record: our own business id, its place, or the id it was born with."""
        if self.primary.element is not None:
            return ""
        own = own_identifier(node, run.source)
        assert self.primary.identify is not None
        if own is not None:
            item["id"] = key_in(own, self.primary, outer.key, run)
            return str(item["id"])
        if self.key is None:
            place = f"#{_first_free(kept)}"
            if node["id"] == self._id_at(place, outer, run):
                return place
            item["id"] = node["id"]
        return str(node["id"])

    def _id_at(self, key: str, outer: Frame, run: Run) -> str:
        """The id of the resource of an item with this key."""
        assert self.primary.identify is not None
        named = Frame({}, "", key, outer.key, {}, {})
        return run.id_of(self.primary.type or "", self.primary.identify(run, named) or "")

    def _in_their_places(self, news: list[Resource], outer: Frame, run: Run, kept: list[Any]) -> list[Resource]:
        """New items that were told by their place, or by one name, stand as they stood, in whatever order they came."""
        if len(news) < 2 or self.primary.identify is None:
            return news
        names = [self._name_in(node, outer, run) for node in news]
        keys = Keys(self, "", run.knowledge.zone)
        keys.take([f"#{place}" for place in range(1, _first_free(kept))])
        told = [keys.placed() if name is None else keys.named(name) for name in names]
        ids = {self._id_at(key, outer, run): place for place, key in enumerate(told)}
        ordered = list(news)
        for name in {name for name in names if names.count(name) > 1}:
            places = [place for place, other in enumerate(names) if other == name and news[place]["id"] in ids]
            stood = sorted(places, key=lambda place: ids[news[place]["id"]])
            for place, other in zip(places, stood, strict=True):
                ordered[place] = news[other]
        return ordered

    def _name_in(self, node: Resource, outer: Frame, run: Run) -> str | None:
        """What an item will have in its key field."""
        trial = Frame({}, "", "", outer.key, {**outer.nodes, self.primary.name: node}, {})
        for field in self.fields:
            if [native.text for native in field.natives] == [self.key]:
                field.put(trial, run, None)
        return None if self.key is None or trial.native.get(self.key) is None else str(trial.native[self.key])

    def put(self, frame: Frame, run: Run, run_before: Run | None) -> None:
        """The way back for one item: only fields that look at a node which says something new need a look."""
        before = frame.before
        if before is None:
            changed = set(self.watched)
        else:
            changed = {name for name in self.watched if not run.is_same(frame.nodes.get(name), before.nodes.get(name))}
            if not changed:
                return
        for field in self.fields:
            if not changed.isdisjoint(field.anchors):
                field.put(frame, run, run_before)
        for anchor in self.anchors:
            if anchor.name in frame.gone and anchor.stands_on is not None:
                self.clear(anchor.stands_on, frame)
        self.name_new_items(frame, run)
        self.keep_the_key(frame)

    def clear(self, path: NativePath, frame: Frame) -> None:
        """Takes all that FHIR gets out of an object, where no other node says any of it: what stood on it is no more,
        and would be there again."""
        inside = [field for field in self.fields if field.natives[0].text.startswith(f"{path.text}.")]
        others = [field for field in inside if any(rule.first in frame.nodes for rule in field.readers)]
        lists = [inner.native for inner in self.lists if inner.native.text.startswith(f"{path.text}.")]
        told = [native for field in others for native in field.natives] + lists
        if any(says_something(native.read(frame.native)) for native in told):
            return
        for native in [path] if path.text in self.whole else [native for field in inside for native in field.natives]:
            native.write(frame.native, None)

    def keep_the_key(self, frame: Frame) -> None:
        """An item told by a field keeps what it was told by as `id` when that field changes: it is still the same."""
        before = frame.before
        if before is None or self.key is None or self.primary.element is not None or "id" in frame.native:
            return
        if frame.native.get(self.key) != before.native.get(self.key) and not is_place(frame.key):
            frame.native["id"] = frame.key

    def name_new_items(self, frame: Frame, run: Run) -> None:
        """An item told by a field gets an `id` too where that field alone would not lead back to its resource."""
        adopting = next((a for a in self.anchors if a.adopt and a.name in frame.nodes), None)
        if not frame.is_new or self.key is None:
            return
        named = frame.native.get(self.key)
        if adopting is None or adopting.identify is None:
            frame.keys.of(frame.native, 0, run)  # no id leads back to it, but it takes a place
            return
        node = frame.nodes[adopting.name]
        own = own_identifier(node, run.source)
        if own is not None:
            frame.native["id"] = key_in(own, adopting, frame.parent_key, run)
            frame.keys.seen.add(frame.native["id"])
            return
        key = frame.keys.placed() if named is None else frame.keys.named(str(named))
        as_named = Frame(frame.native, "", key, frame.parent_key, {}, {})
        if node["id"] != run.id_of(node["resourceType"], adopting.identify(run, as_named) or ""):
            frame.native["id"] = node["id"]
            frame.keys.give_back(key)
        else:
            run.keys[reference_of(node)] = key


def _first_free(items: list[Any]) -> int:
    """The place of one more item among those that are told by their place."""
    return 1 + sum(1 for item in items if item.get("id") is None)


def is_place(key: str) -> bool:
    """Is it the key of an item that is told by its place alone?"""
    return key.startswith("#") and key[1:].isdecimal()


class Keys:
    """Business keys of the items of one list: `id`, else the list's key field, else the place."""

    __slots__ = ("_field", "_path", "_placed", "_type", "_zone", "seen")

    def __init__(self, scope: Scope, path: str, zone: str) -> None:
        self._field = scope.key
        self._path = path
        self._type = scope.primary.type
        self._zone = zone
        self.seen: set[str] = set()
        self._placed = 0

    def of(self, item: dict[str, Any], index: int, run: Run) -> str:
        """The key of `item`. The same id twice is an error: the two could not be told apart afterwards."""
        own = item.get("id")
        if own is not None:
            return self._own(str(own), index, run)
        named = item.get(self._field) if self._field is not None else None
        return self.placed() if named is None else self.named(str(named))

    def take(self, keys: Iterable[str]) -> None:
        """Notes the keys of items that are there already."""
        for key in keys:
            self._placed += is_place(key)
            self.seen.add(key)

    def give_back(self, key: str) -> None:
        """A key that was tried, and is not this item's."""
        self._placed -= is_place(key)
        self.seen.discard(key)

    def placed(self) -> str:
        """The key of an item without id and name: its place among those of its kind."""
        self._placed += 1
        return f"#{self._placed}"

    def named(self, name: str) -> str:
        """The key of an item that is told by a name: the second of the same name is `name#2`; none is a place.

        A time is told with its zone, as it comes back from FHIR.
        """
        name = instant_of(name, self._zone) or composed(name)
        name = key = name if name and not name.startswith("#") else f"#{name}"
        times = 1
        while key in self.seen:
            times += 1
            key = f"{name}#{times}"
        self.seen.add(key)
        return key

    def _own(self, own: str, index: int, run: Run) -> str:
        if own in self.seen:
            run.error(f"{self._path}[{index}].id", "duplicate", "this id is used by another item of the same list")
        if is_uuid(own) and not run.is_first(f"{self._type}/{own}"):
            message = "this id is used in another list of the record: one id is one thing, wherever it stands"
            run.error(f"{self._path}[{index}].id", "duplicate", message)
        if is_place(own):
            message = "an id of # and a number stands for the place of an item without id: please send another"
            run.error(f"{self._path}[{index}].id", "value", message)
        self.seen.add(own)
        return own
