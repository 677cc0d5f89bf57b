"""What a consent permits and denies: receivers and topics."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.organisations import party_reference
from fhir_adapter.mapping.converters.people import name_of
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.converters.texts import words_of
from fhir_adapter.mapping.model import Knowledge, Pair, Run

_ROLES = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"


@converter("recipient", "[role=CODE]")
def _recipient(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """A party's name <-> an actor that a Consent's provision permits. A unit of a known organisation becomes an
    Organization of its own, part of it: a consent to a unit is never widened to the whole. `role=CODE`: only actors of
    this role (HL7 v3 ParticipationType, else IRCP), so that two fields can share a provision."""
    only = words.option("role")

    def to_native(actor: Resource, run: Run) -> str | None:
        codes = {entry.get("code") for entry in (actor.get("role") or {}).get("coding") or ()}
        return name_of(actor.get("reference") or {}, run) if not only or only in codes else None

    return Pair(lambda value, run, path: _actor(value, run, path, only or "IRCP"), to_native)


def _actor(value: str, run: Run, path: str, code: str = "IRCP") -> Resource:
    role = {"system": _ROLES, "code": code}
    return {"role": {"coding": [role]}, "reference": party_reference(value, run, path, quiet=False)}


@converter("denied_recipient")
def _denied_recipient(_fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """A party's name <-> a nested provision that denies this actor."""

    def to_native(provision: Resource, run: Run) -> str | None:
        actors = provision.get("actor") or []
        if provision.get("type") != "deny" or len(actors) != 1:
            return None
        return name_of(actors[0].get("reference") or {}, run)

    return Pair(lambda value, run, path: {"type": "deny", "actor": [_actor(value, run, path)]}, to_native)


@converter("excluded_topic")
def _excluded_topic(_fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """A topic in words <-> a nested provision that denies what is about it."""

    def to_native(provision: Resource, _run: Run) -> str | None:
        codes = provision.get("code") or []
        if provision.get("type") != "deny" or provision.get("actor") or len(codes) != 1:
            return None
        return words_of(codes[0])

    return Pair(lambda value, _run, _path: {"type": "deny", "code": [{"text": value}]}, to_native)
