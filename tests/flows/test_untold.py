"""What a region writes and a record has no field of its own for is told beside the record, and stays in the plan."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fhir_adapter.fhir.resources import Resource, dump_json, parse_json
from fhir_adapter.flows.convert import NAMESPACE, source_of, transaction, unmap_file
from fhir_adapter.mapping.load import find
from tests.flows.conftest import Town

PLACES = [
    ("de-gesamtplan", "leistungen", "ServiceRequest", "performer", "performer[0]"),
    ("se-sip", "insatser", "ServiceRequest", "status", "status"),
    ("dk-integrerede-forloeb", "ydelser", "ServiceRequest", "status", "status"),
]


def edited_there(town: Town, request: str, **change: Any) -> None:
    town.put_at_region(town.at_region(request) | change)
    town.sync()


def test_an_edit_at_the_second_of_two_elements_is_told_beside_the_record(town: Town, sip: dict[str, Any]) -> None:
    town.push(sip)
    town.sync()
    record = town.record()
    ((place, item),) = [each for each in enumerate(record["insatser"]) if each[1]["status"] == "pågående"][:1]
    tasks = [entry["resource"] for entry in town.at_region("Task", _count=100)["entry"]]
    requests = {entry["resource"]["id"]: entry["resource"] for entry in town.at_region("ServiceRequest")["entry"]}
    (request,) = [one for one in requests.values() if item["text"] in str(one)]
    assert "in-progress" in [task["status"] for task in tasks if request["id"] in str(task.get("focus"))]
    edited_there(town, f"ServiceRequest/{request['id']}", status="on-hold")
    told = {"path": f"insatser[{place}].status", "element": f"ServiceRequest/{request['id']}#status"}
    for _ in range(2):
        (changed,) = town.get("/parties/sodertalje/records", since=0).json()["records"]
        assert changed["untold"] == [told | {"value": "on-hold"}]
        assert changed["content"]["insatser"][place]["status"] == "pågående"
        assert town.push(changed["content"]).json()["conflicts"] == []
        assert town.get(f"/fhir/ServiceRequest/{request['id']}").json()["status"] == "on-hold"
    edited_there(town, f"ServiceRequest/{request['id']}", status="active")
    (changed,) = town.get("/parties/sodertalje/records", since=0).json()["records"]
    assert changed["untold"] == []


def sample(name: str, field: str) -> tuple[Path, dict[str, Any]]:
    files = sorted((find(name).folder / "samples").glob("*[!r].json"))
    records = [(file, parse_json(file.read_bytes())) for file in files if ".fhir" not in file.name]
    return next((file, one) for file, one in records if isinstance(one, dict) and one.get(field))


@pytest.mark.parametrize(("name", "field", "type_", "element", "path"), PLACES, ids=[one[0] for one in PLACES])
def test_unmap_tells_the_place_in_the_bundle(name: str, field: str, type_: str, element: str, path: str) -> None:
    mapping = find(name)
    file, record = sample(name, field)
    said = mapping.get(record, source=source_of(name), namespace=NAMESPACE).resources
    index, one = next(each for each in enumerate(said) if each[1]["resourceType"] == type_ and element in each[1])
    other: Resource = one | {element: [{"display": "Andere"}] if element == "performer" else "on-hold"}
    came = [*said[:index], other, *said[index + 1 :]]
    converted = unmap_file(name, dump_json(transaction(came)), before=file.read_bytes())
    assert [issue["path"] for issue in converted.issues] == [f"Bundle.entry[{index}].resource.{path}"]
    assert json.loads(converted.output) == record
    assert unmap_file(name, dump_json(transaction(said)), before=file.read_bytes()).issues == []


Told = dict[str, Any]
IMPROVING = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/goal-achievement", "code": "improving"}]}


def told_beside(town: Town, party: str = "sodertalje") -> list[Told]:
    (shown,) = town.get(f"/parties/{party}/records").json()["records"]
    untold: list[Told] = shown["untold"]
    return untold


def test_a_plan_that_nobody_else_wrote_in_is_told_in_full(town: Town, sip: dict[str, Any]) -> None:
    town.push(sip)
    town.sync()
    assert told_beside(town) == []


def test_how_far_a_goal_is_is_told_beside_a_format_without_a_field_for_it(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    goal = town.goal_at_region(plan, sip["vad_ar_viktigt"])
    score = {"resourceType": "Observation", "id": str(uuid4()), "status": "final", "code": {"text": "Livskvalitet"}}
    town.put_at_region(score | {"subject": goal["subject"], "valueInteger": 7})
    measured = {"reference": f"Observation/{score['id']}"}
    town.put_at_region(goal | {"achievementStatus": IMPROVING, "outcomeReference": [measured]})
    town.sync()
    shown = town.record()
    assert shown == sip
    told = {one["element"]: (one["path"], one["value"]) for one in told_beside(town)}
    assert told[f"Goal/{goal['id']}#achievementStatus"] == ("vad_ar_viktigt", IMPROVING)
    assert told[f"Goal/{goal['id']}#outcomeReference"] == ("vad_ar_viktigt", measured)
    assert told[f"Observation/{score['id']}#"][1]["valueInteger"] == 7
    town.push(shown | {"gloss": "den kommunala systemets nästa export"})
    assert town.get(f"/fhir/Goal/{goal['id']}").json()["achievementStatus"] == IMPROVING


def test_to_who_may_not_see_the_plan_nothing_is_told(town: Town, sip: dict[str, Any]) -> None:
    town.push(sip)
    assert town.get("/parties/salem/records").json()["records"] == []
