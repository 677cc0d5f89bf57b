"""States: where a thing may go, how it ends, and what follows from that."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fhir_adapter.fhir.ends import ENDS
from fhir_adapter.plan import lifecycle
from fhir_adapter.plan.lifecycle import (
    LIFECYCLES,
    TASK_FOLLOWS,
    TASK_OF_REQUEST,
    align_task,
    check_transition,
    end_membership,
    is_removed,
    is_terminal,
    remove,
)
from tests.unit.r4 import is_valid_r4

NOW = datetime(2025, 6, 2, 8, tzinfo=UTC)

# http://hl7.org/fhir/R4: every code of the required value sets
CODES = {
    "CarePlan": "draft active on-hold revoked completed entered-in-error unknown",
    "ServiceRequest": "draft active on-hold revoked completed entered-in-error unknown",
    "Goal": "proposed planned accepted active on-hold completed cancelled entered-in-error rejected",
    "Task": "draft requested received accepted rejected ready cancelled in-progress on-hold failed completed "
    "entered-in-error",
    "Appointment": "proposed pending booked arrived fulfilled cancelled noshow entered-in-error checked-in waitlist",
    "CareTeam": "proposed active suspended inactive entered-in-error",
    "Consent": "draft proposed active rejected inactive entered-in-error",
}


def thing(type_, state, **more):
    return {"resourceType": type_, "id": "1", LIFECYCLES[type_][0]: state} | more


@pytest.mark.parametrize("type_", LIFECYCLES)
def test_every_state_of_the_standard_has_its_transitions(type_):
    assert LIFECYCLES[type_][1].keys() == set(CODES[type_].split())


@pytest.mark.parametrize("type_", LIFECYCLES)
def test_every_transition_leads_to_another_state_of_the_standard(type_):
    for state, following in LIFECYCLES[type_][1].items():
        assert set(following) <= LIFECYCLES[type_][1].keys() - {state}
        assert len(set(following)) == len(following)


@pytest.mark.parametrize("type_", LIFECYCLES)
def test_the_way_to_be_removed_is_open_from_every_state_that_is_not_terminal(type_):
    element, transitions = LIFECYCLES[type_]
    for state in transitions:
        before = thing(type_, state)
        after = remove(before, NOW)
        if is_terminal(before):
            assert after == before
        else:
            assert after[element] == ENDS[type_][1]
            assert check_transition(before, after) is None
            assert is_removed(after)


@pytest.mark.parametrize("type_", LIFECYCLES)
def test_an_end_is_not_left_silently_but_for_a_correction(type_):
    for state in LIFECYCLES[type_][1]:
        if not is_terminal(thing(type_, state)):
            continue
        for other in LIFECYCLES[type_][1].keys() - {state, "entered-in-error"}:
            issue = check_transition(thing(type_, state), thing(type_, other))
            assert issue is not None
            assert (issue.severity, issue.code) == ("error", "business-rule")
            assert issue.path.startswith(type_)


def test_an_unusual_step_elsewhere_is_a_warning():
    issue = check_transition(thing("Task", "in-progress"), thing("Task", "received"))
    assert issue is not None
    assert issue.severity == "warning"


def test_no_change_and_unknown_states_are_no_issue():
    assert check_transition(thing("Goal", "completed"), thing("Goal", "completed")) is None
    assert check_transition({"resourceType": "Goal"}, thing("Goal", "active")) is None
    assert check_transition({"resourceType": "Patient"}, {"resourceType": "Patient", "status": "x"}) is None


def test_persons_organisations_and_the_services_own_notes_cannot_be_removed():
    for type_ in ("Patient", "Organization", "Practitioner", "PractitionerRole", "RelatedPerson", "Provenance"):
        resource = {"resourceType": type_, "id": "1", "active": True}
        assert remove(resource, NOW) is resource
    coding = {"system": "https://fhir-adapter.example/fhir/CodeSystem/conflict", "code": "resolve-conflict"}
    question = thing("Task", "requested", code={"coding": [coding]})
    assert remove(question, NOW) is question


def test_a_need_that_is_no_longer_listed_is_inactive_not_an_error():
    need = {"resourceType": "Condition", "id": "1", "subject": {"reference": "Patient/1"}}
    after = remove(need, NOW)
    assert after["clinicalStatus"]["coding"][0]["code"] == "inactive"
    assert is_valid_r4(after)
    assert remove(after, NOW) == after


def test_an_error_stays_an_error():
    wrong = {"resourceType": "Condition", "id": "1", "verificationStatus": {"coding": [{"code": "entered-in-error"}]}}
    assert remove(wrong, NOW) is wrong


def test_a_planned_stay_is_cancelled_and_a_past_one_was_an_error():
    assert remove({"resourceType": "Encounter", "id": "1", "status": "planned"}, NOW)["status"] == "cancelled"
    assert remove({"resourceType": "Encounter", "id": "1", "status": "finished"}, NOW)["status"] == "entered-in-error"


def test_a_membership_ends_now_and_only_once():
    ended = end_membership({"member": {"reference": "PractitionerRole/1"}, "period": {"start": "2025-02"}}, NOW)
    assert ended["period"] == {"start": "2025-02", "end": "2025-06-02T08:00:00Z"}
    assert end_membership(ended, datetime(2026, 1, 1, tzinfo=UTC)) is ended


def test_a_membership_does_not_end_before_it_starts():
    assert end_membership({"period": {"start": "2025-09-01"}}, NOW)["period"]["end"] == "2025-09-01"


def test_a_removed_team_ends_as_a_whole():
    after = remove(thing("CareTeam", "active"), NOW)
    assert (after["status"], after["period"]) == ("inactive", {"end": "2025-06-02T08:00:00Z"})


@pytest.mark.parametrize(("request_status", "task_status"), TASK_FOLLOWS.items())
def test_the_task_follows_the_end_of_its_request(request_status, task_status):
    task = align_task(thing("ServiceRequest", request_status), thing("Task", "in-progress"))
    assert task["status"] == task_status


@pytest.mark.parametrize("state", ["completed", "failed", "rejected", "cancelled", "entered-in-error"])
def test_a_task_that_ended_stays_as_it_ended(state):
    task = thing("Task", state)
    assert align_task(thing("ServiceRequest", "revoked"), task) is task


def test_a_request_that_goes_on_leaves_its_task_alone():
    task = thing("Task", "on-hold")
    assert align_task(thing("ServiceRequest", "active"), task) is task


def test_the_first_task_of_a_request_has_a_state_for_every_state_of_the_request():
    assert TASK_OF_REQUEST.keys() == lifecycle.REQUEST.keys()
    assert set(TASK_OF_REQUEST.values()) <= lifecycle.TASK.keys()
