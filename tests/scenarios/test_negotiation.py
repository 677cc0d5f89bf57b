"""Every folder under negotiation/ is one story: who says what about a Task, what becomes of it and of the team.

The hospital leads the plan and asks, home care is asked; a member is written `who from start to end`. The first seven
stories are ORCA's published ones.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_adapter.plan.decide import decide
from fhir_adapter.plan.merge import merge
from fhir_adapter.plan.negotiation import Standing, hold_back
from fhir_adapter.plan.owners import Owners

FOLDER = Path(__file__).parent / "negotiation"
SCENARIOS = sorted(folder.name for folder in FOLDER.iterdir())
NOW = datetime(2025, 6, 2, 8, tzinfo=UTC)
WHO = ("hospital", "homecare", "school")
ASKED_BY_DEFAULT = {"requester": "hospital", "owner": "homecare"}


@dataclass(frozen=True)
class Told:
    """What became of the Task, which of its elements were kept as conflicts, and who is in the team."""

    task: dict[str, Any]
    refused: list[str]
    team: list[str]


def organisation(who: str) -> dict[str, str]:
    return {"reference": f"Organization/{who}"}


def task_of(number: int, said: dict[str, Any]) -> dict[str, Any]:
    people = {name: organisation(said.get(name, who)) for name, who in ASKED_BY_DEFAULT.items()}
    return {
        "resourceType": "Task",
        "id": str(number),
        "status": "requested",
        "intent": "order",
        "basedOn": [{"reference": "CarePlan/1"}],
        "focus": {"reference": "ServiceRequest/1"},
        "for": {"reference": "Patient/1"},
    } | said | people  # fmt: skip


def participant(text: str) -> dict[str, Any]:
    who, *period = text.split()
    names = {"from": "start", "to": "end"}
    dates = {names[word]: date for word, date in zip(period[::2], period[1::2], strict=True)}
    return {"member": organisation(who)} | ({"period": dates} if dates else {})


def plan_of(story: dict[str, Any]) -> dict[str, Any]:
    resources = [
        {"resourceType": "CarePlan", "id": "1", "status": "active", "intent": "plan",
         "subject": {"reference": "Patient/1"}, "careTeam": [{"reference": "CareTeam/1"}]},
        {"resourceType": "CareTeam", "id": "1", "status": "active",
         "participant": [participant(text) for text in story["team"]]},
        *({"resourceType": "Organization", "id": who} for who in WHO),
        *(task_of(number, said) for number, said in story["tasks"].items()),
    ]  # fmt: skip
    return {f"{one['resourceType']}/{one['id']}": one for one in resources}


def standing(who: str, task: dict[str, Any]) -> Standing:
    return Standing(task["requester"] == organisation(who), task["owner"] == organisation(who))


def tell(story: dict[str, Any]) -> Told:
    """The story's end, by the functions that the service uses."""
    ours = plan_of(story)
    number, by = story["says"]["task"], story["by"]
    reference = f"Task/{number}"
    said = {name: value for name, value in story["says"].items() if name != "task"}
    theirs = {reference: task_of(number, story["tasks"].get(number, {}) | said)}
    seen = {reference: ours[reference]} if reference in ours else {}
    owners = Owners(lead="hospital", of=lambda _: "hospital", names=lambda one: one["reference"].split("/")[1])
    merged = merge([seen], ours, theirs, party=by, owners=owners, partial=True, now=NOW)
    assert merged.conflicts == []
    hold_back(merged, ours, by, partial(standing, by), owners.wrote)
    held = merged.conflicts
    after = ours | decide(merged, ours, NOW).save
    assert all((one.kind, one.other_party, one.live) == ("not-allowed", by, one.base) for one in held)
    return Told(
        after[reference], [one.path for one in held], [member(one) for one in after["CareTeam/1"]["participant"]]
    )


def member(one: dict[str, Any]) -> str:
    period = one.get("period", {})
    words = [one["member"]["reference"].split("/")[1]]
    words += [f"{word} {period[name]}" for word, name in (("from", "start"), ("to", "end")) if name in period]
    return " ".join(words)


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_story_ends_as_expected(name: str) -> None:
    story = yaml.load((FOLDER / name / "scenario.yaml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
    story["tasks"] = {int(number): said for number, said in story["tasks"].items()}
    story["says"]["task"] = int(story["says"]["task"])
    told = tell(story)
    expected = story["expected"]
    wanted = task_of(story["says"]["task"], story["tasks"].get(story["says"]["task"], {}) | expected["task"])
    assert {name: told.task[name] for name in expected["task"]} == {name: wanted[name] for name in expected["task"]}
    assert told.refused == expected["refused"]
    assert told.team == expected["team"]
