"""The open questions of a plan: keeping a conflict, and what a change or a decision makes of those that are open."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, cast
from uuid import uuid5

from fhir_adapter.access.identity import Party
from fhir_adapter.fhir.resources import dump_json, parse_json
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows.hub import Hub
from fhir_adapter.plan import decisions
from fhir_adapter.plan.decisions import Decision
from fhir_adapter.plan.elements import Conflict, ConflictKind
from fhir_adapter.plan.merge import Refs
from fhir_adapter.store import conflicts
from fhir_adapter.store.conflicts import Decided, KeptConflict
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Deciding:
    """A decision about a kept conflict, on its way through the merge."""

    kept: KeptConflict
    decision: Decision


@dataclass(frozen=True, slots=True)
class Closed:
    """What a change makes of open questions: their Tasks as they are now, and what is to be noted about them."""

    tasks: Refs = field(default_factory=dict)
    decided: list[tuple[str, Decided]] = field(default_factory=list)


def as_conflict(kept: KeptConflict) -> Conflict:
    """A stored conflict as the merge speaks of it."""
    base, live, other = (parse_json(text.encode()) if text else None for text in (kept.base, kept.live, kept.other))
    kind = cast(ConflictKind, kept.kind)
    return Conflict(kept.reference, kept.path, base, live, other, kept.live_party, kept.other_party, kind)


def new_conflicts(
    connection: sqlite3.Connection, hub: Hub, plan: Plan, found: Sequence[Conflict], now: datetime
) -> tuple[list[KeptConflict], list[tuple[KeptConflict, Conflict]]]:
    """The conflicts as they are kept, and those among them that are new.

    The id follows from what a conflict says, so that the same one is kept once while it is open, and of two equal items
    one is asked about; when it was decided and comes up again, it is a new question.
    """
    if not found:
        return [], []
    open_ = {one.id for one in conflicts.open_of_plan(connection, plan.id)}
    decided = {one.id for one in conflicts.of_plan(connection, plan.id)} - open_
    asked = {one.id: (one, conflict) for conflict in found for one in [_kept(hub, plan, conflict, now, decided)]}
    return [one for one, _ in asked.values()], [each for id_, each in asked.items() if id_ not in open_]


def _kept(hub: Hub, plan: Plan, conflict: Conflict, now: datetime, decided: set[str]) -> KeptConflict:
    base, live, other = (
        None if value is None else dump_json(value).decode() for value in (conflict.base, conflict.live, conflict.other)
    )
    name = f"conflict|{plan.id}|{conflict.reference}|{conflict.path}|{conflict.other_party}|{live}|{other}"
    while (id_ := str(uuid5(hub.namespace, name))) in decided:
        name += "|again"
    return KeptConflict(
        id_, plan.id, conflict.reference, conflict.path, conflict.kind, base, live, other,
        conflict.live_party, conflict.other_party, instant(now),
    )  # fmt: skip


def closed_by(
    connection: sqlite3.Connection,
    plan: Plan,
    party: Party,
    ours: Refs,
    changed: Refs,
    deciding: Deciding | None,
    journal: int,
    now: datetime,
) -> Closed:
    """What a change (`changed` of `ours`) by a party makes of the plan's open questions; nothing is written here."""
    closed = Closed()
    if not changed and deciding is None:
        return closed
    open_ = {kept.id: as_conflict(kept) for kept in conflicts.open_of_plan(connection, plan.id)}
    if deciding is not None:
        open_.pop(deciding.kept.id, None)
        _note_decision(closed, deciding, party, ours, journal, now)
    for outcome in decisions.looked_at_again(open_, ours, changed):
        closed.tasks[decisions.reference_to(outcome.id)] = outcome.task
        if outcome.is_settled:
            closed.decided.append((outcome.id, Decided("settled", party.name, instant(now), journal=journal)))
    return closed


def _note_decision(closed: Closed, deciding: Deciding, party: Party, ours: Refs, journal: int, now: datetime) -> None:
    decision, id_ = deciding.decision, deciding.kept.id
    task = ours.get(decisions.reference_to(id_))
    if task is not None:
        closed.tasks[decisions.reference_to(id_)] = decisions.answered(task, decision)
    value = dump_json(decision.value).decode() if decision.word == "write" else None
    decided = Decided(decision.word, party.name, instant(now), value, decision.reason, decision.until, journal)
    closed.decided.append((id_, decided))
