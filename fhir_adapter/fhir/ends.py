"""How a thing says that it was taken away: nothing is ever deleted, so what is no more has a state that tells it."""

from __future__ import annotations

from typing import Any

from fhir_adapter.fhir.resources import Resource

ENDS: dict[str, tuple[str, str]] = {
    "CarePlan": ("status", "revoked"),
    "ServiceRequest": ("status", "revoked"),
    "Goal": ("lifecycleStatus", "cancelled"),
    "Task": ("status", "cancelled"),
    "Appointment": ("status", "cancelled"),
    "CareTeam": ("status", "inactive"),
    "Consent": ("status", "inactive"),
    "Observation": ("status", "entered-in-error"),
    "Encounter": ("status", "entered-in-error"),
    "Communication": ("status", "entered-in-error"),
    "DocumentReference": ("status", "entered-in-error"),
    "QuestionnaireResponse": ("status", "entered-in-error"),
    "Condition": ("clinicalStatus", "inactive"),
}
"""The state that a thing gets when its owner takes it out of the plan. Not listed: it is left alone (a snapshot that
stops naming a person or an organisation says nothing about them)."""


def end_of(type_: str) -> Resource:
    """The element that holds this state of a resource of the type, as it is then."""
    element, end = ENDS[type_]
    return {element: {"coding": [{"code": end}]} if element == "clinicalStatus" else end}


def is_taken_away(resource: Resource) -> bool:
    """Whether it is in the state that follows a removal, was called off, or was an error in the first place. What was
    done, reached or has passed (completed, finished, a Condition that is resolved) was not taken away."""
    element, end = ENDS.get(resource.get("resourceType", ""), ("status", "entered-in-error"))
    state = resource.get(element)
    return (code_of(state) if isinstance(state, dict) else state) in (end, "cancelled", "entered-in-error")


def code_of(concept: Any) -> str | None:
    """The first code of a CodeableConcept."""
    codings = concept.get("coding") if isinstance(concept, dict) else None
    return codings[0].get("code") if codings else None
