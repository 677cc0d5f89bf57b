"""What a system does to lists whose items it gives no ids or names: left out, put in, in another order, said twice."""

from __future__ import annotations

from random import Random
from typing import Any

from fhir_adapter.mapping.engine import copied
from tests.laws.places import NOTHING, Place, Record, at, path_of, places_in
from tests.laws.records import Records


def moved(records: Records, record: Record, random: Random) -> Record | None:
    """The record after up to three such changes; None where there is no such list, or the mapping does not take it."""
    scopes = [scope for each in records.mapping.scopes() for scope in each.naming if scope.key is None]
    lists = {scope.name.removesuffix("[]") for scope in scopes}
    unique = {path.rpartition("[].")[0] for path in records.pools.unique}  # their items have a public number
    places = [
        place for place in places_in(record) if path_of(place) in lists - unique and _has_no_ids(at(record, place))
    ]
    if not places:
        return None
    after = copied(record)
    for _ in range(random.choice([1, 2, 3])):
        _move(records, after, random.choice(places), random)
    return None if records.pools.faults(after) else after


def _has_no_ids(items: Any) -> bool:
    return isinstance(items, list) and not any(isinstance(item, dict) and "id" in item for item in items)


def _move(records: Records, record: Record, place: Place, random: Random) -> None:
    try:
        items, path = at(record, place), f"{path_of(place)}[]"
    except (LookupError, TypeError):
        return  # what it was in was left out
    kind = random.choice(["out", "in", "in", "order", "twice"])
    if kind == "order":
        random.shuffle(items)
    elif kind == "in":
        made = records.value(records.pools.node_at(path), path, random, set())
        if made is not NOTHING:
            items.insert(random.randint(0, len(items)), without_id(made))
    elif kind == "twice" and items:
        items.insert(random.randint(0, len(items)), copied(random.choice(items)))
    elif len(items) > 1:
        del items[random.randrange(len(items))]


def without_id(item: Any) -> Any:
    """An item that does not tell which it is."""
    return {name: value for name, value in item.items() if name != "id"} if isinstance(item, dict) else item
