"""A disk that is full: said so, nothing half-written, and the same once more is taken when there is room again."""

from __future__ import annotations

import sqlite3
import time
from typing import Any

import pytest

from fhir_adapter.errors import Unavailable
from fhir_adapter.flows.parked import listed
from fhir_adapter.flows.worker import Worker
from tests.flows.conftest import Town


def limit(town: Town, pages: int, *, more: bool = False) -> None:
    """SQLite's own limit is met as a full disk is: by SQLITE_FULL. `more`: pages beyond those that there are."""

    def work(connection: sqlite3.Connection) -> None:
        (there,) = connection.execute("PRAGMA page_count").fetchone() if more else (0,)
        connection.execute(f"PRAGMA max_page_count = {there + pages}").fetchone()

    town.service.hub.database.write(work)


def set_read_only(town: Town, is_read_only: bool) -> None:
    """What a file system does that found errors: every write fails."""
    database = town.service.hub.database
    with database._writing:  # a transaction could not begin any more
        database._writer.execute(f"PRAGMA query_only = {int(is_read_only)}")


def test_a_full_disk_is_told_and_the_same_push_is_taken_later(
    town: Town, sip: dict[str, Any], capfd: pytest.CaptureFixture[str]
) -> None:
    limit(town, 1)
    answer = town.push(sip, key="once")
    assert (answer.status_code, answer.headers.get("retry-after")) == (503, "60")
    assert [issue["code"] for issue in answer.json()["issues"]] == ["no-store"]
    assert "SQLITE_FULL" in "".join(capfd.readouterr())
    limit(town, 1_000_000)
    assert town.get("/parties/sodertalje/receipts/once").status_code == 404, "nothing of it was kept"
    assert town.push(sip, key="once").status_code == 201


def test_what_a_region_says_while_the_disk_is_full_is_taken_in_later(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    goal = town.goal_at_region(plan, "buss")
    town.put_at_region(goal | {"note": [{"text": "långt" * 20_000}]})
    full = 0
    for pages in range(400):  # with more and more room: what is kept of it first fits before all of it does
        limit(town, pages, more=True)
        try:
            town.sync()
            break
        except Unavailable:
            full += 1
    assert full > 10
    limit(town, 1_000_000)
    town.sync()
    assert listed(town.service.hub) == []
    assert "långt" in town.get(f"/fhir/Goal/{goal['id']}").json()["note"][0]["text"]


def test_what_cannot_be_shown_because_the_disk_is_full_is_shown_later(town: Town, sip: dict[str, Any]) -> None:
    town.push(sip)
    limit(town, 1)
    answers = [town.get("/parties/sodertalje/records") for _ in range(3)]
    assert {answer.status_code for answer in answers} == {503}, "each look is audited"
    assert not any(answer.json().get("failed") for answer in answers)
    limit(town, 1_000_000)
    assert town.get("/parties/sodertalje/records").json()["records"]


def test_the_worker_outlives_a_full_disk(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    worker = Worker(interval=0.05)
    worker.hub = town.service.hub
    set_read_only(town, True)  # not even that something failed can be noted
    goal = town.goal_at_region(plan, "buss")
    town.put_at_region(goal | {"note": [{"text": "långt" * 20_000}]})
    worker.start()
    try:
        time.sleep(1)
        set_read_only(town, False)
        until = time.monotonic() + 20
        while "note" not in (found := town.get(f"/fhir/Goal/{goal['id']}").json()) and time.monotonic() < until:
            time.sleep(0.1)
        assert "note" in found
        town.push(sip | {"title_local": "Efteråt"})
        while town.at_region(f"CarePlan/{plan}")["title"] != "Efteråt" and time.monotonic() < until:
            time.sleep(0.1)
        assert town.at_region(f"CarePlan/{plan}")["title"] == "Efteråt"
    finally:
        worker.stop()
