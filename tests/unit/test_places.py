"""An element is found and set by the path that a conflict names it with: names, keys of items, forms of x[y]."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fhir_adapter.plan.keys import MISSING
from fhir_adapter.plan.merge import merge
from fhir_adapter.plan.owners import Owners
from fhir_adapter.plan.places import has_several_names, is_there, item_at, rule_path, value_at, with_value_at

TEAM = {
    "resourceType": "CareTeam",
    "id": "1",
    "participant": [
        {"member": {"reference": "PractitionerRole/1"}, "period": {"start": "2025-01-01"}},
        {"member": {"reference": "PractitionerRole/2"}},
    ],
}
GOAL = {
    "resourceType": "Goal",
    "id": "1",
    "description": {"text": "a"},
    "target": [{"measure": {"text": "km"}, "dueDate": "2025-05-01"}],
    "note": [{"text": "n"}],
    "extension": [{"url": "https://x.example/y.z", "valueString": "e"}],
    "_startDate": {"id": "s"},
}


@pytest.mark.parametrize(
    ("resource", "path", "value"),
    [
        (GOAL, "description", {"text": "a"}),
        (GOAL, "description.text", "a"),
        (GOAL, "extension[https://x.example/y.z].valueString", "e"),
        (TEAM, "participant[PractitionerRole/1].period.start", "2025-01-01"),
        (TEAM, "participant[PractitionerRole/2]", {"member": {"reference": "PractitionerRole/2"}}),
        (TEAM, "participant[PractitionerRole/3]", MISSING),
        (TEAM, "participant[PractitionerRole/2].period.end", MISSING),
        (GOAL, "statusReason.text", MISSING),
    ],
)
def test_a_value_is_read_set_and_taken_away(resource, path, value):
    assert value_at(resource, path) == value
    if value is not MISSING and not path.endswith("]"):
        assert value_at(with_value_at(resource, path, "new"), path) == "new"
    assert value_at(with_value_at(resource, path, None), path) is MISSING
    assert with_value_at(resource, path, value) == resource


def test_the_forms_of_a_choice_are_one_element():
    target = "target[" + next(iter(_labels_of_conflicts())) + "].due"
    assert value_at(GOAL, target, several=True) == {"dueDate": "2025-05-01"}
    changed = with_value_at(GOAL, target, {"dueDuration": {"value": 3}}, several=True)
    assert changed["target"] == [{"measure": {"text": "km"}, "dueDuration": {"value": 3}}]
    assert has_several_names(target, [{"dueDate": "x"}, {"dueDuration": {}}, None])


def test_a_primitive_and_its_sibling_are_one_element():
    assert has_several_names("birthDate", [{"birthDate": "1990", "_birthDate": {}}, {"birthDate": "1990"}])
    assert not has_several_names("reference", [{"reference": "Goal/1"}])
    assert not has_several_names("description", [{"text": "a"}, None])
    assert value_at(GOAL, "startDate", several=True) == {"_startDate": {"id": "s"}}


def test_an_item_that_is_not_there_is_put_behind_the_others():
    new = {"member": {"reference": "PractitionerRole/3"}}
    changed = with_value_at(TEAM, "participant[PractitionerRole/3]", new)
    assert changed["participant"] == [*TEAM["participant"], new]


def test_the_last_item_takes_its_list_along():
    assert "note" not in with_value_at(GOAL, f"note[{_label_of_note()}]", None)


def test_the_item_that_a_path_leads_into_is_found():
    assert item_at(TEAM, "participant[PractitionerRole/1].period.start") == TEAM["participant"][0]
    assert item_at(GOAL, "description.text") is None
    assert rule_path("participant[PractitionerRole/1].period.start") == "participant.period.start"


def test_a_path_leads_somewhere_while_the_items_on_its_way_are_there():
    assert is_there(TEAM, "participant[PractitionerRole/1].period.start")
    assert not is_there(TEAM, "participant[PractitionerRole/9].period.start")
    assert is_there(TEAM, "participant[PractitionerRole/9]"), "the item itself may be put there"
    assert is_there(GOAL, "startDate")
    assert not is_there({"activity": [{"id": "a"}]}, "activity[x].progress[y]")


NOW = datetime(2025, 6, 2, tzinfo=UTC)


def _conflicts(before, ours, theirs):
    """The paths that the merge itself gives to these changes."""
    owners = Owners(lead="a", of=lambda _: "a")
    merged = merge([{"Goal/1": before}], {"Goal/1": ours}, {"Goal/1": theirs}, party="b", owners=owners,
                   partial=True, now=NOW)  # fmt: skip
    return merged.conflicts


def _labels_of_conflicts():
    def due(**form):
        return GOAL | {"target": [{"measure": {"text": "km"}} | form]}

    found = _conflicts(GOAL, due(dueDate="2025-06-01"), due(dueDuration={"value": 1}))
    yield from (one.path.partition("[")[2].partition("]")[0] for one in found)


def _label_of_note():
    (one,) = _conflicts(GOAL, GOAL, {name: value for name, value in GOAL.items() if name != "note"})
    return one.path.partition("[")[2].partition("]")[0]
