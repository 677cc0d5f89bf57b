"""People by name: who a name in the record stands for, and the name behind a reference."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.codes import has_code, marked, table_named
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair, Run


def named_reference(value: str, run: Run, path: str, *, quiet: bool, people: bool = False) -> Resource:
    """A Reference for a name in the record: to whom it names, and always with the name as sent.

    `people`: FHIR does not take an organisation here; its name is then kept as text.
    """
    reference = run.bearers.of(value)
    if reference is not None:
        if people and reference.startswith("Organization/"):
            return {"display": value}
        return {"reference": reference, "display": value}
    if not quiet:
        run.warn(path, "not-found", "nobody of this name takes part in the plan: the name is kept as text")
    return {"display": value}


def name_of(pointer: Resource, run: Run) -> str | None:
    """The name behind a Reference: as it was sent with it, else as the resource has it."""
    display = pointer.get("display")
    if display:
        return str(display)
    return name_of_resource(run.index.get(str(pointer.get("reference"))), run)


def name_of_resource(resource: Resource | None, run: Run) -> str | None:
    """The name of a person, a role's person or an organisation."""
    if resource is None:
        return None
    if resource.get("resourceType") == "PractitionerRole":
        pointer = resource.get("practitioner") or resource.get("organization")
        return name_of(pointer, run) if isinstance(pointer, dict) else None
    name = resource.get("name")
    return human_name(name[0]) if isinstance(name, list) and name else name if isinstance(name, str) else None


def human_name(name: Any) -> str | None:
    """A HumanName in one string."""
    if not isinstance(name, dict):
        return None
    parts = [*(name.get("given") or ()), *([name["family"]] if "family" in name else ())]
    return name.get("text") or " ".join(parts) or None


@converter("human_name")
def _human_name(_fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """A whole name <-> HumanName.text; never split by guessing."""
    return Pair(lambda value, _run, _path: {"text": value}, lambda name, _run: human_name(name))


@converter("named", "[quiet] [people]")
def _named(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """A name <-> a Reference to whom it names, the name beside it as display. `quiet`: a name of nobody in the plan is
    no matter for a warning; `people`: never an organisation."""
    quiet, people = "quiet" in words.flags, "people" in words.flags
    return Pair(lambda value, run, path: named_reference(value, run, path, quiet=quiet, people=people), name_of)


@converter("member_name", "[people]")
def _member_name(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """A participant's name <-> the display beside the reference to the member (written elsewhere). `people`: members
    that are persons. One that acts for an organisation without being named has no name then, and the person whom the
    plan is about has it in the record already: it is a name here only where it was sent here."""
    people = "people" in words.flags

    def to_native(member: Resource, run: Run) -> str | None:
        kind = str(member.get("reference", "")).partition("/")[0]
        if not people or kind in ("Practitioner", "RelatedPerson"):
            return name_of(member, run)
        role = run.index.get(str(member.get("reference"))) or {}
        if kind == "PractitionerRole" and "practitioner" in role:
            return name_of(member, run)
        return member.get("display") if kind in ("PractitionerRole", "Patient") else None

    return Pair(lambda value, _run, _path: {"display": value}, to_native)


@converter("person_or_named", "TABLE [quiet] [plain]")
def _person_or_named(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """The record's words for the person it is about, or a name <-> a Reference. The words are those that the table has
    for the code `person`; without a name in FHIR the first of them is read. `quiet`: a name of nobody is no warning;
    `plain`: the first of the words leaves no display."""
    quiet = "quiet" in words.flags
    table = table_named(words.plain[0], knowledge)
    if "person" not in table.words:
        raise ValueError(f"the table {table.name!r} has no word for the code 'person'")

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        if table.code_of(value) == "person":
            patient = next((reference for reference in run.index if reference.startswith("Patient/")), None)
            if patient is not None:
                is_plain = "plain" in words.flags and value == table.words["person"]
                return {"reference": patient} | ({} if is_plain else {"display": value})
        return named_reference(value, run, path, quiet=quiet, people=True)

    def to_native(pointer: Resource, run: Run) -> str | None:
        if not pointer.get("display") and str(pointer.get("reference", "")).startswith("Patient/"):
            return table.words["person"]
        return name_of(pointer, run)

    return Pair(to_fhir, to_native, table)


@converter("signatory", "system=SYSTEM", fields=2)
def _signatory(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """(name, number) <-> a Reference with display and identifier, the number being one of `system`."""
    system = words.option("system")

    def to_fhir(values: tuple[Any, ...], run: Run, path: str) -> Resource:
        name, number = values
        made = named_reference(name, run, path, quiet=True) if name else {}
        return made | ({"identifier": {"system": system, "value": number}} if number else {})

    return Pair(to_fhir, lambda who, run: (name_of(who, run), (who.get("identifier") or {}).get("value")))


@converter("team_function", "MARK", whole=True)
def _team_function(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A name <-> the CareTeam participant with this function, a `system#code` among the marks, whose membership has no
    end."""
    role = marked(words.plain[0], knowledge)

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        return {"role": [{"coding": [dict(role)]}], "member": named_reference(value, run, path, quiet=True)}

    def to_native(participants: list[Resource], run: Run) -> str | None:
        mine = (p for p in participants if is_current(p) and _has_role(p, role) and isinstance(p.get("member"), dict))
        return next((name for p in mine if (name := name_of(p["member"], run))), None)

    return Pair(to_fhir, to_native)


def is_current(participant: Resource) -> bool:
    """Whether the membership has no end: who was replaced stays in the team with one, and is not who it is now."""
    return not (participant.get("period") or {}).get("end")


def _has_role(participant: Resource, role: Resource) -> bool:
    return any(has_code(concept.get("coding"), role) for concept in participant.get("role") or ())
