"""What a statement reads does not grow with what else the store holds."""

from __future__ import annotations

import sqlite3
from pathlib import Path

from fhir_adapter.store import plans
from fhir_adapter.store.database import Database
from tests.steps import steps


def test_the_plan_of_a_record_is_found_without_reading_the_partys_other_records(tmp_path: Path) -> None:
    database = Database(tmp_path / "plans.db")

    def know(connection: sqlite3.Connection, first: int, last: int) -> None:
        for number in range(first, last):
            plans.add(connection, id=f"p{number}", party="one", source="urn:one", record=f"r{number}", now="")
            plans.note_said(connection, "one", f"p{number}", f"r{number}", number)

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
