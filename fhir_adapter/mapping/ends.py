"""What was taken away in FHIR, and whether a record has a word for that.

Nothing is deleted in FHIR: a thing that is no more says so by its state. Where the format has a word for that state the
record says it by that word. Where it has none, the record says it by having the thing no more.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from typing import Any

from fhir_adapter.fhir.ends import ENDS, end_of, is_taken_away
from fhir_adapter.fhir.paths import compile_path, parse_path
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.anchors import Anchor
from fhir_adapter.mapping.frames import Nodes, copied
from fhir_adapter.mapping.model import Run
from fhir_adapter.mapping.rules import Field, Rule, Target

Words = tuple[tuple[Field, Rule, Target], ...]
"""what writes the state of an anchor: the fields, each with its rule and the target that is the state"""


def words_for_ends(
    anchors: Iterable[Anchor], standing: Iterable[Anchor], fields: Iterable[Field], *, is_root: bool
) -> dict[str, Words]:
    """The anchors of what a record or an item can be without (an item of a list; what is made `when` a field says so),
    with the words that it has for their state. `standing`: those that stand for the item or the record."""
    fields, standing = tuple(fields), tuple(standing)
    items = () if is_root else standing
    parts = [anchor for anchor in anchors if anchor.when is not None and anchor not in standing]
    return {anchor.name: tuple(_about_state(anchor, fields)) for anchor in (*items, *parts) if anchor.type in ENDS}


def _about_state(anchor: Anchor, fields: Iterable[Field]) -> Iterator[tuple[Field, Rule, Target]]:
    state, _ = ENDS[anchor.type or ""]
    for field in fields:
        for rule in (rule for rule in field.rules if rule.writes):
            for target in rule.targets:
                if target.anchor == anchor.name and parse_path(target.text)[0].name == state:
                    yield field, rule, target


def is_left_out(
    words: Mapping[str, Words], anchor: Anchor, node: Resource, was: Resource | None, nodes: Nodes, run: Run
) -> bool:
    """Was this taken away, and would the record tell it as if it were still there? What the record itself said to be no
    more stays. `was`: what the record said there; `nodes`: the others of the item, as far as they are known."""
    if anchor.name not in words or not is_taken_away(node):
        return False
    if was is not None and was["id"] == node["id"] and is_taken_away(was):
        return False
    return not is_taken_away(_as_told_again(words[anchor.name], anchor, nodes | {anchor.name: node}, run.fresh()))


def wordless(words: Mapping[str, Words], anchors: Iterable[Anchor], run: Run) -> list[Anchor]:
    """The anchors of what is left out of records once it was taken away."""
    with_words = [anchor for anchor in anchors if anchor.name in words]
    ended = ({"resourceType": anchor.type, "id": "", **end_of(anchor.type or "")} for anchor in with_words)
    found = zip(with_words, ended, strict=True)
    return [anchor for anchor, node in found if is_left_out(words, anchor, node, None, {}, run)]


def stated(words: Mapping[str, Words], anchors: Iterable[Anchor]) -> Iterator[Anchor]:
    """The anchors of what is there or is not, with no word for how far it is: their state is a constant."""
    return (anchor for anchor in anchors if words.get(anchor.name) == () and anchor.mark is not None)


def _as_told_again(words: Words, anchor: Anchor, nodes: Nodes, run: Run) -> Resource:
    """The state that FHIR would get from the words that the record has for what is in `nodes`."""
    state, _ = ENDS[anchor.type or ""]
    told: Resource = {"resourceType": anchor.type, state: copied(anchor.constants.get(state))}
    for field, rule, target in words:
        made = _there_and_back(field, rule, nodes, run)
        part = made[rule.targets.index(target)] if isinstance(made, tuple) else made
        if part is not None:
            compile_path(target.text).write(told, part)
    return told


def _there_and_back(field: Field, rule: Rule, nodes: Nodes, run: Run) -> Any:
    """What a rule writes of the words that its field gets from FHIR: by itself, or if it is never read, by another."""
    speaking = rule if rule.reads else field.speaking(nodes)
    natives = field.words(speaking, nodes, run) if speaking is not None else ()
    if all(native is None for native in natives):
        return None
    value = natives[0] if len(natives) == 1 else natives
    return value if rule.pair is None else rule.pair.to_fhir(value, run, "")
