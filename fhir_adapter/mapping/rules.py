"""Rules: a native field on one side, FHIR paths on the other, and the delta between them."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_adapter.fhir.differences import Untold
from fhir_adapter.fhir.paths import parse_path
from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.mapping.converters.registry import Converter
from fhir_adapter.mapping.frames import Frame, Look, NativePath, Nodes
from fhir_adapter.mapping.model import Pair, Run


@dataclass(frozen=True, slots=True)
class Target:
    """One FHIR side of a rule: the path within an anchor."""

    anchor: str
    text: str
    read: Callable[[Resource], Any]
    type: str = ""
    """of the anchor: a resource type, or the element that it is: `CareTeam.participant`"""


@dataclass(frozen=True, slots=True)
class Rule:
    """Native field(s) on one side, FHIR path(s) on the other, a converter pair between.

    `line`: where it stands in mapping.yaml; `owner`: whose value wins in a conflict, or None for what the plan's own
    rules say; `converter`: the kind of converter that the pair was built by.
    """

    text: str
    targets: tuple[Target, ...]
    first: str
    """the anchor that must be there for the rule to apply"""
    pair: Pair | None
    """None: the value is the same on both sides"""
    reads: bool
    writes: bool
    line: int = 0
    owner: str | None = None
    converter: Converter | None = None

    def elements(self) -> Iterator[str]:
        """FHIR type and path, without positions, of what it writes; extensions are their sender's in every plan."""
        for target in self.targets:
            names = [step.name for step in parse_path(target.text)]
            if not {"extension", "modifierExtension"} & set(names):
                yield ".".join([target.type, *names])

    def nothing(self) -> Any:
        """What the targets hold where the anchor is not there."""
        return None if len(self.targets) == 1 else (None,) * len(self.targets)

    def fragments(self, nodes: Nodes) -> Any:
        """What the targets hold: one fragment, or a tuple where there are several targets."""
        if len(self.targets) == 1:
            target = self.targets[0]
            return target.read(nodes[target.anchor])
        return tuple(target.read(nodes[target.anchor]) if target.anchor in nodes else None for target in self.targets)


@dataclass(frozen=True, slots=True)
class Field:
    """One native field (or a group read together) and every rule about it.

    `many`: "one" value; a "list" whose items are converted each on its own; "either": one item may stand without list.
    """

    natives: tuple[NativePath, ...]
    many: str
    rules: tuple[Rule, ...]
    readers: tuple[Rule, ...]
    """the rules that are read on the way back"""
    looks: frozenset[Look]
    """all that these read"""

    def put(self, frame: Frame, run: Run, run_before: Run | None) -> None:
        """Writes into the item what differs from what `before` gives; everything else is left alone."""
        present = [rule for rule in self.readers if rule.first in frame.nodes]
        if not present and not frame.gone:
            return
        silenced: tuple[Rule, Any, Any] | None = None
        speaking = present or [rule for rule in self.readers if rule.first in frame.gone]
        for place, rule in enumerate(speaking, 1):
            now = rule.fragments(frame.nodes) if present else rule.nothing()
            then = self._fragments_before(rule, frame.before)
            if _is_nothing(now):
                silenced = silenced or (None if _is_nothing(then) else (rule, now, then))
                continue
            if silenced is not None:  # another rule speaks for the field from now on
                self._put(*silenced, frame, run, run_before)
                self._put(rule, now, rule.nothing(), frame, run, run_before)
            elif now != then:
                self._put(rule, now, then, frame, run, run_before)
            self._note_what_is_untold(rule, now, speaking[place:], frame, run)
            return
        if silenced is not None:
            self._put(*silenced, frame, run, run_before)

    def _note_what_is_untold(self, speaking: Rule, said: Any, others: Sequence[Rule], frame: Frame, run: Run) -> None:
        """The field was written to other elements of resources, too. One that somebody edited says something else now
        than the record tells: which of them is right, and since when, FHIR does not say."""
        for rule in others:
            now, then = rule.fragments(frame.nodes), self._fragments_before(rule, frame.before)
            if now == then or _is_nothing(now) or _is_nothing(then):
                continue
            words, node = self._natives(rule, now, run), frame.nodes[rule.first]
            is_other = any(word is not None for word in words) and words != self._natives(speaking, said, run)
            if is_other and "resourceType" in node:
                run.untold.append(Untold(reference_of(node), rule.targets[0].text, now))

    def speaking(self, nodes: Nodes) -> Rule | None:
        """The rule that is read on the way back: the first that finds something."""
        present = (rule for rule in self.readers if rule.first in nodes)
        return next((rule for rule in present if not _is_nothing(rule.fragments(nodes))), None)

    def words(self, rule: Rule, nodes: Nodes, run: Run) -> tuple[Any, ...]:
        """What a rule reads, one value for each native field."""
        return self._natives(rule, rule.fragments(nodes), run)

    def _put(self, rule: Rule, now: Any, then: Any, frame: Frame, run: Run, run_before: Run | None) -> None:
        put = self._put_one if self.many == "one" else self._put_each
        put(rule, now, then, frame, run, run_before)

    def _fragments_before(self, rule: Rule, before: Frame | None) -> Any:
        if before is None or rule.first not in before.nodes:
            return rule.nothing()
        return rule.fragments(before.nodes)

    def _put_one(self, rule: Rule, now: Any, then: Any, frame: Frame, run: Run, run_before: Run | None) -> None:
        news = self._natives(rule, now, run)
        olds = self._natives(rule, then, run_before) if run_before is not None else (None,) * len(self.natives)
        for path, new, old in zip(self.natives, news, olds, strict=True):
            if new != old and not (new is None and path.is_required):
                path.write(frame.native, new)

    def _natives(self, rule: Rule, fragments: Any, run: Run) -> tuple[Any, ...]:
        """What the converter makes of the fragments, one value for each native field."""
        made = fragments if rule.pair is None else _to_native(rule.pair, fragments, run)
        if len(self.natives) == 1:
            return (made,)
        return (None,) * len(self.natives) if made is None else tuple(made)

    def _put_each(self, rule: Rule, now: Any, then: Any, frame: Frame, run: Run, run_before: Run | None) -> None:
        """Item by item: those whose fragment is still there stay as they were sent, in their order; a new one stands
        behind what it stands behind in FHIR."""
        path = self.natives[0]
        sent = path.read(frame.native)
        was_list = isinstance(sent, list)
        kept: list[Any] = list(sent) if isinstance(sent, list) else [] if sent is None else [sent]
        olds = _own_fragments(rule.pair, then, run_before)
        news = _own_fragments(rule.pair, now, run)
        if [fragment for fragment, _ in olds] == [fragment for fragment, _ in news]:
            return
        added = list(news)
        for old in olds:
            if old in added:
                added.remove(old)
            elif (place := _place_of(old, kept, rule.pair, run_before)) is not None:
                del kept[place]
        behind = 0
        for new in news if added else ():
            place = None if new in added else _place_of(new, kept, rule.pair, run_before)
            if new in added:
                added.remove(new)
                kept.insert(behind, new[1])
                behind += 1
            elif place is not None:
                behind = max(behind, place + 1)
        if self.many == "either" and len(kept) == 1 and not was_list:
            path.write(frame.native, kept[0])
        elif kept or not path.is_required:
            path.write(frame.native, kept or None)


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


def _place_of(known: tuple[Any, Any], items: list[Any], pair: Pair | None, run: Run | None) -> int | None:
    """Where a fragment's word is among the items as they were sent: under this word, or under a synonym of it."""
    fragment, word = known
    if word in items or pair is None or run is None:
        return items.index(word) if word in items else None
    return next((place for place, item in enumerate(items) if pair.to_fhir(item, run, "") == fragment), None)
