"""The generated functions: what they write, and that a reader can see them."""

from __future__ import annotations

import ast
from typing import Any

import pytest

from fhir_adapter.fhir.paths import compile_path, enter_at, enter_with, parse_path, write_at
from fhir_adapter.fhir.resources import dump_json, parse_json
from fhir_adapter.flows.convert import NAMESPACE, source_of
from fhir_adapter.mapping.compiled import main
from fhir_adapter.mapping.lines import write_line
from fhir_adapter.mapping.load import FOLDER, find

PATHS = [
    "title",
    "period.start",
    "note[]",
    "activity[].reference",
    "activity[].detail.goal[]",
    "activity[].extension[time-frame].valueString",
    "contained[].name[0].given[0]",
    "name[0]",
    "name[0].given[0]",
    "target[0].extension[time-frame]",
    "telecom[system=phone].value",
    "extension[http://example.org/a'b].valueString",
    "participant[0].actor",
]


@pytest.mark.parametrize("text", PATHS)
@pytest.mark.parametrize(
    "node",
    [{}, {"name": [{"family": "A"}, {"family": "B"}], "telecom": [{"system": "email"}, {"system": "phone"}]}],
    ids=["empty", "filled"],
)
def test_a_generated_line_writes_what_the_path_writes(text: str, node: dict[str, Any]) -> None:
    by_path, by_line = _copy(node), _copy(node)
    helpers = {"enter_at": enter_at, "enter_with": enter_with, "write_at": write_at}
    for value in ({"x": 1}, {"x": 2}):
        compile_path(text).write(by_path, dict(value))
        exec(write_line("node", parse_path(text), "value"), helpers | {"node": by_line, "value": dict(value)})
    assert by_line == by_path


def _copy(node: dict[str, Any]) -> dict[str, Any]:
    return {name: [dict(item) for item in items] for name, items in node.items()}


def test_a_reader_can_print_the_functions_with_the_rule_above_each_part(capsys: pytest.CaptureFixture[str]) -> None:
    main("se-sip")
    printed = capsys.readouterr().out
    functions = [node.name for node in ast.parse(printed).body if isinstance(node, ast.FunctionDef)]
    scopes = list(find("se-sip").scopes())
    assert functions == ["make", "write"] * len(scopes)
    for scope in scopes:
        assert scope.source in printed
        for field in scope.fields:
            assert all(f"# {rule.text}\n" in scope.source for rule in field.rules)


def test_no_part_of_a_resource_is_shared_with_the_next_record() -> None:
    mapping, record = find("se-sip"), parse_json((FOLDER / "se-sip" / "samples" / "full.json").read_bytes())
    place: dict[str, Any] = {"source": source_of("se-sip"), "namespace": NAMESPACE}
    first = mapping.get(record, **place).resources
    said = dump_json(first)
    _spoil(first)
    assert dump_json(mapping.get(record, **place).resources) == said


def _spoil(value: Any) -> None:
    for child in value.values() if isinstance(value, dict) else value if isinstance(value, list) else ():
        _spoil(child)
    if isinstance(value, dict | list):
        value.clear()
