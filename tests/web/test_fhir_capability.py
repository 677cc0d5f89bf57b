"""What the CapabilityStatement claims works; what US Core asks of CarePlan, CareTeam and Goal is claimed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from urllib.parse import quote

import pytest

from fhir_adapter.checks.validate import check_resource
from tests.web.conftest import Served

US_CORE = Path(__file__).parents[3] / "shared" / "data" / "conformance" / "us_core_requirements.json"


def statement_of(served: Served, surface: str = "fhir") -> dict[str, Any]:
    answer = getattr(served, surface).get("/metadata")
    assert answer.status_code == 200
    statement: dict[str, Any] = answer.json()
    return statement


def resources_of(statement: dict[str, Any]) -> list[dict[str, Any]]:
    return statement["rest"][0]["resource"]  # type: ignore[no-any-return]


def codes(interactions: list[dict[str, str]]) -> list[str]:
    return [interaction["code"] for interaction in interactions]


@pytest.mark.parametrize("surface", ["fhir", "sandbox"])
def test_statement_is_valid_fhir(served: Served, surface: str) -> None:
    statement = statement_of(served, surface)
    assert check_resource(statement) == []
    assert (statement["fhirVersion"], statement["kind"]) == ("4.0.1", "instance")
    assert statement["implementation"]["url"] == f"{served.address}/{surface}"


def test_main_server_claims_reading_and_the_sandbox_writing_too(served: Served) -> None:
    reading = ["read", "vread", "history-instance", "search-type", "history-type"]
    for resource in resources_of(statement_of(served)):
        assert codes(resource["interaction"]) == reading
        assert "conditionalCreate" not in resource
    for resource in resources_of(statement_of(served, "sandbox")):
        assert sorted(codes(resource["interaction"])) == sorted([*reading, "create", "update", "delete"])
        assert resource["conditionalCreate"]
    assert codes(statement_of(served)["rest"][0]["interaction"]) == ["history-system"]
    assert codes(statement_of(served, "sandbox")["rest"][0]["interaction"]) == [
        "history-system",
        "batch",
        "transaction",
    ]


def test_every_search_parameter_that_is_claimed_is_answered(served: Served) -> None:
    refused = []
    for resource in resources_of(statement_of(served)):
        for parameter in resource["searchParam"]:
            if parameter["name"] in ("_id", "_lastUpdated"):
                continue
            answer = served.fhir.get(f"/{resource['type']}?{parameter['name']}:missing=false")
            if answer.status_code != 200:
                refused.append((resource["type"], parameter["name"], answer.text))
    assert refused == []


def test_every_include_that_is_claimed_is_answered(served: Served) -> None:
    refused = []
    for resource in resources_of(statement_of(served)):
        query = [f"_include={quote(each)}" for each in resource["searchInclude"]]
        query += [f"_revinclude={quote(each)}" for each in resource.get("searchRevInclude", [])]
        for start in range(0, len(query), 100):
            answer = served.fhir.get(f"/{resource['type']}?{'&'.join(query[start : start + 100])}")
            if answer.status_code != 200:
                refused.append((resource["type"], answer.text))
    assert refused == []


def test_parameters_are_defined_by_the_standard_or_by_us(served: Served) -> None:
    for resource in resources_of(statement_of(served)):
        names = [parameter["name"] for parameter in resource["searchParam"]]
        assert len(names) == len(set(names))
        for parameter in resource["searchParam"]:
            assert parameter["definition"].startswith(("http://hl7.org/fhir/", "https://fhir-adapter.example/fhir/"))


@pytest.mark.parametrize("type_", ["CarePlan", "CareTeam", "Goal"])
def test_what_us_core_asks_for_is_claimed(served: Served, type_: str) -> None:
    if not US_CORE.exists():
        pytest.skip("us_core_requirements.json is not beside this checkout: nothing to compare with")
    (resource,) = (each for each in resources_of(statement_of(served)) if each["type"] == type_)
    names = {parameter["name"] for parameter in resource["searchParam"]}
    profiles = [
        profile
        for version in json.loads(US_CORE.read_text("utf-8")).values()
        for profile in version.values()
        if profile["resource"] == type_
    ]
    assert len(profiles) >= 6
    for profile in profiles:
        assert {name for search in profile["searches"] for name in search["names"]} <= names
        assert set(profile["revincludes"]) <= set(resource["searchRevInclude"])
        assert {include.rpartition(":")[0] for include in profile["include_params"]} <= set(resource["searchInclude"])
        wanted = {each["code"] for each in profile["interactions"] if each["expectation"] in ("SHALL", "SHOULD")}
        assert wanted <= set(codes(resource["interaction"]))


@pytest.mark.parametrize("type_", ["CarePlan", "CareTeam", "Goal"])
def test_what_us_core_asks_for_is_answered_in_every_combination(served: Served, type_: str) -> None:
    if not US_CORE.exists():
        pytest.skip("us_core_requirements.json is not beside this checkout: nothing to compare with")
    values = {"patient": "Patient/a", "date": "ge2025-01-01", "target-date": "lt2025-01-01T00:00:00Z"}
    combinations = {
        tuple(search["names"])
        for version in json.loads(US_CORE.read_text("utf-8")).values()
        for profile in version.values()
        if profile["resource"] == type_
        for search in profile["searches"]
    }
    for names in combinations:
        query = "&".join(f"{name}={values.get(name, 'a,b')}" for name in names)
        assert served.fhir.get(f"/{type_}?{query}").json()["total"] == 0
