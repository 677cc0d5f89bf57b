"""Versions of resources: the bytes that come back, and the index rows that follow every edit."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import UTC, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.errors import NotFound
from fhir_adapter.fhir.resources import Resource, dump_json, parse_json
from fhir_adapter.store import resources
from fhir_adapter.store.database import Database
from fhir_adapter.store.index import keep_index_current
from fhir_adapter.store.resources import Stored

NOON = datetime(2025, 2, 19, 12, tzinfo=UTC)
GOAL: Resource = {
    "resourceType": "Goal",
    "id": "g1",
    "meta": {"tag": [{"system": "urn:t", "code": "x"}]},
    "lifecycleStatus": "active",
    "description": {"text": "Jag åker buss"},
    "subject": {"reference": "Patient/p1"},
    "target": [{"dueDate": "2025-05"}],
}
INDEX_TABLES = ("token", "reference", "date", "string", "uri", "quantity")


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "plans.db")
    yield database
    database.close()


@pytest.fixture
def save(database: Database) -> Callable[..., Stored]:
    def save(resource: Resource, now: datetime = NOON, **more: Any) -> Stored:
        return database.write(lambda connection: resources.save(connection, resource, now=now, **more))

    return save


def index_of(database: Database) -> dict[str, set[Any]]:
    """The rows of every index table; references by the name of their target."""
    reader = database.read()
    found = {name: set(reader.execute(f"SELECT * FROM idx_{name}")) for name in INDEX_TABLES}
    found["reference"] = set(
        reader.execute("SELECT f.param, f.rid, p.type, p.id FROM idx_reference f JOIN resource p ON p.rid = f.target")
    )
    return found


def test_saved_version_carries_meta_and_reads_back_as_the_same_bytes(database: Database, save: Any) -> None:
    saved = save(GOAL)
    assert parse_json(saved.body)["meta"] == {
        "tag": [{"system": "urn:t", "code": "x"}],
        "versionId": "1",
        "lastUpdated": "2025-02-19T12:00:00.000Z",
    }
    assert resources.read(database.read(), "Goal", "g1") == saved
    assert {**parse_json(saved.body), "meta": GOAL["meta"]} == GOAL
    assert "versionId" not in GOAL["meta"], "the caller's resource is not changed"


def test_stored_bytes_without_their_stamp_are_what_was_saved(save: Any) -> None:
    bare = {name: value for name, value in GOAL.items() if name != "meta"}
    assert resources.unstamped(save(bare).body) == dump_json(bare)
    assert resources.unstamped(save(GOAL).body) is None, "a tag is more than a stamp: that takes a parser"


def test_decimals_keep_their_digits(database: Database, save: Any) -> None:
    saved = save({"resourceType": "Observation", "id": "o", "valueQuantity": {"value": Decimal("1.00")}})
    assert b'"value":1.00}' in saved.body


def test_versions_count_up_and_older_ones_stay_readable(database: Database, save: Any) -> None:
    first, second = save(GOAL), save({**GOAL, "lifecycleStatus": "completed"}, NOON + timedelta(hours=1))
    reader = database.read()
    assert (second.version, second.updated) == (2, "2025-02-19T13:00:00.000Z")
    assert second.seq > first.seq
    assert resources.vread(reader, "Goal", "g1", 1) == first
    assert resources.read(reader, "Goal", "g1") == second
    assert resources.as_of(reader, "Goal", "g1", first.seq) == first
    assert resources.as_of(reader, "Goal", "g1", second.seq + 7) == second
    assert resources.as_of(reader, "Goal", "g1", first.seq - 1) is None


def test_what_was_never_saved_is_nothing(database: Database) -> None:
    reader = database.read()
    assert resources.read(reader, "Goal", "g1") is None
    assert resources.vread(reader, "Goal", "g1", 1) is None
    assert resources.owner_of(reader, "Goal", "g1") is None


def test_owner_and_plan_are_taken_once_and_kept(database: Database, save: Any) -> None:
    save(GOAL)
    save(GOAL, owner="nykvarn", plan="plan-1")
    save(GOAL, owner="salem", plan="plan-2")
    assert resources.owner_of(database.read(), "Goal", "g1") == "nykvarn"
    assert resources.home_plan_of(database.read(), "Goal", "g1") == "plan-1"


def test_removal_is_a_version_and_leaves_no_index_rows(database: Database, save: Any) -> None:
    save(GOAL)
    gone = database.write(lambda connection: resources.remove(connection, "Goal", "g1", now=NOON))
    assert (gone.version, gone.deleted, gone.body) == (2, True, b"")
    assert resources.read(database.read(), "Goal", "g1") == gone
    assert index_of(database) == {name: set() for name in INDEX_TABLES}
    again = database.write(lambda connection: resources.remove(connection, "Goal", "g1", now=NOON))
    assert again == gone
    assert save(GOAL).version == 3
    assert index_of(database)["reference"]


def test_removal_of_what_is_not_there_is_not_found(database: Database) -> None:
    with pytest.raises(NotFound, match="Goal/g1"):
        database.write(lambda connection: resources.remove(connection, "Goal", "g1", now=NOON))


@pytest.mark.parametrize(
    "edit",
    [
        {"lifecycleStatus": "completed"},
        {"description": {"text": "Jag åker tåg"}},
        {"target": [{"dueDate": "2025-05"}, {"dueDate": "2025-06-01"}]},
        {"subject": {"reference": "Patient/p2"}},
        {"target": []},
        {"note": [{"text": "not indexed"}]},
    ],
)
def test_index_after_an_edit_is_the_index_of_a_fresh_save(
    database: Database, save: Any, tmp_path: Path, edit: Resource
) -> None:
    save(GOAL)
    save({**GOAL, **edit})
    other = Database(tmp_path / "other.db")
    other.write(lambda connection: resources.save(connection, {**GOAL, **edit}, now=NOON))
    assert index_of(database) == index_of(other)
    other.close()


def test_edit_outside_the_index_writes_no_index_row(database: Database, save: Any) -> None:
    save(GOAL)
    statements: list[str] = []
    database.write(lambda connection: connection.set_trace_callback(statements.append))
    save({**GOAL, "note": [{"text": "a"}]})
    assert any("INTO version" in statement for statement in statements)
    assert not any("idx_" in statement for statement in statements)


def test_history_is_newest_first_in_pages(database: Database, save: Any) -> None:
    for hour in range(5):
        save(GOAL, NOON + timedelta(hours=hour))
        save({**GOAL, "id": "g2"}, NOON + timedelta(hours=hour))
    save({"resourceType": "Patient", "id": "p1"}, NOON)

    def history(type_: str | None, id_: str | None, **more: Any) -> list[tuple[str, int]]:
        options = {"since": None, "before": None, "count": 100} | more
        return [(s.reference, s.version) for s in resources.history(database.read(), type_, id_, **options)]

    assert history("Goal", "g1") == [("Goal/g1", version) for version in (5, 4, 3, 2, 1)]
    assert history("Goal", "g1", since=NOON + timedelta(hours=3)) == [("Goal/g1", 5), ("Goal/g1", 4)]
    assert len(history("Goal", None)) == 10
    assert history(None, None)[0] == ("Patient/p1", 1)
    assert history("Goal", None, since=NOON + timedelta(hours=4)) == [("Goal/g2", 5), ("Goal/g1", 5)]
    assert history(None, None, since=NOON + timedelta(hours=4)) == [("Goal/g2", 5), ("Goal/g1", 5)]
    page = resources.history(database.read(), "Goal", None, since=None, before=None, count=3)
    rest = resources.history(database.read(), "Goal", None, since=None, before=page[-1].seq, count=100)
    assert [(s.reference, s.version) for s in page + rest] == history("Goal", None)


@pytest.mark.parametrize("type_", ["Goal", None])
@pytest.mark.parametrize("count", range(1, 8))
def test_history_since_an_instant_is_whole_where_the_clock_was_set_back(
    database: Database, save: Any, type_: str | None, count: int
) -> None:
    hours = (5, 1, 6, 2, 4, 0, 7)
    for hour in hours:
        save(GOAL, NOON + timedelta(hours=hour))
    expected = [version for version, hour in enumerate(hours, 1) if hour >= 4][::-1]
    since, before, found = NOON + timedelta(hours=4), None, []
    while page := resources.history(database.read(), type_, None, since=since, before=before, count=count):
        found += [stored.version for stored in page]
        before = page[-1].seq
    assert found == expected


def test_index_made_by_another_parameter_table_is_made_again(database: Database, save: Any) -> None:
    save(GOAL)
    whole = index_of(database)
    database.write(lambda connection: connection.execute("DELETE FROM idx_token"))
    keep_index_current(database)
    assert index_of(database) == whole
    save({**GOAL, "lifecycleStatus": "completed"})
    database.write(lambda connection: connection.execute("DELETE FROM idx_date"))
    keep_index_current(database)
    assert not index_of(database)["date"], "an index of this table is left alone"


def test_body_is_utf8_json_without_spaces(save: Any) -> None:
    saved = save(GOAL)
    assert "Jag åker buss".encode() in saved.body
    assert dump_json(parse_json(saved.body)) == saved.body


def test_saving_many_at_once_is_saving_each(database: Database, save: Any, tmp_path: Path) -> None:
    patient: Resource = {"resourceType": "Patient", "id": "p1", "name": [{"family": "Åkerström"}]}
    edited = {**GOAL, "lifecycleStatus": "completed"}
    other = Database(tmp_path / "other.db")

    for some in ([GOAL], [patient, edited]):
        other.write(lambda connection, some=some: resources.save_all(connection, some, now=NOON, plan="x", owner="y"))
        saved = [save(one, plan="x", owner="y") for one in some]
        assert [resources.read(other.read(), one.type, one.id) for one in saved] == saved
    assert index_of(other) == index_of(database)
    assert resources.owner_of(other.read(), "Patient", "p1") == "y"
    other.close()


def test_nothing_to_save_is_nothing_saved(database: Database) -> None:
    database.write(lambda connection: resources.save_all(connection, [], now=NOON))
    assert resources.history(database.read(), None, None, since=None, before=None, count=1) == []


def test_what_is_only_referred_to_is_not_there_but_found_by(database: Database, save: Any) -> None:
    save(GOAL)
    reader = database.read()
    assert resources.read(reader, "Patient", "p1") is None
    assert resources.history(reader, "Patient", "p1", since=None, before=None, count=1) == []
    assert resources.owner_of(reader, "Patient", "p1") is None
    with pytest.raises(NotFound):
        database.write(lambda connection: resources.remove(connection, "Patient", "p1", now=NOON))
    before = index_of(database)["reference"]
    first = save({"resourceType": "Patient", "id": "p1", "gender": "female"}, owner="salem")
    assert (first.version, resources.owner_of(reader, "Patient", "p1")) == (1, "salem")
    assert index_of(database)["reference"] == before
    assert save({"resourceType": "Patient", "id": "p1", "gender": "male"}).version == 2
