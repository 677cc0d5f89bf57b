"""Where a record speaks in FHIR: the rules that do, each with the item that it speaks for."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

from fhir_adapter.fhir.paths import compile_path, parse_path
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.frames import Frame
from fhir_adapter.mapping.model import Run
from fhir_adapter.mapping.rules import Field, Rule
from fhir_adapter.mapping.scopes import Scope
from tests.laws.fhir_parts import cut, words_in


@dataclass
class Gotten:
    """What `get` left behind of a record: the frames of its items, and the run with its resources."""

    opened: list[tuple[Scope, Frame]]
    run: Run
    spots: list[Spot] = field(default_factory=list)

    @cached_property
    def words(self) -> set[str]:
        """All that something in the record may be called by."""
        return words_in(self.run.record) | words_in([frame.key for _, frame in self.opened])

    def resources(self) -> list[Resource]:
        """Its FHIR, as it is now."""
        return list(self.run.index.values())


@dataclass(frozen=True)
class Spot:
    """A rule that speaks for a field of an item."""

    scope: Scope
    frame: Frame
    field: Field
    rule: Rule

    @property
    def says(self) -> Any:
        """What its targets hold."""
        return self.rule.fragments(self.frame.nodes)


def speaking(each: Field, frame: Frame) -> Rule | None:
    """The rule that speaks for a field on the way back: the first that has something to read."""
    present = [rule for rule in each.readers if rule.first in frame.nodes]
    return next((rule for rule in present if any(parts_of(rule, rule.fragments(frame.nodes)))), None)


def hides(each: Field, rule: Rule, frame: Frame, run: Run) -> bool:
    """Have fields of a group values that FHIR was not told, because of the others? They would be told with others."""
    if len(each.natives) < 2 or rule.pair is None:
        return False
    told = rule.pair.to_native(rule.fragments(frame.nodes), run) or (None,) * len(each.natives)
    sent = [native.read(frame.native) for native in each.natives]
    return any(one is None and other is not None for one, other in zip(told, sent, strict=True))


def is_listed(rule: Rule) -> bool:
    """Does it write list entries?"""
    return any(step.every for target in rule.targets for step in parse_path(target.text))


def write(spot: Spot, fragments: Any) -> None:
    """Puts fragments in the place of what a rule's targets hold."""
    for target, part in zip(spot.rule.targets, parts_of(spot.rule, fragments), strict=True):
        node = spot.frame.nodes.get(target.anchor)
        if node is not None:
            cut(node, parse_path(target.text))
            if part is not None:
                compile_path(target.text).write(node, part)


def parts_of(rule: Rule, fragments: Any) -> tuple[Any, ...]:
    return fragments if len(rule.targets) > 1 else (fragments,)


def kind_of(spot: Spot) -> tuple[int, str]:
    """How many fields a rule carries, and its converter with its words."""
    return len(spot.field.natives), spot.rule.text.partition("|")[2].partition("|")[0].strip()


def is_own(rule: Rule, entry: Any, run: Run) -> bool:
    return rule.pair is None or rule.pair.to_native(entry, run) is not None
