"""Tasks that ask whoever runs the service to look at something; they hold ids and codes, nothing about a person."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime

from fhir_adapter.fhir.resources import CODES, Resource, parse_json

ATTENTION = f"{CODES}/attention"
"""Code system: what is to be looked at, and the names of the inputs."""

_WORDS = {
    "delivery-parked": "A plan could not be delivered to a party. Retry the delivery, or drop it with a reason.",
    "one-person": "Two records may be of one person. Join them, or say that they are two persons.",
    "party-stopped": "A party lost much of what it held. Nothing is exchanged with it until somebody has looked.",
}


def task(code: str, *, id: str, about: str | None, owner: Resource, said: Mapping[str, str], now: datetime) -> Resource:
    """What is to be done, about which plan, and what is known. `owner`: a Reference to the party's organisation."""
    asked: Resource = {
        "resourceType": "Task",
        "id": id,
        "status": "requested",
        "intent": "order",
        "code": _concept(code),
        "description": _WORDS[code],
        "authoredOn": now.isoformat(timespec="seconds").replace("+00:00", "Z"),
        "owner": owner,
        "input": [{"type": _concept(name), "valueString": text} for name, text in said.items()],
    }
    return asked | ({"focus": {"reference": about}} if about else {})


def closed(body: bytes, status: str, reason: str | None) -> Resource:
    """The stored Task with its end: completed or cancelled, and why."""
    ended: Resource = parse_json(body) | {"status": status}
    return ended | ({"statusReason": {"text": reason}} if reason else {})


def _concept(code: str) -> Resource:
    return {"coding": [{"system": ATTENTION, "code": code}]}
