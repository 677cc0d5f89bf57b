"""What single converters do at the edges that records seldom reach."""

from __future__ import annotations

from uuid import UUID, uuid5

import pytest

from fhir_adapter.mapping.converters import instant_of, is_date, minutes_between, plus_minutes, words_of
from fhir_adapter.mapping.converters_sweden import is_coordination_number, luhn_holds, municipality_of
from fhir_adapter.mapping.frames import native_path
from fhir_adapter.mapping.load import find
from fhir_adapter.mapping.model import Knowledge, Run, folded, is_uuid


@pytest.mark.parametrize("number", ["196101182803", "200001252386", "196109732393", "198507142381", "198901712391"])
def test_official_test_numbers_pass_the_check_digit(number: str) -> None:
    assert luhn_holds(number)
    assert not luhn_holds(number[:-1] + str((int(number[-1]) + 1) % 10))


@pytest.mark.parametrize(
    ("number", "is_one"), [("196109732393", True), ("196101182803", False), ("198901602391", False)]
)
def test_a_coordination_number_is_known_by_its_day(number: str, is_one: bool) -> None:
    assert is_coordination_number(number) is is_one


@pytest.mark.parametrize(
    ("text", "parts"),
    [
        ("Södertälje (0181)", ("Södertälje", "0181")),
        ("0181", (None, "0181")),
        ("Södertälje", ("Södertälje", None)),
        ("Upplands Väsby (0114)", ("Upplands Väsby", "0114")),
    ],
)
def test_a_municipality_is_name_code_or_both(text: str, parts: tuple[str | None, str | None]) -> None:
    assert municipality_of(text) == parts


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2025-03-30T02:30:00", "2025-03-30T02:30:00+01:00"),
        ("2025-10-26T02:30", "2025-10-26T02:30:00+02:00"),
        ("2025-02-19T13:00:00.120+01:00", "2025-02-19T13:00:00.120+01:00"),
        ("2025-02-19T13:00:00-00:00", "2025-02-19T13:00:00-00:00"),
        ("2025-02-29T13:00:00", None),
        ("2025-02-19T24:00:00Z", None),
        ("2025-02-19T13:00:00+15:00", None),
        ("2025-02-19", None),
    ],
)
def test_an_instant_keeps_its_digits_and_gets_a_zone(value: str, instant: str | None) -> None:
    assert instant_of(value) == instant


def test_the_end_of_a_meeting_keeps_zone_and_precision() -> None:
    assert plus_minutes("2025-02-19T13:00:00+01:00", 60) == "2025-02-19T14:00:00+01:00"
    assert plus_minutes("2025-02-19T23:30:00Z", 45) == "2025-02-20T00:15:00Z"
    assert minutes_between("2025-02-19T13:00:00+01:00", "2025-02-19T14:00:00+02:00") is None
    assert minutes_between("2025-02-19T13:00:00+01:00", "2025-02-19T12:30:00Z") == 30


def test_only_dates_of_the_calendar_are_dates() -> None:
    assert [text for text in ("2024-02-29", "2025-02-29", "2025", "0000", "2025-00") if is_date(text)] == [
        "2024-02-29", "2025",
    ]  # fmt: skip


def test_the_words_of_a_concept_are_its_text_else_a_display_else_a_code() -> None:
    coded = {"coding": [{"code": "c"}, {"code": "d", "display": "D"}]}
    assert words_of(coded | {"text": "t"}) == "t"
    assert words_of(coded) == "D"
    assert words_of({"coding": [{"code": "c"}]}) == "c"
    assert words_of({}) is None
    assert words_of(None) is None


def test_ids_are_the_uuids_of_the_standard() -> None:
    namespace = UUID(int=5)
    run = Run({}, "R", "https://source.example", namespace, Knowledge())
    assert run.id_of("Goal", "R/Å1") == str(uuid5(namespace, "https://source.example|Goal|R/Å1"))
    assert run.national_id("urn:x|1") == str(uuid5(namespace, "urn:x|1"))


def test_a_uuid_is_one_only_as_fhir_writes_it() -> None:
    assert is_uuid("0b1f6a52-7b8f-4f6e-9a54-8f1d2c3b4a59")
    assert not is_uuid("0B1F6A52-7B8F-4F6E-9A54-8F1D2C3B4A59")
    assert not is_uuid("M1")


def test_names_are_compared_without_case_and_form() -> None:
    assert folded("GRÖSSWANG") == folded("Größwang") == folded("gro\u0308sswang")


def test_every_table_reads_back_each_word_that_it_writes() -> None:
    for table in find("se-sip").knowledge.tables.values():
        for code, word in table.words.items():
            assert word is None or table.words[table.codes[word]] == word, (table.name, code)


def test_native_paths_make_and_clear_the_objects_above_them() -> None:
    path = native_path("avslut.orsak")
    item: dict[str, object] = {"avslut": None}
    path.write(item, "flytt")
    assert item == {"avslut": {"orsak": "flytt"}}
    assert path.read(item) == "flytt"
    path.write(item, None)
    assert item == {}
    path.write(item, None)
    assert item == {}
