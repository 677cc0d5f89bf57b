"""Two municipalities with plans about one person: each has a record of its own, and its readers see that alone."""

from __future__ import annotations

import copy
import json
from typing import Any

import pytest
import requests

from fhir_adapter.flows import deciding, persons
from fhir_adapter.flows.conflicts import list_conflicts
from fhir_adapter.flows.push import Delivery
from fhir_adapter.flows.verify import verify
from tests.flows.conftest import Town
from tests.flows.test_persons import NUMBER, content, join, other, person_of, settle, there, undo

SECRET = {"phone": "070-555 55 55", "address": "Gömda vägen 1, 151 99 Södertälje"}

Record = dict[str, Any]


def of_town(sip: Record, name: str, number: str, place: str, **person: str) -> Record:
    """The record of another municipality about the same person; the region and Salem take part in it."""
    text = json.dumps(sip, ensure_ascii=False).replace("Södertälje kommun", name).replace("2120000159", number)
    record: Record = json.loads(text) | {"id": f"{place}-1"}
    record["person"] |= {"kommun": place} | person
    record["deltagare"].append({"namn": "Sara", "roll": "handläggare", "org": "Salems kommun", "orgnr": "2120002874"})
    done = {"text": "Fritid", "huvudman": "kommun", "ansvarig": "Salems kommun", "status": "planerad"}
    record["insatser"].append(done | {"id": "I9", "mal": ["M1"]})
    return record


@pytest.fixture
def first(sip: Record) -> Record:
    """Södertälje's record, in which the region takes no part; only there stands where the person lives."""
    record = copy.deepcopy(sip)
    record["person"] |= SECRET
    record["deltagare"], record["insatser"] = record["deltagare"][:3], [record["insatser"][1]]
    record["kallelse"] = record["fast_vardkontakt"] = None
    return record


@pytest.fixture
def second(sip: Record) -> Record:
    return of_town(sip, "Nykvarns kommun", "2120002999", "Nykvarn (0140)", phone="070-111 11 11")


@pytest.fixture
def plans(town: Town, first: Record, second: Record) -> tuple[str, str]:
    one, other = town.push(first).json(), town.push(second, party="nykvarn").json()
    assert (other["state"], other["issues"], other["conflicts"]) == ("accepted", [], [])
    settle(town)
    return one["plan"]["id"], other["plan"]["id"]


def test_readers_of_one_plan_see_nothing_of_what_the_other_party_says_of_the_person(
    town: Town, second: Record, plans: tuple[str, str]
) -> None:
    there = town.at_region("Patient")["entry"]
    assert [one["resource"]["telecom"][0]["value"] for one in there] == ["070-111 11 11"]
    at_salem = town.record(plans[1], party="salem")
    assert at_salem["person"] == second["person"]
    for text in SECRET.values():
        assert text[:9] not in json.dumps([there, at_salem], ensure_ascii=False)


def test_what_a_party_says_itself_of_a_person_whom_another_brought_is_not_told_beside_its_record(
    town: Town, plans: tuple[str, str]
) -> None:
    assert len(set(plans)) == 2
    (shown,) = town.get("/parties/nykvarn/records").json()["records"]
    assert shown["untold"] == []


def test_each_goes_on_with_its_own_record_of_the_person(town: Town, second: Record, plans: tuple[str, str]) -> None:
    before = content(town, plans[0])
    assert town.push(second, party="nykvarn").json()["state"] == "unchanged"
    second["person"] |= {"skyddade_personuppgifter": "sekretessmarkering", "phone": "070-222 22 22"}
    second["person"]["tidigare_nummer"] = ["196101182803"]
    assert town.push(second, party="nykvarn").json()["state"] == "accepted"
    settle(town)
    (there,) = (one["resource"] for one in town.at_region("Patient")["entry"])
    assert there["meta"]["security"][0]["code"] == "sekretessmarkering"
    assert there["telecom"][0]["value"] == "070-222 22 22"
    assert town.record(second["id"], party="nykvarn") == second
    assert content(town, plans[0]) == before
    following = town.push(second | {"id": "N-2"}, party="nykvarn").json()["plan"]["id"]
    assert person_of(town, following) == person_of(town, plans[1]), "the same party's next plan"


def test_each_party_names_staff_as_it_does_and_the_regions_own_record_stands_for_both(
    town: Town, sip: Record, second: Record
) -> None:
    hsa = {"system": "urn:oid:1.2.752.29.4.19", "value": "SE2321000016-TEST1"}
    town.put_at_region({"resourceType": "Practitioner", "id": "own", "identifier": [hsa]})
    for field in (second["deltagare"][3], *second["insatser"]):
        field |= {name: "Mehmet Nytt" for name in ("namn", "ansvarig") if field.get(name) == "Mehmet Yıldız"}
    second["fast_vardkontakt"] = "Mehmet Nytt"
    plan = town.push(sip).json()["plan"]["id"]
    others = town.push(second, party="nykvarn").json()["plan"]["id"]
    settle(town)
    names = {
        entry["resource"]["id"]: entry["resource"].get("name") for entry in town.at_region("Practitioner")["entry"]
    }
    assert names.pop("own") is None
    assert "Mehmet" not in json.dumps(names), "it is pointed to, not made twice"
    assert "Mehmet Nytt" in [one["namn"] for one in town.record(others, party="salem")["deltagare"]]
    before = [content(town, one) for one in (plan, others)]
    role = next(one for ref, one in there(town).items() if one.get("practitioner") == {"reference": "Practitioner/own"})
    town.put_at_region(town.at_region(f"PractitionerRole/{role['id']}") | {"active": True})
    settle(town)
    after = [content(town, one) for one in (plan, others)]
    changed = [ref for one, other in zip(before, after, strict=True) for ref in other if other[ref] != one.get(ref)]
    assert changed == [f"PractitionerRole/{role['id']}"], "and it is still this plan's own that is meant"
    (role_here,) = (found[changed[0]] for found in after if changed[0] in found)
    assert role_here["practitioner"] != {"reference": "Practitioner/own"}
    assert town.record("SIP-1") == sip
    assert town.record(second["id"], party="nykvarn") == second


def test_what_the_region_edits_of_the_person_is_told_to_its_own_plans_party_alone(
    town: Town, second: Record, plans: tuple[str, str]
) -> None:
    cursor = town.get("/parties/sodertalje/records").json()["cursor"]
    there = town.at_region(person_of(town, plans[1]))
    town.put_at_region(there | {"telecom": [{"system": "phone", "value": "070-333 33 33"}]})
    second["person"]["phone"] = "070-444 44 44"
    town.push(second, party="nykvarn")
    town.sync()
    assert town.get("/parties/sodertalje/records", since=cursor).json()["records"] == []
    assert town.get("/parties/sodertalje/conflicts").json()["conflicts"] == []
    (asked,) = town.get("/parties/nykvarn/conflicts").json()["conflicts"]
    assert (asked["path"], asked["live"], asked["kept"]) == ("person.phone", "070-444 44 44", "070-333 33 33")


def test_all_plans_are_found_by_the_number_and_nobody_is_asked_whether_they_are_one(
    town: Town, first: Record, plans: tuple[str, str]
) -> None:
    found = town.get("/fhir/CarePlan", **{"patient.identifier": f"{NUMBER}|{first['person']['personnummer']}"}).json()
    assert {entry["resource"]["id"] for entry in found["entry"]} == set(plans)
    assert person_of(town, plans[0]) != person_of(town, plans[1])
    assert persons.listed(town.service.hub) == []


def test_a_third_record_of_the_person_comes_to_a_region_that_has_two(town: Town, sip: Record, second: Record) -> None:
    third = of_town(sip, "Salems kommun", "2120002874", "Salem (0128)")
    found = [
        town.push(one, party=party).json()["plan"]["id"]
        for party, one in (("sodertalje", sip), ("nykvarn", second), ("salem", third))
    ]
    settle(town)
    assert [town.at_region(f"CarePlan/{plan}")["subject"]["reference"] for plan in found] == [
        person_of(town, plan) for plan in found
    ]


def test_a_region_that_knows_the_person_by_the_old_number_of_one_is_not_given_the_others_under_it(
    town: Town, sip: Record
) -> None:
    """That a number was another's once is a question for the keeper; nobody is joined at the region by it."""
    number = {"system": NUMBER, "value": sip["person"]["personnummer"]}
    town.put_at_region({"resourceType": "Patient", "id": "own", "identifier": [number]})
    record = other(sip)
    record["person"]["tidigare_nummer"] = [sip["person"]["personnummer"]]
    found = [town.push(sip).json()["plan"]["id"], town.push(record, party="nykvarn").json()["plan"]["id"]]
    settle(town)
    subjects = [town.at_region(f"CarePlan/{plan}")["subject"]["reference"] for plan in found]
    assert subjects == ["Patient/own", person_of(town, found[1])]
    assert [one.pair.why for one in persons.listed(town.service.hub)] == ["one-number"]


def test_the_regions_own_record_of_the_person_stands_for_those_of_both(town: Town, sip: Record, second: Record) -> None:
    number = {"system": NUMBER, "value": sip["person"]["personnummer"]}
    town.put_at_region({"resourceType": "Patient", "id": "own", "identifier": [number]})
    found = [town.push(sip).json()["plan"]["id"], town.push(second, party="nykvarn").json()["plan"]["id"]]
    settle(town)
    subjects = [town.at_region(f"CarePlan/{plan}")["subject"]["reference"] for plan in found]
    assert subjects == ["Patient/own", "Patient/own"]
    goal = town.goal_at_region(found[1], "buss")
    town.put_at_region(goal | {"note": [{"time": "2025-03-01T10:00:00Z", "text": "regionen"}]})
    settle(town)
    assert town.get(f"/fhir/Goal/{goal['id']}").json()["subject"]["reference"] == person_of(town, found[1])


def test_each_party_is_asked_about_its_own_record_where_the_region_deletes_what_stood_for_both(
    town: Town, sip: Record, second: Record
) -> None:
    """Whatever becomes of the one plan, the other has its person there, and says of that one what it says itself."""
    number = {"system": NUMBER, "value": sip["person"]["personnummer"]}
    town.put_at_region({"resourceType": "Patient", "id": "own", "identifier": [number]})
    found = [town.push(sip).json()["plan"]["id"], town.push(second, party="nykvarn").json()["plan"]["id"]]
    settle(town)
    assert requests.delete(f"{town.region}/Patient/own", timeout=30).ok
    town.sync()
    hub, own = town.service.hub, [person_of(town, plan) for plan in found]
    asked = {one["element"].removesuffix("#"): one for one in list_conflicts(hub, None)}
    assert sorted(asked) == sorted(own)
    assert town.at_region("Patient").get("entry", []) == [], "it stays away while that is asked"
    for party, person in zip(("sodertalje", "nykvarn"), own, strict=True):
        keep = Delivery(person, "application/json", deciding.body_of("keep", seen=asked[person]["seen"]))
        assert deciding.decide(hub, hub.parties[party], asked[person]["id"], keep).status == 200
        town.sync()
    second["person"] |= {"skyddade_personuppgifter": "sekretessmarkering", "phone": "070-222 22 22"}
    assert town.push(second, party="nykvarn").json()["state"] == "accepted"
    settle(town)
    subjects = [town.at_region(town.at_region(f"CarePlan/{plan}")["subject"]["reference"]) for plan in found]
    assert [one["telecom"][0]["value"] for one in subjects] == [sip["person"]["phone"], "070-222 22 22"]
    assert [bool(one["meta"].get("security")) for one in subjects] == [False, True]
    assert [*verify(hub, hub.parties["region-stockholm"])] == []


def test_what_the_region_makes_anew_under_the_name_that_stood_for_both_answers_for_one_alone(
    town: Town, sip: Record, second: Record
) -> None:
    own = {"resourceType": "Patient", "id": "own", "birthDate": sip["person"]["birthDate"]}
    own |= {"identifier": [{"system": NUMBER, "value": sip["person"]["personnummer"]}]}
    town.put_at_region(own)
    found = [town.push(sip).json()["plan"]["id"], town.push(second, party="nykvarn").json()["plan"]["id"]]
    settle(town)
    assert requests.delete(f"{town.region}/Patient/own", timeout=30).ok
    town.sync()
    town.put_at_region(own)
    town.sync()
    hub = town.service.hub
    (left,) = verify(hub, hub.parties["region-stockholm"])
    assert left.reference in [person_of(town, plan) for plan in found]
    assert left.why.startswith("deleted there: Task/")


def test_a_partys_own_record_is_not_taken_for_anothers_of_that_id_about_the_same_person(
    town: Town, sip: Record, second: Record
) -> None:
    theirs = town.push(second | {"id": "SIP-1"}, party="nykvarn").json()["plan"]["id"]
    (shown,) = town.get("/parties/salem/records").json()["records"]
    assert shown["record"] == "SIP-1"
    own = of_town(sip, "Salems kommun", "2120002874", "Salem (0128)") | {"id": "SIP-1", "uppfoljning": []}
    own |= {"title_local": "Eget", "vad_ar_viktigt": "Lugn", "mal": [{"id": "M1", "text": "Sova"}]}
    own["insatser"] = [one | {"mal": ["M1"], "text": "Egen"} for one in own["insatser"][:2]]
    own["samtycke"]["datum"], own["kallelse"] = "2025-04-01", None
    receipt = town.push(own, party="salem").json()
    assert (receipt["state"], receipt["issues"]) == ("accepted", [])
    assert receipt["plan"]["id"] != theirs
    assert town.record("SIP-1", party="salem")["mal"][0]["text"] == "Sova"
    texts = [[one["text"] for one in found["mal"]] for found in (town.record(theirs, party="salem"), second)]
    assert texts[0] == texts[1], "that one goes by the plan's id from now on"
    assert town.record("SIP-1", party="nykvarn") == second | {"id": "SIP-1"}


def test_what_a_party_was_shown_and_edits_is_that_plan(town: Town, second: Record) -> None:
    theirs = town.push(second, party="nykvarn").json()["plan"]["id"]
    (shown,) = town.get("/parties/salem/records").json()["records"]
    record = shown["content"]
    for one in (*record["mal"], *record["insatser"]):
        one["text"] += "!"
    assert town.push(record, party="salem").json()["plan"]["id"] == theirs


def test_who_has_no_part_in_a_joining_of_two_records_keeps_its_own(town: Town, sip: Record) -> None:
    """Södertälje's and Nykvarn's records were joined; Salem knows the person by the old number and of neither."""
    joined = [town.push(sip).json()["plan"]["id"], town.push(other(sip), party="nykvarn").json()["plan"]["id"]]
    old, new = join(town, *joined)
    third = of_town(sip, "Salems kommun", "2120002874", "Salem (0128)", phone="070-333 33 33")
    plan = town.push(third, party="salem").json()["plan"]["id"]
    settle(town)
    assert person_of(town, plan) not in (old, new)
    assert town.at_region(person_of(town, plan))["telecom"][0]["value"] == "070-333 33 33"
    third["person"]["phone"] = "070-444 44 44"
    assert town.push(third, party="salem").json()["state"] == "accepted"
    undo(town, old, new)
    settle(town)
    assert town.record(third["id"], party="salem") == third
    assert town.push(third, party="salem").json()["state"] == "unchanged"
