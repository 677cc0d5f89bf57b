"""Which items of two lists are the same one: key functions by name, coarse to fine, never by position."""

from __future__ import annotations

import hashlib
import re
import unicodedata
from collections import Counter
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime
from enum import Enum
from typing import Any, Final

from fhir_adapter.fhir.resources import dump_json

Key = tuple[Hashable, ...]

_POINTER = re.compile(r"[A-Za-z]+/[A-Za-z0-9.-]{1,64}|https?://\S+|urn:\S+")


class Nothing(Enum):
    """What stands where a version has no value."""

    MISSING = "the element is not there"
    ABSENT = "what would hold the element is not there, so nothing is said about it"


MISSING: Final = Nothing.MISSING
ABSENT: Final = Nothing.ABSENT


def content(value: Any) -> Hashable:
    """A hashable stand-in for a JSON value: equal values have equal ones, whatever the order of their fields and
    whether letters are composed or decomposed (NFC, NFD)."""
    if isinstance(value, dict):
        return frozenset((name, content(child)) for name, child in value.items())
    if isinstance(value, list):
        return tuple(content(child) for child in value)
    if isinstance(value, str) and not value.isascii():
        return unicodedata.normalize("NFC", value)
    scalar: Hashable = value
    return scalar


def _reference(value: Any) -> Hashable:
    """What a Reference points to: literally, else by identifier, else by its words."""
    if not isinstance(value, dict):
        return content(value)
    return value.get("reference") or content(value.get("identifier")) or value.get("display")


def _note(note: dict[str, Any]) -> Hashable:
    """Author, time and words of an Annotation; the same instant in another zone and NFD letters are the same note."""
    author = _reference(note.get("authorReference")) or note.get("authorString")
    words = unicodedata.normalize("NFC", str(note.get("text", ""))).strip()
    return author, _instant(note.get("time")), words


def _instant(text: Any) -> Hashable:
    try:
        return datetime.fromisoformat(text).timestamp() if "T" in text else text
    except (TypeError, ValueError):
        return content(text)


def _activity(activity: dict[str, Any]) -> Hashable:
    """What it points to, else its element id, else what its detail is about, whatever became of that."""
    detail = activity.get("detail") or {}
    about = content({name: detail[name] for name in ("kind", "code", "description") if name in detail})
    return _reference(activity.get("reference")) or activity.get("id") or about or None


def _measure(target: dict[str, Any]) -> Hashable:
    return "measure", content(target.get("measure"))


KEYS: dict[str, Callable[[dict[str, Any]], Hashable]] = {
    "reference": _reference,
    "url": lambda item: item.get("url"),
    "id": lambda item: item.get("id"),
    "system": lambda item: item.get("system"),
    "identifier": lambda item: (item.get("system"), item.get("value")),
    "coding": lambda item: (item.get("system"), item.get("code")),
    "use": lambda item: (item.get("use"), item.get("type")),
    "telecom": lambda item: (item.get("system"), item.get("use")),
    "note": _note,
    "activity": _activity,
    "member": lambda item: _reference(item.get("member")),
    "member and role": lambda item: (_reference(item.get("member")), content(item.get("role"))),
    "actor": lambda item: _reference(item.get("actor") or item.get("reference")),
    "individual": lambda item: _reference(item.get("individual")),
    "measure": _measure,
    "measure and due": lambda item: (_measure(item), item.get("dueDate"), content(item.get("dueDuration"))),
    "type": lambda item: content(item.get("type")),
    "code": lambda item: content(item.get("code")),
    "the only one": lambda item: "the only one",
    "relationship": lambda item: content(item.get("relationship")),
}
"""Every key that a rule may name. Behind the last one stands the item's content."""


def assign_keys(names: Sequence[str], versions: Sequence[Sequence[Any]], bases: int) -> list[list[Key]]:
    """A key for every item of every version of a list: items with one key are versions of one thing.

    `versions` are the bases (the first `bases` of them), ours and theirs. A key holds where it names at most one item
    in every version; where the key has finer ones, it also must name one that was there before, because two new
    items may share a coarse key. Otherwise the next finer key decides, at last the content. Equal items of one
    version are told apart by counting them.
    """
    keys: list[list[Key]] = [[()] * len(version) for version in versions]
    names = names or _keys_of_unlisted(versions)
    for level, name in enumerate(names):
        found = [_keys_of(KEYS[name], version, keys[index]) for index, version in enumerate(versions)]
        holding = _keys_that_hold(found, bases, is_last=level == len(names) - 1)
        for index, places in enumerate(found):
            for place, key in places.items():
                if key in holding:
                    keys[index][place] = (name, key)
    for index, version in enumerate(versions):
        _assign_content_keys(version, keys[index])
    return keys


def _keys_of_unlisted(versions: Iterable[Sequence[Any]]) -> Sequence[str]:
    """Lists without a rule are sets of values; only References are known by what they point to."""
    items = [item for version in versions for item in version]
    return ("reference",) if items and all(isinstance(item, dict) and "reference" in item for item in items) else ()


def _keys_of(
    key_of: Callable[[dict[str, Any]], Hashable], version: Sequence[Any], assigned: Sequence[Key]
) -> dict[int, Hashable]:
    """The keys of the items that have none yet, by their place."""
    return {place: key_of(item) for place, item in enumerate(version) if not assigned[place] and isinstance(item, dict)}


def _keys_that_hold(found: Sequence[dict[int, Hashable]], bases: int, *, is_last: bool) -> set[Hashable]:
    counts = [Counter(places.values()) for places in found]
    known = {key for places in found[:bases] for key in places.values()}
    every = {key for places in found for key in places.values() if key is not None}
    return {key for key in every if all(count[key] <= 1 for count in counts) and (is_last or key in known)}


def _assign_content_keys(version: Sequence[Any], assigned: list[Key]) -> None:
    seen: Counter[Hashable] = Counter()
    for place, item in enumerate(version):
        if not assigned[place]:
            value = content(item)
            seen[value] += 1
            assigned[place] = ("content", value, seen[value])


def with_replacements_paired(keys: list[list[Key]], *, prefer_theirs: bool) -> list[list[Key]]:
    """The keys, in which items that both sides put in the place of the same earlier one are versions of that one.

    Of a list of values (a category, who is to do it) each side took away the same item and set another: two values
    where one can be. All get the key of the one that is preferred, so that the path leads to what will be live.
    """
    *bases, ours, theirs = keys
    before = dict.fromkeys(key for base in reversed(bases) for key in base)
    gone = [key for key in before if key not in ours and key not in theirs]
    new_here = [key for key in ours if key not in before and key not in theirs]
    new_there = [key for key in theirs if key not in before and key not in ours]
    names: dict[Key, Key] = {}
    for old, here, there in zip(gone, new_here, new_there, strict=False):
        names |= dict.fromkeys((old, here, there), there if prefer_theirs else here)
    return [[names.get(key, key) for key in version] for version in keys] if names else keys


def label(key: Key) -> str:
    """The key as a short word in a path: a literal reference or URL as it is, anything else as a hash.

    A path is logged and sent around, so it must not carry a person's words.
    """
    value = key[1]
    return value if isinstance(value, str) and _POINTER.fullmatch(value) else fingerprint(value)


def fingerprint(value: Any) -> str:
    """Eight hex digits that stay the same for the same value, on every machine."""
    return hashlib.sha256(_canonical(value)).hexdigest()[:8]


def _canonical(value: Any) -> bytes:
    if isinstance(value, frozenset):
        return b"{" + b",".join(sorted(_canonical(child) for child in value)) + b"}"
    if isinstance(value, tuple):
        return b"[" + b",".join(_canonical(child) for child in value) + b"]"
    return dump_json(value)
