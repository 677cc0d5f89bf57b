"""Converters for amounts, marks and extensions: each both ways, and what they leave to other rules."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from fhir_adapter.fhir.elements import type_at
from fhir_adapter.fhir.paths import parse_path
from fhir_adapter.mapping.converters import CONVERTERS
from fhir_adapter.mapping.knowledge import Knowledge, Table
from fhir_adapter.mapping.model import Pair, Run

GRADES = Table("grades", "http://one.example", {"G": "g", "B": "b"}, {"g": "G", "b": "B"}, {}, "G, B")
MARKS = Table("marks", None, {}, {}, {"team#took-part": "Took part", "http://sct.example#1": ""}, "")
KNOWLEDGE = Knowledge({"grades": GRADES, "marks": MARKS})


def pair(text: str, *fields: str) -> Pair:
    name, *words = text.split()
    return CONVERTERS[name].build(fields or ("field",), CONVERTERS[name].words(words), KNOWLEDGE)


@pytest.fixture
def run() -> Run:
    return Run({}, "1", "https://source.example", UUID(int=1), KNOWLEDGE)


@pytest.mark.parametrize(
    ("text", "native", "fhir"),
    [
        ("one_coding grades", "G", {"system": "http://one.example", "code": "g"}),
        ("plain_coding http://two.example", "05970004", {"system": "http://two.example", "code": "05970004"}),
        ("quantity unit=h/week", 4, {"value": 4, "unit": "h/week"}),
        ("in_extension basis valueString", "§ 19",
         {"url": "https://fhir-adapter.example/fhir/StructureDefinition/basis", "valueString": "§ 19"}),
        ("in_extension http://x.example valueCoding one_coding grades", "B",
         {"url": "http://x.example", "valueCoding": {"system": "http://one.example", "code": "b"}}),
        ("component_flag grades", "G",
         {"code": {"coding": [{"system": "http://one.example", "code": "g"}]}, "valueBoolean": True}),
        ("team_words team#took-part", "Trusted person: sister",
         {"role": [{"coding": [{"system": "https://fhir-adapter.example/fhir/CodeSystem/team", "code": "took-part",
                                "display": "Took part"}], "text": "Trusted person"}], "member": {"display": "sister"}}),
    ],
)  # fmt: skip
def test_a_value_goes_to_fhir_and_comes_back(text: str, native: Any, fhir: Any, run: Run) -> None:
    made = pair(text).to_fhir(native, run, "field")
    assert made == fhir
    assert pair(text).to_native(made, run) == native
    assert run.issues == []


@pytest.mark.parametrize(
    ("text", "fragment"),
    [
        ("one_coding grades", {"system": "http://two.example", "code": "g"}),
        ("plain_coding http://two.example", {"system": "http://one.example", "code": "1"}),
        ("quantity unit=h/week", {"value": 4, "unit": "visits"}),
        ("in_extension basis valueString", {"url": "http://other.example", "valueString": "x"}),
        ("component_flag grades",
         {"code": {"coding": [{"system": "http://one.example", "code": "g"}]}, "valueBoolean": False}),
        ("team_words team#took-part", {"role": [{"text": "nurse"}], "member": {"display": "Ann"}}),
        ("flag http://sct.example#1", [{"system": "http://sct.example", "code": "2"}]),
    ],
)  # fmt: skip
def test_what_belongs_to_other_rules_is_left_alone(text: str, fragment: Any, run: Run) -> None:
    assert pair(text).to_native(fragment, run) is None


def test_a_flag_is_a_coding_without_a_display_where_its_mark_has_none(run: Run) -> None:
    flag = pair("flag http://sct.example#1")
    assert flag.to_fhir(True, run, "field") == {"system": "http://sct.example", "code": "1"}
    assert flag.to_fhir(False, run, "field") is None
    assert flag.to_native([{"system": "http://sct.example", "code": "1"}], run) is True


@pytest.mark.parametrize("text", ["one_coding grades", "component_flag grades"])
def test_an_unknown_word_is_an_error_with_the_known_ones(text: str, run: Run) -> None:
    assert pair(text).to_fhir("Q", run, "field") is None
    assert [(issue.severity, issue.path, issue.expected) for issue in run.issues] == [("error", "field", "G, B")]


def test_how_often_makes_a_timing_of_a_period(run: Run) -> None:
    often = pair("period_or_times_a_week", "from", "until", "visits")
    assert often.to_fhir(("2025-05", "2027", None), run, "x.") == ({"start": "2025-05", "end": "2027"}, None)
    _, timing = often.to_fhir(("2025-05", None, 5), run, "x.")
    assert timing == {"repeat": {"boundsPeriod": {"start": "2025-05"}, "frequency": 5, "period": 1, "periodUnit": "wk"}}
    assert often.to_native((None, timing), run) == ("2025-05", None, 5)
    assert often.to_native((None, {"repeat": {"frequency": 1, "period": 1, "periodUnit": "d"}}), run) == (None,) * 3
    often.to_fhir(("soon", None, None), run, "x.")
    assert [issue.path for issue in run.issues] == ["x.from"]


def test_what_stands_beside_a_primitive_value_is_an_element() -> None:
    assert type_at("Patient", parse_path("address[0]._city.extension[http://x.example].valueCoding")) == "Coding"
    with pytest.raises(ValueError, match=r"Patient\._name"):
        type_at("Patient", parse_path("_name.extension[x].valueString"))


MEETING = Table("m", None, {"held": "fulfilled"}, {"fulfilled": "held"}, {}, "held")
HELSINKI = Knowledge({"m": MEETING}, zone="Europe/Helsinki")


def converted(text: str, native: Any, *fields: str) -> tuple[Any, Any, Run]:
    """The FHIR of a value in a country with a zone, what comes back, and the run."""
    name, *words = text.split("  ")
    built = CONVERTERS[name].build(fields or ("field",), CONVERTERS[name].words(words), HELSINKI)
    run = Run({}, "1", "https://source.example", UUID(int=1), HELSINKI)
    made = built.to_fhir(native, run, "goals[0].")
    sent = [made] if CONVERTERS[name].whole else made
    return made, built.to_native(sent, run) if not run.issues else None, run


@pytest.mark.parametrize(
    ("text", "native", "fhir"),
    [
        ("meeting  table=m  form=DD.MM.YYYY hh:mm", ("01.04.2025 13:00", 30, "held"),
         ("2025-04-01T13:00:00+03:00", "2025-04-01T13:30:00+03:00", 30, None, "fulfilled", None)),
        ("meeting  table=m  local", ("2025-04-01T13:00:00", None, None),
         (None, None, None, [{"start": "2025-04-01T13:00:00+03:00"}], "proposed", None)),
        ("stay  form=DD.MM.YYYY", ("01.04.2025", None), ("2025-04-01", None, "in-progress")),
        ("period_or_times_a_week  form=DD.MM.YYYY", ("01.04.2025", "02.05.2025", None),
         ({"start": "2025-04-01", "end": "2025-05-02"}, None)),
        ("day  form=D.M.YYYY", "1.4.2025", "2025-04-01"),
        ("day  form=D/M YYYY", "31/12 2025", "2025-12-31"),
        ("datetime  form=D.M.YYYY h:mm", "1.4.2025 9:05", "2025-04-01T09:05:00+03:00"),
        ("datetime  form=YYYY-M-D", "2025-4", "2025-04"),
        ("due  form=DD.MM.YYYY", "01.04.2025", {"dueDate": "2025-04-01"}),
    ],
)  # fmt: skip
def test_times_of_several_fields_have_the_senders_form_too(text: str, native: Any, fhir: Any) -> None:
    made, back, run = converted(text, native, *("when", "until", "state")[: len(native)])
    assert (made, back, run.issues) == (fhir, native, [])


@pytest.mark.parametrize("when", ["2025-03-30T03:30:00", "2025-10-26T03:30:00"])
def test_a_meeting_at_the_change_of_the_clock_is_told_of(when: str) -> None:
    _, _, run = converted("meeting  table=m", (when, 30, None), "when", "minutes", "state")
    assert [(issue.severity, issue.path) for issue in run.issues] == [("warning", "goals[0].when")]


@pytest.mark.parametrize("word", ["day", "datetime"])
@pytest.mark.parametrize("sent", ["31.02.2025", "1.4.2025", "2025-04-01"])
def test_a_date_of_another_form_or_calendar_is_told_with_the_form(word: str, sent: str) -> None:
    _, _, run = converted(f"{word}  form=DD.MM.YYYY", sent)
    assert [issue.expected for issue in run.issues] == ["DD.MM.YYYY"]


PHONES = Table(
    "phones", None, {"voice": "phone", "cell": "mobile", "fax": "fax"},
    {"phone": "voice", "mobile": "cell", "fax": "fax"}, {}, "voice, cell, fax",
)  # fmt: skip


@pytest.mark.parametrize(
    ("sent", "fhir"),
    [
        ({"no": "1", "kind": "voice"}, {"system": "phone", "value": "1"}),
        ({"no": "1", "kind": "cell"}, {"system": "phone", "use": "mobile", "value": "1"}),
        ({"no": "1", "kind": "fax", "ext": 12, "why": "desk"},
         {"extension": [
             {"url": "http://hl7.org/fhir/StructureDefinition/contactpoint-extension", "valueString": "12"},
             {"url": "https://fhir-adapter.example/fhir/StructureDefinition/telecom-note", "valueString": "desk"}],
          "system": "fax", "value": "1"}),
    ],
)  # fmt: skip
def test_a_telephone_number_keeps_what_is_said_about_it(sent: Any, fhir: Any, run: Run) -> None:
    made = CONVERTERS["telephone"]
    words = made.words(["phones", "number=no", "type=kind", "extension=ext", "note=why"])
    phone = made.build(("phones",), words, Knowledge({"phones": PHONES}))
    assert phone.to_fhir(sent, run, "phones[0]") == fhir
    assert phone.to_native(fhir, run) == sent
    assert phone.to_native({"system": "email", "value": "a@b"}, run) is None
    assert phone.to_fhir({"kind": "voice"}, run, "phones[0]") is None
    assert run.issues == []
    phone.to_fhir({"no": "1", "kind": "signal"}, run, "phones[0]")
    assert [(issue.path, issue.severity) for issue in run.issues] == [("phones[0].kind", "warning")]


@pytest.mark.parametrize("sent", ["http://x.example/a", "urn:oid:1.2", "two words", "a:b c", "http://p.example/x"])
def test_words_that_are_no_uri_stand_behind_a_prefix(sent: str, run: Run) -> None:
    made = pair("uri http://p.example/").to_fhir(sent, run, "field")
    assert " " not in made
    assert pair("uri http://p.example/").to_native(made, run) == (sent if sent != "http://p.example/x" else "x")


@pytest.mark.parametrize(
    ("sent", "lines", "warned"),
    [(("a", "b"), ["a", "b"], []), (("a", None), ["a"], []), ((None, "b"), None, ["two"]), ((None, None), None, [])],
)
def test_lines_of_an_address_have_no_gap(sent: Any, lines: Any, warned: list[str], run: Run) -> None:
    both = pair("lines", "one", "two")
    assert both.to_fhir(sent, run, "home.") == lines
    assert [issue.path for issue in run.issues] == [f"home.{field}" for field in warned]
    assert lines is None or both.to_native(lines, run) == sent


def test_hours_with_an_end_are_a_rule_only(run: Run) -> None:
    fields = ("freq", "interval", "byday", "opens", "closes", "until", "count")
    sent = ("WEEKLY", None, "MO", "09:00:00", "10:00:00", "2025-03-28", 13)
    made = pair("weekly_times", *fields).to_fhir(sent, run, "")
    assert made[:4] == (None, None, None, None)
    assert pair("weekly_times", *fields).to_native(made, run) == sent
