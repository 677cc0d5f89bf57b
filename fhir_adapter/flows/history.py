"""What a FHIR party's own history of one resource says: which of its versions are known here, and whether it went back.

A party that was restored from a backup counts its versions anew: a number alone does not say which version it is. Ours
are known by their write id, others by number and instant under which the journal has them.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Literal

from fhir_adapter.access.identity import Party
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows.naming import write_id_of
from fhir_adapter.remotes import feed
from fhir_adapter.remotes.client import FhirClient, RemoteVersion
from fhir_adapter.store import copies, journal
from fhir_adapter.store.copies import Copy

if TYPE_CHECKING:
    import sqlite3

Mark = Literal["same", "other", "new"]
"""A version was here before; its number was, and stood for another version; its number was never seen."""


@dataclass(frozen=True, slots=True)
class Setback:
    """The party's history of a resource does not lead to the version that we know.

    `copy`: what we know; `base`: the version there that whatever came later was made on, None where that was never
    here; `is_gone`: nothing is there at all.
    """

    copy: Copy
    base: RemoteVersion | None = None
    is_gone: bool = False


@dataclass(frozen=True, slots=True)
class Told:
    """What the history of one resource says, oldest first: every version, from which on they are news, and how it went.

    `left`: the copy that it was compared with.
    """

    left: Copy
    versions: Sequence[RemoteVersion]
    start: int
    setback: Setback | None

    @property
    def news(self) -> Sequence[RemoteVersion]:
        """What is to be taken in."""
        return self.versions[self.start :]

    def leads_on(self, copy: Copy, version: RemoteVersion) -> bool:
        """Whether the version was made after what the copy holds; not if that is one of which nothing was told."""
        numbers = [each.version for each in self.versions]
        if copy.version not in numbers:
            return copy.is_only_a_name
        return version.version in numbers[numbers.index(copy.version) + 1 :]


def read(connection: sqlite3.Connection, client: FhirClient, party: Party, copy: Copy) -> Told:
    """What the party says of a shared resource."""
    versions = [] if copy.is_theirs else feed.versions_of(client, copy.type, copy.remote_id)
    if not versions:
        return Told(copy, [], 0, Setback(copy, is_gone=True) if is_gone(client, copy) else None)
    marks = [mark_of(connection, party, copy, version) for version in versions]
    start, goes_on = _where_news_begin(versions, marks, copy)
    setback = None if goes_on else Setback(copy, versions[start - 1] if start else None)
    return Told(copy, versions, start, setback)


def _where_news_begin(versions: Sequence[RemoteVersion], marks: Sequence[Mark], copy: Copy) -> tuple[int, bool]:
    """The first version to take in, and whether the history goes on there from what we know.

    A history that lacks our version because it begins later was only shortened.
    """
    known = [index for index, mark in enumerate(marks) if mark == "same"]
    current = next((index for index in known if is_at(copy, versions[index])), None)
    if current is not None:  # a version that we wrote over, because the number fitted, lies before it
        strange = (index for index in range(current) if marks[index] == "other")
        start = next(strange, current + 1)
        return start, start > current
    if not known and "other" not in marks:
        return 0, not (copy.is_lost or is_older(versions[0], copy))
    first = known[0] if known else 0
    strange = (index for index, mark in enumerate(marks) if mark == "other" or (mark == "new" and index > first))
    return next(strange, len(versions)), False


def mark_of(connection: sqlite3.Connection, party: Party, copy: Copy, version: RemoteVersion) -> Mark:
    """Whether this version of what we know as `copy` was here before."""
    if is_known(connection, party, copy.id, version):
        return "same"
    if copies.writes_that_made(connection, party.name, copy.type, copy.id, version.version) or journal.keys_of(
        connection, party.name, name_of(version)
    ):
        return "other"
    return "same" if is_at(copy, version) else "new"


def is_known(connection: sqlite3.Connection, party: Party, id_: str, version: RemoteVersion) -> bool:
    """Whether this version of our `id_` is a write of ours that was seen, or in the journal."""
    ours = copies.writes_that_made(connection, party.name, version.type, id_, version.version)
    if write_id_of(version.resource) in ours:
        return True
    keys = journal.keys_of(connection, party.name, name_of(version))
    return key_of(version) in keys or name_of(version) in keys  # without an instant: from before those were noted


def is_at(copy: Copy, version: RemoteVersion) -> bool:
    """Whether this is the version that the copy holds: the same number, made at the same moment if that is known."""
    if version.version != copy.version:
        return False
    return not (copy.made and version.updated) or copy.made == utc(version.updated)


def is_gone(client: FhirClient, copy: Copy) -> bool:
    """Whether nothing is there any more, and nothing tells of it.

    What somebody deleted leaves a trace: 410, or at least a history. Where there are no histories, it is left alone.
    """
    if copy.is_lost or client.read(copy.type, copy.remote_id) is not None:
        return False
    if not copy.is_deleted:
        return True
    return feed.has_history(client, copy.type) and not feed.versions_of(client, copy.type, copy.remote_id)


def is_older(version: RemoteVersion, copy: Copy) -> bool:
    """Whether the number is not above the one that we know; False where versions are not numbered."""
    numbers = version.version, copy.version
    return all(number.isdecimal() for number in numbers) and int(numbers[0]) <= int(numbers[1])


def was_made_before(version: RemoteVersion, copy: Copy) -> bool:
    """Whether it was made before the one that we know, as far as both moments are known: no look shows it any more."""
    return bool(copy.made and made(version)) and made(version) < copy.made


def after(versions: Sequence[RemoteVersion], copy: Copy | None) -> list[RemoteVersion]:
    """The versions that came after the one we know, oldest first; all of them where that one is no longer listed."""
    known = [index for index, version in enumerate(versions) if copy and version.version == copy.version]
    return list(versions[known[0] + 1 :] if known else versions)


def name_of(version: RemoteVersion) -> str:
    """What the party calls the version: `Type/id/_history/number`."""
    return f"{version.type}/{version.id}/_history/{version.version}"


def key_of(version: RemoteVersion) -> str:
    """Under which key the journal has the version: `Type/id/_history/number@instant`."""
    return f"{name_of(version)}@{made(version)}"


def made(version: RemoteVersion) -> str:
    """When the version was made, as a copy remembers it."""
    return utc(version.updated) if version.updated else ""


def utc(moment: str) -> str:
    """A FHIR instant in the one form in which instants sort as text."""
    return instant(datetime.fromisoformat(moment).astimezone(UTC))
