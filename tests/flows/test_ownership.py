"""Owners and tombstones in the running service: whom the plan names, who added what, and what stays away."""

from __future__ import annotations

import copy
import json
from typing import Any
from uuid import uuid4

import pytest

from fhir_adapter.fhir.resources import CODES, STATUTORY_BASIS
from tests.flows.conftest import SAMPLES, Town

UNKNOWN = {"url": "https://region.example/risk", "valueString": "låg"}


def goal_of(town: Town, plan: str, word: str) -> dict[str, Any]:
    care_plan = town.get(f"/fhir/CarePlan/{plan}").json()
    goals = [town.get(f"/fhir/{each['reference']}").json() for each in care_plan["goal"]]
    return next(goal for goal in goals if word in goal["description"]["text"])


def test_an_extension_is_its_senders_in_whoevers_goal(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    goal = town.goal_at_region(plan, "buss")
    town.put_at_region(goal | {"extension": [*goal.get("extension", []), UNKNOWN]})
    town.sync()
    assert UNKNOWN in goal_of(town, plan, "buss")["extension"]
    goal = town.goal_at_region(plan, "buss")
    town.put_at_region(goal | {"extension": [one for one in goal["extension"] if one != UNKNOWN]})
    town.sync()
    assert UNKNOWN not in goal_of(town, plan, "buss").get("extension", []), "who added it may take it away"
    assert town.record()["id"] == sip["id"]


def test_an_old_export_does_not_bring_back_what_was_taken_out(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    newer = sip | {"insatser": sip["insatser"][:1] + sip["insatser"][2:]}
    gone = sip["insatser"][1]["text"]
    town.push(newer)
    late = town.push(sip).json()
    states = {
        one.get("code", {}).get("text"): one["status"]
        for each in town.get(f"/fhir/CarePlan/{plan}").json()["activity"]
        for one in [town.get(f"/fhir/{each['reference']['reference']}").json()]
    }
    assert states[gone] in ("revoked", "entered-in-error")
    assert [one["kind"] for one in late["conflicts"]] == ["edit-against-delete"]


def test_a_reader_names_no_statute_and_does_not_make_itself_the_lead(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    there, coding = town.at_region(f"CarePlan/{plan}"), {"system": f"{CODES}/disclosure-basis", "code": "x"}
    basis = {"url": STATUTORY_BASIS, "valueCodeableConcept": {"coding": [coding]}}
    author = {"reference": f"Organization/{uuid4()}"}
    town.put_at_region(there | {"extension": [*there.get("extension", []), basis], "author": author, "title": "SIP"})
    town.sync()
    live = town.get(f"/fhir/CarePlan/{plan}").json()
    assert (live["author"], live["title"]) == (there["author"], "SIP")
    assert basis not in live.get("extension", [])
    found = town.get("/parties/sodertalje/conflicts").json()["conflicts"]
    by_path = {one["element"].partition("#")[2]: one for one in found}
    assert {path: one["kind"] for path, one in by_path.items()} == {
        "author": "not-allowed",
        f"extension[{STATUTORY_BASIS}]": "not-allowed",
    }
    town.sync()
    assert town.at_region(f"CarePlan/{plan}")["author"] == there["author"]
    statute = by_path[f"extension[{STATUTORY_BASIS}]"]
    taken = town.post(f"/parties/sodertalje/conflicts/{statute['id']}/decision", {"decision": "take"})
    assert taken.status_code == 200, taken.text
    assert basis in town.get(f"/fhir/CarePlan/{plan}").json()["extension"], "the lead may"


@pytest.mark.parametrize("element", ["identifier", "partOf"])
def test_who_makes_an_organisation_its_own_does_not_see_the_other_plans_in_which_that_takes_part(
    town: Town, sip: dict[str, Any], element: str
) -> None:
    town.push(sip)
    town.sync()
    there = {one["resource"]["name"]: one["resource"] for one in town.at_region("Organization")["entry"]}
    town_there, region = there["Södertälje kommun"], there["Region Stockholm"]
    own = {
        "identifier": [*town_there["identifier"], *region["identifier"]],
        "partOf": {"reference": f"Organization/{region['id']}"},
    }
    town.put_at_region(town_there | {element: own[element]})
    town.sync()
    assert town.get(f"/fhir/Organization/{town_there['id']}").json().get(element) == town_there.get(element)
    (asked,) = town.get("/parties/sodertalje/conflicts").json()["conflicts"]
    assert (asked["kind"], asked["element"].partition("#")[2]) == ("not-allowed", element)
    others = copy.deepcopy(sip) | {"id": "S-2", "deltagare": sip["deltagare"][:3], "kallelse": None}
    others["person"]["personnummer"] = "196101182803"
    others["fast_vardkontakt"], others["insatser"] = None, [sip["insatser"][1]]
    (shared,) = town.push(others).json()["shared"]
    assert shared["permit"] is False


def test_another_plan_beside_the_shared_one_lets_nobody_in(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    there = town.at_region(f"CarePlan/{plan}")
    salem = {"identifier": {"system": "urn:oid:2.5.4.97", "value": "2120002874"}}
    other = {name: there[name] for name in ("resourceType", "status", "intent", "subject", "goal")}
    town.put_at_region(other | {"id": "0", "author": salem})
    town.sync()
    town.put_at_region(town.at_region(f"CarePlan/{plan}") | {"partOf": [{"reference": "CarePlan/0"}]})
    town.sync()
    assert town.get(f"/parties/salem/records/{plan}").status_code == 404


def test_a_person_who_gets_a_personnummer_stays_the_same_person(town: Town) -> None:
    omar = json.loads((SAMPLES / "SIP-3.json").read_text("utf-8"))
    plan = town.push(omar, party="salem").json()["plan"]["id"]
    before = town.get(f"/fhir/CarePlan/{plan}").json()["subject"]["reference"]
    old = omar["person"]["samordningsnummer"]
    without_old = {name: value for name, value in omar["person"].items() if name not in ("samordningsnummer", "idtype")}
    omar["person"] = without_old | {"personnummer": "196101182803", "tidigare_nummer": [old]}
    assert town.push(omar, party="salem").status_code == 200
    assert town.get(f"/fhir/CarePlan/{plan}").json()["subject"]["reference"] == before
    numbers = {one["value"]: one.get("use") for one in town.get(f"/fhir/{before}").json()["identifier"]}
    assert numbers[old] == "old"
    assert numbers["196101182803"] != "old"
    assert town.push(town.record("SIP-3", party="salem"), party="salem").json()["state"] == "unchanged"
