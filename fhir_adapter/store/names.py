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
        self._newest: int | None = None
        self.current: dict[Name, Current | None] = {}
        """What stands behind the names that were looked up; None: it was never heard of."""
        self.numbers: dict[Name, int] = {}
        """The numbers of names, as far as they have one and somebody asked for it."""

    def look_up(self, names: Iterable[Name]) -> None:
        """Get ready to tell about these, in as few statements as there can be."""
        wanted = [name for name in dict.fromkeys(names) if name not in self.current]
        self.current.update(dict.fromkeys(wanted))
        for some in portions(wanted):
            rows = self._connection.execute(for_rows(_SQL["current"], len(some)), [*chain.from_iterable(some)])
            for type_, id_, *rest in rows:
                known = self.current[type_, id_] = Current(*rest)
                self.numbers[type_, id_] = known.rid

    def number_new(self, name: Name) -> int:
        """A number for a name that was never heard of. The caller writes its row."""
        if self._newest is None:
            self._newest = self._connection.execute(_SQL["newest"]).fetchone()[0]
        self._newest += 1
        self.numbers[name] = self._newest
        return self._newest

    def number_all(self, names: Iterable[Name]) -> None:
        """See to it that these have numbers; what was never heard of is written down as referred to."""
        unknown = {name for name in names if name not in self.numbers}
        self.look_up(unknown)
        new = [(self.number_new(name), *name) for name in sorted(unknown) if name not in self.numbers]
        insert(self._connection, _SQL["add"], new)
