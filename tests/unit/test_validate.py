"""Is it right? What a resource must not be, each with its path."""

from __future__ import annotations

import subprocess
import sys
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.checks.terminology import REQUIRED
from fhir_adapter.checks.validate import check_resource
from fhir_adapter.fhir.parameters import TYPES
from fhir_adapter.fhir.resources import parse_json

SHARED = Path(__file__).parents[3] / "shared" / "data" / "fhir"

PLAN: dict[str, Any] = {
    "resourceType": "CarePlan",
    "id": "a",
    "status": "active",
    "intent": "plan",
    "subject": {"reference": "Patient/1"},
}
PATIENT: dict[str, Any] = {"resourceType": "Patient"}
GOAL: dict[str, Any] = {"resourceType": "Goal", "description": {"text": "x"}, "subject": {"display": "y"}}


CLINICAL = "http://terminology.hl7.org/CodeSystem/condition-clinical"
MODIFIED = {"modifierExtension": [{"url": "http://x.example"}]}
INSIDE = "CarePlan.contained[0]"


def found(resource: Any) -> set[tuple[str, str]]:
    return {(issue.code, issue.path) for issue in check_resource(resource) if issue.severity == "error"}


@pytest.mark.parametrize(
    "good",
    [
        PLAN,
        {**PLAN, "subject": {"reference": "Patient/1/_history/3"}},
        {**PLAN, "subject": {"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"}},
        {**PLAN, "subject": {"reference": "https://elsewhere.example/fhir/Patient/1"}},
        {**PLAN, "subject": {"identifier": {"value": "1"}}},
        {**PLAN, "contained": [{**GOAL, "id": "g", "lifecycleStatus": "active"}], "goal": [{"reference": "#g"}]},
        {**PLAN, "_status": {"extension": [{"url": "http://x.example", "valueDecimal": Decimal("1.00")}]}},
        {**PLAN, "period": {"start": "2025", "end": "2026-02"}},
        {**PLAN, "note": [{"text": "one\r\n\ttwo"}]},
        {**PLAN, "extension": [{"url": "http://unknown.example/x", "valueString": "kept"}]},
        {**PATIENT, "birthDate": "1985", "multipleBirthInteger": 2, "active": False},
        {**PATIENT, "name": [{"given": ["a", None], "_given": [None, {"id": "x"}]}]},
        {"resourceType": "Encounter", "status": "planned", "class": {"code": "AMB"}},
        {"resourceType": "Task", "status": "accepted", "intent": "order", "for": {"reference": "Patient/1"}},
    ],
)
def test_valid_resource_has_no_issue(good: dict[str, Any]) -> None:
    assert check_resource(good) == []


@pytest.mark.parametrize(
    ("bad", "code", "path"),
    [
        (None, "structure", ""),
        ([], "structure", ""),
        ("x", "structure", ""),
        ({}, "structure", "resourceType"),
        ({"resourceType": 5}, "structure", "resourceType"),
        ({"resourceType": "Bogus"}, "structure", "resourceType"),
        ({"resourceType": "HumanName"}, "structure", "resourceType"),
        ({"resourceType": "../x"}, "structure", "resourceType"),
        ({**PLAN, "status": "nice"}, "code-invalid", "CarePlan.status"),
        ({**PLAN, "activity": [{"detail": {"status": "x"}}]}, "code-invalid", "CarePlan.activity[0].detail.status"),
        (GOAL, "structure", "Goal.lifecycleStatus"),
        ({**PLAN, "colour": "red"}, "structure", "CarePlan.colour"),
        ({**PLAN, "id": "a_b"}, "value", "CarePlan.id"),
        ({**PLAN, "id": "a" * 65}, "value", "CarePlan.id"),
        ({**PLAN, "id": 5}, "value", "CarePlan.id"),
        ({**PLAN, "id": "a\n"}, "value", "CarePlan.id"),
        ({**PLAN, "subject": {"reference": "pat-1"}}, "value", "CarePlan.subject.reference"),
        ({**PLAN, "subject": {"reference": "patient/1"}}, "value", "CarePlan.subject.reference"),
        ({**PLAN, "subject": {"reference": "urn:uuid:1"}}, "value", "CarePlan.subject.reference"),
        ({**PLAN, "subject": {"reference": "javascript:alert(1)"}}, "value", "CarePlan.subject.reference"),
        ({**PLAN, "title": None}, "structure", "CarePlan.title"),
        ({**PLAN, "title": ""}, "structure", "CarePlan.title"),
        ({**PLAN, "title": " \t"}, "structure", "CarePlan.title"),
        ({**PLAN, "title": "a\x00b"}, "value", "CarePlan.title"),
        ({**PLAN, "note": []}, "structure", "CarePlan.note"),
        ({**PLAN, "period": {}}, "structure", "CarePlan.period"),
        ({**PLAN, "note": [{"text": "a"}, {}]}, "structure", "CarePlan.note[1]"),
        ({**PLAN, "modifierExtension": [{"url": "http://x"}]}, "extension", "CarePlan.modifierExtension"),
        ({**PLAN, "activity": [MODIFIED]}, "extension", "CarePlan.activity[0].modifierExtension"),
        ({**PLAN, "contained": [{"resourceType": "Bogus"}]}, "structure", "CarePlan.contained[0].resourceType"),
        ({**PLAN, "contained": ["x"]}, "structure", "CarePlan.contained[0]"),
        ({**PLAN, "contained": [{**GOAL, "lifecycleStatus": "x"}]}, "code-invalid", f"{INSIDE}.lifecycleStatus"),
        ({**PLAN, "meta": '{"versionId": "1"}'}, "value", "CarePlan.meta"),
        ({**PLAN, "meta": []}, "structure", "CarePlan.meta"),
        ({**PLAN, "text": {"status": "empty", "div": "<div><script>1</script></div>"}}, "invalid", "CarePlan.text.div"),
        ({**PLAN, "text": {"status": "generated", "div": "<div onclick='x'>1</div>"}}, "invalid", "CarePlan.text.div"),
        ({**PATIENT, "active": "false"}, "value", "Patient.active"),
        ({**PATIENT, "multipleBirthInteger": "2"}, "value", "Patient.multipleBirthInteger"),
        ({**PATIENT, "birthDate": 0}, "value", "Patient.birthDate"),
        ({**PATIENT, "birthDate": "1980-02-31"}, "structure", "Patient.birthDate"),
        ({**PATIENT, "name": "x"}, "structure", "Patient.name"),
        ({**PATIENT, "name": [{"given": ["a", None]}]}, "structure", "Patient.name[0].given[1]"),
        ({**PATIENT, "gender": "f"}, "code-invalid", "Patient.gender"),
        ({**PATIENT, "name": [{"use": "x", "text": "y"}]}, "code-invalid", "Patient.name[0].use"),
        (
            {"resourceType": "Condition", "subject": {"display": "x"}, "clinicalStatus": {"coding": [
                {"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "x"}]}},
            "code-invalid", "Condition.clinicalStatus.coding[0].code",
        ),
    ],
)  # fmt: skip
def test_what_is_wrong_is_named_with_its_path(bad: Any, code: str, path: str) -> None:
    assert (code, path) in found(bad)


@pytest.mark.parametrize("coding", [{"system": []}, {"system": CLINICAL, "code": {}}, {"system": CLINICAL, "code": []}])
def test_a_coding_that_is_none_is_told_like_any_other_fault(coding: dict[str, Any]) -> None:
    problem = {
        "resourceType": "Condition",
        "subject": {"reference": "Patient/1"},
        "clinicalStatus": {"coding": [coding]},
    }
    assert any(path.startswith("Condition.clinicalStatus.coding[0].") for _, path in found(problem))


def test_everything_that_is_wrong_is_told_at_once() -> None:
    bad = {**PLAN, "status": "nice", "colour": "red", "note": [], "subject": {"reference": "x"}}
    assert {path for _, path in found(bad)} >= {
        "CarePlan.status", "CarePlan.colour", "CarePlan.note", "CarePlan.subject.reference"
    }  # fmt: skip


def test_fault_of_a_contained_resource_is_told_once() -> None:
    issues = check_resource({**PLAN, "contained": [{**GOAL, "lifecycleStatus": "active", "note": []}]})
    assert [issue.path for issue in issues].count(f"{INSIDE}.note") == 1


def test_unknown_code_is_answered_with_those_that_are_known() -> None:
    (issue,) = check_resource({**PLAN, "status": "nice"})
    assert issue.expected == "active | completed | draft | entered-in-error | on-hold | revoked | unknown"


def test_nesting_without_end_is_refused_and_not_followed() -> None:
    deep: dict[str, Any] = {"url": "http://x.example"}
    for _ in range(900):
        deep = {"url": "http://x.example", "extension": [deep]}
    assert {code for code, _ in found({**PLAN, "extension": [deep]})} == {"too-long"}


def test_checking_changes_nothing() -> None:
    raw = b'{"resourceType":"Observation","status":"final","code":{"text":"x"},"valueQuantity":{"value":1.00}}'
    resource = parse_json(raw)
    assert check_resource(resource) == []
    assert resource == parse_json(raw)
    assert str(resource["valueQuantity"]["value"]) == "1.00"


def test_every_type_of_a_plan_has_its_codes() -> None:
    assert set(REQUIRED) == set(TYPES)
    assert ("lifecycleStatus",) in REQUIRED["Goal"]
    assert ("participant", "status") in REQUIRED["Appointment"]


def test_models_are_not_read_before_something_is_checked() -> None:
    script = "import sys, fhir_adapter.checks.validate; sys.exit('fhir.resources' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", script], check=False).returncode == 0


KNOWN_FAULTS = {
    "Task-xver-task-r4.json": "an input without a value",
    "Task-xver-task-r5.json": "an element of R5",
    "Consent-myconsent-resource.json": "a Consent of R5",
    "RelatedPerson-SDOHCC-RelatedPersonMotherExample.json": "a reference that is none",
}


def test_published_examples_are_valid() -> None:
    if not SHARED.is_dir():
        pytest.skip("shared/data/fhir is not beside this checkout: no published examples to check")
    refused = {
        file.name: found(resource)
        for file in sorted(SHARED.glob("*/*.json"))
        if isinstance(resource := parse_json(file.read_bytes()), dict)
        and resource.get("resourceType") in TYPES
        and check_resource(resource)
    }
    assert set(refused) == set(KNOWN_FAULTS), refused
