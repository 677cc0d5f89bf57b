"""What a completed Task answers, what a typed text means, and when a conflict has settled itself."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fhir_adapter.errors import Refused
from fhir_adapter.plan import decisions
from fhir_adapter.plan.changes import conflict_task
from fhir_adapter.plan.decisions import DECISION, Decision
from fhir_adapter.plan.elements import Conflict
from fhir_adapter.plan.owners import Owners
from tests.unit.r4 import is_valid_r4

NOW = datetime(2025, 6, 2, 8, tzinfo=UTC)
GOAL = {"resourceType": "Goal", "id": "1", "lifecycleStatus": "active", "description": {"text": "live"},
        "subject": {"reference": "Patient/1"}}  # fmt: skip
TEXT = Conflict(
    "Goal/1", "description", {"text": "base"}, {"text": "live"}, {"text": "other"}, "a", "b", "both-changed"
)
GONE = Conflict("Goal/1", "", None, GOAL, None, "a", "b", "edit-against-delete")


def task(*outputs, conflict=TEXT):
    asked = conflict_task(
        conflict, id="t", plan_ref="CarePlan/1", patient_ref="Patient/1", owner_org_ref="Organization/1", now=NOW
    )
    said = [{"type": {"coding": [{"system": DECISION, "code": code}]}, name: value} for code, name, value in outputs]
    return asked | {"status": "completed"} | ({"output": said} if said else {})


@pytest.mark.parametrize(
    ("outputs", "decision"),
    [
        ([], Decision("keep")),
        ([("decision", "valueCode", "take")], Decision("take")),
        ([("decision", "valueCoding", {"system": DECISION, "code": "take"})], Decision("take")),
        ([("decision", "valueCodeableConcept", {"coding": [{"system": DECISION, "code": "take"}]})], Decision("take")),
        ([("value", "valueString", "third")], Decision("write", {"text": "third"})),
        ([("decision", "valueCode", "write"), ("value", "valueString", '{"text": "third"}')],
         Decision("write", {"text": "third"})),
        ([("decision", "valueCode", "write"), ("value", "valueCodeableConcept", {"text": "third"})],
         Decision("write", {"text": "third"})),
        ([("decision", "valueCode", "later"), ("until", "valueDate", "2025-07-01"), ("reason", "valueString", "why")],
         Decision("later", None, "why", "2025-07-01")),
    ],
)  # fmt: skip
def test_a_completed_task_answers(outputs, decision):
    assert decisions.decision_in(task(*outputs), TEXT) == decision


@pytest.mark.parametrize(
    ("outputs", "path"),
    [
        ([("decision", "valueCode", "perhaps")], "Task.output[decision]"),
        ([("decision", "valueCode", "write")], "Task.output[value]"),
        ([("decision", "valueCode", "write"), ("value", "valueString", "{")], "value"),
        ([("decision", "valueCode", "later"), ("until", "valueDate", "2025")], "Task.output[until]"),
    ],
)
def test_what_is_no_answer_is_refused_by_its_place(outputs, path):
    with pytest.raises(Refused) as refused:
        decisions.decision_in(task(*outputs), TEXT)
    assert [issue.path for issue in refused.value.issues] == [path]


@pytest.mark.parametrize(
    "decision",
    [
        Decision("keep"),
        Decision("take", reason="why"),
        Decision("write", {"text": "x"}),
        Decision("later", until="2025-07-01", reason="why"),
    ],
)
def test_the_answered_task_is_valid_and_says_what_was_decided(decision):
    asked = task() | {"status": "requested"}
    answered = decisions.answered(asked, decision)
    assert is_valid_r4(answered)
    if decision.word != "later":
        assert decisions.decision_in(answered, TEXT) == decision


def test_the_task_tells_which_live_value_it_showed():
    showing = decisions.showing(task(), TEXT, {"text": "newer"})
    assert is_valid_r4(showing)
    assert decisions.live_seen_in(task()) == decisions.word_for({"text": "live"})
    assert decisions.live_seen_in(showing) == decisions.word_for({"text": "newer"})
    assert decisions.live_seen_in(decisions.showing(task(), TEXT, None)) == decisions.word_for(None)


def test_an_open_question_settles_itself_when_the_plan_says_what_the_other_wanted():
    before, after = {"Goal/1": GOAL, "Task/t": task()}, {"Goal/1": GOAL | {"description": {"text": "other"}}}
    (outcome,) = decisions.looked_at_again({"t": TEXT}, before, after)
    assert (outcome.is_settled, outcome.task["status"]) == (True, "completed")
    (outcome,) = decisions.looked_at_again({"t": TEXT}, before, {"Goal/1": GOAL | {"description": {"text": "c"}}})
    assert (outcome.is_settled, decisions.live_seen_in(outcome.task)) == (False, decisions.word_for({"text": "c"}))
    assert not list(decisions.looked_at_again({"t": TEXT}, before, {"Goal/1": GOAL | {"lifecycleStatus": "completed"}}))


def test_taking_a_removal_ends_the_thing():
    edited = decisions.edit_of(GONE, Decision("take"), {"Goal/1": GOAL}, NOW)
    assert edited == GOAL | {"lifecycleStatus": "cancelled"}
    assert decisions.is_settled(GONE, {"Goal/1": edited})
    assert not decisions.is_settled(GONE, {"Goal/1": GOAL})


def test_what_is_quarantined_is_about_the_whole_resource_whatever_keeps_it_out():
    other = GOAL | {"modifierExtension": [{"url": "https://x.example/not", "valueBoolean": True}]}
    conflict = Conflict("Goal/1", "modifierExtension", None, None, other, None, "b", "quarantined")
    assert decisions.live_value(conflict, {"Goal/1": GOAL}) == GOAL
    assert decisions.edit_of(conflict, Decision("take"), {"Goal/1": GOAL}, NOW) == other
    assert not decisions.is_settled(conflict, {"Goal/1": GOAL})


def test_a_task_says_why_something_was_quarantined():
    blind = Conflict("Goal/1", "", None, None, GOAL, None, "b", "quarantined")
    of_another = Conflict("Goal/1", "subject", None, None, GOAL, None, "b", "quarantined")
    assert "not shown to its author" in task(conflict=blind)["description"]
    assert "another person" in task(conflict=of_another)["description"]


def test_who_added_an_item_decides_about_it():
    mark = {"url": "https://x.example/mark", "valueString": "red"}
    owners = Owners(
        "kommun", lambda _: "kommun", added=lambda ref, path, item: "region" if path == "extension" else None
    )
    conflict = Conflict(
        "Goal/1", "extension[https://x.example/mark]", None, mark, None, "a", "b", "edit-against-delete"
    )
    assert decisions.owner_of(conflict, owners, {"Goal/1": GOAL | {"extension": [mark]}}) == "region"
