"""JSON from outside: what a parser would swallow silently is refused, with the place."""

from __future__ import annotations

from decimal import Decimal

import pytest

from fhir_adapter.errors import BadRequest
from fhir_adapter.fhir.resources import Readings, dump_json, parse_input


@pytest.mark.parametrize(
    ("raw", "path"),
    [
        (b'{"id": "1", "id": "2"}', "id"),
        (b'{"mal": [{"text": "a"}, {"id": "M2", "text": "b", "text": "c"}]}', "mal[1].text"),
        (b'{"person": {"name": "A"}, "note": "he said \\"yes\\": twice", "person": {"name": "B"}}', "person"),
        (b'[{"a": {"b": 1, "b" : 1}}]', "[0].a.b"),
        (b'{"\\u0061": 1, "a": 2}', "a"),
        (b'{"a"\n:1,"a"\t:2}', "a"),
    ],
)
def test_a_name_that_stands_twice_is_refused(raw: bytes, path: str) -> None:
    with pytest.raises(BadRequest) as refused:
        parse_input(raw)
    (issue,) = refused.value.issues
    assert (issue.path, issue.expected) == (path, "each name once")


@pytest.mark.parametrize(
    "raw", [b'{"a": {"a": [{"a": 1}, {"a": 2}]}}', b'{"a": "b\\": \\"c\\" : d"}', b'{"": {"": ""}}']
)
def test_the_same_name_at_different_places_is_none_twice(raw: bytes) -> None:
    assert parse_input(raw)


@pytest.mark.parametrize(
    "number", ["1e400", "-1E+301", "1e-400", "0.1e99999", "1e99999999999999999999", "9" * 302, "-" + "9" * 9999]
)
def test_a_number_that_others_would_read_as_infinity_is_refused(number: str) -> None:
    with pytest.raises(BadRequest, match="300 places"):
        parse_input(f'{{"value": {number}}}'.encode())


@pytest.mark.parametrize(
    ("raw", "told"),
    [(b"", "nothing in it"), (b" \n", "nothing in it"), (b'{"a": "\\ud83d"}', "surrogate"), (b'{"a": "b', "truncated")],
)
def test_what_ends_too_early_is_told_from_what_only_looks_like_it(raw: bytes, told: str) -> None:
    with pytest.raises(BadRequest, match=told):
        parse_input(raw)


def test_any_other_number_keeps_its_digits() -> None:
    assert parse_input(b"9" * 301) == int("9" * 301)
    assert parse_input(b'"%s"' % (b"9" * 999)) == "9" * 999
    assert str(parse_input(b"1.50")) == "1.50"
    assert parse_input(b"[1E+2, 1e-300, 0e999]") == [Decimal("1E+2"), Decimal("1e-300"), Decimal("0e999")]


def test_json_that_was_read_once_is_the_same_object_the_second_time() -> None:
    goal, plan = {"resourceType": "Goal", "id": "1"}, {"resourceType": "CarePlan", "id": "1"}
    readings = Readings([goal, plan])
    assert readings.raw == (dump_json(goal), dump_json(plan))
    assert readings.read(dump_json(plan)) is plan
    assert readings.read(b'{"resourceType":"Goal","id":"2"}') == {"resourceType": "Goal", "id": "2"}
