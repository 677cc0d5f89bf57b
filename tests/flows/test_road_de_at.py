"""The road for Germany and Austria: plans go to a clinic as FHIR, by consent, and come back with its edits."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import date
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fhir_adapter.app import SANDBOX, build
from fhir_adapter.flows import sync
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.settings import PartySettings, read_settings
from tests.flows.conftest import Town

MAPPINGS = Path(__file__).parents[2] / "mappings"
ACHIEVED = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/goal-achievement", "code": "achieved"}]}
IK = "http://fhir.de/sid/arge-ik/iknr"
VPNR = "urn:oid:1.2.40.0.10.1.4.3.2"

Record = dict[str, Any]


def a_sample(mapping: str, name: str) -> Record:
    record: Record = json.loads((MAPPINGS / mapping / "samples" / f"{name}.json").read_text("utf-8"))
    return record


def parties(fhir: str) -> tuple[PartySettings, ...]:
    county = (("http://fhir.de/sid/destatis/ags", "05970"),)
    return (
        PartySettings(name="siegen", title="Kreis Siegen-Wittgenstein", identifiers=county, mapping="de-gesamtplan"),
        PartySettings(name="klinik", title="Kreisklinikum", identifiers=((IK, "260590002"),), fhir=fhir),
        PartySettings(name="wippcare", title="WippCare", identifiers=((VPNR, "900001"),), mapping="at-wippcare"),
        PartySettings(name="hall", title="Landeskrankenhaus Hall", identifiers=((VPNR, "900002"),), fhir=fhir),
    )


@pytest.fixture
def neighbours(tmp_path: Path) -> Iterator[Town]:
    listening = listen("127.0.0.1", 0)
    address = address_of(listening)
    settings = read_settings(None, data=tmp_path).model_copy(
        update={"parties": parties(f"{address}{SANDBOX}"), "consents_judged_on": date(2025, 11, 1)}
    )
    service = build(settings, sandbox=True)
    with answering_in_a_thread(service.asgi, listening):
        yield Town(service, address, f"{address}{SANDBOX}")
    service.close()


@pytest.fixture
def gesamtplan() -> Record:
    """ITP-1, with the clinic among those who take part and a consent that names it."""
    record = a_sample("de-gesamtplan", "ITP-1")
    doctor = {"name": "Dr. Ina Weiß", "rolle": "Facharzt", "einrichtung": "Kreisklinikum", "ik": "260590002"}
    return record | {"mitwirkende": [doctor], "einwilligung": {"status": "erteilt", "empfaenger": ["Kreisklinikum"]}}


@pytest.fixture
def hilfeplan() -> Record:
    """WC-2, with the hospital of the consent among those who take part."""
    record = a_sample("at-wippcare", "WC-2")
    nurse = {"name": "Eva Köß", "rolle": "Pflege", "organisation": "Landeskrankenhaus Hall", "vpnr": "900002"}
    return record | {"beteiligte": [nurse]}


def sync_with(town: Town, party: str) -> None:
    fhir_party = town.service.hub.parties[party]
    sync.collect(town.service.hub, fhir_party)
    sync.deliver(town.service.hub, fhir_party)


def clinic_works(town: Town, plan: str, word: str) -> None:
    """A goal achieved, a new intervention, a note."""
    town.put_at_region(town.goal_at_region(plan, word) | {"achievementStatus": ACHIEVED})
    care_plan = town.at_region(f"CarePlan/{plan}")
    request = {"resourceType": "ServiceRequest", "id": str(uuid4()), "status": "active", "intent": "plan",
               "code": {"text": "Ergotherapie"}, "subject": care_plan["subject"]}  # fmt: skip
    town.put_at_region(request)
    care_plan["activity"].append({"reference": {"reference": f"ServiceRequest/{request['id']}"}})
    note = {"authorString": "Klinik", "time": "2025-06-10T09:30:00+02:00", "text": "Am Vormittag geht es besser."}
    care_plan.setdefault("note", []).append(note)
    town.put_at_region(care_plan)


def shared_with(receipt: Record, party: str) -> bool:
    return next(bool(each["permit"]) for each in receipt["shared"] if each["party"] == party)


def test_a_gesamtplan_is_shared_by_consent_found_by_search_and_comes_back_with_the_clinics_edits(
    neighbours: Town, gesamtplan: Record
) -> None:
    receipt = neighbours.push(gesamtplan, party="siegen").json()
    assert receipt["state"] == "accepted", receipt["issues"]
    assert shared_with(receipt, "klinik")
    assert not shared_with(receipt, "hall")
    plan = receipt["plan"]["id"]
    sync_with(neighbours, "klinik")
    found = neighbours.get("/fhir/CarePlan", **{"subject.identifier": "http://fhir.de/sid/gkv/kvid-10|S100234564"})
    assert [entry["resource"]["id"] for entry in found.json()["entry"]] == [plan]
    observations = neighbours.at_region("Observation", code="http://loinc.org|80391-6")["entry"]
    assert [one["resource"]["valueCodeableConcept"]["coding"][0]["code"] for one in observations] == ["9-984.7"]
    clinic_works(neighbours, plan, "Tagesstätte")
    sync_with(neighbours, "klinik")
    record = neighbours.record("ITP-1", party="siegen")
    assert record["ziele"][1]["ergebnis"] == "erreicht"
    assert [one["art"] for one in record["leistungen"]][-1] == "Ergotherapie"
    assert record["anmerkungen"][0]["text"] == "Am Vormittag geht es besser."
    untouched = gesamtplan.keys() - {"ziele", "leistungen"}
    assert {name: record[name] for name in untouched} == {name: gesamtplan[name] for name in untouched}


def with_a_degree_that_the_format_does_not_allow(town: Town, record: Record) -> Record:
    """The plan as the county gets it back after the clinic wrote down a degree of disability that is no ten."""
    town.push(record, party="siegen")
    sync_with(town, "klinik")
    (found,) = town.at_region("Observation", code="http://snomed.info/sct|116149007")["entry"]
    town.put_at_region(found["resource"] | {"valueInteger": 75})
    sync_with(town, "klinik")
    return town.record("ITP-1", party="siegen")


def test_what_others_wrote_comes_back_though_the_format_does_not_allow_it(neighbours: Town, gesamtplan: Record) -> None:
    shown = with_a_degree_that_the_format_does_not_allow(neighbours, gesamtplan)
    assert shown["feststellungen"]["gdb"] == 75
    receipt = neighbours.push(shown | {"title_local": "Neuer Titel"}, party="siegen").json()
    assert receipt["state"] == "accepted"
    told = [issue for issue in receipt["issues"] if issue["path"] == "feststellungen.gdb"]
    assert [issue["severity"] for issue in told] == ["warning"]
    again = neighbours.record("ITP-1", party="siegen")
    assert (again["title_local"], again["feststellungen"]["gdb"]) == ("Neuer Titel", 75)
    assert neighbours.push(again | {"title_local": "Noch einer"}, party="siegen").json()["state"] == "accepted"


def test_what_the_format_does_not_allow_is_refused_of_its_own_sender(neighbours: Town, gesamtplan: Record) -> None:
    shown = with_a_degree_that_the_format_does_not_allow(neighbours, gesamtplan)
    shown["feststellungen"]["gdb"] = 77
    assert neighbours.push(shown, party="siegen").json()["state"] == "refused"


def test_a_gesamtplan_without_consent_stays_with_the_carrier(neighbours: Town) -> None:
    receipt = neighbours.push(a_sample("de-gesamtplan", "ITP-1"), party="siegen").json()
    assert receipt["state"] == "accepted", receipt["issues"]
    assert not shared_with(receipt, "klinik")


def test_a_hilfeplan_reaches_the_hospital_that_the_person_agreed_to_and_comes_back(
    neighbours: Town, hilfeplan: Record
) -> None:
    receipt = neighbours.push(hilfeplan, party="wippcare").json()
    assert receipt["state"] == "accepted", receipt["issues"]
    assert shared_with(receipt, "hall")
    assert not shared_with(receipt, "klinik")
    plan = receipt["plan"]["id"]
    sync_with(neighbours, "hall")
    clinic_works(neighbours, plan, "Meldeadresse")
    sync_with(neighbours, "hall")
    record = neighbours.record("WC-2", party="wippcare")
    assert record["ziele"][0]["ergebnis"] == "erreicht"
    assert [one["text"] for one in record["massnahmen"]][-1] == "Ergotherapie"
    assert record["anmerkungen"][0]["text"] == "Am Vormittag geht es besser."
    untouched = hilfeplan.keys() - {"ziele", "massnahmen"}
    assert {name: record[name] for name in untouched} == {name: hilfeplan[name] for name in untouched}
    hilfeplan["einwilligung"]["widerruf"] = "2025-10-01"
    assert not shared_with(neighbours.push(hilfeplan, party="wippcare").json(), "hall")


def test_whatever_a_plan_is_made_of_reaches_the_hospital_and_can_be_read(neighbours: Town) -> None:
    record = a_sample("at-wippcare", "full")
    del record["person"]["verstorben"]
    record["beteiligte"].append({"name": "Eva Köß", "organisation": "Landeskrankenhaus Hall", "vpnr": "900002"})
    record["einwilligung"] = {"status": "erteilt", "empfaenger": ["Landeskrankenhaus Hall"]}
    receipt = neighbours.push(record, party="wippcare").json()
    assert shared_with(receipt, "hall")
    sync_with(neighbours, "hall")
    for type_ in ("Communication", "HealthcareService"):
        here = {entry["resource"]["id"] for entry in neighbours.get(f"/fhir/{type_}").json()["entry"]}
        there = {entry["resource"]["id"] for entry in neighbours.at_region(type_)["entry"]}
        assert here == there != set()


def test_a_plan_for_when_it_fails_does_not_stand_for_the_plan(neighbours: Town, hilfeplan: Record) -> None:
    hilfeplan["plan_b"] = {"text": "Übergangswohnung"}
    receipt = neighbours.push(hilfeplan, party="wippcare").json()
    assert shared_with(receipt, "hall")
    assert neighbours.record("WC-2", party="wippcare") == hilfeplan


def test_an_anonymous_enquiry_is_refused_saying_that_it_holds_no_plan(neighbours: Town) -> None:
    answer = neighbours.push(a_sample("at-wippcare", "WC-1"), party="wippcare")
    assert answer.status_code == 422
    (issue,) = answer.json()["issues"]
    assert "holds no plan" in issue["message"]
    assert neighbours.get("/fhir/Task").json().get("entry", []) == []
