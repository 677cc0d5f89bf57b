"""What a FHIR server can do, read from its CapabilityStatement (http://hl7.org/fhir/R4/capabilitystatement.html)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from fhir_adapter.fhir.resources import Resource


@dataclass(frozen=True, slots=True)
class Abilities:
    """Which histories there are (of everything, of types, of single resources of types), how a create is guarded, and
    whether it tells by itself what changed.

    `create_condition` goes into a transaction's request: write only where nothing is. RFC 9110 says If-None-Match: *;
    HAPI does not look at it, but refuses If-Match of version 0 where something is.
    """

    history_of_all: bool = False
    history_of_type: frozenset[str] = frozenset()
    history_of_one: frozenset[str] = frozenset()
    create_condition: dict[str, str] = field(default_factory=dict)
    subscriptions: bool = False


def abilities_in(capability: Resource) -> Abilities:
    """What the statement claims for the server role."""
    rest = next((each for each in _objects(capability.get("rest")) if each.get("mode", "server") == "server"), {})
    claimed = {
        (str(each.get("type")), code) for each in _objects(rest.get("resource")) for code in _codes(each, "interaction")
    }
    software = capability.get("software")
    is_hapi = isinstance(software, dict) and "HAPI" in str(software.get("name"))
    return Abilities(
        "history-system" in _codes(rest, "interaction"),
        frozenset(type_ for type_, code in claimed if code == "history-type"),
        frozenset(type_ for type_, code in claimed if code == "history-instance"),
        {"ifMatch": 'W/"0"'} if is_hapi else {"ifNoneMatch": "*"},
        any(each.get("type") == "Subscription" for each in _objects(rest.get("resource"))),
    )


def _codes(holder: dict[str, Any], name: str) -> list[str]:
    return [str(each.get("code")) for each in _objects(holder.get(name))]


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())
