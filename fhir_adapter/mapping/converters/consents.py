"""What a consent permits and denies: receivers and topics."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.organisations import party_reference
from fhir_adapter.mapping.converters.people import name_of
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.converters.texts import words_of
from fhir_adapter.mapping.model import Knowledge, Pair, Run


@converter("recipient")
def _recipient(_fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """A party's name <-> an actor that a Consent's provision permits. A unit of a known organisation becomes an
    Organization of its own, part of it: a consent to a unit is never widened to the whole."""
    return Pair(_actor, lambda actor, run: name_of(actor.get("reference") or {}, run))


def _actor(value: str, run: Run, path: str) -> Resource:
    role = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
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
