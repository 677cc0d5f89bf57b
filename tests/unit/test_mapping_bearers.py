"""A name leads to who has it, wherever in the record that is said: before the field that names it, or after it."""

from __future__ import annotations

import json
from itertools import permutations
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.load import load
from fhir_adapter.mapping.model import Mapped

PLACE: dict[str, Any] = {"source": "https://source.example", "namespace": UUID(int=7)}
TEXT = {"type": "string"}
RULES = (
    "asks <-> plan:author | named",
    "parties[] <-> plan:contributor[] | party",
    "house, number <-> team:managingOrganization[0] | organisation",
)
REGISTER = {"numbers": {"system": "urn:orgnr"}, "organisations": {"2321000255": ["Region Skåne"]}}


def mapping_with(folder: Path, rules: tuple[str, ...], register: Any = REGISTER) -> Mapping:
    anchors = {
        "plan": {"type": "CarePlan", "id": "{record}", "adopt": True, "identifier": True, "set": {"status": "active"}},
        "team": {"type": "CareTeam", "id": "{record}", "link": "plan.careTeam[]"},
    }
    lists = [{"native": ".", "anchors": anchors, "rules": list(rules)}]
    files = {"schema": "schema.json", "organisations": "organisations.yaml"}
    declared = {"name": "x", "version": "1", **files, "lists": lists}
    fields = dict.fromkeys(("id", "asks", "house", "number"), TEXT) | {"parties": {"type": "array", "items": TEXT}}
    (folder / "mapping.yaml").write_text(yaml.safe_dump(declared, sort_keys=False), encoding="utf-8")
    (folder / "schema.json").write_text(json.dumps({"type": "object", "properties": fields}), encoding="utf-8")
    (folder / "organisations.yaml").write_text(yaml.safe_dump(register, allow_unicode=True), encoding="utf-8")
    return load(folder)


def in_every_order(folder: Path, record: dict[str, Any]) -> Mapped:
    """The record in FHIR, which is the same in whatever order its fields are read."""
    made = [mapping_with(folder, rules).get(record, **PLACE) for rules in permutations(RULES)]
    first = {reference_of(one): one for one in made[0].resources}
    for other in made[1:]:
        assert {reference_of(one): one for one in other.resources} == first
        assert other.issues == made[0].issues
    return made[0]


def named(mapped: Mapped, name: str) -> str:
    """The reference to the one organisation of this name."""
    (found,) = (one for one in mapped.resources if one.get("name") == name)
    return reference_of(found)


def plan_of(mapped: Mapped) -> Resource:
    return mapped.resources[0]


def test_an_organisation_may_be_named_after_the_field_that_calls_it_by_its_name(tmp_path: Path) -> None:
    mapped = in_every_order(tmp_path, {"id": "1", "asks": "Haus Sonne", "house": "Haus Sonne"})
    assert plan_of(mapped)["author"] == {"reference": named(mapped, "Haus Sonne"), "display": "Haus Sonne"}
    assert mapped.issues == []


def test_a_unit_of_a_known_organisation_may_be_mentioned_after_the_field_that_calls_it_by_its_name(
    tmp_path: Path,
) -> None:
    mapped = in_every_order(tmp_path, {"id": "1", "asks": "Haus Sonne", "parties": ["Region Skåne, Haus Sonne"]})
    assert plan_of(mapped)["author"]["reference"] == named(mapped, "Haus Sonne")
    assert plan_of(mapped)["contributor"][0]["reference"] == named(mapped, "Haus Sonne")


def test_a_unit_is_the_same_by_its_whole_name_in_every_field(tmp_path: Path) -> None:
    whole = "Region Skåne, Haus Sonne"
    mapped = in_every_order(tmp_path, {"id": "1", "asks": whole, "parties": [whole]})
    assert plan_of(mapped)["author"] == {"reference": named(mapped, "Haus Sonne"), "display": whole}


def test_a_unit_with_a_number_of_its_own_is_that_one_wherever_it_is_named(tmp_path: Path) -> None:
    whole = "Region Skåne, Haus Sonne"
    record = {"id": "1", "asks": "Haus Sonne", "parties": [whole], "house": whole, "number": "5560360793"}
    mapped = in_every_order(tmp_path, record)
    assert plan_of(mapped)["contributor"] == [{"reference": named(mapped, whole), "display": whole}]
    assert plan_of(mapped)["author"] == {"display": "Haus Sonne"}
    assert [one["resourceType"] for one in mapped.resources].count("Organization") == 1
    assert [issue.path for issue in mapped.issues] == ["asks"]


@pytest.mark.parametrize("spelled", ["556036-0793", "556036 0793", "5560360793"])
def test_hyphens_and_blanks_in_a_number_make_no_other_organisation(spelled: str, tmp_path: Path) -> None:
    mapping = mapping_with(tmp_path, RULES)
    record = {"id": "1", "house": "Haus Sonne", "number": spelled}
    resources = mapping.get(record, **PLACE).resources
    (made,) = (one for one in resources if one["resourceType"] == "Organization")
    assert made["identifier"] == [{"system": "urn:orgnr", "value": "5560360793"}]
    assert mapping.put(resources, record, **PLACE) == record


def test_a_name_that_is_the_number_says_no_more_than_the_number(tmp_path: Path) -> None:
    mapping = mapping_with(tmp_path, RULES)
    said = mapping.get({"id": "1", "house": "5560360793", "number": "556036-0793"}, **PLACE).resources
    assert said == mapping.get({"id": "1", "number": "5560360793"}, **PLACE).resources
    assert mapping.create(said, **PLACE) == {"id": "1", "number": "5560360793"}


def test_the_organisations_file_may_write_numbers_with_hyphens(tmp_path: Path) -> None:
    register = REGISTER | {"organisations": {"232100-0255": ["Region Skåne"]}}
    with_hyphen = mapping_with(tmp_path, RULES, register)
    record = {"id": "1", "parties": ["Region Skåne"]}
    assert with_hyphen.get(record, **PLACE) == mapping_with(tmp_path, RULES).get(record, **PLACE)
