"""Every named statement reads what it answers with, as far as SQLite's own plan for it tells.

The plans are those of a store without statistics, as in production: there a bare `JOIN` may begin with an index of
which one common column is known, and reads everything that a party ever sent to find a single row.
"""

from __future__ import annotations

import re
import sqlite3
from collections.abc import Iterator

import pytest

from fhir_adapter.store.database import HERE, Database, queries

DO_NOT_GROW = frozenset({"instance", "side", "watermark", "idx_made_by"})
"""Tables with a row for each party, or a single one."""

SHARED_BY_MANY = frozenset({"party", "type", "state", "param", "deleted"})
"""Columns with few values: whoever knows nothing else of a row reads a large part of the table."""

READ_MUCH = {
    "conflicts.all": "somebody asks for all that was ever decided",
    "conflicts.open": "one short row of each conflict, for somebody who asks; its plan, which costs more, only if open",
    "copies.count": "ends at :most",
    "copies.held": "a party went back or is resumed: everything is looked for there",
    "copies.held_from": "ends at :count",
    "copies.types_held": "one step for each type",
    "index.all_current": "once after an update that changed the search parameters",
    "journal.count_parked": "an index holds the parked ones alone",
    "journal.parked": "an index holds the parked ones alone; for somebody who asks",
    "plans.naming": "one step for each search parameter, and the first that is found ends it",
    "outbox.claim": "an index holds the waiting ones alone, and the first that is due ends it",
    "outbox.newest": "ends at :count",
    "outbox.open": "indexes hold the open ones alone; for somebody who asks",
    "outbox.open_count": "indexes hold the open ones alone; for somebody who asks",
    "outbox.release": "once at the start; an index holds the waiting ones alone",
    "persons.all": "somebody asks for all that was ever decided",
    "persons.with_one_number": "somebody asks who has a number in common",
    "plans.all": "ends at :count",
    "plans.all_ids": "somebody has everything compared",
    "plans.changed_count": "ends at :most",
    "plans.changed_since": "ends at :count",
    "plans.changed_since_of_party": "one step for each plan that the party knows; not asked where fewer changed",
    "plans.known_count": "ends at :most",
    "resources.history": "ends at :count",
    "resources.history_of_type": "ends at :count",
    "resources.history_end": "ends at :count",
    "resources.history_of_type_end": "ends at :count",
    "resources.history_of_type_since": "what is new since then",
    "resources.history_since": "what is new since then",
}
"""What reads more than single rows, and why it may."""


@pytest.fixture(scope="module")
def empty(tmp_path_factory: pytest.TempPathFactory) -> Iterator[sqlite3.Connection]:
    database = Database(tmp_path_factory.mktemp("store") / "plans.db")
    yield database.read()
    database.close()


STATEMENTS = {
    f"{file.stem}.{name}": statement
    for file in sorted(HERE.glob("*.sql"))
    for name, statement in queries(file.name).items()
}


@pytest.mark.parametrize("name", STATEMENTS)
def test_a_statement_reads_what_it_answers_with(empty: sqlite3.Connection, name: str) -> None:
    faults = [*faults_of(empty, STATEMENTS[name])]
    assert bool(faults) == (name in READ_MUCH), faults or "it does not read much: take it from the list"


def test_the_list_of_exceptions_names_statements() -> None:
    assert READ_MUCH.keys() <= STATEMENTS.keys()


def test_the_rules_find_what_was_wrong(empty: sqlite3.Connection) -> None:
    """The plan of a record was once looked for among all records of the party."""
    once = (
        "SELECT p.id FROM record r JOIN plan p ON p.id = r.plan WHERE r.party = :party AND r.record = :record "
        "ORDER BY p.party <> :party, r.said IS NULL, p.id LIMIT 1"
    )
    assert len([*faults_of(empty, once)]) == 2
    assert [*faults_of(empty, "SELECT r.id FROM resource r WHERE r.version = 3")] == ["reads all of resource"]
    assert [*faults_of(empty, "SELECT 1 FROM journal WHERE party = ? AND (key = ? OR key > ?)")]


def faults_of(connection: sqlite3.Connection, statement: str) -> Iterator[str]:
    """What is wrong with the way in which SQLite would look for the rows."""
    tables = _tables_in(connection, statement)
    for line in _plan(connection, statement):
        found = re.fullmatch(r"(SCAN|SEARCH) (\w+)(?: USING (.+?))?(?: \((.+)\))?(?: LEFT-JOIN)?", line)
        if not found or (table := tables.get(found[2], "")) in DO_NOT_GROW | {""}:
            continue
        how, alias, index, terms = found.groups()
        known = re.findall(r"(\w+)=\?", terms or "")
        between = re.findall(r"(\w+)>\? AND \1<\?", terms or "")
        if how == "SCAN" or "AUTOMATIC" in (index or ""):
            yield f"reads all of {table}"
        elif terms and not {*known, *between} - SHARED_BY_MANY:
            yield f"reads much of {table}: {line}"
        if how == "SEARCH" and terms and "rowid=?" not in terms and "UNION" not in statement:
            best = max(_usable(connection, table, _equal_in(statement, alias)), key=len)
            if len(best) > len(known):
                yield f"{line}, where {best} are known"


def _plan(connection: sqlite3.Connection, statement: str) -> list[str]:
    names = re.findall(r":(\w+)", statement)
    numbers = re.findall(r"\?(\d)", statement)
    count = max(map(int, numbers)) if numbers else statement.count("?")
    values = dict.fromkeys(names) if names else [None] * count
    return [row[3] for row in connection.execute(f"EXPLAIN QUERY PLAN {statement}", values)]


def _tables_in(connection: sqlite3.Connection, statement: str) -> dict[str, str]:
    """The tables that the statement reads, by the names that it gives them; those of views with them."""
    views = dict(connection.execute("SELECT name, sql FROM sqlite_master WHERE type = 'view'"))
    text = statement + "".join(sql for name, sql in views.items() if name in statement)
    known = {name for (name,) in connection.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    named = re.findall(r"\b(?:FROM|JOIN|UPDATE) (\w+)(?: (?:AS )?([a-z]\w*))?", text)
    return {alias or table: table for table, alias in named if table in known} | {name: name for name in known}


def _equal_in(statement: str, alias: str) -> set[str]:
    """The columns of which the statement says what they equal."""
    where = re.sub(r"\bSET\b.*?\bWHERE\b", "", statement, flags=re.DOTALL)
    qualified = re.findall(rf"\b{alias}\.(\w+) = ", where)
    return {*qualified} if qualified else {*re.findall(r"(?<![.\w])([a-z]\w*) = ", where)}


def _usable(connection: sqlite3.Connection, table: str, equal: set[str]) -> Iterator[list[str]]:
    """Of each index of the whole table its first columns, as far as they are known."""
    yield []
    for _, index, _, _, partial in connection.execute(f"PRAGMA index_list({table})").fetchall():
        columns = [row[2] for row in connection.execute(f"PRAGMA index_info({index})")]
        if not partial:
            yield columns[: next((at for at, column in enumerate(columns) if column not in equal), len(columns))]
