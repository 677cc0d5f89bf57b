"""The way back for messages: which of the sender's own fields a FHIR element came from.

Nothing is noted while a record is mapped. The frames that the walk leaves behind tell all that is needed, and they are
looked at only when somebody asks: for a conflict, or for a value that was not taken.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_adapter.fhir.paths import Step, parse_path
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.frames import Frame
from fhir_adapter.mapping.model import Run
from fhir_adapter.mapping.rules import Field, Rule
from fhir_adapter.mapping.scopes import Scope

Opened = Sequence[tuple[Scope, Frame]]

_ELEMENT = re.compile(r"([A-Za-z_][A-Za-z0-9_]*)(?:\[([^\]]*)\])?(?:\.|$)")
"""A field and, for an item of a list, the merge's key: a reference, a url, or a hash that only the merge can read."""

_FORMS = {
    "Boolean", "Integer", "String", "Date", "DateTime", "Time", "Instant", "Quantity", "Duration", "Age", "Range",
    "Period", "Ratio", "Timing", "SampledData", "CodeableConcept", "Reference",
}  # fmt: skip
"""What may follow the name of a choice in R4, among the types that plans use."""


@dataclass(frozen=True, slots=True)
class _Wanted:
    """One step of the element asked for; `items`: what the resource holds there, `is_told`: the key tells which."""

    name: str
    key: str | None
    items: list[Any]
    is_told: bool


@dataclass(frozen=True, slots=True)
class _Match:
    """A field that writes the element (`whole`), or something inside it."""

    path: str
    whole: bool
    is_sent: bool


def native_path(opened: Opened, run: Run, reference: str, element: str) -> str:
    """The record's field behind `element` of the resource `reference`; empty where there is none, or no single one."""
    resource = run.index.get(reference)
    if resource is None:
        return ""
    holders = [
        (scope, frame, anchor.name)
        for scope, frame in opened
        for anchor in scope.anchors
        if frame.nodes.get(anchor.name) is resource
    ]
    if not holders:
        return _where_it_is_named(opened, reference)
    if not element:
        return _place_of_all(holders)
    wanted = _steps_of(element, resource)
    return _within(holders, wanted, run) or _place_of_linked(opened, run, wanted)


def _steps_of(element: str, resource: Resource) -> list[_Wanted]:
    """The steps of an element path, each with what the resource holds there."""
    nodes: list[Any] = [resource]
    steps = []
    for name, key in _ELEMENT.findall(element):
        values = [value for node in nodes if isinstance(node, dict) for value in _named(node, name)]
        nodes = [item for value in values for item in (value if isinstance(value, list) else [value])]
        told = [node for node in nodes if key and _mentions(node, key)]
        nodes = told or nodes
        steps.append(_Wanted(name, key or None, nodes, bool(told)))
    return steps


def _named(node: Resource, name: str) -> Iterator[Any]:
    return (value for field, value in node.items() if _is_form_of(field, name))


def _is_form_of(field: str, name: str) -> bool:
    """`occurrencePeriod` is a form of `occurrence`, as the merge calls every form of a choice."""
    return field == name or (field.startswith(name) and field[len(name) :] in _FORMS)


def _mentions(node: Any, key: str) -> bool:
    if isinstance(node, dict):
        return any(_mentions(child, key) for child in node.values())
    return any(_mentions(child, key) for child in node) if isinstance(node, list) else node == key


def _within(holders: Sequence[tuple[Scope, Frame, str]], wanted: list[_Wanted], run: Run) -> str:
    """The field among the rules of these frames, or of the lists inside them whose items are elements here."""
    whole_list, item = _in_lists(holders, wanted, run)
    if item:
        return item
    matches: list[_Match] = []
    for scope, frame, anchor in holders:
        for field in scope.fields:
            matches += _matches(field, frame, anchor, wanted, run)
    if whole_list and not any(match.is_sent for match in matches):
        return whole_list
    return _one_of(matches, all(len(step.items) < 2 for step in wanted if step.key))


def _matches(field: Field, frame: Frame, anchor: str, wanted: list[_Wanted], run: Run) -> Iterator[_Match]:
    for rule in field.rules:
        for place, target in enumerate(rule.targets):
            steps = parse_path(target.text)
            if target.anchor != anchor or not _is_at(steps, wanted, rule, field, run):
                continue
            whole = len(steps) <= len(wanted)
            sent = _sent(field, rule, place, frame, run)
            yield _Match(frame.path + (sent or field.natives[0].text), whole, bool(sent))


def _is_at(steps: Sequence[Step], wanted: list[_Wanted], rule: Rule, field: Field, run: Run) -> bool:
    """Does a rule's target lie where the element is, in it or around it?"""
    for step, want in zip(steps, wanted, strict=False):
        if not _is_form_of(step.name, want.name):
            return False
        if want.key is None or not want.items:
            continue
        if step.key is not None:
            if not any(isinstance(item, dict) and item.get(step.key) == step.value for item in want.items):
                return False
        elif step.every and step is steps[-1] and rule.pair is not None and rule.reads:
            items = want.items if field.many != "one" else [[item] for item in want.items]
            if all(rule.pair.to_native(item, run) is None for item in items):
                return False
    return True


def _sent(field: Field, rule: Rule, place: int, frame: Frame, run: Run) -> str:
    """The field of a group that a target came from: the one of its name, or the first without which it is another."""
    values = [native.read(frame.native) for native in field.natives]
    sent = [native.text for native, value in zip(field.natives, values, strict=True) if value is not None]
    name = rule.targets[place].text
    if len(sent) < 2 or rule.pair is None or name in sent:
        return name if name in sent else "".join(sent[:1])
    fragments = _fragment(rule, values, place, frame, run)
    for index, native in enumerate(field.natives):
        if values[index] is not None:
            without = [None if other == index else value for other, value in enumerate(values)]
            if _fragment(rule, without, place, frame, run) != fragments:
                return native.text
    return sent[0]


def _fragment(rule: Rule, values: list[Any], place: int, frame: Frame, run: Run) -> Any:
    """What a converter makes of these values for one target, in a run of its own that leaves no trace."""
    assert rule.pair is not None
    trial = run.fresh()
    made = rule.pair.to_fhir(tuple(values), trial, frame.path)
    return made[place] if made is not None and len(rule.targets) > 1 else made


def _one_of(matches: list[_Match], is_sure: bool) -> str:
    """The field that wrote last where all wrote the same element; else what the fields have in common."""
    whole = [match for match in matches if match.whole] or matches
    sent = [match for match in whole if match.is_sent]
    paths = list(dict.fromkeys(match.path for match in sent or whole))
    if len(paths) < 2:
        return "".join(paths)
    if whole[0].whole and is_sure:
        return paths[-1] if sent else paths[0]
    return _in_common(paths)


def _in_common(paths: Sequence[str]) -> str:
    """`person` for person.name and person.phone; `mal[1]` for two fields of that item."""
    common = []
    for steps in zip(*(path.split(".") for path in paths), strict=False):
        if len(set(steps)) > 1:
            break
        common.append(steps[0])
    return ".".join(common)


def _in_lists(holders: Sequence[tuple[Scope, Frame, str]], wanted: list[_Wanted], run: Run) -> tuple[str, str]:
    """The list of the record whose items are elements here, and its item (or field) where it can be told which."""
    for scope, frame, anchor in holders:
        for inner in scope.lists:
            if not _is_list_of(inner, anchor, wanted[0]):
                continue
            name, path = inner.primary.name, frame.path + inner.native.text
            items = [
                each for each in frame.lists.get(inner.label, ()) if _is_any_of(each.nodes.get(name), wanted[0].items)
            ]
            if len(items) != 1 or not wanted[0].is_told:
                return path, ""
            found = _within([(inner, items[0], name)], wanted[1:], run) if len(wanted) > 1 else ""
            return path, found or items[0].path.removesuffix(".")
    return "", ""


def _is_list_of(inner: Scope, anchor: str, want: _Wanted) -> bool:
    """Are the items of the list `inner` elements at this step of `anchor`'s resource?"""
    primary = inner.primary
    if primary.element is None or primary.element.parent != anchor:
        return False
    if parse_path(primary.element.text)[0].name != want.name:
        return False
    return primary.extension is None or any(item.get("url") == primary.extension for item in want.items)


def _is_any_of(node: Any, nodes: list[Any]) -> bool:
    return any(node is other for other in nodes)


def _place_of_all(holders: Sequence[tuple[Scope, Frame, str]]) -> str:
    """The item that a whole resource stands for; for one of the record itself, the object that its fields are in."""
    for scope, frame, anchor in holders:
        if frame.path and scope.primary.element is None and anchor == scope.primary.name:
            return frame.path.removesuffix(".")
    scope, frame, anchor = holders[0]
    if frame.path:
        return frame.path.removesuffix(".")
    paths = [
        native.text
        for field in scope.fields
        if any(rule.reads and rule.first == anchor for rule in field.rules)
        for native in field.natives
    ]
    return _in_common(list(dict.fromkeys(paths)))


def _place_of_linked(opened: Opened, run: Run, wanted: list[_Wanted]) -> str:
    """The item behind a link such as `goal[Goal/1]`."""
    keys = [step.key for step in wanted if step.key is not None and step.key in run.index]
    return native_path(opened, run, keys[0], "") if keys else ""


def _where_it_is_named(opened: Opened, reference: str) -> str:
    """The first field that speaks of a resource which has no item of its own: an organisation."""
    for scope, frame in opened:
        for field in scope.fields:
            for rule in field.rules:
                if rule.reads and rule.first in frame.nodes and _mentions(rule.fragments(frame.nodes), reference):
                    return frame.path + field.natives[0].text
    return ""
