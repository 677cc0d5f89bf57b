"""What follows from a merge: the steps that carry it out, as values, and what one change brings about elsewhere."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_adapter.errors import Issue
from fhir_adapter.fhir.resources import EXTENSIONS, Resource, asks_for_a_decision
from fhir_adapter.plan import lifecycle
from fhir_adapter.plan.merge import Conflict, Merged, Refs, Tombstone
from fhir_adapter.plan.narrative import without_text_of_before
from fhir_adapter.plan.negotiation import team_follows_tasks

CLOSURE_REASON = f"{EXTENSIONS}/closure-reason"
"""Extension of CarePlan: why it ended."""

_DEAD = {"coding": [{"system": "http://snomed.info/sct", "code": "419099009", "display": "Dead"}]}

_ANSWERED = ("accepted", "tentative", "declined")


@dataclass(frozen=True, slots=True)
class Steps:
    """What is to be done: resources to save, conflicts to ask about, tombstones to keep.

    `unusual` are steps of a lifecycle that are worth telling, with the resource that took them.
    """

    save: Refs
    ask: Sequence[Conflict]
    bury: Sequence[Tombstone]
    unusual: tuple[tuple[str, Issue], ...]


def decide(merged: Merged, ours: Mapping[str, Resource], now: datetime) -> Steps:
    """The steps that bring the plan `ours` to where the merge leaves it, and what follows from that by the rules."""
    save = dict(merged.changed)
    for consequence in (
        _meetings_to_be_answered_anew,
        _what_a_death_ends,
        _tasks_of_ended_requests,
        team_follows_tasks,
    ):
        save |= consequence(save, ours, now)
    save = {ref: without_text_of_before(ours.get(ref), after) for ref, after in save.items()}
    unusual = tuple((ref, step) for ref, after in save.items() if (step := _unusual_step(ours.get(ref), after)))
    return Steps(save, merged.conflicts, merged.tombstones, unusual)


def _unusual_step(before: Resource | None, after: Resource) -> Issue | None:
    return lifecycle.check_transition(before, after) if before else None


def _tasks_of_ended_requests(changed: Refs, ours: Mapping[str, Resource], _: datetime) -> Refs:
    """A request that ends now ends its Task; one that had ended says nothing of a Task that somebody opened since."""
    ended = {
        ref: one
        for ref, one in changed.items()
        if one["resourceType"] == "ServiceRequest" and one.get("status") != ours.get(ref, {}).get("status")
    }
    everything = {**ours, **changed}.items() if ended else ()
    tasks = {ref: one for ref, one in everything if one["resourceType"] == "Task" and not asks_for_a_decision(one)}
    aligned = {
        ref: lifecycle.align_task(ended[task["focus"]["reference"]], task)
        for ref, task in tasks.items()
        if task.get("focus", {}).get("reference") in ended
    }
    return {ref: task for ref, task in aligned.items() if task != tasks[ref]}


def _meetings_to_be_answered_anew(changed: Refs, ours: Mapping[str, Resource], _: datetime) -> Refs:
    """A meeting that was moved is asked for again: who had answered did so for another time."""
    moved = {
        ref: one
        for ref, one in changed.items()
        if one["resourceType"] == "Appointment" and ref in ours and _times(one) != _times(ours[ref])
    }
    asked = {ref: _asked_again(one, ours[ref]) for ref, one in moved.items() if not lifecycle.is_terminal(one)}
    return {ref: one for ref, one in asked.items() if one != moved[ref]}


def _times(meeting: Resource) -> tuple[Any, ...]:
    return meeting.get("start"), meeting.get("end")


def _asked_again(meeting: Resource, before: Resource) -> Resource:
    """The meeting with every answer that stood before the move taken back; one that came with it stands."""
    old = [(one.get("actor"), one.get("status")) for one in before.get("participant", ())]
    return meeting | {
        "participant": [
            one | {"status": "needs-action"}
            if one.get("status") in _ANSWERED and (one.get("actor"), one.get("status")) in old
            else one
            for one in meeting.get("participant", [])
        ]
    }


def _what_a_death_ends(changed: Refs, ours: Mapping[str, Resource], now: datetime) -> Refs:
    """When the person has died the plan is completed, its Tasks and the meetings to come are cancelled."""
    if not any(_has_died(one) and not _has_died(ours.get(ref, {})) for ref, one in changed.items()):
        return {}
    everything = {**ours, **changed}
    ended = {ref: _ended_by_death(one, now) for ref, one in everything.items() if not lifecycle.is_terminal(one)}
    return {ref: one for ref, one in ended.items() if one != everything[ref]}


def _has_died(person: Resource) -> bool:
    if person.get("resourceType") != "Patient":
        return False
    return "deceasedDateTime" in person or person.get("deceasedBoolean") is True


def _ended_by_death(resource: Resource, now: datetime) -> Resource:
    type_ = resource["resourceType"]
    if type_ == "CarePlan":
        told = any(one.get("url") == CLOSURE_REASON for one in resource.get("extension", ()))
        return resource | {"status": "completed"} | ({} if told else _with_reason(resource))
    if type_ == "Task" and not asks_for_a_decision(resource):
        return resource | {"status": "cancelled"}
    if type_ == "Appointment" and _is_to_come(resource, now):
        return resource | {"status": "cancelled"}
    return resource


def _with_reason(care_plan: Resource) -> Resource:
    return {"extension": [*care_plan.get("extension", []), {"url": CLOSURE_REASON, "valueCodeableConcept": _DEAD}]}


def _is_to_come(meeting: Resource, now: datetime) -> bool:
    try:
        return datetime.fromisoformat(meeting["start"]) > now
    except (KeyError, ValueError, TypeError):  # nobody knows when: it is not over
        return True
