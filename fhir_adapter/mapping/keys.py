"""Business keys: what tells an item from its neighbours in a list of the record."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_adapter.mapping.converters.times import instant_of
from fhir_adapter.mapping.model import Run, is_uuid
from fhir_adapter.mapping.words import composed


def is_place(key: str) -> bool:
    """Is it the key of an item that is told by its place alone?"""
    return key.startswith("#") and key[1:].isdecimal()


def plain_name(name: str, zone: str) -> str:
    """What the first item of a name is called: none is a place, and a time has its zone, as it comes back from FHIR.
    White space is one blank: the item may get it as its id, and no id has a line break in it."""
    name = instant_of(name, zone) or composed(" ".join(name.split()))
    return name if name and not name.startswith("#") else f"#{name}"


def is_named(key: str, name: str) -> bool:
    """Is it the key of an item of this name, the first or a later one?"""
    head, _, times = key.rpartition("#")
    return key == name or (head == name and times.isdecimal())


class Keys:
    """Business keys of the items of one list: `id`, else what is `known` of the items in their order because an
    earlier record had them, else the list's key field, else the place."""

    __slots__ = (
        "_adopts",
        "_field",
        "_is_known",
        "_items",
        "_known",
        "_path",
        "_placed",
        "_taken",
        "_zone",
        "seen",
        "told",
    )

    def __init__(
        self,
        field: str | None,
        adopts: str | None,
        zone: str,
        items: Sequence[dict[str, Any]],
        path: str = "",
        known: Sequence[str | None] = (),
    ) -> None:
        self._field = field
        self._known = iter(known)
        self._is_known = len(known) > 0
        self._items = items
        self._taken: frozenset[str] | None = None
        self._path = path
        self._adopts = adopts
        self._zone = zone
        self.seen: set[str] = set()
        self.told: dict[int, str] = {}
        """the new items, by their `id()` in Python, that were given no id, with the key that leads to them"""
        self._placed = 0

    def settle(self, run: Run) -> None:
        """An item without id whose place another one got as its id is read at another place: it gets its key as id."""
        while any(is_place(str(item.get("id"))) for item in self._items):
            again = Keys(self._field, self._adopts, self._zone, self._items)
            read = [(item, again.of(item, 0, run)) for item in self._items]
            moved = next((item for item, key in read if self.told.get(id(item), key) != key), None)
            if moved is None:
                return
            moved["id"] = self.told.pop(id(moved))

    def copy(self) -> Keys:
        """The same keys, for a trial."""
        other = Keys(self._field, self._adopts, self._zone, self._items)
        other.seen, other._placed = set(self.seen), self._placed
        return other

    def of(self, item: dict[str, Any], index: int, run: Run) -> str:
        """The key of `item`. The same id twice is an error: the two could not be told apart afterwards."""
        own, known = item.get("id"), next(self._known, None)
        if own is not None:
            own = str(own)
            if own in self.seen or own.startswith("#") or len(own) == 36:
                self._check(own, index, run)
            self.seen.add(own)
            return own
        if known is not None:
            self.seen.add(known)
            return known
        named = item.get(self._field) if self._field is not None else None
        return self.placed() if named is None else self.named(str(named))

    def own(self, item: dict[str, Any], key: str) -> str | None:
        """The id of an item that FHIR is told: none is a place, or a name with its number. Of one without id it is the
        key that its name did not give it: it had that as its id, and its sender keeps no ids of others."""
        has_id = item.get("id") is not None
        if not (has_id or self._is_known) or is_place(key):
            return None
        named = item.get(self._field) if self._field is not None else None
        if named is None or (has_id and "#" not in key):
            return key
        return None if is_named(key, plain_name(str(named), self._zone)) else key

    def give_back(self, key: str) -> None:
        """A key that was tried, and is not this item's."""
        if is_place(key):
            self._placed = int(key[1:]) - 1
        self.seen.discard(key)

    def placed(self) -> str:
        """The key of an item without id and name: its place among those of its kind, none of which has it as id."""
        if self._taken is None:
            self._taken = frozenset(str(item["id"]) for item in self._items if item.get("id") is not None)
        self._placed += 1
        while f"#{self._placed}" in self._taken:
            self._placed += 1
        return f"#{self._placed}"

    def named(self, name: str) -> str:
        """The key of an item that is told by a name: the second of the same name is `name#2`."""
        name = key = plain_name(name, self._zone)
        times = 1
        while key in self.seen:
            times += 1
            key = f"{name}#{times}"
        self.seen.add(key)
        return key

    def _check(self, own: str, index: int, run: Run) -> None:
        if own in self.seen:
            run.error(f"{self._path}[{index}].id", "duplicate", "this id is used by another item of the same list")
        if self._adopts is not None and is_uuid(own) and not run.is_first(f"{self._adopts}/{own}"):
            message = "this id is used in another list of the record: one id is one thing, wherever it stands"
            run.error(f"{self._path}[{index}].id", "duplicate", message)
        if is_place(own):  # it stood there once, behind items that are no more
            self._placed = max(self._placed, int(own[1:]))
