"""The worker is woken by a push, brings several plans at once, and one plan's changes in their order."""

from __future__ import annotations

import asyncio
import json
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest
from starlette.types import ASGIApp, Receive, Scope, Send

from fhir_adapter.app import Service, build, build_sandbox
from fhir_adapter.flows import worker
from fhir_adapter.flows.push import Delivery, push
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.settings import as_demo, read_settings

NEVER = 3600.0
PATIENCE = 20.0


class Gate:
    """Before a FHIR server: holds the transactions in which a word stands until it is opened, and lists the others."""

    def __init__(self, app: ASGIApp) -> None:
        self._app, self.word = app, b""
        self.reached, self.opened = threading.Event(), threading.Event()

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        body = bytearray()
        if scope.get("method") == "POST":
            while (message := await receive()).get("more_body") or message.get("body"):
                body += message["body"]
                if not message.get("more_body"):
                    break
            if self.word and self.word in body:
                self.reached.set()
                await asyncio.to_thread(self.opened.wait, PATIENCE)

            async def again() -> Any:
                return {"type": "http.request", "body": bytes(body), "more_body": False}

            await self._app(scope, again, send)
        else:
            await self._app(scope, receive, send)


@contextmanager
def a_service(folder: Path) -> Iterator[tuple[Service, Gate, FhirClient]]:
    """The service, whose worker looks at the region once and then never again by itself."""
    asgi, database = build_sandbox(folder / "region")
    gate, listening = Gate(asgi), listen("127.0.0.1", 0)
    with answering_in_a_thread(gate, listening):
        url = f"{address_of(listening)}/fhir"
        settings = as_demo(read_settings(None, data=folder / "data"), url)
        service = build(settings.model_copy(update={"sync_interval": NEVER}))
        service.worker.start()
        try:
            yield service, gate, FhirClient(url)
        finally:
            gate.opened.set()
            service.close()
    database.close()


def a_push(service: Service, sip: dict[str, Any], number: int, text: str = "") -> str:
    record = json.loads(json.dumps(sip)) | {"id": f"SIP-{number}"}
    record["person"]["personnummer"] = f"19850714{number:04d}"
    if text:
        record["mal"][2]["text"] = text
    body = json.dumps(record, ensure_ascii=False).encode()
    answer = push(service.hub, service.hub.parties["sodertalje"], Delivery(f"{number}{text}", "application/json", body))
    return str(json.loads(answer.receipt)["plan"]["id"])


def is_there(region: FhirClient, plan: str, seconds: float = PATIENCE) -> bool:
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        if region.read("CarePlan", plan):
            return True
        time.sleep(0.01)
    return False


def test_a_push_wakes_the_worker_at_once(tmp_path: Path, sip: dict[str, Any], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(worker, "POLL", NEVER)  # no timer helps
    with a_service(tmp_path) as (service, _, region):
        assert is_there(region, a_push(service, sip, 1))


def test_a_plan_whose_delivery_takes_long_holds_up_no_other(tmp_path: Path, sip: dict[str, Any]) -> None:
    with a_service(tmp_path) as (service, gate, region):
        assert is_there(region, a_push(service, sip, 1))
        gate.word = b"198507140002"
        slow = a_push(service, sip, 2)
        assert gate.reached.wait(PATIENCE)
        others = [a_push(service, sip, number) for number in (3, 4, 5, 6, 7)]
        assert all(is_there(region, plan) for plan in others)
        assert not is_there(region, slow, 0.0)
        gate.opened.set()
        assert is_there(region, slow)


def test_changes_of_one_plan_wait_for_each_other(tmp_path: Path, sip: dict[str, Any]) -> None:
    with a_service(tmp_path) as (service, gate, region):
        plan = a_push(service, sip, 1)
        assert is_there(region, plan)
        gate.word = b"kommun 1"
        a_push(service, sip, 1, "kommun 1")
        assert gate.reached.wait(PATIENCE)
        a_push(service, sip, 1, "kommun 2")
        assert is_there(region, a_push(service, sip, 2))
        assert texts(region) == [], "the second change does not overtake the first"
        gate.opened.set()
        end = time.monotonic() + PATIENCE
        while len(texts(region)) < 2 and time.monotonic() < end:
            time.sleep(0.01)
        assert texts(region) == ["kommun 1", "kommun 2"]


def texts(region: FhirClient) -> list[str]:
    versions = (version.resource or {} for version in region.history("Goal"))
    said = (version.get("description", {}).get("text", "") for version in versions)
    return [text for text in said if text.startswith("kommun ")]
