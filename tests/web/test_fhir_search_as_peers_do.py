"""Search cases of other FHIR servers: query → which of their fixtures must be found.

The cases are data outside the project; where they are absent these tests skip. Three ways in which we read the
standard otherwise than these peers are said where they are left out.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.fhir.resources import parse_json
from tests.web.conftest import Served

FOLDER = Path(__file__).parents[3] / "shared" / "data" / "conformance"
FILE = FOLDER / "peer_search_cases.json"
CASES: dict[str, list[list[Any]]] = json.loads(FILE.read_text("utf-8")) if FILE.exists() else {}
pytestmark = pytest.mark.skipif(
    not CASES, reason=f"{FILE.name} is not beside this checkout: no peer's cases to compare"
)


def observation(number: int, **more: Any) -> dict[str, Any]:
    return {"resourceType": "Observation", "id": str(number), "status": "final", "code": {"text": "x"}, **more}


def numbers(references: list[str]) -> list[int]:
    return sorted(int(reference.partition("/")[2]) for reference in references)


DATES = [
    *("1979-12-31", "1980", "1980-05", "1980-05-11", "1980-05-11T16:32:15Z", "1980-05-11T16:32:15.500Z", "1981-01-01"),
    {"start": "1980-05-16", "end": "1980-05-17"},
]


@pytest.fixture(scope="module")
def dates(serve: Callable[[], Served]) -> Served:
    served = serve()
    for number, date in enumerate(DATES):
        value = {"effectivePeriod": date} if isinstance(date, dict) else {"effectiveDateTime": date}
        served.save(observation(number, **value))
    return served


PREFIXED = [case for case in CASES.get("ms_date", ()) if re.match("[a-z]", case[0])]
PLAIN = [case for case in CASES.get("ms_date", ()) if not re.match("[a-z]", case[0])]


@pytest.mark.parametrize("case", PREFIXED, ids=str)
def test_dates_with_a_prefix(dates: Served, case: list[Any]) -> None:
    assert numbers(dates.found(f"/Observation?date={case[0]}")) == case[1:]


@pytest.mark.parametrize("case", PLAIN, ids=str)
def test_dates_without_a_prefix_are_found_when_the_search_contains_them(dates: Served, case: list[Any]) -> None:
    """The peer also finds 1980 for 1980-05-11, where the ranges only overlap; R4 wants the searched one to contain."""
    contained = [number for number in case[1:] if number in numbers(dates.found(f"/Observation?date={case[0]}"))]
    assert numbers(dates.found(f"/Observation?date={case[0]}")) == contained
    assert set(range(8)) - set(contained) == set(numbers(dates.found(f"/Observation?date=ne{case[0]}")))


@pytest.mark.parametrize("case", CASES.get("ms_date_two", ()), ids=str)
def test_dates_between_two(dates: Served, case: list[Any]) -> None:
    first, second, *expected = case
    assert numbers(dates.found(f"/Observation?date={first}&date={second}")) == expected


@pytest.mark.parametrize("case", CASES.get("ms_date_invalid", ()), ids=str)
def test_dates_that_are_none(dates: Served, case: list[Any]) -> None:
    assert dates.fhir.get("/Observation", params={"date": case[0]}).status_code == 400


QUANTITIES = [
    *(("0.002", "unit1", "system1"), ("1.0", "unit1", "system1"), ("3.0", "unit1", "system2")),
    *(("4.0", "unit1", "system1"), ("5.0", "unit1", "system1"), ("5.0", "unit2", "system2")),
    *(("6.0", "unit2", "system2"), ("8.95", "unit2", "system1"), ("10.0", "unit1", "system1")),
]


@pytest.fixture(scope="module")
def quantities(serve: Callable[[], Served]) -> Served:
    served = serve()
    for number, (value, unit, system) in enumerate(QUANTITIES):
        quantity = f'{{"value":{value},"code":"{unit}","system":"{system}"}}'.encode()
        served.save(observation(number, valueQuantity=parse_json(quantity)))
    return served


@pytest.mark.parametrize("case", CASES.get("ms_quantity", ()), ids=str)
def test_quantities(quantities: Served, case: list[Any]) -> None:
    assert numbers(quantities.found(f"/Observation?value-quantity={case[0]}")) == case[1:]


@pytest.fixture(scope="module")
def plain_numbers(serve: Callable[[], Served]) -> Served:
    served = serve()
    for number, value in enumerate((1, 4, 5, 6, 8)):
        served.save(observation(number, valueQuantity={"value": value}))
    return served


@pytest.mark.parametrize("case", CASES.get("ms_number", ()), ids=str)
def test_numbers(plain_numbers: Served, case: list[Any]) -> None:
    assert numbers(plain_numbers.found(f"/Observation?value-quantity={case[0]}")) == case[1:]


CONCEPTS: list[tuple[list[tuple[str, str]], str | None]] = [
    ([("system1", "code1")], None),
    ([("system2", "code2")], None),
    ([], "text"),
    ([("system1", "code2")], "text2"),
    ([("system3", "code3")], "text"),
    ([("system2", "code1"), ("system3", "code2")], "text"),
    ([("system3", "code1"), ("system3", "code3")], "text2"),
    ([("", "code3")], None),
]


@pytest.fixture(scope="module")
def concepts(serve: Callable[[], Served]) -> Served:
    served = serve()
    for number, (codings, text) in enumerate(CONCEPTS):
        concept: dict[str, Any] = {
            "coding": [{"code": code} | ({"system": system} if system else {}) for system, code in codings],
            "text": text,
        }
        served.save(observation(number, valueCodeableConcept={name: found for name, found in concept.items() if found}))
    return served


@pytest.mark.parametrize("case", CASES.get("ms_token", ()), ids=str)
def test_tokens(concepts: Served, case: list[Any]) -> None:
    assert numbers(concepts.found(f"/Observation?value-concept={case[0]}")) == case[1:]


@pytest.mark.parametrize("case", CASES.get("ms_token_text", ()), ids=str)
def test_words_of_tokens(concepts: Served, case: list[Any]) -> None:
    assert numbers(concepts.found(f"/Observation?value-concept:text={case[0]}")) == case[1:]


@pytest.fixture(scope="module")
def patients(serve: Callable[[], Served]) -> Served:
    served = serve()
    places: list[dict[str, Any]] = [
        {"managingOrganization": {"reference": "Organization/123"}, "address": [{"city": "Seattle"}]},
        {"managingOrganization": {"reference": "Organization/abc"}},
        {"managingOrganization": {"reference": "Organization/ijk"}},
        {"generalPractitioner": [{"reference": "Practitioner/p1"}]},
        {"generalPractitioner": [{"reference": "Organization/p2"}]},
    ]
    served.save(*({"resourceType": "Patient", "id": str(number), **more} for number, more in enumerate(places)))
    return served


@pytest.mark.parametrize("case", CASES.get("ms_string_city", ()), ids=str)
def test_strings(patients: Served, case: list[Any]) -> None:
    modifier, value, expected = case
    assert numbers(patients.found(f"/Patient?address-city{modifier}={value}")) == ([0] if expected else [])


@pytest.mark.parametrize("case", CASES.get("ms_reference", ()), ids=str)
def test_references(patients: Served, case: list[Any]) -> None:
    assert numbers(patients.found(f"/Patient?{case[0]}")) == case[1:]


@pytest.fixture(scope="module")
def candle(serve: Callable[[], Served]) -> Served:
    served = serve()
    served.save(*(parse_json(file.read_bytes()) for file in sorted((FOLDER / "peer_search_fixtures").glob("*.json"))))
    return served


NOT_OURS = re.compile(
    r"code-value-quantity|multiplebirth|name-use|:of-type"  # parameters and a modifier that we do not have
    r"|identifier=\||telecom=\|"  # the peer finds values that have a system for |value; R4: only those without
    r"|cl/s"  # the peer compares units without case; UCUM tells M from m
    r"|subject:Patient\.|subject\._id=example&_include"  # fixture counts of the peer's R5 run
)
COUNTS = {
    "_observationCount": 6, "_patientCount": 6, "_observationsWithSubjectExample": 4, "_observationsVitalSigns": 3,
    "_patientsMale": 3, "_patientsFemale": 1,
}  # fmt: skip


def count_of(expected: int | str) -> int:
    """4, or a sum of the peer's names for how much there is."""
    if isinstance(expected, int):
        return expected
    parts = re.findall(r"([+-]?) ?(?:R\dTests\.(\w+)|(\d+))", expected)
    return sum((-1 if sign == "-" else 1) * (COUNTS[name] if name else int(digits)) for sign, name, digits in parts)


@pytest.mark.parametrize("type_", ["Observation", "Patient"])
def test_counts(candle: Served, type_: str) -> None:
    found, expected = {}, {}
    for query, matches, *_ in CASES[f"candle_{type_.lower()}"]:
        if not NOT_OURS.search(query):
            found[query], expected[query] = len(candle.found(f"/{type_}?{query}")), count_of(matches)
    assert found == expected
    assert len(found) > 20
