"""The SQLite file: durable group commit, savepoints, migrations."""

from __future__ import annotations

import signal
import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import pytest

from fhir_adapter.errors import BadDeclaration
from fhir_adapter.store import plans
from fhir_adapter.store.database import MIGRATIONS, MOST_IN_A_COMMIT, Database, attempt, queries, statements_in


class CountingDatabase(Database):
    """Counts its commits, and can wait before each or fail instead."""

    commits = 0
    pause: threading.Event | None = None
    failure: Exception | None = None
    is_committing = False

    def commit(self, connection: sqlite3.Connection) -> None:
        self.is_committing = True
        if self.pause:
            assert self.pause.wait(10)
        if self.failure:
            raise self.failure
        self.commits += 1
        super().commit(connection)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[CountingDatabase]:
    database = CountingDatabase(tmp_path / "below" / "plans.db")
    database.write(lambda connection: connection.execute("CREATE TABLE note (text TEXT)"))
    yield database
    database.close()


def add(text: str):  # type: ignore[no-untyped-def]
    return lambda connection: connection.execute("INSERT INTO note VALUES (?)", (text,)).rowcount


def notes(database: Database) -> list[str]:
    return [text for (text,) in database.read().execute("SELECT text FROM note ORDER BY rowid")]


def test_file_is_written_ahead_and_synchronised(database: Database) -> None:
    facts = database.write(
        lambda connection: [
            connection.execute(f"PRAGMA {name}").fetchone()[0]
            for name in ("journal_mode", "synchronous", "foreign_keys", "busy_timeout")
        ]
    )
    assert facts == ["wal", 2, 1, 30_000]


def test_written_work_is_returned_and_read_by_every_thread(database: Database) -> None:
    assert database.write(add("a")) == 1
    seen: list[list[str]] = []
    thread = threading.Thread(target=lambda: seen.append(notes(database)))
    thread.start()
    thread.join()
    assert seen == [["a"]] == [notes(database)]


def test_each_thread_reads_on_its_own_connection(database: Database) -> None:
    connections = [database.read(), database.read()]
    thread = threading.Thread(target=lambda: connections.append(database.read()))
    thread.start()
    thread.join()
    assert connections[0] is connections[1] is not connections[2]


def test_reading_connection_cannot_write(database: Database) -> None:
    with pytest.raises(sqlite3.OperationalError, match="readonly"):
        add("a")(database.read())


def test_work_that_raises_leaves_nothing_behind(database: Database) -> None:
    def half(connection: sqlite3.Connection) -> None:
        add("half")(connection)
        raise ValueError("no")

    with pytest.raises(ValueError, match="no"):
        database.write(half)
    database.write(add("whole"))
    assert notes(database) == ["whole"]


@pytest.mark.parametrize("failing", [{3}, {0}, {0, 1, 7}])
def test_writers_that_wait_together_share_one_commit_and_fail_alone(
    database: CountingDatabase, failing: set[int]
) -> None:
    before, database.pause, database.is_committing = database.commits, threading.Event(), False
    outcomes: dict[str, object] = {}

    def run(name: str, fails: bool) -> None:
        def work(connection: sqlite3.Connection) -> str:
            add(name)(connection)
            if fails:
                raise ValueError(name)
            return name

        try:
            outcomes[name] = database.write(work)
        except ValueError as fault:
            outcomes[name] = fault

    leader = threading.Thread(target=run, args=("first", False))
    leader.start()
    while not database.is_committing:
        pass
    others = [threading.Thread(target=run, args=(f"n{i}", i in failing)) for i in range(8)]
    for number, thread in enumerate(others, 1):
        thread.start()
        while len(database._waiting) < number:
            pass
    database.pause.set()
    for thread in (leader, *others):
        thread.join()
    assert database.commits == before + 2, "one for the first, one for all who came meanwhile"
    assert all(isinstance(outcomes.pop(f"n{i}"), ValueError) for i in failing)
    assert outcomes == {name: name for name in outcomes}
    assert sorted(notes(database)) == sorted(outcomes)


def test_work_that_fails_before_it_writes_disturbs_nobody(database: CountingDatabase) -> None:
    runs: list[str] = []
    database.pause, database.is_committing = threading.Event(), False

    def work(name: str, *, fails: bool) -> Callable[[sqlite3.Connection], None]:
        def run(connection: sqlite3.Connection) -> None:
            runs.append(name)
            if fails:
                raise ValueError(name)
            add(name)(connection)

        return run

    def write(name: str, *, fails: bool = False) -> None:
        with suppress(ValueError):
            database.write(work(name, fails=fails))

    threads = [threading.Thread(target=write, args=("first",))]
    threads[0].start()
    while not database.is_committing:
        pass
    for number, name in enumerate(("good", "bad", "better"), 1):
        threads.append(threading.Thread(target=write, args=(name,), kwargs={"fails": name == "bad"}))
        threads[-1].start()
        while len(database._waiting) < number:
            pass
    database.pause.set()
    for thread in threads:
        thread.join()
    assert runs == ["first", "good", "bad", "better"]
    assert notes(database) == ["first", "good", "better"]


def test_who_comes_while_others_write_shares_their_commit(database: CountingDatabase) -> None:
    came, before = threading.Event(), database.commits

    def slow(connection: sqlite3.Connection) -> None:
        add("slow")(connection)
        came.set()
        while not database._waiting:
            pass

    leader = threading.Thread(target=database.write, args=(slow,))
    leader.start()
    came.wait(10)
    database.write(add("late"))
    leader.join()
    assert database.commits == before + 1
    assert notes(database) == ["slow", "late"]


def test_works_that_one_caller_brings_are_done_in_their_order_and_share_commits(database: CountingDatabase) -> None:
    def fails(connection: sqlite3.Connection) -> int:
        add("half")(connection)
        raise ValueError("no")

    before = database.commits
    names = [f"{number:02}" for number in range(MOST_IN_A_COMMIT + 2)]
    first, *others = database.write_each([fails, *map(add, names)])
    assert (notes(database), [one() for one in others]) == (names, [1] * len(names))
    assert database.commits == before + 2
    with pytest.raises(ValueError, match="no"):
        first()


def test_works_of_several_callers_who_bring_many_are_all_done(database: CountingDatabase) -> None:
    def bring(caller: int) -> None:
        results = database.write_each([add(f"{caller} {number:03}") for number in range(50)])
        assert [one() for one in results] == [1] * 50

    callers = [threading.Thread(target=bring, args=(caller,)) for caller in range(4)]
    for one in callers:
        one.start()
    for one in callers:
        one.join(30)
    by_caller = {str(caller): [note for note in notes(database) if note[0] == str(caller)] for caller in range(4)}
    assert by_caller == {caller: [f"{caller} {number:03}" for number in range(50)] for caller in by_caller}


def test_failed_commit_is_heard_by_the_caller_and_undone(database: CountingDatabase) -> None:
    database.failure = sqlite3.OperationalError("disk I/O error")
    with pytest.raises(sqlite3.OperationalError, match="disk"):
        database.write(add("lost"))
    database.failure = None
    database.write(add("kept"))
    assert notes(database) == ["kept"]


@contextmanager
def someone_commits(database: CountingDatabase) -> Iterator[None]:
    """While the block runs, a first writer is about to commit; whoever writes meanwhile has to wait."""
    database.pause, database.is_committing = threading.Event(), False
    first = threading.Thread(target=database.write, args=(add("first"),))
    first.start()
    while not database.is_committing:
        pass
    yield
    database.pause.set()
    first.join()
    database.pause = None


class Writer(threading.Thread):
    """Writes in a thread of its own and notes what it was told."""

    def __init__(self, database: Database, work: Callable[[sqlite3.Connection], object]) -> None:
        super().__init__(daemon=True)
        self.database, self.work = database, work
        self.told: object = None
        waiting = len(database._waiting)
        self.start()
        while len(database._waiting) == waiting:
            pass

    def run(self) -> None:
        try:
            self.told = self.database.write(self.work)
        except (sqlite3.Error, ValueError) as fault:
            self.told = fault

    def outcome(self) -> object:
        self.join(10)
        assert not self.is_alive(), "nobody ever told this writer anything"
        return self.told


@pytest.mark.parametrize("rollback_fails", [False, True])
def test_everybody_who_shared_a_commit_that_failed_hears_it(database: CountingDatabase, rollback_fails: bool) -> None:
    def refuse_rollback(action: int, what: str | None, *_: object) -> int:
        return sqlite3.SQLITE_DENY if (action, what) == (sqlite3.SQLITE_TRANSACTION, "ROLLBACK") else sqlite3.SQLITE_OK

    def break_the_disk(connection: sqlite3.Connection) -> str:
        database.failure = sqlite3.OperationalError("disk I/O error")
        connection.set_authorizer(refuse_rollback if rollback_fails else None)
        return "done"

    with someone_commits(database):
        writers = [Writer(database, work) for work in (break_the_disk, add("a"), add("b"))]
    told = [writer.outcome() for writer in writers]
    assert all(isinstance(each, sqlite3.Error) for each in told), told
    assert notes(database) == ["first"]


def test_work_done_once_more_because_of_another_counts_once_and_tells_its_second_result(
    database: CountingDatabase,
) -> None:
    runs: list[str] = []

    def counted(connection: sqlite3.Connection) -> int:
        runs.append("counted")
        add("counted")(connection)
        return len(runs)

    def refused_at_first(connection: sqlite3.Connection) -> str:
        runs.append("refused")
        if runs.count("refused") == 1:
            raise ValueError("not yet")
        add("later")(connection)
        return "accepted"

    def half(connection: sqlite3.Connection) -> None:
        add("half")(connection)
        raise ValueError("no")

    with someone_commits(database):
        writers = [Writer(database, work) for work in (counted, refused_at_first, half, add("behind"))]
    told = [writer.outcome() for writer in writers]
    assert runs == ["counted", "refused", "counted", "refused"]
    assert (told[0], told[1], str(told[2]), told[3]) == (3, "accepted", "no", 1)
    assert notes(database) == ["first", "counted", "later", "behind"]


@pytest.fixture
def interrupts() -> Iterator[None]:
    """SIGINT is KeyboardInterrupt, also where whoever started the tests lets it be ignored."""
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    yield
    signal.signal(signal.SIGINT, before)


@pytest.mark.usefixtures("interrupts")
def test_whoever_is_interrupted_while_waiting_leaves_nobody_waiting_for_it(database: CountingDatabase) -> None:
    behind: list[Writer] = []

    def interrupt_me() -> None:
        while not database._waiting:
            pass
        behind.append(Writer(database, add("behind")))
        signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGINT)

    with someone_commits(database):
        threading.Thread(target=interrupt_me).start()
        with pytest.raises(KeyboardInterrupt):
            database.write(add("interrupted"))
    assert behind[0].outcome() == 1
    assert notes(database) == ["first", "behind"]


def test_whoever_waits_when_the_file_is_closed_is_told(database: CountingDatabase, tmp_path: Path) -> None:
    with someone_commits(database):
        writers = [Writer(database, add(f"n{number}")) for number in range(MOST_IN_A_COMMIT + 4)]
        closing = threading.Thread(target=database.close)
        closing.start()
    closing.join()
    told = [writer.outcome() for writer in writers]
    accepted = [f"n{number}" for number, each in enumerate(told) if each == 1]
    assert all(isinstance(each, sqlite3.ProgrammingError) for each in told if each != 1)
    again = Database(tmp_path / "below" / "plans.db")
    assert notes(again) == ["first", *accepted]
    again.close()


def test_interrupted_work_ends_the_transaction(database: CountingDatabase) -> None:
    def interrupted(connection: sqlite3.Connection) -> None:
        add("lost")(connection)
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        database.write(interrupted)
    database.write(add("kept"))
    assert notes(database) == ["kept"]


def test_write_within_a_write_is_refused_instead_of_waiting_for_itself(database: Database) -> None:
    with pytest.raises(RuntimeError, match="hand the connection on"):
        database.write(lambda connection: database.write(add("inner")))


def test_data_survive_closing_and_migrations_run_once(tmp_path: Path) -> None:
    path = tmp_path / "plans.db"
    first = Database(path)
    first.write(lambda connection: connection.execute("INSERT INTO idx_made_by VALUES (1, 'x')"))
    first.close()
    second = Database(path)
    assert second.read().execute("SELECT fingerprint FROM idx_made_by").fetchall() == [("x",)]
    applied = second.read().execute("SELECT number FROM migration ORDER BY number").fetchall()
    assert applied == [(int(file.name[:4]),) for file in sorted(MIGRATIONS.glob("*.sql"))]
    second.close()


def test_a_file_that_is_no_database_is_told_by_its_name(tmp_path: Path) -> None:
    path = tmp_path / "plans.sqlite"
    path.write_bytes(b"a letter, long enough to be taken for a database" * 100)
    with pytest.raises(BadDeclaration, match=r"plans\.sqlite: file is not a database"):
        Database(path)


def test_data_of_a_newer_version_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "plans.db"
    first = Database(path)
    first.write(lambda connection: connection.execute("INSERT INTO migration VALUES (9999, 'later')"))
    first.close()
    with pytest.raises(BadDeclaration, match="newer version"):
        Database(path)


def test_script_is_split_at_its_statements() -> None:
    script = "-- why;\nCREATE TABLE a (b TEXT); -- and\nINSERT INTO a\nVALUES (';');\n"
    assert [statement.strip().splitlines()[-1] for statement in statements_in(script)] == [
        "CREATE TABLE a (b TEXT); -- and",
        "VALUES (';');",
    ]


def test_script_that_breaks_off_is_refused() -> None:
    with pytest.raises(BadDeclaration, match="middle of a statement"):
        list(statements_in("CREATE TABLE a (b TEXT"))


def test_queries_are_found_by_name() -> None:
    assert queries("resources.sql")["owner_and_plan"] == "SELECT owner, plan FROM resource WHERE type = ? AND id = ?;"


def test_an_attempt_that_fails_undoes_itself_and_nothing_else(tmp_path: Path) -> None:
    database = Database(tmp_path / "d.sqlite")

    def work(connection: sqlite3.Connection) -> list[int]:
        connection.execute("CREATE TABLE t (a)")
        connection.execute("INSERT INTO t VALUES (1)")
        with suppress(ZeroDivisionError), attempt(connection):
            connection.execute("INSERT INTO t VALUES (2)")
            raise ZeroDivisionError
        with attempt(connection):
            connection.execute("INSERT INTO t VALUES (3)")
        return [row[0] for row in connection.execute("SELECT a FROM t")]

    assert database.write(work) == [1, 3]
    database.close()


def test_members_of_plans_written_before_their_table_went_are_found_again(tmp_path: Path) -> None:
    path = tmp_path / "plans.sqlite"
    connection = sqlite3.connect(path, isolation_level=None)
    connection.execute("CREATE TABLE migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    for file in sorted(MIGRATIONS.glob("000[12]_*.sql")):
        connection.executescript(file.read_text("utf-8"))
        connection.execute("INSERT INTO migration VALUES (?, ?)", (int(file.name[:4]), file.stem))
    held = [
        (1, "CarePlan", "a", "a"),
        (2, "Organization", "o", "a"),
        (3, "AuditEvent", "e", "a"),
        (4, "CarePlan", "b", "b"),
    ]
    for rid, type_, id_, plan in held:
        connection.execute("INSERT INTO version VALUES (?, ?, ?, ?, 1, '', 0, ?)", (rid, rid, type_, id_, b"{}"))
        connection.execute(
            "INSERT INTO resource VALUES (?, ?, ?, ?, 1, 0, 'x', ?, x'00')", (rid, type_, id_, rid, plan)
        )
    for member in (
        ("a", "CarePlan", "a"),
        ("a", "Organization", "o"),
        ("b", "CarePlan", "b"),
        ("b", "Organization", "o"),
    ):
        connection.execute("INSERT INTO plan_member VALUES (?, ?, ?)", member)
    connection.close()
    database = Database(path)
    reader = database.read()
    assert [(one.type, one.id) for one in plans.members(reader, "a")] == [("CarePlan", "a"), ("Organization", "o")]
    assert [(one.type, one.id) for one in plans.members(reader, "b")] == [("CarePlan", "b"), ("Organization", "o")]
    assert plans.plans_of(reader, "Organization", "o") == ["a", "b"]
    database.close()
