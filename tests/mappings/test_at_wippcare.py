"""WippCare: an anonymous enquiry has no Patient, clearing comes before services, and a plan only follows on them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.errors import Issue, Refused
from fhir_adapter.fhir.resources import dump_json, parse_json, reference_of
from fhir_adapter.flows.convert import NAMESPACE, source_of
from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.load import find

SAMPLES = Path(__file__).parents[2] / "mappings" / "at-wippcare" / "samples"
PLACE: dict[str, Any] = {"source": source_of("at-wippcare"), "namespace": NAMESPACE}

Record = dict[str, Any]
Plan = list[dict[str, Any]]


@pytest.fixture
def mapping() -> Mapping:
    return find("at-wippcare")


@pytest.fixture
def anonymous() -> Record:
    record: Record = parse_json((SAMPLES / "WC-1.json").read_bytes())
    return record


@pytest.fixture
def andreas() -> Record:
    record: Record = parse_json((SAMPLES / "WC-2.json").read_bytes())
    return record


def of_type(plan: Plan, kind: str) -> Plan:
    return [one for one in plan if one["resourceType"] == kind]


def issues_of(mapping: Mapping, record: Record) -> list[Issue]:
    try:
        return mapping.get(record, **PLACE).issues
    except Refused as refusal:
        return list(refusal.issues)


def test_an_anonymous_enquiry_is_a_task_without_any_person(mapping: Mapping, anonymous: Record) -> None:
    resources = mapping.get(anonymous, **PLACE).resources
    assert resources[0]["resourceType"] == "Task"
    assert {one["resourceType"] for one in resources} == {"Task", "Consent", "ServiceRequest"}
    assert not any("for" in task for task in of_type(resources, "Task"))
    assert b"Patient/" not in dump_json(resources)
    assert all("reference" not in one["subject"] for one in of_type(resources, "ServiceRequest"))


@pytest.mark.parametrize(
    ("part", "path"),
    [({"person": {"name": "Anna"}}, "person"), ({"vertretungen": [{"name": "Anna"}]}, "vertretungen")],
)
def test_an_anonymous_enquiry_with_personal_data_is_refused_without_repeating_them(
    mapping: Mapping, anonymous: Record, part: Record, path: str
) -> None:
    (issue,) = issues_of(mapping, anonymous | part)
    assert (issue.severity, issue.path) == ("error", path)
    assert "Anna" not in f"{issue.message} {issue.expected}"


def test_an_enquiry_that_gets_a_person_keeps_its_identity(mapping: Mapping, anonymous: Record) -> None:
    before = mapping.get(anonymous, **PLACE).resources
    anonymous["anliegen"]["anonym"] = False
    anonymous["person"] = {"name": "Anna Größwang", "svnr": "1233140375"}
    after = mapping.get(anonymous, **PLACE).resources
    assert reference_of(after[0]) == reference_of(before[0])
    assert {reference_of(one) for one in before} < {reference_of(one) for one in after}
    (patient,) = of_type(after, "Patient")
    assert all(task["for"]["reference"] == reference_of(patient) for task in of_type(after, "Task"))
    assert "birthDate" not in patient


def test_clearing_is_decided_with_the_options_looked_at_and_a_reply_to_each_referral(
    mapping: Mapping, anonymous: Record
) -> None:
    enquiry, *replies = of_type(mapping.get(anonymous, **PLACE).resources, "Task")
    assert enquiry["businessStatus"]["coding"][0]["code"] == "vermittelt"
    assert [one["valueCodeableConcept"]["coding"][0]["code"] for one in enquiry["output"]] == [
        "pflegegeld", "mobile-dienste", "tagesbetreuung", "ehrenamt",
    ]  # fmt: skip
    assert [one["status"] for one in replies] == ["accepted", "requested", "rejected"]
    assert replies[2]["statusReason"] == {"text": "Plan B, derzeit nicht gewünscht"}
    assert all(one["partOf"] == [{"reference": reference_of(enquiry)}] for one in replies)


def test_a_waiting_list_is_received_and_waitlisted_and_reads_as_such(mapping: Mapping) -> None:
    record = {"id": "1", "clearing": {"entscheidung": [{"angebot": "Heimhilfe", "status": "Warteliste"}]}}
    resources = mapping.get(record, **PLACE).resources
    reply = of_type(resources, "Task")[1]
    assert reply["status"] == "received"
    assert reply["businessStatus"]["coding"][0]["code"] == "waitlisted"
    assert mapping.create(resources, **PLACE)["clearing"] == record["clearing"]
    reply["status"] = "accepted"
    del reply["businessStatus"]
    assert mapping.put(resources, record, **PLACE)["clearing"]["entscheidung"][0]["status"] == "accepted"


@pytest.mark.parametrize(("status", "word"), [("cancelled", "zurückgezogen"), ("accepted", "accepted")])
def test_who_waited_and_does_no_more_is_told_by_the_status_whatever_was_left_beside_it(
    mapping: Mapping, status: str, word: str
) -> None:
    record = {"id": "1", "clearing": {"entscheidung": [{"angebot": "Heimhilfe", "status": "Warteliste"}]}}
    resources = mapping.get(record, **PLACE).resources
    of_type(resources, "Task")[1]["status"] = status
    assert mapping.put(resources, record, **PLACE)["clearing"]["entscheidung"][0]["status"] == word


def test_with_case_management_the_plan_comes_first_and_says_what_the_person_wants(
    mapping: Mapping, andreas: Record
) -> None:
    resources = mapping.get(andreas, **PLACE).resources
    assert resources[0]["resourceType"] == "CarePlan"
    assert all(goal["expressedBy"] == resources[0]["subject"] for goal in of_type(resources, "Goal"))
    assert len(of_type(resources, "Appointment")) == 2
    assert mapping.owners["Goal.description"] == "person"


def test_who_is_responsible_is_told_one_by_one_and_reads_as_it_was_written(mapping: Mapping, andreas: Record) -> None:
    resources = mapping.get(andreas, **PLACE).resources
    first, _, third = of_type(resources, "ServiceRequest")
    assert [one["display"] for one in first["performer"]] == ["Gemeinde Steinach", "ÖGK"]
    third["performer"] = [{"display": "Landeskrankenhaus Hall"}, {"display": "Dr. Weiß"}]
    measures = mapping.put(resources, andreas, **PLACE)["massnahmen"]
    assert [one["wer"] for one in measures] == [
        "Gemeinde Steinach + ÖGK", "Jobbörse WippCare", "Landeskrankenhaus Hall + Dr. Weiß",
    ]  # fmt: skip


def test_a_withdrawn_consent_is_in_force_no_more_whatever_else_the_record_says(
    mapping: Mapping, andreas: Record
) -> None:
    andreas["einwilligung"]["widerruf"] = "2025-04-01"
    (consent,) = of_type(mapping.get(andreas, **PLACE).resources, "Consent")
    assert consent["status"] == "inactive"


def test_a_bpk_never_makes_one_person_of_two(mapping: Mapping) -> None:
    people = [
        of_type(mapping.get({"id": number, "anliegen": {}, "clearing": {"ergebnis": "vermittelt"},
                             "person": {"bpk": "GH:gleich"}}, **PLACE).resources, "Patient")[0]
        for number in ("1", "2")
    ]  # fmt: skip
    assert people[0]["id"] != people[1]["id"]


@pytest.mark.parametrize(
    ("part", "severity", "path"),
    [
        ({"person": {"svnr": "1243140375"}}, "warning", "person.svnr"),
        ({"person": {"svnr": "1002131340"}}, None, ""),
        ({"person": {"svnr": "0233140375"}}, "error", "person.svnr"),
        ({"person": {"svnr": 1233140375}}, "error", "person.svnr"),
        ({"person": {"gkz": 70300}}, "error", "person.gkz"),
        ({"anliegen": {"datum": "gestern"}}, "error", "anliegen.datum"),
        ({"anliegen": {"thema": ["Pflege", "Hund"]}}, "warning", "anliegen.thema[1]"),
        ({"clearing": {"dringlichkeit": "egal"}}, "error", "clearing.dringlichkeit"),
        ({"clearing": {"entscheidung": [{}, {"status": "xyz"}]}}, "error", "clearing.entscheidung[1].status"),
        ({"ziele": [{"text": "Ich ziehe um."}]}, "error", "case_management"),
        ({"case_management": {"intake": "2025-03-03"}}, "error", "person"),
        ({"fallnummer": "37"}, "error", "fallnummer"),
    ],
)
def test_what_is_wrong_is_told_by_the_senders_own_field(
    mapping: Mapping, part: Record, severity: str | None, path: str
) -> None:
    record = {"id": "1", "anliegen": {"text": "Hilfe"}} | part
    expected = [(severity, path)] if severity else []
    assert [(issue.severity, issue.path) for issue in issues_of(mapping, record)] == expected


def test_a_record_that_says_nothing_is_refused(mapping: Mapping) -> None:
    (issue,) = issues_of(mapping, {"id": "1", "person": None})
    assert issue.severity == "error"
    assert "nothing" in issue.message
