"""What follows from a merge, as steps."""

from __future__ import annotations

from datetime import UTC, datetime

from fhir_adapter.plan.decide import CLOSURE_REASON, decide
from fhir_adapter.plan.merge import merge
from fhir_adapter.plan.owners import Owners

NOW = datetime(2025, 6, 2, 8, tzinfo=UTC)
OWNERS = Owners("kommun", lambda _reference: "kommun")

PATIENT = {"resourceType": "Patient", "id": "elin"}
PLAN = {"resourceType": "CarePlan", "id": "p", "status": "active"}
REQUEST = {"resourceType": "ServiceRequest", "id": "s", "status": "active"}
TASK = {"resourceType": "Task", "id": "t", "status": "requested", "focus": {"reference": "ServiceRequest/s"}}
CONFLICT = {"coding": [{"system": "https://fhir-adapter.example/fhir/CodeSystem/conflict", "code": "resolve-conflict"}]}


def meeting(start="2025-08-21T13:00:00Z", status="booked", answer="accepted"):
    who = {"actor": {"reference": "Organization/region"}, "status": answer}
    return {"resourceType": "Appointment", "id": "a", "status": status, "start": start, "participant": [who]}


def steps(ours, *said):
    ours = {f"{one['resourceType']}/{one['id']}": one for one in ours}
    theirs = {f"{one['resourceType']}/{one['id']}": one for one in said}
    merged = merge([ours], ours, theirs, party="kommun", owners=OWNERS, partial=True, now=NOW)
    return decide(merged, ours, NOW)


def test_without_a_change_there_is_nothing_to_do():
    found = steps([PLAN, REQUEST, TASK], PLAN)
    assert (found.save, list(found.ask), list(found.bury), found.unusual) == ({}, [], [], ())


def test_a_request_that_ends_ends_its_task():
    found = steps([REQUEST, TASK], REQUEST | {"status": "completed"})
    assert found.save["Task/t"]["status"] == "completed"


def test_a_task_that_was_opened_after_its_request_had_ended_stays_open():
    ended, opened = REQUEST | {"status": "revoked"}, TASK | {"status": "in-progress"}
    assert "Task/t" not in steps([ended, opened], ended | {"intent": "plan"}).save


def test_a_death_ends_what_is_open_but_not_the_question_about_a_conflict():
    question = TASK | {"id": "q", "code": CONFLICT}
    over = meeting("2025-05-01T13:00:00Z", "fulfilled") | {"id": "over"}
    found = steps([PATIENT, PLAN, TASK, question, meeting(), over], PATIENT | {"deceasedBoolean": True})
    assert found.save["CarePlan/p"]["status"] == "completed"
    assert found.save["CarePlan/p"]["extension"][0]["url"] == CLOSURE_REASON
    assert found.save["Task/t"]["status"] == found.save["Appointment/a"]["status"] == "cancelled"
    assert not {"Task/q", "Appointment/over"} & found.save.keys()


def test_a_death_that_was_known_ends_nothing_again():
    dead = PATIENT | {"deceasedBoolean": True}
    assert steps([dead, PLAN], dead | {"deceasedDateTime": "2025-06-01"}).save.keys() == {"Patient/elin"}


def test_a_plan_that_says_why_it_ends_keeps_its_reason():
    told = PLAN | {"extension": [{"url": CLOSURE_REASON, "valueCodeableConcept": {"text": "avliden"}}]}
    found = steps([PATIENT, told], PATIENT | {"deceasedBoolean": True})
    assert found.save["CarePlan/p"] == told | {"status": "completed"}


def test_a_meeting_without_a_time_is_not_over():
    unplanned = {name: value for name, value in meeting().items() if name != "start"}
    found = steps([PATIENT, PLAN, unplanned], PATIENT | {"deceasedBoolean": True})
    assert found.save["Appointment/a"]["status"] == "cancelled"


def test_a_moved_meeting_is_asked_for_again_but_an_answer_to_the_new_time_stands():
    moved = meeting("2025-08-22T13:00:00Z")
    assert steps([meeting()], moved).save["Appointment/a"]["participant"][0]["status"] == "needs-action"
    answered = meeting("2025-08-22T13:00:00Z", answer="declined")
    assert steps([meeting()], answered).save["Appointment/a"]["participant"][0]["status"] == "declined"


def test_a_state_that_is_left_although_it_is_an_end_is_told():
    (unusual,) = steps([PLAN | {"status": "completed"}], PLAN).unusual
    assert unusual[0] == "CarePlan/p"
    assert unusual[1].severity == "error"
