"""The same story by FHIR: a party answers the Task that asks about a conflict, or works on it without deciding."""

from __future__ import annotations

from datetime import datetime
from typing import TYPE_CHECKING

from fhir_adapter.access.identity import Party
from fhir_adapter.access.projection import project
from fhir_adapter.errors import AdapterError, Conflict, Unavailable
from fhir_adapter.fhir.resources import Resource, asks_for_a_decision, reference_of
from fhir_adapter.flows import change
from fhir_adapter.flows.conflicts import Case, has_seen
from fhir_adapter.flows.deciding import apply, check_may_decide
from fhir_adapter.flows.hub import Hub
from fhir_adapter.plan import decisions
from fhir_adapter.plan.merge import Refs
from fhir_adapter.store import conflicts
from fhir_adapter.store.database import attempt
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3


def is_a_question(said: Resource, ours: Refs) -> bool:
    """Whether a resource that a FHIR party wrote is one of our Tasks about conflicts."""
    return bool(said) and asks_for_a_decision(ours.get(reference_of(said), {}))


def take_answer(
    connection: sqlite3.Connection,
    hub: Hub,
    party: Party,
    plan: Plan,
    ours: Refs,
    said: Resource,
    entry: int,
    now: datetime,
) -> change.Applied:
    """What a FHIR party wrote to the Task of a conflict: completed, it decides; else its state and notes are taken.

    An answer that cannot be applied leaves the Task open, with a note that says why.
    """
    task = ours[reference_of(said)]
    kept = conflicts.get(connection, task["id"])
    last = conflicts.last_decision(connection, task["id"])
    if kept is None or (last and last.is_final):
        return _note_on_task(connection, hub, party, plan, ours, task, entry, now)
    if said.get("status") != "completed":
        worked_on = decisions.worked_on(task, said)
        return _note_on_task(connection, hub, party, plan, ours, worked_on, entry, now)
    case = Case(kept, plan, ours, project(ours, party), last, party)
    try:
        with attempt(connection):
            decision = decisions.decision_in(said, case.question)
            check_may_decide(connection, hub, case, party, decision)
            if not has_seen(case, decisions.live_seen_in(said), decision):
                raise Conflict("the value in the plan is another one by now: look at it, then decide")
            return apply(connection, hub, party, case, decision, entry, now)
    except Unavailable:
        raise
    except AdapterError as fault:
        noted = decisions.not_applied(task, fault.issues, now)
        return _note_on_task(connection, hub, party, plan, ours, noted, entry, now)


def _note_on_task(
    connection: sqlite3.Connection,
    hub: Hub,
    party: Party,
    plan: Plan,
    ours: Refs,
    task: Resource,
    entry: int,
    now: datetime,
) -> change.Applied:
    reference = reference_of(task)
    arrival = change.Arrival(party, entry, [{reference: ours[reference]}], {reference: task}, partial=True)
    return change.apply(connection, hub, plan, ours, arrival, now)
