"""The SQLite file: opening and migrating it, one reading connection per thread, one writer that commits for many."""

from __future__ import annotations

import re
import sqlite3
import threading
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from itertools import chain
from pathlib import Path
from typing import Any, Generic, TypeVar

from fhir_adapter.errors import BadDeclaration, Unavailable

T = TypeVar("T")
Row = tuple[Any, ...]

HERE = Path(__file__).parent
MIGRATIONS = HERE / "migrations"
BUSY_SECONDS = 30.0
"""How long one process waits for another that writes. SQLite lets none queue: who asks seldom may be passed by many."""
STATEMENTS_KEPT_PREPARED = 512
PAGES_IN_LOG = 8000
"""So much (32 MB) is committed before it is copied from the log to its place: a page that many commits change is copied
once then, and what a page costs twice is most of what a commit costs."""


@cache
def queries(file: str) -> dict[str, str]:
    """The named statements of a .sql file in this folder: everything after `-- name: x` up to the next name."""
    parts = re.split(r"^-- name: (\w+)\n", (HERE / file).read_text("utf-8"), flags=re.MULTILINE)
    return {name: sql.strip() for name, sql in zip(parts[1::2], parts[2::2], strict=True)}


ROWS_AT_ONCE = (128, 64, 32, 16, 8, 4, 2, 1)
"""Rows that one statement takes: few sizes, so that each is prepared once."""


def portions(rows: Sequence[Row]) -> Iterator[Sequence[Row]]:
    """The rows in pieces of those sizes, the largest first."""
    done, count = 0, len(rows)
    for size in ROWS_AT_ONCE:
        while count - done >= size:
            yield rows[done : done + size]
            done += size


@cache
def for_rows(statement: str, count: int) -> str:
    """A statement with `VALUES (?, ?)` for `count` rows."""
    return re.sub(r"VALUES (\([^)]*\))", lambda found: f"VALUES {', '.join([found[1]] * count)}", statement)


def insert(connection: sqlite3.Connection, statement: str, rows: Sequence[Row]) -> None:
    """`executemany` of an INSERT with many rows a statement: a third less time."""
    for some in portions(rows):
        connection.execute(for_rows(statement, len(some)), [*chain.from_iterable(some)])


MOST_IN_A_COMMIT = 16
"""Works that share a transaction: whoever came first waits for the last."""


class _Ticket(Generic[T]):
    """One caller's work, and what came of it once the transaction that held it ended.

    `wait` returns when somebody calls `wake`: the work is done, or its caller `leads` the next transaction.
    """

    __slots__ = ("_asleep", "_failure", "_result", "leads", "wait", "wake", "work")

    def __init__(self, work: Callable[[sqlite3.Connection], T]) -> None:
        self.work = work
        self.leads = False
        self._result: list[T] = []
        self._failure: BaseException | None = None
        self._asleep = threading.Lock()
        self._asleep.acquire()
        self.wait, self.wake = self._asleep.acquire, self._asleep.release

    def keep(self, result: T) -> None:
        self._result, self._failure = [result], None

    def fail(self, failure: BaseException) -> None:
        self._failure = _in_words(failure)

    def outcome(self) -> T:
        if self._failure is not None:
            raise self._failure
        return self._result[0]


_PASSING = frozenset(
    {sqlite3.SQLITE_FULL, sqlite3.SQLITE_IOERR, sqlite3.SQLITE_READONLY, sqlite3.SQLITE_BUSY, sqlite3.SQLITE_CANTOPEN}
)
"""What is wrong with the disk or the file and not with what was to be written, as primary result codes."""


def _in_words(fault: BaseException) -> BaseException:
    """Unavailable for what is wrong with the disk; anything else as it is."""
    code = getattr(fault, "sqlite_errorcode", None)
    if not isinstance(fault, sqlite3.Error) or code is None or code & 0xFF not in _PASSING:
        return fault
    return Unavailable(fault.sqlite_errorname).with_traceback(fault.__traceback__)


class Database:
    """One SQLite file: WAL, synchronous=FULL.

    Any number of threads may read, each on its own connection. Writes go through `write`, which is durable when it
    returns; writers that wait at the same moment share one transaction and one fsync.
    """

    def __init__(self, path: Path) -> None:
        """Opens `path`, creating and migrating it. Raises BadDeclaration when it is no database, or a newer version of
        us wrote it."""
        self._path = path
        self._mine = threading.local()
        self._opened: list[sqlite3.Connection] = []
        self._waiting: deque[_Ticket[Any]] = deque()
        self._writing, self._turn = threading.Lock(), threading.Lock()
        self._is_led = False
        self._leader: int | None = None
        path.parent.mkdir(parents=True, exist_ok=True)
        try:
            self._writer = self._open()
            self._writer.execute("PRAGMA journal_mode = WAL")
        except sqlite3.DatabaseError as fault:
            raise BadDeclaration(f"{path}: {fault}") from None
        self._writer.execute("PRAGMA synchronous = FULL")
        migrate(self._writer)

    def read(self) -> sqlite3.Connection:
        """This thread's own connection, which cannot write. Each statement sees the newest committed state."""
        connection: sqlite3.Connection | None = getattr(self._mine, "connection", None)
        if connection is None:
            connection = self._mine.connection = self._open()
            connection.execute("PRAGMA query_only = ON")
        return connection

    def data_version(self) -> int:
        """Another number once anybody, in this process or another, has committed a change."""
        return int(self.read().execute("PRAGMA data_version").fetchone()[0])

    def write(self, work: Callable[[sqlite3.Connection], T]) -> T:
        """Run `work` in a transaction; durable when this returns. If `work` raises, only its own changes are undone.

        `work` must not call `write` itself and must not end the transaction. It may be run a second time, after
        everything that the first did was undone: it must not leave traces anywhere else.
        """
        return self.write_each([work])[0]()

    def write_each(self, works: Sequence[Callable[[sqlite3.Connection], T]]) -> list[Callable[[], T]]:
        """`write` for several, one after the other; they share commits. Called, each result is what `write` gives: it
        returns what the work returned, or raises what it raised, which concerns no other.

        Whoever comes meanwhile waits for all of them: MOST_IN_A_COMMIT at once are enough.
        """
        if self._leader == threading.get_ident():
            raise RuntimeError("a write within a write: hand the connection on instead")
        tickets = [_Ticket(work) for work in works]
        try:
            with self._turn:
                self._waiting.extend(tickets)
                if not self._is_led:
                    self._appoint()
            for ticket in tickets:  # they are done in this order, and whoever leads is the first of those who wait
                ticket.wait()
                if ticket.leads:
                    with self._writing:
                        self._lead()
        except BaseException as fault:
            for ticket in tickets:
                self._leave(ticket)
            if (told := _in_words(fault)) is not fault:
                raise told from fault
            raise
        return [ticket.outcome for ticket in tickets]

    def commit(self, connection: sqlite3.Connection) -> None:
        """The one place where a transaction becomes durable."""
        connection.execute("COMMIT")

    def close(self) -> None:
        """Close every connection, those of other threads too."""
        with self._writing:
            for connection in self._opened:
                connection.close()
            self._opened.clear()

    def _open(self) -> sqlite3.Connection:
        connection = sqlite3.connect(
            self._path,
            timeout=BUSY_SECONDS,
            isolation_level=None,
            check_same_thread=False,
            cached_statements=STATEMENTS_KEPT_PREPARED,
        )
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA temp_store = MEMORY")
        connection.execute("PRAGMA cache_size = -32000")
        connection.execute(f"PRAGMA wal_autocheckpoint = {PAGES_IN_LOG}")
        # Debian's SQLite zeroes what leaves a page. What leaves one here stays in another: every version is kept.
        connection.execute("PRAGMA secure_delete = OFF")
        self._opened.append(connection)
        return connection

    def _lead(self) -> None:
        """Commit once for everybody who waits, and for those who come while their work is done."""
        self._leader = threading.get_ident()
        group: list[_Ticket[Any]] = []
        try:
            self._take_in_next(group)
            self._writer.execute("BEGIN IMMEDIATE")
            run = _run_bare
            while True:
                if not run(self._writer, group[-1]):
                    self._begin_again(group[:-1])
                    run = _run_in_savepoint
                if not self._take_in_next(group):
                    break
            self.commit(self._writer)
        except BaseException as fault:
            # Nobody's work is durable: every caller of the group must hear it, not only the one who led, and even if
            # the rollback fails, too.
            for ticket in group:
                ticket.fail(fault)
            if self._writer.in_transaction:
                self._writer.execute("ROLLBACK")
            raise
        finally:
            self._leader = None
            self._hand_over(group)

    def _take_in_next(self, group: list[_Ticket[Any]]) -> bool:
        """Whether somebody waits for whom there is room."""
        with self._turn:
            if not self._waiting or len(group) == MOST_IN_A_COMMIT:
                return False
            group.append(self._waiting.popleft())
            return True

    def _begin_again(self, others: Sequence[_Ticket[Any]]) -> None:
        """Undo everything because of one that failed, and do the others once more."""
        if self._writer.in_transaction:
            self._writer.execute("ROLLBACK")
        self._writer.execute("BEGIN IMMEDIATE")
        for ticket in others:
            _run_in_savepoint(self._writer, ticket)

    def _hand_over(self, done: Sequence[_Ticket[Any]]) -> None:
        """Those whose work is done go on, and somebody else leads."""
        with self._turn:
            self._appoint()
        for ticket in done:
            ticket.leads = False
            ticket.wake()

    def _appoint(self) -> None:
        """The first who waits leads the next transaction."""
        self._is_led = bool(self._waiting)
        if self._is_led:
            self._waiting[0].leads = True
            self._waiting[0].wake()

    def _leave(self, ticket: _Ticket[Any]) -> None:
        """Its caller was interrupted (Ctrl-C) before its turn: others must not wait for it to lead them."""
        with self._turn:
            if ticket in self._waiting:
                self._waiting.remove(ticket)
                if ticket.leads:
                    self._appoint()


def _run_bare(connection: sqlite3.Connection, ticket: _Ticket[Any]) -> bool:
    """Whether all is well: it succeeded, or failed before it wrote anything. A savepoint would be the safer way, but
    it copies each page that is changed, a tenth of the time of a push; nearly every work succeeds."""
    before = connection.total_changes
    try:
        ticket.keep(ticket.work(connection))
    except Exception as fault:  # noqa: BLE001 - it is raised again where the work came from
        ticket.fail(fault)
        return connection.in_transaction and connection.total_changes == before
    return True


def _run_in_savepoint(connection: sqlite3.Connection, ticket: _Ticket[Any]) -> bool:
    """True: if it fails, only its own changes are undone."""
    connection.execute("SAVEPOINT work")
    try:
        ticket.keep(ticket.work(connection))
    except Exception as fault:
        if not connection.in_transaction:
            raise  # SQLite gave up the whole transaction (disk full, I/O error): the group failed, not this work alone
        connection.execute("ROLLBACK TO work")
        ticket.fail(fault)
    connection.execute("RELEASE work")
    return True


@contextmanager
def attempt(connection: sqlite3.Connection) -> Iterator[None]:
    """Part of a write that may fail alone: if the block raises, only what it did is undone.

    Raises Unavailable where nothing can be kept: that is no fault of this part. SQLite may have given up the whole
    transaction by then, and each statement that followed would be kept by itself.
    """
    connection.execute("SAVEPOINT attempt")
    try:
        yield
    except BaseException as fault:
        if connection.in_transaction:
            connection.execute("ROLLBACK TO attempt")
            connection.execute("RELEASE attempt")
        if (told := _in_words(fault)) is not fault:
            raise told from fault
        raise
    connection.execute("RELEASE attempt")


def migrate(connection: sqlite3.Connection) -> None:
    """Bring the schema up to date, one transaction per file of migrations/, in the order of their numbers."""
    connection.execute("CREATE TABLE IF NOT EXISTS migration (number INTEGER PRIMARY KEY, name TEXT NOT NULL)")
    files = {int(file.name[:4]): file for file in sorted(MIGRATIONS.glob("[0-9][0-9][0-9][0-9]_*.sql"))}
    newest = connection.execute("SELECT max(number) FROM migration").fetchone()[0] or 0
    if newest > max(files, default=0):
        raise BadDeclaration(f"the data was written by a newer version (migration {newest}): use that version")
    for number, file in sorted(files.items()):
        _apply(connection, number, file)


def _apply(connection: sqlite3.Connection, number: int, file: Path) -> None:
    """Run one file unless it was run before; two processes that open the same file take turns here."""
    connection.execute("BEGIN IMMEDIATE")
    try:
        if connection.execute("SELECT 1 FROM migration WHERE number = ?", (number,)).fetchone() is None:
            for statement in statements_in(file.read_text("utf-8")):
                connection.execute(statement)
            connection.execute("INSERT INTO migration (number, name) VALUES (?, ?)", (number, file.stem))
        connection.execute("COMMIT")
    except BaseException:
        connection.execute("ROLLBACK")
        raise


def statements_in(script: str) -> Iterator[str]:
    """The single statements of a script (executescript would commit on its own before the first of them)."""
    statement = ""
    for line in script.splitlines(keepends=True):
        statement += line
        if sqlite3.complete_statement(statement):
            yield statement
            statement = ""
    if statement.strip():
        raise BadDeclaration(f"a migration ends in the middle of a statement: {statement.strip()[:60]}")
