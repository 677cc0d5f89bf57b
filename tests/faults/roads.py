"""A region behind the fault proxy, and the plans kept the same with it: where tests of single requests begin."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import timedelta
from math import inf
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from fhir_adapter.app import build_sandbox, open_hub
from fhir_adapter.errors import RemoteError
from fhir_adapter.faults import Proxy, faults_before, faults_in
from fhir_adapter.flows import change, sync
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.push import Delivery, push
from fhir_adapter.flows.verify import verify
from fhir_adapter.plan.merge import Refs
from fhir_adapter.remotes.client import Answer, Entry, FhirClient, RemoteVersion
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.settings import as_demo, read_settings
from fhir_adapter.store import conflicts, outbox, plans
from fhir_adapter.store.database import Database
from tests.flows.conftest import SAMPLES

REGION = "region-stockholm"


class Client(FhirClient):
    """A client that does not wait; `told` counts whose history it was told; it gets none of what is `mute`.

    `at_write` is what befalls its next write; `answered` counts the answers by what was asked. After `allowed` of them
    it is asked to wait. No list of changes shows what is `late`.
    """

    told: Counter[str]
    answered: Counter[str]
    mute: frozenset[str] = frozenset()
    allowed: float = inf
    late: frozenset[str] = frozenset()
    at_write: Callable[[Sequence[Entry]], None] | None = None

    def history(
        self, type_: str | None = None, id_: str | None = None, since: str | None = None
    ) -> list[RemoteVersion]:
        if f"{type_}/{id_}" in self.mute:
            raise RemoteError("an error of the server", answered=500)
        try:
            versions = super().history(type_, id_, since)
        except RemoteError as fault:
            self.told[f"{type_}/{id_}"] += fault.answered == 404
            raise
        self.told[f"{type_}/{id_}"] += 1
        return versions if id_ else [one for one in versions if f"{one.type}/{one.id}" not in self.late]

    def send(self, method: str, path_or_url: str = "", **how: Any) -> Answer:
        if self.answered.total() >= self.allowed:
            raise RemoteError("too many requests", answered=429, retry_after=30)
        answer = super().send(method, path_or_url, **how)
        self.answered[f"{method} {path_or_url.removeprefix(self.base_url)}"] += 1
        return answer

    def transaction(self, entries: Sequence[Entry]) -> list[RemoteVersion]:
        befalls, self.at_write = self.at_write, None
        if befalls:
            befalls(entries)
        return super().transaction(entries)


@dataclass(slots=True)
class Road:
    """The plans, the region's own store, the way there, and a client that goes around it."""

    hub: Hub
    region: Database
    proxy: Proxy
    client: Client
    direct: FhirClient

    def push(self, record: dict[str, Any]) -> str:
        body = json.dumps(record).encode()
        answer = push(self.hub, self.hub.parties["sodertalje"], Delivery(f"{body!r}", "application/json", body))
        return str(json.loads(answer.receipt)["plan"]["id"])

    def lose_the_next_answer(self, then: str) -> None:
        """The region does what it is asked; nobody hears of it. `then`: the faults from there on."""

        def lose(entries: Sequence[Entry]) -> None:
            self.direct.transaction(entries)
            self.proxy.faults = faults_in(then)
            raise RemoteError("no answer")

        self.client.at_write = lose

    def attempt(self) -> str:
        """Deliver, as if all pauses were over; the state of the delivery."""
        self._end_the_pauses()
        sync.deliver(self.hub, self.hub.parties[REGION])
        return outbox.letters(self.hub.database.read(), 1, also_settled=True)[0].state

    def look(self, overlap: timedelta = sync.OVERLAP) -> int | None:
        """Look what is new there, as if all pauses were over."""
        self._end_the_pauses()
        return sync.look(self.hub, self.hub.parties[REGION], overlap=overlap)

    def _end_the_pauses(self) -> None:
        now = ("UPDATE outbox SET due = 0 WHERE state = 'waiting'", "UPDATE side SET rests_until = 0, lease = 0")
        for statement in now:
            self.hub.database.write(lambda connection, each=statement: connection.execute(each))

    def arrive(self) -> None:
        """Attempts until there is nothing to deliver; then all is there and alike."""
        for _ in range(100):
            if (state := self.attempt()) != "waiting":
                break
        self.proxy.faults = ()
        assert state == "done"
        self.check_all_is_the_same()

    def check_all_is_the_same(self) -> None:
        assert list(verify(self.hub, self.hub.parties[REGION])) == []
        plan = plans.newest(self.hub.database.read(), 1)[0]
        assert conflicts.of_plan(self.hub.database.read(), plan.id) == []

    def plan(self) -> Refs:
        """The newest plan as it is here."""
        connection = self.hub.database.read()
        return change.as_refs(plans.members(connection, plans.newest(connection, 1)[0].id))

    def edit(self, name: str, words: str = "") -> None:
        """Somebody there notes something on what there is, and leaves our mark in it."""
        version = self.direct.read(*name.split("/"))
        assert version
        resource, new = version.resource or {}, {"text": words or f"about {name}"}
        notes = [one for one in resource.get("note", []) if one != new]
        match = {"If-Match": f'W/"{version.version}"'}
        self.direct.send("PUT", name, json=resource | {"note": [*notes, new]}, headers=match)

    def versions(self) -> dict[str, int]:
        """How many versions the region has of each resource."""
        return Counter(f"{one.type}/{one.id}" for one in self.direct.history())

    def of_ours(self, type_: str) -> list[str]:
        """Our ids there of a type, in one order."""
        rows = self.hub.database.read().execute("SELECT id FROM remote_write_item WHERE type = ? ORDER BY id", (type_,))
        return list(dict.fromkeys(id_ for (id_,) in rows))


def with_goals(number: int) -> dict[str, Any]:
    """SIP-1 with so many goals more."""
    found: dict[str, Any] = json.loads((SAMPLES / "SIP-1.json").read_text("utf-8"))
    found["mal"] += [{"id": f"N{each}", "text": f"mål {each}"} for each in range(number)]
    return found


@contextmanager
def a_road(folder: Path, seed: int = 1) -> Iterator[Road]:
    asgi, database = build_sandbox(folder / "region")
    listening = listen("127.0.0.1", 0)
    with answering_in_a_thread(asgi, listening):
        url = f"{address_of(listening)}/fhir"
        there = urlsplit(url)
        with faults_before(str(there.hostname), there.port or 0, (), seed=seed) as (address, proxy):
            settings = as_demo(read_settings(None, data=folder / "data"), f"{address}/fhir")
            with open_hub(settings) as hub:
                client = Client(f"{address}/fhir", sleep=lambda _seconds: None)
                client.told, client.answered = Counter(), Counter()
                yield Road(replace(hub, clients={REGION: client}), database, proxy, client, FhirClient(url))
                client.close()
    database.close()
