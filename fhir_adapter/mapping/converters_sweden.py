"""Converter pairs that only Sweden needs: person numbers, addresses, municipalities, principals and organisations."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fhir_adapter.fhir.resources import CODES, Resource
from fhir_adapter.mapping.converters import bearer_of, converter, name_of, named_reference, words_of
from fhir_adapter.mapping.model import Knowledge, Pair, Run, composed, folded

_NUMBERS = "http://electronichealth.se/identifier"
PERSONNUMMER = f"{_NUMBERS}/personnummer"
SAMORDNINGSNUMMER = f"{_NUMBERS}/samordningsnummer"
RESERVNUMMER = f"{_NUMBERS}/nationelltReservnummer"
ORGNR = "urn:oid:2.5.4.97"
HUVUDMAN = f"{CODES}/huvudman"

_TWELVE = re.compile(r"[0-9]{12}")
_RESERVE = re.compile(r"[0-9A-Za-z-]{6,20}")
TWELVE_DIGITS = "twelve digits without separator, such as 196101182803"


def luhn_holds(number: str) -> bool:
    """The check digit of a Swedish number: Luhn over the last ten digits."""
    total = 0
    for place, digit in enumerate(number[-10:]):
        doubled = int(digit) * (1 if place % 2 else 2)
        total += doubled - 9 if doubled > 9 else doubled
    return total % 10 == 0


def is_coordination_number(number: str) -> bool:
    """Is the day raised by 60?"""
    return 60 < int(number[6:8]) <= 91


@converter("swedish_person_numbers")
def _person_numbers(fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """(personnummer, samordningsnummer, reservnummer, its OID, earlier numbers, idtype) <-> Patient.identifier."""
    names = [field.rpartition(".")[2] for field in fields]

    def to_fhir(values: tuple[Any, ...], run: Run, prefix: str) -> list[Resource] | None:
        person, coordination, reserve, series, earlier, kind = values
        paths = [prefix + field for field in fields]
        found = []
        if person and _check_number(person, "personnummer", run, paths[0]):
            found.append({"use": "official", "system": PERSONNUMMER, "value": person})
        if coordination and _check_number(coordination, "samordningsnummer", run, paths[1]):
            found.append({"use": "official", "system": SAMORDNINGSNUMMER, "value": coordination})
        if reserve and _check_reserve(reserve, run, paths[2]):
            found.append(_reserve_identifier(reserve, series))
        for index, number in enumerate(earlier or ()):
            if _check_number(number, None, run, f"{paths[4]}[{index}]"):
                system = SAMORDNINGSNUMMER if is_coordination_number(number) else PERSONNUMMER
                found.append({"use": "old", "system": system, "value": number})
        given = [name for name, value in zip(names, values[:3], strict=False) if value]
        if kind is not None and folded(kind) not in given:
            run.warn(paths[5], "value", "says another kind of number than the one that was sent", ", ".join(given))
        return found or None

    return Pair(to_fhir, _read_numbers)


def _check_number(number: str, kind: str | None, run: Run, path: str) -> bool:
    if _TWELVE.fullmatch(number) is None:
        run.error(path, "value", f"this is not a {kind or 'person number'}", TWELVE_DIGITS)
        return False
    if not luhn_holds(number):
        run.warn(path, "value", "the check digit does not agree: please look at the number again")
    if kind is not None and is_coordination_number(number) is not (kind == "samordningsnummer"):
        other = "a samordningsnummer" if kind == "personnummer" else "a personnummer"
        run.warn(path, "value", f"this looks like {other}, by its day")
    return True


def _check_reserve(number: str, run: Run, path: str) -> bool:
    if _RESERVE.fullmatch(number) is None:
        run.error(path, "value", "this is not a reservnummer", "letters and digits, such as 98240301AA06")
        return False
    return True


def _reserve_identifier(number: str, series: str | None) -> Resource:
    system = f"urn:oid:{series}" if series else RESERVNUMMER
    return {"use": "official", "type": {"text": "reservnummer"}, "system": system, "value": number}


def _read_numbers(identifiers: list[Resource], _run: Run) -> tuple[Any, ...]:
    person, coordination, reserve, series, earlier = None, None, None, None, []
    for identifier in identifiers:
        system, value = identifier.get("system"), identifier.get("value")
        if identifier.get("use") == "old" and system in (PERSONNUMMER, SAMORDNINGSNUMMER):
            earlier.append(value)
        elif system == PERSONNUMMER:
            person = value
        elif system == SAMORDNINGSNUMMER:
            coordination = value
        elif system == RESERVNUMMER:
            reserve = value
        elif (identifier.get("type") or {}).get("text") == "reservnummer":
            reserve, series = value, str(system).removeprefix("urn:oid:")
    kind = "personnummer" if person else "samordningsnummer" if coordination else "reservnummer" if reserve else None
    return person, coordination, reserve, series, earlier or None, kind


# ---- addresses

_MUNICIPALITY = re.compile(r"(.+) \(([0-9]{4})\)")
_CODE = re.compile(r"[0-9]{4}")
_ADDRESS = re.compile(r"(.+), ([0-9]{3} [0-9]{2}) (.+)", re.DOTALL)


@converter("swedish_address")
def _address(_fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """`Storgatan 12, 151 72 Södertälje` <-> line, postalCode and city; an address of another form is kept as text."""

    def to_fhir(value: str, _run: Run, _path: str) -> Resource:
        parts = _ADDRESS.fullmatch(value)
        if parts is None:
            return {"text": value}
        made = {"line": parts.group(1).split(", "), "postalCode": parts.group(2), "city": parts.group(3)}
        return made if all(made["line"]) and _address_text(made) == value else {"text": value}

    def to_native(address: Resource, _run: Run) -> str | None:
        return address.get("text") or _address_text(address) or None

    return Pair(to_fhir, to_native)


def _address_text(address: Resource) -> str:
    town = " ".join(part for part in (address.get("postalCode"), address.get("city")) if part)
    return ", ".join([*(address.get("line") or ()), *([town] if town else ())])


@converter("swedish_municipality")
def _municipality(_fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """`Södertälje (0181)` <-> district and our extension municipality-code."""

    def to_fhir(value: str, run: Run, path: str) -> tuple[Any, ...]:
        name, code = municipality_of(value)
        if code is None:
            run.warn(path, "value", "no municipality code: the municipality cannot be told", "Södertälje (0181)")
        elif code not in run.knowledge.municipalities:
            run.warn(path, "not-found", "this municipality code is not in the table: its organisation is not known")
        return name, code

    def to_native(fragments: tuple[Any, ...], _run: Run) -> str | None:
        name, code = fragments
        return f"{name} ({code})" if name and code else name or code

    return Pair(to_fhir, to_native)


def municipality_of(text: str) -> tuple[str | None, str | None]:
    """Name and code of `Södertälje (0181)`; either may be missing."""
    found = _MUNICIPALITY.fullmatch(text)
    if found is not None:
        return found.group(1), found.group(2)
    return (None, text) if _CODE.fullmatch(text) else (text, None)


# ---- organisations


def kind_of_principal(number: str | None, run: Run) -> str | None:
    """kommun, region or annan, by the organisation number: municipalities begin with 2120, regions with 2321."""
    if number is None:
        return None
    known = run.knowledge.organisations.get(number)
    if known is not None:
        return known.kind
    return {"2120": "kommun", "2321": "region"}.get(number[:4], "annan")


def organisation_by_number(number: str, name: str | None, run: Run) -> Resource:
    """The Organization with a public number: the same from every source, named by the table where it knows it."""
    identity = f"{ORGNR}|{number}"
    if identity in run.organisations:
        return run.organisations[identity]
    known = run.knowledge.organisations.get(number)
    kind = kind_of_principal(number, run)
    made: Resource = {
        "resourceType": "Organization",
        "id": run.national_id(identity),
        "identifier": [{"system": ORGNR, "value": number}],
        "type": [{"coding": [{"system": HUVUDMAN, "code": kind, "display": str(kind).capitalize()}]}],
        "name": known.name if known else name or number,
    }
    run.organisations[identity] = _called(made, run)
    return run.organisations[identity]


def organisation_by_name(name: str, run: Run, above: Resource | None = None) -> Resource:
    """The Organization that a source knows by name only; `above` is the one that it is a unit of."""
    key = f"{above['id']}/{composed(name)}" if above is not None else composed(name)
    made: Resource = {"resourceType": "Organization", "id": run.id_of("Organization", key), "name": name}
    if above is not None:
        made["partOf"] = {"reference": f"Organization/{above['id']}"}
    return _called(made, run)


def _called(organisation: Resource, run: Run) -> Resource:
    run.call(organisation["name"], f"Organization/{organisation['id']}")
    return run.add(organisation)


def known_organisation(name: str, run: Run) -> tuple[str, str] | None:
    """(number, unit) where `name` begins with the name of an organisation that the table knows; unit may be empty."""
    found = run.knowledge.organisation_names.match(folded(name))
    if found is None or found.lastgroup is None:
        return None
    return found.lastgroup.removeprefix("n"), composed(name)[found.end() :].lstrip(" ,")


def organisation_for(name: str | None, number: str | None, run: Run) -> Resource:
    """The Organization for what a record says: a whole organisation, a unit of one, or one known by name only."""
    known = known_organisation(name, run) if name else None
    if number is None and known is not None:
        number = known[0]
    if number is None:
        return organisation_by_name(name or "", run)
    unit = known[1] if known is not None and known[0] == number else name
    whole = organisation_by_number(number, name, run)
    if not unit or folded(unit) == folded(whole["name"]):
        return whole
    return organisation_by_name(unit, run, whole)


@converter("swedish_organisation")
def _organisation(_fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """(name, organisation number) <-> a Reference to an Organization, with the name as sent where it is another."""

    def to_fhir(values: tuple[Any, ...], run: Run, _prefix: str) -> Resource:
        name, number = values
        made = organisation_for(name, number.replace("-", "") if number else None, run)
        pointer = {"reference": f"Organization/{made['id']}"}
        return pointer | ({"display": name} if name and name != made["name"] else {})

    def to_native(pointer: Resource, run: Run) -> tuple[Any, ...]:
        number = number_of(run.index.get(str(pointer.get("reference"))), run)
        name = name_of(pointer, run)
        return (None if name == number else name), number

    return Pair(to_fhir, to_native)


def number_of(organisation: Resource | None, run: Run, depth: int = 5) -> str | None:
    """The public number of an Organization, or of the one that it is a unit of."""
    if organisation is None or depth == 0:
        return None
    for identifier in organisation.get("identifier") or ():
        if identifier.get("system") == ORGNR:
            value = identifier.get("value")
            return str(value) if value else None
    above = (organisation.get("partOf") or {}).get("reference")
    return number_of(run.index.get(str(above)), run, depth - 1)


@converter("swedish_principal")
def _principal(_fields: Sequence[str], _words: Sequence[str], knowledge: Knowledge) -> Pair:
    """kommun or region <-> a Reference to the person's own municipality or region, by person.kommun."""
    table = knowledge.tables["principal"]

    def to_fhir(value: str, run: Run, path: str) -> Resource | None:
        kind = table.code_of(value)
        if kind is None:
            run.warn(path, "code-invalid", "this word is not in the code list: it is kept as text", table.allowed)
            return {"display": value}
        number = principal_number(kind, run)
        if number is None:
            return {"display": value} if kind != "annan" else None
        return {"reference": f"Organization/{organisation_by_number(number, None, run)['id']}"}

    def to_native(pointer: Resource, run: Run) -> str | None:
        organisation = run.index.get(str(pointer.get("reference")))
        kind = kind_of_principal(number_of(organisation, run), run)
        kind = kind or words_of(((organisation or {}).get("type") or [None])[0])
        if kind is not None:
            return table.words.get(folded(kind))
        display = pointer.get("display")
        return str(display) if display else None

    return Pair(to_fhir, to_native)


def principal_number(kind: str, run: Run) -> str | None:
    """The organisation number of the person's municipality or region, where the record's municipality code tells."""
    text = (run.record.get("person") or {}).get("kommun")
    municipality = run.knowledge.municipalities.get(municipality_of(text)[1] or "") if text else None
    if municipality is None:
        return None
    return {"kommun": municipality.organisation, "region": municipality.region}.get(kind)


# ---- parties by name


def party_reference(value: str, run: Run, path: str, *, quiet: bool) -> Resource:
    """A Reference for the name of a person in the plan, or of an organisation that the plan or the table knows."""
    if bearer_of(value, run) is None and known_organisation(value, run) is not None:
        return {"reference": f"Organization/{organisation_for(value, None, run)['id']}", "display": value}
    return named_reference(value, run, path, quiet=quiet)


@converter("swedish_party")
def _party(_fields: Sequence[str], words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """The name of a person or an organisation <-> a Reference. `quiet`: a name of nobody known is no warning."""
    quiet = "quiet" in words
    return Pair(lambda value, run, path: party_reference(value, run, path, quiet=quiet), name_of)


@converter("swedish_recipient")
def _recipient(_fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """A party's name <-> an actor that a Consent's provision permits.

    A unit (`Region Stockholm Psykiatri Södertälje`) becomes an Organization of its own, part of the principal: a
    consent to a unit is never widened to the whole.
    """
    return Pair(_actor, lambda actor, run: name_of(actor.get("reference") or {}, run))


def _actor(value: str, run: Run, path: str) -> Resource:
    role = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "IRCP"}
    return {"role": {"coding": [role]}, "reference": party_reference(value, run, path, quiet=False)}


@converter("swedish_denied_recipient")
def _denied_recipient(_fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """A party's name <-> a nested provision that denies this actor."""

    def to_native(provision: Resource, run: Run) -> str | None:
        actors = provision.get("actor") or []
        if provision.get("type") != "deny" or len(actors) != 1:
            return None
        return name_of(actors[0].get("reference") or {}, run)

    return Pair(lambda value, run, path: {"type": "deny", "actor": [_actor(value, run, path)]}, to_native)
