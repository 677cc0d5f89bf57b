"""Changes that a system can make to its own record: a value, an object, an item more or less, another name."""

from __future__ import annotations

from random import Random
from typing import Any

from fhir_adapter.mapping.engine import copied
from tests.laws.marks import MARK
from tests.laws.places import NOTHING, Place, Record, at, path_of, places_in
from tests.laws.pools import is_open
from tests.laws.records import Records


def changed(records: Records, record: Record, random: Random) -> Record | None:
    """The record after one to three changes; None where the mapping does not take it so."""
    after = copied(record)
    for _ in range(random.choice([1, 1, 2, 3])):
        _change(records, after, random)
    return None if records.pools.faults(after) else after


def _change(records: Records, record: Record, random: Random) -> None:
    places = [place for place in places_in(record) if _may_change(records, place)]
    lists = [place for place in places if isinstance(at(record, place), list)]
    kind = random.random()
    if kind < 0.15:
        _add_field(records, record, random)
    elif lists and kind < 0.5:
        _change_list(records, record, random.choice(lists), random)
    elif places:
        _change_field(records, record, random.choice(places), random)


def _change_field(records: Records, record: Record, place: Place, random: Random) -> None:
    holder, path = at(record, place[:-1]), path_of(place)
    value = holder[place[-1]]
    pool = records.pools.parts(path) if isinstance(value, dict) else records.pools.values(path)
    if path in records.pools.calling and random.random() < 0.5:
        pool = [at(record, one) for one in places_in(record) if path_of(one) in records.pools.naming] or pool
    if isinstance(holder, dict) and (not pool or random.random() < 0.2):
        if place[-1] not in records.pools.node_at(path_of(place[:-1])).get("required", ()):
            del holder[place[-1]]
    elif pool and path not in records.pools.unique:
        holder[place[-1]] = copied(random.choice(pool))


def _add_field(records: Records, record: Record, random: Random) -> None:
    objects = [place for place in [(), *places_in(record)] if isinstance(at(record, place), dict)]
    place = random.choice(objects)
    holder, path = at(record, place), path_of(place)
    node = records.pools.node_at(path)
    missing = [
        name for name in node.get("properties", {}) if name not in holder and _may_change(records, (*place, name))
    ]
    if missing:
        name = random.choice(missing)
        used = records.pools.numbers_in(record)
        made = records.value(node["properties"][name], f"{path}.{name}".removeprefix("."), random, used)
        if made is not NOTHING:
            holder[name] = made


def _may_change(records: Records, place: Place) -> bool:
    """Not what tells a thing apart, and not what is called the same wherever it stands."""
    path = path_of(place)
    known = (records.mapping.format.id_path, *sum(records.pools.organisations, ()))
    numbered = [one.rpartition("[].")[0] for one in records.pools.unique]  # identifiers: a system and its number
    own = place[-1] == "id" or MARK in place
    return not own and path not in known and not any(path.startswith(f"{one}[].") for one in numbered)


def _change_list(records: Records, record: Record, place: Place, random: Random) -> None:
    items, path = at(record, place), path_of(place)
    node = records.pools.node_at(path)
    if len(items) > ("items" not in node) and random.random() < 0.5:  # FHIR has no empty lists
        del items[random.randrange(len(items))]
        return
    used = records.pools.numbers_in(record)
    made: Any = records.value(node["items"], f"{path}[]", random, used) if "items" in node else NOTHING
    if made is NOTHING or made in items:
        return
    if isinstance(made, dict) and "id" in made and not is_open(records.pools.node_at(f"{path}[]")):
        taken = {item.get("id") for item in items if isinstance(item, dict)}
        made["id"] = records.new_id(f"{path}[]", list(taken), random)
    items.append(made)
