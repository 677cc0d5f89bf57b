"""What a resource looks like on the way to a FHIR server and back: whose ids it carries, and the mark of our writes."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any
from uuid import UUID, uuid5

from fhir_adapter.access.identity import Party
from fhir_adapter.fhir.resources import WRITE_ID, Resource, reference_of, references_in, rewrite_references
from fhir_adapter.flows import change
from fhir_adapter.flows.hub import Hub
from fhir_adapter.store import copies
from fhir_adapter.store.copies import Copy

if TYPE_CHECKING:
    import sqlite3

Renaming = Callable[[str], str]
"""`Type/id` -> `Type/id` under another's ids."""


def names_to_theirs(connection: sqlite3.Connection, party: Party) -> Renaming:
    """Our references in the party's ids. What it never saw keeps the id that it will be created under."""

    def rename(reference: str) -> str:
        type_, _, id_ = reference.partition("/")
        copy = copies.by_id(connection, party.name, type_, id_) if _is_relative(reference) else None
        return f"{type_}/{copy.remote_id}" if copy else reference

    return rename


def names_to_ours(connection: sqlite3.Connection, hub: Hub, party: Party) -> Renaming:
    """The party's references in our ids. A name that is new here gets an id of ours, remembered for the way back.

    UUIDs are nobody else's and stay; a counter like 1234 means something else at every server.
    """

    def rename(reference: str) -> str:
        type_, _, id_ = reference.partition("/")
        if not _is_relative(reference):
            return reference
        copy = copies.by_remote(connection, party.name, type_, id_)
        if copy:
            return copy.reference
        if _is_uuid(id_):
            return reference
        new = Copy(type_, str(uuid5(hub.namespace, f"{party.source}|{reference}")), id_, "", None, b"{}")
        copies.save(connection, party.name, new)
        return new.reference

    return rename


def as_sent(resource: Resource, write_id: str, theirs: Renaming) -> Resource:
    """Our resource in the party's ids, marked with the write that brings it."""
    sent: Resource = rewrite_references(change.without_storage_meta(resource), theirs)
    mark = {"url": WRITE_ID, "valueId": write_id}
    return sent | {"id": id_in(theirs(reference_of(resource))), "extension": [*sent.get("extension", []), mark]}


def as_can_stand_there(found: Mapping[str, Resource], held: Mapping[str, Copy]) -> dict[str, Resource]:
    """The resources without pointers to what the party deleted: a server that checks references refuses those."""
    gone = {reference for reference, copy in held.items() if copy.is_deleted}
    return {ref: _without_pointers(one, gone) if gone else one for ref, one in found.items()}


def _without_pointers(value: Any, gone: set[str]) -> Any:
    if isinstance(value, list):
        return [_without_pointers(each, gone) for each in value]
    if not isinstance(value, dict):
        return value
    if isinstance(value.get("reference"), str) and value["reference"] in gone:
        rest = {name: part for name, part in value.items() if name != "reference"}
        return {"display": f"{value['reference']} (deleted here)"} | rest
    return {name: _without_pointers(part, gone) for name, part in value.items()}


def as_ours(resource: Resource, ours: Renaming) -> Resource:
    """The party's resource in our ids, without what only describes its stay there."""
    taken: Resource = rewrite_references(change.without_storage_meta(resource), ours)
    extensions = [extension for extension in taken.pop("extension", []) if extension.get("url") != WRITE_ID]
    named = taken | {"id": id_in(ours(reference_of(resource)))}
    return named | ({"extension": extensions} if extensions else {})


def write_id_of(resource: Resource | None) -> str | None:
    extensions = (resource or {}).get("extension", [])
    return next((extension.get("valueId") for extension in extensions if extension.get("url") == WRITE_ID), None)


def names_in(resource: Resource | None) -> list[str]:
    """The relative references of a resource: Type/id."""
    return [value["reference"] for _, value in references_in(resource or {}) if _is_relative(value["reference"])]


def id_in(reference: str) -> str:
    return reference.partition("/")[2]


def _is_relative(reference: str) -> bool:
    return reference.count("/") == 1 and not reference.startswith("#")


def _is_uuid(text: str) -> bool:
    try:
        return str(UUID(text)) == text
    except ValueError:
        return False
