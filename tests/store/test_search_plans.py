"""What SQLite does for searches: none that names a person, a plan or a time reads a whole table."""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from urllib.parse import parse_qsl

import pytest

from fhir_adapter.fhir.search import parse_search
from fhir_adapter.fhir.search_request import Cursor
from fhir_adapter.store import resources, search
from fhir_adapter.store.database import Database, queries

NOON = datetime(2025, 2, 19, 12, tzinfo=UTC)


@pytest.fixture(scope="module")
def database(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Database]:
    database = Database(tmp_path_factory.mktemp("store") / "plans.sqlite")
    yield database
    database.close()


def steps(database: Database, statement: str, values: object) -> list[str]:
    rows = database.read().execute(f"EXPLAIN QUERY PLAN {statement}", values)  # type: ignore[arg-type]
    return [row[3] for row in rows]


def reads_a_whole_table(step: str) -> bool:
    """A subquery called i or t is scanned too: it holds the page, or one person's resources, n the names asked for."""
    return re.match(r"SCAN (?!CONSTANT ROW|[itm]$|m |n$|\()", step) is not None


@pytest.mark.parametrize("cursor", [None, Cursor(7)], ids=["first page", "next page"])
@pytest.mark.parametrize(
    "query",
    [
        "CarePlan?",
        "CarePlan?status=active",
        "CarePlan?status=active,completed",
        "CarePlan?patient=1&status:not=active&category=sip&date=ge2025",
        "CarePlan?patient.identifier=urn:p|1&_tag:missing=true",
        "CarePlan?identifier=urn:s|1",
        "CarePlan?_lastUpdated=gt2025",
        "CarePlan?_id=1,2",
        "Patient?family=a&birthdate=lt1930",
        "Patient?_has:CarePlan:patient:identifier=1",
        "Task?owner:identifier=urn:o|1&focus=ServiceRequest/1",
        "Goal?target-date=ge2025&lifecycle-status=active",
    ],
)
def test_search_goes_by_an_index(database: Database, query: str, cursor: Cursor | None) -> None:
    type_, _, rest = query.partition("?")
    request = parse_search(type_, parse_qsl(rest), base="http://x/fhir", now=NOON)
    statement, _ = search._prepared(request, search._smallest(database.read(), request), cursor is not None)
    found = steps(database, statement, [None] * statement.count("?"))
    assert [step for step in found if reads_a_whole_table(step)] == []


@pytest.mark.parametrize(
    ("file", "name"),
    [
        ("plans.sql", "members"),
        ("plans.sql", "members_as_of"),
        ("plans.sql", "plans_of_resource"),
        ("copies.sql", "of_party"),
    ],
)
def test_members_of_a_plan_are_found_by_an_index(database: Database, file: str, name: str) -> None:
    statement = queries(file)[name]
    found = steps(database, statement, dict.fromkeys(re.findall(r":(\w+)", statement), 1))
    assert [step for step in found if reads_a_whole_table(step)] == []
    assert [step for step in found if step.startswith("SEARCH g USING")], "guests are looked up"


def test_plan_as_it_stood_is_read_version_by_version_of_its_members(database: Database) -> None:
    found = steps(database, queries("plans.sql")["members_as_of"], {"plan": 1, "upto": 1})
    assert "SEARCH version USING COVERING INDEX version_by_resource (rid=?)" in found


@pytest.mark.parametrize("name", ["_id", "identifier", "lifecycle-status", "patient"])
def test_long_list_is_one_search(database: Database, name: str) -> None:
    values = ",".join(str(number) for number in range(500))
    request = parse_search("Goal", [(name, values)], base="http://x/fhir", now=NOON)
    assert search.search(database.read(), request).total == 0
    assert resources.read(database.read(), "Goal", "1") is None
