"""Where each element of a mapped record came from: a field by a rule, a constant, a code, an id or a reference."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_adapter.fhir.paths import Step, parse_path
from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.mapping.anchors import Anchor
from fhir_adapter.mapping.frames import Frame
from fhir_adapter.mapping.model import Run
from fhir_adapter.mapping.rules import Field, Rule
from fhir_adapter.mapping.scopes import Scope

Path = tuple[str | int, ...]
"""into a resource: names and places"""


@dataclass(frozen=True, slots=True)
class Source:
    """What wrote an element. `kind`: rule, constant, code, id or reference; `fields`: the record's own, with places."""

    kind: str
    fields: tuple[str, ...] = ()
    rule: Rule | None = None
    anchor: str = ""


@dataclass(slots=True)
class Sources:
    """The sources found in one run, each at the place in the resource that it wrote."""

    run: Run
    marks: dict[tuple[str, Path], list[Source]] = field(default_factory=dict)
    places: dict[int, tuple[str, Path]] = field(default_factory=dict)
    """node -> its resource and where it is in there"""
    echoes: list[tuple[str, str, Path]] = field(default_factory=list)
    """(field, resource, place): what no rule wrote, and a rule that only reads finds there as the field has it"""

    def mark(self, reference: str, path: Path, source: Source) -> None:
        """Notes who wrote what is at `path`."""
        known = self.marks.setdefault((reference, path), [])
        if source not in known:
            known.append(source)

    def of(self, reference: str, path: Path) -> list[Source]:
        """The sources of an element: those of its own place, else of the nearest place around it."""
        for length in range(len(path), -1, -1):
            found = self.marks.get((reference, path[:length]))
            if found:
                return [one for one in found if one.kind == "rule"] or found
        return []


def sources_of(opened: Sequence[tuple[Scope, Frame]], run: Run) -> Sources:
    """Who wrote what in the resources of a run."""
    sources = Sources(run)
    for scope, frame in opened:
        for anchor in scope.anchors:
            node = frame.nodes.get(anchor.name)
            if node is not None and id(node) not in sources.places:
                _place_node(sources, anchor, node, frame)
    trial = _Trial(sources)
    for scope, frame in opened:
        for anchor in scope.anchors:
            if (node := frame.nodes.get(anchor.name)) is not None:
                _mark_anchor(sources, anchor, node, frame)
        for each in scope.fields:
            for rule in each.rules:
                if rule.first in frame.nodes:
                    (trial.mark_rule if rule.writes else trial.find_again)(each, rule, frame)
    return sources


def _place_node(sources: Sources, anchor: Anchor, node: Resource, frame: Frame) -> None:
    """Where an anchor's node is: a resource, or an element of another anchor's node."""
    if anchor.element is None:
        if "resourceType" in node:
            sources.places[id(node)] = (reference_of(node), ())
        return
    parent = frame.nodes.get(anchor.element.parent)
    if parent is None or id(parent) not in sources.places:
        return
    reference, prefix = sources.places[id(parent)]
    for path, value in located(parent, parse_path(anchor.element.text)):
        if value is node:
            sources.places[id(node)] = (reference, (*prefix, *path))


def _mark_anchor(sources: Sources, anchor: Anchor, node: Resource, frame: Frame) -> None:
    """What an anchor itself wrote: its id, its constants and codes, and the references from and to it."""
    if id(node) not in sources.places or anchor.of is not None:
        return
    reference, prefix = sources.places[id(node)]
    item = frame.path.removesuffix(".")
    here = Source("id", (f"{frame.path}id" if frame.native.get("id") is not None else item,), anchor=anchor.name)
    if anchor.same is None:
        if anchor.element is None:
            sources.mark(reference, ("id",), here)
        if anchor.extension is not None:
            sources.mark(reference, (*prefix, "url"), Source("constant", anchor=anchor.name))
        for path, _ in leaves(anchor.constants):
            if value_at(node, path) is not None:
                sources.mark(reference, (*prefix, *path), Source("constant", anchor=anchor.name))
        if anchor.mark is not None:
            _mark_equal(sources, node, anchor.mark.text, anchor.mark.concept, Source("code", anchor=anchor.name))
        for place, identifier in enumerate(node.get("identifier") or () if anchor.identifier else ()):
            if isinstance(identifier, dict) and identifier.get("system") == sources.run.source:
                sources.mark(reference, (*prefix, "identifier", place), here)
    _mark_references(sources, anchor, node, frame)


def _mark_references(sources: Sources, anchor: Anchor, node: Resource, frame: Frame) -> None:
    source = Source("reference", (frame.path.removesuffix("."),), anchor=anchor.name)
    targets = [(anchor.name, path, other) for other, path in anchor.refers]
    targets += [(anchor.name, anchor.reverse.text, anchor.reverse.parent)] if anchor.reverse is not None else []
    targets += [(link.parent, link.text, anchor.name) for link in (*anchor.links, *anchor.also)]
    for holder, text, target in targets:
        holding, pointed = frame.nodes.get(holder), frame.nodes.get(target)
        if holding is None or pointed is None or id(holding) not in sources.places or "resourceType" not in pointed:
            continue
        reference, prefix = sources.places[id(holding)]
        steps = parse_path(text)
        found = [path for path, value in located(holding, steps) if _points_to(value, pointed)]
        for path in (*found, *(_selected(holding, steps) if found else ())):
            sources.mark(reference, (*prefix, *path), source)


def _points_to(value: Any, resource: Resource) -> bool:
    return isinstance(value, dict) and value.get("reference") == reference_of(resource)


def _mark_equal(sources: Sources, node: Resource, text: str, wanted: Any, source: Source) -> None:
    reference, prefix = sources.places[id(node)]
    steps = parse_path(text)
    found = [path for path, value in located(node, steps) if value == wanted or _holds(value, wanted)]
    for path in (*found, *_selected(node, steps)):
        sources.mark(reference, (*prefix, *path), source)


def _holds(concept: Any, wanted: Any) -> bool:
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return isinstance(codings, list) and any(coding in codings for coding in wanted["coding"])


class _Trial:
    """Converts each field once more, beside the run, to tell which of the elements at a rule's target it wrote."""

    def __init__(self, sources: Sources) -> None:
        self._sources = sources
        self._run = sources.run
        held = {reference for reference, path in sources.places.values() if not path}
        self._known = {reference: node for reference, node in self._run.index.items() if reference in held}

    def mark_rule(self, each: Field, rule: Rule, frame: Frame) -> None:
        """Notes what a rule wrote for one item of the record."""
        values = [native.read(frame.native) for native in each.natives]
        if all(value is None for value in values):
            return
        if each.many == "one":
            sent = zip(each.natives, values, strict=True)
            fields = tuple(frame.path + native.text for native, value in sent if value is not None)
            self._mark(rule, frame, values[0] if len(values) == 1 else tuple(values), fields)
            return
        for place, value in enumerate(values[0] if isinstance(values[0], list) else [values[0]]):
            name = f"{frame.path}{each.natives[0].text}"
            self._mark(rule, frame, value, (f"{name}[{place}]" if isinstance(values[0], list) else name,))

    def find_again(self, each: Field, rule: Rule, frame: Frame) -> None:
        """Notes where a rule that only reads finds what the record says: in a reference that an anchor wrote."""
        value, node = each.natives[0].read(frame.native), frame.nodes[rule.first]
        if value is None or id(node) not in self._sources.places:
            return
        reference, prefix = self._sources.places[id(node)]
        name = f"{frame.path}{each.natives[0].text}"
        sent = {name: value}
        if each.many != "one" and isinstance(value, list):
            sent = {f"{name}[{place}]": item for place, item in enumerate(value)}
        for path, fragment in located(node, parse_path(rule.targets[0].text)):
            words = fragment if rule.pair is None else rule.pair.to_native(fragment, self._run)
            for place, item in sent.items():
                if item == words or self._made(rule, item, place)[0] == fragment:
                    self._sources.echoes.append((place, reference, (*prefix, *path)))

    def _mark(self, rule: Rule, frame: Frame, value: Any, fields: tuple[str, ...]) -> None:
        made, brought = self._made(rule, value, fields[0])
        source = Source("rule", fields, rule)
        for reference in brought:
            self._sources.mark(reference, (), source)
        fragments = made if isinstance(made, tuple) and len(rule.targets) > 1 else (made,) * len(rule.targets)
        for target, fragment in zip(rule.targets, fragments, strict=False):
            node = frame.nodes.get(target.anchor)
            if node is None or fragment is None or id(node) not in self._sources.places:
                continue
            reference, prefix = self._sources.places[id(node)]
            steps = parse_path(target.text)
            for path in _written(list(located(node, steps)), fragment):
                self._sources.mark(reference, (*prefix, *path), source)
            for path in _selected(node, steps):
                self._sources.mark(reference, (*prefix, *path), source)

    def _made(self, rule: Rule, value: Any, path: str) -> tuple[Any, list[str]]:
        """What the rule's converter makes of a value, and the resources without an item of their own that it brings."""
        if rule.pair is None:
            return value, []
        trial = self._run.fresh()
        trial.index = dict(self._known)
        trial.bearers = self._run.bearers.among(self._known)
        trial.places, trial.keys = dict(self._run.places), dict(self._run.keys)
        made = rule.pair.to_fhir(value, trial, path)
        return made, [reference for reference in trial.index if reference not in self._known]


def _written(there: list[tuple[Path, Any]], fragment: Any) -> list[Path]:
    """The places at a target that hold this fragment; where it was changed afterwards, all of them."""
    wanted = fragment if isinstance(fragment, list) else [fragment]
    equal = [path for path, value in there if value == fragment or value in wanted]
    return equal or [path for path, value in there if _is_within(wanted, value)] or [path for path, _ in there]


def _selected(node: Resource, steps: Sequence[Step]) -> Iterator[Path]:
    """What a path itself says about the elements that it chooses: `telecom[system=phone]` writes the system."""
    for length, step in enumerate(steps, start=1):
        if step.key is not None:
            yield from ((*path, step.key) for path, _ in located(node, steps[:length]))


def _is_within(wanted: list[Any], value: Any) -> bool:
    """Was something added to a fragment that a converter had made?"""
    return isinstance(value, dict) and any(
        isinstance(one, dict) and all(value.get(name) == part for name, part in one.items()) for one in wanted
    )


def located(node: Any, steps: Sequence[Step]) -> Iterator[tuple[Path, Any]]:
    """Every place that a path leads to, with what is there."""
    if not steps:
        yield (), node
        return
    first, rest = steps[0], steps[1:]
    value = node.get(first.name) if isinstance(node, dict) else None
    if value is None:
        return
    if first.every or first.index is not None or first.key is not None:
        for place, item in enumerate(value if isinstance(value, list) else ()):
            if _is_chosen(first, place, item):
                for path, found in located(item, rest):
                    yield (first.name, place, *path), found
    else:
        for path, found in located(value, rest):
            yield (first.name, *path), found


def _is_chosen(step: Step, place: int, item: Any) -> bool:
    if step.index is not None:
        return place == step.index
    return step.key is None or (isinstance(item, dict) and item.get(step.key) == step.value)


def leaves(value: Any, path: Path = ()) -> Iterator[tuple[Path, Any]]:
    """Every plain value in JSON with its path."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from leaves(child, (*path, name))
    elif isinstance(value, list):
        for place, child in enumerate(value):
            yield from leaves(child, (*path, place))
    else:
        yield path, value


def value_at(value: Any, path: Path) -> Any:
    """What is at a path, or None."""
    for step in path:
        if isinstance(step, int):
            value = value[step] if isinstance(value, list) and step < len(value) else None
        else:
            value = value.get(step) if isinstance(value, dict) else None
    return value
