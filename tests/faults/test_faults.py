"""The sync under faults: each alone and all together; nothing is lost, doubled or out of order, and it settles."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import pairwise
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import pytest
import requests

from fhir_adapter.app import build_sandbox, open_hub
from fhir_adapter.errors import BadDeclaration
from fhir_adapter.faults import KINDS, Fault, Proxy, faults_before, faults_in
from fhir_adapter.flows import letters, sync
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.push import Delivery, push
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.settings import as_demo, read_settings
from fhir_adapter.store import conflicts, outbox, plans
from tests.flows.conftest import SAMPLES

REGION = "region-stockholm"
ROUNDS = 4
MIXED = ",".join(f"{kind}:0.06" for kind in KINDS if kind not in ("delay", "stale")) + ",delay:10ms:0.3,stale:1s:0.3"


@contextmanager
def a_troubled_region(folder: Path, faults: str, direct: str | None = None) -> Iterator[tuple[Hub, FhirClient, Proxy]]:
    """The plans, the region without faults, and the proxy between them. `direct`: the region's own base URL."""
    with _region(folder, direct) as region:
        parts = urlsplit(region)
        assert parts.hostname
        assert parts.port
        with faults_before(parts.hostname, parts.port, faults_in(faults), seed=7) as (address, proxy):
            settings = as_demo(read_settings(None, data=folder / "data"), f"{address}{parts.path}").model_copy(
                update={
                    "remote_timeout": 0.4 if direct is None else 5.0,
                    "longest_pause": 0.01,
                    "delivery_attempts": 50,
                }
            )
            with open_hub(settings) as hub:
                yield hub, FhirClient(region), proxy


@contextmanager
def _region(folder: Path, direct: str | None) -> Iterator[str]:
    if direct:
        yield direct
        return
    asgi, database = build_sandbox(folder / "region")
    listening = listen("127.0.0.1", 0)
    with answering_in_a_thread(asgi, listening):
        yield f"{address_of(listening)}/fhir"
    database.close()


def edits_of_both_sides(hub: Hub, region: FhirClient, proxy: Proxy, person: str) -> tuple[str, str]:
    """Both sides count upwards, each in a goal of its own; returns the plan and the id of the municipality's goal."""
    sip = json.loads((SAMPLES / "SIP-1.json").read_text("utf-8"))
    sip["person"]["personnummer"] = person
    sip["id"] = f"SIP-{person}"
    troubles, proxy.faults = proxy.faults, ()
    plan = _push(hub, sip, f"{person}-0")
    settle(hub)  # the start is undisturbed, so that the region has something to edit
    proxy.faults = troubles
    for number in range(1, ROUNDS + 1):
        sip["mal"][2]["text"] = f"kommun {number}"
        _push(hub, sip, f"{person}-{number}")
        turn(hub)
        _region_counts(region, plan, number)
        turn(hub)
    return plan, _goal(region, plan, "kommun")["id"]


def _push(hub: Hub, sip: dict[str, Any], key: str) -> str:
    body = json.dumps(sip, ensure_ascii=False).encode()
    answer = push(hub, hub.parties["sodertalje"], Delivery(key, "application/json", body))
    assert answer.status in (200, 201), answer.receipt
    return str(json.loads(answer.receipt)["plan"]["id"])


def turn(hub: Hub) -> sync.Cycle:
    """One turn, as if all pauses were over; what was parked is tried again, as somebody would have it."""
    party = hub.parties[REGION]
    hub.database.write(lambda connection: connection.execute("UPDATE outbox SET due = 0 WHERE state = 'waiting'"))
    hub.database.write(lambda connection: connection.execute("UPDATE side SET rests_until = 0"))
    for letter in letters.listed(hub):
        if letter.state == "parked":
            letters.retry(hub, letter.id)
    return sync.cycle(hub, party, overlap=sync.LONG_OVERLAP)


def settle(hub: Hub) -> int:
    """Turns until nothing happens any more, whatever waits for somebody to decide."""
    for number in range(200):
        cycle = replace(turn(hub), undecided=0)
        if cycle.is_settled and not cycle.taken and not cycle.delivered:
            return number
    raise AssertionError("it does not come to rest")


def _goal(region: FhirClient, plan: str, word: str) -> dict[str, Any]:
    care_plan = region.read("CarePlan", plan)
    assert care_plan
    assert care_plan.resource
    goals = [region.read("Goal", each["reference"].partition("/")[2]) for each in care_plan.resource["goal"]]
    texts = (goal.resource for goal in goals if goal and goal.resource)
    return next(goal for goal in texts if word in goal["description"]["text"])


def _region_counts(region: FhirClient, plan: str, number: int) -> None:
    goal = _goal(region, plan, "ringer")
    goal["note"] = [*goal.get("note", []), {"time": f"2025-03-{number:02d}T10:00:00Z", "text": f"region {number}"}]
    region.send("PUT", f"Goal/{goal['id']}", json=goal, headers={"If-Match": f'W/"{goal["meta"]["versionId"]}"'})


def check_nothing_was_lost_doubled_or_disordered(hub: Hub, region: FhirClient, plan: str, counted: str) -> None:
    texts = [version.resource["description"]["text"] for version in region.history("Goal", counted) if version.resource]
    numbers = [int(found[1]) for text in texts if (found := re.fullmatch(r"kommun (\d+)", text))]
    assert numbers[-1] == ROUNDS, "lost"
    assert all(earlier < later for earlier, later in pairwise(numbers)), f"doubled or out of order: {numbers}"
    notes = str([each.body for each in plans.members(hub.database.read(), plan) if each.type == "Goal"])
    assert [
        notes.count(f"region {number}\\") + notes.count(f'region {number}"') for number in range(1, ROUNDS + 1)
    ] == [1] * ROUNDS
    assert conflicts.of_plan(hub.database.read(), plan) == []
    assert outbox.open_count(hub.database.read(), REGION) == (0, 0)


@pytest.mark.parametrize(
    "faults",
    [
        *(f"{kind}:0.25" for kind in KINDS if kind not in ("delay", "stale", "half-open", "429")),
        "429:0.1",
        "half-open:0.08",
        "delay:20ms",
        "stale:1s",
        MIXED,
    ],
)
def test_sync_settles_under(faults: str, tmp_path: Path) -> None:
    with a_troubled_region(tmp_path, faults) as (hub, region, proxy):
        plan, goal = edits_of_both_sides(hub, region, proxy, "198507142381")
        happened = sum(proxy.counts.values())
        proxy.faults = tuple(fault for fault in proxy.faults if fault.kind != "stale")
        settle(hub)
        assert happened
        check_nothing_was_lost_doubled_or_disordered(hub, region, plan, goal)


def test_writing_stops_once_all_is_the_same(tmp_path: Path) -> None:
    with a_troubled_region(tmp_path, MIXED) as (hub, region, proxy):
        edits_of_both_sides(hub, region, proxy, "198507142381")
        settle(hub)
        before = len(region.history())
        proxy.faults = ()
        for _ in range(3):
            assert turn(hub).is_settled
        assert len(region.history()) == before


def test_the_same_seed_gives_the_same_faults(tmp_path: Path) -> None:
    asgi, database = build_sandbox(tmp_path)
    listening = listen("127.0.0.1", 0)
    seen = []
    with answering_in_a_thread(asgi, listening):
        for _ in range(2):
            with faults_before(*listening.getsockname()[:2], faults_in("503:0.4,drop-request:0.2"), seed=3) as (url, _):
                seen.append([_status(f"{url}/fhir/metadata") for _ in range(20)])
    database.close()
    assert seen[0] == seen[1]
    assert {200, 503, None} <= set(seen[0])


def _status(url: str) -> int | None:
    try:
        return requests.get(url, timeout=5, headers={"Connection": "close"}).status_code
    except requests.RequestException:
        return None


@pytest.mark.parametrize(
    ("kind", "status", "header"),
    [("429", 429, "retry-after"), ("503", 503, None), ("502", 502, "content-type"), ("delay:1ms", 200, None)],
)
def test_a_fault_is_what_its_name_says(kind: str, status: int, header: str | None, tmp_path: Path) -> None:
    asgi, database = build_sandbox(tmp_path)
    listening = listen("127.0.0.1", 0)
    there = listening.getsockname()[:2]
    with answering_in_a_thread(asgi, listening), faults_before(*there, faults_in(kind)) as (url, _):
        answer = requests.get(f"{url}/fhir/metadata", timeout=5)
    database.close()
    assert answer.status_code == status
    assert header is None or header in answer.headers


@pytest.mark.parametrize("spec", ["gremlins:0.1", "429:2", "delay:0.5", "drop-answer:often", "429:0.1:0.2"])
def test_a_word_that_is_no_fault_is_named(spec: str) -> None:
    with pytest.raises(BadDeclaration, match=spec.partition(":")[0]):
        faults_in(spec)


def test_a_specification_is_read() -> None:
    assert faults_in("drop-answer:0.1, delay:200ms") == (Fault("drop-answer", 0.1), Fault("delay", 1.0, 0.2))
