"""What a change leaves beside the plan itself: the Task that asks for a decision, Provenance and audit, as values."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from datetime import datetime
from typing import Any, Literal

from fhir_adapter.fhir.resources import CODES, Resource, dump_json
from fhir_adapter.plan.merge import Conflict
from fhir_adapter.plan.quarantine import REASONS
from fhir_adapter.plan.steps import normalise

__all__ = ["CONFLICT", "audit_event", "conflict_task", "normalise", "provenance"]

CONFLICT = f"{CODES}/conflict"
"""Code system of conflict Tasks: what they ask for, their kind and the names of their inputs."""

_KINDS = {
    "both-changed": "Two parties changed the same element; one value is live, the other waits for a decision.",
    "edit-against-delete": "One party took away what another keeps or changed; it stays until it is decided.",
    "own-words": "The person's own words were changed by somebody else; the words are kept here.",
    "not-allowed": "A party took a step that is not its own to take; it was not applied.",
    "quarantined": "What a party wrote was neither applied nor dropped: {}.",
}

_TERMINOLOGY = "http://terminology.hl7.org/CodeSystem"

AuditAction = Literal["C", "R", "U", "D", "E"]

_INTERACTION: dict[str, str] = {"C": "create", "R": "read", "U": "update", "D": "delete", "E": "operation"}


def conflict_task(
    conflict: Conflict, *, id: str, plan_ref: str, patient_ref: str | None, owner_org_ref: str | None, now: datetime
) -> Resource:
    """The Task that asks somebody to decide: keep what is live, take the other value, or write a third.

    Its inputs hold path, base, live and other as JSON texts and the names of both parties; an input that has nothing
    to say is left out. `owner_org_ref`: the organisation that is asked (the plan's lead).
    """
    task: Resource = {
        "resourceType": "Task",
        "id": id,
        "basedOn": [{"reference": plan_ref}],
        "status": "requested",
        "businessStatus": _concept(CONFLICT, conflict.kind),
        "intent": "order",
        "code": _concept(CONFLICT, "resolve-conflict"),
        "description": _KINDS[conflict.kind].format(REASONS.get(conflict.path, "")),
        "focus": {"reference": conflict.reference},
        "authoredOn": _date_time(now),
        "input": [{"type": _concept(CONFLICT, name), "valueString": text} for name, text in _inputs(conflict)],
    }
    if patient_ref:
        task["for"] = {"reference": patient_ref}
    if owner_org_ref:
        task["owner"] = {"reference": owner_org_ref}
    return task


def provenance(
    targets: Sequence[str], *, id: str, agent: Resource, recorded: datetime, activity: str = "UPDATE"
) -> Resource:
    """Who is behind the new versions of `targets` (at least one reference).

    agent: a Reference to the organisation or, where it has no resource, with identifier or display. activity: a code
    of http://terminology.hl7.org/CodeSystem/v3-DataOperation.
    """
    return {
        "resourceType": "Provenance",
        "id": id,
        "target": [{"reference": reference} for reference in targets],
        "recorded": _instant(recorded),
        "activity": _concept(f"{_TERMINOLOGY}/v3-DataOperation", activity),
        "agent": [{"type": _concept(f"{_TERMINOLOGY}/provenance-participant-type", "author"), "who": agent}],
    }


def audit_event(
    *,
    id: str,
    action: AuditAction,
    agent: Resource,
    plan_ref: str,
    recorded: datetime,
    patient_ref: str | None = None,
    reasons: Sequence[str] = (),
    refused: bool = False,
) -> Resource:
    """Who did what to which plan, after IHE BALP: references only, no personal data.

    agent: a Reference to who asked. reasons: those of the access decision. https://profiles.ihe.net/ITI/BALP
    """
    rest = {"system": f"{_TERMINOLOGY}/audit-event-type", "code": "rest"}
    return {
        "resourceType": "AuditEvent",
        "id": id,
        "type": rest,
        "subtype": [{"system": "http://hl7.org/fhir/restful-interaction", "code": _INTERACTION[action]}],
        "action": action,
        "recorded": _instant(recorded),
        "outcome": "4" if refused else "0",
        "agent": [
            {
                "type": _concept("http://dicom.nema.org/resources/ontology/DCM", "110153"),
                "who": agent,
                "requestor": True,
            }
        ],
        "source": {"observer": {"display": "fhir-adapter"}},
        "entity": list(_entities(plan_ref, patient_ref, reasons)),
    }


def _entities(plan_ref: str, patient_ref: str | None, reasons: Sequence[str]) -> Iterator[Resource]:
    plan = _entity(plan_ref, type_="2", role="4")
    details = [{"type": "reason", "valueString": reason} for reason in reasons]
    yield plan | ({"detail": details} if details else {})
    if patient_ref:
        yield _entity(patient_ref, type_="1", role="1")


def _entity(reference: str, *, type_: str, role: str) -> Resource:
    """1 person/patient, 2 system object/domain resource 4 (audit-entity-type, object-role)."""
    return {
        "what": {"reference": reference},
        "type": {"system": f"{_TERMINOLOGY}/audit-entity-type", "code": type_},
        "role": {"system": f"{_TERMINOLOGY}/object-role", "code": role},
    }


def _inputs(conflict: Conflict) -> Iterator[tuple[str, str]]:
    if conflict.path:
        yield "path", conflict.path
    for name, value in (("base", conflict.base), ("live", conflict.live), ("other", conflict.other)):
        if value is not None:
            yield name, dump_json(value).decode()
    if conflict.live_party:
        yield "live-party", conflict.live_party
    yield "other-party", conflict.other_party


def _concept(system: str, code: str) -> dict[str, Any]:
    return {"coding": [{"system": system, "code": code}]}


def _date_time(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z")


def _instant(moment: datetime) -> str:
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
