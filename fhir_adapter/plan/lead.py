"""What of a plan not everybody who sees it may change: who leads it, by which law it is shared without consent, and for
whom an organisation stands.

Whoever could name the first two could make itself the owner of what is the lead's, or let in a reader whom the person
refused; whoever could make an organisation its own would see every plan in which that takes part (decision 36).
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from fhir_adapter.fhir.organisations import ABOVE
from fhir_adapter.fhir.resources import STATUTORY_BASIS, Resource
from fhir_adapter.plan.elements import Conflict
from fhir_adapter.plan.merge import Merged
from fhir_adapter.plan.owners import Owners
from fhir_adapter.plan.places import with_value_at

STANDS_FOR: dict[str, tuple[str, ...]] = {
    **{type_: (element,) for type_, element in ABOVE.items()},
    "Organization": ("identifier", ABOVE["Organization"]),
}
"""The elements by which a resource is known to stand for a party (access/organisations.py)."""


def hold_back_what_is_not_its(merged: Merged, ours: Mapping[str, Resource], party: str, owners: Owners) -> None:
    """Take what is not the party's to change out of what its statement made of the plan; it is kept as a conflict.

    A resource that is new is taken as it comes, and so is all of a plan that nobody leads.
    """
    for reference, after in list(merged.changed.items()):
        before = ours.get(reference)
        if before is None or _may_say(before, reference, party, owners):
            continue
        for path, live, other in _differences(before, after):
            author = owners.wrote(reference)
            merged.conflicts.append(Conflict(reference, path, live, live, other, author, party, "not-allowed"))
        merged.changed[reference] = _as_it_was(before, after)
        if merged.changed[reference] == before:
            del merged.changed[reference]


def _may_say(before: Resource, reference: str, party: str, owners: Owners) -> bool:
    """Who leads a plan or brought it; who brought an organisation (or somebody's role in it), or is that."""
    if before.get("resourceType") == "CarePlan":
        return owners.leader is None or party in (owners.leader, owners.lead)
    if before.get("resourceType") in STANDS_FOR:
        return party in (owners.of(reference), owners.names({"reference": reference}))
    return True


def _differences(before: Resource, after: Resource) -> Iterator[tuple[str, Any, Any]]:
    """Path, live value and the party's one of each such part in which the two differ; None: not there."""
    for name in _names(before):
        if before.get(name) != after.get(name):
            yield name, before.get(name), after.get(name)
    had, said = _bases_in(before), _bases_in(after)
    if had != said:
        new = next((one for one in said if one not in had), None)
        yield f"extension[{STATUTORY_BASIS}]", next(iter(had), None), new


def _names(resource: Resource) -> tuple[str, ...]:
    return STANDS_FOR.get(resource["resourceType"], ("author",))


def _bases_in(resource: Resource) -> list[Resource]:
    return [one for one in resource.get("extension", []) if one.get("url") == STATUTORY_BASIS]


def _as_it_was(before: Resource, after: Resource) -> Resource:
    bases = _bases_in(before)
    kept = [one for one in after.get("extension", []) if one.get("url") != STATUTORY_BASIS or one in bases]
    extension = kept + [one for one in bases if one not in kept]
    live = with_value_at(after, "extension", extension)
    for name in _names(before):
        live = with_value_at(live, name, before.get(name))
    return live
