"""The next plan of a person, by the municipality that brought the one before: what it says about the person counts."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from tests.flows.conftest import Town

NUMBER = "http://electronichealth.se/identifier/personnummer"


@pytest.fixture
def following(town: Town, sip: dict[str, Any]) -> dict[str, Any]:
    """The record of the next plan, after the first one was closed."""
    assert town.push(sip).status_code == 201
    closed = copy.deepcopy(sip) | {"status": "avslutad", "avslut": {"datum": "2025-05-30", "orsak": "mål uppnådda"}}
    assert town.push(closed).status_code == 200
    town.sync()
    return copy.deepcopy(sip) | {"id": "SIP-NEXT"}


def person(town: Town) -> dict[str, Any]:
    """The one person whom all plans are about."""
    (entry,) = town.get("/fhir/Patient").json()["entry"]
    found: dict[str, Any] = entry["resource"]
    return found


def phone(found: dict[str, Any]) -> list[str]:
    return [one["value"] for one in found["telecom"] if one["system"] == "phone"]


def test_what_the_next_plan_says_about_the_person_is_shown_everywhere(town: Town, following: dict[str, Any]) -> None:
    following["person"] |= {"phone": "070-174 06 99", "skyddade_personuppgifter": "sekretessmarkering"}
    cursor = town.get("/parties/sodertalje/records").json()["cursor"]
    receipt = town.push(following).json()
    assert (receipt["issues"], receipt["conflicts"]) == ([], [])
    assert phone(person(town)) == ["070-174 06 99"]
    assert person(town)["meta"]["security"][0]["code"] == "sekretessmarkering"
    changed = town.get("/parties/sodertalje/records", since=cursor).json()["records"]
    assert {one["record"]: one["content"]["person"]["phone"] for one in changed} == {
        "SIP-1": "070-174 06 99",
        "SIP-NEXT": "070-174 06 99",
    }
    town.sync()
    assert phone(town.at_region(f"Patient/{person(town)['id']}")) == ["070-174 06 99"]


def test_a_later_change_of_the_person_in_the_next_plan_is_taken(town: Town, following: dict[str, Any]) -> None:
    town.push(following)
    following["person"] |= {"avliden": "2025-05-29", "phone": "070-174 06 98"}
    assert town.push(following).json()["state"] == "accepted"
    assert (person(town)["deceasedDateTime"], phone(person(town))) == ("2025-05-29", ["070-174 06 98"])


def test_a_third_plan_is_not_asked_about_what_the_second_said(town: Town, following: dict[str, Any]) -> None:
    following["person"]["phone"] = "070-174 06 98"
    town.push(following)
    third = copy.deepcopy(following) | {"id": "SIP-THIRD"}
    third["person"]["phone"] = "070-174 06 97"
    assert town.push(third).json()["conflicts"] == []
    assert phone(person(town)) == ["070-174 06 97"]


def test_a_corrected_number_in_the_next_plan_finds_the_person(town: Town, following: dict[str, Any]) -> None:
    plan = town.push(following).json()["plan"]["id"]
    following["person"] |= {"personnummer": "196101182803", "tidigare_nummer": ["198507142381"]}
    assert town.push(following).json()["state"] == "accepted"
    found = town.get("/fhir/CarePlan", **{"patient.identifier": f"{NUMBER}|196101182803"}).json()
    assert plan in {entry["resource"]["id"] for entry in found["entry"]}


def test_a_shorter_record_takes_nothing_of_the_person_away(town: Town, following: dict[str, Any]) -> None:
    before = person(town)
    following["person"] = {name: following["person"][name] for name in ("name", "personnummer", "address", "kommun")}
    receipt = town.push(following).json()
    assert (receipt["issues"], receipt["conflicts"]) == ([], [])
    assert {name: value for name, value in person(town).items() if name != "meta"} == {
        name: value for name, value in before.items() if name != "meta"
    }


def test_a_record_that_knows_only_the_municipality_keeps_street_and_postal_code(
    town: Town, following: dict[str, Any]
) -> None:
    before = person(town)["address"]
    address = following["person"].pop("address")
    receipt = town.push(following).json()
    assert (receipt["issues"], receipt["conflicts"]) == ([], [])
    assert person(town)["address"] == before
    assert town.push(following).json()["state"] == "unchanged"
    assert town.record("SIP-NEXT")["person"]["address"] == address
    assert town.push(town.record("SIP-1")).json()["state"] == "unchanged"


def test_a_record_that_knows_another_municipality_leaves_no_street_of_the_old_one(
    town: Town, following: dict[str, Any]
) -> None:
    del following["person"]["address"]
    following["person"]["kommun"] = "Nykvarn (0140)"
    assert town.push(following).json()["conflicts"] == []
    (address,) = person(town)["address"]
    assert (address["district"], "line" in address, "postalCode" in address) == ("Nykvarn", False, False)


def test_what_the_region_changed_meanwhile_is_not_undone_by_the_next_plan(
    town: Town, following: dict[str, Any]
) -> None:
    there = town.at_region(f"Patient/{person(town)['id']}")
    there["telecom"] = [{"system": "phone", "value": "070-174 06 11"}]
    town.put_at_region(there)
    town.sync()
    town.push(following)
    assert phone(person(town)) == ["070-174 06 11"], "the next plan says what the first one said"
    assert town.record("SIP-NEXT")["person"]["phone"] == "070-174 06 11"


def test_what_the_region_changes_of_the_person_shows_in_each_plan(town: Town, following: dict[str, Any]) -> None:
    town.push(following)
    town.sync()
    cursor = town.get("/parties/sodertalje/records").json()["cursor"]
    there = town.at_region(f"Patient/{person(town)['id']}")
    there["telecom"] = [{"system": "phone", "value": "070-174 06 11"}]
    town.put_at_region(there)
    town.sync()
    changed = town.get("/parties/sodertalje/records", since=cursor).json()["records"]
    assert {one["record"]: one["content"]["person"]["phone"] for one in changed} == {
        "SIP-1": "070-174 06 11",
        "SIP-NEXT": "070-174 06 11",
    }


def test_another_municipality_changes_nothing_of_the_person_and_is_told_nothing(
    town: Town, following: dict[str, Any]
) -> None:
    (before,) = town.get("/fhir/Patient").json()["entry"]
    following["person"] |= {"phone": "070-174 06 99", "kommun": "Nykvarn (0140)"}
    receipt = town.push(following, party="nykvarn").json()
    assert (receipt["state"], receipt["issues"], receipt["conflicts"]) == ("accepted", [], [])
    assert before in town.get("/fhir/Patient").json()["entry"]
    assert town.record("SIP-NEXT", party="nykvarn")["person"]["phone"] == "070-174 06 99"


@pytest.fixture
def two(town: Town, sip: dict[str, Any]) -> tuple[dict[str, Any], dict[str, Any]]:
    """Two records of one municipality about one person, which are at the region."""
    other = copy.deepcopy(sip) | {"id": "S-2"}
    assert (town.push(sip).status_code, town.push(other).status_code) == (201, 201)
    town.sync()
    return sip, other


def say(town: Town, record: dict[str, Any], **person: str | None) -> list[Any]:
    """The record with something else about the person; what is left to decide."""
    record["person"] |= person
    receipt = town.push(record).json()
    assert receipt["state"] in ("accepted", "unchanged"), receipt
    found: list[Any] = receipt["conflicts"]
    return found


Two = tuple[dict[str, Any], dict[str, Any]]


def test_the_later_word_of_a_party_is_live_whichever_record_it_came_with(town: Town, two: Two) -> None:
    first, second = two
    assert say(town, first, phone="070-1", avliden="2025-05-28") == []
    assert say(town, second, phone="070-2", avliden="2025-05-29") == []
    assert (phone(person(town)), person(town)["deceasedDateTime"]) == (["070-2"], "2025-05-29")
    assert say(town, first, avliden="2025-05-30") == [], "the first one says again what it said of the telephone"
    assert (phone(person(town)), person(town)["deceasedDateTime"]) == (["070-2"], "2025-05-30")
    assert say(town, second) == say(town, first) == []
    assert (phone(person(town)), person(town)["deceasedDateTime"]) == (["070-2"], "2025-05-30")
    assert say(town, first, phone="070-3") == []
    assert say(town, second, phone="070-1") == [], "what another record said before is no old value of this one"
    assert phone(person(town)) == ["070-1"]


def test_what_a_record_leaves_out_takes_nothing_newer_of_another_one_away(town: Town, two: Two) -> None:
    first, second = two
    assert say(town, first, phone="070-1", birthDate_note="ungefär") == []
    del second["person"]["phone"]
    assert say(town, second) == []
    assert phone(person(town)) == ["070-1"]


def test_what_a_region_changed_between_two_words_of_a_party_is_kept(town: Town, two: Two) -> None:
    first, second = two
    say(town, first, phone="070-1")
    town.sync()
    there = town.at_region(f"Patient/{person(town)['id']}")
    town.put_at_region(there | {"telecom": [{"system": "phone", "value": "070-9"}]})
    town.sync()
    (asked,) = say(town, second, phone="070-2")
    assert (asked["live"]["value"], asked["kept"]["value"], asked["keptFrom"]) == ("070-2", "070-9", "region-stockholm")
