"""A plan that came under somebody else's number: once that is known, nothing of it is left with the wrong person."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest

from fhir_adapter.errors import Conflict, NotFound
from fhir_adapter.flows import parked, persons, wrong_person
from tests.flows.conftest import Town
from tests.flows.test_persons import NUMBER, content, other, person_of, plans_found, settle, there

RIGHT = "196101182803"

Record = dict[str, Any]


def corrected(sip: Record) -> Record:
    record = copy.deepcopy(sip)
    record["person"]["personnummer"] = RIGHT
    return record


def move(town: Town, plan: str) -> tuple[str, str]:
    """Whom the plan was about, and whom it is about now."""
    (asked,) = persons.listed(town.service.hub)
    old = wrong_person.move(town.service.hub, plan, asked.pair.new, town.service.hub.parties["sodertalje"], "mistyped")
    assert persons.listed(town.service.hub) == []
    return old, person_of(town, plan)


def test_a_plan_under_a_wrong_number_moves_to_whom_it_is_about(town: Town, sip: Record) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    settle(town)
    goal = town.goal_at_region(plan, "buss")
    town.put_at_region(goal | {"note": [{"time": "2025-03-01T10:00:00Z", "text": "regionen"}]})
    settle(town)
    assert town.push(corrected(sip)).status_code == 422
    old, new = move(town, plan)
    settle(town)
    assert plans_found(town, sip["person"]["personnummer"]) == set()
    assert plans_found(town, RIGHT) == {plan}
    for found in (content(town, plan), there(town)):
        rest = {ref: one for ref, one in found.items() if ref != old}
        assert old not in json.dumps(rest), "nothing points to the wrong person"
    for wrong in (town.get(f"/fhir/{old}").json(), town.at_region(old)):
        assert wrong.keys() <= {"resourceType", "id", "meta", "extension"}, "nothing is said of that one any more"
    assert town.get("/fhir/Goal", patient=old).json()["total"] == 0
    receipt = town.push(corrected(sip)).json()
    assert (receipt["state"], receipt["issues"], receipt["conflicts"]) == ("unchanged", [], [])
    assert town.record(sip["id"])["person"] == corrected(sip)["person"]
    assert town.goal_at_region(plan, "buss")["note"][0]["text"] == "regionen"
    assert town.goal_at_region(plan, "buss")["subject"]["reference"] == new


def test_at_a_region_that_knows_both_persons_it_moves_from_one_to_the_other(town: Town, sip: Record) -> None:
    for name, value in (("wrong", sip["person"]["personnummer"]), ("right", RIGHT)):
        number = {"system": NUMBER, "value": value}
        town.put_at_region({"resourceType": "Patient", "id": name, "identifier": [number]})
    plan = town.push(sip).json()["plan"]["id"]
    settle(town)
    assert town.at_region(f"CarePlan/{plan}")["subject"]["reference"] == "Patient/wrong"
    town.push(corrected(sip))
    move(town, plan)
    settle(town)
    assert "Patient/wrong" not in json.dumps(there(town))
    assert town.at_region("Goal", patient="Patient/wrong").get("total") == 0
    assert town.at_region(f"CarePlan/{plan}")["subject"]["reference"] == "Patient/right"
    assert town.at_region("Patient/wrong")["identifier"][0]["value"] == sip["person"]["personnummer"]


def test_who_really_has_the_number_is_told_of_as_before(town: Town, sip: Record) -> None:
    """The same municipality has a plan about the other person: the mistyped one wrote over name and address there."""
    first = town.push(sip).json()["plan"]["id"]
    before = town.get(f"/fhir/{person_of(town, first)}").json()
    wrong = copy.deepcopy(sip) | {"id": "S-2"}
    wrong["person"] |= {"name": "Berta Berg", "address": "Gömda vägen 1, 151 99 Södertälje", "phone": "070-555 55 55"}
    plan = town.push(wrong).json()["plan"]["id"]
    settle(town)
    assert "Berta" in json.dumps(town.at_region(person_of(town, first)))
    assert town.push(corrected(wrong)).status_code == 422
    old, new = move(town, plan)
    settle(town)
    after = town.get(f"/fhir/{old}").json()
    assert after | {"meta": None} == before | {"meta": None}
    assert town.get(f"/fhir/{new}").json()["name"] == [{"text": "Berta Berg"}]
    assert (plans_found(town, sip["person"]["personnummer"]), plans_found(town, RIGHT)) == ({first}, {plan})
    assert "Berta" not in json.dumps([town.at_region(old), town.record(sip["id"])])
    assert town.push(sip).json()["state"] == "unchanged"
    assert town.push(corrected(wrong)).json()["state"] == "unchanged"


def test_what_the_region_said_of_the_person_goes_with_the_plan(town: Town, sip: Record) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    settle(town)
    person = town.at_region(person_of(town, plan))
    contact = [{"name": {"text": "Gun-Britt"}}]
    town.put_at_region(person | {"telecom": [{"system": "phone", "value": "070-9"}], "contact": contact})
    sip["person"]["phone"] = "070-1"
    town.push(sip)
    settle(town)
    assert town.push(corrected(sip)).status_code == 422
    old, new = move(town, plan)
    assert town.push(corrected(sip)).json()["conflicts"] == []
    settle(town)
    assert town.at_region(new)["contact"] == contact
    (asked,) = town.get("/parties/sodertalje/conflicts").json()["conflicts"]
    assert (asked["path"], asked["live"], asked["kept"]) == ("person.phone", "070-1", "070-9")
    assert town.post(f"/parties/sodertalje/conflicts/{asked['id']}/decision", {"decision": "take"}).status_code == 200
    settle(town)
    assert town.record(sip["id"])["person"]["phone"] == town.at_region(new)["telecom"][0]["value"] == "070-9"
    assert "telecom" not in town.at_region(old)


def test_a_plan_that_was_moved_by_mistake_goes_back(town: Town, sip: Record) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    settle(town)
    before = content(town, plan)
    town.push(corrected(sip))
    first = move(town, plan)
    town.push(corrected(sip))
    settle(town)
    assert town.push(sip).status_code == 422
    assert move(town, plan) == first[::-1]
    settle(town)
    assert content(town, plan) == before
    assert town.push(sip).json()["state"] == "unchanged"
    assert plans_found(town, RIGHT) == set()


def test_the_wrong_number_may_come_again_for_whose_it_is(town: Town, sip: Record) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    settle(town)
    town.push(corrected(sip))
    move(town, plan)
    town.push(corrected(sip))
    settle(town)
    rightful = copy.deepcopy(sip) | {"id": "S-3"}
    rightful["person"] |= {"name": "Berta Berg", "phone": "070-555 55 55"}
    receipt = town.push(rightful).json()
    assert (receipt["state"], receipt["issues"], receipt["conflicts"]) == ("accepted", [], [])
    settle(town)
    assert plans_found(town, sip["person"]["personnummer"]) == {receipt["plan"]["id"]}
    assert town.record("S-3")["person"] == rightful["person"]
    assert "Berta" not in json.dumps([town.record(sip["id"]), [one for _, one in content(town, plan).items()]])


def test_another_municipality_that_knows_the_right_person_is_told_nothing(town: Town, sip: Record) -> None:
    theirs = town.push(other(sip, RIGHT), party="nykvarn").json()["plan"]["id"]
    plan = town.push(sip).json()["plan"]["id"]
    settle(town)
    cursor = town.get("/parties/nykvarn/records").json()["cursor"]
    town.push(corrected(sip))
    _, new = move(town, plan)
    settle(town)
    assert new != person_of(town, theirs), "each party has its own record"
    assert plans_found(town, RIGHT) == {plan, theirs}
    assert town.get("/parties/nykvarn/records", since=cursor).json()["records"] == []
    assert town.push(corrected(sip)).json()["state"] == "unchanged"


def test_another_plan_of_the_right_person_is_found_beside_it(town: Town, sip: Record) -> None:
    first = town.push(corrected(sip) | {"id": "S-1"}).json()["plan"]["id"]
    plan = town.push(sip).json()["plan"]["id"]
    settle(town)
    town.push(corrected(sip))
    _, new = move(town, plan)
    settle(town)
    assert new == person_of(town, first)
    assert plans_found(town, RIGHT) == {plan, first}
    assert town.push(corrected(sip)).json()["state"] == "unchanged"


def test_of_a_protected_identity_nobody_is_asked_and_the_refused_delivery_tells_who_it_is(
    town: Town, sip: Record
) -> None:
    sip["person"]["skyddade_personuppgifter"] = "sekretessmarkering"
    plan, hub = town.push(sip).json()["plan"]["id"], town.service.hub
    settle(town)
    assert town.push(corrected(sip), key="refused").status_code == 422
    assert persons.listed(hub) == []
    right = wrong_person.as_delivered(hub, plan, "refused")
    wrong_person.move(hub, plan, right, hub.parties["sodertalje"], "mistyped")
    settle(town)
    assert town.at_region(person_of(town, plan))["meta"]["security"][0]["code"] == "sekretessmarkering"
    assert (plans_found(town, sip["person"]["personnummer"]), plans_found(town, RIGHT)) == (set(), {plan})
    assert town.push(corrected(sip)).json()["state"] == "unchanged"
    assert persons.listed(hub, also_decided=True) == []
    town.push(corrected(sip) | {"id": "S-2"}, key="another")
    for key in ("another", "nothing"):
        with pytest.raises(NotFound):
            wrong_person.as_delivered(hub, plan, key)


def test_what_a_region_says_of_the_wrong_person_meanwhile_is_kept_and_does_not_fill_the_record(
    town: Town, sip: Record
) -> None:
    plan, hub = town.push(sip).json()["plan"]["id"], town.service.hub
    settle(town)
    person = town.at_region(person_of(town, plan))
    town.put_at_region(person | {"telecom": [{"system": "phone", "value": "070-9"}]})
    town.push(corrected(sip))
    old, _ = move(town, plan)
    town.sync()
    assert "telecom" not in town.get(f"/fhir/{old}").json()
    (kept,) = parked.listed(hub)
    assert "no plan is about" in kept.why
    parked.drop(hub, kept.id, "it was about another")
    town.sync()
    assert town.at_region(old).keys() <= {"resourceType", "id", "meta", "extension"}


def test_what_cannot_be_moved_is_refused(town: Town, sip: Record) -> None:
    plan, hub = town.push(sip).json()["plan"]["id"], town.service.hub
    for name, new, fault in (
        ("nothing", "Patient/x", NotFound),
        (plan, "Patient/x", NotFound),
        (plan, person_of(town, plan), Conflict),
    ):
        with pytest.raises(fault):
            wrong_person.move(hub, name, new, hub.parties["sodertalje"], "because")
