"""The safeguards of the synchronisation, each with a way to take it out: without it the machine must find a loss."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from typing import Any
from unittest.mock import patch

from fhir_adapter.flows import change
from fhir_adapter.flows import collect as collecting
from fhir_adapter.flows import deliver as delivering
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.store import copies

NOT_SHOWN = "a write to something that the party was not shown"


def _only_the_newest_version() -> list[Any]:
    after = collecting.after
    return [patch.object(collecting, "after", lambda versions, copy: after(versions, copy)[-1:])]


def _no_write_id() -> list[Any]:
    return [patch.object(module, "write_id_of", lambda _resource: None) for module in (collecting, delivering)]


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
    reason = collecting._reason_to_park

    def why(*args: Any) -> str | None:
        found = reason(*args)
        return None if found == NOT_SHOWN else found

    return [patch.object(collecting, "_reason_to_park", why)]


SAFEGUARDS: dict[str, Callable[[], list[Any]]] = {
    "replay of every version": _only_the_newest_version,
    "write id": _no_write_id,
    "record of the pending write": _no_record_of_the_write,
    "If-Match": _no_if_match,
    "base is what was shown": _base_is_the_whole_plan,
    "quarantine": _no_quarantine,
}


@contextmanager
def without(*safeguards: str) -> Iterator[None]:
    """The product without some of its safeguards."""
    with ExitStack() as stack:
        for safeguard in safeguards:
            for each in SAFEGUARDS[safeguard]():
                stack.enter_context(each)
        yield
