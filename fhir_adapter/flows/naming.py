"""What a resource looks like on the way to a FHIR server and back: whose ids it carries, and the mark of our writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from functools import cache
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from fhir_adapter.access.identity import Party
from fhir_adapter.fhir.resources import (
    WRITE_ID,
    Resource,
    parse_json,
    reference_of,
    references_in,
    rewrite_references,
)
from fhir_adapter.flows import change
from fhir_adapter.flows.hub import Hub
from fhir_adapter.plan.identity import is_nobody, is_replaced, not_meant, with_words_kept
from fhir_adapter.store import copies, persons
from fhir_adapter.store.copies import Copy

if TYPE_CHECKING:
    import sqlite3

_OF_SEVERAL = ("Patient", "Practitioner")
"""Types of which a party's own resource may stand for several of ours."""

Renaming = Callable[[str], str]
"""`Type/id` -> `Type/id` under another's ids."""


def names_to_theirs(connection: sqlite3.Connection, party: Party) -> Renaming:
    """Our references in the party's ids. What it never saw keeps the id that it will be created under."""

    @cache  # one resource names another many times
    def rename(reference: str) -> str:
        type_, _, id_ = reference.partition("/")
        copy = copies.by_id(connection, party.name, type_, id_) if _is_relative(reference) else None
        return f"{type_}/{copy.remote_id}" if copy else reference

    return rename


def records_to_theirs(connection: sqlite3.Connection, party: Party) -> Renaming:
    """The same for links between persons: they are about records, whichever person these stand for there."""

    def rename(reference: str) -> str:
        type_, _, id_ = reference.partition("/")
        name = copies.record_of(connection, party.name, type_, id_) if _is_relative(reference) else None
        return f"{type_}/{name}" if name else reference

    return rename


def names_to_ours(connection: sqlite3.Connection, hub: Hub, party: Party, plan: str | None = None) -> Renaming:
    """The party's references in our ids. A name that is new here gets an id of ours, remembered for the way back.

    UUIDs are nobody else's and stay; a counter like 1234 means something else at every server. Two persons whom the
    party joined go by one name: in what is said of a plan, the one of that plan is meant.
    """

    @cache  # one resource names another many times
    def rename(reference: str) -> str:
        type_, _, id_ = reference.partition("/")
        if not _is_relative(reference):
            return reference
        if copy := copy_meant(connection, party, plan, type_, id_):
            return copy.reference
        if _is_uuid(id_):
            return reference
        new = Copy(type_, str(uuid5(hub.namespace, f"{party.source}|{reference}")), id_, "", None, b"{}")
        copies.save(connection, party.name, new)
        return new.reference

    return rename


def copy_meant(connection: sqlite3.Connection, party: Party, plan: str | None, type_: str, id_: str) -> Copy | None:
    """What the party means by `type_/id_` where it speaks of the plan: of several who go by that name, the plan's."""
    found = copies.named_in(connection, party.name, plan, type_, id_) if plan and type_ in _OF_SEVERAL else []
    if len(found) > 1:
        person = change.person_of(connection, plan or "")
        found.sort(key=lambda copy: copy.reference != person)
    return found[0] if found else copies.by_remote(connection, party.name, type_, id_)


def as_sent(resource: Resource, write_id: str, theirs: Renaming, records: Renaming | None = None) -> Resource:
    """Our resource in the party's ids, marked with the write that brings it. `records`: the names for links."""
    sent: Resource = rewrite_references(change.without_storage_meta(resource), theirs)
    if records and without_links(resource) is not resource:
        sent["link"] = rewrite_references(resource["link"], records)
    mark = {"url": WRITE_ID, "valueId": write_id}
    return sent | {"id": id_in(theirs(reference_of(resource))), "extension": [*sent.get("extension", []), mark]}


def as_can_stand_there(
    connection: sqlite3.Connection, party: Party, found: Mapping[str, Resource], held: Mapping[str, Copy]
) -> dict[str, Resource]:
    """What a party is to have of a plan, given what it holds of it.

    Without persons whom the plan is not about any more, and without pointers to those whom the party does not have, to
    what it deleted, and to what another party left in a record of its own: a server that checks references refuses
    those. Of the links between persons, those that it can follow, and its own.
    """
    absent = {ref for ref in not_meant(found) if not _is_to_hear(connection, found[ref], held.get(ref))}
    gone = (absent - held.keys()) | {reference for reference, copy in held.items() if copy.is_deleted}
    foreign = {ref: gone | _unknown_there(connection, party, one, found, held.get(ref)) for ref, one in found.items()}
    there = {
        ref: without_pointers(one, foreign[ref]) if foreign[ref] else one
        for ref, one in found.items()
        if ref not in absent
    }

    def knows(name: str) -> bool:
        return name in there or _is_held(connection, party, name)

    persons_there = {ref: one for ref, one in there.items() if ref.startswith("Patient/")}
    return there | {ref: _linked_there(connection, one, held.get(ref), knows) for ref, one in persons_there.items()}


def _unknown_there(
    connection: sqlite3.Connection, party: Party, one: Resource, found: Mapping[str, Resource], copy: Copy | None
) -> set[str]:
    """What the resource points to and is neither part of the plan nor known to the party by a name of its own."""
    outside = set(names_in(one)) - found.keys()
    outside -= set(names_in(parse_json(copy.body))) if outside and copy else set()
    return {name for name in outside if copies.by_id(connection, party.name, *name.split("/")) is None}


def _is_to_hear(connection: sqlite3.Connection, person: Resource, copy: Copy | None) -> bool:
    """Whether one whom a plan is not about any more is told why: another stands for that one, or does so no more, or
    nothing is said of that one any more."""
    if copy is None or copy.is_theirs:
        return False
    made_here = persons.ever_linked(connection, reference_of(person))
    links = parse_json(copy.body).get("link", ())
    return (
        is_replaced(person)
        or is_nobody(person)
        or any(one.get("other", {}).get("reference") in made_here for one in links)
    )


def _linked_there(
    connection: sqlite3.Connection, person: Resource, copy: Copy | None, knows: Callable[[str], bool]
) -> Resource:
    """The person with our links to those whom the party knows as well, and with the links that the party made."""
    ours = [one for one in person.get("link", ()) if knows(one["other"].get("reference", ""))]
    theirs = parse_json(copy.body).get("link", ()) if copy and not copy.is_theirs else ()
    made_here = persons.ever_linked(connection, reference_of(person)) if theirs else set()
    links = [*ours, *(one for one in theirs if one.get("other", {}).get("reference") not in made_here)]
    return without_links(person) | ({"link": links} if links else {})


def _is_held(connection: sqlite3.Connection, party: Party, name: str) -> bool:
    type_, _, id_ = name.partition("/")
    copy = copies.by_id(connection, party.name, type_, id_)
    return copy is not None and not copy.is_only_a_name


def without_links(resource: Resource) -> Resource:
    """The resource without links between persons: what a party joined is its own affair."""
    is_linked = resource["resourceType"] == "Patient" and "link" in resource
    return {name: value for name, value in resource.items() if name != "link"} if is_linked else resource


def without_pointers(value: Any, gone: set[str]) -> Any:
    """The value where what points to one of these says so in words."""
    if isinstance(value, list):
        return [without_pointers(each, gone) for each in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("reference"), str) and value["reference"] in gone:
        rest = {name: part for name, part in value.items() if name != "reference"}
        return {"display": f"{value['reference']} (not here)"} | rest
    return {name: without_pointers(part, gone) for name, part in value.items()}


def as_ours(resource: Resource, ours: Renaming) -> Resource:
    """The party's resource in our ids, without what only describes its stay there."""
    taken: Resource = rewrite_references(change.without_storage_meta(resource), ours)
    extensions = [extension for extension in taken.pop("extension", []) if extension.get("url") != WRITE_ID]
    named = taken | {"id": id_in(ours(reference_of(resource)))}
    return named | ({"extension": extensions} if extensions else {})


def with_our_words(connection: sqlite3.Connection, party: Party, said: Resource, base: Resource) -> Resource:
    """What the party says, with what we wrote beside references that it rewrote because it joined their persons."""
    named = {value["reference"] for _, value in references_in(said)}
    persons_joined = {
        name
        for name in named
        if name.startswith("Patient/") and copies.is_joined(connection, party.name, "Patient", id_in(name))
    }
    kept: Resource = with_words_kept(said, base, persons_joined) if persons_joined else said
    return kept


def write_id_of(resource: Resource | None) -> str | None:
    extensions = (resource or {}).get("extension", [])
    return next((extension.get("valueId") for extension in extensions if extension.get("url") == WRITE_ID), None)


def names_in(resource: Resource | None) -> list[str]:
    """The relative references of a resource: Type/id; the links of a person to others do not count."""
    found = references_in(without_links(resource)) if resource else ()
    return [value["reference"] for _, value in found if _is_relative(value["reference"])]


def id_in(reference: str) -> str:
    return reference.partition("/")[2]


def _is_relative(reference: str) -> bool:
    return reference.count("/") == 1 and not reference.startswith("#")


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
