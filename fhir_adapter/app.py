"""The one wiring place: settings in, a running service out. Nothing else knows which classes are put together."""

from __future__ import annotations

import fcntl
import gc
import random
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO
from uuid import UUID, uuid4

import structlog
from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import BadDeclaration, RemoteError
from fhir_adapter.flows import sync
from fhir_adapter.flows.hub import Hub
from fhir_adapter.mapping import load
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.settings import Settings
from fhir_adapter.store import outbox, plans
from fhir_adapter.store.database import Database
from fhir_adapter.web import failures, pages
from fhir_adapter.web.conflict_routes import conflict_routes
from fhir_adapter.web.fhir_routes import fhir_app
from fhir_adapter.web.party_routes import add_health, party_routes

FHIR = "/fhir"
"""Where the shared plans are read as FHIR."""

SANDBOX = "/sandbox/fhir"
"""Where the in-process sandbox answers when the server has one."""

LONG_LOOK_EVERY = 60.0
"""Seconds between looks at a party's history that go sync.LONG_OVERLAP back."""

log = structlog.get_logger()


@dataclass(slots=True)
class Service:
    """A hub with its surfaces and the worker that keeps FHIR parties up to date."""

    hub: Hub
    asgi: ASGIApp
    worker: Worker
    databases: list[Database]
    lock: IO[str]

    def close(self) -> None:
        """Stop the worker, close the stores and let go of the data folder."""
        self.worker.stop()
        for database in self.databases:
            database.close()
        self.lock.close()


def build(settings: Settings, *, sandbox: bool = False) -> Service:
    """The service as the settings say; with `sandbox`, a FHIR server on a second store in the same process.

    Raises BadDeclaration when another process serves the same data folder.
    """
    lock = _hold(settings.data)
    try:
        service = _build(settings, lock, sandbox=sandbox)
        _look_for_garbage_seldom()
        return service
    except BaseException:
        lock.close()
        raise


def _build(settings: Settings, lock: IO[str], *, sandbox: bool) -> Service:
    database = Database(settings.data / "plans.sqlite")
    database.write(outbox.release)
    databases = [database]
    worker = Worker(settings.sync_interval)
    hub = _hub(settings, database, worker.wake)
    worker.hub = hub
    mounted: dict[str, ASGIApp] = {FHIR: fhir_app(database, base_path=FHIR, writable=False)}
    if sandbox:
        databases.append(Database(settings.data / "sandbox.sqlite"))
        mounted[SANDBOX] = fhir_app(databases[-1], base_path=SANDBOX, writable=True)
    return Service(hub, _by_prefix(mounted, _party_app(hub, settings)), worker, databases, lock)


def _look_for_garbage_seldom() -> None:
    """Resources are trees, freed when the last one lets go of them. Looking for cycles among all that is remembered
    took an eighth of the time of a push; what is here now stays, and the rest is looked through now and then."""
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


def _hold(data: Path) -> IO[str]:
    """The data folder for this process alone; the system lets go of it however the process ends."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        lock = (data / "lock").open("w")
    except OSError as fault:
        raise BadDeclaration(f"{data}: {fault.strerror}") from None
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        lock.close()
        raise BadDeclaration(f"{data}: another process serves this data folder") from None
    return lock


def build_sandbox(data: Path) -> tuple[ASGIApp, Database]:
    """A FHIR R4 server of its own for trying things out: base path /fhir."""
    database = Database(data / "sandbox.sqlite")
    return _by_prefix({FHIR: fhir_app(database, base_path=FHIR, writable=True)}, Starlette()), database


def _by_prefix(mounted: dict[str, ASGIApp], rest: ASGIApp) -> ASGIApp:
    """Each prefix to its application, everything else to `rest`. A FHIR base answers as [base] and as [base]/."""

    async def dispatch(scope: Scope, receive: Receive, send: Send) -> None:
        path = scope.get("path", "")
        for prefix, application in mounted.items():
            if path == prefix or path.startswith(prefix + "/"):
                inner = {**scope, "root_path": scope.get("root_path", "") + prefix}
                await application(inner | ({"path": prefix + "/"} if path == prefix else {}), receive, send)
                return
        await rest(scope, receive, send)

    return dispatch


def _hub(settings: Settings, database: Database, changed: Callable[[], None]) -> Hub:
    parties = {each.name: each.as_party() for each in settings.parties}
    names = {party.mapping for party in parties.values() if party.mapping}
    namespace = database.write(lambda connection: plans.instance_value(connection, "namespace", str(uuid4())))
    return Hub(
        database=database,
        parties=parties,
        mappings={name: load.find(name, settings.mappings) for name in sorted(names)},
        clients={
            party.name: FhirClient(party.fhir, timeout=settings.remote_timeout)
            for party in parties.values()
            if party.fhir
        },
        namespace=UUID(namespace),
        now=_now,
        consents_judged_at=partial(_noon_of, settings.consents_judged_on) if settings.consents_judged_on else _now,
        new_id=uuid4,
        changed=changed,
        delivery_attempts=settings.delivery_attempts,
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _noon_of(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=12)


def _party_app(hub: Hub, settings: Settings) -> FastAPI:
    app = FastAPI(
        title="FHIR care-coordination adapter",
        version="0.1.0",
        description="Municipal systems deliver records in their own format and fetch what others changed.",
    )
    failures.answer_with_issues(app)
    app.include_router(party_routes(hub, body_limit=settings.body_limit))
    app.include_router(conflict_routes(hub, body_limit=settings.body_limit))
    add_health(app, hub)
    pages.add_pages(app, hub)
    return app


class Worker(threading.Thread):
    """Delivers as soon as something changed, and looks at every FHIR party each `interval` seconds."""

    hub: Hub

    def __init__(self, interval: float) -> None:
        super().__init__(name="sync", daemon=True)
        self._interval = interval
        self._woken = threading.Event()
        self._stopping = False
        self._next_long_look: dict[str, float] = {}
        self._rests_until: dict[str, float] = {}
        self._failures: dict[str, int] = {}

    def wake(self) -> None:
        """There is something to deliver."""
        self._woken.set()

    def stop(self) -> None:
        """Finish the current step and end."""
        self._stopping = True
        self._woken.set()
        if self.is_alive():
            self.join()

    def run(self) -> None:
        next_look = 0.0
        while not self._stopping:
            look = time.monotonic() >= next_look
            if look:
                next_look = time.monotonic() + self._interval
            for party in self.hub.fhir_parties:
                self._serve(party, look)
            self._woken.wait(max(0.0, next_look - time.monotonic()))
            self._woken.clear()

    def _serve(self, party: Party, look: bool) -> None:
        """One turn with a party. A party that does not answer rests for a while and holds up nobody else."""
        if time.monotonic() < self._rests_until.get(party.name, 0.0):
            return
        try:
            if look:
                sync.collect(self.hub, party, overlap=self._overlap(party))
            sync.deliver(self.hub, party)
            self._failures[party.name] = 0
        except RemoteError as fault:
            self._rest(party, fault.retry_after)
            log.warning("party does not answer", party=party.name, answered=fault.answered)
        except Exception as fault:  # noqa: BLE001 - the worker must outlive whatever one party's data does to it
            self._rest(party, None)
            log.error("sync failed", party=party.name, error=type(fault).__name__)

    def _overlap(self, party: Party) -> timedelta:
        """Now and then a look goes further back: what was written while the clock there was behind lies there."""
        if time.monotonic() < self._next_long_look.get(party.name, 0.0):
            return sync.OVERLAP
        self._next_long_look[party.name] = time.monotonic() + LONG_LOOK_EVERY
        return sync.LONG_OVERLAP

    def _rest(self, party: Party, asked: float | None) -> None:
        self._failures[party.name] = self._failures.get(party.name, 0) + 1
        pause = asked or random.uniform(0.2, min(60.0, 0.5 * 2 ** self._failures[party.name]))  # noqa: S311 - jitter
        self._rests_until[party.name] = time.monotonic() + pause
