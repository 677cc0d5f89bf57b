"""Conflicts are shown in each party's own words and decided by who may decide; nothing is lost on the way."""

from __future__ import annotations

import copy
from typing import Any
from uuid import uuid4

import requests

from tests.flows.conftest import Town

DECISION = "https://fhir-adapter.example/fhir/CodeSystem/conflict-decision"


def conflict_about_a_goal(town: Town, sip: dict[str, Any]) -> str:
    """Both rewrite the third goal; returns the conflict's id."""
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    goal = town.goal_at_region(plan, "buss")
    town.put_at_region(goal | {"description": {"text": "Regionens ord"}})
    sip["mal"][2]["text"] = "Kommunens ord"
    town.push(sip)
    town.sync()
    town.sync()
    (one,) = listed(town)
    return str(one["id"])


def listed(town: Town, party: str = "sodertalje", **params: str) -> list[dict[str, Any]]:
    answer = town.get(f"/parties/{party}/conflicts", **params)
    assert answer.status_code == 200, answer.text
    found: list[dict[str, Any]] = answer.json()["conflicts"]
    return found


def shown(town: Town, conflict: str, party: str = "sodertalje") -> dict[str, Any]:
    answer = town.get(f"/parties/{party}/conflicts/{conflict}")
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def decide(
    town: Town, conflict: str, decision: str, *, party: str = "sodertalje", key: str | None = None, **said: Any
) -> requests.Response:
    return town.post(f"/parties/{party}/conflicts/{conflict}/decision", {"decision": decision} | said, key=key)


def task_at_region(town: Town, conflict: str) -> dict[str, Any]:
    return town.at_region(f"Task/{conflict}")


def goal_texts(town: Town) -> list[str]:
    return [mal["text"] for mal in town.record()["mal"]]


def test_each_party_reads_the_conflict_in_its_own_words(town: Town, sip: dict[str, Any]) -> None:
    conflict = conflict_about_a_goal(town, sip)
    ours = shown(town, conflict)
    assert (ours["path"], ours["words"], ours["kind"]) == ("mal[2].text", "native", "both-changed")
    assert (ours["base"], ours["live"], ours["kept"]) == (
        "Jag åker buss till Järna en gång i veckan.",
        "Kommunens ord",
        "Regionens ord",
    )
    assert (ours["liveFrom"], ours["keptFrom"]) == ("sodertalje", "region-stockholm")
    assert ours["mayDecide"] == ["keep", "take", "write", "later"]
    theirs = shown(town, conflict, "region-stockholm")
    assert (theirs["path"], theirs["words"], theirs["kept"]) == ("", "fhir", {"text": "Regionens ord"})
    assert theirs["element"].endswith("#description")
    assert theirs["mayDecide"] == ["keep"]


def test_who_may_not_see_the_plan_sees_no_conflict_of_it(town: Town, sip: dict[str, Any]) -> None:
    conflict = conflict_about_a_goal(town, sip)
    assert listed(town, "nykvarn") == []
    assert town.get(f"/parties/nykvarn/conflicts/{conflict}").status_code == 404
    assert decide(town, conflict, "keep", party="nykvarn").status_code == 404
    assert town.get("/parties/sodertalje/conflicts/nothing").status_code == 404
    assert town.get("/parties/sodertalje/conflicts", plan="nothing").status_code == 404


def test_a_plan_that_a_party_may_not_see_is_to_it_as_one_that_is_not_there(town: Town, sip: dict[str, Any]) -> None:
    plan = shown(town, conflict_about_a_goal(town, sip))["plan"]
    assert len(listed(town, plan=plan)) == 1
    for params in ({}, {"state": "all"}):
        theirs = town.get("/parties/salem/conflicts", plan=plan, **params)
        nobodys = town.get("/parties/salem/conflicts", plan=str(uuid4()), **params)
        assert (theirs.status_code, theirs.content) == (404, nobodys.content)


def test_keep_leaves_the_live_value_and_closes_the_question(town: Town, sip: dict[str, Any]) -> None:
    conflict = conflict_about_a_goal(town, sip)
    answer = decide(town, conflict, "keep", reason="Så säger Elin.")
    assert (answer.status_code, answer.json()["state"]) == (200, "decided"), answer.text
    assert "Kommunens ord" in goal_texts(town)
    assert listed(town) == []
    (decided,) = listed(town, state="decided")
    assert decided["decision"]["decision"] == "keep"
    assert (decided["decision"]["by"], decided["decision"]["reason"]) == ("sodertalje", "Så säger Elin.")
    assert town.get("/parties/sodertalje/records").json()["records"][0]["conflicts"] == []
    town.sync()
    assert task_at_region(town, conflict)["status"] == "completed"


def test_take_makes_the_other_value_live_everywhere(town: Town, sip: dict[str, Any]) -> None:
    conflict = conflict_about_a_goal(town, sip)
    assert decide(town, conflict, "take").status_code == 200
    town.sync()
    assert goal_texts(town)[2] == "Regionens ord"
    task = task_at_region(town, conflict)
    assert town.at_region(task["focus"]["reference"])["description"] == {"text": "Regionens ord"}
    assert [output["valueCode"] for output in task["output"]] == ["take"]
    settled = task["meta"]["versionId"]
    town.sync()
    assert task_at_region(town, conflict)["meta"]["versionId"] == settled
    assert listed(town, state="all")[0]["state"] == "decided"


def test_write_takes_a_third_value_in_the_partys_own_words(town: Town, sip: dict[str, Any]) -> None:
    conflict = conflict_about_a_goal(town, sip)
    assert decide(town, conflict, "write", value="Vi enades om detta").status_code == 200
    assert goal_texts(town)[2] == "Vi enades om detta"
    town.sync()
    goal = task_at_region(town, conflict)["focus"]["reference"]
    assert town.at_region(goal)["description"]["text"] == "Vi enades om detta"
    version = town.get(f"/fhir/{goal}").json()["meta"]["versionId"]
    town.sync()
    assert town.get(f"/fhir/{goal}").json()["meta"]["versionId"] == version


def test_later_keeps_it_open_with_a_day_and_a_remark(town: Town, sip: dict[str, Any]) -> None:
    conflict = conflict_about_a_goal(town, sip)
    answer = decide(town, conflict, "later", until="2026-12-01", reason="Vi frågar Elin på mötet.")
    assert (answer.status_code, answer.json()["state"]) == (200, "open")
    (one,) = listed(town)
    assert one["decision"]["until"] == "2026-12-01"
    assert one["decision"]["reason"] == "Vi frågar Elin på mötet."
    town.sync()
    task = task_at_region(town, conflict)
    assert (task["status"], task["restriction"]["period"]["end"]) == ("on-hold", "2026-12-01")
    assert decide(town, conflict, "take").status_code == 200
    assert listed(town) == []


def test_the_same_decision_gets_the_same_answer_and_another_is_refused(town: Town, sip: dict[str, Any]) -> None:
    conflict = conflict_about_a_goal(town, sip)
    first = decide(town, conflict, "take", key="k")
    again = decide(town, conflict, "take", key="k")
    assert (again.status_code, again.content) == (200, first.content)
    assert again.headers["Idempotent-Replayed"] == "true"
    assert decide(town, conflict, "take").content == first.content
    assert decide(town, conflict, "keep", key="k").status_code == 409
    other = decide(town, conflict, "keep")
    assert other.status_code == 409
    assert "sodertalje" in other.json()["issues"][0]["message"]
    assert goal_texts(town)[2] == "Regionens ord"


def test_who_neither_owns_nor_leads_may_only_take_its_value_back(town: Town, sip: dict[str, Any]) -> None:
    conflict = conflict_about_a_goal(town, sip)
    answer = decide(town, conflict, "take", party="region-stockholm")
    assert answer.status_code == 403
    assert "sodertalje" in answer.json()["issues"][0]["message"]
    assert goal_texts(town)[2] == "Kommunens ord"
    assert len(listed(town)) == 1
    assert decide(town, conflict, "keep", party="region-stockholm").status_code == 200
    assert listed(town) == []


def test_a_live_value_that_changed_must_be_seen_before_it_is_decided(town: Town, sip: dict[str, Any]) -> None:
    conflict = conflict_about_a_goal(town, sip)
    old = shown(town, conflict)["seen"]
    sip["mal"][2]["text"] = "Kommunens nya ord"
    town.push(sip)
    for said in ({}, {"seen": old}):
        answer = decide(town, conflict, "take", **said)
        assert answer.status_code == 409
        assert answer.json()["conflict"]["live"] == "Kommunens nya ord"
    assert goal_texts(town)[2] == "Kommunens nya ord"
    assert decide(town, conflict, "take", seen=answer.json()["conflict"]["seen"]).status_code == 200
    assert goal_texts(town)[2] == "Regionens ord"


def test_a_conflict_closes_itself_when_the_plan_says_what_the_other_wanted(town: Town, sip: dict[str, Any]) -> None:
    conflict = conflict_about_a_goal(town, sip)
    sip["mal"][2]["text"] = "Regionens ord"
    town.push(sip)
    assert listed(town) == []
    assert shown(town, conflict)["decision"]["decision"] == "settled"
    town.sync()
    assert task_at_region(town, conflict)["status"] == "completed"


def test_what_is_no_decision_is_refused_by_its_field(town: Town, sip: dict[str, Any]) -> None:
    conflict = conflict_about_a_goal(town, sip)
    for said, path in (
        ({"decision": "perhaps"}, "decision"),
        ({"decision": "write"}, "value"),
        ({"decision": "keep", "value": "x"}, "value"),
        ({"decision": "later", "until": "soon"}, "until"),
        ({"decision": "keep", "until": "2026-12-01"}, "until"),
        ({"decision": "keep", "reason": 7}, "reason"),
        ({"decision": "keep", "because": "x"}, "because"),
        ({"decision": "write", "value": 7}, "mal[2].text"),
        (["keep"], ""),
    ):
        answer = town.post(f"/parties/sodertalje/conflicts/{conflict}/decision", said)
        assert (answer.status_code, [issue["path"] for issue in answer.json()["issues"]]) == (422, [path]), said
    assert len(listed(town)) == 1


def test_a_day_that_there_is_not_is_told_apart_from_a_day_that_is_not_asked_for(
    town: Town, sip: dict[str, Any]
) -> None:
    conflict = conflict_about_a_goal(town, sip)
    (late,) = decide(town, conflict, "later", until="2026-02-30").json()["issues"]
    (kept,) = decide(town, conflict, "keep", until="2026-12-01").json()["issues"]
    assert (late["message"], kept["message"]) == ("not a day of the calendar", "a day goes with later only")


def test_a_value_that_is_not_fhir_is_refused(town: Town, sip: dict[str, Any]) -> None:
    conflict, request = conflict_about_the_regions_own(town, sip)
    answer = decide(town, conflict, "write", party="region-stockholm", value={"text": 7})
    assert answer.status_code == 422
    assert "ServiceRequest.code" in answer.json()["issues"][0]["path"]
    assert decide(town, conflict, "write", party="region-stockholm", value="Enbart ord").status_code == 200
    assert live_code(town, request) == "Enbart ord"


def test_a_decision_is_in_the_journal_audited_and_has_its_author(town: Town, sip: dict[str, Any]) -> None:
    conflict = conflict_about_a_goal(town, sip)
    goal = shown(town, conflict)["element"].split("#")[0]
    decide(town, conflict, "take", key="k")
    assert town.get("/parties/sodertalje/receipts/k").json()["state"] == "decided"
    found = [entry["resource"] for entry in town.get("/fhir/Provenance", target=goal).json()["entry"]]
    latest = max(found, key=lambda one: one["recorded"])
    assert latest["agent"][0]["who"]["display"] == "Södertälje kommun"
    assert {f"Task/{conflict}", goal} <= {one["reference"] for one in latest["target"]}


# --- by Task ---------------------------------------------------------------------------------------------------------


def conflict_about_the_regions_own(town: Town, sip: dict[str, Any]) -> tuple[str, str]:
    """The region adds an intervention, then both rewrite it; returns the conflict's id and the request's."""
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    care_plan = town.at_region(f"CarePlan/{plan}")
    request = {"resourceType": "ServiceRequest", "id": str(uuid4()), "status": "active", "intent": "plan",
               "code": {"text": "Samtal"}, "subject": care_plan["subject"]}  # fmt: skip
    town.put_at_region(request)
    care_plan["activity"].append({"reference": {"reference": f"ServiceRequest/{request['id']}"}})
    town.put_at_region(care_plan)
    town.sync()
    record = town.record()
    next(one for one in record["insatser"] if one["text"] == "Samtal")["text"] = "Kommunens ord"
    there = town.at_region(f"ServiceRequest/{request['id']}")
    town.put_at_region(there | {"code": {"text": "Regionens ord"}})
    town.push(record)
    town.sync()
    town.sync()
    (one,) = listed(town)
    return one["id"], str(request["id"])


def answer_at_region(town: Town, conflict: str, *outputs: dict[str, Any], **elements: Any) -> dict[str, Any]:
    """The region completes the Task with these outputs; returns the Task as it stands there after a turn of sync."""
    task = task_at_region(town, conflict)
    output = {"output": list(outputs)} if outputs else {}
    town.put_at_region(task | {"status": "completed"} | output | elements)
    town.sync()
    town.sync()
    return task_at_region(town, conflict)


def output(code: str, **value: Any) -> dict[str, Any]:
    return {"type": {"coding": [{"system": DECISION, "code": code}]}} | value


def live_code(town: Town, request: str) -> str:
    return str(town.get(f"/fhir/ServiceRequest/{request}").json()["code"]["text"])


def test_the_owner_takes_the_other_value_by_completing_the_task(town: Town, sip: dict[str, Any]) -> None:
    conflict, request = conflict_about_the_regions_own(town, sip)
    assert live_code(town, request) == "Regionens ord"
    task = answer_at_region(town, conflict, output("decision", valueCode="take"))
    assert task["status"] == "completed"
    assert live_code(town, request) == "Kommunens ord"
    assert town.at_region(f"ServiceRequest/{request}")["code"] == {"text": "Kommunens ord"}
    assert shown(town, conflict)["decision"]["by"] == "region-stockholm"


def test_a_third_value_comes_with_the_task(town: Town, sip: dict[str, Any]) -> None:
    conflict, request = conflict_about_the_regions_own(town, sip)
    third = output("value", valueCodeableConcept={"text": "Tredje"})
    answer_at_region(town, conflict, output("decision", valueCode="write"), third)
    assert live_code(town, request) == "Tredje"
    assert listed(town) == []


def test_a_task_completed_without_output_keeps_what_is_live(town: Town, sip: dict[str, Any]) -> None:
    conflict, request = conflict_about_the_regions_own(town, sip)
    task = answer_at_region(town, conflict)
    assert (task["status"], task["output"][0]["valueCode"]) == ("completed", "keep")
    assert live_code(town, request) == "Regionens ord"
    assert shown(town, conflict)["kept"] == "Kommunens ord"


def test_an_answer_that_is_none_leaves_the_task_open_and_says_why(town: Town, sip: dict[str, Any]) -> None:
    conflict, request = conflict_about_the_regions_own(town, sip)
    task = answer_at_region(town, conflict, output("decision", valueCode="perhaps"))
    assert task["status"] == "requested"
    assert "keep, take, write, later" in task["note"][-1]["text"]
    assert live_code(town, request) == "Regionens ord"
    assert len(listed(town)) == 1
    assert answer_at_region(town, conflict, output("decision", valueCode="take"))["status"] == "completed"


def test_by_task_too_only_who_may_decide_decides(town: Town, sip: dict[str, Any]) -> None:
    conflict = conflict_about_a_goal(town, sip)
    task = answer_at_region(town, conflict, output("decision", valueCode="take"))
    assert task["status"] == "requested"
    assert "sodertalje" in task["note"][-1]["text"]
    assert goal_texts(town)[2] == "Kommunens ord"


def test_a_task_answered_with_an_old_value_in_view_stays_open_and_shows_the_new_one(
    town: Town, sip: dict[str, Any]
) -> None:
    conflict, request = conflict_about_the_regions_own(town, sip)
    old = task_at_region(town, conflict)
    there = town.at_region(f"ServiceRequest/{request}")
    town.put_at_region(there | {"code": {"text": "Regionens nya ord"}})
    town.sync()
    town.sync()
    task = task_at_region(town, conflict)
    assert "Regionens nya ord" in str(task["input"])
    town.put_at_region(old | {"meta": task["meta"], "status": "completed",
                              "output": [output("decision", valueCode="take")]})  # fmt: skip
    town.sync()
    town.sync()
    task = task_at_region(town, conflict)
    assert task["status"] == "requested"
    assert "another one by now" in task["note"][-1]["text"]
    assert live_code(town, request) == "Regionens nya ord"


def test_working_on_the_task_changes_its_state_and_nothing_else(town: Town, sip: dict[str, Any]) -> None:
    conflict = conflict_about_a_goal(town, sip)
    task = task_at_region(town, conflict)
    town.put_at_region(task | {"status": "received", "input": task["input"][:1], "description": "x",
                               "note": [{"text": "Vi tar upp det på mötet."}]})  # fmt: skip
    town.sync()
    town.sync()
    after = task_at_region(town, conflict)
    assert (after["status"], after["note"][0]["text"]) == ("received", "Vi tar upp det på mötet.")
    assert (after["input"], after["description"]) == (task["input"], task["description"])
    assert len(listed(town)) == 1


def test_a_conflict_about_what_is_gone_shows_what_was_kept_and_writes_nothing(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    goal = town.goal_at_region(plan, "buss")
    moved = [goal["target"][0] | {"dueDate": "2025-09-09"}]
    town.put_at_region(goal | {"target": moved})
    town.sync()
    late = copy.deepcopy(sip)
    late["mal"][2]["senast"] = "2025-08-08"
    (question,) = town.push(late).json()["conflicts"]
    for name in ("senast", "matt"):
        late["mal"][2].pop(name)
    assert town.push(late).status_code == 200
    (found,) = town.get("/parties/sodertalje/conflicts").json()["conflicts"]
    assert (found["words"], found["live"], found["kept"]) == ("fhir", None, "2025-09-09")
    assert found["mayDecide"] == ["keep", "later"]
    path = f"/parties/sodertalje/conflicts/{question['task']}/decision"
    refused = town.post(path, {"decision": "take", "seen": found["seen"]})
    assert (refused.status_code, refused.json()["issues"][0]["code"]) == (422, "not-found")
    assert town.post(path, {"decision": "keep", "seen": found["seen"]}).json()["state"] == "decided"
