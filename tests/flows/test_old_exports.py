"""What a region added is shown, an older export comes, and then the record that took it up: it is there once."""

from __future__ import annotations

import json
from typing import Any
from uuid import uuid4

import pytest

from tests.flows.conftest import Town

Record = dict[str, Any]


@pytest.fixture
def plan(town: Town, sip: Record) -> str:
    plan: str = town.push(sip).json()["plan"]["id"]
    town.sync()
    return plan


def team_at_region(town: Town, plan: str) -> Record:
    return town.at_region(town.at_region(f"CarePlan/{plan}")["careTeam"][0]["reference"])


def new_member(town: Town, plan: str, how: str) -> None:
    """The region's doctor joins the team: as a Practitioner, or by name alone."""
    doctor = {"resourceType": "Practitioner", "id": str(uuid4()), "name": [{"text": "Dora Ny", "family": "Ny"}]}
    member = {"display": "Dora Ny"}
    if how == "practitioner":
        town.put_at_region(doctor)
        member["reference"] = f"Practitioner/{doctor['id']}"
    team = team_at_region(town, plan)
    team["participant"].append({"role": [{"text": "psykiater"}], "member": member})
    town.put_at_region(team)


def new_number(town: Town, plan: str) -> None:
    """The region writes down a mobile number beside what the municipality knows."""
    person = town.at_region(town.at_region(f"CarePlan/{plan}")["subject"]["reference"])
    town.put_at_region(person | {"telecom": [{"system": "phone", "use": "mobile", "value": "070-123 45 67"}]})


def taken_up_after_an_older_export(town: Town, sip: Record) -> Record:
    town.sync()
    shown = town.record()
    town.push(sip | {"gloss": "an older export"})
    return shown


@pytest.mark.parametrize("how", ["practitioner", "by name"])
def test_a_member_is_there_once(town: Town, sip: Record, plan: str, how: str) -> None:
    new_member(town, plan, how)
    shown = taken_up_after_an_older_export(town, sip)
    assert town.push(shown).status_code == 200
    assert [one["namn"] for one in town.record()["deltagare"]].count("Dora Ny") == 1
    town.sync()
    assert json.dumps(team_at_region(town, plan)).count('"Dora Ny"') == 1


def test_a_number_is_there_once_and_goes_when_it_is_taken_away(town: Town, sip: Record, plan: str) -> None:
    new_number(town, plan)
    shown = taken_up_after_an_older_export(town, sip)
    assert shown["person"]["phone"] == "070-123 45 67"
    town.push(shown)
    person = f"/fhir/{town.get(f'/fhir/CarePlan/{plan}').json()['subject']['reference']}"
    assert len(town.get(person).json()["telecom"]) == 1
    del shown["person"]["phone"]
    town.push(shown)
    assert "telecom" not in town.get(person).json()
