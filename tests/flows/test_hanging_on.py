"""What a region hangs on a plan by way of something else, and what it leaves in its own record."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

from fhir_adapter.flows import news
from fhir_adapter.flows.verify import verify
from tests.flows.conftest import Town
from tests.flows.five_parties import a_plan_of_five, a_pointer_into_a_record_of_its_own_holds_up_no_other, five_parties


def goal(plan: dict[str, Any], **more: Any) -> dict[str, Any]:
    made = {"resourceType": "Goal", "id": str(uuid4()), "lifecycleStatus": "active", "subject": plan["subject"]}
    return made | {"description": {"text": "Sova hela natten"}} | more


def observation(plan: dict[str, Any]) -> dict[str, Any]:
    made = {"resourceType": "Observation", "id": str(uuid4()), "status": "final", "subject": plan["subject"]}
    return made | {"code": {"text": "sov fem timmar"}}


def naming(plan: dict[str, Any], found: dict[str, Any]) -> dict[str, Any]:
    return plan | {"goal": [*plan["goal"], {"reference": f"Goal/{found['id']}"}]}


def test_what_was_saved_while_a_region_was_read_is_taken_in_with_what_it_points_to(
    town: Town, sip: dict[str, Any]
) -> None:
    """The list of changes is older than the histories that are read after it: they name what it cannot show."""
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    hub = town.service.hub
    region = hub.parties["region-stockholm"]
    start = datetime.now(UTC)
    town.put_at_region(town.at_region(f"CarePlan/{plan}") | {"title": "Elins plan"})
    seen = news.changes_since(hub, region, start)
    theirs = town.at_region(f"CarePlan/{plan}")
    progress = observation(theirs)
    new = goal(theirs, outcomeReference=[{"reference": f"Observation/{progress['id']}"}])
    for resource in (progress, new, naming(theirs, new)):
        town.put_at_region(resource)
    found = news.read(hub, region, seen, (), start)
    assert {version.id for version in found.versions} == {plan, new["id"], progress["id"]}


def test_what_a_region_points_to_in_its_own_record_does_not_hold_up_another(tmp_path: Path) -> None:
    with five_parties(tmp_path) as five:
        a_pointer_into_a_record_of_its_own_holds_up_no_other(five, "198507142381")


def test_what_comes_after_the_pointer_to_it_is_pointed_to_everywhere(tmp_path: Path) -> None:
    with five_parties(tmp_path) as five:
        five.plan = five.push("sodertalje", a_plan_of_five("198507142381"))["plan"]["id"]
        five.settle()
        stockholm = five.regions["region-stockholm"]
        progress = observation(five.at("region-stockholm", "Goal", "ringer"))
        outcome = [{"reference": f"Observation/{progress['id']}"}]
        five.edit_at("region-stockholm", "Goal", "ringer", outcomeReference=outcome)
        five.settle()
        assert "reference" not in five.at("region-uppsala", "Goal", "ringer")["outcomeReference"][0]
        progress["basedOn"] = [{"reference": f"CarePlan/{five.plan}"}]
        stockholm.send("PUT", f"Observation/{progress['id']}", json=progress)
        five.settle()
        assert five.at("region-uppsala", "Goal", "ringer")["outcomeReference"] == outcome
        assert list(verify(five.hub, five.hub.parties["region-uppsala"])) == []
