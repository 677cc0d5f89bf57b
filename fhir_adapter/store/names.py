"""Names of resources, (type, id), and the numbers that stand for them in every other table."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterable
from itertools import chain
from typing import NamedTuple

from fhir_adapter.store.database import for_rows, insert, portions, queries

_SQL = queries("names.sql")

Name = tuple[str, str]
"""Type and id; '' and a whole URL for what lives elsewhere."""


class Current(NamedTuple):
    """What stands behind a name now. `seq` is 0 while it is only referred to."""

    rid: int
    seq: int
    version: int
    deleted: int
    owner: str | None
    plan: str | None


class Names:
    """What stands behind names, each looked up once while one piece of work is done.

    What is referred to gets a number too, whether it is here or not: should it come later, the reference fits.
    """

    def __init__(self, connection: sqlite3.Connection) -> None:
        self._connection = connection
        self._known: dict[Name, Current | None] = {}
        self._newest: int | None = None

    def look_up(self, names: Iterable[Name]) -> None:
        """Get ready to tell about these, in as few statements as there can be."""
        wanted = [name for name in dict.fromkeys(names) if name not in self._known]
        self._known.update(dict.fromkeys(wanted))
        for some in portions(wanted):
            rows = self._connection.execute(for_rows(_SQL["current"], len(some)), [*chain.from_iterable(some)])
            for type_, id_, *rest in rows:
                self._known[type_, id_] = Current(*rest)

    def current(self, name: Name) -> Current | None:
        """What stands behind a name that was looked up; None: it was never heard of."""
        return self._known[name]

    def number_new(self, name: Name) -> int:
        """A number for a name that was never heard of. The caller writes its row."""
        if self._newest is None:
            self._newest = self._connection.execute(_SQL["newest"]).fetchone()[0]
        self._newest += 1
        self._known[name] = Current(self._newest, 0, 0, 1, None, None)
        return self._newest

    def numbers_of(self, names: Iterable[Name]) -> dict[Name, int]:
        """The numbers of names that are referred to; what was never heard of gets one, and is written down."""
        wanted = dict.fromkeys(names)
        self.look_up(wanted)
        new = [(self.number_new(name), *name) for name in wanted if self._known[name] is None]
        insert(self._connection, _SQL["add"], new)
        return {name: known.rid for name in wanted if (known := self._known[name])}
