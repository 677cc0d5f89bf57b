"""Whichever way a search goes, its pages together are all matches, each once and in their order."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Callable, Iterator
from datetime import timedelta
from functools import partial
from urllib.parse import parse_qsl

import pytest

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.fhir.search import parse_search
from fhir_adapter.fhir.search_request import SearchRequest
from fhir_adapter.store import resources
from fhir_adapter.store.database import Database
from fhir_adapter.store.search import count, search
from tests.store.test_growth import START, save_tasks

SIZES = (150, 700)
"""Of the smaller one every set is few, of the larger one most are many (store/search.py)."""

FILTERS: dict[str, Callable[[Resource, str], bool]] = {
    "": lambda task, updated: True,
    "status=requested,accepted": lambda task, updated: task["status"] in ("requested", "accepted"),
    "status=completed,requested&intent=order,plan": lambda task, updated: task["status"] in ("completed", "requested"),
    "owner=Organization/all-of-it&status=completed": lambda task, _: "owner" in task and task["status"] == "completed",
    "status=requested&_lastUpdated=gt2025-01-15": lambda task, at: task["status"] == "requested" and at > "2025-01-15",
    "status:not=requested&_lastUpdated=lt2025-01-15": lambda one, at: (
        one["status"] != "requested" and at < "2025-01-15"
    ),
    "owner:missing=true": lambda task, updated: "owner" not in task,
}


@pytest.fixture(scope="module", params=SIZES)
def connection(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[sqlite3.Connection]:
    database = Database(tmp_path_factory.mktemp("store") / "plans.db")
    database.write(partial(save_tasks, first=0, last=request.param))
    database.write(partial(_change_some, size=request.param))
    yield database.read()
    database.close()


def _change_some(connection: sqlite3.Connection, size: int) -> None:
    """A third of the tasks, in no order; some of them are deleted."""
    chance = random.Random(size)
    for number in chance.sample(range(size), size // 3):
        id_, now = f"t{number}", START + timedelta(days=20, minutes=number)
        status = chance.choice(["requested", "accepted", "rejected"])
        if number % 5 == 0:
            resources.remove(connection, "Task", id_, now=now)
        else:
            task = {"resourceType": "Task", "id": id_, "status": status, "intent": "order"}
            resources.save(connection, task, now=now)


@pytest.mark.parametrize("sort", ["", "_lastUpdated", "-_lastUpdated", "-_lastUpdated,_id", "-_id"])
@pytest.mark.parametrize("query", FILTERS)
def test_the_pages_of_a_search_are_all_matches_in_their_order(
    connection: sqlite3.Connection, query: str, sort: str
) -> None:
    asked = parse_qsl(f"{query}&_count=7" + (f"&_sort={sort}" if sort else ""))
    request = parse_search("Task", asked, base="http://x/fhir", now=START)
    found = [*_all_pages(connection, request)]
    assert found == _expected(connection, FILTERS[query], sort)
    assert count(connection, request) == len(found) > 0


def _all_pages(connection: sqlite3.Connection, request: SearchRequest) -> Iterator[str]:
    page = search(connection, request)
    while True:
        yield from (id_ for _, id_, _ in page.matches)
        if page.cursor is None:
            return
        page = search(connection, request, page.cursor)


def _expected(connection: sqlite3.Connection, fits: Callable[[Resource, str], bool], sort: str) -> list[str]:
    rows = connection.execute(
        "SELECT r.rid, r.seq, r.id, v.updated, v.body FROM resource r JOIN version v ON v.seq = r.seq "
        "WHERE r.type = 'Task' AND NOT r.deleted"
    )
    matches = [(rid, seq, id_) for rid, seq, id_, updated, body in rows if fits(json.loads(body), updated)]
    key = 1 if "_lastUpdated" in sort else 2 if sort else 0
    return [id_ for *_, id_ in sorted(matches, key=lambda match: match[key], reverse=sort.startswith("-"))]
