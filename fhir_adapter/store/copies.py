"""What each FHIR party holds: the base of every merge with it, and the durable record of writes begun there."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from itertools import chain
from uuid import uuid4

from fhir_adapter.store.database import queries

_SQL = queries("copies.sql")

THEIRS = "theirs"
"""The version of what the party had before us under the same national identifier."""


LOST = "lost"
"""The version of what the party has lost and is to be given again."""


@dataclass(frozen=True, slots=True)
class Copy:
    """A resource as a FHIR party holds it.

    `version` is its versionId there; `sent` the version.seq of ours that it got last, None where the party had it
    before us and we never write it; `body` its content there as JSON, in our ids; `made` when that version was made, by
    the party's clock ("" unknown).
    """

    type: str
    id: str
    remote_id: str
    version: str
    sent: int | None
    body: bytes
    made: str = ""

    @property
    def is_theirs(self) -> bool:
        """Whether the party's own resource is used instead of ours: pointed to, never written."""
        return self.version == THEIRS

    @property
    def is_only_a_name(self) -> bool:
        """Whether nothing but the two ids is known: something that a shared resource points to."""
        return self.version == ""

    @property
    def is_deleted(self) -> bool:
        """Whether the party deleted it: it is not written again by itself, and nothing can point to it there."""
        return self.sent is None and not self.is_theirs and not self.is_only_a_name and self.body == b"{}"

    @property
    def is_shown(self) -> bool:
        """Whether the party has had its content from us, or we from it; what it deleted since counts too."""
        return not self.is_only_a_name and (self.body != b"{}" or self.is_deleted)

    @property
    def is_lost(self) -> bool:
        """Whether the party lost it and is to be given it again."""
        return self.version == LOST

    @property
    def reference(self) -> str:
        """`Type/id` in our ids."""
        return f"{self.type}/{self.id}"


@dataclass(frozen=True, slots=True)
class Landmark:
    """A version at a party by which its history is known: its key in the journal and when it was made there."""

    key: str
    at: str


@dataclass(frozen=True, slots=True)
class Landmarks:
    """What a party's history must still show: the version that the last look saw, and the one that we wrote last."""

    seen: Landmark | None
    written: Landmark | None


@dataclass(frozen=True, slots=True)
class Written:
    """One resource of a write that was begun: `seq` is the version.seq of ours it carries.

    `is_absent`: the write is there, and this part of it was not to be found.
    """

    type: str
    id: str
    seq: int
    is_absent: bool = False


def of_plan(connection: sqlite3.Connection, party: str, plan: str) -> dict[str, Copy]:
    """What the party holds of the plan, by our reference."""
    rows = connection.execute(_SQL["of_party"], {"party": party, "plan": plan})
    return {copy.reference: copy for copy in (Copy(*row) for row in rows)}


def by_remote(connection: sqlite3.Connection, party: str, type_: str, remote_id: str) -> Copy | None:
    """The copy that the party calls `type_/remote_id`, or called so before it joined two persons."""
    values = {"party": party, "type": type_, "remote_id": remote_id}
    row = connection.execute(_SQL["by_remote"], values).fetchone()
    if row is None and type_ == "Patient":
        row = connection.execute(_SQL["by_alias"], values).fetchone()
    return Copy(*row) if row else None


def is_of_ours(connection: sqlite3.Connection, party: str, type_: str, remote_id: str) -> bool:
    """Whether what the party calls `type_/remote_id` is its copy of something of ours, and not its own."""
    copy = by_remote(connection, party, type_, remote_id)
    return copy is not None and not copy.is_only_a_name and not copy.is_theirs


def named_in(connection: sqlite3.Connection, party: str, plan: str, type_: str, remote_id: str) -> list[Copy]:
    """Those of the plan's members whom the party calls `type_/remote_id`: two persons may go by one name."""
    values = {"party": party, "plan": plan, "type": type_, "remote_id": remote_id}
    return [Copy(*row) for row in connection.execute(_SQL["named_in"], values)]


def named(connection: sqlite3.Connection, party: str, type_: str, remote_id: str) -> list[Copy]:
    """Every copy that goes by this name there: of persons whom the party joined there are several."""
    values = {"party": party, "type": type_, "remote_id": remote_id}
    return [Copy(*row) for row in connection.execute(_SQL["named"], values)]


def is_joined(connection: sqlite3.Connection, party: str, type_: str, id_: str) -> bool:
    """Whether the party joined our `type_/id_` with another one."""
    return connection.execute(_SQL["is_joined"], {"party": party, "type": type_, "id": id_}).fetchone() is not None


def record_of(connection: sqlite3.Connection, party: str, type_: str, id_: str) -> str | None:
    """The party's name for our `type_/id_`'s own record, also if that was joined with another one there."""
    row = connection.execute(_SQL["record_of"], {"party": party, "type": type_, "id": id_}).fetchone()
    return str(row[0]) if row[0] is not None else None


def join(connection: sqlite3.Connection, party: str, copy: Copy, remote_id: str) -> None:
    """The party has joined this person with its `remote_id`, which stands for it from now on: pointed to, not written.

    Another person of ours may go by that name already.
    """
    connection.execute(_SQL["join"], {"party": party, "type": copy.type, "id": copy.id})
    save(connection, party, Copy(copy.type, copy.id, remote_id, THEIRS, None, b"{}"))


def hand_over(connection: sqlite3.Connection, party: str, type_: str, id_: str, to: str) -> bool:
    """What the party had before us stands for `to` from now on instead of `id_`. False where `to` has a copy there."""
    values = {"party": party, "type": type_, "id": id_, "to": to}
    return connection.execute(_SQL["hand_over"], values).rowcount == 1


def part(connection: sqlite3.Connection, party: str, now: Copy) -> list[Copy]:
    """The party took a joining back: `now` is the person under the name from before.

    Returns what was held of whoever went by that name; nothing where it never was joined.
    """
    values = {"party": party, "type": now.type, "remote_id": now.remote_id}
    given_up = connection.execute(_SQL["part"], values).fetchall()
    held = [copy for id_, _ in given_up if (copy := by_id(connection, party, now.type, id_))]
    for id_, version in given_up:
        back = Copy(now.type, id_, now.remote_id, THEIRS, None, b"{}") if version == THEIRS else replace(now, id=id_)
        save(connection, party, back)
    return held


def by_id(connection: sqlite3.Connection, party: str, type_: str, id_: str) -> Copy | None:
    """The party's copy of our `type_/id_`."""
    row = connection.execute(_SQL["by_id"], {"party": party, "type": type_, "id": id_}).fetchone()
    return Copy(*row) if row else None


def held(connection: sqlite3.Connection, party: str) -> list[Copy]:
    """What the party was left with, in whatever state; nothing that is only a name or lost already."""
    return [Copy(*row) for row in connection.execute(_SQL["held"], {"party": party})]


def some_held(connection: sqlite3.Connection, party: str, size: int) -> list[Copy]:
    """So many of these at random, of each type alike; all of them where there are no more.

    Ids of ours are random: whatever comes after another random one in their order is picked at random, too.
    """
    types = [type_ for (type_,) in connection.execute(_SQL["types_held"], {"party": party})] or [""]

    def next_ones(type_: str, id_: str, count: int) -> Iterator[Copy]:
        values = {"party": party, "type": type_, "id": id_, "count": count}
        return (Copy(*row) for row in connection.execute(_SQL["held_from"], values))

    places = [(random.choice(types), str(uuid4())) for _ in range(size)]  # noqa: S311 - which ones, not a secret
    picked = chain.from_iterable(next_ones(*place, 1) for place in places)
    rest = chain(next_ones(*places[0], size), next_ones("", "", size))  # where it holds little, places coincide
    found: dict[str, Copy] = {}
    for copy in chain(picked, rest):
        found.setdefault(copy.reference, copy)
        if len(found) == size:
            break
    return [*found.values()]


def compare_again(connection: sqlite3.Connection, party: str, plan: str) -> None:
    """Have what the party has of the plan compared with it, whatever was sent last or is under way."""
    for statement in ("compare_again", "compare_what_is_under_way"):
        connection.execute(_SQL[statement], {"party": party, "plan": plan})


def forget(connection: sqlite3.Connection, party: str, copy: Copy) -> None:
    """The party has nothing of it, and its name for it stands for nothing any more."""
    connection.execute(_SQL["forget"], {"party": party, "type": copy.type, "id": copy.id})


def count(connection: sqlite3.Connection, party: str, most: int) -> int:
    """How many resources we brought to the party; no more than `most` are counted."""
    return int(connection.execute(_SQL["count"], {"party": party, "most": most}).fetchone()[0])


def save(connection: sqlite3.Connection, party: str, copy: Copy) -> None:
    """Remember what the party holds now."""
    connection.execute(
        _SQL["save"],
        {
            "party": party,
            "type": copy.type,
            "id": copy.id,
            "remote_id": copy.remote_id,
            "version": copy.version,
            "sent": copy.sent,
            "body": copy.body,
            "made": copy.made,
        },
    )


def begin_write(
    connection: sqlite3.Connection, write_id: str, *, party: str, plan: str, items: Iterable[Written], now: str
) -> None:
    """A durable note, before the request leaves, of what is being written under which write id."""
    connection.execute(_SQL["begin"], {"write_id": write_id, "party": party, "plan": plan, "now": now})
    connection.executemany(_SQL["begin_item"], [(write_id, item.type, item.id, item.seq) for item in items])


def pending_writes(connection: sqlite3.Connection, party: str, plan: str) -> dict[str, bool]:
    """Ids of the writes that are not settled, each with whether a part of it was seen over there."""
    rows = connection.execute(_SQL["pending"], {"party": party, "plan": plan})
    return {write_id: bool(arrived) for write_id, arrived in rows}


def note_arrival(connection: sqlite3.Connection, write_id: str, type_: str, id_: str, version: str) -> bool:
    """This write made this version over there. False when its version is known already."""
    values = {"write_id": write_id, "type": type_, "id": id_, "version": version}
    return connection.execute(_SQL["item_arrived"], values).rowcount == 1


def note_that_it_arrived(connection: sqlite3.Connection, write_id: str) -> None:
    """A part of the write was seen over there, so all of it is there."""
    connection.execute(_SQL["note_arrival"], {"write_id": write_id})


def writes_that_made(connection: sqlite3.Connection, party: str, type_: str, id_: str, version: str) -> set[str]:
    """The ids of our writes that made this version of the resource over there; more than one where it counts anew."""
    values = {"party": party, "type": type_, "id": id_, "version": version}
    return {str(row[0]) for row in connection.execute(_SQL["made"], values)}


def items_of(connection: sqlite3.Connection, write_id: str) -> list[Written]:
    """What a write carried and was not seen over there yet."""
    rows = connection.execute(_SQL["items"], {"write_id": write_id})
    return [Written(type_, id_, seq, bool(is_absent)) for type_, id_, seq, is_absent in rows]


def note_absence(connection: sqlite3.Connection, write_id: str, item: Written) -> None:
    """The write is there, and this part of it was not to be found. Should it show up, its id still says whose it is."""
    connection.execute(_SQL["item_is_absent"], {"write_id": write_id, "type": item.type, "id": item.id})


def left_by(connection: sqlite3.Connection, write_id: str) -> list[Copy]:
    """What the party has from a write, as far as nobody went on from it."""
    return [Copy(*row) for row in connection.execute(_SQL["left_by"], {"write_id": write_id})]


def settle_write(connection: sqlite3.Connection, write_id: str) -> bool:
    """The write arrived; its versions are known. False where that was so already."""
    return connection.execute(_SQL["settle"], {"write_id": write_id}).rowcount == 1


def abandon_write(connection: sqlite3.Connection, write_id: str) -> None:
    """The write was refused, or is not there; should it arrive late after all, its id still says that it is ours."""
    connection.execute(_SQL["abandon"], {"write_id": write_id})


def unseen_writes_of(connection: sqlite3.Connection, party: str, type_: str, id_: str) -> dict[str, int]:
    """Write id → version.seq for every write of this resource whose version at this party is not known."""
    rows = connection.execute(_SQL["writes_of"], {"party": party, "type": type_, "id": id_})
    return dict(rows.fetchall())


def watermark(connection: sqlite3.Connection, party: str) -> str | None:
    """How far the party's history was read (an instant by its clock)."""
    row = connection.execute(_SQL["watermark_get"], {"party": party}).fetchone()
    return str(row[0]) if row else None


def move_watermark(connection: sqlite3.Connection, party: str, since: str) -> None:
    """Only forward. Instants are compared as text: the caller gives them in one form (UTC, milliseconds, Z)."""
    connection.execute(_SQL["watermark_set"], {"party": party, "since": since})


def landmarks(connection: sqlite3.Connection, party: str) -> Landmarks:
    """The versions that the party's history must still show."""
    row = connection.execute(_SQL["landmarks"], {"party": party}).fetchone() or ("", "", "", "")
    return Landmarks(*(Landmark(key, at) if key else None for key, at in (row[:2], row[2:])))


def set_landmark_seen(connection: sqlite3.Connection, party: str, landmark: Landmark | None) -> None:
    """From now on the party's history must show this version; None: no certain one. Only where there is a watermark."""
    _set_landmark(connection, "landmark_seen", party, landmark)


def set_landmark_written(connection: sqlite3.Connection, party: str, landmark: Landmark | None) -> None:
    """The same for what we wrote."""
    _set_landmark(connection, "landmark_written", party, landmark)


def _set_landmark(connection: sqlite3.Connection, statement: str, party: str, landmark: Landmark | None) -> None:
    key, at = (landmark.key, landmark.at) if landmark else ("", "")
    connection.execute(_SQL[statement], {"party": party, "key": key, "at": at})
