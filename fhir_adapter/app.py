"""The one wiring place: settings in, a running service out. Nothing else knows which classes are put together."""

from __future__ import annotations

import fcntl
import gc
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, fields
from datetime import UTC, date, datetime, timedelta
from functools import partial
from importlib.metadata import version
from pathlib import Path
from typing import IO
from uuid import UUID, uuid4

from fastapi import FastAPI
from starlette.applications import Starlette
from starlette.types import ASGIApp, Receive, Scope, Send

from fhir_adapter.errors import BadDeclaration
from fhir_adapter.flows.hub import Hub, Limits
from fhir_adapter.flows.worker import Worker
from fhir_adapter.mapping import load
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.settings import PLANS, Settings, claim_for_demo
from fhir_adapter.store import outbox, plans, sides
from fhir_adapter.store.database import Database
from fhir_adapter.web import failures, pages
from fhir_adapter.web.conflict_pages import add_conflict_pages
from fhir_adapter.web.conflict_routes import conflict_routes
from fhir_adapter.web.fhir_routes import fhir_app
from fhir_adapter.web.party_routes import add_health, party_routes

FHIR = "/fhir"
"""Where the shared plans are read as FHIR."""

SANDBOX = "/sandbox/fhir"
"""Where the in-process sandbox answers when the server has one."""

IN_SANDBOX = "sandbox.sqlite"
"""File of the data folder that holds what is in the sandbox."""


@dataclass(slots=True)
class Service:
    """A hub with its surfaces and the worker that keeps FHIR parties up to date."""

    hub: Hub
    asgi: ASGIApp
    worker: Worker
    databases: list[Database]
    locks: tuple[IO[str], ...]

    def close(self) -> None:
        """Stop the worker, close the stores and let go of the data folder.

        A worker that a FHIR server keeps waiting is left behind, with the stores open: it loses nothing by that.
        """
        if self.worker.stop():
            for database in self.databases:
                database.close()
        for lock in self.locks:
            lock.close()


def build(settings: Settings, *, sandbox: bool = False) -> Service:
    """The service as the settings say; with `sandbox`, a FHIR server on a second store in the same process.

    Raises BadDeclaration when another process serves the same data folder. Workers may be there already.
    """
    lock = _held_alone(settings.data, "lock", "serves")
    try:
        service = _build(settings, lock, sandbox=sandbox)
        _look_for_garbage_seldom()
        return service
    except BaseException:
        lock.close()
        raise


def _build(settings: Settings, lock: IO[str], *, sandbox: bool) -> Service:
    database, workers = _opened(settings)
    databases = [database]
    worker = Worker(settings.sync_interval)
    hub = _hub(settings, database, worker.wake)
    worker.hub = hub
    mounted: dict[str, ASGIApp] = {FHIR: fhir_app(database, base_path=FHIR, writable=False)}
    if sandbox:
        databases.append(Database(settings.data / IN_SANDBOX))
        mounted[SANDBOX] = fhir_app(databases[-1], base_path=SANDBOX, writable=True)
    return Service(hub, _by_prefix(mounted, _party_app(hub, settings)), worker, databases, (workers, lock))


def _look_for_garbage_seldom() -> None:
    """Resources are trees, freed when the last one lets go of them. Looking for cycles among all that is remembered
    took an eighth of the time of a push; what is here now stays, and the rest is looked through now and then."""
    gc.freeze()
    gc.set_threshold(20_000, 50, 50)


def begin_anew(data: Path) -> None:
    """Take away what an earlier demo left in its folder, and nothing else.

    Raises BadDeclaration when the plans there are not a demo's, or a server or worker is at them.
    """
    claim_for_demo(data)
    with _held_alone(data, "workers", "works on"):
        for name in (PLANS, IN_SANDBOX):
            for part in ("", "-wal", "-shm"):
                (data / f"{name}{part}").unlink(missing_ok=True)


@contextmanager
def open_hub(settings: Settings, changed: Callable[[], None] = lambda: None) -> Iterator[Hub]:
    """The plans of the data folder for a worker or a command, beside a process that may serve them."""
    database, workers = _opened(settings)
    try:
        yield _hub(settings, database, changed)
    finally:
        database.close()
        workers.close()


def _opened(settings: Settings) -> tuple[Database, IO[str]]:
    """The store, and the mark that this process works on it.

    Whoever is the first frees what processes that are gone had claimed; the others let those leases run out.
    """
    workers = _locked(settings.data, "workers")
    is_alone = _hold(workers, fcntl.LOCK_EX)
    try:
        database = Database(settings.data / PLANS)
        if is_alone:
            database.write(outbox.release)
            database.write(sides.release)
    except BaseException:
        workers.close()
        raise
    fcntl.flock(workers, fcntl.LOCK_SH)
    return database, workers


def _locked(data: Path, name: str) -> IO[str]:
    """A file to hold in the data folder; the system lets go of it however the process ends."""
    try:
        data.mkdir(parents=True, exist_ok=True)
        return (data / name).open("w")
    except OSError as fault:
        raise BadDeclaration(f"{data}: {fault.strerror}") from None


def _held_alone(data: Path, name: str, does: str) -> IO[str]:
    lock = _locked(data, name)
    if not _hold(lock, fcntl.LOCK_EX):
        lock.close()
        raise BadDeclaration(f"{data}: another process {does} this data folder")
    return lock


def _hold(lock: IO[str], how: int) -> bool:
    try:
        fcntl.flock(lock, how | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def build_sandbox(data: Path) -> tuple[ASGIApp, Database]:
    """A FHIR R4 server of its own for trying things out: base path /fhir."""
    _locked(data, "lock").close()  # says what is wrong with a folder that cannot be written
    database = Database(data / IN_SANDBOX)
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
        limits=Limits(**{each.name: getattr(settings, each.name) for each in fields(Limits)}),
    )


def _now() -> datetime:
    return datetime.now(UTC)


def _noon_of(day: date) -> datetime:
    return datetime.combine(day, datetime.min.time(), UTC) + timedelta(hours=12)


def _party_app(hub: Hub, settings: Settings) -> FastAPI:
    app = FastAPI(
        title="FHIR care-coordination adapter",
        version=version("fhir-adapter"),
        description="Municipal systems deliver records in their own format and fetch what others changed.",
    )
    failures.answer_with_issues(app)
    app.include_router(party_routes(hub, body_limit=settings.body_limit))
    app.include_router(conflict_routes(hub, body_limit=settings.body_limit))
    add_health(app, hub)
    pages.add_pages(app, hub)
    add_conflict_pages(app, hub)
    return app
