"""Kinds of values: numbers and true or false may stand where a converter takes words; what cannot fit is told."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.errors import BadDeclaration
from fhir_adapter.flows.convert import map_file, unmap_file
from fhir_adapter.mapping.load import load

DECLARATION = """\
name: kinds
version: 1
schema: schema.json
codes: codes.yaml
lists:
  - native: .
    anchors:
      plan: {type: CarePlan, id: "{record}", adopt: true, identifier: true, set: {status: active, intent: plan}}
      patient: {type: Patient, id: "{record}/person", link: plan.subject}
      meeting: {type: Appointment, id: "{record}/m", when: held, link: "plan.activity[].reference",
                set: {participant: [{status: accepted}]}}
    rules:
      - %s
    lists:
      - native: goals[]
        anchors:
          goal: {type: Goal, id: "{record}/{key}", adopt: true, identifier: true, link: "plan.goal[]",
                 set: {lifecycleStatus: active, description: {text: x}}, refer: {subject: patient}}
        rules: []
"""
CODES = 'state: {rows: [["1", active], ["2", completed]]}\nclosed: {rows: [["true", completed], ["false", active]]}\n'
KINDS = {"state": "integer", "born": "integer", "closed": "boolean", "words": "string", "sizes": "array"}


def folder_with(tmp_path: Path, *rules: str) -> Path:
    """A mapping with these rules; the fields without one are refused."""
    fields: dict[str, Any] = {name: {"type": kind} for name, kind in KINDS.items()} | {"held": {"type": "string"}}
    fields |= {"sizes": {"type": "array", "items": {"$ref": "#/$defs/size"}}, "any": {}}
    fields |= {"goals": {"type": "array", "items": {"type": "object", "properties": {"id": {"type": "integer"}}}}}
    text = DECLARATION % "\n      - ".join(rules)
    used = " ".join(rules)
    refused = "".join(f"  {name}: not here\n" for name in fields if name not in used and name != "goals")
    (tmp_path / "mapping.yaml").write_text(text + "refused:\n" + refused)
    (tmp_path / "codes.yaml").write_text(CODES)
    properties = {"id": {"type": "integer"}, **fields}
    (tmp_path / "schema.json").write_text(
        json.dumps({"type": "object", "properties": properties, "$defs": {"size": {"type": "integer"}}})
    )
    return tmp_path


@pytest.mark.parametrize(
    ("rule", "field", "value"),
    [
        ("state <-> plan:status | code state", "state", 2),
        ("closed <-> plan:status | code closed", "closed", True),
        ("closed <-> plan:status | code closed", "closed", False),
        ("born <-> patient:birthDate | day form=YYYYMMDD", "born", 19481225),
        ("sizes[] <-> plan:category[] | text", "sizes", [3, 4]),
        ("any <-> plan:category[0] | text", "any", "words"),
    ],
)
def test_numbers_and_true_and_false_are_read_and_written_as_words(
    rule: str, field: str, value: Any, tmp_path: Path
) -> None:
    folder = folder_with(tmp_path, rule)
    record = {"id": 17, field: value, "goals": [{"id": 1}]}
    converted = map_file(f"{folder}/", json.dumps(record).encode())
    assert converted.ok, converted.issues
    assert json.loads(unmap_file(f"{folder}/", converted.output).output) == record


@pytest.mark.parametrize("value", [5, True, ["a"], {"a": "b"}])
def test_a_value_that_only_the_schema_lets_pass_is_an_error_of_its_field(value: Any, tmp_path: Path) -> None:
    folder = folder_with(tmp_path, "any <-> plan:category[0] | text")
    records = [{"id": 1, "any": value}, {"id": 2, "any": "words"}]
    converted = map_file(f"{folder}/", json.dumps(records).encode())
    assert [(issue["record"], issue["path"]) for issue in converted.issues if issue["severity"] == "error"] == [
        (1, "any")
    ]
    assert converted.output.count(b'"transaction"') == 1


@pytest.mark.parametrize(
    ("rule", "message"),
    [
        ("closed <-> plan:category[0] | text", "'text' says: the schema says boolean of 'closed', and it takes string"),
        ("sizes <-> plan:category[0] | text", "the schema says array of 'sizes', and it takes string"),
        ("words <-> plan:extension[http://x.y].valueQuantity | quantity unit=kg", "the schema says string of 'words'"),
        ("held, state <-> plan:title | text", "it takes 1 field(s) and 1 target(s), not 2 and 1: Words <-> a Codeable"),
        (
            "held, state, words <-> meeting:start | meeting",
            "it takes 3 field(s) and 6 target(s), not 3 and 1: (time, m",
        ),
    ],
)
def test_fields_that_a_converter_does_not_take_are_told_when_the_mapping_is_loaded(
    rule: str, message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadDeclaration) as refusal:
        load(folder_with(tmp_path, rule))
    assert message in str(refusal.value)
