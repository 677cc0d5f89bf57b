"""What is wrong in a SIP is told in the sender's own field names, all at once, and in clear words."""

from __future__ import annotations

from decimal import Decimal
from typing import Any
from unicodedata import normalize

import pytest

from fhir_adapter.errors import Issue, Refused
from fhir_adapter.mapping.engine import Mapping

Record = dict[str, Any]


def issues_of(mapping: Mapping, record: Any, place: dict[str, Any]) -> list[Issue]:
    """The issues of a record, whether it is taken or refused."""
    try:
        return mapping.get(record, **place).issues
    except Refused as refusal:
        return list(refusal.issues)


def seen(issues: list[Issue]) -> set[tuple[str, str, str]]:
    return {(issue.severity, issue.code, issue.path) for issue in issues}


def minimal(**person: Any) -> Record:
    return {"id": "1", "person": person or {"personnummer": "196101182803"}}


def test_a_record_with_a_number_and_nothing_else_is_a_plan(se_sip: Mapping, place: dict[str, Any]) -> None:
    mapped = se_sip.get(minimal(), **place)
    assert mapped.issues == []
    assert [one["resourceType"] for one in mapped.resources] == ["CarePlan", "Patient", "CareTeam"]


@pytest.mark.parametrize(
    ("record", "path", "message"),
    [
        (None, "", "expected an object, got nothing (null)"),
        ([], "", "expected an object, got a list"),
        ({"person": {"personnummer": "196101182803"}}, "id", "id is required"),
        ({"id": "1"}, "person", "person is required"),
        (minimal() | {"insatser": [{}, {}, {"ansvarig": 5}]}, "insatser[2].ansvarig", "expected text, got number"),
        (minimal() | {"insatser": {"text": "x"}}, "insatser", "expected a list, got an object"),
        (minimal() | {"mal": [{"typ": "delmål"}]}, "mal[0].text", "mal[0].text is required"),
        (minimal() | {"mal": [{"text": ""}]}, "mal[0].text", "is empty"),
        (minimal() | {"approvedForPatient": "ja"}, "approvedForPatient", "expected true or false, got text"),
        (minimal() | {"typeOfCarePlan": 7}, "typeOfCarePlan", "expected text or a list, got number"),
        (minimal() | {"typeOfCarePlan": ["SIP", 7]}, "typeOfCarePlan[1]", "expected text, got number"),
        (minimal() | {"upprattad": "2025" * 11}, "upprattad", "is too long"),
        (minimal() | {"kallelse": {"kallade": [["a", "b", "c"]]}}, "kallelse.kallade[0]", "has a size outside"),
        (minimal() | {"system": "cosmic"}, "system", "expected another value"),
        (minimal() | {"gloss": "a\x00b"}, "gloss", "has characters or a form that is not allowed here"),
    ],
)
def test_a_wrong_shape_is_told_by_path_and_type_and_never_quoted(
    record: Any, path: str, message: str, se_sip: Mapping, place: dict[str, Any]
) -> None:
    with pytest.raises(Refused) as refusal:
        se_sip.get(record, **place)
    (issue,) = refusal.value.issues
    assert (issue.severity, issue.path) == ("error", path)
    assert issue.message.startswith(message)


def test_all_errors_come_at_once(se_sip: Mapping, place: dict[str, Any]) -> None:
    record = minimal() | {"insatser": [{"text": 1}, {"status": 2}], "gloss": [], "mal": [{}]}
    assert {path for _, _, path in seen(issues_of(se_sip, record, place))} == {
        "insatser[0].text", "insatser[1].status", "gloss", "mal[0].text",
    }  # fmt: skip
    record = minimal(personnummer="1") | {"insatser": [{"status": "xyz"}], "mal": [{"text": "a", "senast": "snart"}]}
    assert {path for _, _, path in seen(issues_of(se_sip, record, place))} == {
        "person.personnummer", "insatser[0].status", "mal[0].senast",
    }  # fmt: skip


@pytest.mark.parametrize(("sent", "is_late"), [("2025-10-07T09:15", False), ("2025-10-09T09:15", True)])
def test_a_notice_of_admission_that_was_late_is_told(
    sent: str, is_late: bool, se_sip: Mapping, place: dict[str, Any]
) -> None:
    stay = {"inskrivning": "2025-10-06T21:40", "inskrivningsmeddelande": sent}
    late = seen(issues_of(se_sip, minimal() | {"svu": stay}, place))
    assert late == ({("warning", "business-rule", "svu.inskrivningsmeddelande")} if is_late else set())


# ---- numbers


@pytest.mark.parametrize("person", [{"name": "Åsa"}, {"personnummer": ""}, {"personnummer": None}, {}])
def test_a_person_without_a_number_is_refused_saying_what_was_expected(
    person: Record, se_sip: Mapping, place: dict[str, Any]
) -> None:
    (issue,) = issues_of(se_sip, {"id": "1", "person": person}, place)
    assert (issue.severity, issue.code, issue.path) == ("error", "required", "person.personnummer")
    assert "twelve digits" in (issue.expected or "")


@pytest.mark.parametrize("number", ["19610118-2803", "6101182803", "1961011828030", "abc", "１９６１０１１８２８０３"])
def test_a_number_of_another_form_is_refused(number: str, se_sip: Mapping, place: dict[str, Any]) -> None:
    (issue,) = issues_of(se_sip, minimal(personnummer=number), place)
    assert (issue.severity, issue.path) == ("error", "person.personnummer")
    assert number not in issue.message


@pytest.mark.parametrize(
    ("person", "warned"),
    [
        ({"personnummer": "196101182804"}, {"person.personnummer"}),
        ({"samordningsnummer": "196109732394"}, {"person.samordningsnummer"}),
        ({"personnummer": "196109732393"}, {"person.personnummer"}),
        ({"samordningsnummer": "196101182803"}, {"person.samordningsnummer"}),
        ({"personnummer": "196101182803", "idtype": "reservnummer"}, {"person.idtype"}),
        ({"personnummer": "196101182803", "tidigare_nummer": ["196109732394"]}, {"person.tidigare_nummer[0]"}),
        ({"samordningsnummer": "196109732393", "idtype": "samordningsnummer"}, set()),
        ({"reservnummer": "98240301AA06", "idtype": "reservnummer"}, set()),
    ],
)
def test_a_doubtful_number_is_taken_with_a_warning(
    person: Record, warned: set[str], se_sip: Mapping, place: dict[str, Any]
) -> None:
    mapped = se_sip.get(minimal(**person), **place)
    assert {(issue.severity, issue.path) for issue in mapped.issues} == {("warning", path) for path in warned}
    assert "birthDate" not in mapped.resources[1]


def test_the_same_person_has_the_same_id_from_every_source(se_sip: Mapping, place: dict[str, Any]) -> None:
    one = se_sip.get(minimal(), **place).resources
    other = se_sip.get(minimal() | {"id": "2"}, **(place | {"source": "https://other.example"})).resources
    assert one[1]["id"] == other[1]["id"]
    assert one[0]["id"] != other[0]["id"]


def test_a_local_reserve_number_carries_its_own_series(se_sip: Mapping, place: dict[str, Any]) -> None:
    person = {"reservnummer": "98240301AA06", "reservnummer_kalla": "1.2.752.97.3.1.3"}
    patient = se_sip.get(minimal(**person), **place).resources[1]
    assert patient["identifier"][0]["system"] == "urn:oid:1.2.752.97.3.1.3"
    national = se_sip.get(minimal(reservnummer="98240301AA06"), **place).resources[1]
    assert national["identifier"][0]["system"] == "http://electronichealth.se/identifier/nationelltReservnummer"
    assert national["id"] != patient["id"]


# ---- codes


@pytest.mark.parametrize(
    ("part", "path"),
    [
        ({"status": "xyz"}, "status"),
        ({"insatser": [{}, {"status": "xyz"}]}, "insatser[1].status"),
        ({"mal": [{"text": "a", "status": "xyz"}]}, "mal[0].status"),
        ({"samtycke": {"status": "xyz"}}, "samtycke.status"),
        ({"kallelse": {"kallade": [["A", "xyz"]]}}, "kallelse.kallade[0][1]"),
        ({"uppfoljning": [{"datum": "2025-03-01", "status": "xyz"}]}, "uppfoljning[0].status"),
        ({"avslut": {"orsak": "xyz"}}, "avslut.orsak"),
    ],
)
def test_an_unknown_word_where_fhir_needs_a_code_is_refused_with_the_allowed_ones(
    part: Record, path: str, se_sip: Mapping, place: dict[str, Any]
) -> None:
    errors = [issue for issue in issues_of(se_sip, minimal() | part, place) if issue.severity == "error"]
    assert [(issue.code, issue.path) for issue in errors] == [("code-invalid", path)]
    assert len((errors[0].expected or "").split(", ")) > 2
    assert "xyz" not in errors[0].message


@pytest.mark.parametrize(
    ("part", "path", "element"),
    [
        ({"typeOfCarePlan": "Vårdkoll"}, "typeOfCarePlan", "category"),
        ({"typeOfCarePlan": ["SIP", "Vårdkoll"]}, "typeOfCarePlan[1]", "category"),
    ],
)
def test_an_unknown_word_elsewhere_is_kept_as_text_with_a_warning(
    part: Record, path: str, element: str, se_sip: Mapping, place: dict[str, Any]
) -> None:
    mapped = se_sip.get(minimal() | part, **place)
    assert seen(mapped.issues) == {("warning", "code-invalid", path)}
    assert mapped.resources[0][element][-1] == {"text": "Vårdkoll"}
    assert se_sip.create(mapped.resources, **place)["typeOfCarePlan"] == part["typeOfCarePlan"]


def test_words_are_known_in_any_case_and_form(se_sip: Mapping, place: dict[str, Any]) -> None:
    record = minimal() | {"insatser": [{"status": normalize("NFD", "PÅGÅENDE")}]}
    mapped = se_sip.get(record, **place)
    assert mapped.issues == []
    assert mapped.resources[-1]["status"] == "in-progress"
    assert se_sip.put(mapped.resources, record, **place) == record


# ---- dates


@pytest.mark.parametrize("date", ["2025-02-30", "2025-13", "25-01-01", "snart", "2025-1-1", "0000", "20250101"])
def test_a_date_that_is_none_is_refused(date: str, se_sip: Mapping, place: dict[str, Any]) -> None:
    record = minimal() | {"mal": [{"text": "a", "senast": date}], "insatser": [{"start": date}]}
    assert seen(issues_of(se_sip, record, place)) == {
        ("error", "value", "mal[0].senast"), ("error", "value", "insatser[0].start"),
    }  # fmt: skip


@pytest.mark.parametrize("date", ["2025", "2025-02", "2025-02-28"])
def test_a_date_keeps_its_precision(date: str, se_sip: Mapping, place: dict[str, Any]) -> None:
    record = minimal() | {"mal": [{"text": "a", "senast": date}], "insatser": [{"start": date}]}
    record["person"] |= {"birthDate": date}
    mapped = se_sip.get(record, **place)
    by_type = {one["resourceType"]: one for one in mapped.resources}
    assert by_type["Goal"]["target"] == [{"dueDate": date}]
    assert by_type["ServiceRequest"]["occurrencePeriod"] == {"start": date}
    assert by_type["Patient"]["birthDate"] == date


@pytest.mark.parametrize("when", ["2025-02-19", "2025-02", "2025", "i morgon", "2025-02-19T25:00:00+01:00"])
def test_a_call_needs_the_time_of_day(when: str, se_sip: Mapping, place: dict[str, Any]) -> None:
    (issue,) = issues_of(se_sip, minimal() | {"kallelse": {"mote": when, "langd_min": 60}}, place)
    assert (issue.severity, issue.path) == ("error", "kallelse.mote")
    assert issue.expected == "date and time: 2025-02-24T13:00:00+01:00"


@pytest.mark.parametrize(
    ("sent", "instant"),
    [
        ("2025-07-01T10:00", "2025-07-01T10:00:00+02:00"),
        ("2025-01-01 10:00:30", "2025-01-01T10:00:30+01:00"),
        ("2025-10-26T02:30:00", "2025-10-26T02:30:00+02:00"),
        ("2025-10-26T02:30:00Z", "2025-10-26T02:30:00Z"),
    ],
)
def test_a_time_without_zone_is_one_in_stockholm(
    sent: str, instant: str, se_sip: Mapping, place: dict[str, Any]
) -> None:
    record = minimal() | {"kallelse": {"mote": sent, "langd_min": 30}}
    mapped = se_sip.get(record, **place)
    assert next(one for one in mapped.resources if one["resourceType"] == "Appointment")["start"] == instant
    assert se_sip.put(mapped.resources, record, **place) == record


# ---- text and names


def test_long_and_odd_text_is_kept_whole(se_sip: Mapping, place: dict[str, Any]) -> None:
    text = "Ärende\n\t<script>alert('å')</script> 👩‍⚕️ " + "ord " * 5000
    record = minimal() | {"vad_ar_viktigt": text, "anteckningar": [{"text": text}], "mal": [{"text": text}]}
    mapped = se_sip.get(record, **place)
    created = se_sip.create(mapped.resources, **place)
    assert (created["vad_ar_viktigt"], created["anteckningar"], created["mal"]) == (
        text, [{"text": text}], [{"text": text}],
    )  # fmt: skip


def test_a_name_is_stored_as_sent_and_compared_in_nfc(se_sip: Mapping, place: dict[str, Any]) -> None:
    composed, decomposed = "Åsa Öst", normalize("NFD", "Åsa Öst")
    record = minimal() | {
        "deltagare": [{"namn": decomposed, "roll": "läkare"}],
        "insatser": [{"ansvarig": composed.upper()}],
    }
    mapped = se_sip.get(record, **place)
    assert mapped.issues == []
    by_type = {one["resourceType"]: one for one in mapped.resources}
    assert by_type["Practitioner"]["name"] == [{"text": decomposed}]
    performer = by_type["ServiceRequest"]["performer"][0]
    assert performer == {"reference": f"PractitionerRole/{by_type['PractitionerRole']['id']}", "display": "ÅSA ÖST"}


def test_a_name_of_nobody_is_kept_with_a_warning(se_sip: Mapping, place: dict[str, Any]) -> None:
    mapped = se_sip.get(minimal() | {"insatser": [{"ansvarig": "Okänd Person"}]}, **place)
    assert seen(mapped.issues) == {("warning", "not-found", "insatser[0].ansvarig")}
    assert mapped.resources[-2]["performer"] == [{"display": "Okänd Person"}]


def test_an_id_of_no_goal_is_kept_with_a_warning(se_sip: Mapping, place: dict[str, Any]) -> None:
    record = minimal() | {"mal": [{"id": "M1", "text": "a", "overmal": "M9"}], "insatser": [{"mal": ["M1", "M8"]}]}
    mapped = se_sip.get(record, **place)
    assert {path for _, _, path in seen(mapped.issues)} == {"mal[0].overmal", "insatser[0].mal[1]"}
    created = se_sip.create(mapped.resources, **place)
    assert created["mal"][0]["overmal"] == "M9"
    assert created["insatser"][0]["mal"] == ["M1", "M8"]


def test_the_same_id_twice_is_refused(se_sip: Mapping, place: dict[str, Any]) -> None:
    record = minimal() | {"mal": [{"id": "M1", "text": "a"}, {"id": "M1", "text": "b"}]}
    assert seen(issues_of(se_sip, record, place)) == {("error", "duplicate", "mal[1].id")}


def test_what_a_participant_cannot_carry_is_refused_by_name(se_sip: Mapping, place: dict[str, Any]) -> None:
    person = {"namn": "Åsa", "roll": "den enskilde", "telefon": "070", "orgnr": "2120000159"}
    record = minimal() | {"deltagare": [person]}
    mapped = se_sip.get(record, **place)
    assert {(lost.path, lost.kind) for lost in mapped.unmapped} == {
        ("deltagare[0].telefon", "refused"), ("deltagare[0].orgnr", "refused"),
    }  # fmt: skip
    assert se_sip.put(mapped.resources, record, **place) == record


# ---- organisations


def test_a_consent_to_a_unit_is_not_widened_to_the_whole_region(se_sip: Mapping, place: dict[str, Any]) -> None:
    record = minimal() | {"samtycke": {"omfattning": ["Region Stockholm, Psykiatri Södertälje", "Nykvarns kommun"]}}
    mapped = se_sip.get(record, **place)
    by_reference = {f"{one['resourceType']}/{one['id']}": one for one in mapped.resources}
    consent = next(one for one in mapped.resources if one["resourceType"] == "Consent")
    unit, whole = (by_reference[actor["reference"]["reference"]] for actor in consent["provision"]["actor"])
    assert unit["name"] == "Psykiatri Södertälje"
    assert by_reference[unit["partOf"]["reference"]]["identifier"][0]["value"] == "2321000016"
    assert whole["identifier"] == [{"system": "urn:oid:2.5.4.97", "value": "2120002999"}]


def test_a_municipality_that_is_not_in_the_table_is_kept_and_told(se_sip: Mapping, place: dict[str, Any]) -> None:
    record = minimal(personnummer="196101182803", kommun="Kiruna (2584)") | {"huvudansvar": {"huvudman": "kommun"}}
    mapped = se_sip.get(record, **place)
    assert seen(mapped.issues) == {("warning", "not-found", "person.kommun")}
    assert mapped.resources[0]["author"] == {"display": "kommun"}
    created = se_sip.create(mapped.resources, **place)
    assert (created["person"]["kommun"], created["huvudansvar"]) == ("Kiruna (2584)", {"huvudman": "kommun"})


def test_a_whole_number_may_be_written_with_a_point(se_sip: Mapping, place: dict[str, Any]) -> None:
    record = minimal() | {"kallelse": {"mote": "2025-02-19T13:00:00+01:00", "langd_min": Decimal("60.0")}}
    mapped = se_sip.get(record, **place)
    (meeting,) = (one for one in mapped.resources if one["resourceType"] == "Appointment")
    assert (meeting["minutesDuration"], type(meeting["minutesDuration"])) == (60, int)
    assert meeting["end"] == "2025-02-19T14:00:00+01:00"
    assert se_sip.put(mapped.resources, record, **place) == record
    record["kallelse"]["langd_min"] = Decimal("1e300")
    assert ("error", "value", "kallelse.langd_min") in seen(issues_of(se_sip, record, place))
