"""The story of a conflict, second half: decided by who may decide.

A decision is an edit that has seen both values: it goes through the one merge, with what is live as its base.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import BadRequest, Conflict, Forbidden, Issue, Refused
from fhir_adapter.fhir.resources import dump_json, parse_input, parse_json
from fhir_adapter.flows import change
from fhir_adapter.flows.conflicts import (
    Case,
    as_edit,
    case_of,
    has_seen,
    in_words,
    native_words,
    state_of,
    who_decides,
    words_open_to,
)
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.push import Answer, Delivery, earlier_answer, enter
from fhir_adapter.plan import decisions
from fhir_adapter.plan.decisions import Decision
from fhir_adapter.store import journal
from fhir_adapter.store.conflicts import Decided

if TYPE_CHECKING:
    import sqlite3

FIELDS = ("decision", "value", "reason", "until", "seen")
"""What a decision may say."""


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
    check_may_decide(connection, hub, case, party, decision)
    if not has_seen(case, said.get("seen"), decision):
        return _must_be_seen(connection, hub, case)
    now = hub.now()
    entry = enter(connection, party, delivery, now)
    apply(connection, hub, party, case, decision, entry, now)
    after = case_of(connection, hub, party, conflict)
    answer = Answer(200, dump_json(_receipt(connection, hub, after)))
    journal.close(connection, entry, "applied", plan=case.plan.id, receipt=answer.receipt.decode())
    return answer


def _decision_in(connection: sqlite3.Connection, hub: Hub, case: Case, said: dict[str, Any]) -> Decision:
    decision = decisions.check_decision(*(said.get(name) for name in ("decision", "value", "reason", "until")))
    if decision.word != "write":
        return decision
    words = native_words(connection, hub, case)
    if words and words.path(case.question):
        return replace(decision, value=words.in_fhir(case.question, decision.value))
    return replace(decision, value=decisions.value_of_its_kind(decision.value, case.question))


def check_may_decide(connection: sqlite3.Connection, hub: Hub, case: Case, party: Party, decision: Decision) -> None:
    allowed = words_open_to(connection, hub, case, party)
    if decision.word in allowed:
        return
    who = " or ".join(who_decides(connection, hub, case))
    reason = f"{decision.word} is for {who} to say" + (", you may take your own value back: keep" if allowed else "")
    raise Forbidden("not yours to decide", [Issue("error", "forbidden", "decision", reason, "one who may decide")])


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


def apply(
    connection: sqlite3.Connection,
    hub: Hub,
    party: Party,
    case: Case,
    decision: Decision,
    entry: int,
    now: datetime,
) -> change.Applied:
    """The decision as the party's edit of what is live. Raises Refused where the plan's rules do not allow it."""
    arrival = as_edit(case, party, decision, entry, now)
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
        "state": state_of(case),
        "plan": {"id": case.plan.id, "version": case.plan.version},
        "conflict": in_words(connection, hub, case),
    }
