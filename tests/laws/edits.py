"""Edits that somebody makes in FHIR itself: what the record never said, written into the resources that it gave.

Each is one that the declaration has words for: another value of a rule, an entry of a list more or less, somebody else
of those who take part, an item that is gone, an item that was born elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any
from uuid import UUID

from fhir_adapter.fhir.paths import Step, compile_path, parse_path
from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.mapping import recognising
from fhir_adapter.mapping.engine import Mapping, copied
from fhir_adapter.mapping.frames import Frame
from fhir_adapter.mapping.model import Run
from fhir_adapter.mapping.rules import Rule, Target
from fhir_adapter.mapping.scopes import Scope
from tests.laws.declared import deciding_fields
from tests.laws.fhir_parts import Names, cut, holder_of, without, words_in
from tests.laws.items import born_id, born_like, is_item, link_to, own_anchors, own_nodes, without_elements
from tests.laws.places import Record
from tests.laws.pools import PLACE
from tests.laws.spots import Gotten, Spot, hides, is_listed, is_own, kind_of, speaking, write


@dataclass
class Edit:
    """FHIR after an edit. `changed`: the elements that it is about; `follows`: those that the record says anew along
    with it, having one field for both."""

    what: str
    resources: list[Resource]
    changed: set[Names] = field(default_factory=set)
    follows: set[Names] = field(default_factory=set)


class Edits:
    """The edits of one mapping's FHIR; `known`: records whose values may stand in others."""

    def __init__(self, mapping: Mapping, known: list[Record]) -> None:
        self.mapping = mapping
        self.known = known
        self.deciding = deciding_fields(mapping)
        rules = [rule for scope in mapping.scopes() for each in scope.fields for rule in each.rules if rule.writes]
        self.targets = [_way(target) for rule in rules for target in rule.targets]
        fields = [each for scope in mapping.scopes() for each in scope.fields if each.natives[0].text.endswith("[0]")]
        written = [rule for each in fields for rule in each.rules if not rule.reads]
        self.of_the_first = {_names(target) for rule in written for target in rule.targets}
        """the elements that are written for the first of a list, whichever it is"""
        self.alone = {rule.text for rule in rules if self._is_alone(rule)}

    @cached_property
    def pool(self) -> dict[str, list[Any]]:
        """Rule -> what it made in the known records, where it refers to nobody."""
        found: defaultdict[str, list[Any]] = defaultdict(list)
        for record in self.known:
            for spot in self._gotten(record).spots:
                natives = [native.read(spot.frame.native) for native in spot.field.natives]
                if "'reference'" not in str(spot.says) and any(native is not None for native in natives):
                    found[spot.rule.text].append(copied(spot.says))
        return dict(found)

    @cached_property
    def elements(self) -> dict[tuple[str, str], list[Resource]]:
        """List -> the elements that its items were in the known records, where they refer to nobody."""
        found: defaultdict[tuple[str, str], list[Any]] = defaultdict(list)
        for record in self.known:
            for scope, frame in self._gotten(record).opened:
                node = frame.nodes.get(scope.primary.name)
                if scope.primary.element is not None and node and "'reference'" not in str(node):
                    found[scope.name, scope.label].append(copied(node))
        return dict(found)

    def edited(self, record: Record, random: Random, names: recognising.Names) -> Edit | None:
        """One edit of the FHIR of a record with these names, or None where chance found none in a few attempts."""
        kinds = [self._value, self._value, self._entry, self._other, self._removed, self._added, self._element]
        gotten = self._gotten(record, names)
        edit = next(filter(None, (random.choice(kinds)(gotten, random) for _ in range(3))), None)
        if edit is not None:
            edit.follows |= self.of_the_first - edit.changed
        return edit

    def _gotten(self, record: Record, names: recognising.Names = recognising.NO_NAMES) -> Gotten:
        opened, run, _ = self.mapping.walked(record, names=names, **PLACE)
        return Gotten(opened, run, list(self._spots(opened, run)))

    def _spots(self, opened: list[tuple[Scope, Frame]], run: Run) -> Iterator[Spot]:
        """The rules that speak, of fields that decide nothing else."""
        for scope, frame in opened:
            for each in scope.fields:
                names = {f"{scope.name}.{native.text}".removeprefix(".") for native in each.natives}
                rule = speaking(each, frame)
                if rule is None or rule.text not in self.alone or self._decides(names) or hides(each, rule, frame, run):
                    continue
                if is_listed(rule) is (each.many != "one"):
                    yield Spot(scope, frame, each, rule)

    def _decides(self, names: set[str]) -> bool:
        return any(f"{one}.".startswith((f"{name}.", f"{name}[].")) for one in self.deciding for name in names)

    def _is_alone(self, rule: Rule) -> bool:
        """Writes no other rule what it writes, or a part of it? A list takes what each appends."""
        return is_listed(rule) or all(self._is_once(_way(target)) for target in rule.targets)

    def _ways_into(self, scope: Scope) -> Iterator[tuple[Step, ...]]:
        """Where the items of other lists refer to themselves in the resource of an item of this one."""
        for other in self.mapping.scopes():
            named = {anchor.name for anchor in other.anchors if anchor.of and anchor.of[0] == scope.native.text}
            for anchor in other.anchors:
                yield from (parse_path(link.text) for link in anchor.also if link.parent in named)

    def _is_once(self, way: tuple[Any, ...]) -> bool:
        return sum(one[: len(way)] == way or way[: len(one)] == one for one in self.targets) == 1

    # ---- kinds

    def _value(self, gotten: Gotten, random: Random) -> Edit | None:
        """Another value, one that the rule made of another record."""
        spots = [spot for spot in gotten.spots if not is_listed(spot.rule) and self.pool.get(spot.rule.text)]
        if not spots:
            return None
        spot = random.choice(spots)
        says = random.choice(self.pool[spot.rule.text])
        if words_in(says) & gotten.words:
            return None
        write(spot, copied(says))
        return edit_of("another value", spot, gotten)

    def _entry(self, gotten: Gotten, random: Random) -> Edit | None:
        """An entry more or less, of those that the rule knows as its own."""
        ways = [(spot, parse_path(spot.rule.targets[0].text)) for spot in gotten.spots]
        spots = [spot for spot, way in ways if way[-1].every and not any(step.every for step in way[:-1])]
        if not spots:
            return None
        spot = random.choice(spots)
        rule, run = spot.rule, gotten.run
        holder, name = holder_of(spot.frame.nodes[rule.first], parse_path(rule.targets[0].text))
        mine = [entry for entry in holder[name] if is_own(rule, entry, run)]
        new = [entry for each in self.pool.get(rule.text, ()) for entry in each if is_own(rule, entry, run)]
        new = [entry for entry in new if entry not in holder[name] and not words_in(entry) & gotten.words]
        if new and random.random() < 0.5:
            holder[name].insert(random.randrange(len(holder[name]) + 1), copied(random.choice(new)))
            return edit_of("entry added", spot, gotten)
        if len(mine) < 2:
            return None
        holder[name].remove(random.choice(mine))
        return edit_of("entry removed", spot, gotten)

    def _other(self, gotten: Gotten, random: Random) -> Edit | None:
        """Somebody else: who was named for another item of the record, or takes part in it."""
        spots = [spot for spot in gotten.spots if not is_listed(spot.rule) and "'display'" in str(spot.says)]
        found = [(spot, says) for spot in spots for says in self._others(spot, spots, gotten)]
        if not found:
            return None
        spot, says = random.choice(found)
        write(spot, copied(says))
        return edit_of("somebody else", spot, gotten)

    def _others(self, spot: Spot, spots: list[Spot], gotten: Gotten) -> Iterator[Any]:
        for other in spots:
            if kind_of(spot) == kind_of(other) and "'reference'" in str(other.says) and spot.says != other.says:
                yield other.says
        for scope, frame in gotten.opened if len(spot.field.natives) == 1 and len(spot.rule.targets) == 1 else ():
            for anchor in scope.anchors:
                name = anchor.call.read(frame.native) if anchor.call is not None else None
                made = spot.rule.pair.to_fhir(name, gotten.run, "") if name and spot.rule.pair is not None else None
                if isinstance(made, dict) and made.get("reference") in gotten.run.index and made != spot.says:
                    yield made

    def _removed(self, gotten: Gotten, random: Random) -> Edit | None:
        """An item is no more: its resources or its element are gone, and what points at them."""
        items = [
            (scope, frame) for scope, frame in gotten.opened if is_item(scope, frame) and not scope.primary.anywhere
        ]
        if not items:
            return None
        scope, frame = random.choice(items)
        nodes = list(own_nodes(scope, frame))
        gone = {reference_of(node) for node in nodes if "resourceType" in node}
        elements = [node for node in nodes if "resourceType" not in node]
        if any(name in said for name in gone for said in _needed(gotten)):
            return None  # a field that the format requires stays, whoever it names
        kept = [without_elements(one, elements) for name, one in gotten.run.index.items() if name not in gone]
        return Edit(
            f"item removed: {scope.name}", [without(one, gone) for one in kept], follows=written_elsewhere(scope)
        )

    def _added(self, gotten: Gotten, random: Random) -> Edit | None:
        """An item that was born elsewhere, like one that is there."""
        items = [(scope, frame) for scope, frame in gotten.opened if is_item(scope, frame) and scope.primary.adopt]
        items = [(scope, frame) for scope, frame in items if not scope.primary.may_be_public]
        if not items:
            return None
        scope, frame = random.choice(items)
        key = str(UUID(int=random.getrandbits(128), version=4))
        born, index = Frame({}, "", key, frame.parent_key, {}, {}), gotten.run.index
        anchors = list(own_anchors(scope, frame))
        names = {
            reference_of(frame.nodes[anchor.name]): f"{anchor.type}/{born_id(anchor, born, gotten.run)}"
            for anchor in anchors
        }
        inner = {reference_of(node) for node in own_nodes(scope, frame) if "resourceType" in node} - names.keys()
        made = [without(born_like(index[name], names), inner) for name in names]
        for way in self._ways_into(scope):
            cut(made[0], way)
        for anchor in anchors:
            link_to(anchor, frame, names)
        return Edit(f"item added: {scope.name}", [*gotten.resources(), *made], follows=written_elsewhere(scope))

    def _element(self, gotten: Gotten, random: Random) -> Edit | None:
        """An element more, such as a note, like those of other records."""
        lists = [
            (frame, inner)
            for scope, frame in gotten.opened
            for inner in scope.lists
            if (inner.name, inner.label) in self.elements
        ]
        lists = [(frame, inner) for frame, inner in lists if inner.primary.element.parent in frame.nodes]
        if not lists:
            return None
        frame, scope = random.choice(lists)
        new = random.choice(self.elements[scope.name, scope.label])
        if words_in(new) & gotten.words:
            return None
        element = scope.primary.element
        compile_path(element.text).write(frame.nodes[element.parent], copied(new))
        return Edit(f"item added: {scope.name}", gotten.resources(), follows=written_elsewhere(scope))


def edit_of(what: str, spot: Spot, gotten: Gotten) -> Edit:
    """The edit of a spot; other rules may write from its fields too."""
    natives = {native.text for native in spot.field.natives}
    others = [each for each in spot.scope.fields if natives & {native.text for native in each.natives}]
    follow = {_names(target) for each in others for rule in each.rules if rule.writes for target in rule.targets}
    changed = {_names(target) for target in spot.rule.targets}
    return Edit(f"{what}: {spot.rule.text}", gotten.resources(), changed, follow - changed)


def written_elsewhere(scope: Scope) -> set[Names]:
    """The elements that the items of a list, and of those inside it, write into other things."""
    inside = list(scope.with_all_inside())
    own = {anchor.name for one in inside for anchor in one.anchors if anchor.type is not None}
    rules = [rule for one in inside for each in one.fields for rule in each.rules if rule.writes]
    return {_names(target) for rule in rules for target in rule.targets if target.anchor not in own}


def _way(target: Target) -> tuple[Any, ...]:
    """The anchor and the steps of a target."""
    return (target.type, target.anchor, *parse_path(target.text))


def _names(target: Target) -> Names:
    return (*target.type.split("."), *(step.name for step in parse_path(target.text)))


def _needed(gotten: Gotten) -> list[str]:
    """What the fields say that the format requires."""
    fields = [(each, frame) for scope, frame in gotten.opened for each in scope.fields]
    needed = [(each, frame) for each, frame in fields if any(native.is_required for native in each.natives)]
    return [str(rule.fragments(frame.nodes)) for each, frame in needed if (rule := speaking(each, frame)) is not None]
