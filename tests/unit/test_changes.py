"""Conflict Tasks, Provenance, audit, and every form of an intervention in the one inner form."""

from __future__ import annotations

import json
from copy import deepcopy
from datetime import UTC, datetime
from pathlib import Path
from uuid import UUID

import pytest

from fhir_adapter.fhir.resources import dump_json, parse_json, references_in
from fhir_adapter.plan.changes import audit_event, conflict_task, normalise, provenance
from fhir_adapter.plan.merge import Conflict
from fhir_adapter.plan.steps import ACTIVITY_DETAIL, PERTAINS_TO_GOAL, STATUS_OF_DETAIL
from tests.unit.r4 import is_valid_r4

NOW = datetime(2025, 6, 2, 8, tzinfo=UTC)
PLAN = "CarePlan/0b7f4f43-54f5-4f34-9e40-1f5b0d2a7c11"
PATIENT = {"reference": "Patient/elin"}
ORGANISATION = {"reference": "Organization/kommun"}
PUBLIC_EXAMPLES = Path(__file__).parents[3] / "shared" / "data" / "fhir"


def conflict(**more):
    found = {
        "reference": "Goal/g1",
        "path": "description",
        "base": {"text": "a"},
        "live": {"text": "b"},
        "other": {"text": "c"},
        "live_party": "kommun",
        "other_party": "region",
        "kind": "both-changed",
    }
    return Conflict(**found | more)


def task_of(one):
    return conflict_task(one, id="1", plan_ref=PLAN, patient_ref="Patient/1", owner_org_ref="Organization/1", now=NOW)


def inputs(task):
    return {item["type"]["coding"][0]["code"]: item["valueString"] for item in task["input"]}


@pytest.mark.parametrize("kind", ["both-changed", "edit-against-delete", "own-words", "quarantined", "not-allowed"])
def test_a_conflict_becomes_a_valid_task(kind):
    task = task_of(conflict(kind=kind))
    assert is_valid_r4(task)
    assert task["businessStatus"]["coding"][0]["code"] == kind


def test_a_conflict_task_holds_both_values_and_both_parties():
    task = task_of(conflict())
    assert {name: json.loads(text) for name, text in inputs(task).items() if name in ("base", "live", "other")} == {
        "base": {"text": "a"},
        "live": {"text": "b"},
        "other": {"text": "c"},
    }
    assert (inputs(task)["live-party"], inputs(task)["other-party"]) == ("kommun", "region")
    assert (task["focus"], task["basedOn"]) == ({"reference": "Goal/g1"}, [{"reference": PLAN}])


def test_a_conflict_about_a_whole_resource_leaves_out_what_says_nothing():
    task = conflict_task(
        conflict(path="", other=None, live_party=None),
        id="1",
        plan_ref=PLAN,
        patient_ref=None,
        owner_org_ref=None,
        now=NOW,
    )
    assert is_valid_r4(task)
    assert inputs(task).keys() == {"base", "live", "other-party"}
    assert not task.keys() & {"for", "owner"}


def test_a_description_of_a_conflict_quotes_nobody():
    assert "b" not in task_of(conflict(live={"text": "b" * 9}))["description"].split()


def test_provenance_names_who_is_behind_the_new_versions():
    made = provenance(["Goal/g1", PLAN], id="1", agent=ORGANISATION, recorded=NOW)
    assert is_valid_r4(made)
    assert [one["reference"] for one in made["target"]] == ["Goal/g1", PLAN]
    assert made["agent"][0]["who"] == ORGANISATION


@pytest.mark.parametrize(("action", "interaction"), [("C", "create"), ("R", "read"), ("U", "update"), ("D", "delete")])
def test_an_audit_event_says_who_did_what_to_which_plan(action, interaction):
    made = audit_event(id="1", action=action, agent=ORGANISATION, plan_ref=PLAN, recorded=NOW, patient_ref="Patient/1")
    assert is_valid_r4(made)
    assert made["subtype"][0]["code"] == interaction
    assert [one["what"]["reference"] for one in made["entity"]] == [PLAN, "Patient/1"]


def test_a_refused_access_is_audited_with_its_reasons():
    made = audit_event(
        id="1",
        action="R",
        agent=ORGANISATION,
        plan_ref=PLAN,
        recorded=NOW,
        reasons=("there is no consent",),
        refused=True,
    )
    assert is_valid_r4(made)
    assert made["outcome"] == "4"
    assert made["entity"][0]["detail"][0]["valueString"] == "there is no consent"


# --- interventions


DETAIL = {
    "id": "d1",
    "extension": [{"url": "https://x.example/e", "valueBoolean": True}],
    "kind": "ServiceRequest",
    "instantiatesCanonical": ["https://x.example/PlanDefinition/1"],
    "instantiatesUri": ["https://x.example/pd"],
    "code": {"text": "Boendestöd"},
    "reasonCode": [{"text": "isolering"}],
    "reasonReference": [{"reference": "Condition/1"}],
    "goal": [{"reference": "Goal/g1"}],
    "status": "stopped",
    "statusReason": {"text": "flyttat"},
    "doNotPerform": False,
    "scheduledPeriod": {"start": "2025-02-24"},
    "location": {"reference": "Location/1"},
    "performer": [{"reference": "Organization/kommun"}, {"display": "Karin Ödman"}],
    "productCodeableConcept": {"text": "busskort"},
    "dailyAmount": {"value": 1, "unit": "resa"},
    "quantity": {"value": 6, "unit": "tim/vecka"},
    "description": "Exponering buss",
}


def plan(*activities, **more):
    return {
        "resourceType": "CarePlan",
        "id": PLAN.split("/")[1],
        "status": "active",
        "intent": "plan",
        "subject": PATIENT,
        "activity": list(activities),
    } | more


def by_type(resources, type_):
    return [one for one in resources if one["resourceType"] == type_]


def normalised(*resources, **more):
    before = deepcopy(resources)
    result = normalise(resources, plan_ref=PLAN, **more)
    assert resources == before, "arguments stay as they are"
    assert all(is_valid_r4(one) for one in result)
    return result


def leaves(value):
    if isinstance(value, dict):
        return [leaf for child in value.values() for leaf in leaves(child)]
    if isinstance(value, list):
        return [leaf for child in value for leaf in leaves(child)]
    return [value]


@pytest.mark.parametrize(
    "schedule",
    [
        {"scheduledPeriod": {"start": "2025-02-24"}},
        {"scheduledString": "på söndagar"},
        {"scheduledTiming": {"event": ["2025-02-24"]}},
    ],
)
def test_nothing_that_a_detail_says_is_lost(schedule):
    bare = {name: value for name, value in DETAIL.items() if not name.startswith("scheduled")}
    result = normalised(plan({"detail": bare | schedule, "progress": [{"text": "går bra"}]}))
    found = leaves(result)
    assert not [leaf for leaf in leaves(bare | schedule) if leaf not in found]


def test_a_detail_goes_where_the_standard_has_a_place_for_it():
    care_plan, request, task = normalised(plan({"detail": DETAIL, "progress": [{"text": "går bra"}]}))
    activity = care_plan["activity"][0]
    assert activity == {
        "progress": [{"text": "går bra"}],
        "reference": {"reference": f"ServiceRequest/{request['id']}"},
    }
    assert (request["code"], request["occurrencePeriod"]) == (DETAIL["code"], DETAIL["scheduledPeriod"])
    assert request["locationReference"] == [DETAIL["location"]]
    assert request["quantityQuantity"] == DETAIL["quantity"]
    assert {"url": PERTAINS_TO_GOAL, "valueReference": {"reference": "Goal/g1"}} in request["extension"]
    assert [one["url"] for one in request["extension"] if "extension" in one] == [ACTIVITY_DETAIL]
    assert (request["status"], task["status"], task["statusReason"]) == ("revoked", "cancelled", {"text": "flyttat"})
    assert task["businessStatus"]["coding"][0]["code"] == "stopped"
    assert (task["focus"], task["owner"]) == (activity["reference"], {"reference": "Organization/kommun"})


@pytest.mark.parametrize("status", STATUS_OF_DETAIL)
def test_every_status_of_a_detail_has_its_request_and_task(status):
    _, request, task = normalised(plan({"detail": {"status": status, "description": "x"}}))
    assert (request["status"], task["status"]) == STATUS_OF_DETAIL[status]
    assert request["code"] == {"text": "x"}


def test_the_same_input_gives_the_same_output():
    once = normalised(plan({"detail": DETAIL}, {"detail": {"status": "unknown", "description": "x"}}))
    again = normalised(plan({"detail": DETAIL}, {"detail": {"status": "unknown", "description": "x"}}))
    assert dump_json(once) == dump_json(again)
    assert all(UUID(one["id"]) for one in once)


def test_what_is_normal_already_stays_as_it_is():
    once = normalised(plan({"detail": DETAIL}))
    assert normalised(*once) == once


def test_an_edited_detail_keeps_its_identity_and_its_place_does_not_matter():
    other = {"status": "unknown", "description": "x"}
    first = normalised(plan({"detail": DETAIL}, {"detail": other}))
    second = normalised(plan({"detail": other | {"status": "completed"}}, {"detail": DETAIL | {"status": "completed"}}))
    assert {one["id"] for one in first} == {one["id"] for one in second}


def test_two_equal_details_are_two_interventions():
    result = normalised(
        plan(
            {"detail": {"status": "unknown", "description": "x"}}, {"detail": {"status": "unknown", "description": "x"}}
        )
    )
    assert len(by_type(result, "ServiceRequest")) == len(by_type(result, "Task")) == 2
    assert len({one["id"] for one in result}) == 5


REQUEST = {"resourceType": "ServiceRequest", "id": "s1", "status": "on-hold", "intent": "order", "subject": PATIENT}
LINK = {"reference": {"reference": "ServiceRequest/s1"}}


def test_a_request_without_a_task_gets_one_in_the_fitting_state():
    (task,) = by_type(normalised(plan(LINK), REQUEST | {"performer": [ORGANISATION]}), "Task")
    assert (task["status"], task["intent"], task["owner"]) == ("on-hold", "order", ORGANISATION)
    assert task["focus"] == LINK["reference"]


def test_a_request_that_has_a_task_gets_no_other():
    task = {"resourceType": "Task", "id": "t", "status": "ready", "intent": "plan", "focus": LINK["reference"]}
    assert normalised(plan(LINK), REQUEST, task) == [plan(LINK), REQUEST, task]


def test_a_single_changed_request_gets_a_task_only_if_the_plan_is_known_to_have_none():
    known = {PLAN: plan(LINK), "ServiceRequest/s1": REQUEST}
    task = {"resourceType": "Task", "id": "t", "status": "ready", "intent": "plan", "focus": LINK["reference"]}
    assert normalised(REQUEST) == [REQUEST]
    assert len(normalised(REQUEST, known=known)) == 2
    assert normalised(REQUEST, known=known | {"Task/t": task}) == [REQUEST]


BARE = {
    "resourceType": "Task",
    "id": "t9",
    "status": "rejected",
    "intent": "order",
    "code": {"text": "Depå"},
    "for": PATIENT,
    "owner": ORGANISATION,
    "restriction": {"period": {"end": "2025-12-01"}},
    "note": [{"text": "avböjt"}],
}


def test_a_task_that_the_plan_names_becomes_request_and_task():
    care_plan, task, request = normalised(plan({"reference": {"reference": "Task/t9"}}), BARE)
    assert care_plan["activity"] == [{"reference": {"reference": f"ServiceRequest/{request['id']}"}}]
    assert task == BARE | {"focus": care_plan["activity"][0]["reference"]}
    assert (request["status"], request["code"], request["performer"]) == ("revoked", {"text": "Depå"}, [ORGANISATION])
    assert request["occurrencePeriod"] == {"end": "2025-12-01"}


def test_a_task_that_the_plan_does_not_name_is_something_else():
    assert normalised(plan(), BARE) == [plan(), BARE]


def kl_intervention(**more):
    return {
        "resourceType": "CarePlan",
        "id": "kl1",
        "basedOn": [{"reference": PLAN}],
        "status": "active",
        "intent": "order",
        "subject": PATIENT,
        "period": {"start": "2025-03-01"},
        "goal": [{"reference": "Goal/g1"}],
        "addresses": [{"reference": "Condition/1"}],
        "careTeam": [{"reference": "CareTeam/1"}],
        "author": ORGANISATION,
        "activity": [{"detail": {"code": {"text": "Støtte til psykisk trivsel"}, "status": "in-progress"}}],
    } | more


def test_a_care_plan_based_on_the_plan_becomes_one_intervention_of_it():
    follow_up = {
        "resourceType": "Observation",
        "id": "o1",
        "status": "final",
        "code": {"text": "opfølgning"},
        "focus": [{"reference": "CarePlan/kl1"}],
    }
    care_plan, observation, request, task = normalised(plan(), kl_intervention(), follow_up)
    assert care_plan["activity"] == [{"reference": {"reference": f"ServiceRequest/{request['id']}"}}]
    assert observation["focus"] == [{"reference": f"ServiceRequest/{request['id']}"}]
    assert (request["code"], request["requester"]) == ({"text": "Støtte til psykisk trivsel"}, ORGANISATION)
    assert (request["occurrencePeriod"], request["performer"]) == (
        {"start": "2025-03-01"},
        [{"reference": "CareTeam/1"}],
    )
    assert request["reasonReference"] == [{"reference": "Condition/1"}]
    assert (request["status"], task["status"]) == ("active", "in-progress")


def test_nothing_that_an_intervention_plan_says_is_lost():
    intervention = kl_intervention(title="Ydelse", note=[{"text": "x"}]) | {"partOf": [{"reference": "CarePlan/9"}]}
    found = leaves(normalised(plan(), intervention))
    assert not [leaf for leaf in leaves(intervention | {"id": "intervention"}) if leaf not in found]


def test_an_intervention_plan_without_activities_is_an_intervention_by_its_title():
    intervention = {name: value for name, value in kl_intervention(title="Ydelse").items() if name != "activity"}
    _, request, task = normalised(plan(), intervention)
    assert (request["code"], task["status"]) == ({"text": "Ydelse"}, "in-progress")


def test_a_plan_based_on_another_plan_is_left_alone():
    other = kl_intervention(basedOn=[{"reference": "CarePlan/another"}])
    assert normalised(plan(), other) == [plan(), other]


def public_plans():
    if not PUBLIC_EXAMPLES.exists():
        return []
    texts = (path.read_bytes() for path in sorted(PUBLIC_EXAMPLES.rglob("*.json")))
    return [one for one in map(parse_json, texts) if isinstance(one, dict) and one.get("resourceType") == "CarePlan"]


def test_public_example_plans_keep_all_their_words():
    found = [one for one in public_plans() if "subject" in one and "id" in one]
    if not found:
        pytest.skip("the public example plans (shared/data/fhir) are not beside this checkout")
    for care_plan in found:
        result = normalise([care_plan], plan_ref=f"CarePlan/{care_plan['id']}")
        words = [leaf for leaf in leaves(care_plan.get("activity", [])) if leaf not in leaves(result)]
        assert not words, care_plan["id"]
        assert not [one for one in result[0].get("activity", []) if "detail" in one]
        targets = {pointer["reference"] for _, pointer in references_in(result[0].get("activity", []))}
        assert {f"ServiceRequest/{one['id']}" for one in by_type(result, "ServiceRequest")} <= targets
