"""docs/mapping-recipes.md: its recipes are what new-mapping writes, and all of them work."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.flows.check import check_mapping
from fhir_adapter.flows.convert import map_file, unmap_file
from fhir_adapter.flows.scaffold import write_scaffold
from fhir_adapter.mapping.load import load
from fhir_adapter.mapping.samples import schema_of
from scripts.describe_mapping_recipes import DOCUMENT, SAMPLES, with_current_recipes


def problems(folder: Path) -> list[str]:
    return [finding.message for finding in check_mapping(f"{folder}/").findings if finding.severity == "problem"]


def test_the_recipes_are_what_is_written_today() -> None:
    text = DOCUMENT.read_text("utf-8")
    assert with_current_recipes(text) == text, "run .venv/bin/python -m scripts.describe_mapping_recipes"


@pytest.mark.parametrize("kind", SAMPLES)
def test_a_recipe_maps_all_of_its_record_and_brings_it_back(kind: str, tmp_path: Path) -> None:
    (tmp_path / "sample.json").write_text(json.dumps({"id": "1", **SAMPLES[kind]}))
    made = write_scaffold("recipe", tmp_path / "sample.json", tmp_path)
    assert not load(made.folder).refused
    assert problems(made.folder) == []


def test_what_nobody_can_guess_works(tmp_path: Path) -> None:
    text = DOCUMENT.read_text("utf-8").partition("## What nobody can guess")[2]
    record, declaration, codes = re.findall(r"```(?:json|yaml)\n(.*?)```", text, re.DOTALL)
    native: dict[str, Any] = json.loads(record)
    (tmp_path / "mapping.yaml").write_text(declaration, "utf-8")
    (tmp_path / "codes.yaml").write_text(codes, "utf-8")
    (tmp_path / "schema.json").write_text(json.dumps(schema_of([native])), "utf-8")
    (tmp_path / "samples").mkdir()
    (tmp_path / "samples" / "full.json").write_text(record, "utf-8")
    converted = map_file(f"{tmp_path}/", record.encode())
    (tmp_path / "samples" / "full.fhir.json").write_bytes(converted.output)
    assert converted.issues == []
    assert json.loads(unmap_file(f"{tmp_path}/", converted.output).output) == native
    assert problems(tmp_path) == []
