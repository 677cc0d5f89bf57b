"""The overview story: a shared plan as a person reads it, with its open questions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fhir_adapter.errors import NotFound
from fhir_adapter.fhir.resources import Resource, dump_json, indented
from fhir_adapter.flows import change
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.questions import as_conflict
from fhir_adapter.plan import decisions
from fhir_adapter.plan.merge import Refs
from fhir_adapter.store import conflicts, plans
from fhir_adapter.store.conflicts import KeptConflict
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Line:
    """One thing on a plan page: what it says, who is behind it, how far it is."""

    text: str
    who: str
    state: str


@dataclass(frozen=True, slots=True)
class Question:
    """A conflict: the value that is live and the one that was kept, with the parties they came from."""

    id: str
    about: str
    live: str | None
    live_from: str
    kept: str | None
    kept_from: str
    until: str | None


@dataclass(frozen=True, slots=True)
class PlanPage:
    """A whole plan for reading."""

    id: str
    title: str
    person: str
    version: int
    updated: str
    status: str
    goals: tuple[Line, ...]
    activities: tuple[Line, ...]
    meetings: tuple[Line, ...]
    team: tuple[Line, ...]
    notes: tuple[Line, ...]
    questions: tuple[Question, ...]


def list_plans(hub: Hub, count: int = 100) -> list[Plan]:
    """The plans that changed last."""
    return plans.newest(hub.database.read(), count)


def show_plan(hub: Hub, plan_id: str) -> PlanPage:
    """The plan with this CarePlan id. Raises NotFound."""
    connection = hub.database.read()
    plan = plans.get(connection, plan_id)
    if plan is None:
        raise NotFound("no such plan")
    found = change.as_refs(plans.members(connection, plan.id))
    care_plan = found[f"CarePlan/{plan.id}"]
    titles = {party.name: party.title for party in hub.parties.values()}
    return PlanPage(
        plan.id,
        care_plan.get("title", plan.record),
        name_in(found, care_plan.get("subject")),
        plan.version,
        plan.updated,
        care_plan["status"],
        tuple(_goal(found, goal) for goal in _pointed_to(found, care_plan.get("goal", []))),
        tuple(_activity(found, one) for one in _activities(found, care_plan) if one["resourceType"] != "Appointment"),
        tuple(_meeting(one) for one in _activities(found, care_plan) if one["resourceType"] == "Appointment"),
        tuple(_member(found, participant) for participant in _participants(found, care_plan)),
        tuple(Line(note.get("text", ""), _author(found, note), note.get("time", "")) for note in _notes(found)),
        tuple(_question(connection, titles, found, kept) for kept in conflicts.open_of_plan(connection, plan.id)),
    )


def _question(connection: sqlite3.Connection, titles: Mapping[str, str], found: Refs, kept: KeptConflict) -> Question:
    conflict = as_conflict(kept)
    live = decisions.live_value(conflict, found)
    live_from = kept.live_party if live == conflict.live else plans.wrote(connection, kept.plan, kept.reference)
    last = conflicts.last_decision(connection, kept.id)
    return Question(
        kept.id,
        about(found, kept.reference, kept.path),
        text_of(live),
        titles.get(live_from or "", live_from or ""),
        text_of(conflict.other),
        titles.get(kept.other_party, kept.other_party),
        last.until if last else None,
    )


def _goal(found: Refs, goal: Resource) -> Line:
    state = goal.get("achievementStatus", {}).get("coding", [{}])[0].get("code") or goal["lifecycleStatus"]
    return Line(goal["description"].get("text", ""), name_in(found, goal.get("expressedBy")), state)


def _activities(found: Refs, care_plan: Resource) -> list[Resource]:
    return _pointed_to(found, [each["reference"] for each in care_plan.get("activity", []) if "reference" in each])


def _activity(found: Refs, request: Resource) -> Line:
    tasks = [
        task
        for task in found.values()
        if task["resourceType"] == "Task"
        and task.get("focus", {}).get("reference") == f"ServiceRequest/{request['id']}"
    ]
    who = ", ".join(filter(None, (name_in(found, performer) for performer in request.get("performer", []))))
    return Line(concept_text(request.get("code")), who, tasks[0]["status"] if tasks else request["status"])


def _meeting(appointment: Resource) -> Line:
    start = appointment.get("start") or appointment.get("requestedPeriod", [{}])[0].get("start", "")
    return Line(concept_text(appointment.get("appointmentType")), start[:16].replace("T", " "), appointment["status"])


def _participants(found: Refs, care_plan: Resource) -> list[Resource]:
    teams = _pointed_to(found, care_plan.get("careTeam", []))
    return [participant for team in teams for participant in team.get("participant", [])]


def _member(found: Refs, participant: Resource) -> Line:
    roles = ", ".join(concept_text(role) for role in participant.get("role", []))
    member = participant.get("member", {})
    organisation = participant.get("onBehalfOf") or found.get(member.get("reference", ""), {}).get("organization")
    return Line(name_in(found, member), name_in(found, organisation), roles)


def _notes(found: Refs) -> list[Resource]:
    return [
        note for resource in found.values() if resource["resourceType"] != "Task" for note in resource.get("note", [])
    ]


def _author(found: Refs, note: Resource) -> str:
    return str(note.get("authorString") or name_in(found, note.get("authorReference")))


def about(found: Refs, reference: str, path: str) -> str:
    """What a conflict is about, in words: `Goal, description`."""
    kind = found.get(reference, {}).get("resourceType", reference.partition("/")[0])
    return f"{kind}, {path}" if path else kind


def _pointed_to(found: Refs, references: list[Resource]) -> list[Resource]:
    return [found[each["reference"]] for each in references if each.get("reference") in found]


def name_in(found: Refs, reference: Any) -> str:
    """What a person would call the target of a Reference."""
    if not reference:
        return ""
    target = found.get(reference.get("reference", ""), {})
    if target.get("resourceType") == "PractitionerRole":
        return name_in(found, target.get("practitioner"))
    name = target.get("name")
    if isinstance(name, list) and name:
        parts = [*name[0].get("given", []), name[0].get("family", "")]
        return str(name[0].get("text") or " ".join(filter(None, parts)))
    return str(name or reference.get("display", ""))


def concept_text(concept: Resource | None) -> str:
    """The words of a CodeableConcept."""
    coding = (concept or {}).get("coding", [{}])[0]
    return str((concept or {}).get("text") or coding.get("display") or coding.get("code") or "")


def text_of(value: Any) -> str | None:
    """A value in words: the text of a concept, else its JSON; None where nothing stands."""
    if value is None or isinstance(value, str):
        return value
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return str(value["text"])
    return indented(dump_json(value)).decode()
