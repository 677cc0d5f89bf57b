"""Organisations: by number, by name, as a unit of one, and as the principal that a person's municipality tells."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from typing import Any

from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.mapping.converters.codes import coding, has_code, marked, table_named
from fhir_adapter.mapping.converters.people import is_current, name_of, named_reference
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.converters.texts import words_of
from fhir_adapter.mapping.frames import native_path
from fhir_adapter.mapping.knowledge import Knowledge, plain_number
from fhir_adapter.mapping.model import Pair, Run
from fhir_adapter.mapping.words import composed, folded

Call = Callable[[str, str], None]
"""says by which name an organisation may be referred to: Run.call where the record names it, Run.mention where a name
alone is all that tells of it"""


def organisation_by_number(number: str, name: str | None, run: Run, call: Call) -> Resource:
    """The Organization with a public number: the same from every source, named by the table where it knows it."""
    identity = run.knowledge.register.identity_of(number)
    made = run.organisations.get(identity) or _add(identity, _numbered(number, identity, name, run), run)
    call(made["name"], f"Organization/{made['id']}")
    return made


def _numbered(number: str, identity: str, name: str | None, run: Run) -> Resource:
    register = run.knowledge.register
    known = register.organisations.get(number)
    system, _, value = identity.rpartition("|")
    made: Resource = {
        "resourceType": "Organization",
        "id": run.national_id(identity),
        "identifier": [{"system": system, "value": value}],
    }
    kind = register.kind_of(number)
    if kind is not None and register.kinds is not None:
        made["type"] = [{"coding": [coding(register.kinds, kind)]}]
    made["name"] = known.name if known else name or value
    return made


def organisation_by_name(name: str, run: Run, call: Call, above: Resource | None = None) -> Resource:
    """The Organization that a source knows by name only; `above` is the one that it is a unit of."""
    key = f"{above['id']}/{composed(name)}" if above is not None else composed(name)
    identity = run.identity_of("Organization", key)
    made = run.organisations.get(identity)
    if made is None:
        part = {"partOf": {"reference": f"Organization/{above['id']}"}} if above is not None else {}
        made = {"resourceType": "Organization", "id": run.national_id(identity), "name": name, **part}
        _add(identity, made, run)
    call(made["name"], f"Organization/{made['id']}")
    return made


def _add(identity: str, organisation: Resource, run: Run) -> Resource:
    made = run.organisations[identity] = run.add(organisation)
    return made


def organisation_for(name: str | None, number: str | None, run: Run, call: Call) -> Resource:
    """The Organization for what a record says: a whole organisation, a unit of one, or one known by name only."""
    known = run.knowledge.register.named(name) if name else None
    if number is None and known is not None:
        number = known[0]
    if number is None:
        return organisation_by_name(name or "", run, call)
    unit = known[1] if known is not None and known[0] == number else name
    whole = organisation_by_number(number, name, run, call)
    if not unit or folded(unit) == folded(whole["name"]):
        return whole
    return organisation_by_name(unit, run, call, whole)


@converter("organisation", fields=2, least=1)
def _organisation(fields: Sequence[str], _words: Words, knowledge: Knowledge) -> Pair:
    """(name, organisation number), or the name alone <-> a Reference to an Organization, with the name as sent where it
    is another. A name that begins with one of the organisations file is that organisation, or a unit of it. Hyphens and
    blanks in a number only make it easier to read; a name that is the number says no more than that."""
    alone = len(fields) == 1
    if not alone and not knowledge.register.system:
        raise ValueError(
            "in which system is the number? The file that `organisations` names says it: `numbers: {system: URI}`"
        )

    def to_fhir(values: Any, run: Run, _prefix: str) -> Resource:
        name, number = (values, None) if alone else values
        number = plain_number(number) if number else None
        name = name if name != number else None
        made = organisation_for(name, number, run, run.bearers.call)
        pointer = {"reference": f"Organization/{made['id']}"}
        return pointer | ({"display": name} if name and name != made["name"] else {})

    def to_native(pointer: Resource, run: Run) -> Any:
        number = number_of(run.index.get(str(pointer.get("reference"))), run)
        name = name_of(pointer, run)
        return name if alone else (None if name == number else name, number)

    return Pair(to_fhir, to_native)


def number_of(organisation: Resource | None, run: Run, depth: int = 5) -> str | None:
    """The public number of an Organization, or of the one that it is a unit of."""
    if organisation is None or depth == 0:
        return None
    for identifier in organisation.get("identifier") or ():
        if identifier.get("system") == run.knowledge.register.system:
            value = identifier.get("value")
            return str(value) if value else None
    above = (organisation.get("partOf") or {}).get("reference")
    return number_of(run.index.get(str(above)), run, depth - 1)


@converter("principal", "TABLE by=FIELD [silent=CODE]")
def _principal(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """The kind of a principal (municipality, region) <-> a Reference to the person's own one of that kind, told by the
    municipality in the record's field `by`. `silent=CODE`: the record leaves the field out for this kind."""
    table, register = table_named(words.plain[0], knowledge), knowledge.register
    silent = words.option("silent")
    own = native_path(words.option("by"))

    def to_fhir(value: str, run: Run, path: str) -> Resource | None:
        kind = table.code_of(value)
        if kind is None:
            run.warn(path, "code-invalid", "this word is not in the code list: it is kept as text", table.allowed)
            return {"display": value}
        number = register.organisation_of(own.read(run.record), kind)
        if number is None:
            return {"display": table.words.get(kind) or value} if kind != register.otherwise else None
        return {"reference": reference_of(organisation_by_number(number, None, run, run.bearers.call))}

    def to_native(pointer: Resource, run: Run) -> str | None:
        organisation = run.index.get(str(pointer.get("reference")))
        number = number_of(organisation, run)
        kind = register.kind_of(number) if number is not None else None
        kind = kind or words_of(((organisation or {}).get("type") or [None])[0])
        if kind is not None:
            return None if kind == silent else table.words.get(folded(kind))
        display = pointer.get("display")
        return str(display) if display else None

    return Pair(to_fhir, to_native, table)


@converter("principal_of_place", "KIND [names=TABLE]", loses="the words: it is for fields that another rule reads")
def _principal_of_place(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """Words with a municipality code in them <-> a Reference to the organisation of this kind that answers for people
    there, by the organisations file; it does not come back. `names=TABLE`: of a place that the file does not know there
    is the name that this table has for the code."""
    register = knowledge.register
    displays = table_named(words.option("names"), knowledge).displays if words.option("names") else {}

    def to_fhir(value: str, run: Run, _path: str) -> Resource | None:
        number = register.organisation_of(value, words.plain[0])
        if number is None:
            name = next(
                (displays[code] for code in register.municipality_code.findall(value) if code in displays), None
            )
            return {"display": name} if name is not None else None
        return {"reference": reference_of(organisation_by_number(number, None, run, run.bearers.call))}

    return Pair(to_fhir, lambda _pointer, _run: None)


def party_reference(value: str, run: Run, path: str, *, quiet: bool) -> Resource:
    """A Reference for the name of a person in the plan, or of an organisation that the plan or the table knows.

    A unit is told by the whole name: what stands before the comma may be its organisation, which was named before.
    """
    if not run.bearers.is_given(value) and run.knowledge.register.named(value) is not None:
        reference = reference_of(organisation_for(value, None, run, run.bearers.mention))
        run.bearers.tell(value, reference)
        return {"reference": reference, "display": value}
    return named_reference(value, run, path, quiet=quiet)


@converter("party", "[quiet]")
def _party(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """The name of a person in the record, or of an organisation in it or in the organisations file <-> a Reference.
    `quiet`: a name of nobody known is no warning."""
    quiet = "quiet" in words.flags
    return Pair(lambda value, run, path: party_reference(value, run, path, quiet=quiet), name_of)


@converter("member_party")
def _member_party(_fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """A party's name, all that the record says of it <-> a participant's member: an organisation or a unit of one that
    is known, or the name alone. Members that are persons belong to other rules; so does the name of one."""

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        member = party_reference(value, run, path, quiet=True)
        return member if _is_no_person(member) else {"display": value}

    def to_native(member: Resource, run: Run) -> str | None:
        return name_of(member, run) if _is_no_person(member) else None

    return Pair(to_fhir, to_native)


def _is_no_person(member: Resource) -> bool:
    return str(member.get("reference", "Organization/")).startswith("Organization/")


@converter("team_party", "MARK")
def _team_party(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A party's name (a person in the record, an organisation or a unit of one) <-> a CareTeam participant with this
    function, a `system#code` among the marks, whose membership has no end."""
    role = marked(words.plain[0], knowledge)

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        return {"role": [{"coding": [dict(role)]}], "member": party_reference(value, run, path, quiet=True)}

    def to_native(participant: Resource, run: Run) -> str | None:
        roles = participant.get("role") or () if is_current(participant) else ()
        is_mine = any(has_code(concept.get("coding"), role) for concept in roles)
        member = participant.get("member")
        return name_of(member, run) if is_mine and isinstance(member, dict) else None

    return Pair(to_fhir, to_native)


@converter("team_words", "MARK")
def _team_words(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """`Vertrauensperson: Schwester`, a role and a name, or a name alone <-> a CareTeam participant with the mark, a
    `system#code` among the marks, as the coding of its role; one whose membership has no end."""
    mark = marked(words.plain[0], knowledge)

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        role, colon, name = value.partition(": ")
        said = {"text": role} if colon else {}
        member = party_reference(name if colon else value, run, path, quiet=True)
        return {"role": [{"coding": [dict(mark)], **said}], "member": member}

    def to_native(participant: Resource, run: Run) -> str | None:
        roles = participant.get("role") or () if is_current(participant) else ()
        role = next((one for one in roles if has_code(one.get("coding"), mark)), None)
        name = name_of(participant.get("member") or {}, run)
        if role is None or name is None:
            return None
        return f"{role['text']}: {name}" if role.get("text") else name

    return Pair(to_fhir, to_native)


_BETWEEN_NAMES = re.compile(r" (?:\+|/|und|og|och) |, ")


@converter("parties", targets=2)
def _parties(_fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """`Gemeinde Steinach + Krankenkasse`, one name or several <-> (a list of References, the words as they were sent
    where they name several)."""

    def to_fhir(value: str, run: Run, path: str) -> tuple[Any, ...]:
        names = _BETWEEN_NAMES.split(value)
        return [party_reference(name, run, path, quiet=True) for name in names], value if len(names) > 1 else None

    def to_native(fragments: tuple[Any, ...], run: Run) -> str | None:
        pointers, said = fragments
        names = [name for pointer in pointers or () if (name := name_of(pointer, run))]
        if said is not None and _BETWEEN_NAMES.split(said) == names:
            return str(said)
        return " + ".join(names) or None

    return Pair(to_fhir, to_native)
