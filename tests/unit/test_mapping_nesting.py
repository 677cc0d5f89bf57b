"""Lists inside lists: a declaration that would lose items, or bring them back in another one, is not loaded."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_adapter.errors import BadDeclaration
from fhir_adapter.flows.convert import map_file, unmap_file
from fhir_adapter.mapping.load import load

PERTAINS = "extension[http://hl7.org/fhir/StructureDefinition/resource-pertainsToGoal].valueReference -> goal"
STEP = {
    "type": "ServiceRequest",
    "id": "{record}/steps/{parent}/{key}",
    "adopt": True,
    "identifier": True,
    "reverse": PERTAINS,
    "also": "plan.activity[].reference",
    "set": {"status": "active", "intent": "plan"},
    "refer": {"subject": "patient"},
}
TEXT = {"type": "string"}


def listed(**more: Any) -> dict[str, Any]:
    """The schema of a list of items with id, text and what else they have."""
    return {"type": "array", "items": {"type": "object", "properties": {"id": TEXT, "text": TEXT, **more}}}


def folder_with(tmp_path: Path, step: dict[str, Any], hope: dict[str, Any]) -> Path:
    """A mapping of plans with goals, with steps inside the goals, and hopes, which are goals with a mark."""
    steps = {"native": "steps[]", "anchors": {"request": step}, "rules": ["text <-> request:code | text"]}
    goal = {"type": "Goal", "adopt": True, "identifier": True, "link": "plan.goal[]", "refer": {"subject": "patient"},
            "set": {"lifecycleStatus": "active"}}  # fmt: skip
    root = {
        "plan": {"type": "CarePlan", "id": "{record}", "adopt": True, "identifier": True,
                 "set": {"status": "active", "intent": "plan"}},
        "patient": {"type": "Patient", "id": "{record}/person", "link": "plan.subject"},
    }  # fmt: skip
    hope = {**goal, "id": "{record}/hopes/{key}", "mark": "category[] = urn:x#hope", **hope}
    lists = [
        {"native": "hopes[]", "anchors": {"hope": {word: value for word, value in hope.items() if value}},
         "rules": ["text <-> hope:description | text"]},
        {"native": "goals[]", "anchors": {"goal": {**goal, "id": "{record}/goals/{key}"}}, "lists": [steps],
         "rules": ["text <-> goal:description | text"]},
    ]  # fmt: skip
    schema = {"type": "object", "properties": {"id": TEXT, "goals": listed(steps=listed()), "hopes": listed()}}
    declared = {"name": "nested", "version": 1, "schema": "schema.json", "codes": "codes.yaml",
                "lists": [{"native": ".", "anchors": root, "rules": [], "lists": lists}]}  # fmt: skip
    (tmp_path / "mapping.yaml").write_text(yaml.safe_dump(declared, sort_keys=False))
    (tmp_path / "codes.yaml").write_text('marks: {"urn:x#hope": A hope}')
    (tmp_path / "schema.json").write_text(json.dumps(schema))
    return tmp_path


def test_items_of_inner_lists_come_back_where_they_stood(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, STEP, {})
    goals = [
        {"id": str(goal), "text": "x", "steps": [{"id": str(step), "text": "x"} for step in (1, 2)]} for goal in (1, 2)
    ]
    record = {"id": "r", "goals": goals}
    came = unmap_file(f"{folder}/", map_file(f"{folder}/", json.dumps(record).encode()).output)
    assert json.loads(came.output) == record


@pytest.mark.parametrize(
    ("step", "hope", "message"),
    [
        ({"reverse": None, "also": None, "link": "plan.activity[].reference"}, {},
         f"list goals[].steps[], anchor 'request': nothing leads from it to its item of goals[]: on the way back all"
         f" would come into the first one; say `reverse: {PERTAINS}`"),
        ({"id": "{record}/steps/{key}"}, {}, "write {record}/steps/{parent}/{key}"),
        ({}, {"id": "{record}/goals/{key}"}, "list goals[], anchor 'goal': list hopes[] (line "),
        ({}, {"mark": None}, "list hopes[], anchor 'hope': anchor 'goal' of list goals[] (line "),
    ],
)  # fmt: skip
def test_a_declaration_that_would_mix_up_items_is_refused(
    step: dict[str, Any], hope: dict[str, Any], message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadDeclaration) as refusal:
        load(folder_with(tmp_path, {word: value for word, value in {**STEP, **step}.items() if value}, hope))
    assert message in str(refusal.value)


def test_items_inside_an_item_that_is_told_by_a_field_come_back_without_an_id(tmp_path: Path) -> None:
    folder = folder_with(tmp_path, STEP, {})
    declared = yaml.safe_load((folder / "mapping.yaml").read_text())
    goals = declared["lists"][0]["lists"][1]
    goals["key"] = goals["lists"][0]["key"] = "text"
    (folder / "mapping.yaml").write_text(yaml.safe_dump(declared, sort_keys=False))
    record = {"id": "r", "goals": [{"text": "a", "steps": [{"text": "b"}, {"text": "c"}]}]}
    came = unmap_file(f"{folder}/", map_file(f"{folder}/", json.dumps(record).encode()).output)
    assert json.loads(came.output) == record
