"""The worker: delivers as soon as something changed and looks at every FHIR party now and then, a thread for each."""

from __future__ import annotations

import threading
import time
from datetime import timedelta

import structlog

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import RemoteError
from fhir_adapter.flows import circuit, sync
from fhir_adapter.flows.hub import Hub

POLL = 0.1
"""Seconds between two looks whether another process changed the store."""

LONG_LOOK_EVERY = 60.0
"""Seconds between looks at a party's history that go sync.LONG_OVERLAP back."""

log = structlog.get_logger()


class Worker:
    """Keeps every FHIR party of `hub` up to date; any number of them may work on one store."""

    hub: Hub

    def __init__(self, interval: float) -> None:
        self._interval = interval
        self._keepers: list[_Keeper] = []

    def start(self) -> None:
        """Begin; returns at once."""
        self._keepers = [_Keeper(self.hub, party, self._interval) for party in self.hub.fhir_parties]
        for keeper in self._keepers:
            keeper.start()

    def wake(self) -> None:
        """There is something to deliver."""
        for keeper in self._keepers:
            keeper.woken.set()

    def stop(self, patience: float = 5.0) -> bool:
        """Finish the current steps and end; False: after `patience` seconds one of them was still under way."""
        for keeper in self._keepers:
            keeper.stopping = True
            keeper.woken.set()
        until = time.monotonic() + patience
        for keeper in self._keepers:
            keeper.join(max(0.0, until - time.monotonic()))
        return not any(keeper.is_alive() for keeper in self._keepers)


class _Keeper(threading.Thread):
    """One party's thread: a party that is slow or does not answer holds up nobody else."""

    def __init__(self, hub: Hub, party: Party, interval: float) -> None:
        super().__init__(name=f"sync-{party.name}", daemon=True)
        self._hub, self._party, self._interval = hub, party, interval
        self.woken = threading.Event()
        self.stopping = False
        self._next_long_look = 0.0

    def run(self) -> None:
        next_look = 0.0
        while not self.stopping:
            seen = self._hub.database.data_version()
            look = time.monotonic() >= next_look
            if look:
                next_look = time.monotonic() + self._interval
            self._serve(look)
            self._wait(next_look, seen)

    def _serve(self, look: bool) -> None:
        try:
            if look:
                sync.cycle(self._hub, self._party, overlap=self._overlap())
            else:
                sync.deliver(self._hub, self._party)
        except Exception as fault:  # noqa: BLE001 - the worker must outlive whatever one party's data does to it
            circuit.failed(self._hub, self._party, RemoteError(type(fault).__name__))
            log.error("sync failed", party=self._party.name, error=type(fault).__name__)

    def _overlap(self) -> timedelta:
        """Now and then a look goes further back: what was written while the clock there was behind lies there."""
        if time.monotonic() < self._next_long_look:
            return sync.OVERLAP
        self._next_long_look = time.monotonic() + LONG_LOOK_EVERY
        return sync.LONG_OVERLAP

    def _wait(self, until: float, seen: int) -> None:
        while not self.stopping and time.monotonic() < until:
            if self.woken.wait(min(POLL, self._interval)) or self._hub.database.data_version() != seen:
                break
        self.woken.clear()
