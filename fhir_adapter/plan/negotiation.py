"""Who may take which step with a Task that one organisation asks another to do, and how the team follows.

A Task is negotiated when it names who asks and who does. Any other Task is a note of how far a thing is: who leads the
plan or brought the Task records it, who does it tells it. The steps are those of ORCA's Shared Care Planning
(https://santeonnl.github.io/shared-care-planning), with what FHIR allows besides; docs/negotiation.md draws them.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal
from uuid import NAMESPACE_URL, uuid5

from fhir_adapter.fhir.resources import Resource, asks_for_a_decision
from fhir_adapter.plan import lifecycle
from fhir_adapter.plan.elements import Conflict
from fhir_adapter.plan.merge import Merged
from fhir_adapter.plan.owners import organisations_behind

Role = Literal["requester", "owner"]
Steps = Mapping[str, Mapping[str, tuple[Role, ...]]]

_EITHER: tuple[Role, ...] = ("requester", "owner")

STEPS: Steps = {
    "draft": {"requested": ("requester",), "cancelled": ("requester",)},
    "requested": {"received": ("owner",), "accepted": ("owner",), "rejected": ("owner",), "cancelled": _EITHER},
    "received": {"accepted": ("owner",), "rejected": ("owner",), "cancelled": _EITHER},
    "accepted": {"in-progress": ("owner",), "rejected": ("owner",), "cancelled": _EITHER},
    "ready": {"in-progress": ("owner",), "completed": ("owner",), "failed": ("owner",), "cancelled": ("requester",)},
    "in-progress": {"on-hold": _EITHER, "completed": ("owner",), "failed": ("owner",), "cancelled": ("requester",)},
    "on-hold": {"in-progress": _EITHER, "cancelled": ("requester",)},
    "rejected": {},
    "completed": {},
    "failed": {},
    "cancelled": {},
    "entered-in-error": {},
}
"""State of a negotiated Task -> the next one -> by whom. From every state either may say that it was an error."""

SUBTASK_STEPS: Steps = {"ready": {"completed": ("owner",), "failed": ("owner",)}}
"""The same for a part of another Task (a questionnaire that the performer wants answered first)."""

IMMUTABLE = ("focus", "for", "requester", "owner", "basedOn", "partOf", "intent")
"""What nobody changes once a Task was requested: to ask somebody else, or for something else, is to ask anew."""

MEMBER = frozenset({"accepted", "in-progress", "on-hold"})
"""States of a Task in which who does it belongs to the team."""

LEFT = frozenset({"completed", "failed", "cancelled", "rejected", "entered-in-error"})
"""States after which who did it belongs to the team no longer, unless another Task keeps the membership."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What a party is to a Task: who asks, who does, or (`records`) who writes down what the others do."""

    requester: bool = False
    owner: bool = False
    records: bool = False

    @property
    def roles(self) -> frozenset[str]:
        """The roles by the names of the table."""
        return frozenset(role for role, has in (("requester", self.requester), ("owner", self.owner)) if has)


def is_negotiated(task: Resource) -> bool:
    """Whether the Task names who asks and who does."""
    return task.get("resourceType") == "Task" and "requester" in task and "owner" in task


def may_step(before: str, after: str, standing: Standing, *, subtask: bool = False) -> bool:
    """Whether a party may bring a Task from one state to the other, in one step or in several that are all its own:
    who tells only its latest state has taken the ones between."""
    if before == after or standing.records:
        return True
    if after == "entered-in-error":
        return bool(standing.roles)
    reached, waiting = {before}, [before]
    steps = SUBTASK_STEPS if subtask else STEPS
    while waiting:
        for state, roles in steps.get(waiting.pop(), {}).items():
            if state not in reached and standing.roles & set(roles):
                reached.add(state)
                waiting.append(state)
    return after in reached


def asks_for(task: Resource, name: str) -> bool:
    """Whether the element says what is asked for of whom, and nobody changes it any more."""
    return is_negotiated(task) and task.get("status") != "draft" and name in IMMUTABLE and name in task


def refused_parts(before: Resource, after: Resource, standing: Standing) -> list[str]:
    """The elements of a Task that the party must not change as it does."""
    refused = [name for name in IMMUTABLE if asks_for(before, name) and before[name] != after.get(name)]
    if "requester" not in before and "requester" in after and not (standing.roles or standing.records):
        refused.append("requester")  # or anybody could make somebody's Task its own request
    states = str(before.get("status", "")), str(after.get("status", ""))
    if not may_step(*states, standing, subtask="partOf" in before):
        refused.append("status")
    return refused


def hold_back(
    merged: Merged,
    ours: Mapping[str, Resource],
    party: str,
    standing: Callable[[Resource], Standing],
    wrote: Callable[[str], str | None],
) -> None:
    """Take the steps that are not the party's own out of what was merged; each is kept as a conflict.

    A Task that is new here is taken as it comes: what it went through elsewhere is told by nobody else.
    """
    for reference, after in list(merged.changed.items()):
        before = ours.get(reference)
        refused = _refused(before, after, ours, standing) if before else []
        if before is None or not refused:
            continue
        for name in refused:
            live, other, live_party = before.get(name), after.get(name), wrote(reference)
            conflict = Conflict(reference, name, live, live, other, live_party, party, "not-allowed")
            merged.conflicts.append(conflict)
        merged.changed[reference] = _with_parts_of(before, after, refused)
        if merged.changed[reference] == before:
            del merged.changed[reference]
        if "status" in refused:  # it was not taken away after all
            merged.tombstones[:] = [one for one in merged.tombstones if (one.reference, one.path) != (reference, "")]


def _refused(
    before: Resource, after: Resource, ours: Mapping[str, Resource], standing: Callable[[Resource], Standing]
) -> list[str]:
    """The elements of a Task, or of the request behind negotiated Tasks, that are not the party's to change so."""
    if before.get("resourceType") == "Task" and not asks_for_a_decision(before):
        return refused_parts(before, after, standing(before))
    end = lifecycle.TASK_FOLLOWS.get(str(after.get("status")))
    if before.get("resourceType") != "ServiceRequest" or end is None or before.get("status") == after.get("status"):
        return []
    focus = f"ServiceRequest/{before['id']}"
    asked = [one for one in ours.values() if is_negotiated(one) and one.get("focus", {}).get("reference") == focus]
    return ["status"] if asked and not any(_may_end(one, end, standing(one)) for one in asked) else []


def _may_end(task: Resource, state: str, standing: Standing) -> bool:
    """Whether a party may end the request behind a Task: who asks always, who does where it may end the Task so."""
    return standing.requester or may_step(str(task.get("status")), state, standing)


def _with_parts_of(before: Resource, after: Resource, names: Sequence[str]) -> Resource:
    kept = {name: value for name, value in after.items() if name not in names}
    return kept | {name: before[name] for name in names if name in before}


# --- the team ----------------------------------------------------------------------------------------------------


def team_follows_tasks(
    changed: Mapping[str, Resource], ours: Mapping[str, Resource], now: datetime
) -> dict[str, Resource]:
    """The CareTeam (and the CarePlan that has none yet) after negotiated Tasks changed their state.

    Who asks is a member; who does is one from the acceptance on, and ends with the last Task that is under way. Only a
    membership that has a start is ended: the others are somebody's own list, and stay as they were listed. Parts of
    other Tasks and proposals change nothing.
    """
    moved = [one for ref, one in changed.items() if _counts(one) and one.get("status") != _state(ours.get(ref))]
    if not moved:
        return {}
    plan = {**ours, **changed}
    found = _team_of(plan)
    if found is None:
        return {}
    reference, team, made = found
    participants = list(team.get("participant", []))
    for task in moved:
        participants = _after_step(participants, task, plan, now)
    if participants == team.get("participant", []):
        return {}
    return {**made, reference: team | {"participant": participants}}


def _counts(task: Resource) -> bool:
    return is_negotiated(task) and "partOf" not in task and task.get("intent") != "proposal"


def _state(task: Resource | None) -> str | None:
    return task.get("status") if task else None


def _team_of(plan: Mapping[str, Resource]) -> tuple[str, Resource, dict[str, Resource]] | None:
    """The plan's team; where it has none, a new one with the CarePlan that names it."""
    main = next((ref for ref, one in plan.items() if one["resourceType"] == "CarePlan" and "basedOn" not in one), None)
    if main is None:
        return None
    care_plan = plan[main]
    known = [one.get("reference") for one in care_plan.get("careTeam", [])]
    reference = next((one for one in known if one in plan), None)
    if reference is not None:
        return reference, plan[reference], {}
    id_ = str(uuid5(NAMESPACE_URL, f"{main}|CareTeam"))
    team = {"resourceType": "CareTeam", "id": id_, "status": "active", "subject": care_plan["subject"]}
    named = care_plan | {"careTeam": [*care_plan.get("careTeam", []), {"reference": f"CareTeam/{id_}"}]}
    return f"CareTeam/{id_}", team, {main: named}


def _after_step(
    participants: list[Resource], task: Resource, plan: Mapping[str, Resource], now: datetime
) -> list[Resource]:
    requester, owner, state = task["requester"], task["owner"], task.get("status")
    if state != "draft" and not any(_stands_for(one, requester, plan) for one in participants):
        participants = [*participants, _member(requester, now)]
    if state in MEMBER and not any(_is_current(one) and _is(one, owner, plan) for one in participants):
        return [*participants, _member(owner, now)]
    if state in LEFT and not _has_another_task(task, plan):
        return [
            lifecycle.end_membership(one, now)
            if _is(one, owner, plan) and "start" in one.get("period", {}) and not _is(one, requester, plan)
            else one
            for one in participants
        ]
    return participants


def _member(reference: Resource, now: datetime) -> Resource:
    return {"member": reference, "period": {"start": now.isoformat(timespec="seconds").replace("+00:00", "Z")}}


def _is_current(participant: Resource) -> bool:
    return "end" not in participant.get("period", {})


def _is(participant: Resource, reference: Resource, plan: Mapping[str, Resource]) -> bool:
    """Whether the participant is who the Reference means: the same resource, or one with the same identifier."""
    return are_the_same(participant.get("member"), reference, plan)


def _stands_for(participant: Resource, reference: Resource, plan: Mapping[str, Resource]) -> bool:
    """Whether the participant is who the Reference means, or somebody who works there."""
    members = (participant.get("member"), participant.get("onBehalfOf"))
    behind = ({"reference": one} for member in members for one in organisations_behind(member, plan))
    return any(are_the_same(one, reference, plan) for one in (*members, *behind))


def _has_another_task(task: Resource, plan: Mapping[str, Resource]) -> bool:
    others = (one for one in plan.values() if _counts(one) and one.get("id") != task.get("id"))
    return any(one.get("status") in MEMBER and are_the_same(one["owner"], task["owner"], plan) for one in others)


def are_the_same(one: Any, other: Any, plan: Mapping[str, Resource]) -> bool:
    """Whether two References mean one thing: literally, or because an identifier is the same."""
    if not isinstance(one, dict) or not isinstance(other, dict):
        return False
    if one.get("reference") is not None and one.get("reference") == other.get("reference"):
        return True
    return bool(set(_identifiers(one, plan)) & set(_identifiers(other, plan)))


def _identifiers(reference: Resource, plan: Mapping[str, Resource]) -> Iterator[tuple[str, str]]:
    target = plan.get(str(reference.get("reference", "")), {})
    for one in (reference.get("identifier", {}), *target.get("identifier", ())):
        if one.get("system") and one.get("value"):
            yield one["system"], one["value"]
