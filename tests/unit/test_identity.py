"""Two records of one person become one, and can be parted again."""

from __future__ import annotations

import pytest

from fhir_adapter.errors import Refused
from fhir_adapter.plan.identity import is_protected, merge_persons, part_persons

CPR = "urn:oid:1.2.208.176.1.2"


def patient(id_, number, **more):
    return {"resourceType": "Patient", "id": id_, "identifier": [{"system": CPR, "value": number}]} | more


def team(*members):
    return {"resourceType": "CareTeam", "id": "c", "participant": [{"member": {"reference": one}} for one in members]}


def a_plan(**new):
    plan = {"resourceType": "CarePlan", "id": "p", "subject": {"reference": "Patient/old"}}
    goal = {"resourceType": "Goal", "id": "g", "subject": {"reference": "Patient/old"}}
    found = [patient("old", "0201919990"), patient("new", "0201919991", **new), plan, goal,
             team("Patient/new", "Patient/old")]  # fmt: skip
    return {f"{one['resourceType']}/{one['id']}": one for one in found}


def test_whatever_pointed_to_the_retired_record_points_to_the_survivor():
    plan = a_plan()
    changed, _ = merge_persons(plan, survivor="Patient/new", retired="Patient/old")
    assert changed["CarePlan/p"]["subject"] == changed["Goal/g"]["subject"] == {"reference": "Patient/new"}
    assert changed["CareTeam/c"] == team("Patient/new", "Patient/new")
    assert plan == a_plan(), "no argument is changed"


def test_both_records_stay_linked_and_the_old_number_is_kept_as_old():
    changed, _ = merge_persons(a_plan(), survivor="Patient/new", retired="Patient/old")
    assert changed["Patient/new"]["identifier"] == [
        {"system": CPR, "value": "0201919991"},
        {"system": CPR, "value": "0201919990", "use": "old"},
    ]
    assert changed["Patient/new"]["link"] == [{"other": {"reference": "Patient/old"}, "type": "replaces"}]
    assert changed["Patient/old"]["link"] == [{"other": {"reference": "Patient/new"}, "type": "replaced-by"}]
    assert changed["Patient/old"]["active"] is False


def test_a_merge_that_is_undone_leaves_no_trace():
    plan = a_plan()
    changed, merge = merge_persons(plan, survivor="Patient/new", retired="Patient/old")
    merged = plan | changed
    assert merged | part_persons(merged, merge) == plan


def test_undoing_keeps_what_was_said_since():
    plan = a_plan()
    changed, merge = merge_persons(plan, survivor="Patient/new", retired="Patient/old")
    edited = changed["Goal/g"] | {"lifecycleStatus": "completed"}
    new = {"resourceType": "Goal", "id": "h", "subject": {"reference": "Patient/new"}}
    since = plan | changed | {"Goal/g": edited, "Goal/h": new}
    parted = since | part_persons(since, merge)
    assert parted["Goal/g"] == plan["Goal/g"] | {"lifecycleStatus": "completed"}
    assert parted["Goal/h"]["subject"] == {"reference": "Patient/new"}, "it was said of the survivor"


@pytest.mark.parametrize("label", ["R", "V", "sekretessmarkering", "skyddadFolkbokforing"])
def test_a_protected_identity_is_never_linked(label):
    plan = a_plan(meta={"security": [{"code": label}]})
    assert is_protected(plan["Patient/new"])
    for survivor, retired in (("Patient/new", "Patient/old"), ("Patient/old", "Patient/new")):
        with pytest.raises(Refused, match="protected"):
            merge_persons(plan, survivor=survivor, retired=retired)


def test_a_record_that_is_not_there_or_is_the_same_is_refused():
    with pytest.raises(Refused, match="not in the plan"):
        merge_persons(a_plan(), survivor="Patient/new", retired="Patient/nobody")
    with pytest.raises(Refused, match="one record already"):
        merge_persons(a_plan(), survivor="Patient/new", retired="Patient/new")
