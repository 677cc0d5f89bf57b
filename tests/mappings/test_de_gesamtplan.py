"""The German Gesamtplan: errors are told in the carrier's own field names, and edits from elsewhere come back."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.errors import Issue, Refused
from fhir_adapter.fhir.resources import parse_json, reference_of
from fhir_adapter.flows.convert import NAMESPACE, source_of
from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.load import find

SAMPLES = Path(__file__).parents[2] / "mappings" / "de-gesamtplan" / "samples"
PLACE: dict[str, Any] = {"source": source_of("de-gesamtplan"), "namespace": NAMESPACE}
ICF = "http://fhir.de/CodeSystem/bfarm/icf"

Record = dict[str, Any]
Plan = list[dict[str, Any]]


@pytest.fixture
def mapping() -> Mapping:
    return find("de-gesamtplan")


@pytest.fixture
def juergen() -> Record:
    record: Record = parse_json((SAMPLES / "ITP-1.json").read_bytes())
    return record


@pytest.fixture
def plan(mapping: Mapping, juergen: Record) -> Plan:
    return mapping.get(juergen, **PLACE).resources


def of_type(plan: Plan, kind: str) -> Plan:
    return [one for one in plan if one["resourceType"] == kind]


def issues_of(mapping: Mapping, record: Record) -> list[Issue]:
    try:
        return mapping.get(record, **PLACE).issues
    except Refused as refusal:
        return list(refusal.issues)


def with_parts(**parts: Any) -> Record:
    return {"id": "1", "person": {"kvnr": "S100234564"}} | parts


def test_a_gesamtplan_is_a_plan_and_never_an_order(plan: Plan) -> None:
    assert {one["intent"] for one in plan if one["resourceType"] in ("CarePlan", "ServiceRequest")} == {"plan"}


def test_benefits_of_all_carriers_stand_in_one_plan_each_with_who_pays_and_who_does_it(plan: Plan) -> None:
    names = {reference_of(one): one["name"] for one in of_type(plan, "Organization")}
    payers = [names[one["requester"]["reference"]] for one in of_type(plan, "ServiceRequest")]
    assert payers == ["LWL", "Pflegekasse", "Krankenkasse", "LWL"]
    owners = [names[one["owner"]["reference"]] for one in of_type(plan, "Task") if "owner" in one]
    assert owners == ["AWO BeWo", "Diakoniestation"]
    assert len(plan[0]["activity"]) == 6


def test_a_guiding_goal_is_said_by_the_person_and_belongs_to_the_person(mapping: Mapping, plan: Plan) -> None:
    guiding, first, second = of_type(plan, "Goal")
    assert guiding["expressedBy"] == plan[0]["subject"]
    assert "expressedBy" not in first
    assert "expressedBy" not in second
    assert mapping.owners["Goal.description"] == "person"


def test_disability_and_care_grade_follow_the_german_base_profiles(plan: Plan) -> None:
    disability, care = of_type(plan, "Observation")
    assert disability["valueInteger"] == 70
    assert [one["code"]["coding"][0]["code"] for one in disability["component"]] == ["G", "B"]
    assert all(one["valueBoolean"] is True for one in disability["component"])
    assert care["valueCodeableConcept"]["coding"][0]["code"] == "9-984.7"


def test_a_guardian_speaks_for_the_named_task_areas_only(plan: Plan) -> None:
    (guardian,) = of_type(plan, "RelatedPerson")
    areas = [one["valueCodeableConcept"]["coding"][0]["code"] for one in guardian["extension"]]
    assert areas == ["gesundheit", "vermoegen"]
    assert guardian["relationship"][0]["coding"][0]["code"] == "GUARD"


def test_an_excluded_diagnosis_never_reads_like_one_that_is_there(mapping: Mapping) -> None:
    record = with_parts(diagnosen=[{"icd10gm": "F20.0", "sicherheit": "A"}])
    (condition,) = of_type(mapping.get(record, **PLACE).resources, "Condition")
    assert condition["verificationStatus"]["coding"][0]["code"] == "refuted"
    assert condition["clinicalStatus"]["coding"][0]["code"] == "inactive"


@pytest.mark.parametrize(
    ("drawn_up", "review", "warned"),
    [
        ("2025-04-10", "2027-04-10", []),
        ("2025-04-10", "2027-04-11", ["verfahren.ueberpruefung"]),
        ("2024-02-29", "2026-03-01", ["verfahren.ueberpruefung"]),
        ("2025", "2029-01-01", []),
    ],
)
def test_a_review_later_than_two_years_is_taken_with_a_warning(
    mapping: Mapping, drawn_up: str, review: str, warned: list[str]
) -> None:
    record = with_parts(aufgestellt=drawn_up, verfahren={"ueberpruefung": review})
    issues = issues_of(mapping, record)
    assert [(issue.severity, issue.path) for issue in issues] == [("warning", path) for path in warned]


@pytest.mark.parametrize(
    ("part", "severity", "path"),
    [
        ({"person": {"kvnr": "S100234565"}}, "warning", "person.kvnr"),
        ({"person": {"kvnr": "s100234564"}}, "error", "person.kvnr"),
        ({"person": {"kvnr": 100234564}}, "error", "person.kvnr"),
        ({"person": {"kvnr": "S100234564", "ags": "5970004"}}, "error", "person.ags"),
        ({"person": {"kvnr": "S100234564", "ags": 5970004}}, "error", "person.ags"),
        ({"feststellungen": {"gdb": 75}}, "error", "feststellungen.gdb"),
        ({"feststellungen": {"gdb": 70, "merkzeichen": ["G", "XX"]}}, "error", "feststellungen.merkzeichen[1]"),
        ({"feststellungen": {"icd10gm": ["F20.0", 5]}}, "error", "feststellungen.icd10gm[1]"),
        ({"feststellungen": {"pflegegrad": "sehr hoch"}}, "warning", "feststellungen.pflegegrad"),
        ({"verfahren": {"konferenz": {"datum": "bald"}}}, "error", "verfahren.konferenz.datum"),
        ({"leistungen": [{}, {"fls_woche": -1}]}, "error", "leistungen[1].fls_woche"),
        ({"leistungen": [{"status": "xyz"}]}, "error", "leistungen[0].status"),
        ({"leistungen": [{"von": "2025-02-30"}]}, "error", "leistungen[0].von"),
        ({"ziele": [{"typ": "Ziel"}]}, "error", "ziele[0].text"),
        ({"ziele": [{"text": "x", "leitziel": "Z9"}]}, "warning", "ziele[0].leitziel"),
        ({"dokumente": [{"titel": "Gutachten"}]}, "error", "dokumente[0].url"),
        ({"einwilligung": {"status": "xyz"}}, "error", "einwilligung.status"),
    ],
)
def test_what_is_wrong_is_told_by_the_senders_own_field(
    mapping: Mapping, part: Record, severity: str, path: str
) -> None:
    assert [(issue.severity, issue.path) for issue in issues_of(mapping, with_parts(**part))] == [(severity, path)]


def test_a_number_keeps_the_same_person_from_every_source_and_gives_no_birth_date(mapping: Mapping) -> None:
    one = of_type(mapping.get(with_parts(), **PLACE).resources, "Patient")[0]
    other = mapping.get(with_parts(id="2"), **(PLACE | {"source": "https://other.example"})).resources
    assert one["id"] == of_type(other, "Patient")[0]["id"]
    assert "birthDate" not in one
    nameless = mapping.get({"id": "3", "person": {"name": "Jürgen Weiß"}}, **PLACE).resources
    namesake = mapping.get({"id": "4", "person": {"name": "Jürgen Weiß"}}, **PLACE).resources
    assert of_type(nameless, "Patient")[0]["id"] != of_type(namesake, "Patient")[0]["id"]


def test_what_others_change_comes_back_in_the_carriers_words(mapping: Mapping, juergen: Record, plan: Plan) -> None:
    of_type(plan, "Goal")[1]["achievementStatus"] = {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/goal-achievement", "code": "achieved"}]
    }
    task = next(one for one in of_type(plan, "Task") if one["focus"]["reference"].startswith("ServiceRequest/"))
    task["status"] = "in-progress"
    plan[0]["note"] = [{"text": "Kommt gern in die Tagesstätte", "authorString": "Haus Edertal"}]
    born = {"resourceType": "ServiceRequest", "id": "0f0e7a55-2a52-4c4e-8c0e-111111111111", "status": "active",
            "intent": "plan", "subject": plan[0]["subject"], "code": {"text": "Ergotherapie"}}  # fmt: skip
    plan[0]["activity"].append({"reference": {"reference": reference_of(born)}})
    record = mapping.put([*plan, born], juergen, **PLACE)
    assert record["ziele"][1]["ergebnis"] == "erreicht"
    assert record["leistungen"][0]["status"] == "laufend"
    assert record["leistungen"][4] == {"art": "Ergotherapie", "id": born["id"]}
    assert record["anmerkungen"] == [{"text": "Kommt gern in die Tagesstätte", "von": "Haus Edertal"}]
    untouched = juergen.keys() - {"ziele", "leistungen"}
    assert {name: record[name] for name in untouched} == {name: juergen[name] for name in untouched}


def test_a_diagnosis_code_that_somebody_takes_away_is_gone_and_the_others_keep_their_form(
    mapping: Mapping, juergen: Record, plan: Plan
) -> None:
    gone = next(one for one in of_type(plan, "Condition") if one["code"]["coding"][0]["code"] == "E66.00")
    plan[0]["addresses"] = [one for one in plan[0]["addresses"] if one["reference"] != reference_of(gone)]
    assert mapping.put(plan, juergen, **PLACE)["feststellungen"]["icd10gm"] == ["F20.0"]


def test_what_a_further_conference_was_refused_for_is_not_said_of_the_one_that_was_called_off(mapping: Mapping) -> None:
    meetings = {"verfahren": {"konferenz": {"status": "abgesagt"}}, "weitere_konferenzen": [{"abgelehnt_weil": "x"}]}
    record = with_parts(**meetings)
    first, other = of_type(mapping.get(record, **PLACE).resources, "Appointment")
    assert "cancelationReason" not in first
    assert other["extension"][0]["valueString"] == "x"
    made = mapping.create(mapping.get(record, **PLACE).resources, **PLACE)
    assert {name: made[name] for name in meetings} == meetings
