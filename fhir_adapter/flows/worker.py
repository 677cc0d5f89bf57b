"""The worker: delivers as soon as something changed, and looks at every FHIR party now and then.

Each party has threads of its own: one that looks what changed there, and a few that deliver, each another plan. What
must stay in order, the deliveries of one plan to one party, the claim keeps in order (store/outbox.sql).
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from datetime import timedelta

import structlog

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import RemoteError, Unavailable
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
            keeper.bell.ring()

    def stop(self, patience: float = 5.0) -> bool:
        """Finish the current steps and end; False: after `patience` seconds one of them was still under way."""
        for keeper in self._keepers:
            keeper.stopping.set()
            keeper.bell.silence()
        until = time.monotonic() + patience
        return all(keeper.has_ended(until) for keeper in self._keepers)


class _Bell:
    """Wakes one of those who wait. Rung while all are busy, it wakes the next one who comes; more often, once."""

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._rung = self._silenced = False

    def ring(self) -> None:
        with self._changed:
            self._rung = True
            self._changed.notify()

    def silence(self) -> None:
        """Nobody waits any more."""
        with self._changed:
            self._silenced = True
            self._changed.notify_all()

    def wait(self) -> bool:
        """Whether it was rung; False when it never will be again."""
        with self._changed:
            self._changed.wait_for(lambda: self._rung or self._silenced)
            self._rung = False
            return not self._silenced


class _Keeper:
    """One party's threads: a party that is slow or does not answer holds up nobody else."""

    def __init__(self, hub: Hub, party: Party, interval: float) -> None:
        self._hub, self._party, self._interval = hub, party, interval
        self._next_look = self._next_long_look = 0.0
        self.bell, self.stopping = _Bell(), threading.Event()
        self._threads = [self._thread("look", self._look)]
        self._threads += [self._thread("send", self._send) for _ in range(hub.limits.deliveries_at_once)]

    def _thread(self, what: str, run: Callable[[], None]) -> threading.Thread:
        return threading.Thread(target=run, name=f"{what}-{self._party.name}", daemon=True)

    def start(self) -> None:
        for thread in self._threads:
            thread.start()

    def has_ended(self, until: float) -> bool:
        """Whether all its threads ended by then."""
        for thread in self._threads:
            thread.join(max(0.0, until - time.monotonic()))
        return not any(thread.is_alive() for thread in self._threads)

    def _look(self) -> None:
        """See what changed at the party, each interval; and whether another process changed the store."""
        while not self.stopping.is_set():
            seen = self._hub.database.data_version()
            if time.monotonic() >= self._next_look:
                self._next_look = time.monotonic() + self._interval
                self._do(lambda: sync.look(self._hub, self._party, overlap=self._overlap()))
            self.bell.ring()
            self._wait(seen)

    def _wait(self, seen: int) -> None:
        while time.monotonic() < self._next_look and not self.stopping.wait(min(POLL, self._interval)):
            if self._hub.database.data_version() != seen:
                return

    def _send(self) -> None:
        """Deliver when there may be something; where there was, there may be more, for this one or another."""
        while self.bell.wait():
            self._do(lambda: sync.deliver_next(self._hub, self._party, found=self.bell.ring))

    def _do(self, step: Callable[[], object]) -> None:
        """The worker must outlive whatever one party's data does to it, and a disk that is full for a while."""
        try:
            self._blame(step)
        except Unavailable as fault:  # no party's fault, and nothing could be noted about it
            log.error("sync failed", party=self._party.name, error=fault.reason)
            self.stopping.wait(self._interval)

    def _blame(self, step: Callable[[], object]) -> None:
        try:
            step()
        except Unavailable:
            raise
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is this party's
            circuit.failed(self._hub, self._party, RemoteError(type(fault).__name__))
            log.error("sync failed", party=self._party.name, error=type(fault).__name__)

    def _overlap(self) -> timedelta:
        """Now and then a look goes further back: what was written while the clock there was behind lies there."""
        if time.monotonic() < self._next_long_look:
            return sync.OVERLAP
        self._next_long_look = time.monotonic() + LONG_LOOK_EVERY
        return sync.LONG_OVERLAP
