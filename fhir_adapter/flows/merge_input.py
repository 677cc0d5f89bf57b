"""Three files as versions of one plan: each resource and what points to it by the name that the plan has for it."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, replace
from datetime import datetime
from functools import cached_property
from typing import Any

from fhir_adapter.errors import BadRequest, Issue
from fhir_adapter.fhir.resources import Resource, parse_input, reference_of, references_in, rewrite_references
from fhir_adapter.fhir.shapes import misshapen
from fhir_adapter.plan.identity import is_protected
from fhir_adapter.plan.merge import Refs

_VERSIONED = re.compile(r"([A-Za-z]+/[A-Za-z0-9.-]{1,64})(?:/_history/[A-Za-z0-9.-]+)?$")
"""The end of an address of a resource or of one of its versions."""


@dataclass(frozen=True)
class Version:
    """One file: its resources by reference in order, and the Bundle entries that they stood in.

    name: base, ours or theirs. is_single: the file holds one resource, which was put into a Bundle. A resource without
    id goes by its fullUrl, without that by its type, if it is the only one of it.
    """

    name: str
    bundle: Resource
    is_single: bool
    resources: Refs
    entries: Mapping[str, Resource]

    def resolve(self, pointer: str) -> str:
        """The reference of the resource that a pointer written in this file means, however it is written."""
        if pointer in self.resources:
            return pointer
        here = (pointer.removeprefix(root) for root in self._roots if pointer.startswith(root))
        return self._addresses.get(pointer) or next(here, pointer)

    @cached_property
    def _addresses(self) -> Mapping[str, str]:
        return {str(entry["fullUrl"]): ref for ref, entry in self.entries.items() if "fullUrl" in entry}

    @cached_property
    def _roots(self) -> frozenset[str]:
        """The servers at which the resources of the file stand."""
        found = self._addresses.items()
        return frozenset(address.removesuffix(ref) for address, ref in found if address.endswith(f"/{ref}"))

    def said_at(self, reference: str | None = None) -> datetime | None:
        """When the file says that its content was said (the one resource, if given); None where it does not."""
        some = self.resources.values() if reference is None else [self.resources.get(reference, {})]
        stamps = [stamp for one in some if isinstance(stamp := one.get("meta", {}).get("lastUpdated"), str)]
        found = (self.bundle.get("timestamp"), max(stamps, default=None))
        in_order = found if reference is None else reversed(found)
        return next((moment for text in in_order if (moment := _moment(text))), None)


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


# --- reading -----------------------------------------------------------------------------------------------------


def read_versions(base: bytes, ours: bytes, theirs: bytes) -> tuple[Version, Version, Version]:
    """The three files, base and theirs in the names of ours. Raises BadRequest for what is no FHIR, with its place."""
    before, live, said = (_read(name, raw) for name, raw in (("base", base), ("ours", ours), ("theirs", theirs)))
    before = in_names_of(before, [live])
    said = in_names_of(said, [live, before])
    _check_same_thing(before, live, said)
    return before, live, said


def _read(name: str, raw: bytes) -> Version:
    try:
        value = parse_input(raw)
    except BadRequest as fault:
        raise _bad(name, "", str(fault), "a FHIR Bundle or resource in JSON") from None
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise _bad(name, "", "this is no FHIR resource", "a JSON object with resourceType")
    is_single = value["resourceType"] != "Bundle"
    if is_single:
        value = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": value}]}
    resources: Refs = {}
    entries: dict[str, Resource] = {}
    for place, entry in _entries_of(name, value):
        reference = _identity_of(name, entry)
        if reference in resources:
            what = "without id or fullUrl " if reference == entry["resource"]["resourceType"] else ""
            raise _bad(name, place, f"{reference} {what}is there twice", "every resource once")
        resources[reference], entries[reference] = entry["resource"], entry
    return Version(name, value, is_single, resources, entries)


def _entries_of(name: str, bundle: Resource) -> Iterator[tuple[str, Resource]]:
    """The entries that hold a resource, with their places: of a history the newest of each; no remarks on a search."""
    entries = bundle.get("entry", [])
    told: set[str] = set()
    if not isinstance(entries, list):
        raise _bad(name, "Bundle.entry", "this is no list", "a list of entries")
    for index, entry in enumerate(entries):
        place = f"Bundle.entry[{index}]"
        if not isinstance(entry, dict):
            raise _bad(name, place, "this is no entry", "an object with a resource")
        reference = _told_of_in_a_history(entry) if bundle.get("type") == "history" else ""
        if reference in told:
            continue
        told.update([reference] if reference else [])
        if "resource" not in entry or _text_at(entry, "search", "mode") == "outcome":
            continue
        resource = entry["resource"]
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            raise _bad(name, f"{place}.resource", "this is no FHIR resource", "an object with resourceType")
        yield place, entry


def _told_of_in_a_history(entry: Resource) -> str:
    """The reference of the resource whose version this is; a deletion names it in its request. Empty: nobody knows."""
    resource = entry.get("resource")
    if isinstance(resource, dict) and "id" in resource:
        return f"{resource.get('resourceType')}/{resource['id']}"
    found = _VERSIONED.search(_text_at(entry, "request", "url"))
    return found[1] if found else ""


def _text_at(entry: Resource, element: str, name: str) -> str:
    holder = entry.get(element)
    return str(holder.get(name, "")) if isinstance(holder, dict) else ""


def _identity_of(name: str, entry: Resource) -> str:
    resource = entry["resource"]
    type_, id_ = resource["resourceType"], resource.get("id")
    has_id = isinstance(id_, str) and id_ != ""
    for path, expected in misshapen(resource):
        what = f"{type_}/{id_}" if has_id else type_
        raise _bad(name, f"{what} {path}", f"{expected} is expected here", "FHIR R4")
    address = entry.get("fullUrl")
    return reference_of(resource) if has_id else address if isinstance(address, str) and address else str(type_)


def _check_same_thing(*versions: Version) -> None:
    """Three single resources are three versions of one."""
    found = list(dict.fromkeys(reference for version in versions for reference in version.resources))
    if all(version.is_single for version in versions) and len(found) > 1:
        raise _bad("theirs", "", f"{' and '.join(found)} are different resources", "three versions of one, or Bundles")


def _bad(name: str, path: str, message: str, expected: str) -> BadRequest:
    place = f"{name}: {path}" if path else name
    return BadRequest(f"{place}: {message}", [Issue("error", "structure", place, message, expected)])


# --- naming ------------------------------------------------------------------------------------------------------


def in_names_of(version: Version, known: list[Version]) -> Version:
    """The version, in which what the known ones have goes by its name there, and pointers to it are written as there.

    The same are resources with one reference, with one fullUrl, or of one type with one business identifier, where no
    other of that type in either version could be meant.
    """
    names = {ref: name for ref in version.resources if (name := _name_of(ref, version, known)) != ref}
    spelling = {target: pointer for one in reversed(known) for pointer, target in _pointers_in(one)}
    written = {pointer for one in known for pointer, _ in _pointers_in(one)}
    pointers = {
        pointer: spelling.get(name := names.get(target, target), name)
        for pointer, target in _pointers_in(version)
        if pointer not in written and (target in names or target in spelling)
    }
    changed = {pointer: new for pointer, new in pointers.items() if pointer != new}
    if not names and not changed:
        return version
    resources = {names.get(ref, ref): _renamed(one, names.get(ref), changed) for ref, one in version.resources.items()}
    entries = {names.get(ref, ref): entry for ref, entry in version.entries.items()}
    return replace(version, resources=resources, entries=entries)


def _renamed(resource: Resource, name: str | None, pointers: Mapping[str, str]) -> Resource:
    renamed: Resource = rewrite_references(resource, lambda pointer: pointers.get(pointer, pointer))
    type_, slash, id_ = (name or "").partition("/")
    return renamed | {"id": id_} if slash and type_ == resource["resourceType"] else renamed


def _pointers_in(version: Version) -> Iterator[tuple[str, str]]:
    """Every pointer that stands in the version, with the reference of what it means."""
    targets: dict[str, str] = {}
    for resource in version.resources.values():
        for _, pointer in references_in(resource):
            text = pointer["reference"]
            if text not in targets:
                targets[text] = version.resolve(text)
    return iter(targets.items())


def _name_of(reference: str, version: Version, known: list[Version]) -> str:
    """The reference under which the known versions have the resource; its own where they do not have it."""
    if any(reference in one.resources for one in known):
        return reference
    for one in known:
        found = (
            _as_the_only_one(reference, version, one)
            or _by_address(reference, version, one)
            or _by_identifier(reference, version, one)
        )
        if found is not None:
            return found
    return reference


def _as_the_only_one(reference: str, version: Version, known: Version) -> str | None:
    """The one resource there of its type, where this is the only one here and either goes by the type alone."""
    type_ = version.resources[reference]["resourceType"]
    (*here, _), there = (
        [ref for ref, resource in one.resources.items() if resource["resourceType"] == type_]
        for one in (version, known)
    )
    return there[0] if not here and len(there) == 1 and type_ in (reference, there[0]) else None


def _by_address(reference: str, version: Version, known: Version) -> str | None:
    address = version.entries[reference].get("fullUrl")
    return next((ref for ref, entry in known.entries.items() if address and entry.get("fullUrl") == address), None)


def _by_identifier(reference: str, version: Version, known: Version) -> str | None:
    """The one resource there that shares a business identifier and that nothing else in the version stands for."""
    said = version.resources[reference]
    if _numbers(said) == set():
        return None
    there = [
        ref for ref, one in known.resources.items() if ref not in version.resources and _are_the_same_thing(said, one)
    ]
    here = [one for one in version.resources.values() if one is not said and _are_the_same_thing(said, one)]
    return there[0] if len(there) == 1 and not here else None


def _are_the_same_thing(one: Resource, other: Resource) -> bool:
    """Whether two resources share a type and a business identifier, and are not two persons after all."""
    if one["resourceType"] != other["resourceType"] or not _numbers(one) & _numbers(other):
        return False
    born = {person["birthDate"] for person in (one, other) if "birthDate" in person}
    return len(born) < 2 and not is_protected(one) and not is_protected(other)


def _numbers(resource: Resource) -> set[tuple[str, str]]:
    found = resource.get("identifier", [])
    some = found if isinstance(found, list) else [found]
    return {(one["system"], one["value"]) for one in some if "system" in one and "value" in one}
