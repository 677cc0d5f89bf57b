"""What a FHIR server can do, read from its CapabilityStatement (http://hl7.org/fhir/R4/capabilitystatement.html)."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhir_adapter.fhir.resources import Resource


@dataclass(frozen=True, slots=True)
class Abilities:
    """Which histories there are (of everything, of types, of single resources of types), how a create is guarded, and
    whether it tells by itself what changed.

    `creates_by_version`: RFC 9110 says If-None-Match: * for a write only where nothing is. HAPI does not look at it,
    but refuses If-Match of another version than the current one, which is 0 where nothing ever was.
    """

    history_of_all: bool = False
    history_of_type: frozenset[str] = frozenset()
    history_of_one: frozenset[str] = frozenset()
    creates_by_version: bool = False
    subscriptions: bool = False

    def condition_to_create(self, deleted: str | None = None) -> dict[str, str]:
        """What goes into a transaction's request: write only where nothing is; `deleted`: where that is the version in
        which what had been there was deleted."""
        return {"ifMatch": f'W/"{deleted or 0}"'} if self.creates_by_version else {"ifNoneMatch": "*"}


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
        is_hapi,
        any(each.get("type") == "Subscription" for each in _objects(rest.get("resource"))),
    )


def _codes(holder: dict[str, Any], name: str) -> list[str]:
    return [str(each.get("code")) for each in _objects(holder.get(name))]


def _objects(value: Any) -> Iterator[dict[str, Any]]:
    return (each for each in value if isinstance(each, dict)) if isinstance(value, list) else iter(())
