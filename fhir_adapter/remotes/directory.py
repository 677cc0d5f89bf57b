"""Finding over there what we know by a business identifier."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_adapter.errors import Issue, RemoteError
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.remotes.client import FhirClient

BATCH = 50
"""Identifiers in one search."""


def find_by_identifier(client: FhirClient, type_: str, system: str, value: str) -> str | None:
    """The id of the one resource with this identifier; None when there is none.

    Raises RemoteError (issue `multiple-matches`, `retry` false) when there are two: a guess could join two people.
    """
    matches = client.search(type_, {"identifier": f"{_escaped(system)}|{_escaped(value)}"})
    return _the_one(type_, {match["id"] for match in matches if match.get("resourceType") == type_ and "id" in match})


def find_by_identifiers(
    client: FhirClient, type_: str, wanted: Sequence[tuple[str, str]]
) -> dict[tuple[str, str], str]:
    """The same for many (system, value) with one search for each fifty; what is not there is left out."""
    found: dict[tuple[str, str], set[str]] = {}
    for start in range(0, len(wanted), BATCH):
        tokens = (f"{_escaped(system)}|{_escaped(value)}" for system, value in wanted[start : start + BATCH])
        for match in client.search(type_, {"identifier": ",".join(tokens)}):
            if match.get("resourceType") == type_ and "id" in match:
                for name in _identifiers_of(match) & set(wanted):
                    found.setdefault(name, set()).add(match["id"])
    one = {name: _the_one(type_, ids) for name, ids in found.items()}
    return {name: id_ for name, id_ in one.items() if id_}


def _identifiers_of(resource: Resource) -> set[tuple[str, str]]:
    given = resource.get("identifier")
    listed = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    return {(str(each.get("system", "")), str(each.get("value", ""))) for each in listed}


def _the_one(type_: str, ids: set[str]) -> str | None:
    if len(ids) > 1:
        issue = Issue("error", "multiple-matches", type_, f"{len(ids)} of type {type_} have the same identifier there")
        raise RemoteError(issue.message, answered=200, issues=[issue])
    return next(iter(ids), None)


def _escaped(token: str) -> str:
    """A token whose own `,`, `|`, `$` and `\\` do not separate (R4 search.html#escaping)."""
    return "".join(f"\\{character}" if character in "\\,|$" else character for character in token)
