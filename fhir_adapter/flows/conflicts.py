"""The story of a conflict: shown to who may see it in its own words, and decided by who may decide.

A decision is an edit that has seen both values: it goes through the one merge, with what is live as its base.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, Literal

from fhir_adapter.access.identity import Party
from fhir_adapter.access.projection import project
from fhir_adapter.checks.validate import check_resource
from fhir_adapter.errors import AdapterError, BadRequest, Conflict, Forbidden, Issue, NotFound, Refused
from fhir_adapter.fhir.resources import Resource, asks_for_a_decision, dump_json, parse_input, parse_json, reference_of
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import change
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.native_words import NativeWords
from fhir_adapter.flows.ownership import owners_of
from fhir_adapter.flows.pull import decision_for
from fhir_adapter.flows.push import Answer, Delivery, earlier_answer
from fhir_adapter.flows.questions import Deciding, as_conflict
from fhir_adapter.plan import decisions
from fhir_adapter.plan.decisions import Decision
from fhir_adapter.plan.elements import Conflict as Question
from fhir_adapter.plan.merge import Refs
from fhir_adapter.store import conflicts, journal, plans
from fhir_adapter.store.conflicts import Decided, KeptConflict
from fhir_adapter.store.database import attempt
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3

Which = Literal["open", "decided", "all"]

_ALWAYS = ("keep", "later")
"""What may be decided although what it is about is gone."""

FIELDS = ("decision", "value", "reason", "until", "seen")
"""What a decision may say."""


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


# --- showing -----------------------------------------------------------------------------------------------------


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
    return [in_words(connection, hub, case) for case in cases if case and which in ("all", _state(case))]


def _may_look_at(connection: sqlite3.Connection, hub: Hub, reader: Party | None, plan_id: str) -> bool:
    plan = plans.get(connection, plan_id)
    if plan is None or reader is None:
        return plan is not None
    return decision_for(hub, reader, plan, change.load(connection, plan)).permit


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
        visible = project(found, reader) if decision_for(hub, reader, plan, found).permit else {}
        is_own = kept.kind == "quarantined" and kept.other_party == reader.name
        if decisions.reference_to(kept.id) not in visible or not (kept.reference in visible or is_own):
            return None
    return Case(kept, plan, found, visible, conflicts.last_decision(connection, kept.id), reader)


def _state(case: Case) -> str:
    return "open" if case.is_open else "decided"


def in_words(connection: sqlite3.Connection, hub: Hub, case: Case) -> dict[str, Any]:
    """A conflict as its reader is told of it (docs/conflicts.md): in the reader's own words where it has a format."""
    kept, question = case.kept, case.question
    base, live, other = question.base, case.live, question.other
    path = ""
    is_there = decisions.is_there(question, case.found)
    words = _native_words(connection, hub, case) if is_there else None
    if words and (path := words.path(question)):
        base, live, other = words.values(question, [base, live, other])
    is_as_it_was = case.live == question.live
    return {
        "id": kept.id,
        "plan": kept.plan,
        "kind": kept.kind,
        "state": _state(case),
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
        "mayDecide": [word for word in words_open_to(connection, hub, case) if is_there or word in _ALWAYS]
        if case.is_open
        else [],
        "decision": _told(case.decided),
    }


def _told(decided: Decided | None) -> dict[str, Any] | None:
    if decided is None:
        return None
    told = {"decision": decided.word, "by": decided.party, "at": decided.at, "reason": decided.reason}
    return {name: value for name, value in (told | {"until": decided.until}).items() if value is not None}


def _native_words(connection: sqlite3.Connection, hub: Hub, case: Case) -> NativeWords | None:
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


def who_decides(connection: sqlite3.Connection, hub: Hub, case: Case) -> list[str]:
    """The parties who may decide: the owner of the element, who leads the plan, and who brought it."""
    owners = owners_of(connection, hub, case.plan, case.found)
    found = (decisions.owner_of(case.question, owners, case.found), owners.leader, case.plan.party)
    return list(dict.fromkeys(name for name in found if name))


# --- deciding ----------------------------------------------------------------------------------------------------


def decide(hub: Hub, party: Party, conflict: str, delivery: Delivery) -> Answer:
    """Decide a conflict: the body says `decision`, and where needed `value`, `reason`, `until`, `seen`.

    The same key and body get the same answer again; so does the same decision under another key. Raises NotFound,
    Forbidden, Refused, and Conflict for what was decided otherwise before. When the live value is another than the one
    that was seen, the answer is 409 with the conflict as it is now.
    """
    said = _said_in(delivery)
    journaled = replace(delivery, body=dump_json({"conflict": conflict, **said}))
    answer = hub.database.write(lambda connection: _decide(connection, hub, party, conflict, said, journaled))
    hub.changed()
    return answer


def body_of(decision: str, value: str | None = None, **said: str | None) -> bytes:
    """The body of a decision in the words of a command line: the value is JSON, else taken as plain words."""
    try:
        meant = None if value is None else parse_json(value.encode())
    except BadRequest:
        meant = value
    whole = {"decision": decision, "value": meant, **said}
    return dump_json({name: each for name, each in whole.items() if each is not None})


def _said_in(delivery: Delivery) -> dict[str, Any]:
    said = parse_input(delivery.body)
    if not isinstance(said, dict):
        raise Refused("a decision is an object", [Issue("error", "structure", "", "not an object", "{...}")])
    unknown = [name for name in said if name not in FIELDS]
    if unknown:
        raise Refused(
            "unknown fields", [Issue("error", "value", name, "not known", ", ".join(FIELDS)) for name in unknown]
        )
    return said


def _decide(
    connection: sqlite3.Connection, hub: Hub, party: Party, conflict: str, said: dict[str, Any], delivery: Delivery
) -> Answer:
    if earlier := earlier_answer(connection, party, delivery):
        return earlier
    case = case_of(connection, hub, party, conflict)
    decision = _decision_in(connection, hub, case, said)
    if case.decided and not case.is_open:
        return _decided_before(connection, hub, case, case.decided, party, decision)
    _check_may_decide(connection, hub, case, party, decision)
    if not has_seen(case, said.get("seen"), decision):
        return _must_be_seen(connection, hub, case)
    now = hub.now()
    entry = journal.enter(
        connection,
        party=party.name,
        key=delivery.key,
        media_type=delivery.media_type,
        body=delivery.body,
        received=instant(now),
    )
    _apply(connection, hub, party, case, decision, entry, now)
    after = case_of(connection, hub, party, conflict)
    answer = Answer(200, dump_json(_receipt(connection, hub, after)))
    journal.close(connection, entry, "applied", plan=case.plan.id, receipt=answer.receipt.decode())
    return answer


def _decision_in(connection: sqlite3.Connection, hub: Hub, case: Case, said: dict[str, Any]) -> Decision:
    decision = decisions.check_decision(*(said.get(name) for name in ("decision", "value", "reason", "until")))
    if decision.word != "write":
        return decision
    words = _native_words(connection, hub, case)
    if words and words.path(case.question):
        return replace(decision, value=words.in_fhir(case.question, decision.value))
    return replace(decision, value=decisions.value_of_its_kind(decision.value, case.question))


def _check_may_decide(connection: sqlite3.Connection, hub: Hub, case: Case, party: Party, decision: Decision) -> None:
    allowed = words_open_to(connection, hub, case, party)
    if decision.word in allowed:
        return
    who = " or ".join(who_decides(connection, hub, case))
    reason = f"{decision.word} is for {who} to say" + (", you may take your own value back: keep" if allowed else "")
    raise Forbidden("not yours to decide", [Issue("error", "forbidden", "decision", reason, "one who may decide")])


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


def _must_be_seen(connection: sqlite3.Connection, hub: Hub, case: Case) -> Answer:
    issue = Issue(
        "error",
        "conflict",
        "seen",
        "the value in the plan is another one by now: look at it, then decide",
        decisions.word_for(case.live),
    )
    return Answer(409, dump_json({"state": "changed", "issues": [issue.as_dict()],
                                  "conflict": in_words(connection, hub, case)}))  # fmt: skip


def _decided_before(
    connection: sqlite3.Connection, hub: Hub, case: Case, decided: Decided, party: Party, decision: Decision
) -> Answer:
    value = dump_json(decision.value).decode() if decision.word == "write" else None
    if (decided.word, decided.party, decided.value) != (decision.word, party.name, value):
        issue = Issue(
            "error",
            "conflict",
            "decision",
            f"this was decided by {decided.party}: {decided.word}",
            "an ordinary edit, if the value is to change again",
        )
        raise Conflict("decided before", [issue])
    entry = journal.by_id(connection, decided.journal)
    if entry.receipt:
        return Answer(entry.status, entry.receipt.encode(), True)
    return Answer(200, dump_json(_receipt(connection, hub, case)), True)


def _apply(
    connection: sqlite3.Connection,
    hub: Hub,
    party: Party,
    case: Case,
    decision: Decision,
    entry: int,
    now: datetime,
) -> change.Applied:
    """The decision as the party's edit of what is live. Raises Refused where the plan's rules do not allow it."""
    edited = decisions.edit_of(case.question, decision, case.found, now)
    wrong = [issue for issue in check_resource(edited) if issue.severity == "error"] if edited else []
    if wrong:
        raise Refused("not FHIR with this value", [replace(wrong[0], path=f"value ({wrong[0].path})")])
    live = {case.kept.reference: case.found[case.kept.reference]} if case.kept.reference in case.found else {}
    theirs = {case.kept.reference: edited} if edited else {}
    arrival = change.Arrival(party, entry, [live], theirs, partial=True, deciding=Deciding(case.kept, decision))
    applied = change.apply(connection, hub, case.plan, case.found, arrival, now)
    if applied.conflicts:
        kinds = ", ".join(dict.fromkeys(one.kind for one in applied.conflicts))
        raise Refused(
            "the plan's rules do not allow this value",
            [Issue("error", "business-rule", "decision", f"this cannot be done to a shared plan ({kinds})", "keep")],
        )
    return applied


def _receipt(connection: sqlite3.Connection, hub: Hub, case: Case) -> dict[str, Any]:
    return {
        "state": _state(case),
        "plan": {"id": case.plan.id, "version": case.plan.version},
        "conflict": in_words(connection, hub, case),
    }


# --- by Task -----------------------------------------------------------------------------------------------------


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
            _check_may_decide(connection, hub, case, party, decision)
            if not has_seen(case, decisions.live_seen_in(said), decision):
                raise Conflict("the value in the plan is another one by now: look at it, then decide")
            return _apply(connection, hub, party, case, decision, entry, now)
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
