"""What of a plan a party is shown."""

from __future__ import annotations

from datetime import UTC, datetime

from fhir_adapter.access.identity import Party
from fhir_adapter.access.policies import Decision
from fhir_adapter.access.projection import project
from fhir_adapter.plan.changes import conflict_task
from fhir_adapter.plan.merge import Conflict

NUMBER = "urn:oid:2.5.4.97"
KOMMUN = Party("salem", "Salems kommun", frozenset({(NUMBER, "2120002874")}))
REGION = Party("region-stockholm", "Region Stockholm", frozenset({(NUMBER, "2321000016")}))
THIRD = Party("nykvarn", "Nykvarns kommun", frozenset({(NUMBER, "2120002999")}))


def question(other_party, live_party=None):
    conflict = Conflict(
        "Goal/g1", "description", None, {"text": "a"}, {"text": "b"}, live_party, other_party, "both-changed"
    )
    return conflict_task(
        conflict,
        id="q",
        plan_ref="CarePlan/p",
        patient_ref=None,
        owner_org_ref="Organization/kommun",
        now=datetime(2025, 6, 2, tzinfo=UTC),
    )


def plan(*more):
    number = [{"system": NUMBER, "value": "2120002874"}]
    found = [
        {"resourceType": "CarePlan", "id": "p"},
        {"resourceType": "Goal", "id": "g1"},
        {"resourceType": "Task", "id": "t1"},
        {"resourceType": "Organization", "id": "kommun", "identifier": number},
        *more,
    ]
    return {f"{one['resourceType']}/{one['id']}": one for one in found}


def test_the_plan_itself_is_shown_as_it_is_and_in_its_order():
    assert list(project(plan(), REGION).items()) == list(plan().items())


def test_who_looked_and_who_wrote_is_shown_to_no_party():
    more = [{"resourceType": "AuditEvent", "id": "a"}, {"resourceType": "Provenance", "id": "v"}]
    assert project(plan(*more), KOMMUN) == plan()


def test_a_question_is_shown_to_both_sides_of_it_and_to_who_is_asked():
    resources = plan(question("region-stockholm"))
    assert "Task/q" in project(resources, REGION)
    assert "Task/q" in project(resources, KOMMUN)
    assert "Task/q" in project(plan(question("salem", "region-stockholm")), REGION)


def test_a_question_between_others_is_not_shown():
    assert project(plan(question("region-stockholm", "salem")), THIRD) == plan()


def test_a_decision_that_does_not_permit_shows_nothing():
    assert project(plan(), REGION, Decision(False, ("there is no consent",))) == {}
    assert project(plan(), REGION, Decision(True, ())) == plan()
