"""A FHIR Bundle as a record, `{"CarePlan": [...], "Goal": [...]}`, and back with its entries in their order."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Any

from fhir_adapter.errors import BadRequest, Issue
from fhir_adapter.fhir.resources import BASE, Resource
from fhir_adapter.mapping.inputs.formats import value_at, without_copied_id, wrong
from fhir_adapter.mapping.inputs.json_text import JsonText

Parts = Mapping[str, tuple[str, str | None]]

ENVELOPE = "Bundle"
"""The record's field with all of the Bundle but the resources; its entries name theirs as `Goal/1` or `Goal#0`."""


class FhirBundle(JsonText):
    """One Bundle is one record. The record's `id` is the first of the declared paths that leads to something.

    `parts`: the resources that stand under a name of their own, not in the list of their type: name -> (type, an
    element that it does not have, or None). The first such resource is meant.
    """

    name = "fhir"
    media_types = ("application/fhir+json", "application/json", "application/x-ndjson")

    def __init__(self, ids: tuple[str, ...] = (), parts: Parts | None = None) -> None:
        super().__init__(id_path=ids[0] if len(ids) == 1 and "[" not in ids[0] else None)
        self.ids = ids or ("Bundle.identifier.value", "CarePlan[0].id", "Bundle.id")
        self.parts = parts or {}

    def record(self, value: Any) -> Any:
        if not isinstance(value, dict) or value.get("resourceType") != "Bundle":
            raise wrong("", "this is not a FHIR Bundle", "a Bundle with the resources of one record")
        record: dict[str, Any] = {"id": None, ENVELOPE: {name: part for name, part in value.items() if name != "entry"}}
        entries = []
        faults: list[Issue] = []
        for index, entry in enumerate(value.get("entry") or ()):
            resource = entry.get("resource", {}) if isinstance(entry, dict) else None
            if not isinstance(resource, dict) or resource.get("resourceType") == ENVELOPE:
                faults.append(Issue("error", "structure", f"Bundle.entry[{index}].resource", "is not a FHIR resource"))
                continue
            entries.append(_filed(entry, record, self.parts))
        if faults:
            raise BadRequest("the Bundle cannot be read", faults)
        record[ENVELOPE]["entry"] = entries
        record["id"] = next((found for path in self.ids if isinstance(found := value_at(record, path), str)), None)
        if record["id"] is None:
            del record["id"]
        return record

    def resources(self, record: Any) -> Iterable[tuple[str, Resource]]:
        for name, value in record.items() if isinstance(record, dict) else ():
            if name in self.parts and isinstance(value, dict):
                yield name, {"resourceType": self.parts[name][0], **value}
            elif isinstance(value, list):
                for index, one in enumerate(value):
                    if isinstance(one, dict):
                        yield f"{name}[{index}]", {"resourceType": name, **one}

    def value(self, record: dict[str, Any]) -> Any:
        envelope = record.get(ENVELOPE) or {"resourceType": "Bundle", "type": "collection"}
        record = without_copied_id(record, self.id_path) if self.id_path is not None else record
        left = _resources_of(record, self.parts)
        entries = []
        for entry in envelope.get("entry", ()):
            named = entry.get("resource")
            if named is None:
                entries.append(entry)
            elif (resource := left.pop(named, None)) is not None:
                entries.append({**entry, "resource": resource})
        base = _base_of(entries)
        entries += [{"fullUrl": _url_of(base, resource), "resource": resource} for resource in left.values()]
        return {**envelope, "entry": entries}


def _filed(entry: dict[str, Any], record: dict[str, Any], parts: Parts) -> dict[str, Any]:
    """The entry with its resource's name in the place of the resource, which goes under its part or its type."""
    resource = entry.get("resource")
    if resource is None:
        return entry
    type_ = str(resource.get("resourceType", "Resource"))
    for name, (wanted, without) in parts.items():
        if type_ == wanted and name not in record and (without is None or without not in resource):
            record[name] = _untyped(resource)
            return {**entry, "resource": name}
    filed = record.setdefault(type_, [])
    filed.append(_untyped(resource))
    return {**entry, "resource": _name_of(resource, filed, len(filed) - 1)}


def _untyped(resource: Resource) -> Resource:
    """The resource as it stands under its type: the list, or the part, says what it is."""
    return {name: value for name, value in resource.items() if name != "resourceType"}


def _resources_of(record: dict[str, Any], parts: Parts) -> dict[str, Resource]:
    """Every resource of a record by its name, with its type."""
    found: dict[str, Resource] = {}
    for name, (type_, _) in parts.items():
        if isinstance(record.get(name), dict):
            found[name] = {"resourceType": type_, **record[name]}
    for type_, resources in record.items():
        if type_ not in ("id", ENVELOPE, *parts) and isinstance(resources, list):
            typed = [{"resourceType": type_, **one} for one in resources if isinstance(one, dict)]
            found |= {_name_of(resource, typed, index): resource for index, resource in enumerate(typed)}
    return found


def _name_of(resource: Resource, among: list[Resource], index: int) -> str:
    """`Goal/1`; where the resource has no id, or the one of another before it, `Goal#0` by its place."""
    type_, own = resource.get("resourceType", "Resource"), resource.get("id")
    is_first = own is not None and not any(other.get("id") == own for other in among[:index])
    return f"{type_}/{own}" if is_first else f"{type_}#{index}"


def _url_of(base: str, resource: Resource) -> str:
    return f"{base}/{resource['resourceType']}/{resource['id']}"


def _base_of(entries: list[dict[str, Any]]) -> str:
    """The base that the other entries' addresses have, so that relative references lead to new ones too."""
    for entry in entries:
        url, resource = str(entry.get("fullUrl", "")), entry.get("resource") or {}
        ending = f"/{resource.get('resourceType')}/{resource.get('id')}"
        if url.endswith(ending):
            return url.removesuffix(ending)
    return f"{BASE}/fhir"
