"""Which states a thing of the plan may pass through, and how it ends: nothing is ever deleted."""

from __future__ import annotations

from datetime import datetime
from typing import Any

from fhir_adapter.errors import Issue
from fhir_adapter.fhir.ends import ENDS, code_of, is_taken_away
from fhir_adapter.fhir.resources import Resource, asks_for_a_decision

Transitions = dict[str, tuple[str, ...]]

REQUEST: Transitions = {
    "draft": ("active", "on-hold", "revoked", "entered-in-error"),
    "active": ("on-hold", "completed", "revoked", "entered-in-error"),
    "on-hold": ("active", "completed", "revoked", "entered-in-error"),
    "unknown": ("draft", "active", "on-hold", "completed", "revoked", "entered-in-error"),
    "completed": ("entered-in-error",),
    "revoked": ("entered-in-error",),
    "entered-in-error": (),
}
"""CarePlan and ServiceRequest: http://hl7.org/fhir/R4/valueset-request-status.html"""

GOAL: Transitions = {
    "proposed": ("planned", "accepted", "active", "on-hold", "completed", "rejected", "cancelled", "entered-in-error"),
    "planned": ("accepted", "active", "on-hold", "completed", "rejected", "cancelled", "entered-in-error"),
    "accepted": ("planned", "active", "on-hold", "completed", "rejected", "cancelled", "entered-in-error"),
    "active": ("planned", "accepted", "on-hold", "completed", "rejected", "cancelled", "entered-in-error"),
    "on-hold": ("planned", "accepted", "active", "completed", "rejected", "cancelled", "entered-in-error"),
    "completed": ("entered-in-error",),
    "cancelled": ("entered-in-error",),
    "rejected": ("entered-in-error",),
    "entered-in-error": (),
}
"""http://hl7.org/fhir/R4/valueset-goal-status.html and the state machine on http://hl7.org/fhir/R4/goal.html"""

_TASK_ENDS = ("completed", "failed", "cancelled", "entered-in-error")
TASK: Transitions = {
    "draft": ("requested", "ready", "in-progress", *_TASK_ENDS),
    "requested": ("received", "accepted", "rejected", "ready", "in-progress", "on-hold", *_TASK_ENDS),
    "received": ("accepted", "rejected", "ready", "in-progress", "on-hold", *_TASK_ENDS),
    "accepted": ("requested", "ready", "in-progress", "on-hold", *_TASK_ENDS),
    "ready": ("requested", "accepted", "in-progress", "on-hold", *_TASK_ENDS),
    "in-progress": ("requested", "accepted", "ready", "on-hold", *_TASK_ENDS),
    "on-hold": ("requested", "accepted", "ready", "in-progress", *_TASK_ENDS),
    "rejected": ("entered-in-error",),
    "completed": ("entered-in-error",),
    "failed": ("entered-in-error",),
    "cancelled": ("entered-in-error",),
    "entered-in-error": (),
}
"""http://hl7.org/fhir/R4/valueset-task-status.html; a Task goes back to requested when it is re-planned."""

_APPOINTMENT_OPEN = ("proposed", "pending", "booked", "waitlist", "arrived", "checked-in")
_APPOINTMENT_ENDS = ("fulfilled", "noshow", "cancelled", "entered-in-error")
APPOINTMENT: Transitions = {
    **{state: (*(other for other in _APPOINTMENT_OPEN if other != state), *_APPOINTMENT_ENDS)
       for state in _APPOINTMENT_OPEN},
    "fulfilled": ("entered-in-error",),
    "noshow": ("entered-in-error",),
    "cancelled": ("entered-in-error",),
    "entered-in-error": (),
}  # fmt: skip
"""http://hl7.org/fhir/R4/valueset-appointmentstatus.html; a meeting that is moved is answered anew."""

CARE_TEAM: Transitions = {
    "proposed": ("active", "suspended", "inactive", "entered-in-error"),
    "active": ("suspended", "inactive", "entered-in-error"),
    "suspended": ("active", "inactive", "entered-in-error"),
    "inactive": ("entered-in-error",),
    "entered-in-error": (),
}
"""http://hl7.org/fhir/R4/valueset-care-team-status.html"""

CONSENT: Transitions = {
    "draft": ("proposed", "active", "rejected", "inactive", "entered-in-error"),
    "proposed": ("draft", "active", "rejected", "inactive", "entered-in-error"),
    "active": ("rejected", "inactive", "entered-in-error"),
    "rejected": ("entered-in-error",),
    "inactive": ("entered-in-error",),
    "entered-in-error": (),
}
"""http://hl7.org/fhir/R4/valueset-consent-state-codes.html; who consents again gives a new Consent."""

LIFECYCLES: dict[str, tuple[str, Transitions]] = {
    "CarePlan": ("status", REQUEST),
    "ServiceRequest": ("status", REQUEST),
    "Goal": ("lifecycleStatus", GOAL),
    "Task": ("status", TASK),
    "Appointment": ("status", APPOINTMENT),
    "CareTeam": ("status", CARE_TEAM),
    "Consent": ("status", CONSENT),
}
"""Type -> the element that holds its state, and where it may go from each."""

ACTIVITY_ENDS = frozenset({"completed", "cancelled", "stopped", "entered-in-error"})
"""The ends of an activity that stands in the plan itself: http://hl7.org/fhir/R4/valueset-care-plan-activity-status.html"""

TASK_OF_REQUEST: dict[str, str] = {
    "draft": "draft",
    "active": "requested",
    "on-hold": "on-hold",
    "completed": "completed",
    "revoked": "cancelled",
    "entered-in-error": "entered-in-error",
    "unknown": "requested",
}
"""The first state of the Task of a request that came without one."""

TASK_FOLLOWS: dict[str, str] = {
    "completed": "completed",
    "revoked": "cancelled",
    "entered-in-error": "entered-in-error",
}
"""What the end of a ServiceRequest makes of its Task, unless that ended already."""


def state_of(resource: Resource) -> str | None:
    """The resource's state, None where its type has none."""
    element, _ = LIFECYCLES.get(resource.get("resourceType", ""), ("status", {}))
    state = resource.get(element)
    return state if isinstance(state, str) else None


def is_end(type_: str, path: str, state: Any) -> bool:
    """Whether this is a state that nothing but a correction (entered-in-error) can follow; False for other elements."""
    if not isinstance(state, str):
        return False
    if (type_, path) == ("CarePlan", "activity.detail.status"):
        return state in ACTIVITY_ENDS
    element, transitions = LIFECYCLES.get(type_, ("", {}))
    return path == element and set(transitions.get(state, ("more",))) <= {"entered-in-error"}


def is_terminal(resource: Resource) -> bool:
    """Whether nothing but a correction (entered-in-error) can follow."""
    type_ = resource.get("resourceType", "")
    return is_end(type_, LIFECYCLES.get(type_, ("", {}))[0], state_of(resource))


def is_removed(resource: Resource) -> bool:
    """Whether the resource is as `remove` would leave it, or was an error in the first place."""
    return is_taken_away(resource) or _is_inactive_condition(resource)


def can_be_removed(resource: Resource) -> bool:
    """Whether a party can take such a thing out of a plan; the service's own Tasks about conflicts it cannot."""
    return resource.get("resourceType") in ENDS and not asks_for_a_decision(resource)


def cannot_end(resource: Resource) -> bool:
    """Whether there is no state that says that it was taken out of the plan: persons, organisations and their like."""
    return resource.get("resourceType") not in ENDS and not is_removed(resource)


def has_ended(resource: Resource) -> bool:
    """Whether it is over in the plan, however it ended: nothing is left to be done about it."""
    return is_removed(resource) or is_terminal(resource)


def remove(resource: Resource, now: datetime) -> Resource:
    """The resource as it is after its owner took it out of the plan; unchanged where it ended already or may not end.

    Never a deletion: another party may hold on to it, and the record of what was agreed stays.
    """
    type_ = resource.get("resourceType", "")
    if type_ == "Condition":
        return _inactive_condition(resource)
    if not can_be_removed(resource) or is_terminal(resource) or is_removed(resource):
        return resource
    element, end = ENDS[type_]
    if type_ == "Encounter" and resource.get("status") == "planned":
        end = "cancelled"
    ended = resource | {element: end}
    return end_membership(ended, now) if type_ == "CareTeam" else ended


def take_back(resource: Resource) -> Resource:
    """What was done from the start as it is after who stated it took that back: nothing can call it off, so it was said
    in error. Unchanged where it may not end, or did so already."""
    if not can_be_removed(resource) or is_removed(resource):
        return resource
    return resource | {ENDS[resource["resourceType"]][0]: "entered-in-error"}


def end_membership(member: dict[str, Any], now: datetime) -> dict[str, Any]:
    """The participant (or team) with the end of its period set to `now`, unless it has one; never before its start."""
    period = member.get("period") or {}
    if "end" in period:
        return member
    start, end = str(period.get("start", "")), _date_time(now)
    return member | {"period": period | {"end": max(start, end) if start[:10] > end[:10] else end}}


def align_task(request: Resource, task: Resource) -> Resource:
    """The Task as the end of its ServiceRequest leaves it.

    A request that was completed, revoked or entered in error ends its Task. The other way round nothing follows: a
    performer who is done does not decide that nothing more is wanted; the requester completes the request.
    """
    follows = TASK_FOLLOWS.get(request.get("status", ""))
    if follows is None or is_terminal(task) or task.get("status") == follows:
        return task
    return task | {"status": follows}


def check_transition(before: Resource, after: Resource) -> Issue | None:
    """What is wrong with the change of state between two versions of a resource, None if nothing is.

    Leaving a terminal state is an error (a thing that ended is not reopened by itself: a correction or a new plan
    says so openly); an unusual step elsewhere is a warning, because other systems have their own ways.
    """
    type_ = after.get("resourceType", "")
    if type_ not in LIFECYCLES or type_ != before.get("resourceType"):
        return None
    element, transitions = LIFECYCLES[type_]
    was, is_ = before.get(element), after.get(element)
    if was == is_ or was not in transitions or is_ in transitions[was]:
        return None
    expected = ", ".join(transitions[was]) or "no further change"
    path, message = f"{type_}.{element}", f"{was} cannot become {is_}"
    if is_terminal(before):
        return Issue("error", "business-rule", path, f"{message}: what has ended is not reopened silently", expected)
    return Issue("warning", "business-rule", path, message, expected)


def _is_inactive_condition(resource: Resource) -> bool:
    if resource.get("resourceType") != "Condition":
        return False
    return code_of(resource.get("clinicalStatus")) not in (None, "active", "recurrence", "relapse")


def _inactive_condition(condition: Resource) -> Resource:
    """A need that is no longer listed was still true: inactive, not an error. con-5: never both states."""
    if _is_inactive_condition(condition) or code_of(condition.get("verificationStatus")) == "entered-in-error":
        return condition
    system = "http://terminology.hl7.org/CodeSystem/condition-clinical"
    return condition | {"clinicalStatus": {"coding": [{"system": system, "code": "inactive"}]}}


def _date_time(now: datetime) -> str:
    return now.isoformat(timespec="seconds").replace("+00:00", "Z")
