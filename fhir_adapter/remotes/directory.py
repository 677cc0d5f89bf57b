"""Finding over there what we know by a business identifier."""

from __future__ import annotations

from fhir_adapter.errors import Issue, RemoteError
from fhir_adapter.remotes.client import FhirClient


def find_by_identifier(client: FhirClient, type_: str, system: str, value: str) -> str | None:
    """The id of the one resource with this identifier; None when there is none.

    Raises RemoteError (issue `multiple-matches`, `retry` false) when there are two: a guess could join two people.
    """
    matches = client.search(type_, {"identifier": f"{_escaped(system)}|{_escaped(value)}"})
    ids = {match["id"] for match in matches if match.get("resourceType") == type_ and "id" in match}
    if len(ids) > 1:
        issue = Issue("error", "multiple-matches", type_, f"{len(ids)} of type {type_} have the same identifier there")
        raise RemoteError(issue.message, answered=200, issues=[issue])
    return ids.pop() if ids else None


def _escaped(token: str) -> str:
    """A token whose own `,`, `|`, `$` and `\\` do not separate (R4 search.html#escaping)."""
    return "".join(f"\\{character}" if character in "\\,|$" else character for character in token)
