"""A record that breaks a law, made as small as it still breaks it: what is left tells why."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from typing import Any

from fhir_adapter.mapping.engine import copied
from tests.laws.marks import MARK
from tests.laws.places import Place, Record, at, places_in

Pair = tuple[Record, Record | None]
"""a record, and what it is after a change"""


def smallest(record: Record, after: Record | None, breaks: Callable[[Record, Record | None], bool]) -> Pair:
    """Leaves out fields and items, of both records at once or of one, for as long as `breaks` says so."""
    pair = (record, after)
    while (next_one := next((each for each in _smaller(pair) if breaks(*each)), None)) is not None:
        pair = next_one
    return pair


def _smaller(pair: Pair) -> Iterator[Pair]:
    record, after = pair
    places = {*places_in(record), *places_in(after)}
    for place in sorted((place for place in places if MARK not in place[:-1]), key=len):
        here, there = without(record, place), without(after, place)
        if here is not None and there is not None:
            yield here, there
        if here is not None:
            yield here, after
        if there is not None:
            yield record, there


def without(value: Any, place: Place) -> Any:
    """A copy that has nothing at this place; None where there was nothing."""
    made = copied(value)
    try:
        del at(made, place[:-1])[place[-1]]
    except (LookupError, TypeError):
        return None
    return made
