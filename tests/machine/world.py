"""A small world to try the road in: one municipality, two regions, a network that fails on demand, clocks that differ.

Everything between the municipality's record and the regions' stores is the production code: flows, store, client and
FHIR server. Only the wire is ours: requests go straight into the region's application, and the wire can lose, repeat
or delay them. A crash is an exception that no handler of the product catches; after it the store is opened anew.
"""

from __future__ import annotations

import asyncio
import io
import json
import random
import shutil
import sqlite3
from collections import Counter
from collections.abc import Callable, Mapping
from contextlib import closing, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from unittest.mock import patch
from urllib.parse import urlsplit
from uuid import UUID

import requests
from requests.adapters import BaseAdapter
from requests.structures import CaseInsensitiveDict
from starlette.types import ASGIApp

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import Forbidden, Refused, RemoteError
from fhir_adapter.fhir.resources import Resource, parse_json
from fhir_adapter.flows import change, safety, sync
from fhir_adapter.flows import conflicts as deciding
from fhir_adapter.flows.hub import Hub, Limits
from fhir_adapter.flows.pull import show_record
from fhir_adapter.flows.push import Answer, Delivery, push
from fhir_adapter.mapping.load import find
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.store import conflicts, outbox, plans, sides
from fhir_adapter.store.database import Database
from fhir_adapter.web.fhir_routes import fhir_app

ORGNR = "urn:oid:2.5.4.97"
MUNICIPALITY = "sodertalje"
REGIONS = ("region-stockholm", "region-sormland")
NUMBERS = {MUNICIPALITY: "2120000159", "region-stockholm": "2321000016", "region-sormland": "2321000032"}
NAMESPACE = UUID("5b0f3c0e-0a53-4a39-8d6c-6a7a2a8f2a55")
START = datetime(2025, 6, 2, 8, tzinfo=UTC)
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
    "mal": [{"id": "M1", "text": "mål 1"}, {"id": "M2", "text": "mål 2"}],
    "insatser": [
        {"id": "I1", "text": "insats 1", "huvudman": "kommun", "ansvarig": "Karin Ödman", "status": "pågående"},
        {"id": "I2", "text": "insats 2", "huvudman": "region", "ansvarig": "Mehmet Yıldız", "status": "planerad"},
    ],
    "anteckningar": [],
}


class Crash(BaseException):
    """The process died here."""


@dataclass(slots=True)
class Held:
    """A request that the network still carries."""

    request: requests.PreparedRequest


@dataclass(slots=True)
class Wire(BaseAdapter):
    """From the adapter to one region. `trouble` is used up by the next request that leaves."""

    app: ASGIApp
    loop: asyncio.AbstractEventLoop
    trouble: list[str] = field(default_factory=list)
    held: list[Held] = field(default_factory=list)
    writes: int = 0
    befell: Counter[str] = field(default_factory=Counter)

    def send(self, request: requests.PreparedRequest, *_args: Any, **_how: Any) -> requests.Response:
        what = self.trouble.pop(0) if self.trouble else ""
        self.befell[what] += 1
        if what == "lost request":
            raise requests.ConnectionError(what)
        if what == "late request":
            if request.method == "POST" and urlsplit(request.url or "").path == "/fhir":
                self.held.append(Held(request))
            raise requests.ConnectionError(what)
        if what == "crash before call":
            raise Crash
        answer = self._ask(request)
        if what == "twice":
            answer = self._ask(request)
        if what == "lost answer":
            raise requests.ConnectionError(what)
        if what == "crash after call":
            raise Crash
        return answer

    def close(self) -> None:
        """Nothing is held open."""

    def arrive(self) -> None:
        """What the network carried for so long arrives after all; nobody waits for the answer any more."""
        if self.held:
            self._ask(self.held.pop(0).request)

    def _ask(self, request: requests.PreparedRequest) -> requests.Response:
        if request.method in ("PUT", "DELETE") or (request.method == "POST" and "_search" not in (request.url or "")):
            self.writes += 1
        return answer_of(self.app, self.loop, request)


def answer_of(app: ASGIApp, loop: asyncio.AbstractEventLoop, request: requests.PreparedRequest) -> requests.Response:
    """One request through an ASGI application."""
    parts = urlsplit(request.url or "")
    body = request.body or b""
    given = body.encode() if isinstance(body, str) else bytes(body)
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": parts.scheme,
        "path": parts.path.removeprefix("/fhir") or "/",
        "root_path": "/fhir",
        "query_string": parts.query.encode(),
        "headers": [(k.lower().encode(), v.encode()) for k, v in request.headers.items()]
        + [(b"host", parts.netloc.encode())],
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": given, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    loop.run_until_complete(app(scope, receive, send))
    response = requests.Response()
    response.status_code = sent[0]["status"]
    response.headers = CaseInsensitiveDict({k.decode(): v.decode() for k, v in sent[0]["headers"]})
    response.raw = io.BytesIO(b"".join(message.get("body", b"") for message in sent[1:]))
    response.url = request.url or ""
    response.request = request
    return response


@dataclass(frozen=True, slots=True)
class Parked:
    """What a party wrote, and of what (`Type/id` there), that was neither applied nor dropped."""

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
    """A FHIR server of the region with its own clock, the wire to it, and somebody who works there."""

    name: str
    database: Database
    wire: Wire
    client: FhirClient
    user: FhirClient
    skew: timedelta = timedelta()
    deleted: set[str] = field(default_factory=set)

    def there(self, type_: str = "") -> list[Resource]:
        """Everything (of a type) that the region has now, out of its store: the judge does not ask over the wire."""
        rows = self.database.read().execute(
            "SELECT v.body FROM resource r JOIN version v ON v.seq = r.seq "
            "WHERE NOT v.deleted AND (? = '' OR r.type = ?)",
            (type_, type_),
        )
        return [parse_json(body) for (body,) in rows]

    def find(self, type_: str, id_: str) -> Resource | None:
        """One resource as it is there now."""
        found = self.user.read(type_, id_)
        return found.resource if found else None

    def put(self, resource: Resource) -> None:
        """What somebody saves there, on the version that was on the screen."""
        version = resource.get("meta", {}).get("versionId")
        self.user.send(
            "PUT",
            f"{resource['resourceType']}/{resource['id']}",
            json=resource,
            headers={"If-Match": f'W/"{version}"'} if version else None,
        )

    def delete(self, resource: Resource) -> None:
        """Taken away there, for good."""
        self.user.send("DELETE", f"{resource['resourceType']}/{resource['id']}")
        self.deleted.add(f"{resource['resourceType']}/{resource['id']}")


class World:
    """The service, its parties and time. Every method is one thing that somebody or something does."""

    def __init__(self, folder: Path, seed: int = 0) -> None:
        self.folder = folder
        self.random = random.Random(seed)
        self.loop = asyncio.new_event_loop()
        self.mapping = find("se-sip", None)
        self.seconds = 0
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
            limits=Limits(delivery_attempts=1_000_000, refused_attempts=1_000_000, circuit_failures=1_000_000),
        )

    def close(self) -> None:
        """Stop everything."""
        self.database.close()
        for region in self.regions.values():
            region.database.close()
        self.loop.close()

    def restart(self) -> None:
        """After a crash: nothing of the process is left but its files."""
        self.crashes += 1
        self.database.dies = None
        for region in self.regions.values():
            region.wire.trouble.clear()
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

    def deliver(self, name: str) -> None:
        """Bring a region up to date, as if all pauses were over."""
        dies, self.database.dies = self.database.dies, None
        self.database.write(lambda connection: connection.execute("UPDATE outbox SET due = 0 WHERE state = 'waiting'"))
        self.database.dies = dies
        with patch("random.uniform", lambda _shortest, longest: longest):  # else luck says what is due again at once
            self.alive(lambda: sync.deliver(self.hub, self.hub.parties[name]))

    def go_on(self, name: str) -> None:
        """Somebody looks at a region that was stopped for its many deletions, and says that they were meant."""
        party = self.hub.parties[name]
        if sides.get(self.database.read(), name).stopped is not None:
            safety.resume(self.hub, party, restore=False)
            sync.collect(self.hub, party, overlap=sync.LONG_OVERLAP, deletions_are_meant=True)

    def decide(self, word: str, index: int) -> None:
        """Somebody in the municipality decides a conflict, having seen what is live; some are not its to decide."""
        party = self.hub.parties[MUNICIPALITY]
        found = deciding.list_conflicts(self.hub, party)
        if not found:
            return
        one = found[index % len(found)]
        delivery = Delivery(f"decision-{self.seconds}", "application/json", deciding.body_of(word, seen=one["seen"]))
        with suppress(Forbidden, Refused):
            self.alive(lambda: deciding.decide(self.hub, party, one["id"], delivery))

    def push(self, delivery: Delivery) -> Answer | None:
        """A municipal system sends; None when it gets no answer."""
        answer: Answer | None = self.alive(lambda: push(self.hub, self.hub.parties[MUNICIPALITY], delivery))
        return answer

    def fetch(self) -> Any:
        """A municipal system asks for its record; None when it gets no answer."""
        return self.alive(lambda: show_record(self.hub, self.hub.parties[MUNICIPALITY], RECORD))

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
        rows = self.database.read().execute("SELECT party, key, body FROM journal WHERE state = 'parked'")
        return [Parked(party, "/".join(key.split("/")[:2]), bytes(body).decode()) for party, key, body in rows]

    def versions(self) -> tuple[int, ...]:
        """How many versions each store holds: the same twice in a row means that nobody writes any more."""
        stores = [self.database, *(region.database for region in self.regions.values())]
        return tuple(store.read().execute("SELECT max(seq) FROM version").fetchone()[0] for store in stores)

    # --- the regions

    def _region(self, name: str) -> Region:
        database = Database(self.folder / f"{name}.sqlite")
        app = fhir_app(database, base_path="/fhir", writable=True, now=lambda: self._now_at(name), new_id=self.new_id)
        wire, direct = Wire(app, self.loop), Wire(app, self.loop)
        base = f"http://{name}.example/fhir"
        return Region(name, database, wire, _client(base, wire), _client(base, direct))

    def _now_at(self, name: str) -> datetime:
        return START + timedelta(seconds=self.seconds) + self.regions[name].skew


def _client(base: str, wire: Wire) -> FhirClient:
    session = requests.Session()
    session.trust_env = False
    session.mount("http://", wire)
    return FhirClient(base, session=session, sleep=lambda _seconds: None)


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
    return World(folder, seed)


def as_json(record: Mapping[str, Any]) -> bytes:
    return json.dumps(record, ensure_ascii=False).encode()


def backup(database: Database, to: Path) -> None:
    """What a nightly backup holds."""
    with closing(sqlite3.connect(to)) as target:
        database.read().backup(target)


__all__ = ["REGIONS", "Delivery", "Region", "World", "as_json", "backup", "copied", "parse_json", "prepared"]
