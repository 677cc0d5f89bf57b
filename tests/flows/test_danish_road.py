"""The road in Denmark: a plan reaches its region by consent or by statute, and the region's work comes back."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fhir_adapter.app import SANDBOX, build
from fhir_adapter.flows import sync
from fhir_adapter.mapping.load import FOLDER
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.settings import DEMO_DAY, PartySettings, read_settings
from tests.flows.conftest import Town

CVR = "http://cvr.dk"
MUNICIPALITIES = {
    "faaborg-midtfyn": ("29188645", "dk-integrerede-forloeb"),
    "holstebro": ("29189927", "dk-integrerede-forloeb"),
    "koebenhavn": ("64942212", "dk-borgerens-plan"),
    "randers": ("29189668", "dk-kl-ffb"),
    "favrskov": ("29189714", "dk-kl-ffb"),
}
REGIONS = {"Region Syddanmark": "29190909", "Region Midtjylland": "29190925", "Region Hovedstaden": "29190623"}


def sample(mapping: str, name: str) -> dict[str, Any]:
    record: dict[str, Any] = json.loads((FOLDER / mapping / "samples" / f"{name}.json").read_text("utf-8"))
    return record


def shared_with_psychiatry() -> dict[str, Any]:
    """BP-1, in which the region's psychiatry takes part and the citizen consents to it."""
    record = sample("dk-borgerens-plan", "BP-1")
    record["parter"].append("Region Hovedstadens Psykiatri, OPUS")
    record["samtykke"] = {"status": "active", "dato": "2025-01-20", "scope": {"OPUS": "fuld", "familie": "ingen"}}
    return record


ROADS = {
    "consent": ("faaborg-midtfyn", "Region Syddanmark", sample("dk-integrerede-forloeb", "DK-FAA"), "ydelser"),
    "statute": ("holstebro", "Region Midtjylland", sample("dk-integrerede-forloeb", "DK-HOL"), "ydelser"),
    "citizen": ("koebenhavn", "Region Hovedstaden", shared_with_psychiatry(), "indsatser"),
}


def a_danish_town(folder: Path, region: str) -> Iterator[Town]:
    listening = listen("127.0.0.1", 0)
    address = address_of(listening)
    parties = [
        PartySettings(name=name, title=name.title(), identifiers=((CVR, number),), mapping=mapping)
        for name, (number, mapping) in MUNICIPALITIES.items()
    ]
    there = PartySettings(
        name="region", title=region, identifiers=((CVR, REGIONS[region]),), fhir=f"{address}{SANDBOX}"
    )
    settings = read_settings(None, data=folder, parties=(*parties, there), consents_judged_on=DEMO_DAY)
    service = build(settings, sandbox=True)
    with answering_in_a_thread(service.asgi, listening):
        yield Town(service, address, f"{address}{SANDBOX}")
    service.close()


@pytest.fixture(params=ROADS)
def road(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[tuple[Town, str, dict[str, Any], str]]:
    party, region, record, services = ROADS[request.param]
    for town in a_danish_town(tmp_path, region):
        yield town, party, json.loads(json.dumps(record)), services


def turn(town: Town) -> None:
    """One turn of the worker with the region."""
    party = town.service.hub.parties["region"]
    sync.collect(town.service.hub, party)
    sync.deliver(town.service.hub, party)


def test_a_pushed_plan_is_found_reaches_the_region_and_comes_back_as_it_was_sent(
    road: tuple[Town, str, dict[str, Any], str],
) -> None:
    town, party, record, _ = road
    answer = town.push(record, party=party)
    assert answer.status_code == 201, answer.text
    plan = answer.json()["plan"]["id"]
    turn(town)
    assert town.at_region(f"CarePlan/{plan}")["title"] == record["title_local"]
    found = town.get("/fhir/CarePlan", **{"patient.identifier": f"urn:oid:1.2.208.176.1.2|{record['person']['cpr']}"})
    assert [entry["resource"]["id"] for entry in found.json()["entry"]] == [plan]
    assert town.record(record["id"], party=party) == record


def test_what_the_region_does_shows_in_the_municipalitys_own_words(
    road: tuple[Town, str, dict[str, Any], str],
) -> None:
    town, party, record, services = road
    plan = town.push(record, party=party).json()["plan"]["id"]
    turn(town)
    last = record["maal"][-1]
    goal = town.goal_at_region(plan, last["text"])
    town.put_at_region(goal | {"lifecycleStatus": "completed"})
    born = {"resourceType": "ServiceRequest", "id": str(uuid4()), "status": "active", "intent": "plan"}
    care_plan = town.at_region(f"CarePlan/{plan}")
    town.put_at_region(born | {"code": {"text": "Samtaler om søvn"}, "subject": care_plan["subject"]})
    care_plan.setdefault("activity", []).append({"reference": {"reference": f"ServiceRequest/{born['id']}"}})
    care_plan["note"] = [{"text": "Helst om formiddagen", "authorString": "Psykiatrien"}]
    town.put_at_region(care_plan)
    turn(town)
    after = town.record(record["id"], party=party)
    assert next(one for one in after["maal"] if one["id"] == last["id"])["status"] == "afsluttet"
    assert "Samtaler om søvn" in [one.get("text") for one in after[services]]
    assert after["note"] == [{"text": "Helst om formiddagen", "af": "Psykiatrien"}]
    untouched = {name: value for name, value in record.items() if name not in ("maal", services)}
    assert {name: after[name] for name in untouched} == untouched


def test_a_plan_without_consent_or_statute_stays_with_the_municipality(tmp_path: Path) -> None:
    record = sample("dk-borgerens-plan", "BP-1")
    for town in a_danish_town(tmp_path, "Region Hovedstaden"):
        receipt = town.push(record, party="koebenhavn").json()
        turn(town)
        assert receipt["state"] == "accepted"
        assert town.record("BP-1", party="koebenhavn") == record
        found = town.get("/fhir/CarePlan", _id=receipt["plan"]["id"]).json()
        assert found["total"] == 1
        with pytest.raises(AssertionError):
            town.at_region(f"CarePlan/{receipt['plan']['id']}")


def test_a_coordination_plan_that_names_no_statute_is_not_shared_and_the_receipt_says_what_is_missing(
    tmp_path: Path,
) -> None:
    record = sample("dk-integrerede-forloeb", "DK-HOL")
    del record["koordinationsplan"]["hjemmel_videregivelse"]
    for town in a_danish_town(tmp_path, "Region Midtjylland"):
        receipt = town.push(record, party="holstebro").json()
        assert receipt["state"] == "accepted"
        assert "koordinationsplan.hjemmel_videregivelse" in [issue["path"] for issue in receipt["issues"]]
        turn(town)
        with pytest.raises(AssertionError):
            town.at_region(f"CarePlan/{receipt['plan']['id']}")


def test_who_was_replaced_is_not_who_it_is_now(tmp_path: Path) -> None:
    """Who leaves a team stays in it with an end: a field for one function tells who has it, and a list who is left."""
    record = sample("dk-integrerede-forloeb", "DK-HOL")
    for town in a_danish_town(tmp_path, "Region Midtjylland"):
        plan = town.push(record, party="holstebro").json()["plan"]["id"]
        after = town.record(record["id"], party="holstebro")
        after["koordinationsplan"]["ansvarlig_overlaege"] = "Overlæge Mette Testesen"
        after["koordinationsplan"]["parter"].remove("kriminalforsorg")
        assert town.push(after, party="holstebro").json()["state"] == "accepted"
        assert town.record(record["id"], party="holstebro")["koordinationsplan"] == after["koordinationsplan"]
        assert town.push(town.record(record["id"], party="holstebro"), party="holstebro").json()["state"] == "unchanged"
        team = town.get(f"/fhir/{town.get(f'/fhir/CarePlan/{plan}').json()['careTeam'][0]['reference']}").json()
        left = [one["member"]["display"] for one in team["participant"] if "end" in one.get("period", {})]
        assert left == ["Overlæge Niels Bækgaard", "kriminalforsorg"]


def test_a_record_that_is_fhir_is_taken_only_where_it_is_some(tmp_path: Path) -> None:
    """What was taken goes into the plan as it stands, where nothing could be merged with it any more."""
    record = sample("dk-kl-ffb", "FFB-1")
    care_plan = next(one["resource"] for one in record["entry"] if one["resource"]["resourceType"] == "CarePlan")
    for town in a_danish_town(tmp_path, "Region Midtjylland"):
        for coding in (None, 5, "x", []):
            care_plan["category"][0]["coding"].append(coding)
            answer = town.push(record, party="randers")
            assert answer.status_code == 422, answer.text
            assert {issue["path"].partition(".coding")[0] for issue in answer.json()["issues"]} == {"plan.category[0]"}
            care_plan["category"][0]["coding"].pop()
        assert town.push(record, party="randers").status_code == 201


def plan_with_a_guardian() -> tuple[dict[str, Any], dict[str, Any]]:
    """A new plan of the citizen of FFB-2, and the guardian in it, who has one id in all of the citizen's plans."""
    text = json.dumps(sample("dk-kl-ffb", "FFB-2"))
    for entry in sample("dk-kl-ffb", "FFB-2")["entry"]:
        if entry["resource"]["resourceType"] == "CarePlan":
            text = text.replace(entry["resource"]["id"], str(uuid4()))
    record: dict[str, Any] = json.loads(text)
    found = (entry["resource"] for entry in record["entry"])
    return record, next(one for one in found if one["resourceType"] == "RelatedPerson")


FHIR = {"Content-Type": "application/fhir+json"}


def test_what_the_next_plan_says_of_a_relative_is_taken_and_another_partys_plan_has_its_own(tmp_path: Path) -> None:
    for town in a_danish_town(tmp_path, "Region Midtjylland"):
        for number in ("11111111", "22222222"):
            record, guardian = plan_with_a_guardian()
            guardian["telecom"] = [{"system": "phone", "value": number}]
            assert town.push(record, party="randers", **FHIR).status_code == 201
        (there,) = town.get("/fhir/RelatedPerson").json()["entry"]
        assert there["resource"]["telecom"][0]["value"] == "22222222"
        guardian["telecom"][0]["value"] = "33333333"
        receipt = town.push(record, party="randers", **FHIR).json()
        assert (receipt["state"], receipt["conflicts"]) == ("accepted", [])
        others, _ = plan_with_a_guardian()
        plan = town.push(others, party="favrskov", **FHIR).json()["plan"]["id"]
        assert town.push(others, party="favrskov", **FHIR).json()["state"] == "unchanged"
        care_plan = town.get(f"/fhir/CarePlan/{plan}").json()
        found = {
            one["resource"]["patient"]["reference"]: one["resource"]
            for one in town.get("/fhir/RelatedPerson").json()["entry"]
        }
        assert len(found) == 2
        assert "telecom" not in found[care_plan["subject"]["reference"]], (
            "and it is about that party's record of the person"
        )
        assert "33333333" not in town.get(f"/parties/favrskov/records/{plan}").text
