"""Fields that no format has, one in each object of a record: they show what became of the object."""

from __future__ import annotations

from itertools import count
from typing import Any

from fhir_adapter.mapping.frames import schema_path
from tests.laws.places import Place, Record, at, path_of, places_in
from tests.laws.pools import Pools, is_open

MARK = "ukendt felt"


def marked(pools: Pools, record: Record) -> Record:
    """The record with a number of its own in every object that may have more fields than the format's."""
    numbers = count(1)
    whole = {schema_path(field).replace("[]", "").rstrip("*") for field, _ in pools.mapping.coverage()}

    def with_marks(value: Any, path: str) -> Any:
        if path and path in whole:
            return value
        if isinstance(value, list):
            return [with_marks(item, path) for item in value]
        if not isinstance(value, dict):
            return value
        made = {name: with_marks(child, f"{path}.{name}".removeprefix(".")) for name, child in value.items()}
        node = pools.node_at(_as_listed(pools, path))
        may_have_more = not is_open(node) and node.get("additionalProperties") is not False
        return {**made, MARK: [{"nr": next(numbers)}]} if may_have_more else made

    return with_marks(record, "")  # type: ignore[no-any-return]


def _as_listed(pools: Pools, path: str) -> str:
    """The path with its brackets: an object is an item wherever the schema has a list."""
    found = ""
    for name in filter(None, path.split(".")):
        found = f"{found}.{name}".removeprefix(".")
        found += "[]" if "items" in pools.node_at(found) else ""
    return found


def marks_in(record: Record) -> dict[int, Place]:
    """Where each number stands."""
    return {at(record, place)[0]["nr"]: place[:-1] for place in places_in(record) if place[-1] == MARK}


def same_things(before: Record, after: Record, untold: set[str]) -> set[int]:
    """The numbers of the objects that are in both, and known to be the same: each item around them has its id, or
    stands in a list of which nothing was changed. `untold`: the fields, ids too, that FHIR does not get."""
    was, now = marks_in(before), marks_in(after)
    known = {number: _ids_around(before, place, untold) for number, place in was.items()}
    return {
        number
        for number, place in now.items()
        if number in was
        and all(
            (own is not None and own == other) or at(before, was[number][:length]) == at(after, place[:length])
            for (length, own), (_, other) in zip(known[number], _ids_around(after, place, untold), strict=True)
        )
    }


def _ids_around(record: Record, place: Place, untold: set[str]) -> list[tuple[int, Any]]:
    """The id of each item around a place, and how deep its list is."""
    items = [(length, place[: length + 1]) for length, step in enumerate(place) if isinstance(step, int)]
    return [(length, None if f"{path_of(item)}.id" in untold else at(record, item).get("id")) for length, item in items]


def order_of(record: Record) -> list[list[int]]:
    """The numbers of the items of each list, as they stand."""
    lists: dict[Place, list[int]] = {}
    for number, place in marks_in(record).items():
        if place and isinstance(place[-1], int):
            lists.setdefault(place[:-1], []).append(number)
    return list(lists.values())
