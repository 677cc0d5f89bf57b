"""A query becomes a SearchRequest once; times become ranges."""

from __future__ import annotations

from contextlib import suppress
from datetime import UTC, datetime

import pytest
from hypothesis import given
from hypothesis import strategies as st

from fhir_adapter.errors import BadRequest, NotFound
from fhir_adapter.fhir.index import index_rows, normal, split_reference
from fhir_adapter.fhir.parameters import PARAMETERS
from fhir_adapter.fhir.search import parse_search
from fhir_adapter.fhir.search_request import Match, SearchRequest, Size, Span, Target, Text, Token
from fhir_adapter.fhir.times import DAY, TICKS, instant, range_of

NOON = datetime(2025, 2, 19, 12, tzinfo=UTC)
BASE = "http://127.0.0.1/fhir"


def parse(type_: str, *pairs: tuple[str, str], lenient: bool = False) -> SearchRequest:
    return parse_search(type_, pairs, base=BASE, now=NOON, lenient=lenient)


def values(type_: str, name: str, value: str) -> tuple[object, ...]:
    (condition,) = parse(type_, (name, value)).conditions
    assert isinstance(condition, Match)
    return condition.values


@pytest.mark.parametrize(
    ("given_", "token"),
    [
        ("a", Token(None, "a")),
        ("s|a", Token("s", "a")),
        ("|a", Token("", "a")),
        ("s|", Token("s", None)),
        (r"s\|t|a\,b", Token("s|t", "a,b")),
        (r"a\\", Token(None, "a\\")),
        (r"a\$b", Token(None, "a$b")),
    ],
)
def test_token_is_read(given_: str, token: Token) -> None:
    assert values("CarePlan", "category", given_) == (token,)


def test_comma_means_or_unless_it_is_escaped() -> None:
    assert values("CarePlan", "category", r"a,b\,c,d\\,e") == tuple(
        Token(None, each) for each in ("a", "b,c", "d\\", "e")
    )


def test_system_of_a_bare_code_may_be_named() -> None:
    system = "http://hl7.org/fhir/goal-status"
    assert values("Goal", "lifecycle-status", f"{system}|active") == (Token("", "active"),)
    assert values("Goal", "lifecycle-status", "http://other|active") == (Token("http://other", "active"),)


@pytest.mark.parametrize(
    ("name", "given_", "target"),
    [
        ("subject", "a", Target("a", ("Patient",))),
        ("subject", "Group/a", Target("a", ("Group",))),
        ("subject", "Group/a/_history/2", Target("a", ("Group",))),
        ("subject", f"{BASE}/Group/a", Target("a", ("Group",))),
        ("subject", "http://other/Group/a", Target("http://other/Group/a", ("",))),
        ("subject", "urn:uuid:1", Target("urn:uuid:1", ("",))),
        ("subject:Group", "a", Target("a", ("Group",))),
        ("patient", "a", Target("a", ("Patient",))),
        ("patient", "Group/a", Target("a", ())),
    ],
)
def test_reference_is_read(name: str, given_: str, target: Target) -> None:
    assert values("CarePlan", name, given_) == (target,)


def test_text_is_normalised_and_kept() -> None:
    assert values("Patient", "family", "A\u030aKER") == (Text("åker", "A\u030aKER"),)


def test_number_leaves_open_what_its_digits_do() -> None:
    (size,) = values("Observation", "value-quantity", "ge5.40|s|c")
    assert isinstance(size, Size)
    assert (size.prefix, size.value, size.unit) == ("ge", 5.4, Token("s", "c"))
    assert (size.low, size.high) == pytest.approx((5.395, 5.405))


def test_about_a_date_is_a_tenth_of_its_distance() -> None:
    (span,) = values("CarePlan", "date", "ap2025-02-09T12:00:00Z")
    low = range_of("2025-02-09T12:00:00Z")[0]
    assert span == Span("ap", low - DAY, low + TICKS - 1 + DAY)


def test_same_place_is_indexed_once_under_two_names() -> None:
    parameters = PARAMETERS["CarePlan"]
    assert parameters["patient"].number == parameters["subject"].number
    rows = index_rows({"resourceType": "CarePlan", "id": "1", "subject": {"reference": "Patient/a"}})
    assert [row[1] for row in rows.reference] == [("Patient", "a")]


def test_type_that_is_not_held_is_not_found() -> None:
    with pytest.raises(NotFound, match="Binary"):
        parse("Binary")


def test_refusal_holds_every_issue() -> None:
    with pytest.raises(BadRequest) as refused:
        parse("CarePlan", ("a", "1"), ("date", "x"), ("status:b", "2"))
    assert [(issue.path, issue.code) for issue in refused.value.issues] == [
        ("a", "not-supported"),
        ("date", "value"),
        ("status:b", "not-supported"),
    ]


def test_lenient_leaves_out_what_is_unknown() -> None:
    request = parse("CarePlan", ("a", "1"), ("status", "active"), lenient=True)
    assert (len(request.conditions), request.understood) == (1, (("status", "active"),))


NAMES = st.text(alphabet="_:.abcdeinpsthu", max_size=20)


@given(st.sampled_from(sorted(PARAMETERS)), NAMES, st.text(max_size=40))
def test_any_query_is_understood_or_refused(type_: str, name: str, value: str) -> None:
    with suppress(BadRequest):
        assert parse(type_, (name, value)).type == type_


@given(st.sampled_from(sorted(PARAMETERS)), st.data())
def test_any_value_of_a_known_parameter_is_understood_or_refused(type_: str, data: st.DataObject) -> None:
    name = data.draw(st.sampled_from(sorted(PARAMETERS[type_])))
    value = data.draw(st.text(alphabet="0123456789-:.TZ|,\\aåe+ gelt", max_size=30))
    with suppress(BadRequest):
        assert parse(type_, (name, value)).understood == ((name, value),)


@pytest.mark.parametrize(
    ("text", "low", "length"),
    [
        ("2025", "2025-01-01T00:00:00.0Z", 365 * DAY),
        ("2024-02", "2024-02-01T00:00:00.0Z", 29 * DAY),
        ("2025-12", "2025-12-01T00:00:00.0Z", 31 * DAY),
        ("9999-12", "9999-12-01T00:00:00.0Z", 31 * DAY),
        ("2025-02-19", "2025-02-19T00:00:00.0Z", DAY),
        ("2025-02-19T13:00", "2025-02-19T13:00:00.0Z", 60 * TICKS),
        ("2025-02-19T13:00:00+01:00", "2025-02-19T12:00:00.0Z", TICKS),
        ("2025-02-19T00:30:00-12:30", "2025-02-19T13:00:00.0Z", TICKS),
        ("2025-02-19T13:00:00.5Z", "2025-02-19T13:00:00.500Z", 1),
        ("2016-12-31T23:59:60Z", "2017-01-01T00:00:00.0Z", TICKS),
    ],
)
def test_partial_date_is_a_range(text: str, low: str, length: int) -> None:
    first, last = range_of(text)
    assert (first, last - first + 1) == (range_of(low)[0], length)


@pytest.mark.parametrize(
    "text",
    [
        *("", "25", "2025-13", "2025-00", "2025-02-29", "0000", "2025-2-19", "19/2/2025", "２０２５", "2025-02-19T12"),
        *("2025-02-19T24:00", "2025-02-19T12:60", "2025-02-19T12:00:61Z", "2025-02-19T12:00:00+15:00"),
        "2025-02-19T12:00:00.1234567890Z",
    ],
)
def test_what_is_no_date_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        range_of(text)


@given(st.datetimes(min_value=datetime(1, 1, 2), max_value=datetime(9999, 12, 30), timezones=st.just(UTC)))
def test_instants_sort_as_text_as_they_do_in_time(moment: datetime) -> None:
    day = moment.toordinal() * DAY
    milliseconds = ((moment.hour * 60 + moment.minute) * 60 + moment.second) * 1000 + moment.microsecond // 1000
    assert range_of(instant(moment))[0] == day + milliseconds * TICKS // 1000


@pytest.mark.parametrize(("one", "other"), [("ÅKER", "a\u030aker"), ("Straße", "STRASSE"), (" x ", "X"), ("İ", "i̇")])
def test_texts_are_the_same_without_case_and_composition(one: str, other: str) -> None:
    assert normal(one) == normal(other)


@pytest.mark.parametrize(
    ("reference", "parts"),
    [
        ("Goal/a", ("Goal", "a")),
        ("Goal/a/_history/3", ("Goal", "a")),
        ("goal/a", ("", "goal/a")),
        ("http://x/Goal/a", ("", "http://x/Goal/a")),
        ("urn:uuid:a", ("", "urn:uuid:a")),
        ("Goal/a/b", ("", "Goal/a/b")),
        ("a", ("", "a")),
    ],
)
def test_reference_is_split(reference: str, parts: tuple[str, str]) -> None:
    assert split_reference(reference) == parts


@pytest.mark.parametrize(
    "nonsense",
    [
        {"identifier": "x", "category": [5], "period": [], "subject": "x", "meta": 5, "status": {}},
        {
            "identifier": [{"value": 5}],
            "category": {"coding": "x"},
            "period": {"start": 5},
            "subject": {"reference": 5},
        },
        {"period": {"start": "soon", "end": "later"}, "activity": [{"detail": {"scheduledTiming": "x"}}], "goal": None},
    ],
)
def test_value_of_the_wrong_json_type_is_passed_over(nonsense: dict[str, object]) -> None:
    assert not any(index_rows({"resourceType": "CarePlan", "id": "1", **nonsense}))
