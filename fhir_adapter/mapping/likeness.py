"""Which items of a list are those of an earlier one, where no id says so: by what they say and where they stand.

What reads the same is the same. What still says more than half of what told it from its neighbours is the same, edited.
What stands between the same two neighbours is the same, edited, unless nothing of what told it is left. Anything else
is another thing: taken for one that it is not, it would show there what somebody wrote about that one.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import SequenceMatcher
from functools import cached_property
from hashlib import sha256
from itertools import chain, groupby
from typing import Any

from fhir_adapter.fhir.resources import dump_json

MOST_IN_ORDER = 200
"""Items that are looked through for the order in which they stood; of more, those that read the same stay in theirs."""


@dataclass(frozen=True)
class Item:
    """One item of a list, and where it stands. `name`: what it is told by, in a list whose items have names; `key`:
    what it is called, None while nobody knows."""

    content: dict[str, Any]
    place: int
    name: str | None
    key: str | None

    @property
    def has_id(self) -> bool:
        """Does it tell itself which it is?"""
        return self.content.get("id") is not None

    @property
    def is_nameless(self) -> bool:
        """Does nothing but its content and its place tell which it is?"""
        return self.name is None and not self.has_id

    @cached_property
    def mark(self) -> str:
        """The same for all that read the same, whatever their id."""
        return mark(_in_order({name: value for name, value in self.content.items() if name != "id"}))

    @cached_property
    def words(self) -> frozenset[str]:
        """Each word with the field that it stands in."""
        return frozenset(chain.from_iterable(self.fields))

    @cached_property
    def fields(self) -> tuple[tuple[str, ...], ...]:
        """The words of each field that says something."""
        return tuple(words for path, value in _leaves(self.content) if (words := _words(path, value)))


def recognised(items: Sequence[Item], earlier: Sequence[Sequence[Item]], gone: Mapping[str, str]) -> list[str | None]:
    """The key of each item: its own, or that of the item in one of the `earlier` lists which it is; else None.

    Of the earlier lists, which are forms of one, the first says more than those behind it, and alone tells places: what
    another added is not what the sender adds. `gone`: the marks of what was there before them, by key.
    """
    found = [item.key for item in items]
    for may_have_id in (False, True):  # who has no id had none before, if there is such a one
        for olds in earlier if None in found else ():
            known = set(found)
            _find_equal(items, [old for old in olds if may_have_id or not old.has_id or old.key in known], found)
    for place, item in enumerate(items):
        if found[place] is None:
            found[place] = next((key for key, mark in gone.items() if mark == item.mark and key not in found), None)
    for olds in earlier if None in found else ():
        _find_alike(items, olds, found)
    for olds in earlier[:1] if None in found else ():
        _find_in_place(items, olds, found)
    return found


def _left(olds: Sequence[Item], found: Sequence[str | None]) -> list[Item]:
    """The items that nobody is yet."""
    known = set(found)
    return [old for old in olds if old.key not in known]


# ---- what reads the same


def _find_equal(items: Sequence[Item], olds: Sequence[Item], found: list[str | None]) -> None:
    """Of several that read the same each stays the one that it was among its neighbours."""
    known = set(found)
    then = [("", old.key) if old.key in known else (old.mark, None) for old in olds]
    now = [(item.mark, None) if key is None else ("", key) for item, key in zip(items, found, strict=True)]
    for old, place in _in_common(then, now):
        found[place] = found[place] or olds[old].key
    left: dict[str, list[Item]] = {}
    for item in _left(olds, found):
        left.setdefault(item.mark, []).append(item)
    for place, item in enumerate(items):
        if found[place] is None and left.get(item.mark):
            found[place] = left[item.mark].pop(0).key


def _in_common(then: Sequence[Any], now: Sequence[Any]) -> Iterator[tuple[int, int]]:
    """Places of what stands in both lists in the same order; their beginnings and ends come first."""
    shorter = min(len(then), len(now))
    head = next((place for place in range(shorter) if then[place] != now[place]), shorter)
    rest = shorter - head
    tail = next((place for place in range(rest) if then[-1 - place] != now[-1 - place]), rest)
    yield from ((place, place) for place in range(head))
    yield from ((len(then) - place, len(now) - place) for place in range(1, tail + 1))
    was, here = then[head : len(then) - tail], now[head : len(now) - tail]
    if len(was) + len(here) <= MOST_IN_ORDER:
        for a, b, size in SequenceMatcher(None, was, here, autojunk=False).get_matching_blocks():
            yield from ((head + a + place, head + b + place) for place in range(size))


# ---- what is edited


def _find_alike(items: Sequence[Item], olds: Sequence[Item], found: list[str | None]) -> None:
    """Each item that no other is as like, and that is as like no other."""
    telling = _telling(olds)
    sizes = {(old.key, old.name): len(telling(old)) for old in _left(olds, found)}
    owner = {word: (old.key, old.name) for old in _left(olds, found) for word in telling(old)}
    scores: list[tuple[str | None, int, float]] = []
    for place, item in enumerate(items):
        if found[place] is None:
            kept = Counter(owner[word] for word in item.words if word in owner)
            likely = ((old, count / sizes[old]) for old, count in kept.items() if old[1] == item.name)
            scores += ((key, place, share) for (key, _), share in likely if share > 0.5)
    rivals: defaultdict[str | int | None, list[float]] = defaultdict(list)
    for key, place, share in scores:
        rivals[key].append(share)
        rivals[place].append(share)
    for key, place, share in scores:
        if all(max(others) == share and others.count(share) == 1 for others in (rivals[key], rivals[place])):
            found[place] = key


def _find_in_place(items: Sequence[Item], olds: Sequence[Item], found: list[str | None]) -> None:
    """As many as there were between two that are known."""
    telling = _telling(olds)
    known = set(found)
    now = {(before, behind): places for before, places, behind in _gaps(found)}
    for before, places, behind in _gaps([old.key if old.key in known else None for old in olds]):
        here = now.get((before, behind), ())
        for old, place in zip(places, here, strict=True) if len(places) == len(here) else ():
            if olds[old].name == items[place].name and not _is_replaced(olds[old], items[place], telling(olds[old])):
                found[place] = olds[old].key


def _is_replaced(old: Item, item: Item, telling: frozenset[str]) -> bool:
    """Is nothing left of the two or more fields that told it from its neighbours? One alone may have been reworded."""
    fields = sum(1 for field in old.fields if not telling.isdisjoint(field))
    return fields > 1 and telling.isdisjoint(item.words)


def _gaps(keys: Sequence[str | None]) -> Iterator[tuple[str | None, list[int], str | None]]:
    """The places of items whose key is not known, with the known keys around them (None: the list begins or ends)."""
    before: str | None = None
    for is_known, group in groupby(enumerate(keys), lambda one: one[1] is not None):
        places = [place for place, _ in group]
        if is_known:
            before = keys[places[-1]]
        else:
            behind = places[-1] + 1
            yield before, places, keys[behind] if behind < len(keys) else None


def _telling(olds: Sequence[Item]) -> Callable[[Item], frozenset[str]]:
    """What an item says and none of its neighbours."""
    count = Counter(chain.from_iterable(old.words for old in olds))
    return lambda old: frozenset(word for word in old.words if count[word] == 1)


# ---- what an item says


def mark(value: Any) -> str:
    """The same for the same JSON, fields in the same order."""
    return sha256(dump_json(value)).hexdigest()[:16]


def _in_order(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _in_order(value[name]) for name in sorted(value)}
    return [_in_order(child) for child in value] if isinstance(value, list) else value


def _leaves(value: Any, path: str = "") -> Iterator[tuple[str, Any]]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _leaves(child, f"{path}.{name}") if path or name != "id" else ()
    elif isinstance(value, list):
        for child in value:
            yield from _leaves(child, path)
    elif value is not None:
        yield path, value


def _words(path: str, value: Any) -> tuple[str, ...]:
    return tuple(f"{path}={word.strip('.,;:!?()')}" for word in str(value).casefold().split())
