"""Finding over there what we know by a business identifier."""

from __future__ import annotations

from collections.abc import Callable, Collection, Sequence

from fhir_adapter.errors import Issue, RemoteError
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.remotes.client import FhirClient

BATCH = 50
"""Identifiers in one search."""


def find_by_identifiers(
    client: FhirClient, type_: str, wanted: Sequence[tuple[str, str]], is_ours: Callable[[str], bool] = lambda _: False
) -> dict[tuple[str, str], Resource]:
    """The resources with these (system, value), one search for each fifty; what is not there is left out.

    Of persons who were joined there the one that remains: `id` is that one's, whichever record was found. `is_ours`:
    whether we brought the resource with this id there; it is told only where there is no other. Raises RemoteError
    (issue `multiple-matches`, `retry` false) when there are two of one: a guess could join two people.
    """
    found: dict[tuple[str, str], dict[str, Resource]] = {}
    for start in range(0, len(wanted), BATCH):
        tokens = (f"{_escaped(system)}|{_escaped(value)}" for system, value in wanted[start : start + BATCH])
        for match in client.search(type_, {"identifier": ",".join(tokens)}):
            if match.get("resourceType") == type_ and "id" in match:
                remaining = replaced_by(match) or match["id"]
                for name in _identifiers_of(match) & set(wanted):
                    found.setdefault(name, {})[remaining] = match | {"id": remaining}
    return {name: matches[_the_one(type_, matches.keys(), is_ours)] for name, matches in found.items()}


def replaced_by(resource: Resource) -> str | None:
    """The id of the Patient that stands for this one, if it was joined with another (Patient.link replaced-by)."""
    links = resource.get("link") if resource.get("resourceType") == "Patient" else None
    replacing = (link for link in links or () if isinstance(link, dict) and link.get("type") == "replaced-by")
    names = (str(link.get("other", {}).get("reference", "")) for link in replacing)
    return next((name.partition("/")[2] for name in names if name.startswith("Patient/")), None)


def _identifiers_of(resource: Resource) -> set[tuple[str, str]]:
    given = resource.get("identifier")
    listed = [each for each in given if isinstance(each, dict)] if isinstance(given, list) else []
    return {(str(each.get("system", "")), str(each.get("value", ""))) for each in listed}


def _the_one(type_: str, ids: Collection[str], is_ours: Callable[[str], bool]) -> str:
    theirs = [one for one in ids if len(ids) == 1 or not is_ours(one)]
    if len(theirs) > 1:
        words = f"{len(theirs)} of type {type_} have the same identifier there"
        raise RemoteError(words, answered=200, issues=[Issue("error", "multiple-matches", type_, words)])
    return next(iter(theirs), min(ids))


def _escaped(token: str) -> str:
    """A token whose own `,`, `|`, `$` and `\\` do not separate (R4 search.html#escaping)."""
    return "".join(f"\\{character}" if character in "\\,|$" else character for character in token)
