"""What must hold of every merge, whatever was written: tried on generated plans with few values, so that they clash."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import UTC, datetime
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_adapter.fhir.resources import reference_of
from fhir_adapter.plan.merge import Merged, Refs, merge
from fhir_adapter.plan.owners import Owners
from fhir_adapter.plan.ownership import Rules

FEW = settings(max_examples=50, deadline=None)
"""Examples a law in the ordinary run."""

KOMMUN, REGION = "kommun", "region"
NOW = datetime(2025, 6, 2, 8, tzinfo=UTC)

WORDS = st.sampled_from(["bor kvar", "tar bussen", "ringer"])
STATES = st.sampled_from(["proposed", "active", "on-hold", "cancelled"])


def concept(words: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    """A CodeableConcept of words alone."""
    return words.map(lambda text: {"text": text})


def as_text(value: Any) -> str:
    """One text for one content, whatever the order of its fields."""
    return json.dumps(value, sort_keys=True)


def some(items: st.SearchStrategy[Any], key: Any = as_text) -> st.SearchStrategy[list[Any]]:
    """A list of none to three different items."""
    return st.lists(items, max_size=3, unique_by=key)


def fields(required: dict[str, Any], optional: dict[str, Any]) -> st.SearchStrategy[dict[str, Any]]:
    """An object; empty lists are left out, as FHIR wants it."""
    found = st.fixed_dictionaries(required, optional=optional)
    return found.map(lambda one: {name: value for name, value in one.items() if value != []})


NOTE = fields({"text": WORDS, "time": st.sampled_from(["2025-03-01", "2025-03-02"])}, {"authorString": WORDS})
TARGET = fields({"measure": concept(WORDS)}, {"detailInteger": st.integers(0, 2), "dueDate": st.just("2025-05-15")})
MEMBER = fields(
    {"member": st.sampled_from("abc").map(lambda one: {"reference": f"PractitionerRole/{one}"})},
    {"role": some(concept(WORDS))},
)
PERIOD = fields(
    {}, {"start": st.sampled_from(["2025-01-01", "2025-02-01"]), "end": st.sampled_from(["2026-01-01", "2026-02-01"])}
)


def goals(id_: str) -> st.SearchStrategy[dict[str, Any]]:
    """A goal, sometimes in the person's own words."""
    return fields(
        {
            "resourceType": st.just("Goal"),
            "id": st.just(id_),
            "lifecycleStatus": STATES,
            "description": concept(WORDS),
        },
        {
            "startDate": st.sampled_from(["2025-01", "2025-02-01"]),
            "_startDate": st.just({"extension": [{"url": "https://x.example/about", "valueBoolean": True}]}),
            "startCodeableConcept": concept(WORDS),
            "expressedBy": st.just({"reference": "Patient/elin"}),
            "category": some(concept(WORDS)),
            "note": some(NOTE),
            "target": some(TARGET, key=lambda one: one["measure"]["text"]),
        },
    )


def teams(id_: str) -> st.SearchStrategy[dict[str, Any]]:
    """A team with members known by whom they refer to."""
    return fields(
        {"resourceType": st.just("CareTeam"), "id": st.just(id_)},
        {
            "name": WORDS,
            "period": PERIOD,
            "participant": some(MEMBER, key=lambda one: one["member"]["reference"]),
        },
    )


def plans(least: int = 0) -> st.SearchStrategy[Refs]:
    """Some of four resources."""
    every = [goals("g1"), goals("g2"), goals("g3"), teams("c1")]
    chosen = st.lists(st.sampled_from(range(4)), min_size=least, max_size=4, unique=True)
    return chosen.flatmap(lambda which: st.tuples(*(every[index] for index in which))).map(
        lambda found: {reference_of(resource): resource for resource in found}
    )


WHOLE = plans(least=4)
PARTIES = st.sampled_from([KOMMUN, REGION])


RULES = st.sampled_from(
    [Rules.default()]
    + [Rules.default().overridden({path: owner})
       for path in ("Goal", "Goal.description", "Goal.target", "CareTeam.participant")
       for owner in ("shared", "person", "lead", "member", "measurer")]
)  # fmt: skip


def merged(
    bases: list[Refs], ours: Refs, theirs: Refs, party: str = KOMMUN, rules: Rules | None = None, **how: Any
) -> Merged:
    """A merge into a plan in which the municipality leads and brought everything but g2; c is the region's member."""
    owners = Owners(
        KOMMUN,
        lambda reference: REGION if reference == "Goal/g2" else KOMMUN,
        names=lambda reference: REGION if reference.get("reference") == "PractitionerRole/c" else None,
        rules=rules or Rules.default(),
    )
    return merge(
        bases, ours, theirs, party=party, owners=owners, now=NOW, **({"partial": False, "hidden": frozenset()} | how)
    )


def as_sets(value: Any) -> Any:
    """The value with its lists in one order: the order of a list is nobody's edit."""
    if isinstance(value, dict):
        return {name: as_sets(child) for name, child in value.items()}
    if isinstance(value, list):
        return sorted((as_sets(child) for child in value), key=as_text)
    return value


@FEW
@given(base=plans(), ours=WHOLE, party=PARTIES)
def test_who_changes_nothing_changes_nothing(base: Refs, ours: Refs, party: str) -> None:
    result = merged([base], ours, base, party)
    assert (result.changed, result.removed, result.conflicts, result.kept) == ({}, [], [], [])


@FEW
@given(base=WHOLE, theirs=WHOLE)
def test_an_owner_who_is_alone_gets_what_it_says(base: Refs, theirs: Refs) -> None:
    """merge(b, b, t) = t, but that notes are only ever added and memberships end instead of vanishing."""
    owners = Owners(KOMMUN, lambda _reference: KOMMUN)
    wanted = {ref: with_what_stays(base[ref], resource) for ref, resource in theirs.items()}
    result = merge([base], base, wanted, party=KOMMUN, owners=owners, partial=False, now=NOW)
    assert as_sets(base | result.changed) == as_sets(wanted)
    assert result.conflicts == []


def with_what_stays(before: dict[str, Any], after: dict[str, Any]) -> dict[str, Any]:
    """`after` without the removals that a merge does not make."""
    known = {one["member"]["reference"] for one in after.get("participant", [])}
    stay = {
        "note": [one for one in before.get("note", []) if one not in after.get("note", [])],
        "participant": [one for one in before.get("participant", []) if one["member"]["reference"] not in known],
    }
    return after | {name: [*items, *after.get(name, [])] for name, items in stay.items() if items}


@FEW
@given(base=WHOLE, theirs=WHOLE, party=PARTIES, rules=RULES)
def test_whoever_is_alone_gets_the_values_it_says(base: Refs, theirs: Refs, party: str, rules: Rules) -> None:
    """merge(b, b, t) = t for everybody, but that contributions of others stay and nobody else reopens what ended."""
    live = base | merged([base], base, theirs, party, rules).changed
    for reference in (ref for ref in base if ref.startswith("Goal/")):
        wanted, got = dict(theirs[reference]), dict(live[reference])
        if base[reference]["lifecycleStatus"] == "cancelled":
            got.pop("lifecycleStatus"), wanted.pop("lifecycleStatus")
        for contributed in ("note", "target", "category"):  # by another rule these may be single contributions, too
            if contributed == "note" or rules != Rules.default():
                got.pop(contributed, None), wanted.pop(contributed, None)
        assert as_sets(got) == as_sets(wanted)


@FEW
@given(base=WHOLE, theirs=WHOLE, rules=RULES)
def test_what_went_is_under_a_tombstone_and_does_not_come_back_by_itself(
    base: Refs, theirs: Refs, rules: Rules
) -> None:
    result = merged([base], base, theirs, KOMMUN, rules)
    live = base | result.changed
    gone = {(ref, item) for ref in base for item in items_of(base[ref]) if item not in items_of(live[ref])}
    assert gone <= {(one.reference, as_text(one.removed)) for one in result.tombstones}
    late = live | merged([live], live, base, KOMMUN, rules, buried=lambda: result.tombstones).changed
    assert not [item for ref, item in gone if item in items_of(late[ref])]


def items_of(resource: dict[str, Any]) -> list[str]:
    """The items that are known by their content alone: whatever is not there any more was taken away."""
    return [as_text(item) for item in resource.get("category", [])]


@FEW
@given(bases=st.lists(WHOLE, min_size=1, max_size=2), ours=WHOLE, theirs=plans(), party=PARTIES, rules=RULES)
def test_merging_the_outcome_again_changes_nothing(
    bases: list[Refs], ours: Refs, theirs: Refs, party: str, rules: Rules
) -> None:
    live = ours | merged(bases, ours, theirs, party, rules).changed
    settled = merged([theirs], live, theirs, party, rules)
    assert (settled.changed, settled.conflicts) == ({}, [])
    assert merged(bases, live, theirs, party, rules).changed == {}


@FEW
@given(
    bases=st.lists(plans(), min_size=1, max_size=3),
    ours=WHOLE,
    theirs=plans(),
    party=PARTIES,
    how=st.sampled_from([{}, {"exact": True}, {"said_last": True}]),
    rules=RULES,
)
def test_every_word_of_the_sender_is_live_or_kept(
    bases: list[Refs], ours: Refs, theirs: Refs, party: str, how: dict[str, bool], rules: Rules
) -> None:
    result = merged(bases, ours, theirs, party, rules, **how)
    before = {word for base in bases for word in words_of(base)}
    edits = set(words_of(theirs)) - before
    assert edits <= set(words_of(ours | result.changed)) | set(words_beside(result))


@FEW
@given(bases=st.lists(plans(), min_size=1, max_size=2), ours=WHOLE, theirs=plans(), party=PARTIES, rules=RULES)
def test_every_word_that_others_said_is_live_or_kept(
    bases: list[Refs], ours: Refs, theirs: Refs, party: str, rules: Rules
) -> None:
    """What the sender has not seen it can replace, but not make unsaid; nor what it saw without leaving a trace."""
    result = merged(bases, ours, theirs, party, rules)
    gone = set(words_of(ours)) - set(words_of(ours | result.changed))
    unseen = gone - {word for base in bases for word in words_of(base)}
    assert unseen <= set(words_beside(result))
    dropped = {item for ref in ours for item in items_of(ours[ref])} - {
        item for one in (ours | result.changed).values() for item in items_of(one)
    }
    assert dropped <= {as_text(one.removed) for one in result.tombstones} | kept_items(result)


def kept_items(result: Merged) -> set[str]:
    """The items that are kept beside the plan, alone or in the list or resource that holds them."""
    values = [value for one in result.conflicts for value in (one.live, one.other) if isinstance(value, dict)]
    return {as_text(value) for value in values} | {item for value in values for item in items_of(value)}


@FEW
@given(base=WHOLE, theirs=WHOLE, party=PARTIES)
def test_what_the_sender_took_away_is_gone_or_shown(base: Refs, theirs: Refs, party: str) -> None:
    result = merged([base], base, theirs, party)
    still_there = (set(words_of(base)) - set(words_of(theirs))) & set(words_of(base | result.changed))
    ended = {reference for reference, path, _ in words_of(result.changed) if path == ".participant.period.end"}
    assert {reference for reference, _, _ in still_there} <= {one.reference for one in result.conflicts} | ended


Word = tuple[str, str, str]
"""A leaf of what is said: (reference, path without positions and keys, value as JSON)."""


def words_of(refs: Refs) -> Iterator[Word]:
    """Everything that is said, leaf by leaf."""
    for reference, resource in refs.items():
        yield from ((reference, path, value) for path, value in leaves(resource, ""))


def words_beside(result: Merged) -> Iterator[Word]:
    """Everything that is kept beside the plan, where it was said."""
    for conflict in result.conflicts:
        yield from words_at(conflict.reference, conflict.path, conflict.live)
        yield from words_at(conflict.reference, conflict.path, conflict.other)
    for kept in result.kept:
        yield from words_at(kept.reference, kept.path, kept.sent)


def words_at(reference: str, path: str, value: Any) -> Iterator[Word]:
    """The words of one element; start[x] is told as an object with the form's own name in it."""
    if value is None:
        return
    plain = re.sub(r"\[[^]]*\]", "", path)
    is_choice = (
        plain == "start" and isinstance(value, dict) and any(name.strip("_").startswith("start") for name in value)
    )
    holder = "" if is_choice or not plain else "." + {"start": "startDate"}.get(plain, plain)
    if plain == "start" and not is_choice and isinstance(value, dict):
        holder = ".startCodeableConcept"
    yield from ((reference, where, leaf) for where, leaf in leaves(value, holder))


def leaves(value: Any, path: str) -> Iterator[tuple[str, str]]:
    """Every value that is no object and no list, with its path."""
    if isinstance(value, dict):
        for name, child in value.items():
            yield from leaves(child, f"{path}.{name}")
    elif isinstance(value, list):
        for child in value:
            yield from leaves(child, path)
    else:
        yield path, json.dumps(value)


@FEW
@given(base=WHOLE, says=st.tuples(WHOLE, WHOLE, WHOLE), order=st.permutations(range(3)), rules=RULES)
def test_any_order_shows_the_same_words(
    base: Refs, says: tuple[Refs, Refs, Refs], order: list[int], rules: Rules
) -> None:
    """Whoever comes first, nobody's words are lost: {live, kept} holds the same, but for what stood there before."""
    told = list(zip(says, (KOMMUN, REGION, "klinik"), strict=True))
    one_way, other_way = shown(base, rules, *told), shown(base, rules, *(told[index] for index in order))
    before = set(words_of(base))
    assert one_way - before == other_way - before


def shown(base: Refs, rules: Rules, *says: tuple[Refs, str]) -> set[Word]:
    """The words that are live or in a conflict after each party in turn said its own, knowing only the base."""
    live, beside = dict(base), set()
    for theirs, party in says:
        result = merged([base], live, theirs, party, rules, partial=True)
        live |= result.changed
        beside |= set(words_beside(result))
    return {word for word in {*words_of(live), *beside} if NOW.strftime("%Y-%m-%dT") not in word[2]}


@FEW
@given(base=plans(), ours=WHOLE, theirs=WHOLE, party=PARTIES, hidden=st.sets(st.sampled_from(["Goal/g1", "Goal/g3"])))
def test_what_is_hidden_never_changes(base: Refs, ours: Refs, theirs: Refs, party: str, hidden: set[str]) -> None:
    seen = {reference: resource for reference, resource in base.items() if reference not in hidden}
    result = merged([seen], ours, theirs, party, hidden=hidden)
    assert not hidden & result.changed.keys()
    for conflict in (one for one in result.conflicts if one.reference in hidden):
        assert (conflict.kind, conflict.base, conflict.live) == ("quarantined", None, None)
        assert conflict.other == theirs[conflict.reference]
