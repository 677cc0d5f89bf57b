"""What of a plan is for its lead alone to change: who leads it, and by which law it is shared without consent.

Whoever could name either could make itself the owner of what is the lead's, or let in a reader whom the person refused.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_adapter.fhir.resources import STATUTORY_BASIS, Resource
from fhir_adapter.plan.elements import Conflict
from fhir_adapter.plan.merge import Merged
from fhir_adapter.plan.owners import Owners
from fhir_adapter.plan.places import with_value_at


def hold_back_the_leads(merged: Merged, ours: Mapping[str, Resource], party: str, owners: Owners) -> None:
    """Take what is the lead's alone out of what another party's statement made of a CarePlan; it is kept as a conflict.

    Who brought the plan may say it, too. A plan that nobody leads, and one that is new, is taken as it comes.
    """
    if owners.leader is None or party in (owners.leader, owners.lead):
        return
    for reference, after in list(merged.changed.items()):
        before = ours.get(reference)
        if before is None or before.get("resourceType") != "CarePlan":
            continue
        for path, live, other in _differences(before, after):
            author = owners.wrote(reference)
            merged.conflicts.append(Conflict(reference, path, live, live, other, author, party, "not-allowed"))
        merged.changed[reference] = _as_the_lead_has_it(before, after)
        if merged.changed[reference] == before:
            del merged.changed[reference]


def _differences(before: Resource, after: Resource) -> Iterator[tuple[str, Any, Any]]:
    """Path, live value and the party's one of each part of the lead's in which the two differ; None: not there."""
    if before.get("author") != after.get("author"):
        yield "author", before.get("author"), after.get("author")
    had, said = _bases_in(before), _bases_in(after)
    if had != said:
        new = next((one for one in said if one not in had), None)
        yield f"extension[{STATUTORY_BASIS}]", next(iter(had), None), new


def _bases_in(care_plan: Resource) -> list[Resource]:
    return [one for one in care_plan.get("extension", []) if one.get("url") == STATUTORY_BASIS]


def _as_the_lead_has_it(before: Resource, after: Resource) -> Resource:
    bases = _bases_in(before)
    kept = [one for one in after.get("extension", []) if one.get("url") != STATUTORY_BASIS or one in bases]
    extension = kept + [one for one in bases if one not in kept]
    return with_value_at(with_value_at(after, "extension", extension), "author", before.get("author"))
