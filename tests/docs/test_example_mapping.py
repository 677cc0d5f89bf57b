"""The mappings that new users wrote: they map, come back, hold their laws, and the commands of their READMEs work."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from typer.testing import CliRunner

from fhir_adapter.cli import app
from fhir_adapter.flows.check import check_mapping
from fhir_adapter.flows.convert import map_file, unmap_file

ROOT = Path(__file__).parents[2]
FJORDBYEN, JARVILA = ROOT / "examples" / "fjordbyen", ROOT / "examples" / "jarvila"
TABLE = FJORDBYEN / "samples" / "planer.csv"
PLANS = JARVILA / "samples" / "suunnitelmat.json"


@pytest.mark.parametrize("own", [FJORDBYEN, JARVILA], ids=lambda folder: folder.name)
def test_it_has_no_problem_and_no_guess_left(own: Path) -> None:
    checked = check_mapping(f"{own}/")
    assert [finding for finding in checked.findings if finding.severity == "problem"] == []
    assert "guess" not in (own / "mapping.yaml").read_text("utf-8").split("name:", 1)[1]


def test_its_table_comes_back_as_it_was_with_formulas_made_harmless() -> None:
    converted = map_file(f"{FJORDBYEN}/", TABLE.read_bytes())
    assert converted.ok
    back = unmap_file(f"{FJORDBYEN}/", converted.output, before=TABLE.read_bytes())
    assert back.output.decode().replace("\r\n", "\n") == TABLE.read_text("utf-8").replace(";=", ";'=")


def test_an_edit_in_fhir_comes_back_in_its_row() -> None:
    bundles = map_file(f"{FJORDBYEN}/", TABLE.read_bytes()).output.decode()
    edited = bundles.replace('"lifecycleStatus":"completed"', '"lifecycleStatus":"cancelled"')
    rows = unmap_file(f"{FJORDBYEN}/", edited.encode(), before=TABLE.read_bytes()).output.decode().splitlines()
    assert rows[3].split(";")[11] == "avbrutt"


def test_a_wrong_cell_is_told_by_row_and_column_and_the_other_record_is_mapped() -> None:
    converted = map_file(f"{FJORDBYEN}/", TABLE.read_bytes().replace(b"01.09.2026", b"1. september"))
    errors = [(issue["record"], issue["path"]) for issue in converted.issues if issue["severity"] == "error"]
    assert errors == [(1, "row 4, column Mål frist")]
    assert json.loads(converted.output)["type"] == "transaction"


def test_an_edit_inside_a_goal_comes_back_in_that_goal() -> None:
    bundles = map_file(f"{JARVILA}/", PLANS.read_bytes()).output.decode()
    edited = bundles.replace('"display":"Kotiapu Oy"', '"display":"Uusi Oy"')
    back = unmap_file(f"{JARVILA}/", edited.encode(), before=PLANS.read_bytes(), one_a_line=True).output.splitlines()
    plans = json.loads(PLANS.read_bytes())
    plans[0]["tavoitteet"][0]["toimenpiteet"][0]["tuottaja"] = "Uusi Oy"
    assert [json.loads(line) for line in back] == plans


def commands() -> list[list[str]]:
    texts = [(own / "README.md").read_text("utf-8") for own in (FJORDBYEN, JARVILA)]
    found = [line for text in texts for line in re.findall(r"^    fhir-adapter (.+?)(?:  +#.*)?$", text, re.MULTILINE)]
    return [line.split() for line in found if not line.startswith("new-mapping")]


@pytest.mark.parametrize("words", commands(), ids=" ".join)
def test_the_commands_of_its_readme_work(words: list[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(ROOT)
    assert CliRunner().invoke(app, words).exit_code == 0
