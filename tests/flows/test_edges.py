"""The road where it is rough: deletions, withdrawn consent, a region that is away, parts that belong elsewhere."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import requests

from fhir_adapter.flows import sync
from fhir_adapter.store import copies, outbox
from fhir_adapter.store.database import Database
from tests.flows.conftest import SAMPLES, Town


def test_a_goal_deleted_at_the_region_stays_in_the_plan_and_a_task_asks(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    goal = town.goal_at_region(plan, "buss")
    care_plan = town.at_region(f"CarePlan/{plan}")
    care_plan["goal"] = [each for each in care_plan["goal"] if each["reference"] != f"Goal/{goal['id']}"]
    town.put_at_region(care_plan)
    requests.delete(f"{town.region}/Goal/{goal['id']}", timeout=30).raise_for_status()
    town.sync()
    town.sync()
    assert "Jag åker buss till Järna en gång i veckan." in [mal["text"] for mal in town.record()["mal"]]
    tasks = town.get("/fhir/Task", focus=f"Goal/{goal['id']}").json()["entry"]
    assert {entry["resource"]["businessStatus"]["coding"][0]["code"] for entry in tasks} == {"edit-against-delete"}
    assert requests.get(f"{town.region}/Goal/{goal['id']}", timeout=30).status_code == 410


def test_after_consent_is_withdrawn_nothing_new_is_delivered(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    sip["samtycke"]["status"] = "inactive"
    sip["title_local"] = "bara för kommunen"
    receipt = town.push(sip).json()
    assert [each["permit"] for each in receipt["shared"]] == [False]
    town.sync()
    assert town.at_region(f"CarePlan/{plan}")["title"] != "bara för kommunen"


def test_a_consent_that_ended_before_the_day_shares_nothing(town: Town, sip: dict[str, Any]) -> None:
    sip["samtycke"]["galler_till"] = "2025-03-01"
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    assert requests.get(f"{town.region}/CarePlan/{plan}", timeout=30).status_code == 404


def test_salems_sip_three_is_pushed_shared_and_comes_back_the_same(town: Town) -> None:
    omar = json.loads((SAMPLES / "SIP-3.json").read_text("utf-8"))
    receipt = town.push(omar, party="salem").json()
    assert receipt["state"] == "accepted", receipt
    town.sync()
    assert town.at_region(f"CarePlan/{receipt['plan']['id']}")["status"] == "active"
    assert town.record("SIP-3", party="salem") == omar


def test_what_a_region_that_was_away_missed_it_gets_later(town: Town, sip: dict[str, Any]) -> None:
    party = town.service.hub.parties["region-stockholm"]
    client = town.service.hub.clients[party.name]
    reached = client.base_url
    client.base_url = reached.replace("/sandbox", "/nowhere")
    plan = town.push(sip).json()["plan"]["id"]
    sync.deliver(town.service.hub, party)
    sip["title_local"] = "efter avbrottet"
    town.push(sip)
    client.base_url = reached
    town.service.hub.database.write(lambda connection: connection.execute("UPDATE outbox SET due = 0"))
    town.sync()
    assert town.at_region(f"CarePlan/{plan}")["title"] == "efter avbrottet"
    assert _deliveries(town.service.hub.database) == ["done"]
    assert copies.pending_writes(town.service.hub.database.read(), party.name, plan) == {}


def test_the_regions_own_nurse_and_her_unit_come_with_her_intervention(town: Town, sip: dict[str, Any]) -> None:
    nurse = {"resourceType": "Practitioner", "id": str(uuid4()), "name": [{"text": "Lo Berg"}]}
    town.put_at_region(nurse)
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    care_plan = town.at_region(f"CarePlan/{plan}")
    town.put_at_region({
        "resourceType": "ServiceRequest", "id": "1234", "status": "active", "intent": "plan",
        "code": {"text": "Läkarbesök"}, "subject": care_plan["subject"],
        "basedOn": [{"reference": f"CarePlan/{plan}"}], "performer": [{"reference": f"Practitioner/{nurse['id']}"}],
        "encounter": {"reference": "Encounter/99"}})  # fmt: skip
    care_plan["activity"].append({"reference": {"reference": "ServiceRequest/1234"}})
    town.put_at_region(care_plan)
    town.sync()
    new = next(insats for insats in town.record()["insatser"] if insats["text"] == "Läkarbesök")
    assert new["ansvarig"] == "Lo Berg"
    ours = town.get(f"/fhir/ServiceRequest/{new['id']}").json()
    assert ours["id"] != "1234"
    record = town.record()
    next(insats for insats in record["insatser"] if insats["id"] == new["id"])["status"] = "klar"
    assert town.push(record).json()["state"] == "accepted"
    town.sync()
    there = town.at_region("ServiceRequest/1234")
    assert there["status"] == "completed"
    assert there["encounter"] == {"reference": "Encounter/99"}


def test_a_mark_of_ours_that_an_editor_puts_back_does_not_hide_the_edit(town: Town, sip: dict[str, Any]) -> None:
    """Our write arrives, the answer is lost, and the next editor keeps our write id in the copy that it sends back."""
    plan = town.push(sip).json()["plan"]["id"]
    hub = town.service.hub
    party = hub.parties["region-stockholm"]
    town.sync()
    with hub.database.read() as connection:
        (write_id,) = connection.execute("SELECT write_id FROM remote_write").fetchone()
    # as if the process had died between the answer and settling: what is known of the region is forgotten again
    hub.database.write(lambda connection: [
        connection.execute("UPDATE remote_write SET state = 'pending'"),
        connection.execute("UPDATE remote_write_item SET version = NULL"),
        connection.execute("DELETE FROM copy"),
        connection.execute("UPDATE outbox SET state = 'waiting'"),
    ])  # fmt: skip
    goal = town.goal_at_region(plan, "buss")
    assert write_id in str(goal["extension"])
    town.put_at_region(goal | {"description": {"text": "Regionens ord"}})
    sync.deliver(hub, party)
    town.sync()
    assert "Regionens ord" in [mal["text"] for mal in town.record()["mal"]]


def test_the_regions_own_task_is_not_made_twice(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    care_plan = town.at_region(f"CarePlan/{plan}")
    request = {"resourceType": "ServiceRequest", "id": str(uuid4()), "status": "active", "intent": "plan",
               "code": {"text": "Läkarbesök"}, "subject": care_plan["subject"],
               "basedOn": [{"reference": f"CarePlan/{plan}"}]}  # fmt: skip
    task = {"resourceType": "Task", "id": str(uuid4()), "status": "accepted", "intent": "plan",
            "focus": {"reference": f"ServiceRequest/{request['id']}"}, "for": care_plan["subject"]}  # fmt: skip
    town.put_at_region(request)
    town.put_at_region(task)
    care_plan["activity"].append({"reference": {"reference": f"ServiceRequest/{request['id']}"}})
    town.put_at_region(care_plan)
    town.sync()
    record = town.record()
    next(insats for insats in record["insatser"] if insats["text"] == "Läkarbesök")["status"] = "klar"
    town.push(record)
    town.sync()
    tasks = town.at_region("Task", focus=f"ServiceRequest/{request['id']}")["entry"]
    assert [(entry["resource"]["id"], entry["resource"]["status"]) for entry in tasks] == [(task["id"], "completed")]


def test_a_delivery_that_was_tried_too_often_is_parked_and_the_next_change_goes_out(
    town: Town, sip: dict[str, Any]
) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    database = town.service.hub.database
    database.write(lambda connection: connection.execute("UPDATE outbox SET attempts = 99"))
    town.sync()
    assert _deliveries(database) == ["parked"]
    town.push(sip | {"title_local": "ny rubrik"})
    town.sync()
    assert town.at_region(f"CarePlan/{plan}")["title"] == "ny rubrik"


def _an_intervention_at_the_region(town: Town, plan: str, sip: dict[str, Any]) -> dict[str, Any]:
    care_plan = town.at_region(f"CarePlan/{plan}")
    activities = [town.at_region(each["reference"]["reference"]) for each in care_plan["activity"]]
    return next(each for each in activities if each.get("code", {}).get("text") == sip["insatser"][0]["text"])


def test_a_question_about_an_intervention_is_not_taken_for_its_task(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    for number, insats in enumerate(sip["insatser"]):
        request = next(
            each
            for each in (
                town.at_region(activity["reference"]["reference"])
                for activity in town.at_region(f"CarePlan/{plan}")["activity"]
            )
            if each.get("code", {}).get("text") == insats["text"]
        )
        town.put_at_region(request | {"code": {"text": f"Regionens ord {number}"}})
        insats["text"] = f"Kommunens ord {number}"
    town.push(sip)
    town.sync()
    record = town.record()
    assert [insats["status"] for insats in record["insatser"]] == [insats["status"] for insats in sip["insatser"]]
    for insats in record["insatser"]:
        insats["status"] = "klar"
    town.push(record)
    tasks = [entry["resource"] for entry in town.get("/fhir/Task", _count=100).json()["entry"]]
    asking = [task["status"] for task in tasks if "resolve-conflict" in str(task.get("code"))]
    assert asking == ["requested"] * 4


def test_the_receipt_says_who_gets_the_second_plan_too(town: Town, sip: dict[str, Any]) -> None:
    town.push(sip)
    second = town.push(sip | {"id": "SIP-2"}).json()
    assert [each["permit"] for each in second["shared"]] == [True]


def test_deep_nesting_is_refused_and_blocks_nothing(town: Town, sip: dict[str, Any]) -> None:
    town.push(sip)
    deep = json.dumps(sip | {"id": "deep"}, ensure_ascii=False)[:-1] + ',"okand":' + "[" * 500 + "]" * 500 + "}"
    answer = town.push(deep.encode())
    assert answer.status_code == 400
    assert "nested deeper" in answer.json()["issues"][0]["message"]
    assert len(town.get("/parties/sodertalje/records").json()["records"]) == 1


def test_an_intervention_as_a_plan_of_its_own_is_among_the_interventions(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    subject = town.at_region(f"CarePlan/{plan}")["subject"]
    town.put_at_region({
        "resourceType": "CarePlan", "id": str(uuid4()), "status": "active", "intent": "plan", "subject": subject,
        "basedOn": [{"reference": f"CarePlan/{plan}"}],
        "activity": [{"detail": {"status": "in-progress", "code": {"text": "Gruppträff"}}}]})  # fmt: skip
    town.sync()
    assert [(each["text"], each["status"]) for each in town.record()["insatser"][4:]] == [("Gruppträff", "pågående")]
    town.sync()
    assert len(town.record()["insatser"]) == 5


def test_a_task_about_the_plan_is_among_the_interventions(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    subject = town.at_region(f"CarePlan/{plan}")["subject"]
    town.put_at_region({
        "resourceType": "Task", "id": str(uuid4()), "status": "accepted", "intent": "plan", "for": subject,
        "basedOn": [{"reference": f"CarePlan/{plan}"}], "description": "Ringa vårdcentralen"})  # fmt: skip
    town.sync()
    town.sync()
    assert [each["text"] for each in town.record()["insatser"][4:]] == ["Ringa vårdcentralen"]


def test_a_request_for_the_plan_is_among_the_interventions(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    subject = town.at_region(f"CarePlan/{plan}")["subject"]
    request = {
        "resourceType": "ServiceRequest", "id": str(uuid4()), "status": "active", "intent": "order", "subject": subject,
        "basedOn": [{"reference": f"CarePlan/{plan}"}], "code": {"text": "Fysioterapi"}}  # fmt: skip
    town.put_at_region(request)
    town.sync()
    assert [(each["text"], each["status"]) for each in town.record()["insatser"][4:]] == [("Fysioterapi", "planerad")]
    link = {"reference": {"reference": f"ServiceRequest/{request['id']}"}}
    there = town.at_region(f"CarePlan/{plan}")
    assert there["activity"].count(link) == 1
    town.put_at_region(town.at_region(link["reference"]["reference"]) | {"note": [{"text": "Börjar i mars"}]})
    town.sync()
    town.sync()
    (request_,) = town.record()["insatser"][4:]
    assert [note["text"] for note in request_["anteckningar"]] == ["Börjar i mars"]
    assert town.at_region(f"CarePlan/{plan}")["activity"].count(link) == 1


def test_a_prescription_is_an_activity_of_the_plan_and_others_for_the_same_need_are_not(
    town: Town, sip: dict[str, Any]
) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    care_plan = town.at_region(f"CarePlan/{plan}")
    need = {"reference": care_plan["goal"][0]["reference"]}
    lithium, other = (
        {"resourceType": "MedicationRequest", "id": str(uuid4()), "status": "active", "intent": "plan",
         "medicationCodeableConcept": {"text": words}, "subject": care_plan["subject"], "supportingInformation": [need]}
        for words in ("Litium", "Något annat")
    )  # fmt: skip
    for one in (lithium, other):
        town.put_at_region(one)
    care_plan["activity"].append({"reference": {"reference": f"MedicationRequest/{lithium['id']}"}})
    town.put_at_region(care_plan)
    town.sync()
    found = town.get("/fhir/CarePlan", _id=plan, _include="CarePlan:activity-reference").json()["entry"]
    assert [one["resource"]["id"] for one in found if one["resource"]["resourceType"] == "MedicationRequest"] == [
        lithium["id"]
    ]
    assert town.get(f"/fhir/MedicationRequest/{other['id']}").status_code == 404
    (shown,) = town.get("/parties/sodertalje/records").json()["records"]
    told = {one["element"]: one["value"] for one in shown["untold"]}
    assert told[f"MedicationRequest/{lithium['id']}#"]["medicationCodeableConcept"] == {"text": "Litium"}


def test_a_request_that_its_editor_puts_into_the_plan_afterwards_is_there_once(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    care_plan = town.at_region(f"CarePlan/{plan}")
    link = {"reference": {"reference": f"ServiceRequest/{uuid4()}"}}
    town.put_at_region({
        "resourceType": "ServiceRequest", "id": link["reference"]["reference"].partition("/")[2], "status": "active",
        "intent": "order", "subject": care_plan["subject"], "basedOn": [{"reference": f"CarePlan/{plan}"}],
        "code": {"text": "Fysioterapi"}})  # fmt: skip
    care_plan["activity"].append(link)
    town.put_at_region(care_plan)
    town.sync()
    town.sync()
    assert [each["text"] for each in town.record()["insatser"][4:]] == ["Fysioterapi"]
    assert town.at_region(f"CarePlan/{plan}")["activity"].count(link) == 1
    assert town.get("/parties/sodertalje/conflicts").json()["conflicts"] == []


def test_notes_on_an_activity_and_on_its_task_are_notes_of_the_intervention(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    request = _an_intervention_at_the_region(town, plan, sip)
    care_plan = town.at_region(f"CarePlan/{plan}")
    activity = next(
        each for each in care_plan["activity"] if each["reference"]["reference"] == f"ServiceRequest/{request['id']}"
    )
    activity["progress"] = [{"text": "Krisplanen är påbörjad.", "time": "2025-03-01T10:00:00+01:00"}]
    town.put_at_region(care_plan)
    task = town.at_region("Task", focus=f"ServiceRequest/{request['id']}")["entry"][0]["resource"]
    town.put_at_region(task | {"note": [{"text": "Möte bokat.", "time": "2025-03-02T10:00:00+01:00"}]})
    town.sync()
    town.sync()
    texts = [note["text"] for note in town.record()["insatser"][0]["anteckningar"]]
    assert sorted(texts) == ["Krisplanen är påbörjad.", "Möte bokat."]


def test_a_meeting_that_is_moved_at_the_region_has_moved(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    care_plan = town.at_region(f"CarePlan/{plan}")
    activities = [town.at_region(each["reference"]["reference"]) for each in care_plan["activity"]]
    meeting = next(each for each in activities if "requestedPeriod" in each)
    town.put_at_region(meeting | {"requestedPeriod": [{"start": "2025-05-28T13:00:00+02:00"}]})
    town.sync()
    assert town.record()["uppfoljning"][0]["datum"] == "2025-05-28T13:00:00+02:00"


def test_a_record_sent_back_as_it_was_fetched_gets_no_word_about_newer_values(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    team = town.at_region(town.at_region(f"CarePlan/{plan}")["careTeam"][0]["reference"])
    doctor = {"resourceType": "Practitioner", "id": str(uuid4()), "name": [{"text": "Nina Ek"}]}
    town.put_at_region(doctor)
    member = {"reference": f"Practitioner/{doctor['id']}", "display": "Nina Ek"}
    team["participant"].append({"role": [{"text": "läkare"}], "member": member})
    town.put_at_region(team)
    town.sync()
    record = town.record()
    assert record["deltagare"][-1] == {"namn": "Nina Ek", "roll": "läkare"}
    receipt = town.push(record).json()
    assert (receipt["state"], receipt["issues"]) == ("unchanged", [])
    assert town.record() == record


def test_a_participant_without_a_member_does_not_lock_the_municipality_out(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    team = town.at_region(town.at_region(f"CarePlan/{plan}")["careTeam"][0]["reference"])
    team["participant"].append({"role": [{"text": "jourläkare"}]})
    town.put_at_region(team)
    town.sync()
    record = town.record()
    assert record["deltagare"] == sip["deltagare"]
    assert town.push(record).json()["state"] == "unchanged"
    kept = town.get(f"/fhir/CareTeam/{team['id']}").json()
    assert {"role": [{"text": "jourläkare"}]} in kept["participant"]


def test_what_the_region_says_of_a_person_with_two_plans_shows_in_the_first(town: Town, sip: dict[str, Any]) -> None:
    plans = [town.push(sip | {"id": name}).json()["plan"]["id"] for name in ("SIP-1", "SIP-2", "SIP-3", "SIP-4")]
    town.sync()
    person = town.at_region(town.at_region(f"CarePlan/{plans[0]}")["subject"]["reference"])
    phone = next(each for each in person["telecom"] if each["system"] == "phone")
    phone["value"] = "070-000 00 00"
    town.put_at_region(person)
    town.sync()
    assert town.record("SIP-1")["person"]["phone"] == "070-000 00 00"


def test_a_goal_saved_long_before_the_plan_that_names_it_comes_too(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    care_plan = town.at_region(f"CarePlan/{plan}")
    goal = {
        "resourceType": "Goal",
        "id": str(uuid4()),
        "lifecycleStatus": "active",
        "description": {"text": "Jag sover gott"},
        "subject": care_plan["subject"],
    }
    town.put_at_region(goal)
    town.sync()
    assert town.get(f"/fhir/Goal/{goal['id']}").status_code == 404
    party = town.service.hub.parties["region-stockholm"]
    town.service.hub.database.write(
        lambda connection: copies.move_watermark(connection, party.name, "2999-01-01T00:00:00.000Z")
    )
    sync.collect(town.service.hub, party, [("CarePlan", plan)])
    care_plan["goal"].append({"reference": f"Goal/{goal['id']}"})
    town.put_at_region(care_plan)
    sync.collect(town.service.hub, party, [("CarePlan", plan)])
    assert "Jag sover gott" in [mal["text"] for mal in town.record()["mal"]]


def test_what_the_region_leaves_without_words_does_not_lock_the_municipality_out(
    town: Town, sip: dict[str, Any]
) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    care_plan = town.at_region(f"CarePlan/{plan}")
    need = {"resourceType": "Condition", "id": str(uuid4()), "subject": care_plan["subject"]}
    known = {**need, "id": str(uuid4()), "code": {"text": "Sover dåligt"}}
    nurse = {"resourceType": "Practitioner", "id": str(uuid4())}
    for resource in (need, known, nurse):
        town.put_at_region(resource)
    addresses = [{"reference": f"Condition/{each['id']}"} for each in (need, known)]
    town.put_at_region(care_plan | {"addresses": addresses})
    team = town.at_region(care_plan["careTeam"][0]["reference"])
    member = {"member": {"reference": f"Practitioner/{nurse['id']}"}}
    town.put_at_region(team | {"participant": [*team["participant"], member]})
    town.sync()
    record = town.record()
    assert [each["text"] for each in record["behov"]] == ["Sover dåligt"]
    assert record["deltagare"] == sip["deltagare"]
    record["mal"][0]["text"] = "Nya ord"
    assert town.push(record).json()["state"] == "accepted"
    town.sync()
    assert town.at_region(f"CarePlan/{plan}")["addresses"] == addresses
    members = [each["member"] for each in town.at_region(care_plan["careTeam"][0]["reference"])["participant"]]
    assert member["member"] in members


def test_a_number_that_the_region_gave_to_somebody_of_ours_does_not_hold_up_who_has_it(
    town: Town, sip: dict[str, Any]
) -> None:
    nurse, hsaid = sip["deltagare"][3], sip["deltagare"][3].pop("hsaid")
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    named = [each["resource"] for each in town.at_region("Practitioner")["entry"]]
    (known,) = (each for each in named if each["name"][0]["text"] == nurse["namn"])
    town.put_at_region(known | {"identifier": [{"system": "urn:oid:1.2.752.29.4.19", "value": hsaid}]})
    town.sync()
    nurse["hsaid"] = hsaid
    sip["title_local"] = "Med nummer"
    assert town.push(sip).json()["state"] == "accepted"
    town.sync()
    assert town.at_region(f"CarePlan/{plan}")["title"] == "Med nummer"
    assert town.record()["deltagare"][3]["hsaid"] == hsaid


def test_a_goal_brought_back_with_other_words_after_its_deletion_is_not_lost(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    goal = town.goal_at_region(plan, "buss")
    requests.delete(f"{town.region}/Goal/{goal['id']}", timeout=30).raise_for_status()
    town.sync()
    goal.pop("meta")
    town.put_at_region(goal | {"description": {"text": "Elin åker buss med stöd."}})
    for _ in range(3):
        town.sync()
    asked = town.get("/fhir/Task", focus=f"Goal/{goal['id']}").text
    assert "Elin åker buss med stöd." in asked
    assert town.at_region(f"Goal/{goal['id']}")["description"]["text"].startswith("Jag åker buss till Järna")


def _deliveries(database: Database) -> list[str]:
    """The state of each, the newest first."""
    return [letter.state for letter in outbox.letters(database.read(), 10, also_settled=True)]
