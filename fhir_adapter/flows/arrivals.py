"""A version that a FHIR party made, as something that the party says: in the form in which the plan has such things."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_adapter.access.identity import Party
from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.flows.change import Arrival
from fhir_adapter.flows.naming import Renaming, as_ours, without_links
from fhir_adapter.plan.merge import Refs
from fhir_adapter.plan.steps import normalise
from fhir_adapter.remotes.client import RemoteVersion
from fhir_adapter.store.plans import Plan


def arrival_of(party: Party, entry: int, plan: Plan, theirs: Resource, base: Resource | None, ours: Refs) -> Arrival:
    """`theirs`: {} for a deletion, which is a snapshot that lacks this one resource; `base`: what its author saw."""
    if not theirs:
        return Arrival(party, entry, [{reference_of(base): base} if base else {}], {}, partial=False, deletion=True)
    return Arrival(party, entry, [_inner_form(base, plan, ours)], _inner_form(theirs, plan, ours), partial=True)


def tasks_to_come(theirs: Resource, news: Sequence[RemoteVersion], ours: Renaming) -> Refs:
    """The party's own Tasks about a request that it brings: with them none has to be made for it."""
    if theirs.get("resourceType") != "ServiceRequest":
        return {}
    tasks = [as_ours(version.resource, ours) for version in news if version.type == "Task" and version.resource]
    about = reference_of(theirs)
    return {reference_of(task): task for task in tasks if task.get("focus", {}).get("reference") == about}


def _inner_form(resource: Resource | None, plan: Plan, ours: Refs) -> Refs:
    """The resource as the plan writes interventions, with the parts of the plan that this changes as well.

    A plan brings its requests, so that each gets its Task and the notes made on its activity; a Task brings its
    request for the same reason; an intervention that only says `basedOn` is put among the plan's activities.
    """
    if resource is None:
        return {}
    resource = without_links(resource)
    plan_ref = f"CarePlan/{plan.id}"
    beside = _requests_with_notes(resource, ours)
    if plan_ref in ours and _is_loose_intervention(resource, plan_ref, ours):
        link = {"reference": {"reference": reference_of(resource)}}
        activities = ours[plan_ref].get("activity", [])
        named = resource["resourceType"] == "CarePlan" or link in activities
        beside = [ours[plan_ref] | {"activity": activities if named else [*activities, link]}]
    parts = normalise([resource, *beside], plan_ref=plan_ref, known=ours)
    return {reference_of(part): part for part in parts}


def _is_loose_intervention(resource: Resource, plan_ref: str, ours: Refs) -> bool:
    """KL's CarePlan for one intervention, a Task that is about nothing but the plan, or a new request for it.

    A request that is known already may have been taken out of the plan's activities: it is not put there again.
    """
    if plan_ref not in [each.get("reference") for each in resource.get("basedOn", [])]:
        return False
    match resource["resourceType"]:
        case "CarePlan":
            return True
        case "Task":
            return "focus" not in resource
        case "ServiceRequest":
            return reference_of(resource) not in ours
    return False


def _requests_with_notes(resource: Resource, ours: Refs) -> list[Resource]:
    """The requests that the resource speaks of, with what it notes about them: a record has one place for notes."""
    if resource["resourceType"] == "CarePlan":
        said = [(each.get("reference", {}), each.get("progress", [])) for each in resource.get("activity", [])]
    else:
        said = [(resource.get("focus", {}), resource.get("note", []))] if resource["resourceType"] == "Task" else []
    found = []
    for pointer, notes in said:
        request = ours.get(pointer.get("reference", ""))
        if request and request["resourceType"] == "ServiceRequest":
            new = [note for note in notes if note not in request.get("note", [])]
            found.append(request | ({"note": [*request.get("note", []), *new]} if new else {}))
    return found
