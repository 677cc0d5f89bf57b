"""The safeguards of the synchronisation, each with a way to take it out: without it the machine must find a loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from fhir_adapter.flows import change, history, intake, news, parking, safety, writes
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.store import copies

NOT_SHOWN = parking.NOT_SHOWN


def _only_the_newest_version() -> list[Any]:
    read = history.read

    def newest(*args: Any) -> history.Told:
        told = read(*args)
        return replace(told, start=max(told.start, len(told.versions) - 1))

    return [patch.object(history, "read", newest)]


def _no_write_id() -> list[Any]:
    """Our own writes are known by the answer alone; what comes from the history is somebody else's."""
    return [patch.object(module, "write_id_of", lambda _resource: None) for module in (intake, writes)]


def _no_record_of_the_write() -> list[Any]:
    return [
        patch.object(copies, "unseen_writes_of", lambda *_: {}),
        patch.object(copies, "pending_writes", lambda *_: {}),
    ]


def _no_if_match() -> list[Any]:
    return [patch.object(FhirClient, "_condition", lambda _self, _entry: {})]


def _base_is_the_whole_plan() -> list[Any]:
    apply = change.apply

    def applied(connection: Any, hub: Any, plan: Any, ours: Any, arrival: Any, now: Any) -> Any:
        return apply(connection, hub, plan, ours, replace(arrival, bases=[ours] if arrival.bases else []), now)

    return [patch.object(change, "apply", applied)]


def _no_quarantine() -> list[Any]:
    reason = intake.reason_to_park

    def why(*args: Any) -> str | None:
        found = reason(*args)
        return None if found == NOT_SHOWN else found

    return [patch.object(intake, "reason_to_park", why)]


def _a_number_alone() -> list[Any]:
    return [patch.object(module, "made", lambda _version: "") for module in (history, writes)]


def _nobody_looks_back() -> list[Any]:
    return [patch.object(news, "is_missing", lambda *_: False), patch.object(safety, "astray", lambda *_: [])]


SAFEGUARDS: dict[str, Callable[[], list[Any]]] = {
    "replay of every version": _only_the_newest_version,
    "write id": _no_write_id,
    "record of the pending write": _no_record_of_the_write,
    "If-Match": _no_if_match,
    "base is what was shown": _base_is_the_whole_plan,
    "quarantine": _no_quarantine,
    "a version is more than its number": _a_number_alone,
    "what went back is noticed": _nobody_looks_back,
}


@contextmanager
def without(*safeguards: str) -> Iterator[None]:
    """The product without some of its safeguards."""
    with ExitStack() as stack:
        for safeguard in safeguards:
            for each in SAFEGUARDS[safeguard]():
                stack.enter_context(each)
        yield
