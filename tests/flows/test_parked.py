"""What was parked when it came: listed, shown, applied after all, or dropped for a reason."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from fhir_adapter.cli import app
from fhir_adapter.errors import AdapterError, BadUsage, Conflict, NotFound, Refused
from fhir_adapter.settings import mark_demo
from fhir_adapter.store import resources
from fhir_adapter.store.database import Database
from tests.flows.conftest import Town

WHY = "tried as a new user would"


class Desk:
    """The command on the data folder of a running town."""

    def __init__(self, folder: Path) -> None:
        self.folder = str(folder)

    def run(self, *words: str) -> Result:
        return CliRunner().invoke(app, ["parked", *words, "--data", self.folder])

    def list(self, *more: str) -> list[dict[str, Any]]:
        found: list[dict[str, Any]] = json.loads(self.run("list", "--json", *more).stdout)
        return found

    def refused(self, *words: str) -> BaseException | None:
        return self.run(*words).exception


@pytest.fixture
def desk(town: Town, tmp_path: Path) -> Desk:
    mark_demo(tmp_path, town.region)
    return Desk(tmp_path)


def emptied(sip: dict[str, Any]) -> dict[str, Any]:
    return sip | {"mal": []}


def goals(town: Town, plan: str) -> list[str]:
    care_plan = town.get(f"/fhir/CarePlan/{plan}").json()
    return [town.get(f"/fhir/{one['reference']}").json()["lifecycleStatus"] for one in care_plan["goal"]]


def test_an_emptied_record_is_listed_shown_and_applied(town: Town, sip: dict[str, Any], desk: Desk) -> None:
    assert "nothing is parked" in desk.run().stdout
    plan = town.push(sip).json()["plan"]["id"]
    key = str(uuid4())
    assert town.push(emptied(sip), key=key).json()["state"] == "parked"
    (one,) = desk.list()
    assert (one["party"], one["what"], one["plan"]) == ("sodertalje", key, plan)
    assert "broken export" in one["why"]
    shown = json.loads(desk.run("show", str(one["id"]), "--json").stdout)
    assert (shown["about"], shown["elements"], "said" in shown) == ("record SIP-1", ["mal"], False)
    assert json.loads(desk.run("show", str(one["id"]), "--json", "--values").stdout)["said"]["mal"] == []
    applied = desk.run("apply", str(one["id"]), "--reason", WHY)
    assert (applied.exit_code, "decision: applied" in applied.stdout) == (0, True)
    assert goals(town, plan).count("cancelled") == len(sip["mal"])
    assert town.push(emptied(sip), key=key).json()["state"] == "accepted", "the sender hears what became of it"
    assert desk.list() == []
    assert desk.list("--all")[0]["reason"] == WHY
    assert isinstance(desk.refused("drop", str(one["id"]), "--reason", WHY), Conflict)


def test_an_emptied_record_is_dropped(town: Town, sip: dict[str, Any], desk: Desk) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.push(emptied(sip))
    number = str(desk.list()[0]["id"])
    assert isinstance(desk.refused("drop", number, "--reason", "  "), BadUsage)
    assert desk.run("drop", number, "--reason", WHY).exit_code == 0
    assert "cancelled" not in goals(town, plan)
    assert desk.list() == []
    events = town.get("/fhir/AuditEvent", entity=f"CarePlan/{plan}", action="E").json()["entry"]
    assert WHY in json.dumps(events)


def test_a_record_that_a_newer_one_has_followed_is_not_applied(town: Town, sip: dict[str, Any], desk: Desk) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.push(emptied(sip))
    assert town.push(sip).status_code == 200
    number = str(desk.list()[0]["id"])
    assert isinstance(desk.refused("apply", number), Conflict)
    assert "cancelled" not in goals(town, plan)
    assert isinstance(desk.refused("show", "99999"), NotFound)


def invalid_goal(town: Town, sip: dict[str, Any], folder: str) -> dict[str, Any]:
    """A goal that the region spoilt in a server that takes what is no FHIR; as it was before."""
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    goal = town.goal_at_region(plan, "buss")
    spoilt = goal | {"description": {"text": "regionens ord", "coding": [{"code": " "}]}}
    server = Database(Path(folder) / "sandbox.sqlite")
    server.write(lambda connection: resources.save(connection, spoilt, now=datetime.now(UTC)))
    server.close()
    town.sync()
    return goal


def test_an_invalid_version_cannot_be_applied_and_is_written_over_when_it_is_dropped(
    town: Town, sip: dict[str, Any], desk: Desk
) -> None:
    goal = invalid_goal(town, sip, desk.folder)
    (one,) = desk.list()
    assert one["what"].startswith(f"Goal/{goal['id']}/_history/")
    assert "not valid" in one["why"]
    fault = desk.refused("apply", str(one["id"]))
    assert isinstance(fault, Refused)
    assert "not valid" in str(fault)
    town.sync()
    assert town.at_region(f"Goal/{goal['id']}")["description"]["text"] == "regionens ord", "nobody has looked yet"
    assert desk.run("drop", str(one["id"]), "--reason", WHY).exit_code == 0
    town.sync()
    assert town.at_region(f"Goal/{goal['id']}")["description"] == goal["description"]
    assert town.get("/parties/sodertalje/conflicts").json()["conflicts"] == []


def test_what_was_said_is_told_only_where_it_is_asked_for(town: Town, sip: dict[str, Any], desk: Desk) -> None:
    goal = invalid_goal(town, sip, desk.folder)
    town.push(emptied(sip))
    personal = [sip["person"]["name"], sip["person"]["personnummer"], "regionens ord"]
    assert {one["about"] for one in desk.list()} == {"record SIP-1", f"Goal/{goal['id']}"}
    for one in desk.list():
        number = str(one["id"])
        assert any(each in desk.run("show", number, "--values").stdout for each in personal)
        for answer in (desk.run("show", number), desk.run("drop", number, "--reason", WHY), desk.run("list", "--all")):
            assert answer.exit_code == 0
            assert not any(each in answer.stdout for each in personal)


def test_the_elements_are_those_that_the_party_changed(town: Town, sip: dict[str, Any], desk: Desk) -> None:
    invalid_goal(town, sip, desk.folder)
    number = str(desk.list()[0]["id"])
    shown = json.loads(desk.run("show", number, "--json").stdout)
    assert shown["elements"] == ["description.coding", "description.text"]
    assert "elements: description.coding, description.text" in desk.run("show", number).stdout


def test_what_the_region_wrote_next_makes_a_parked_version_old(town: Town, sip: dict[str, Any], desk: Desk) -> None:
    goal = invalid_goal(town, sip, desk.folder)
    town.put_at_region(town.at_region(f"Goal/{goal['id']}") | {"description": {"text": "regionens nya ord"}})
    town.sync()
    (one,) = desk.list()
    fault = desk.refused("apply", str(one["id"]))
    assert isinstance(fault, AdapterError)
    assert "newer" in str(fault)
    assert desk.run("drop", str(one["id"]), "--reason", WHY).exit_code == 0
    town.sync()
    assert town.at_region(f"Goal/{goal['id']}")["description"]["text"] == "regionens nya ord"


def in_the_way(town: Town, sip: dict[str, Any]) -> str:
    """The region saved something of its own under the id of a goal that it had not been given yet."""
    plan = town.push(sip).json()["plan"]["id"]
    care_plan = town.get(f"/fhir/CarePlan/{plan}").json()
    goal = town.get(f"/fhir/{care_plan['goal'][-1]['reference']}").json()
    own = {name: goal[name] for name in ("resourceType", "id", "subject")}
    town.put_at_region(own | {"lifecycleStatus": "active", "description": {"text": "regionens ord"}})
    town.sync()
    return str(goal["id"])


def test_what_stands_in_the_way_is_merged_when_it_is_applied(town: Town, sip: dict[str, Any], desk: Desk) -> None:
    goal = in_the_way(town, sip)
    (one,) = desk.list()
    assert "not shown" in one["why"]
    assert desk.run("apply", str(one["id"])).exit_code == 0
    found = town.get("/parties/sodertalje/conflicts").json()["conflicts"]
    assert ("both-changed", "regionens ord") in [(one["kind"], one["kept"]) for one in found]
    live = town.get(f"/fhir/Goal/{goal}").json()
    assert live["description"]["text"] == sip["mal"][-1]["text"]
    town.sync()
    assert town.at_region(f"Goal/{goal}")["description"] == live["description"]


def test_what_stands_in_the_way_is_written_over_when_it_is_dropped(town: Town, sip: dict[str, Any], desk: Desk) -> None:
    goal = in_the_way(town, sip)
    (one,) = desk.list()
    assert desk.run("drop", str(one["id"]), "--reason", WHY).exit_code == 0
    town.sync()
    assert town.at_region(f"Goal/{goal}")["description"]["text"] == sip["mal"][-1]["text"]
    assert town.get("/parties/sodertalje/conflicts").json()["conflicts"] == []


def test_what_is_about_another_person_is_shown_to_nobody_and_written_over_when_it_is_dropped(
    town: Town, sip: dict[str, Any], desk: Desk
) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    town.put_at_region({"resourceType": "Patient", "id": "omar", "name": [{"text": "Omar"}]})
    goal = town.goal_at_region(plan, "buss")
    town.put_at_region(goal | {"subject": {"reference": "Patient/omar"}, "description": {"text": "Omars ord"}})
    town.sync()
    (one,) = desk.list()
    assert "another person" in one["why"]
    assert isinstance(desk.refused("apply", str(one["id"])), Refused)
    assert town.get("/parties/sodertalje/conflicts").json()["conflicts"] == []
    assert town.get("/fhir/Patient/omar").status_code == 404
    assert desk.run("drop", str(one["id"]), "--reason", WHY).exit_code == 0
    town.sync()
    assert town.at_region(f"Goal/{goal['id']}")["subject"] == goal["subject"]


def test_what_stands_in_the_way_and_is_about_another_person_cannot_be_applied(
    town: Town, sip: dict[str, Any], desk: Desk
) -> None:
    town.put_at_region({"resourceType": "Patient", "id": "omar", "name": [{"text": "Omar"}]})
    plan = town.push(sip).json()["plan"]["id"]
    goal = town.get(f"/fhir/CarePlan/{plan}").json()["goal"][-1]["reference"].partition("/")[2]
    own = {"resourceType": "Goal", "id": goal, "subject": {"reference": "Patient/omar"}, "lifecycleStatus": "active"}
    town.put_at_region(own | {"description": {"text": "Omars ord"}})
    town.sync()
    (one,) = desk.list()
    assert isinstance(desk.refused("apply", str(one["id"])), Refused)
    assert town.get("/parties/sodertalje/conflicts").json()["conflicts"] == []
