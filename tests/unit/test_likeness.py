"""Which items of a list are those of an earlier one, where none has an id."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from random import Random
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_adapter.mapping.likeness import Item, recognised

A, B, C = (
    {"text": text, "from": day} for text, day in (("walks", "2025-01"), ("a home", "2025-02"), ("work", "2025-03"))
)
NEW = {"text": "sleep", "from": "2025-04"}


def listed(items: Sequence[Mapping[str, Any]], keys: Sequence[str | None] = ()) -> list[Item]:
    known = [*keys, *[None] * len(items)]
    return [Item(dict(item), place, None, known[place]) for place, item in enumerate(items)]


def keys_after(now: Sequence[Mapping[str, Any]], *before: Sequence[Mapping[str, Any]]) -> list[str | None]:
    """What they are called, where the items before them were a, b, c and so on."""
    return recognised(listed(now), [listed(each, "abcdefgh") for each in before], {})


@pytest.mark.parametrize(
    ("now", "keys"),
    [
        ([B, C], "bc"),
        ([NEW, A, B, C], "-abc"),
        ([C, A, B], "cab"),
        ([A, B | {"text": "a house"}, C], "abc"),  # in its place, and half of it
        ([A, B | {"from": "2026"}, C], "abc"),
        ([A, {"text": "a house"}, C], "abc"),
        ([A, NEW, C], "a-c"),  # nothing left of two fields
        ([B | {"from": "2026"}, C], "bc"),  # edited, and what stood before it is no more
        ([C, B | {"from": "2026"}, A], "cba"),
        ([C, {"text": "shelter", "from": "2025-02"}], "c-"),  # moved and mostly rewritten
        ([A, B | {"from": "2026"}, NEW, C], "ab-c"),
        ([A, B, {"text": "work", "from": "2026"}, NEW], "ab--"),  # half of it, and there is another
        ([A, A, B, C], "a-bc"),
        ([B | {"from": "2026"}, B | {"from": "2027"}], "--"),  # as like one as the other
        ([], ""),
    ],
    ids=str,
)  # fmt: skip
def test_who_is_who(now: list[dict[str, Any]], keys: str) -> None:
    assert keys_after(now, [A, B, C]) == [None if key == "-" else key for key in keys]


@pytest.mark.parametrize(
    ("before", "now", "keys"),
    [
        ([A, A, B], [A, B], "ac"),
        ([A, B, A], [B, A], "bc"),
        ([A, B, A], [A, B], "ab"),
        ([B, A, A], [A, A], "bc"),
        ([A, A], [A | {"from": "2026"}, A], "ab"),
        ([A, A], [A, A | {"from": "2026"}], "ab"),
        ([A, A], [B, A, A], "-ab"),
    ],
    ids=str,
)
def test_of_those_that_read_the_same_each_stays_among_its_neighbours(
    before: list[dict[str, Any]], now: list[dict[str, Any]], keys: str
) -> None:
    assert keys_after(now, before) == [None if key == "-" else key for key in keys]


def test_what_another_added_is_found_by_its_words_and_never_by_its_place() -> None:
    shown = [A, B, C]
    assert keys_after([A, C, B], [A], shown) == ["a", "c", "b"]
    assert keys_after([A, {"text": "a house"}], [A], [A, B]) == ["a", None]


def test_what_was_there_once_is_known_when_it_comes_again() -> None:
    (gone,) = listed([B])
    items = listed([B, A, B])
    assert recognised(items, [listed([A], "a")], {"b": gone.mark}) == ["b", "a", None]


def test_who_has_no_id_had_none_before() -> None:
    before = [Item(A | {"id": "7"}, 0, None, "7"), Item(A, 1, None, "#1")]
    assert recognised(listed([A]), [before], {}) == ["#1"]
    assert recognised(listed([A]), [before[:1]], {}) == ["7"]


def test_neither_a_name_nor_an_id_is_overlooked() -> None:
    before = [Item(A, 0, "Kim", "Kim"), Item(A | {"id": "7"}, 1, None, "7")]
    now = [Item(A | {"from": "2026"}, 0, "Lo", None), Item(A | {"id": "7"}, 1, None, "7"), Item(A, 2, "Kim", None)]
    assert recognised(now, [before], {}) == [None, "7", "Kim"]


ITEMS = st.lists(st.fixed_dictionaries({"text": st.sampled_from("uvwxyz")}, optional={"from": st.integers(1, 3)}))


@given(ITEMS, st.randoms())
def test_in_any_order_and_with_any_left_out_what_reads_the_same_stays(
    items: list[dict[str, Any]], random: Random
) -> None:
    names = [str(place) for place in range(len(items))]
    kept = random.sample(range(len(items)), random.randint(0, len(items)))
    found = recognised(listed([items[place] for place in kept]), [listed(items, names)], {})
    assert len(set(found)) == len(kept)
    assert [items[int(str(key))] for key in found] == [items[place] for place in kept]
    assert recognised(listed(items), [listed(items, names)], {}) == names


@given(ITEMS, ITEMS)
def test_no_key_is_given_twice_or_made_up(before: list[dict[str, Any]], now: list[dict[str, Any]]) -> None:
    names = [str(place) for place in range(len(before))]
    found = [key for key in recognised(listed(now), [listed(before, names)], {}) if key is not None]
    assert len(set(found)) == len(found)
    assert set(found) <= set(names)
