"""What was taken out of a plan, as the store keeps it."""

from __future__ import annotations

from pathlib import Path

from fhir_adapter.store import tombstones
from fhir_adapter.store.database import Database
from fhir_adapter.store.tombstones import KeptTombstone

GONE = KeptTombstone("Goal/g1", "target[8a1f]", '{"detailInteger":1}', "sodertalje", "2025-06-02T08:00:00.000Z")
OTHER = KeptTombstone("Goal/g2", "", "{}", "region", "2025-06-03T08:00:00.000Z")


def test_tombstones_of_a_plan_stay_in_their_order(tmp_path: Path) -> None:
    database = Database(tmp_path / "plans.db")
    database.write(lambda connection: tombstones.add(connection, "p1", [GONE, OTHER]))
    database.write(lambda connection: tombstones.add(connection, "p2", [OTHER]))
    assert tombstones.of_plan(database.read(), "p1") == [GONE, OTHER]
    assert tombstones.of_plan(database.read(), "p2") == [OTHER]
    database.close()
