"""HAPI as it comes: for a minute it gives as many versions of a history as it counted, and old answers to searches.

HistoryCountModeEnum.CACHED_ONLY_WITHOUT_OFFSET is its default: the older versions are left out, so what it gives looks
whole, and the edit in between is lost. A history that is asked for with `_since` is not counted, and a search with
`Cache-Control: no-cache` is done anew.
"""

from __future__ import annotations

import itertools
import json
import os
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fhir_adapter.errors import RemoteError
from fhir_adapter.faults import faults_in
from fhir_adapter.flows import sync
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.push import Delivery, push
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.store import conflicts, plans
from tests.faults.test_faults import REGION, a_troubled_region, settle
from tests.flows.conftest import SAMPLES

pytestmark = pytest.mark.hapi

_PERSONS = itertools.count(int.from_bytes(os.urandom(2)) % 900)


@pytest.fixture
def sip() -> dict[str, Any]:
    record: dict[str, Any] = json.loads((SAMPLES / "SIP-1.json").read_text("utf-8"))
    record["person"]["personnummer"] = f"19850717{next(_PERSONS):03d}0"
    return record


def test_a_history_is_whole_though_hapi_counted_it_before(hapi_as_it_comes: str) -> None:
    client, name = FhirClient(hapi_as_it_comes), f"Patient/{uuid4()}"
    made = [a_patient(name, gender=gender) for gender in ("female", "male", "other")]
    client.send("PUT", name, json=made[0])
    assert versions_counted(client, name) == ["1"]
    for one in made[1:]:
        client.send("PUT", name, json=one)
    assert versions_counted(client, name) == ["3"], "this is the server that the test is about"
    assert [version.version for version in client.history(*name.split("/"))] == ["1", "2", "3"]


def test_a_search_finds_what_was_not_there_a_moment_ago(hapi_as_it_comes: str) -> None:
    client, name, system = FhirClient(hapi_as_it_comes), f"Patient/{uuid4()}", "http://example.org/number"
    search = {"identifier": f"{system}|{name}"}
    assert len(bundle_of(client, "POST", "Patient/_search", form=search)) == 0
    assert list(client.search("Patient", search)) == []
    client.send("PUT", name, json=a_patient(name, identifier=[{"system": system, "value": name}]))
    assert len(bundle_of(client, "POST", "Patient/_search", form=search)) == 0, (
        "this is the server that the test is about"
    )
    assert [each["id"] for each in client.search("Patient", search)] == [name.partition("/")[2]]


def a_patient(name: str, **elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": name.partition("/")[2], **elements}


def versions_counted(client: FhirClient, name: str) -> list[str]:
    return [entry["resource"]["meta"]["versionId"] for entry in bundle_of(client, "GET", f"{name}/_history")][::-1]


def bundle_of(client: FhirClient, method: str, path: str, **how: Any) -> list[dict[str, Any]]:
    """The entries of the first page, as a client gets them that knows nothing of all this."""
    bundle = json.loads(client.send(method, path, **how).body)
    return list(bundle.get("entry", []))


def test_no_edit_of_that_minute_is_missed(tmp_path: Path, hapi_as_it_comes: str, sip: dict[str, Any]) -> None:
    """Our write arrives, its answer does not, and two people edit on top of it: the first of them is not ours."""
    with a_troubled_region(tmp_path, "", hapi_as_it_comes) as (hub, region, proxy):
        plan, goal = a_push(hub, sip), ""
        settle(hub)
        goal = next(each.id for each in plans.members(hub.database.read(), plan) if b"ringer" in each.body)
        add_note(region, goal, "ett")
        settle(hub)
        sip["mal"][1]["text"] = "Jag ringer på natten."
        proxy.faults = faults_in("drop-answer")
        a_push(hub, sip)
        sync.deliver(hub, hub.parties[REGION])
        proxy.faults = ()
        add_note(region, goal, "två")
        add_note(region, goal, "tre")
        settle(hub)
        for held in (current(region, goal), our_goal(hub, plan, goal)):
            assert sorted(note["text"] for note in held["note"]) == ["ett", "tre", "två"]
            assert held["description"]["text"] == "Jag ringer på natten."
        assert conflicts.of_plan(hub.database.read(), plan) == []


def a_push(hub: Hub, sip: dict[str, Any]) -> str:
    body = json.dumps(sip, ensure_ascii=False).encode()
    answer = push(hub, hub.parties["sodertalje"], Delivery(str(hub.new_id()), "application/json", body))
    assert answer.status in (200, 201), answer.receipt
    return str(json.loads(answer.receipt)["plan"]["id"])


def add_note(region: FhirClient, goal: str, text: str) -> None:
    held = current(region, goal)
    held["note"] = [
        *held.get("note", []),
        {"time": f"2025-03-0{len(held.get('note', [])) + 1}T10:00:00Z", "text": text},
    ]
    region.send("PUT", f"Goal/{goal}", json=held, headers={"If-Match": f'W/"{held["meta"]["versionId"]}"'})


def current(region: FhirClient, goal: str) -> dict[str, Any]:
    version = region.read("Goal", goal)
    if version is None or version.resource is None:
        raise RemoteError("the goal is not there")
    return version.resource


def our_goal(hub: Hub, plan: str, goal: str) -> dict[str, Any]:
    found = (member for member in plans.members(hub.database.read(), plan) if member.id == goal)
    held: dict[str, Any] = json.loads(next(found).body)
    return held
