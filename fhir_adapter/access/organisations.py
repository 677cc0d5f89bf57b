"""Which organisation a reference in a plan stands for, and whether a party speaks for it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterable, Mapping
from functools import lru_cache
from typing import Any

from fhir_adapter.access.identity import Party
from fhir_adapter.fhir.organisations import ABOVE
from fhir_adapter.fhir.resources import Resource

_ORGANISATION_NUMBER = "urn:oid:2.5.4.97"
_SAME_SYSTEM = {"urn:oid:1.2.752.129.2.1.4.1": "urn:oid:1.2.752.29.4.19"}
"""HSA ids go about under two OIDs (Inera's and the one of the Swedish base profiles): one organisation."""

_DEEPEST = 10
"""Levels of Organization.partOf that are followed; a loop ends there."""


def speaks_for(party: Party, reference: Any, plan: Mapping[str, Resource]) -> bool:
    """Whether the Reference names the party's organisation, a unit of it, or somebody who works there.

    Only identifiers count, in the plan's resources or in the Reference itself; a display proves nothing.
    """
    return not _in_one_form(party.identifiers).isdisjoint(_identifiers_behind(reference, plan))


def speaker_for(parties: Iterable[Party], reference: Any, plan: Mapping[str, Resource]) -> Party | None:
    """The first of the parties that speaks for whom the Reference names."""
    behind = _identifiers_behind(reference, plan)
    return next((one for one in parties if not _in_one_form(one.identifiers).isdisjoint(behind)), None)


@lru_cache
def _in_one_form(identifiers: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    return frozenset(_plain(system, value) for system, value in identifiers)


def is_resolved(reference: Any, plan: Mapping[str, Resource]) -> bool:
    """Whether it is known which organisation the Reference means."""
    return bool(_identifiers_behind(reference, plan))


def may_mean(party: Party, display: str) -> bool:
    """Whether the words could stand for the party: one name begins or ends inside the other, word by word."""
    theirs, ours = _words(display), _words(party.title)
    return bool(theirs) and bool(ours) and (f" {ours} " in f" {theirs} " or f" {theirs} " in f" {ours} ")


def _identifiers_behind(reference: Any, plan: Mapping[str, Resource]) -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for _ in range(_DEEPEST + 1):
        if not isinstance(reference, dict):
            break
        if isinstance(reference.get("identifier"), dict):
            found += _identifiers_of({"identifier": [reference["identifier"]]})
        resource = plan.get(str(reference.get("reference")))
        type_ = resource.get("resourceType") if resource else None
        if resource and type_ == "Organization":
            found += _identifiers_of(resource)
        if resource is None or type_ not in ABOVE:
            break
        reference = resource.get(ABOVE[type_])
    return found


def _identifiers_of(resource: Resource) -> list[tuple[str, str]]:
    return [
        _plain(identifier["system"], identifier["value"])
        for identifier in resource.get("identifier", [])
        if identifier.get("system") and identifier.get("value")
    ]


def _plain(system: str, value: str) -> tuple[str, str]:
    """One form for an identifier that is written in several."""
    if system == _ORGANISATION_NUMBER:
        value = value.removeprefix("SE").replace("-", "")
    return _SAME_SYSTEM.get(system, system), value


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFC", text).casefold()))
