"""Which organisation a reference in a plan stands for, and whether a party speaks for it."""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Iterator, Mapping
from functools import lru_cache
from typing import Any

from fhir_adapter.access.identity import Party
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
    known = _in_one_form(party.identifiers)
    for identifier in _identifiers_behind(reference, plan):  # noqa: SIM110 - asked so often that any() is felt
        if identifier in known:
            return True
    return False


@lru_cache
def _in_one_form(identifiers: frozenset[tuple[str, str]]) -> frozenset[tuple[str, str]]:
    return frozenset(_plain(system, value) for system, value in identifiers)


def is_resolved(reference: Any, plan: Mapping[str, Resource]) -> bool:
    """Whether it is known which organisation the Reference means."""
    return next(_identifiers_behind(reference, plan), None) is not None


def may_mean(party: Party, display: str) -> bool:
    """Whether the words could stand for the party: one name begins or ends inside the other, word by word."""
    theirs, ours = _words(display), _words(party.title)
    return bool(theirs) and bool(ours) and (f" {ours} " in f" {theirs} " or f" {theirs} " in f" {ours} ")


_ABOVE = {"Organization": "partOf", "PractitionerRole": "organization", "HealthcareService": "providedBy"}
"""The element that leads from a resource to the organisation that it belongs to."""


def _identifiers_behind(reference: Any, plan: Mapping[str, Resource]) -> Iterator[tuple[str, str]]:
    for _ in range(_DEEPEST + 1):
        if not isinstance(reference, dict):
            return
        if isinstance(reference.get("identifier"), dict):
            yield from _identifiers_of({"identifier": [reference["identifier"]]})
        resource = plan.get(str(reference.get("reference", "")), {})
        type_ = resource.get("resourceType")
        if type_ == "Organization":
            yield from _identifiers_of(resource)
        if type_ not in _ABOVE:
            return
        reference = resource.get(_ABOVE[type_])


def _identifiers_of(resource: Resource) -> Iterator[tuple[str, str]]:
    for identifier in resource.get("identifier", []):
        if identifier.get("system") and identifier.get("value"):
            yield _plain(identifier["system"], identifier["value"])


def _plain(system: str, value: str) -> tuple[str, str]:
    """One form for an identifier that is written in several."""
    if system == _ORGANISATION_NUMBER:
        value = value.removeprefix("SE").replace("-", "")
    return _SAME_SYSTEM.get(system, system), value


def _words(text: str) -> str:
    return " ".join(re.findall(r"\w+", unicodedata.normalize("NFC", text).casefold()))
