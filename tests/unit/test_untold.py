"""What a plan says and a record of it does not."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_adapter.plan.untold import untold

GOAL: dict[str, Any] = {
    "resourceType": "Goal",
    "id": "g",
    "lifecycleStatus": "active",
    "description": {"text": "Bo kvar"},
}


def found(plan: dict[str, Any], record: dict[str, Any]) -> list[tuple[str, Any]]:
    """Paths and values of what is untold of one goal."""
    return [(one.path, one.value) for one in untold({"Goal/g": GOAL | plan}, {"Goal/g": GOAL | record})]


def test_what_is_told_is_not_untold() -> None:
    assert found({"startDate": "2025"}, {"startDate": "2025"}) == []


def test_an_element_that_the_record_lacks_or_tells_otherwise_is_untold() -> None:
    assert found({"startDate": "2025"}, {}) == [("startDate", "2025")]
    assert found({"lifecycleStatus": "on-hold"}, {}) == [("lifecycleStatus", "on-hold")]


def test_of_an_item_that_is_told_in_part_the_rest_is_untold() -> None:
    note = {"text": "Går bättre", "time": "2025-06-01"}
    assert found({"note": [note]}, {"note": [{"text": "Går bättre"}]}) == [("note.time", "2025-06-01")]


def test_an_item_that_no_item_of_the_record_tells_is_untold() -> None:
    old, new = {"text": "Går bättre"}, {"text": "Går sämre"}
    assert found({"note": [old, new]}, {"note": [old]}) == [("note", new)]


def test_two_that_say_the_same_need_two() -> None:
    note = {"text": "Går bättre"}
    assert found({"note": [note, note]}, {"note": [note]}) == [("note", note)]


def test_who_is_meant_by_the_same_words_is_told() -> None:
    there, here = {"reference": "Practitioner/p", "display": "Dora Ny"}, {"reference": "PractitionerRole/r"}
    assert found({"expressedBy": there}, {"expressedBy": here}) == []


@pytest.mark.parametrize(("type_", "count"), [("Observation", 1), ("Practitioner", 0)])
def test_a_resource_is_told_by_what_is_said_of_it_and_a_person_by_name(type_: str, count: int) -> None:
    assert len(list(untold({f"{type_}/x": {"resourceType": type_, "id": "x"}}, {}))) == count
