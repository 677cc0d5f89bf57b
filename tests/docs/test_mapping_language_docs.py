"""docs/mapping-language.md: what it lists is what the code has, and what it shows works."""

from __future__ import annotations

import json
import re
from pathlib import Path
from uuid import UUID

import pytest
import yaml

from fhir_adapter.mapping.converters import CONVERTERS
from fhir_adapter.mapping.declaration import DECLARATION, ORGANISATIONS, schema_file
from fhir_adapter.mapping.inputs.values import words_of
from fhir_adapter.mapping.load import FOLDER, load
from scripts.describe_mapping_language import DOCUMENT, with_current_parts


def test_the_converters_are_those_of_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert with_current_parts(text) == text, "run .venv/bin/python -m scripts.describe_mapping_language"


def test_every_converter_says_what_goes_where_and_reads_its_own_usage() -> None:
    for converter in CONVERTERS.values():
        assert "<->" in converter.meaning, converter.name
        given = [word.strip("[]") for word in converter.usage.split()]
        converter.words([word.partition("=")[0] + "=x" if "=" in word else word for word in given])


def test_the_mapping_in_ten_minutes_maps_its_record(tmp_path: Path) -> None:
    text = DOCUMENT.read_text(encoding="utf-8").partition("## How to think of it")[0]
    record, declaration, codes = re.findall(r"```(?:json|yaml)\n(.*?)```", text, re.DOTALL)
    words = {"type": "string"}
    person = {"type": "object", "properties": {"name": words, "number": words}}
    goals = {"type": "array", "items": {"type": "object", "properties": {"id": words, "text": words, "by": words}}}
    fields = {"id": words, "title": words, "state": words, "person": person, "goals": goals}
    (tmp_path / "mapping.yaml").write_text(declaration, encoding="utf-8")
    (tmp_path / "codes.yaml").write_text(codes, encoding="utf-8")
    (tmp_path / "schema.json").write_text(json.dumps({"type": "object", "properties": fields}), encoding="utf-8")
    mapping, native = load(tmp_path), json.loads(record)
    resources = mapping.get(native, source="https://town.example", namespace=UUID(int=1)).resources
    assert [one["resourceType"] for one in resources] == ["CarePlan", "Patient", "Goal"]
    assert mapping.create(resources, source="https://town.example", namespace=UUID(int=1)) == native
    assert mapping.owners == {"Goal.description": "person"}


@pytest.mark.parametrize(("file", "schema"), [("mapping", DECLARATION), ("organisations", ORGANISATIONS)])
def test_an_editor_finds_the_schema_of_a_file(file: str, schema: str) -> None:
    firsts = {path: path.read_text(encoding="utf-8").split("\n", 1)[0] for path in FOLDER.glob(f"*/{file}.yaml")}
    told = {path: first.partition("$schema=")[2] for path, first in firsts.items() if "yaml-language-server" in first}
    assert FOLDER / "se-sip" / f"{file}.yaml" in told
    assert {(path.parent / name).resolve() for path, name in told.items()} == {schema_file(schema).resolve()}


def test_the_words_that_the_documentation_shows_for_a_table_are_understood() -> None:
    text = (DOCUMENT.parent / "mapping-tools.md").read_text(encoding="utf-8")
    shown = yaml.safe_load(re.search(r"`words: (\{.*?\})`", text)[1])  # type: ignore[index]
    words = words_of({"words": shown})
    assert (words.true, words.false) == (("ja",), ("nei",))
    assert all(isinstance(name, str) for name in shown)
