"""What the plan calls the Task of an intervention that a record speaks of: somebody else may have brought it before."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from fhir_adapter.fhir.resources import Resource, asks_for_a_decision, reference_of
from fhir_adapter.plan.merge import Refs


def intervention_of(resource: Resource) -> str:
    """The ServiceRequest that a Task is about; empty for anything else."""
    if resource["resourceType"] != "Task" or asks_for_a_decision(resource):
        return ""
    reference = str(resource.get("focus", {}).get("reference", ""))
    return reference if reference.startswith("ServiceRequest/") else ""


def with_the_plans_tasks(said: Sequence[Resource], ours: Mapping[str, Resource]) -> Refs:
    """A record's resources by reference; the Task of an intervention is the one that the plan `ours` has for it."""
    tasks = ((ref, one) for ref, one in ours.items() if one["resourceType"] == "Task")
    known = {focus: ref for ref, task in tasks if (focus := intervention_of(task))}
    found: Refs = {}
    for resource in said:
        own = reference_of(resource)
        reference = known.get(intervention_of(resource), own) if resource["resourceType"] == "Task" else own
        found[reference] = resource if reference == own else resource | {"id": reference.partition("/")[2]}
    return found
