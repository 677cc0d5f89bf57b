"""The inventory of offers: three forms of one thing, hours exact or in words, accessibility never guessed."""

from __future__ import annotations

from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.errors import Refused
from fhir_adapter.fhir.resources import parse_json
from fhir_adapter.flows.convert import NAMESPACE, map_file, source_of
from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.load import find

SAMPLES = Path(__file__).parents[2] / "mappings" / "de-angebotsinventar" / "samples"
PLACE: dict[str, Any] = {"source": source_of("de-angebotsinventar"), "namespace": NAMESPACE}
ACCESSIBILITY = "https://fhir-adapter.example/fhir/StructureDefinition/accessibility"

Record = dict[str, Any]


@pytest.fixture
def mapping() -> Mapping:
    return find("de-angebotsinventar")


def of_type(resources: list[dict[str, Any]], kind: str) -> list[dict[str, Any]]:
    return [one for one in resources if one["resourceType"] == kind]


def with_offer(**parts: Any) -> Record:
    return {"id": "INV-1", "angebote": [{"id": "OFF-1", "name": "Treff"} | parts]}


def offer_of(mapping: Mapping, **parts: Any) -> dict[str, Any]:
    (offer,) = of_type(mapping.get(with_offer(**parts), **PLACE).resources, "HealthcareService")
    return offer


def features_of(mapping: Mapping, **said: Any) -> dict[str, str]:
    (place,) = of_type(mapping.get(with_offer(barrierefrei=said), **PLACE).resources, "Location")
    found = [one for one in place.get("extension", []) if one["url"] == ACCESSIBILITY]
    parts = found[0]["extension"] if found else []
    return {one["url"]: one["valueCodeableConcept"]["coding"][0]["code"] for one in parts}


def test_an_inventory_names_nobody(mapping: Mapping) -> None:
    resources = mapping.get(parse_json((SAMPLES / "ITP-3.json").read_bytes()), **PLACE).resources
    assert {one["resourceType"] for one in resources} == {"List", "HealthcareService", "Location", "Organization"}
    assert len(of_type(resources, "HealthcareService")) == 4
    assert resources[0]["note"] == [{"text": "Versorgungslücke: keine Abendangebote Sozialpsychiatrie in PR5"}]


def test_a_table_and_json_that_say_the_same_are_the_same_in_fhir() -> None:
    table = map_file("de-angebotsinventar", (SAMPLES.parent / "angebote.csv").read_bytes())
    assert table.ok
    assert parse_json(table.output) == parse_json((SAMPLES / "angebote.fhir.json").read_bytes())


def test_a_service_of_hsds_stands_for_itself(mapping: Mapping) -> None:
    service, *others = mapping.get(parse_json((SAMPLES / "full-hsds.json").read_bytes()), **PLACE).resources
    assert service["resourceType"] == "HealthcareService"
    assert {one["resourceType"] for one in others} == {"Organization", "Location"}
    assert service["active"] is False
    weekly, ended, monthly = service["availableTime"]
    assert weekly["daysOfWeek"] == ["mon", "wed"]
    for bounded in (ended, monthly):  # hours that end, or are not weekly, are a rule and nothing else
        assert not {"daysOfWeek", "availableStartTime"} & bounded.keys()


def test_an_offer_has_telephones_prices_and_numbers(mapping: Mapping) -> None:
    resources = mapping.get(parse_json((SAMPLES / "full-hsds.json").read_bytes()), **PLACE).resources
    service, provider = resources[0], of_type(resources, "Organization")[0]
    assert [(one["system"], one.get("use"), one["value"]) for one in service["telecom"][-3:]] == [
        ("phone", None, "0271 555 01"),
        ("phone", "mobile", "0151 555 02"),
        ("fax", None, "0271 555 03"),
    ]
    (price,) = [one for one in service["extension"] if one["url"].endswith("/cost-option")]
    (amount,) = [one["valueMoney"] for one in price["extension"] if one["url"] == "amount"]
    assert amount == {"value": Decimal("2.5"), "currency": "EUR"}
    assert provider["identifier"][1]["system"] == "http://org-id.guide/list/DE-CR"
    (place,) = [one for one in of_type(resources, "Location") if one["mode"] == "instance"]
    assert place["address"]["line"] == ["Bachweg 3", "Hinterhaus"]


@pytest.mark.parametrize("record", [{"name": "Civic Center", "location_type": "physical"}, {"name": "Example Org"}])
def test_what_is_no_service_of_hsds_is_refused(mapping: Mapping, record: Record) -> None:
    with pytest.raises(Refused) as refusal:
        mapping.get({"id": "1", **record}, **PLACE)
    assert [issue.path for issue in refusal.value.issues] == ["status"]


def test_the_services_of_a_page_are_records() -> None:
    service = b'{"id": "%d", "name": "Treff", "status": "active"}'
    page = b'{"total_items": 2, "page_number": 1, "contents": [%s, %s]}' % (service % 1, service % 2)
    converted = map_file("de-angebotsinventar", page)
    assert converted.ok
    assert len(converted.output.splitlines()) == 2


@pytest.mark.parametrize(
    ("said", "code"),
    [
        (True, "yes"),
        (False, "no"),
        ("ja", "yes"),
        ("teilweise", "partly"),
        ("auf Anfrage", "on-request"),
        ("unbekannt", "unknown"),
    ],
)
def test_accessibility_is_what_was_said(mapping: Mapping, said: Any, code: str) -> None:
    assert features_of(mapping, stufenlos=said, aufzug=True) == {"step-free": code, "lift": "yes"}


@pytest.mark.parametrize("nothing", [{}, {"stufenlos": None}, {"stufenlos": ""}])
def test_what_nobody_said_about_accessibility_is_never_no(mapping: Mapping, nothing: Record) -> None:
    assert features_of(mapping, aufzug=True, **nothing) == {"lift": "yes"}


def test_a_feature_that_somebody_finds_out_later_comes_back(mapping: Mapping) -> None:
    record = with_offer(barrierefrei={"stufenlos": "unbekannt", "aufzug": True})
    resources = mapping.get(record, **PLACE).resources
    parts = of_type(resources, "Location")[0]["extension"][0]["extension"]
    parts[0]["valueCodeableConcept"]["coding"][0]["code"] = "no"
    after = mapping.put(resources, record, **PLACE)["angebote"][0]["barrierefrei"]
    assert after == {"stufenlos": False, "aufzug": True}


@pytest.mark.parametrize(
    ("status", "active"),
    [("active", True), ("geöffnet", True), ("temporarily closed", False), ("defunct", False), (None, None)],
)
def test_closed_for_a_while_is_not_active_and_says_why(
    mapping: Mapping, status: str | None, active: bool | None
) -> None:
    offer = offer_of(mapping, **({"status": status} if status else {}))
    assert offer.get("active") is active
    assert ("extension" in offer) is (status is not None)


@pytest.mark.parametrize(
    ("hours", "exact"),
    [
        ("Mi 14-17", True),
        ("Mo-Fr 9-12:30; Di,Do 14-17", True),
        ("Mo-Fr 9-12:30; nach Absprache", False),
        ("Mittwochs ab 14 Uhr", False),
        ("Mi 14-25", False),
        ("Mi 14-17 und Do", False),
        ("Mo,Di,Mi 9-12", False),
        ("Mi 09-12", False),
        ("Fr-Mo 9-12", False),
        ("Xx 9-12", False),
    ],
)
def test_hours_are_exact_or_stay_in_words_and_always_come_back_as_sent(
    mapping: Mapping, hours: str, exact: bool
) -> None:
    resources = mapping.get(with_offer(oeffnung=hours), **PLACE).resources
    (offer,) = of_type(resources, "HealthcareService")
    assert ("availableTime" in offer) is exact
    assert ("availabilityExceptions" in offer) is not exact
    assert mapping.create(resources, **PLACE)["angebote"][0]["oeffnung"] == hours


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ({"ags": "5970032"}, "angebote[0].ags"),
        ({"ags": 5970032}, "angebote[0].ags"),
        ({"kapazitaet": -1}, "angebote[0].kapazitaet"),
        ({"kapazitaet": "viele"}, "angebote[0].kapazitaet"),
        ({"bestand_datum": "neulich"}, "angebote[0].bestand_datum"),
        ({"barrierefrei": {"stufenlos": 1}}, "angebote[0].barrierefrei.stufenlos"),
        ({"id": None}, "angebote[0].id"),
    ],
)
def test_what_is_wrong_is_told_by_the_senders_own_field(mapping: Mapping, part: Record, path: str) -> None:
    with pytest.raises(Refused) as refusal:
        mapping.get(with_offer(**part), **PLACE)
    assert [issue.path for issue in refusal.value.issues] == [path]


def test_a_wrong_time_of_day_is_told_by_its_field(mapping: Mapping) -> None:
    record = {"id": "1", "name": "Treff", "status": "active", "schedules": [{"byday": "MO", "opens_at": "25:00"}]}
    with pytest.raises(Refused) as refusal:
        mapping.get(record, **PLACE)
    assert [issue.path for issue in refusal.value.issues] == ["schedules[0].opens_at"]
