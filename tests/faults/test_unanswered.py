"""A write without an answer, at a region that answers now and then: each attempt goes on where the last one stopped."""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest

from fhir_adapter.app import build_sandbox, open_hub
from fhir_adapter.errors import RemoteError
from fhir_adapter.faults import Proxy, faults_before, faults_in
from fhir_adapter.flows import change, sync
from fhir_adapter.flows.hub import Hub, Limits
from fhir_adapter.flows.push import Delivery, push
from fhir_adapter.flows.verify import verify
from fhir_adapter.remotes.client import Entry, FhirClient, RemoteVersion
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.settings import as_demo, read_settings
from fhir_adapter.store import conflicts, outbox, plans
from fhir_adapter.store.database import Database
from tests import backups
from tests.flows.conftest import SAMPLES

REGION = "region-stockholm"
RESOURCES = 47


class Client(FhirClient):
    """A client without patience; `told` counts whose history it was told; it gets none of what is `mute`.

    `at_write` is what befalls its next write.
    """

    told: Counter[str]
    mute: frozenset[str] = frozenset()
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
        return versions

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
        now = ("UPDATE outbox SET due = 0 WHERE state = 'waiting'", "UPDATE side SET rests_until = 0, lease = 0")
        for statement in now:
            self.hub.database.write(lambda connection, each=statement: connection.execute(each))
        sync.deliver(self.hub, self.hub.parties[REGION])
        return outbox.letters(self.hub.database.read(), 1, also_settled=True)[0].state

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

    def edit(self, name: str) -> None:
        """Somebody there adds a note to what there is, and leaves our mark in it."""
        version = self.direct.read(*name.split("/"))
        assert version
        note = {"note": [{"text": f"about {name}"}]}
        match = {"If-Match": f'W/"{version.version}"'}
        self.direct.send("PUT", name, json={**(version.resource or {}), **note}, headers=match)

    def versions(self) -> dict[str, int]:
        """How many versions the region has of each resource."""
        return Counter(f"{one.type}/{one.id}" for one in self.direct.history())

    def of_ours(self, type_: str) -> list[str]:
        """Our ids there of a type, in one order."""
        rows = self.hub.database.read().execute("SELECT id FROM remote_write_item WHERE type = ? ORDER BY id", (type_,))
        return list(dict.fromkeys(id_ for (id_,) in rows))


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
                client.told = Counter()
                yield Road(replace(hub, clients={REGION: client}), database, proxy, client, FhirClient(url))
                client.close()
    database.close()


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    with a_road(tmp_path) as road:
        yield road


@pytest.fixture
def sip() -> dict[str, Any]:
    """With so many goals that RESOURCES come of it."""
    found: dict[str, Any] = json.loads((SAMPLES / "SIP-1.json").read_text("utf-8"))
    found["mal"] += [{"id": f"N{number}", "text": f"mål {number}"} for number in range(15)]
    return found


def test_the_limits_are_those_that_the_settings_have_by_themselves(road: Road) -> None:
    assert road.hub.limits.delivery_attempts == Limits().delivery_attempts == 12


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("faults", ["503:0.3", "503:0.5", "503:0.3,drop-answer:0.2"])
def test_a_plan_arrives_at_a_region_that_answers_now_and_then(
    tmp_path: Path, sip: dict[str, Any], faults: str, seed: int
) -> None:
    with a_road(tmp_path, seed) as road:
        road.push(sip)
        road.proxy.faults = faults_in(faults)
        road.arrive()
        assert len(road.versions()) == RESOURCES


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("faults", ["503:0.3", "503:0.5"])
def test_what_was_found_of_an_unanswered_write_is_not_looked_for_again(
    tmp_path: Path, sip: dict[str, Any], faults: str, seed: int
) -> None:
    with a_road(tmp_path, seed) as road:
        road.push(sip)
        road.lose_the_next_answer(then=faults)
        road.arrive()
        assert list((+road.client.told).values()) == [1] * RESOURCES
        assert set(road.versions().values()) == {1}


@pytest.mark.parametrize("faults", ["503:0.3", "503:0.5"])
def test_what_the_region_lost_of_it_is_looked_for_once(road: Road, sip: dict[str, Any], faults: str) -> None:
    road.push(sip)
    road.lose_the_next_answer(then="503:1.0")
    road.attempt()
    gone = road.of_ours("Goal")
    for id_ in gone:
        backups.forget(road.region, "Goal", id_)
    road.proxy.faults = faults_in(faults)
    road.arrive()
    assert len(gone) > 15
    assert {road.client.told[f"Goal/{id_}"] for id_ in gone} == {1}


def test_of_a_write_that_is_not_there_one_item_is_asked_for(road: Road, sip: dict[str, Any]) -> None:
    road.push(sip)

    def lose_the_request(_entries: Sequence[Entry]) -> None:
        raise RemoteError("no answer")

    road.client.at_write = lose_the_request
    assert road.attempt() == "waiting"
    road.arrive()
    assert road.client.told.total() == 1


@pytest.mark.parametrize("faults", ["503:0", "503:0.5"])
def test_a_write_that_comes_after_it_was_looked_for_is_known(road: Road, sip: dict[str, Any], faults: str) -> None:
    """Given up, it arrives just before the next one, which then finds its places taken."""
    road.push(sip)
    late: list[Sequence[Entry]] = []

    def hold(entries: Sequence[Entry]) -> None:
        late.append(entries)
        raise RemoteError("no answer")

    def arrive_first(_entries: Sequence[Entry]) -> None:
        road.direct.transaction(late.pop())
        road.proxy.faults = faults_in(faults)

    road.client.at_write = hold
    assert road.attempt() == "waiting"
    road.client.at_write = arrive_first
    road.arrive()
    assert not late
    assert set(road.versions().values()) == {1}


def test_what_somebody_made_of_it_meanwhile_is_taken_in(road: Road, sip: dict[str, Any]) -> None:
    """Of what was found already, and of what was not: nothing is written over, and nobody is asked."""
    plan = road.push(sip)
    road.lose_the_next_answer(then="")
    assert road.attempt() == "waiting"
    goals = [f"Goal/{id_}" for id_ in road.of_ours("Goal")]
    road.client.mute = frozenset(goals[1:2])
    assert road.attempt() == "waiting"
    assert {name in road.client.told for name in goals} == {True, False}
    road.client.mute = frozenset()
    for name in goals:
        road.edit(name)
    assert road.attempt() == "done"
    sync.cycle(road.hub, road.hub.parties[REGION])
    road.check_all_is_the_same()
    live = change.as_refs(plans.members(road.hub.database.read(), plan))
    assert all(live[name]["note"] == [{"text": f"about {name}"}] for name in goals)


def test_an_attempt_that_gets_no_further_counts_all_the_same(road: Road, sip: dict[str, Any]) -> None:
    """Half of it can be found, the other half never: that is parked after as many attempts as anything else."""
    road.push(sip)
    road.lose_the_next_answer(then="")
    assert road.attempt() == "waiting"
    road.client.mute = frozenset(f"Goal/{id_}" for id_ in road.of_ours("Goal"))
    states = [road.attempt() for _ in range(road.hub.limits.delivery_attempts)]
    assert states == ["waiting"] * road.hub.limits.delivery_attempts  # the first of them got further
    assert road.attempt() == "parked"
