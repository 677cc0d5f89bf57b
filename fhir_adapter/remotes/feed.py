"""What changed at a FHIR server since a moment, by the best means that it offers: its history, or else a search."""

from __future__ import annotations

from collections.abc import Iterable

from fhir_adapter.errors import RemoteError
from fhir_adapter.remotes.client import FhirClient, RemoteVersion


def changes_since(client: FhirClient, since: str, types: Iterable[str]) -> list[RemoteVersion]:
    """Versions of these types made at or after the instant, oldest first of each type.

    A search finds only the newest version of each resource, and nothing of what was deleted.
    """
    if client.abilities().history_of_all:
        return client.history(since=since)
    return [version for type_ in sorted(types) for version in _of_type(client, type_, since)]


def tells_every_version(client: FhirClient, type_: str) -> bool:
    """Whether `changes_since` finds every version of the type, and not the newest of each resource alone."""
    return client.abilities().history_of_all or type_ in client.abilities().history_of_type


def _of_type(client: FhirClient, type_: str, since: str) -> list[RemoteVersion]:
    if type_ in client.abilities().history_of_type:
        return client.history(type_, since=since)
    try:
        found = client.search(type_, {"_lastUpdated": f"ge{since}"})
        return [current_version(resource) for resource in found if resource.get("resourceType") == type_]
    except RemoteError as fault:
        if fault.answered in (400, 404):  # a server that does not know the type has nothing of it
            return []
        raise


def versions_of(client: FhirClient, type_: str, id_: str) -> list[RemoteVersion]:
    """Every version of one resource that the server still tells of, oldest first; none where it knows nothing of it."""
    if has_history(client, type_):
        try:
            return client.history(type_, id_)
        except RemoteError as fault:
            if fault.answered in (404, 410):
                return []
            raise
    now = client.read(type_, id_)
    return [now] if now else []


def has_history(client: FhirClient, type_: str) -> bool:
    """Whether the server keeps the versions of each resource of the type, its deletion among them."""
    return client.abilities().history_of_all or type_ in client.abilities().history_of_one


def current_version(resource: dict[str, object]) -> RemoteVersion:
    """A resource as a search returned it, with what its meta says about the version."""
    meta = resource.get("meta")
    stamp = meta if isinstance(meta, dict) else {}
    version, updated = str(stamp.get("versionId", "")), str(stamp.get("lastUpdated", ""))
    return RemoteVersion(str(resource.get("resourceType")), str(resource.get("id")), version, updated, False, resource)
