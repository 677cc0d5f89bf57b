"""What a statement reads does not grow with what else the store holds."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from urllib.parse import parse_qsl

import pytest

from fhir_adapter.fhir.search import parse_search
from fhir_adapter.fhir.times import instant
from fhir_adapter.store import plans, resources
from fhir_adapter.store.database import Database
from fhir_adapter.store.search import search
from tests.steps import steps


def test_the_plan_of_a_record_is_found_without_reading_the_partys_other_records(tmp_path: Path) -> None:
    database = Database(tmp_path / "plans.db")

    def know(connection: sqlite3.Connection, first: int, last: int) -> None:
        for number in range(first, last):
            plans.add(connection, id=f"p{number}", party="one", source="urn:one", record=f"r{number}", now="")
            plans.note_said(connection, "one", f"p{number}", f"r{number}", number, None)

    connection = database.read()

    def find() -> None:
        found = plans.of_record(connection, "one", "r3")
        assert found is not None
        assert found.id == "p3"

    database.write(lambda connection: know(connection, 0, 10))
    few = steps([connection], find)
    database.write(lambda connection: know(connection, 10, 1000))
    assert steps([connection], find) == few
    database.close()


START = datetime(2025, 1, 1, tzinfo=UTC)


def save_tasks(connection: sqlite3.Connection, first: int, last: int) -> None:
    """Tasks that one organisation does, a minute after the other; the newest are still to be done."""
    for number in range(first, last):
        task = {
            "resourceType": "Task",
            "id": f"t{number}",
            "status": "requested" if last - number < 10 else "completed",
            "intent": "order" if number % 2 else "plan",
            "owner": {"reference": "Organization/all-of-it"},
        }
        resources.save(connection, task, now=START + timedelta(minutes=number))


@pytest.mark.parametrize(
    "query",
    [
        "status=requested,completed&_count=20",
        "status=completed&intent=plan,order&_count=20",
        "owner=Organization/all-of-it&status=requested",
        "status=completed,requested&_lastUpdated=gt{evening}",
        "_sort=-_lastUpdated&_count=20",
        "status=completed&_sort=-_lastUpdated&_count=20",
        "status=requested&_sort=_lastUpdated&_count=20",
    ],
)
def test_a_search_reads_a_page_not_all_that_has_the_same_status_or_owner(
    query: str, two_sizes: tuple[Database, Database]
) -> None:
    few, many = (_searched(database, query) for database in two_sizes)
    assert few[0] == many[0] > 0, "as many are found"
    assert many[1] <= 1.3 * few[1]


@pytest.fixture(scope="module")
def two_sizes(tmp_path_factory: pytest.TempPathFactory) -> Iterator[tuple[Database, ...]]:
    databases = []
    for size in (300, 1500):
        databases.append(Database(tmp_path_factory.mktemp(str(size)) / "plans.db"))
        databases[-1].write(partial(save_tasks, first=0, last=size))
    yield tuple(databases)
    for database in databases:
        database.close()


@pytest.mark.parametrize("type_", ["Task", None])
def test_a_page_of_a_long_history_is_read_alone(type_: str | None, two_sizes: tuple[Database, Database]) -> None:
    def first_page(database: Database) -> int:
        connection = database.read()
        read = partial(resources.history, connection, type_, None, since=START, before=None, count=20)
        return steps([connection], read)

    few, many = map(first_page, two_sizes)
    assert many <= 1.3 * few


def _searched(database: Database, query: str) -> tuple[int, int]:
    """How many were found, and in how many steps."""
    connection = database.read()
    newest = datetime.fromisoformat(connection.execute("SELECT max(updated) FROM version").fetchone()[0])
    query = query.format(evening=instant(newest - timedelta(minutes=10)))
    request = parse_search("Task", parse_qsl(query), base="http://x/fhir", now=START)
    found: list[int] = []
    taken = steps([connection], lambda: found.append(len(search(connection, request).matches)))
    return found[0], taken
