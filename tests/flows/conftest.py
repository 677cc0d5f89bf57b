"""A running town: the service with three municipalities and a sandbox region, over real HTTP on loopback."""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests

from fhir_adapter.app import SANDBOX, Service, build
from fhir_adapter.flows import sync
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.settings import as_demo, read_settings

SAMPLES = Path(__file__).parents[2] / "mappings" / "se-sip" / "samples"


@dataclass(slots=True)
class Town:
    """The service under test, and what its neighbours do to it."""

    service: Service
    address: str
    region: str

    def push(
        self, record: Any, *, party: str = "sodertalje", key: str | None = None, **headers: str
    ) -> requests.Response:
        body = record if isinstance(record, bytes) else json.dumps(record, ensure_ascii=False).encode()
        return requests.post(
            f"{self.address}/parties/{party}/records",
            data=body,
            timeout=30,
            headers={"Content-Type": "application/json", "Idempotency-Key": key or str(uuid4())} | headers,
        )

    def record(self, name: str = "SIP-1", *, party: str = "sodertalje") -> dict[str, Any]:
        answer = requests.get(f"{self.address}/parties/{party}/records/{name}", timeout=30)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def get(self, path: str, **params: Any) -> requests.Response:
        return requests.get(f"{self.address}{path}", params=params, timeout=30)

    def post(self, path: str, body: Any, *, key: str | None = None) -> requests.Response:
        headers = {"Idempotency-Key": key or str(uuid4())}
        return requests.post(f"{self.address}{path}", json=body, headers=headers, timeout=30)

    def at_region(self, path: str, **params: Any) -> dict[str, Any]:
        answer = requests.get(f"{self.region}/{path}", params=params, timeout=30)
        assert answer.status_code == 200, answer.text
        found: dict[str, Any] = answer.json()
        return found

    def put_at_region(self, resource: dict[str, Any]) -> None:
        version = resource.get("meta", {}).get("versionId")
        answer = requests.put(
            f"{self.region}/{resource['resourceType']}/{resource['id']}",
            json=resource,
            timeout=30,
            headers={"Content-Type": "application/fhir+json"} | ({"If-Match": f'W/"{version}"'} if version else {}),
        )
        assert answer.status_code in (200, 201), answer.text

    def sync(self) -> None:
        """One turn of the worker with the region."""
        party = self.service.hub.parties["region-stockholm"]
        sync.collect(self.service.hub, party)
        sync.deliver(self.service.hub, party)

    def goal_at_region(self, plan: str, word: str) -> dict[str, Any]:
        care_plan = self.at_region(f"CarePlan/{plan}")
        goals = [
            self.at_region(each["reference"]["reference"] if isinstance(each["reference"], dict) else each["reference"])
            for each in care_plan["goal"]
        ]
        return next(goal for goal in goals if word in goal["description"]["text"])


@pytest.fixture
def sip() -> dict[str, Any]:
    found: dict[str, Any] = json.loads((SAMPLES / "SIP-1.json").read_text("utf-8"))
    return found


def a_town(folder: Path, region: str | None) -> Iterator[Town]:
    listening = listen("127.0.0.1", 0)
    address = address_of(listening)
    region = region or f"{address}{SANDBOX}"
    settings = as_demo(read_settings(None, data=folder), region)
    service = build(settings, sandbox=True)
    with answering_in_a_thread(service.asgi, listening):
        yield Town(service, address, region)
    service.close()


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    yield from a_town(tmp_path, None)
