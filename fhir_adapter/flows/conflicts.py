"""The story of a conflict, first half: shown to who may see it in its own words, with what it may decide."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from fhir_adapter.access.identity import Party
from fhir_adapter.access.projection import project
from fhir_adapter.checks.validate import errors_in
from fhir_adapter.errors import NotFound, Refused
from fhir_adapter.flows import change
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.native_words import NativeWords
from fhir_adapter.flows.ownership import owners_of
from fhir_adapter.flows.pull import decision_for, may_look_at
from fhir_adapter.flows.questions import Deciding, as_conflict
from fhir_adapter.plan import decisions
from fhir_adapter.plan.decisions import Decision
from fhir_adapter.plan.elements import Conflict as Question
from fhir_adapter.plan.merge import Refs
from fhir_adapter.store import conflicts, plans
from fhir_adapter.store.conflicts import Decided, KeptConflict
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3

Which = Literal["open", "decided", "all"]


@dataclass(frozen=True, slots=True)
class Case:
    """A kept conflict in its plan, as far as one reader may look; `reader` None is the operator, who sees all."""

    kept: KeptConflict
    plan: Plan
    found: Refs
    visible: Refs
    decided: Decided | None
    reader: Party | None

    @property
    def question(self) -> Question:
        """The conflict as the merge speaks of it."""
        return as_conflict(self.kept)

    @property
    def is_open(self) -> bool:
        """Whether nobody has decided yet."""
        return self.decided is None or not self.decided.is_final

    @property
    def live(self) -> Any:
        """What is live now, as far as the reader may see it."""
        return decisions.live_value(self.question, self.visible)


def list_conflicts(hub: Hub, reader: Party | None, plan: str | None = None, which: Which = "open") -> list[Any]:
    """The conflicts that the reader may see, oldest first, as JSON values.

    Raises NotFound for a plan that is not there, and in the same words for one that the reader may not see.
    """
    connection = hub.database.read()
    if plan is not None and not _may_look_at(connection, hub, reader, plan):
        raise NotFound("no such plan")
    found = (
        conflicts.of_plan(connection, plan) if plan else conflicts.everywhere(connection, also_decided=which != "open")
    )
    cases = (_case(connection, hub, reader, kept) for kept in found)
    return [in_words(connection, hub, case) for case in cases if case and which in ("all", state_of(case))]


def _may_look_at(connection: sqlite3.Connection, hub: Hub, reader: Party | None, plan_id: str) -> bool:
    if reader is None:
        return plans.get(connection, plan_id) is not None
    return may_look_at(connection, hub, reader, plan_id)


def show_conflict(hub: Hub, reader: Party | None, conflict: str) -> dict[str, Any]:
    """One conflict as a JSON value. Raises NotFound, also where the reader may not look."""
    connection = hub.database.read()
    return in_words(connection, hub, case_of(connection, hub, reader, conflict))


def case_of(connection: sqlite3.Connection, hub: Hub, reader: Party | None, conflict: str) -> Case:
    """The conflict with this id in its plan. Raises NotFound, also where the reader may not look."""
    kept = conflicts.get(connection, conflict)
    case = _case(connection, hub, reader, kept) if kept else None
    if case is None:
        raise NotFound("no such conflict")
    return case


def _case(connection: sqlite3.Connection, hub: Hub, reader: Party | None, kept: KeptConflict) -> Case | None:
    plan = plans.get(connection, kept.plan)
    if plan is None:
        return None
    found = change.load(connection, plan)
    visible = found
    if reader is not None:
        visible = project(found, reader) if decision_for(connection, hub, reader, plan, found).permit else {}
        is_own = kept.kind == "quarantined" and kept.other_party == reader.name
        if decisions.reference_to(kept.id) not in visible or not (kept.reference in visible or is_own):
            return None
    return Case(kept, plan, found, visible, conflicts.last_decision(connection, kept.id), reader)


def state_of(case: Case) -> str:
    return "open" if case.is_open else "decided"


def in_words(connection: sqlite3.Connection, hub: Hub, case: Case) -> dict[str, Any]:
    """A conflict as its reader is told of it (docs/conflicts.md): in the reader's own words where it has a format."""
    kept, question = case.kept, case.question
    base, live, other = question.base, case.live, question.other
    path = ""
    is_there = decisions.is_there(question, case.found)
    words = native_words(connection, hub, case) if is_there else None
    if words and (path := words.path(question)):
        base, live, other = words.values(question, [base, live, other])
    is_as_it_was = case.live == question.live
    return {
        "id": kept.id,
        "plan": kept.plan,
        "kind": kept.kind,
        "state": state_of(case),
        "at": kept.at,
        "path": path,
        "element": f"{kept.reference}#{kept.path}",
        "words": "native" if path else "fhir",
        "base": base,
        "live": live,
        "liveFrom": kept.live_party if is_as_it_was else plans.wrote(connection, kept.plan, kept.reference),
        "kept": other,
        "keptFrom": kept.other_party,
        "seen": decisions.word_for(case.live),
        "mayDecide": _choices(connection, hub, case) if case.is_open else [],
        "decision": _told(case.decided),
    }


def _told(decided: Decided | None) -> dict[str, Any] | None:
    if decided is None:
        return None
    told = {"decision": decided.word, "by": decided.party, "at": decided.at, "reason": decided.reason}
    return {name: value for name, value in (told | {"until": decided.until}).items() if value is not None}


def native_words(connection: sqlite3.Connection, hub: Hub, case: Case) -> NativeWords | None:
    if case.reader is None or case.reader.mapping is None or case.kept.reference not in case.visible:
        return None
    return NativeWords.of(connection, hub, case.reader, case.plan, case.visible)


def words_open_to(connection: sqlite3.Connection, hub: Hub, case: Case, party: Party | None = None) -> Sequence[str]:
    """What a party (left out: the reader) may decide: the owner and the plan's lead everything, who sent the other
    value may take it back (`keep`), anybody else nothing."""
    party = party or case.reader
    if party is None:
        return ()
    if case.kept.reference in case.visible and party.name in who_decides(connection, hub, case):
        return decisions.WORDS
    return ("keep",) if party.name == case.kept.other_party else ()


def _choices(connection: sqlite3.Connection, hub: Hub, case: Case) -> list[str]:
    """What the reader may decide, less what would be refused whoever decides it."""
    words = words_open_to(connection, hub, case)
    if case.reader is None or "take" not in words:
        return list(words)
    refused = set() if _can_be_taken(connection, hub, case, case.reader) else {"take"}
    refused |= set() if decisions.can_be_written(case.question, case.found) else {"write"}
    return [word for word in words if word not in refused]


def _can_be_taken(connection: sqlite3.Connection, hub: Hub, case: Case, party: Party) -> bool:
    now = hub.now()
    try:
        arrival = as_edit(case, party, Decision("take"), 0, now)
    except Refused:
        return False
    return not change.merged_with(connection, hub, case.plan, case.found, arrival, now).conflicts


def as_edit(case: Case, party: Party, decision: Decision, entry: int, now: datetime) -> change.Arrival:
    """A decision as the party's edit of what is live. Raises Refused where it comes to nothing, or to no FHIR."""
    reference = case.kept.reference
    edited = decisions.edit_of(case.question, decision, case.found, now)
    wrong = errors_in(edited) if edited else []
    if wrong:
        raise Refused("not FHIR with this value", [replace(wrong[0], path=f"value ({wrong[0].path})")])
    live = {reference: case.found[reference]} if reference in case.found else {}
    theirs = {reference: edited} if edited else {}
    return change.Arrival(party, entry, [live], theirs, partial=True, deciding=Deciding(case.kept, decision))


def who_decides(connection: sqlite3.Connection, hub: Hub, case: Case) -> list[str]:
    """The parties who may decide: the owner of the element, who leads the plan, and who brought it."""
    owners = owners_of(connection, hub, case.plan, case.found)
    found = (decisions.owner_of(case.question, owners, case.found), owners.leader, case.plan.party)
    return list(dict.fromkeys(name for name in found if name))


def has_seen(case: Case, seen: Any, decision: Decision) -> bool:
    """Whether who decides knows what is live now: it says so, or nothing has changed since the conflict came up.

    What a party was never shown cannot have been seen with the conflict; to leave it as it is, it need not be.
    """
    live = decisions.word_for(decisions.live_value(case.question, case.found))
    if seen is not None or decision.word == "later":
        return decision.word == "later" or seen == live
    if case.kept.kind == "quarantined":
        return decision.word == "keep"
    return decisions.word_for(case.question.live) == live
