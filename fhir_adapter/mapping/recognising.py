"""The names of items that do not tell their own: an item without id is called as it was in the record that came before.

A name, once given, is the item's own for good (its resources' ids are made of it). With nothing said before it is the
item's place, or what its list's key field says. Which item is which: likeness.py.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from itertools import chain, count
from types import MappingProxyType
from typing import Any, NamedTuple

from fhir_adapter.fhir.resources import dump_json, parse_json
from fhir_adapter.mapping.frames import Frame
from fhir_adapter.mapping.keys import Keys, is_place, plain_name
from fhir_adapter.mapping.likeness import Item, mark, recognised
from fhir_adapter.mapping.model import Run
from fhir_adapter.mapping.scopes import Scope

MOST_GONE = 100
"""Items of a list that are remembered although they are no more."""


@dataclass(frozen=True, slots=True)
class Named:
    """The items of one list. `keys`: in their order, none where all are called by their places and names; `gone`: the
    key of what was there once -> the mark of what it said: if the same comes again, it is the same."""

    keys: Sequence[str | None] = ()
    gone: Mapping[str, str] = field(default_factory=dict)


Names = Mapping[str, Named]
"""by the list's path in the record: `maal[0].delmaal`"""

NO_NAMES: Names = MappingProxyType({})


def named_lists(root: Scope, record: dict[str, Any], names: Names) -> list[tuple[Any, Named]]:
    """The lists of a record whose items' names are known."""
    return [(items, names[path]) for path, items in _lists(root, record, "") if path in names] if names else []


def names_again(root: Scope, record: dict[str, Any], lists: Sequence[tuple[Any, Named]]) -> Names:
    """The names in the record after others wrote in it. In a list that they made anew each item tells its own."""
    known = {id(items): named for items, named in lists}
    return {path: known[id(items)] for path, items in _lists(root, record, "") if id(items) in known} if lists else {}


def _lists(scope: Scope, item: dict[str, Any], path: str) -> Iterator[tuple[str, Any]]:
    for inner in scope.naming:
        yield path + inner.label, inner.native.read(item)
        for place, one in _items(inner, item) if inner.naming else ():
            yield from _lists(inner, one, f"{path}{inner.native.text}[{place}].")


def names_in_words(names: Names, mark: str | None) -> str:
    """The names in a record of this mark, as JSON text."""
    lists = {path: {"keys": list(named.keys), "gone": dict(named.gone)} for path, named in names.items()}
    return dump_json({"mark": mark, "lists": lists}).decode()


def are_names_of(text: str, mark: str | None) -> bool:
    """Are these the names in a record of this mark?"""
    return bool(parse_json(text.encode())["mark"] == mark)


def names_of(text: str | None) -> Names:
    """The names that such a text holds; none where there is no text."""
    return {path: Named(**named) for path, named in parse_json(text.encode())["lists"].items()} if text else {}


class Earlier(NamedTuple):
    """A record as its sender said it, or was shown it, and the names in it."""

    record: dict[str, Any]
    names: Names = NO_NAMES


def keys_in(names: Names) -> dict[str, Sequence[str | None]]:
    """The keys that are not told by places and names, by the list's path."""
    return {path: named.keys for path, named in names.items() if named.keys}


def mark_of(root: Scope, record: dict[str, Any]) -> str | None:
    """The same for all records in which the items that do not tell themselves which they are say the same at the same
    places; None where there is none, in no list."""
    said = list(_untold(root, record, "", None))
    return mark(said) if said else None


def _untold(scope: Scope, item: dict[str, Any], path: str, around: Any) -> Iterator[Any]:
    """The lists in an item, and inside those, in which an item has neither an id nor a name of its own."""
    for inner in scope.naming:
        items = _items(inner, item)
        names = [one.get(str(inner.key)) for _, one in items if not str(one.get("id") or "").strip()]
        if None in names or len(set(map(str, names))) < len(names):
            yield [path + inner.label, around, [one for _, one in items]]
        for place, one in items if inner.naming else ():
            yield from _untold(inner, one, f"{path}{inner.native.text}[{place}].", one.get("id"))


def names_in(root: Scope, record: dict[str, Any], earlier: Sequence[Earlier], run: Run, held: Container[str]) -> Names:
    """The names in a record, where those before it are known, first the one that it was made from. No new one is that
    of a resource among the references `held`."""
    naming = _Naming(run, held, {})
    before = [_Spot(one.record, "", one.names) for one in earlier]
    naming.inside(root, _Spot(record, "", {}), run.record_id, before)
    return naming.names


@dataclass(frozen=True, slots=True)
class _Spot:
    """An item (or the record), where it is, and the names in its record."""

    item: dict[str, Any]
    path: str
    names: Names

    def named(self, scope: Scope) -> Named:
        """The names in one of its lists."""
        return self.names.get(self.path + scope.label, Named())

    def inside(self, scope: Scope, item: dict[str, Any], place: int) -> _Spot:
        """An item of that list."""
        return _Spot(item, f"{self.path}{scope.native.text}[{place}].", self.names)


@dataclass(frozen=True, slots=True)
class _Naming:
    run: Run
    held: Container[str]
    names: dict[str, Named]

    def inside(self, scope: Scope, here: _Spot, key: str, before: Sequence[_Spot]) -> None:
        """Names the items of the lists in an item of this key, and of those inside them."""
        for inner in scope.naming:
            was = [self._keyed(inner, spot) for spot in before]
            now = self._named(inner, here, key, before, was)
            for item in now if inner.naming else ():
                around = [
                    spot.inside(inner, old.content, old.place)
                    for spot, olds in zip(before, was, strict=True)
                    for old in olds
                    if old.key == item.key
                ]
                self.inside(inner, here.inside(inner, item.content, item.place), str(item.key), around)

    def _keyed(self, scope: Scope, spot: _Spot) -> list[Item]:
        """The items of a list as they are called in their record."""
        items, zone = _items(scope, spot.item), self.run.knowledge.zone
        keys = Keys(scope.key, None, zone, [one for _, one in items], known=spot.named(scope).keys)
        return [Item(one, place, _name(scope, one, zone), keys.of(one, place, self.run)) for place, one in items]

    def _named(
        self, scope: Scope, here: _Spot, around: str, before: Sequence[_Spot], was: Sequence[Sequence[Item]]
    ) -> list[Item]:
        """The items of a list as they are called, where it is known what they were called before."""
        plain = self._keyed(scope, here)
        past = {key: mark for spot in before for key, mark in spot.named(scope).gone.items()}
        sought = [replace(item, key=item.key if _is_told(item, plain, was) else None) for item in plain]
        keys = recognised(sought, was, past)
        taken = {*past, *(item.key for item in chain(*was)), *keys}
        for index, item in enumerate(plain):
            if keys[index] is None:
                keys[index] = self._new_key(scope, item, around, taken)
                taken.add(keys[index])
        left = {str(old.key): old.mark for old in reversed([*chain(*was)]) if old.is_nameless}
        gone = {key: mark for key, mark in {**past, **left}.items() if key not in keys}
        is_plain = keys == [item.key for item in plain]
        if gone or not is_plain:
            remembered = dict(list(gone.items())[-MOST_GONE:])
            self.names[here.path + scope.label] = Named(() if is_plain else keys, remembered)
        return [replace(item, key=key) for item, key in zip(plain, keys, strict=True)]

    def _new_key(self, scope: Scope, item: Item, around: str, taken: Collection[str | None]) -> str:
        """The key of an item that was not there before: one that nothing has, or had."""
        if item.is_nameless:
            numbers = count(1 + max((int(key[1:]) for key in taken if key is not None and is_place(key)), default=0))
            others = (f"#{number}" for number in numbers)
        else:
            others = (f"{item.name}#{times}" for times in count(2))
        free = (key for key in chain([str(item.key)], others) if key not in taken)
        return next(key for key in free if item.name is not None or not self._is_held(scope, key, around))

    def _is_held(self, scope: Scope, key: str, around: str) -> bool:
        """Is there a resource already that an item of this key would become?"""
        frame = Frame({}, "", key, around, {}, {})
        made = ((one.type, one.identify(self.run, frame)) for one in scope.anchors if one.identify is not None)
        return any(f"{type_}/{self.run.id_of(str(type_), words)}" in self.held for type_, words in made if words)


def _is_told(item: Item, plain: Sequence[Item], was: Sequence[Sequence[Item]]) -> bool:
    """Does an item's own id tell which it is, or its name, which no other has or had?"""
    if item.has_id or item.name is None:
        return item.has_id
    here = [other for other in plain if other.name == item.name and not other.has_id]
    return len(here) == 1 and all(old.key == item.key for old in chain(*was) if old.name == item.name)


def _name(scope: Scope, item: dict[str, Any], zone: str) -> str | None:
    """What the key field of its list says of an item."""
    named = item.get(scope.key) if scope.key is not None else None
    return None if named is None else plain_name(str(named), zone)


def _items(scope: Scope, item: dict[str, Any]) -> list[tuple[int, dict[str, Any]]]:
    """The items of a list with their places."""
    items = scope.native.read(item)
    found = enumerate(items if isinstance(items, list) else ())
    return [(place, one) for place, one in found if isinstance(one, dict) and (scope.where is None or scope.where(one))]
