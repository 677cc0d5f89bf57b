"""Steps of a Task by the role of who takes them, through push and sync; the team follows in the same change."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from tests.flows.conftest import Town

REGION = {"identifier": {"system": "urn:oid:2.5.4.97", "value": "2321000016"}, "display": "Region Stockholm"}
MUNICIPALITY = {"identifier": {"system": "urn:oid:2.5.4.97", "value": "2120000159"}, "display": "Södertälje kommun"}


def task_at_region(town: Town, sip_text: str, plan: str) -> dict[str, Any]:
    for activity in town.at_region(f"CarePlan/{plan}")["activity"]:
        request = activity["reference"]["reference"]
        if town.at_region(request).get("code", {}).get("text") == sip_text:
            (entry,) = town.at_region("Task", focus=request, _count=5)["entry"]
            found: dict[str, Any] = entry["resource"]
            return found
    raise AssertionError(sip_text)


def asked_by_the_region(town: Town, plan: str, **task: Any) -> str:
    """The region asks the municipality for something; returns the Task's id."""
    care_plan = town.at_region(f"CarePlan/{plan}")
    request = {"resourceType": "ServiceRequest", "id": str(uuid4()), "status": "active", "intent": "order",
               "code": {"text": "Följa med till läkaren"}, "subject": care_plan["subject"]}  # fmt: skip
    asked = {"resourceType": "Task", "id": str(uuid4()), "status": "requested", "intent": "order",
             "basedOn": [{"reference": f"CarePlan/{plan}"}], "for": care_plan["subject"],
             "focus": {"reference": f"ServiceRequest/{request['id']}"},
             "requester": REGION, "owner": MUNICIPALITY} | task  # fmt: skip
    town.put_at_region(request)
    town.put_at_region(asked)
    care_plan["activity"].append({"reference": {"reference": f"ServiceRequest/{request['id']}"}})
    town.put_at_region(care_plan)
    town.sync()
    town.sync()
    return str(asked["id"])


def conflicts(town: Town) -> list[tuple[str, str, Any]]:
    found = town.get("/parties/sodertalje/conflicts").json()["conflicts"]
    return [(one["kind"], one["path"], one["kept"]) for one in found]


def team(town: Town, plan: str) -> list[tuple[str, bool]]:
    """The members that a Task made, each with whether it has left."""
    reference = town.get(f"/fhir/CarePlan/{plan}").json()["careTeam"][0]["reference"]
    participants = town.get(f"/fhir/{reference}").json()["participant"]
    return [(one["member"]["display"], "end" in one["period"]) for one in participants if "period" in one]


def test_a_performer_tells_how_far_its_own_work_is(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    town.put_at_region(task_at_region(town, sip["insatser"][0]["text"], plan) | {"status": "completed"})
    town.sync()
    assert town.record()["insatser"][0]["status"] == "klar"
    assert conflicts(town) == []


def test_a_step_that_is_another_partys_is_kept_and_not_applied(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    task = task_at_region(town, sip["insatser"][1]["text"], plan)
    town.put_at_region(task | {"status": "completed"})
    town.sync()
    town.sync()
    assert town.record()["insatser"][1]["status"] == "pågående"
    assert conflicts(town) == [("not-allowed", "insatser[1].status", "klar")]
    assert town.at_region(f"Task/{task['id']}")["status"] == "in-progress"


def test_the_lead_may_take_the_step_that_was_kept(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    task = task_at_region(town, sip["insatser"][1]["text"], plan)
    town.put_at_region(task | {"status": "completed"})
    town.sync()
    (one,) = town.get("/parties/sodertalje/conflicts").json()["conflicts"]
    answer = town.post(f"/parties/sodertalje/conflicts/{one['id']}/decision", {"decision": "take"})
    assert answer.status_code == 200, answer.text
    town.sync()
    assert town.record()["insatser"][1]["status"] == "klar"
    assert town.at_region(f"Task/{task['id']}")["status"] == "completed"


def test_who_asked_must_not_accept_for_who_was_asked(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    task = asked_by_the_region(town, plan)
    town.put_at_region(town.at_region(f"Task/{task}") | {"status": "accepted"})
    town.sync()
    town.sync()
    assert town.at_region(f"Task/{task}")["status"] == "requested"
    assert conflicts(town) == [("not-allowed", "insatser[4].status", "planerad")]
    assert team(town, plan) == []


def test_the_municipality_accepts_in_its_own_words_and_is_a_member_until_it_is_done(
    town: Town, sip: dict[str, Any]
) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    task = asked_by_the_region(town, plan)
    for status, state, members in (
        ("pågående", "in-progress", [("Södertälje kommun", False)]),
        ("klar", "completed", [("Södertälje kommun", True)]),
    ):
        record = town.record()
        next(one for one in record["insatser"] if one["text"] == "Följa med till läkaren")["status"] = status
        receipt = town.push(record).json()
        assert receipt["conflicts"] == [], receipt
        town.sync()
        assert town.at_region(f"Task/{task}")["status"] == state
        assert team(town, plan) == members
    assert town.push(town.record()).json()["state"] == "unchanged"


def test_what_was_asked_for_stays_what_it_is(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    task = asked_by_the_region(town, plan)
    town.put_at_region(town.at_region(f"Task/{task}") | {"owner": REGION, "priority": "urgent"})
    town.sync()
    town.sync()
    there = town.at_region(f"Task/{task}")
    assert (there["owner"], there["priority"]) == (MUNICIPALITY, "urgent")
    assert [kind for kind, _, _ in conflicts(town)] == ["not-allowed"]


def test_nor_does_a_decision_make_it_another_request(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    task = asked_by_the_region(town, plan)
    town.put_at_region(town.at_region(f"Task/{task}") | {"owner": REGION, "intent": "plan"})
    town.sync()
    for one in town.get("/parties/sodertalje/conflicts").json()["conflicts"]:
        for party in ("region-stockholm", "sodertalje"):  # who asked, and who leads the plan
            shown = town.get(f"/parties/{party}/conflicts/{one['id']}").json()
            assert shown["mayDecide"] == ["keep", "later"], "what will be refused is not offered"
            answer = town.post(f"/parties/{party}/conflicts/{one['id']}/decision", {"decision": "take"})
            assert answer.status_code == 422, one
            assert "not-allowed" in answer.json()["issues"][0]["message"]
        kept = town.post(f"/parties/region-stockholm/conflicts/{one['id']}/decision", {"decision": "keep"})
        assert kept.status_code == 200
    town.sync()
    there = town.at_region(f"Task/{task}")
    assert (there["owner"], there["intent"]) == (MUNICIPALITY, "order")


def test_nor_does_a_decision_reopen_it(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    task = asked_by_the_region(town, plan)
    town.put_at_region(town.at_region(f"Task/{task}") | {"status": "cancelled"})
    town.sync()
    town.put_at_region(town.at_region(f"Task/{task}") | {"status": "requested"})
    town.sync()
    (asked,) = town.get("/parties/sodertalje/conflicts").json()["conflicts"]
    assert "take" not in asked["mayDecide"]
    for decision in ({"decision": "take"}, {"decision": "write", "value": "pågående"}):
        answer = town.post(f"/parties/sodertalje/conflicts/{asked['id']}/decision", decision)
        assert answer.status_code == 422, answer.text
        assert "not-allowed" in answer.json()["issues"][0]["message"]
    town.sync()
    assert town.at_region(f"Task/{task}")["status"] == "cancelled"


def test_the_request_behind_a_task_is_ended_by_who_asked(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    task = asked_by_the_region(town, plan)
    for status in ("pågående", "avbruten"):  # who does may fail; to call it off is for who asked
        record = town.record()
        next(one for one in record["insatser"] if one["text"] == "Följa med till läkaren")["status"] = status
        receipt = town.push(record).json()
    assert {(one["kind"], one["path"]) for one in receipt["conflicts"]} == {("not-allowed", "insatser[4].status")}
    town.sync()
    assert town.at_region(f"Task/{task}")["status"] == "in-progress"
    request = town.at_region(f"Task/{task}")["focus"]["reference"]
    town.put_at_region(town.at_region(request) | {"status": "revoked"})
    town.sync()
    town.sync()
    assert town.at_region(f"Task/{task}")["status"] == "cancelled"
