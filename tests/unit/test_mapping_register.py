"""The organisations file of a declaration: what is wrong in it is told with its line, and what was expected."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from fhir_adapter.errors import BadDeclaration
from fhir_adapter.mapping.load import load

DECLARATION = """
name: x
version: 1
schema: schema.json
codes: codes.yaml
organisations: organisations.yaml
lists:
  - native: .
    anchors: {plan: {type: CarePlan, id: "{record}", identifier: true}}
    rules: ["house, number <-> plan:author | organisation"]
"""
SCHEMA = {"type": "object", "properties": {name: {"type": "string"} for name in ("id", "house", "number")}}
RIGHT = 'numbers: {system: "urn:x", kinds: kind}\norganisations:\n  "1": [Skåne, region]\n'


def folder_with(folder: Path, organisations: str) -> Path:
    (folder / "mapping.yaml").write_text(DECLARATION, encoding="utf-8")
    (folder / "schema.json").write_text(json.dumps(SCHEMA), encoding="utf-8")
    (folder / "codes.yaml").write_text("kind: {rows: [[r, region]]}\n", encoding="utf-8")
    (folder / "organisations.yaml").write_text(organisations, encoding="utf-8")
    return folder


TOWN = 'municipality: {code: "[0-9]{4}", columns: [region]}\nmunicipalities:\n  "0181": '


def test_a_right_one_loads(tmp_path: Path) -> None:
    more = f'units:\n  "1": [Haus]\n{TOWN}[A, "1"]\n'
    register = load(folder_with(tmp_path, RIGHT + more)).knowledge.register
    assert register.named("Haus") == ("1", "Haus")
    assert register.organisation_of("A (0181)", "region") == "1"


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", 'null is not a "object"'),
        ("unit: {}\n", "line 1: unknown word 'unit'; did you mean 'units'?"),
        ("organisations:\n  7: [Skåne]\n", "line 2: YAML takes '7' for a number: put it in quotes"),
        ("organisations: [Skåne]\n", "line 1, organisations: "),
        ('organisations:\n  "1": Skåne\n', 'line 2, organisations 1: "Skåne" is not a "array"; expected: number: '),
        ('organisations:\n  "1": [[Skåne]]\n', 'line 2, organisations 1 0: ["Skåne"] is not a "string"; expected: '),
        ('organisations:\n  "1": [Skåne]\n', "line 2, organisations 1: in which system is the number?"),
        ('units:\n  "urn:x|1": [Haus]\n', "line 2, units urn:x|1: no organisation of the file has this number"),
        ("numbers: {system: orgnr}\n", "line 1, numbers system: is not what is expected here: a URI, such as urn:"),
        ("numbers: {system: 'urn:x', kinds: nix}\n", "line 1, numbers: kinds: 'nix' is not a code table"),
        (RIGHT.replace("region", "land"), "line 3, organisations 1: 'land' is not a code of the table 'kind'; there "),
        ("numbers: {system: 'urn:x', kinds: kind, kind_otherwise: x}\n", "numbers kind_otherwise: 'x' is not a code"),
        ('municipality: {code: "[0-9"}\n', "line 1, municipality code: cannot read the pattern '[0-9': unterm"),
        (f"{TOWN}A\n", 'line 3, municipalities 0181: "A" is not a "array"'),
        (f"{TOWN}[A]\n", "line 3, municipality 0181: the row has too few or too many columns: [name, region]"),
    ],
)
def test_a_wrong_one_is_refused_with_place_and_reason(text: str, message: str, tmp_path: Path) -> None:
    with pytest.raises(BadDeclaration, match=r"^organisations\.yaml in ") as refusal:
        load(folder_with(tmp_path, text))
    assert message in str(refusal.value)


def test_a_number_without_a_system_is_refused_where_the_rule_stands(tmp_path: Path) -> None:
    with pytest.raises(BadDeclaration, match=r"mapping\.yaml.* line 10, rule .*in which system is the number\?"):
        load(folder_with(tmp_path, 'organisations:\n  "urn:x|1": [Skåne]\n'))
