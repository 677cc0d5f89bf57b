"""A disk that is full: said so, nothing half-written, and the same once more is taken when there is room again."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.conftest import Town


def limit(town: Town, pages: int) -> None:
    """SQLite's own limit is met as a full disk is: by SQLITE_FULL."""
    town.service.hub.database.write(
        lambda connection: connection.execute(f"PRAGMA max_page_count = {pages}").fetchone()
    )


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
