"""What a consent permits and denies: receivers and topics."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.codes import table_named
from fhir_adapter.mapping.converters.organisations import party_reference
from fhir_adapter.mapping.converters.people import name_of
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.converters.texts import words_of
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair, Run

_ROLES = "http://terminology.hl7.org/CodeSystem/v3-ParticipationType"


@converter("recipient", "[role=CODE] [quiet]")
def _recipient(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """A party's name <-> an actor that a Consent's provision permits. A unit of a known organisation becomes an
    Organization of its own, part of it: a consent to a unit is never widened to the whole. `role=CODE`: only actors of
    this role (HL7 v3 ParticipationType, else IRCP), so that two fields can share a provision; `quiet`: a name of nobody
    known is no warning."""
    only, quiet = words.option("role"), "quiet" in words.flags

    def to_native(actor: Resource, run: Run) -> str | None:
        codes = {entry.get("code") for entry in (actor.get("role") or {}).get("coding") or ()}
        return name_of(actor.get("reference") or {}, run) if not only or only in codes else None

    return Pair(lambda value, run, path: _actor(value, run, path, only or "IRCP", quiet=quiet), to_native)


def _actor(value: str, run: Run, path: str, code: str = "IRCP", *, quiet: bool = False) -> Resource:
    role = {"system": _ROLES, "code": code}
    return {"role": {"coding": [role]}, "reference": party_reference(value, run, path, quiet=quiet)}


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


@converter("scope_by_party", "TABLE", loses="synonyms of the words for all and for nothing", whole=True, kinds="object")
def _scope_by_party(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """An object of party: what it may see <-> one nested provision that holds a provision for each party. The table has
    the words for the codes `permit` (all) and `deny` (nothing); any other words narrow what is permitted."""
    table = table_named(words.plain[0], knowledge)
    if {"permit", "deny"} - set(table.words):
        raise ValueError(f"the table {table.name!r} has no words for the codes permit and deny")

    def to_fhir(value: dict[str, str], run: Run, path: str) -> Resource | None:
        if not value:
            return None
        return {"type": "permit", "provision": [one_party(*item, run, path) for item in value.items()]}

    def one_party(party: str, extent: str, run: Run, path: str) -> Resource:
        kind = table.code_of(extent)
        narrowed = {"code": [{"text": extent}]} if kind is None else {}
        return {
            "type": kind or "permit",
            "actor": [_actor(party, run, f"{path}.{party}", quiet=kind == "deny")],
            **narrowed,
        }

    def to_native(provisions: list[Resource], run: Run) -> dict[str, str] | None:
        mine = next((one["provision"] for one in provisions if one.get("provision")), ())
        return {name: extent for one in mine if (name := _party_of(one, run)) and (extent := extent_of(one))} or None

    def extent_of(provision: Resource) -> str | None:
        codes = provision.get("code") or ()
        return words_of(codes[0]) if codes else table.words.get(provision.get("type", ""))

    return Pair(to_fhir, to_native)


def _party_of(provision: Resource, run: Run) -> str | None:
    actors = provision.get("actor") or []
    return name_of(actors[0].get("reference") or {}, run) if len(actors) == 1 else None
