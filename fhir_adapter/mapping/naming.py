"""What an item that came from FHIR is told by in the record: an id, a name, or its place."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.mapping.anchors import Anchor, key_in, own_identifier
from fhir_adapter.mapping.frames import Frame
from fhir_adapter.mapping.keys import Keys, plain_name
from fhir_adapter.mapping.model import Run
from fhir_adapter.mapping.scopes import Scope


def keys_of_those_left(scope: Scope, olds: Sequence[Frame], kept: list[Any], sent: list[Any], run: Run) -> Keys:
    """The keys of the items that are left in a list. One that stood behind an item that is no more keeps its key, as
    `id`: it would be told by another place or name now, and be another thing."""
    keys = Keys(scope.key, scope.adopts, run.knowledge.zone, kept)
    there = {id(item) for item in kept}
    for old in (one for one in olds if id(sent[one.place]) in there):
        key = keys.of(old.native, 0, run)
        if key != old.key and scope.numbered:
            keys.give_back(key)
            sent[old.place]["id"] = keys.of({"id": old.key}, 0, run)
    return keys


MORE_PLACES = 10
"""So many more places than items there are, or items of one name, are asked whether an item was told by them once."""


def new_key(scope: Scope, item: dict[str, Any], node: Resource, outer: Frame, run: Run, keys: Keys, count: int) -> str:
    """The key of an item that is new to the record: our own business id, its place now or once, or the id it was born
    with. `count`: so many items are there."""
    if scope.primary.element is not None:
        return ""
    own = own_identifier(node, run.source)
    if own is not None:
        item["id"] = key_in(own, scope.primary, outer.key, run)
        return str(item["id"])
    if scope.key is None:
        place = keys.placed()
        if node["id"] == _id_at(scope.primary, place, outer, run):
            return place
        keys.give_back(place)
        places = (f"#{number}" for number in range(1, count + MORE_PLACES))
        item["id"] = next((one for one in places if node["id"] == _id_at(scope.primary, one, outer, run)), node["id"])
        return keys.of(item, 0, run)
    return str(node["id"])


def _id_at(anchor: Anchor, key: str, outer: Frame, run: Run) -> str:
    """The id of the resource of an item with this key."""
    assert anchor.identify is not None
    named = Frame({}, "", key, outer.key, {}, {})
    return run.id_of(anchor.type or "", anchor.identify(run, named) or "")


def in_their_places(scope: Scope, news: list[Resource], outer: Frame, run: Run, known: Keys) -> list[Resource]:
    """New items that were told by their place, or by one name, stand as they stood, in whatever order they came."""
    if len(news) < 2 or scope.primary.identify is None:
        return news
    names = [_name_in(scope, node, outer, run) for node in news]
    keys = known.copy()
    told = [keys.placed() if name is None else keys.named(name) for name in names]
    ids = {_id_at(scope.primary, key, outer, run): place for place, key in enumerate(told)}
    ordered = list(news)
    for name in {name for name in names if names.count(name) > 1}:
        places = [place for place, other in enumerate(names) if other == name and news[place]["id"] in ids]
        stood = sorted(places, key=lambda place: ids[news[place]["id"]])
        for place, other in zip(places, stood, strict=True):
            ordered[place] = news[other]
    return ordered


def _name_in(scope: Scope, node: Resource, outer: Frame, run: Run) -> str | None:
    """What an item will have in its key field."""
    trial = Frame({}, "", "", outer.key, {**outer.nodes, scope.primary.name: node}, {})
    for field in scope.fields:
        if [native.text for native in field.natives] == [scope.key]:
            field.put(trial, run, None)
    return None if scope.key is None or trial.native.get(scope.key) is None else str(trial.native[scope.key])


def keep_the_key(scope: Scope, frame: Frame, before: Frame) -> None:
    """An item told by a field keeps what it was told by as `id` when that field changes: it is still the same."""
    field = str(scope.key)
    if scope.numbered and "id" not in frame.native and frame.native.get(field) != before.native.get(field):
        frame.native["id"] = frame.key


def name_new_item(scope: Scope, frame: Frame, run: Run) -> None:
    """An item told by a field gets an `id` too where that field alone would not lead back to its resource."""
    adopting = next((anchor for anchor in scope.anchors if anchor.adopt and anchor.name in frame.nodes), None)
    if adopting is None or adopting.identify is None:
        frame.keys.of(frame.native, 0, run)  # no id leads back to it, but it takes a place
        return
    node = frame.nodes[adopting.name]
    frame.parent_key = _key_around(scope.primary, frame, run)
    own = own_identifier(node, run.source)
    if own is not None:
        frame.native["id"] = key_in(own, adopting, frame.parent_key, run)
        frame.keys.seen.add(frame.native["id"])
        return
    identify = adopting.identify

    def is_it(key: str) -> bool:
        as_named = Frame(frame.native, "", key, frame.parent_key, {}, {})
        return bool(node["id"] == run.id_of(node["resourceType"], identify(run, as_named) or ""))

    named = frame.native.get(str(scope.key))
    key = frame.keys.placed() if named is None else frame.keys.named(str(named))
    if not is_it(key):
        frame.keys.give_back(key)
        name = "" if named is None else plain_name(str(named), run.knowledge.zone)
        former = (f"{name}#{number}" for number in range(1, MORE_PLACES))
        key = frame.native["id"] = next(filter(is_it, former), node["id"])
        frame.keys.seen.add(key)
    else:
        frame.keys.told[id(frame.native)] = key
    run.keys[reference_of(node)] = key


def _key_around(primary: Anchor, frame: Frame, run: Run) -> str:
    """The key of the item around, which may have got its name only after this item was found."""
    leads = [primary.reverse.parent] if primary.reverse is not None else [each.parent for each in primary.links]
    around = next((frame.nodes[name] for name in leads if name in frame.nodes), {})
    return run.keys.get(reference_of(around), frame.parent_key) if "id" in around else frame.parent_key
