"""A small world to try the road in: one municipality, two regions, a network that fails on demand, clocks that differ.

Everything between the municipality's record and the regions' stores is the production code: flows, store, client and
FHIR server. Only the wire is ours: requests go straight into the region's application, and the wire can lose, repeat
or delay them. A crash is an exception that no handler of the product catches; after it the store is opened anew.
"""

from __future__ import annotations

import random
import shutil
import sqlite3
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import Any, cast
from unittest.mock import patch
from uuid import UUID

import requests

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import Conflict, Forbidden, Refused, RemoteError
from fhir_adapter.fhir.resources import Resource, dump_json, parse_json, reference_of
from fhir_adapter.flows import change, deciding, parked, safety, sync
from fhir_adapter.flows.conflicts import list_conflicts
from fhir_adapter.flows.hub import Hub, Limits
from fhir_adapter.flows.pull import Shown, show_record
from fhir_adapter.flows.push import Answer, Delivery, push
from fhir_adapter.mapping.load import find
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.store import conflicts, outbox, plans, sides
from fhir_adapter.store.database import Database
from fhir_adapter.web.fhir_routes import fhir_app
from tests import backups
from tests.machine.wire import Crash, Wire

ORGNR = "urn:oid:2.5.4.97"
MUNICIPALITY = "sodertalje"
REGIONS = ("region-stockholm", "region-sormland")
NUMBERS = {MUNICIPALITY: "2120000159", "region-stockholm": "2321000016", "region-sormland": "2321000032"}
NAMESPACE = UUID("5b0f3c0e-0a53-4a39-8d6c-6a7a2a8f2a55")
CONFLICTS = {"region-stockholm": 412, "region-sormland": 409}
"""How each region's server says that If-Match names an old version: both are in use."""

START = datetime(2025, 6, 2, 8, tzinfo=UTC)
PREPARED = 60
"""Seconds that the making of the first world takes at most: what is copied goes on from there."""

RECORD = "S1"

FIRST_RECORD: dict[str, Any] = {
    "id": RECORD,
    "title_local": "plan 0",
    "person": {"name": "Elin Åkerström", "personnummer": "198507142381"},
    "samtycke": {
        "status": "active",
        "datum": "2025-02-03",
        "omfattning": ["Region Stockholm", "Region Sörmland"],
    },
    "deltagare": [
        {"namn": "Elin Åkerström", "roll": "den enskilde"},
        {"namn": "Karin Ödman", "roll": "boendestödjare", "org": "Södertälje kommun", "orgnr": "2120000159"},
        {"namn": "Mehmet Yıldız", "roll": "sjuksköterska", "org": "Region Stockholm", "orgnr": "2321000016"},
        {"namn": "Åsa Blixt", "roll": "arbetsterapeut", "org": "Region Sörmland", "orgnr": "2321000032"},
    ],
    "huvudansvar": {"huvudman": "kommun"},
    "vad_ar_viktigt": "viktigt 1",
    "mal": [{"id": "M1", "text": "mål 1"}, {"id": "M2", "text": "mål 2"}],
    "insatser": [
        {"id": "I1", "text": "insats 1", "huvudman": "kommun", "ansvarig": "Karin Ödman", "status": "pågående"},
        {"id": "I2", "text": "insats 2", "huvudman": "region", "ansvarig": "Mehmet Yıldız", "status": "planerad"},
    ],
    "anteckningar": [],
    "intern_kod": {"nr": "007", "vikt": 19.0, "sedan": "1992-05"},
}


@dataclass(frozen=True, slots=True)
class Parked:
    """What a party wrote, and of what (`Type/id` there), that was neither applied nor dropped."""

    id: int
    party: str
    reference: str
    body: str


class Mortal(Database):
    """The product's store in a process that may die at a commit. `dies` counts commits down; None: not now."""

    dies: tuple[int, bool] | None = None

    def commit(self, connection: sqlite3.Connection) -> None:
        """Durable, or dead before or after it."""
        if self.dies is None:
            super().commit(connection)
            return
        left, after = self.dies
        self.dies = (left - 1, after)
        if left > 0:
            super().commit(connection)
            return
        self.dies = None
        if after:
            super().commit(connection)
        raise Crash


@dataclass(slots=True)
class Region:
    """A FHIR server of the region with its own clock, the wire to it, and somebody who works there.

    `shaken`: whether it lost something since everything was quiet.
    """

    name: str
    database: Database
    wire: Wire
    client: FhirClient
    user: FhirClient
    skew: timedelta = timedelta()
    had_wrong_clock: bool = False
    backups: list[sqlite3.Connection] = field(default_factory=list)
    shaken: bool = False

    @property
    def deleted(self) -> set[str]:
        """What was there and is deleted."""
        rows = self.database.read().execute("SELECT type, id FROM resource WHERE deleted AND seq > 0")
        return {f"{type_}/{id_}" for type_, id_ in rows}

    def there(self, type_: str = "") -> list[Resource]:
        """Everything (of a type) that the region has now, out of its store: the judge does not ask over the wire."""
        rows = self.database.read().execute(
            "SELECT v.body FROM resource r JOIN version v ON v.seq = r.seq "
            "WHERE NOT v.deleted AND (? = '' OR r.type = ?)",
            (type_, type_),
        )
        return [parse_json(body) for (body,) in rows]

    def versions(self) -> list[tuple[str, str, int, str, bytes]]:
        """Every version of everything, in the order in which they were made: type, id, number, instant, content."""
        rows = self.database.read().execute("SELECT type, id, version, updated, body FROM version ORDER BY seq")
        return rows.fetchall()

    def put(self, resource: Resource) -> None:
        """What somebody saves there, on the version that was on the screen."""
        version = resource.get("meta", {}).get("versionId")
        self.user.send(
            "PUT",
            reference_of(resource),
            json=resource,
            headers={"If-Match": f'W/"{version}"'} if version else None,
        )

    def delete(self, resource: Resource) -> None:
        """Taken away there."""
        self.user.send("DELETE", reference_of(resource))

    def back_up(self) -> None:
        """Keep what is there now."""
        self.backups.append(backups.take(self.database))

    def restore(self, index: int) -> None:
        """The store is what it was; nobody tells the adapter."""
        backups.restore(self.database, self.backups[index % len(self.backups)])
        self.shaken = True

    def forget(self, type_: str, id_: str) -> None:
        """It is gone with its history, and nothing tells of it."""
        backups.forget(self.database, type_, id_)
        self.shaken = True


class World:
    """The service, its parties and time. Every method is one thing that somebody or something does."""

    def __init__(self, folder: Path, seed: int, seconds: int = 0) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.mapping = find("se-sip", None)
        self.seconds = seconds
        self.ticks = 0
        self.skew = timedelta()
        self.regions = {name: self._region(name) for name in REGIONS}
        self.crashes = 0
        self.open()

    # --- the service

    def open(self) -> None:
        """Start the service on what is in the store."""
        self.database = Mortal(self.folder / "hub.sqlite")
        self.database.write(outbox.release)
        self.database.write(sides.release)
        parties = {
            MUNICIPALITY: Party(
                MUNICIPALITY, "Södertälje kommun", frozenset({(ORGNR, NUMBERS[MUNICIPALITY])}), "se-sip", None
            )
        } | {
            name: Party(name, name, frozenset({(ORGNR, NUMBERS[name])}), None, region.client.base_url)
            for name, region in self.regions.items()
        }
        self.hub = Hub(
            database=self.database,
            parties=parties,
            mappings={"se-sip": self.mapping},
            clients={name: region.client for name, region in self.regions.items()},
            namespace=NAMESPACE,
            now=self.now,
            consents_judged_at=lambda: START,
            new_id=self.new_id,
            changed=lambda: None,
            limits=Limits(
                delivery_attempts=1_000_000, refused_attempts=1_000_000, circuit_failures=1_000_000, check_interval=0
            ),
        )

    def close(self) -> None:
        """Stop everything."""
        self.database.close()
        for region in self.regions.values():
            region.database.close()
            for backup in region.backups:
                backup.close()

    def restart(self) -> None:
        """After a crash: nothing of the process is left but its files."""
        self.crashes += 1
        self.database.dies = None
        for region in self.regions.values():
            region.wire.calm()
        self.database.close()
        self.open()

    def now(self) -> datetime:
        return START + timedelta(seconds=self.seconds) + self.skew

    def new_id(self) -> UUID:
        return UUID(int=self.random.getrandbits(128), version=4)

    def alive(self, work: Callable[[], Any]) -> Any:
        """Do `work` unless the process dies of it; None then, and where the network failed."""
        self.seconds += 1
        try:
            return work()
        except Crash:
            self.restart()
        except RemoteError:
            pass
        return None

    def collect(self, name: str, overlap: timedelta = sync.OVERLAP) -> None:
        """Look what is new at a region."""
        self.alive(lambda: sync.collect(self.hub, self.hub.parties[name], overlap=overlap))

    def check(self, name: str) -> None:
        """Look whether a region still has what it was left with, and what is new there."""
        party = self.hub.parties[name]
        self.alive(lambda: sync.collect(self.hub, party, safety.astray_in_a_sample(self.hub, party)))

    def deliver(self, name: str) -> None:
        """Bring a region up to date, as if all pauses were over."""
        dies, self.database.dies = self.database.dies, None
        self.database.write(lambda connection: connection.execute("UPDATE outbox SET due = 0 WHERE state = 'waiting'"))
        self.database.dies = dies
        with patch("random.uniform", lambda _shortest, longest: longest):  # else luck says what is due again at once
            self.alive(lambda: sync.deliver(self.hub, self.hub.parties[name]))

    def go_on(self, name: str) -> None:
        """Somebody looks at a region that was stopped: its deletions were meant, and what it lost it is told again."""
        party = self.hub.parties[name]
        if sides.get(self.database.read(), name).stopped is not None:
            sync.resume(self.hub, party, restore=True, accept=True)

    def decide(self, word: str, index: int) -> dict[str, Any] | None:
        """Somebody in the municipality decides a conflict, having seen what is live: it is returned as it was, None
        where nothing was decided. Some are not its to decide."""
        party = self.hub.parties[MUNICIPALITY]
        found = list_conflicts(self.hub, party)
        if not found:
            return None
        one: dict[str, Any] = found[index % len(found)]
        delivery = Delivery(f"decision-{self.seconds}", "application/json", deciding.body_of(word, seen=one["seen"]))
        try:
            self.alive(lambda: deciding.decide(self.hub, party, one["id"], delivery))
        except (Forbidden, Refused):
            return None
        return one

    def decide_parked(self, word: str, index: int) -> Parked | None:
        """Somebody looks at what was parked, and applies or drops it; None where nothing was decided."""
        waiting = self.parked()
        if not waiting:
            return None
        one = waiting[index % len(waiting)]
        decide = parked.apply if word == "apply" else parked.drop
        try:
            self.alive(partial(decide, self.hub, one.id, "looked at"))
        except (Conflict, Refused):  # something newer came since, or it still cannot be applied
            return None
        return None if one in self.parked() else one

    def push(self, delivery: Delivery) -> Answer | None:
        """A municipal system sends; None when it gets no answer."""
        answer: Answer | None = self.alive(lambda: push(self.hub, self.hub.parties[MUNICIPALITY], delivery))
        return answer

    def fetch(self) -> Shown | None:
        """A municipal system asks for its record; None when it gets no answer."""
        shown: Shown | None = self.alive(lambda: show_record(self.hub, self.hub.parties[MUNICIPALITY], RECORD))
        return shown

    # --- what is in the store

    @property
    def plan(self) -> plans.Plan:
        return plans.newest(self.database.read(), 1)[0]

    def held(self) -> dict[str, Resource]:
        """The shared plan's resources."""
        return change.as_refs(plans.members(self.database.read(), self.plan.id))

    def conflicts(self) -> list[conflicts.KeptConflict]:
        return conflicts.of_plan(self.database.read(), self.plan.id)

    def parked(self) -> list[Parked]:
        """What was received and neither applied nor dropped: it waits in the journal for somebody to look."""
        waiting = "state = 'parked' AND id NOT IN (SELECT journal FROM parked_decision)"
        rows = self.database.read().execute(f"SELECT id, party, key, body FROM journal WHERE {waiting} ORDER BY id")
        return [Parked(id_, party, "/".join(key.split("/")[:2]), body.decode()) for id_, party, key, body in rows]

    def received(self, party: str) -> str:
        """All that a party ever said here."""
        rows = self.database.read().execute("SELECT body FROM journal WHERE party = ?", (party,))
        return b"".join(body for (body,) in rows).decode()

    def noticed(self, party: str) -> set[str]:
        """The writes of which the service knows that they arrived at a party."""
        rows = self.database.read().execute(
            "SELECT write_id FROM remote_write WHERE party = ? AND state IN ('arrived', 'settled')", (party,)
        )
        return {write_id for (write_id,) in rows}

    def everything(self) -> Iterator[tuple[Any, ...]]:
        """All that was ever written in all stores: every version, and what arrived here."""
        yield from self.database.read().execute("SELECT party, key, state, body FROM journal ORDER BY id")
        for store in (self.database, *(region.database for region in self.regions.values())):
            yield from store.read().execute("SELECT type, id, version, updated, body FROM version ORDER BY seq")

    def versions(self) -> tuple[int, ...]:
        """How many versions each store holds: the same twice in a row means that nobody writes any more."""
        stores = [self.database, *(region.database for region in self.regions.values())]
        return tuple(store.read().execute("SELECT max(seq) FROM version").fetchone()[0] for store in stores)

    # --- the regions

    def _region(self, name: str) -> Region:
        database = Database(self.folder / f"{name}.sqlite")
        app = fhir_app(database, base_path="/fhir", writable=True, now=lambda: self._now_at(name), new_id=self.new_id)
        wire, direct = Wire(app, CONFLICTS[name], random=self.random), Wire(app)
        base = f"http://{name}.example/fhir"
        return Region(name, database, wire, _client(base, wire), _client(base, direct))

    def _now_at(self, name: str) -> datetime:
        """Never the same twice: a server counts finer than people do anything."""
        self.ticks += 1
        return START + timedelta(seconds=self.seconds, milliseconds=self.ticks) + self.regions[name].skew


def _client(base: str, wire: Wire) -> FhirClient:
    return FhirClient(base, session=cast(requests.Session, wire), sleep=lambda _seconds: None)


def prepared(folder: Path) -> Path:
    """The files of a world in which the first record was pushed and is everywhere; copied for each run."""
    made = folder / "prepared"
    made.mkdir()
    world = World(made, seed=2**32)
    answer = world.push(Delivery("first", "application/json", as_json(FIRST_RECORD)))
    assert answer, "the first push was not answered"
    assert answer.status == 201, answer.receipt
    for _ in range(3):
        for name in REGIONS:
            world.collect(name)
            world.deliver(name)
    world.close()
    return made


def copied(made: Path, folder: Path, seed: int) -> World:
    """A world of its own, with all that the prepared one holds."""
    for file in made.glob("*.sqlite"):
        shutil.copyfile(file, folder / file.name)
    return World(folder, seed, PREPARED)


def as_json(record: Mapping[str, Any]) -> bytes:
    return dump_json(record)
