"""One inner form for interventions: whatever way a system writes them, they become ServiceRequest and Task.

Understood are CarePlan.activity.detail, CarePlan.activity.reference (to a ServiceRequest or a Task) and a CarePlan
that is basedOn the plan (KL). Ids follow from where a thing came from, so the same input gives the same output.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from uuid import NAMESPACE_URL, UUID, uuid5

from fhir_adapter.fhir.resources import EXTENSIONS, Resource, reference_of, rewrite_references
from fhir_adapter.plan.keys import content, fingerprint
from fhir_adapter.plan.lifecycle import TASK_OF_REQUEST

PERTAINS_TO_GOAL = "http://hl7.org/fhir/StructureDefinition/resource-pertainsToGoal"
ACTIVITY_DETAIL = f"{EXTENSIONS}/activity-detail"
"""What CarePlan.activity.detail can say and a ServiceRequest cannot: nested extensions by the element's name."""

ACTIVITY_STATUS = "http://hl7.org/fhir/care-plan-activity-status"

STATUS_OF_DETAIL: dict[str, tuple[str, str]] = {
    "not-started": ("active", "requested"),
    "scheduled": ("active", "accepted"),
    "in-progress": ("active", "in-progress"),
    "on-hold": ("on-hold", "on-hold"),
    "completed": ("completed", "completed"),
    "cancelled": ("revoked", "cancelled"),
    "stopped": ("revoked", "cancelled"),
    "unknown": ("unknown", "requested"),
    "entered-in-error": ("entered-in-error", "entered-in-error"),
}
"""activity.detail.status -> (ServiceRequest.status, Task.status); Task.businessStatus keeps the code itself."""

REQUEST_OF_TASK: dict[str, str] = {
    "draft": "draft",
    "on-hold": "on-hold",
    "completed": "completed",
    "rejected": "revoked",
    "failed": "revoked",
    "cancelled": "revoked",
    "entered-in-error": "entered-in-error",
}
"""Status of the ServiceRequest made for a Task that came without one; any other Task status: active."""

HOMES: dict[str, tuple[str, bool]] = {
    "code": ("code", False),
    "reasonCode": ("reasonCode", False),
    "reasonReference": ("reasonReference", False),
    "instantiatesCanonical": ("instantiatesCanonical", False),
    "instantiatesUri": ("instantiatesUri", False),
    "doNotPerform": ("doNotPerform", False),
    "scheduledTiming": ("occurrenceTiming", False),
    "scheduledPeriod": ("occurrencePeriod", False),
    "location": ("locationReference", True),
    "performer": ("performer", False),
    "quantity": ("quantityQuantity", False),
    "extension": ("extension", False),
    "modifierExtension": ("modifierExtension", False),
}
"""Element of activity.detail -> (element of ServiceRequest, whether it becomes a list there)."""

HOMELESS: dict[str, str] = {
    "kind": "valueCode",
    "description": "valueString",
    "productCodeableConcept": "valueCodeableConcept",
    "productReference": "valueReference",
    "dailyAmount": "valueQuantity",
    "id": "valueString",
}
"""Element of activity.detail that has no place in ServiceRequest or Task -> its value in ACTIVITY_DETAIL."""

INTERVENTION_HOMES: dict[str, str] = {
    "identifier": "identifier",
    "category": "category",
    "addresses": "reasonReference",
    "period": "occurrencePeriod",
    "created": "authoredOn",
    "author": "requester",
    "encounter": "encounter",
    "careTeam": "performer",
    "supportingInfo": "supportingInfo",
    "note": "note",
    "extension": "extension",
    "modifierExtension": "modifierExtension",
}
"""Element of a CarePlan that is basedOn the plan -> element of its ServiceRequest, unless activity.detail says more."""

_TASK_INTENTS = {
    "proposal",
    "plan",
    "order",
    "original-order",
    "reflex-order",
    "filler-order",
    "instance-order",
    "option",
}


def normalise(
    resources: Sequence[Resource], *, plan_ref: str, known: Mapping[str, Resource] | None = None
) -> list[Resource]:
    """The resources in the plan's inner form; what is in it already comes back unchanged.

    plan_ref: `CarePlan/id` of the plan; new ids are derived from it. known: what the plan has already, where
    `resources` are only what changed. A ServiceRequest that the plan names gets a Task if neither holds one; a single
    changed resource says nothing about that, so without the plan among `resources` and without `known` none is made.
    No argument is changed.
    """
    found = {reference_of(resource): resource for resource in resources}
    found = _without_intervention_plans(found, plan_ref)
    plan = found.get(plan_ref)
    if plan:
        found = _with_activities_as_requests(found, plan, plan_ref, known or {})
    if plan or known is not None:
        whole = dict(known or {}) | found
        found |= _tasks_for_requests_without(whole, found, plan_ref)
    return list(found.values())


def _id(plan_ref: str, *parts: str) -> str:
    """Nobody who does not know the plan's id can compute it."""
    try:
        namespace = UUID(plan_ref.rpartition("/")[2])
    except ValueError:
        namespace = uuid5(NAMESPACE_URL, plan_ref)
    return str(uuid5(namespace, "|".join(parts)))


# --- activities of the plan itself -------------------------------------------------------------------------------


def _with_activities_as_requests(
    found: dict[str, Resource], plan: Resource, plan_ref: str, known: Mapping[str, Resource]
) -> dict[str, Resource]:
    made: dict[str, Resource] = {}
    activities = []
    seen: dict[str, int] = {}
    for activity in plan.get("activity", []):
        task = _bare_task_of(activity, found, known)
        if "detail" in activity:
            name = _name_of_detail(activity, seen)
            new = _request_and_task(activity["detail"], plan, plan_ref, name)
            activity = {key: value for key, value in activity.items() if key != "detail"}
        elif task:
            new = _request_and_task_of_task(task, plan, plan_ref)
        else:
            activities.append(activity)
            continue
        made |= {reference_of(resource): resource for resource in new}
        activities.append(activity | {"reference": {"reference": reference_of(new[0])}})
    if not made:
        return found
    return found | {plan_ref: plan | {"activity": activities}} | made


def _name_of_detail(activity: Resource, seen: dict[str, int]) -> str:
    """What stays the same while a detail is edited: its element id, else what it is about; equal ones are counted."""
    detail = activity["detail"]
    element_id = activity.get("id") or detail.get("id")
    about = {name: detail[name] for name in ("kind", "code", "description") if name in detail}
    name = str(element_id) if element_id else fingerprint(content(about))
    seen[name] = seen.get(name, 0) + 1
    return f"{name}|{seen[name]}"


def _request_and_task(detail: Resource, plan: Resource, plan_ref: str, name: str) -> tuple[Resource, Resource]:
    request_status, task_status = STATUS_OF_DETAIL.get(detail.get("status", ""), STATUS_OF_DETAIL["unknown"])
    request: Resource = {
        "resourceType": "ServiceRequest",
        "id": _id(plan_ref, "activity", name, "request"),
        "basedOn": [{"reference": plan_ref}],
        "status": request_status,
        "intent": "plan",
        "subject": plan["subject"],
    }
    request |= _what_a_detail_says(detail)
    task = _task_for(request, plan_ref, task_status)
    if "status" in detail:
        coding = {"system": ACTIVITY_STATUS, "code": detail["status"]}
        task["businessStatus"] = {"coding": [coding]}
    if "statusReason" in detail:
        task["statusReason"] = detail["statusReason"]
    return request, task


def _what_a_detail_says(detail: Resource) -> Resource:
    """The detail's elements where a ServiceRequest has them; nothing is dropped."""
    request: Resource = {}
    for name, (home, becomes_list) in HOMES.items():
        if name in detail:
            request[home] = [detail[name]] if becomes_list else detail[name]
        if f"_{name}" in detail:
            request[f"_{home}"] = detail[f"_{name}"]
    if "scheduledString" in detail:
        request["occurrenceTiming"] = {"code": {"text": detail["scheduledString"]}}
    carried = dict(detail)
    if "code" not in detail and "description" in detail:
        request["code"] = {"text": carried.pop("description")}
    extensions = [*request.get("extension", []), *_goals_of(detail), *_homeless_of(carried)]
    return request | ({"extension": extensions} if extensions else {})


def _goals_of(holder: Resource) -> list[Resource]:
    return [{"url": PERTAINS_TO_GOAL, "valueReference": goal} for goal in holder.get("goal", [])]


def _homeless_of(detail: Resource) -> list[Resource]:
    parts = [
        {"url": name, value: detail[name]} | ({f"_{value}": detail[f"_{name}"]} if f"_{name}" in detail else {})
        for name, value in HOMELESS.items()
        if name in detail
    ]
    return [{"url": ACTIVITY_DETAIL, "extension": parts}] if parts else []


# --- Tasks -------------------------------------------------------------------------------------------------------


def _bare_task_of(activity: Resource, found: Mapping[str, Resource], known: Mapping[str, Resource]) -> Resource | None:
    """The Task that the activity names instead of a request, if it has no request yet.

    Only the plan's own activities tell that a Task is an intervention: other Tasks ask for decisions or answers.
    """
    reference = activity.get("reference", {}).get("reference", "")
    task = found.get(reference) or known.get(reference)
    return task if task and task["resourceType"] == "Task" and "focus" not in task else None


def _request_and_task_of_task(task: Resource, plan: Resource, plan_ref: str) -> tuple[Resource, Resource]:
    """The request that a bare Task stands for; the Task keeps all that it says and points to it."""
    request: Resource = {
        "resourceType": "ServiceRequest",
        "id": _id(plan_ref, "Task", task["id"], "request"),
        "basedOn": [{"reference": plan_ref}],
        "status": REQUEST_OF_TASK.get(task.get("status", ""), "active"),
        "intent": "plan",
        "subject": task.get("for") or plan["subject"],
    }
    words = {"text": task["description"]} if "description" in task else None
    for home, value in (
        ("code", task.get("code") or words),
        ("priority", task.get("priority")),
        ("occurrencePeriod", task.get("restriction", {}).get("period") or task.get("executionPeriod")),
        ("requester", task.get("requester")),
        ("performer", [task["owner"]] if "owner" in task else None),
        ("reasonCode", [task["reasonCode"]] if "reasonCode" in task else None),
    ):
        if value is not None:
            request[home] = value
    return request, task | {"focus": {"reference": reference_of(request)}}


def _tasks_for_requests_without(
    whole: Mapping[str, Resource], found: Mapping[str, Resource], plan_ref: str
) -> dict[str, Resource]:
    """A Task for every request of the plan that nobody has one for."""
    plan = whole.get(plan_ref, {})
    named = {activity.get("reference", {}).get("reference") for activity in plan.get("activity", [])}
    done = {one.get("focus", {}).get("reference") for one in whole.values() if one.get("resourceType") == "Task"}
    made = [
        _task_for(resource, plan_ref, TASK_OF_REQUEST.get(resource.get("status", ""), "requested"))
        for reference, resource in found.items()
        if resource.get("resourceType") == "ServiceRequest" and reference in named and reference not in done
    ]
    return {reference_of(task): task for task in made}


def _task_for(request: Resource, plan_ref: str, status: str) -> Resource:
    """Who does it and how far: the first performer, the status given."""
    intent = request.get("intent", "")
    task: Resource = {
        "resourceType": "Task",
        "id": _id(plan_ref, "ServiceRequest", request["id"], "task"),
        "basedOn": [{"reference": plan_ref}],
        "status": status,
        "intent": intent if intent in _TASK_INTENTS else "unknown",
        "focus": {"reference": reference_of(request)},
        "for": request["subject"],
    }
    performers = request.get("performer", [])
    return task | ({"owner": performers[0]} if performers else {})


# --- KL: a CarePlan for every intervention -----------------------------------------------------------------------


def _without_intervention_plans(found: dict[str, Resource], plan_ref: str) -> dict[str, Resource]:
    """CarePlans basedOn the plan as requests; what pointed to one now points to its (first) request."""
    rest = dict(found)
    made: dict[str, Resource] = {}
    renamed: dict[str, str] = {}
    for reference, resource in found.items():
        if not _is_intervention_of(resource, plan_ref):
            continue
        del rest[reference]
        new = _requests_of_intervention(resource, plan_ref)
        renamed[reference] = reference_of(new[0][0])
        made |= {reference_of(one): one for pair in new for one in pair}
    if not made:
        return found
    plan = rest.get(plan_ref)
    if plan:
        links = [{"reference": {"reference": ref}} for ref, one in made.items() if one["resourceType"] != "Task"]
        rest[plan_ref] = plan | {"activity": [*plan.get("activity", []), *links]}
    pointing = {ref: rewrite_references(one, lambda old: renamed.get(old, old)) for ref, one in rest.items()}
    return pointing | made


def _is_intervention_of(resource: Resource, plan_ref: str) -> bool:
    based_on = [reference.get("reference") for reference in resource.get("basedOn", [])]
    return resource.get("resourceType") == "CarePlan" and plan_ref in based_on


def _requests_of_intervention(intervention: Resource, plan_ref: str) -> list[tuple[Resource, Resource]]:
    """One request and Task for each of its activities (KL: exactly one), or for itself where it has none."""
    details = [activity["detail"] for activity in intervention.get("activity", []) if "detail" in activity]
    pairs = []
    for place, detail in enumerate(details or [{}]):
        stated = detail if "status" in detail else detail | {"status": _activity_status(intervention)}
        name = f"CarePlan/{intervention['id']}" + (f"|{place}" if place else "")
        request, task = _request_and_task(stated, intervention, plan_ref, name)
        pairs.append((_with_intervention(request, intervention), task))
    return pairs


def _activity_status(intervention: Resource) -> str:
    return {
        "draft": "not-started",
        "active": "in-progress",
        "on-hold": "on-hold",
        "completed": "completed",
        "revoked": "cancelled",
        "entered-in-error": "entered-in-error",
    }.get(intervention.get("status", ""), "unknown")


def _with_intervention(request: Resource, intervention: Resource) -> Resource:
    """The intervention's own elements on its request; the original is contained, so that what has no home stays."""
    whole: Resource = dict(request)
    for name, home in INTERVENTION_HOMES.items():
        if name not in intervention:
            continue
        if isinstance(whole.get(home), list):
            whole[home] = [*whole[home], *intervention[name]]
        elif home != "occurrencePeriod" or not any(one.startswith("occurrence") for one in whole):
            whole[home] = intervention[name]
    goals = _goals_of(intervention)
    if goals:
        whole["extension"] = [*whole.get("extension", []), *goals]
    words = intervention.get("title") or intervention.get("description")
    if "code" not in whole and words:
        whole["code"] = {"text": words}
    apart = ("meta", "id", "contained")  # dom-2, dom-4: what is contained neither contains nor has versions
    original = {name: value for name, value in intervention.items() if name not in apart}
    whole["contained"] = [*intervention.get("contained", []), {"id": "intervention"} | original]
    whole["supportingInfo"] = [*whole.get("supportingInfo", []), {"reference": "#intervention"}]
    return whole
