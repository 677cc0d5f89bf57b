"""What single converters do at the edges that records seldom reach."""

from __future__ import annotations

from collections.abc import Callable
from uuid import UUID, uuid5

import pytest

from fhir_adapter.mapping.converters.meetings import minutes_between, plus_minutes
from fhir_adapter.mapping.converters.numbers import CHECKS, kvnr, luhn, mod11, svnr
from fhir_adapter.mapping.converters.texts import words_of
from fhir_adapter.mapping.converters.times import Form, instant_of, is_date, is_unclear, on_the_wall
from fhir_adapter.mapping.declaration import DECLARATION, published_schema
from fhir_adapter.mapping.frames import native_path
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.load import find
from fhir_adapter.mapping.model import Run, is_uuid
from fhir_adapter.mapping.words import folded


@pytest.mark.parametrize("number", ["196101182803", "200001252386", "196109732393", "198507142381", "198901712391"])
def test_official_test_numbers_pass_the_check_digit(number: str) -> None:
    assert luhn(number)
    assert not luhn(number[:-1] + str((int(number[-1]) + 1) % 10))


@pytest.mark.parametrize(
    ("check", "number", "holds"),
    [
        (svnr, "1233140375", True),
        (svnr, "1243140375", False),
        (kvnr, "S100234564", True),
        (kvnr, "S100234565", False),
        (mod11, "0707614285", True),
        (mod11, "0707614286", False),
    ],
)
def test_the_check_digits_of_other_countries_are_known(check: Callable[[str], bool], number: str, holds: bool) -> None:
    assert check(number) is holds


def test_an_editor_offers_the_checks_that_there_are() -> None:
    offered = published_schema(DECLARATION)["$defs"]["number"]["properties"]["check"]["enum"]
    assert set(offered) == CHECKS.keys()


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
    assert find("se-sip").knowledge.register.municipality_in(text) == parts


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
    assert instant_of(value, "Europe/Stockholm") == instant


def test_a_time_without_zone_is_none_where_the_mapping_names_no_zone() -> None:
    assert instant_of("2025-02-19T13:00:00", "") is None


@pytest.mark.parametrize(
    ("value", "is_one"),
    [
        ("2025-10-26T02:30:00", True),
        ("2025-03-30T02:30:00", True),
        ("2025-10-26T03:00:00", False),
        ("2025-10-26T02:30:00+01:00", False),
        ("2025-10-26", False),
    ],
)
def test_a_time_around_the_clock_change_is_unclear_without_its_zone(value: str, is_one: bool) -> None:
    assert is_unclear(value, "Europe/Copenhagen") is is_one


@pytest.mark.parametrize(
    ("value", "shown"),
    [
        ("2025-02-19T12:00:00Z", "2025-02-19T13:00:00"),
        ("2025-07-19T13:00:00.120+02:00", "2025-07-19T13:00:00.120"),
        ("2025-10-26T02:30:00+02:00", "2025-10-26T02:30:00"),
        ("2025-10-26T02:30:00+01:00", "2025-10-26T02:30:00+01:00"),
        ("2025-02-19", "2025-02-19"),
        ("2025", "2025"),
    ],
)
def test_a_clock_shows_every_time_but_the_second_of_two_equal_hours(value: str, shown: str) -> None:
    assert on_the_wall(value, "Europe/Copenhagen") == shown


@pytest.mark.parametrize(
    ("form", "written", "read"),
    [
        ("YYYYMMDDhhmmss", "20250219130501", "2025-02-19T13:05:01"),
        ("YYYYMMDDhhmmss", "199205", "1992-05"),
        ("YYYYMMDDhhmmss", "1992", "1992"),
        ("DD.MM.YYYY", "19.02.2025", "2025-02-19"),
        ("DD.MM.YYYY hh:mm", "19.02.2025 13:05", "2025-02-19T13:05"),
    ],
)
def test_a_date_keeps_its_precision_in_the_senders_form(form: str, written: str, read: str) -> None:
    assert Form(form).read(written) == read
    assert Form(form).write(read) == written


def test_a_text_of_another_form_is_not_read() -> None:
    assert Form("DD.MM.YYYY").read("2025-02-19") is None
    assert Form("YYYYMMDD").read("1992052") is None
    with pytest.raises(ValueError, match="each of YYYY MM DD"):
        Form("MM.MM.")


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
