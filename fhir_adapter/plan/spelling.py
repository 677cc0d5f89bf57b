"""What a party was shown, and the same as its own format says it: which items of the two are one.

A format that has no place for what tells an item apart tells it as another one: a member whom a region knows as a
Practitioner is one with a role of its own in a municipality's list, a telephone number loses its use. In a merge both
must be one item, or the party that gives back what it was shown adds a second one, and what it takes away stays.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from fhir_adapter.fhir.resources import Resource, references_in
from fhir_adapter.plan.keys import MISSING, Key

Refs = Mapping[str, Resource]


def with_own_spellings(
    keys: list[list[Key]], versions: Sequence[Sequence[Any]], own: Refs, theirs: Refs
) -> list[list[Key]]:
    """The keys, in which an item as the format says it has the key of the item that was shown.

    The last four of `keys` and `versions` are those of what was shown, of that in the party's own words, of ours and of
    theirs; `own` and `theirs` are the whole of the party's own words and of what it says now. An item that points to
    something of which it says something else now stays another one, so that this is not lost.
    """
    shown, told = (
        dict(zip(names, items, strict=True)) for names, items in zip(keys[-4:-2], versions[-4:-2], strict=True)
    )
    only_shown = {key: item for key, item in shown.items() if key not in told}
    only_told = {key: item for key, item in told.items() if key not in shown and key not in keys[-2]}
    if not only_shown or not only_told:
        return keys
    found = {
        key: [other for other, wider in only_shown.items() if shared(item, wider)]
        for key, item in only_told.items()
        if _says_the_same_still(item, own, theirs)
    }
    claimed = [other for others in found.values() for other in others]
    names = {key: others[0] for key, others in found.items() if len(others) == 1 and claimed.count(others[0]) == 1}
    names = {key: other for key, other in names.items() if not any(key in one and other in one for one in keys)}
    return [[names.get(key, key) for key in version] for version in keys] if names else keys


def shared(told: Any, shown: Any) -> int:
    """How many values two items have in common; 0 where `told` says something that `shown` does not. Where a pointer
    leads is no part of it, only its words are."""
    counts = _counts(told, shown)
    return 0 if MISSING in counts else sum(count for count in counts if count is not MISSING)


def _counts(told: Any, shown: Any) -> list[Any]:
    if isinstance(told, dict):
        if not isinstance(shown, dict):
            return [MISSING]
        names = {"display"} & told.keys() & shown.keys() if "reference" in told else told.keys()
        return [count for name in names for count in _counts(told[name], shown.get(name, MISSING))]
    if isinstance(told, list):
        others = shown if isinstance(shown, list) else []
        return [max((shared(one, other) for other in others), default=0) or MISSING for one in told]
    return [1 if told == shown else MISSING]


def _says_the_same_still(item: Any, own: Refs, theirs: Refs) -> bool:
    """Whether what the item points to is as it was shown, in the party's own words, or is not said any more."""
    waiting, seen = [item], set[str]()
    while waiting:
        for _, pointer in references_in(waiting.pop()):
            name = str(pointer.get("reference"))
            if name in seen or name not in own:
                continue
            if theirs.get(name, own[name]) != own[name]:
                return False
            seen.add(name)
            waiting.append(own[name])
    return True
