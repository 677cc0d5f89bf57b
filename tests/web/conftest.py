"""FHIR servers that really answer on a port: tests speak HTTP with them, as any client would."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import UTC, datetime, timedelta

import httpx
import pytest
from starlette.applications import Starlette
from starlette.routing import Mount

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.store import resources
from fhir_adapter.store.database import Database
from fhir_adapter.web.fhir_routes import fhir_app

NOON = datetime(2025, 2, 19, 12, tzinfo=UTC)


class Clock:
    """Stands still until it is moved."""

    def __init__(self) -> None:
        self.time = NOON

    def __call__(self) -> datetime:
        return self.time

    def move(self, **step: float) -> None:
        self.time += timedelta(**step)


@contextmanager
def serving(database: Database, clock: Clock) -> Iterator[str]:
    """The address of a server with /fhir (read only) and /sandbox (writable) over one store."""
    listening = listen("127.0.0.1", 0)
    app = Starlette(
        routes=[
            Mount("/fhir", fhir_app(database, base_path="/fhir", writable=False, now=clock)),
            Mount("/sandbox", fhir_app(database, base_path="/sandbox", writable=True, now=clock)),
        ]
    )
    address = address_of(listening)
    with answering_in_a_thread(app, listening):
        yield address


class Served:
    """A store, its clock and a client for each of its two surfaces."""

    def __init__(self, database: Database, clock: Clock, address: str, clients: ExitStack) -> None:
        self.database, self.clock, self.address = database, clock, address
        self.fhir = clients.enter_context(httpx.Client(base_url=f"{address}/fhir"))
        self.sandbox = clients.enter_context(httpx.Client(base_url=f"{address}/sandbox"))

    def save(self, *given: Resource) -> None:
        """Store resources as they are, one version each."""
        for resource in given:
            self.database.write(lambda connection, each=resource: resources.save(connection, each, now=self.clock()))

    def found(self, query: str) -> list[str]:
        """`Type/id` of every match on every page."""
        references, url = [], query
        while url:
            answer = self.fhir.get(url)
            assert answer.status_code == 200, answer.text
            bundle = answer.json()
            references += [
                f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
                for entry in bundle.get("entry", [])
                if entry["search"]["mode"] == "match"
            ]
            url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
        return references


@pytest.fixture(scope="module")
def serve(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Callable[[], Served]]:
    """Makes servers, each with an empty store of its own; they stop with the module."""
    with ExitStack() as stack:

        def serve() -> Served:
            database = Database(tmp_path_factory.mktemp("store") / "plans.sqlite")
            stack.callback(database.close)
            clock = Clock()
            return Served(database, clock, stack.enter_context(serving(database, clock)), stack)

        yield serve


@pytest.fixture(scope="module")
def served(serve: Callable[[], Served]) -> Served:
    """One server for the module: tests use ids of their own."""
    return serve()
