"""Deciding a conflict: what stands there now, what a decision makes of it, and the Task that asks and is answered."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime
from typing import Any, Literal, get_args

from fhir_adapter.errors import BadRequest, Issue, Refused
from fhir_adapter.fhir.resources import CODES, Resource, dump_json, parse_json, reference_of
from fhir_adapter.plan import lifecycle, places
from fhir_adapter.plan.changes import CONFLICT
from fhir_adapter.plan.contents import content_of
from fhir_adapter.plan.elements import Conflict
from fhir_adapter.plan.keys import MISSING, content, fingerprint
from fhir_adapter.plan.negotiation import asks_for
from fhir_adapter.plan.owners import Owners
from fhir_adapter.plan.ownership import Rules
from fhir_adapter.plan.places import has_several_names, item_at, rule_path, value_at, with_value_at

DECISION = f"{CODES}/conflict-decision"
"""Code system of what is decided, and of the outputs of a conflict's Task."""

Word = Literal["keep", "take", "write", "later"]
WORDS: tuple[Word, ...] = get_args(Word)

WORKING = frozenset({"requested", "received", "accepted", "in-progress", "on-hold", "ready"})
"""States in which somebody still thinks about a conflict's Task."""


@dataclass(frozen=True, slots=True)
class Decision:
    """What somebody decides: keep what is live, take the other value, write a third (`value`), or later (`until`)."""

    word: Word
    value: Any = None
    reason: str | None = None
    until: str | None = None


def check_decision(word: Any, value: Any, reason: Any, until: Any) -> Decision:
    """The decision in these words. Raises Refused that names each field (`decision`, `value`, `reason`, `until`)."""
    issues = []
    if word not in WORDS:
        issues.append(Issue("error", "value", "decision", "this is no decision", ", ".join(WORDS)))
    if word == "write" and value is None:
        issues.append(Issue("error", "required", "value", "to write a third value, say which", "the value"))
    if word in ("keep", "take", "later") and value is not None:
        issues.append(Issue("error", "value", "value", f"{word} brings no value of its own", "write, or no value"))
    if reason is not None and not (isinstance(reason, str) and len(reason) <= 2000):
        issues.append(Issue("error", "value", "reason", "not a text of at most 2000 characters", "a sentence"))
    if until is not None and word != "later":
        issues.append(Issue("error", "value", "until", "a day goes with later only", "later, or no day"))
    elif until is not None and not _is_date(until):
        issues.append(Issue("error", "value", "until", "not a day of the calendar", "YYYY-MM-DD"))
    if issues:
        raise Refused("this decision is not understood", issues)
    return Decision(word, value, reason, until)


def _is_date(text: Any) -> bool:
    try:
        return isinstance(text, str) and date.fromisoformat(text).isoformat() == text
    except ValueError:
        return False


# --- what a conflict is about ------------------------------------------------------------------------------------


def live_value(conflict: Conflict, plan: Mapping[str, Resource]) -> Any:
    """What stands now where the conflict is; None where nothing does."""
    resource = plan.get(conflict.reference)
    if resource is None or _is_about_the_whole(conflict):
        return content_of(resource) if resource else None
    value = value_at(resource, conflict.path, several=_has_several_names(conflict))
    return None if value is MISSING else value


def is_there(conflict: Conflict, plan: Mapping[str, Resource]) -> bool:
    """Whether what the conflict is about still has a place in the plan, to which a value could be written."""
    resource = plan.get(conflict.reference)
    return resource is None or _is_about_the_whole(conflict) or places.is_there(resource, conflict.path)


def can_be_written(conflict: Conflict, plan: Mapping[str, Resource]) -> bool:
    """Whether some third value could stand there: the place is not gone, and not what somebody was asked for."""
    if _is_about_the_whole(conflict):
        return True
    name = rule_path(conflict.path).partition(".")[0]
    return is_there(conflict, plan) and not asks_for(plan.get(conflict.reference, {}), name)


def state_of(conflict: Conflict, plan: Mapping[str, Resource]) -> str:
    """A short word for the value that is live: who decides says with it which one was before its eyes."""
    return word_for(live_value(conflict, plan))


def word_for(value: Any) -> str:
    """The same short word for the same value."""
    return fingerprint(content(value))


def is_settled(conflict: Conflict, plan: Mapping[str, Resource]) -> bool:
    """Whether the plan says by now what the other party wanted: nothing is left to decide."""
    live = live_value(conflict, plan)
    if conflict.other is not None:
        other = content_of(conflict.other) if _is_about_the_whole(conflict) else conflict.other
        return bool(live == other)
    if live is None:
        return True
    if _is_about_the_whole(conflict):
        return lifecycle.is_removed(live)
    type_ = conflict.reference.partition("/")[0]
    ends = conflict.path.endswith("]") and Rules.default().rule_for(type_, rule_path(conflict.path)).removal == "ended"
    return ends and "end" in live.get("period", {})


def owner_of(conflict: Conflict, owners: Owners, plan: Mapping[str, Resource]) -> str | None:
    """The party whose element the conflict is about."""
    rules, type_ = owners.rules, conflict.reference.partition("/")[0]
    if _is_about_the_whole(conflict):
        return owners.owner_of(conflict.reference, rules.whole(type_), plan, resource=conflict.live or conflict.other)
    path = rule_path(conflict.path)
    item = item_at(plan.get(conflict.reference, {}), conflict.path) or conflict.live or conflict.other
    return owners.owner_of(conflict.reference, rules.rule_for(type_, path).owner, plan, path=path, item=item)


def edit_of(conflict: Conflict, decision: Decision, plan: Mapping[str, Resource], now: datetime) -> Resource | None:
    """The resource as the decision wants it; None where it stays as it is."""
    if decision.word in ("keep", "later"):
        return None
    if not is_there(conflict, plan):
        what = "what this is about has been taken out of the plan since"
        raise Refused(what, [Issue("error", "not-found", "decision", what, "keep, or an ordinary edit")])
    value = conflict.other if decision.word == "take" else decision.value
    resource = plan.get(conflict.reference)
    if not _is_about_the_whole(conflict) and resource is not None:
        return with_value_at(resource, conflict.path, value, several=_has_several_names(conflict))
    if value is None:
        return _ended(resource, now) if resource else None
    if not _is_about_the_whole(conflict) or not isinstance(value, dict):
        raise Refused("there is nothing to write to", [Issue("error", "not-found", "", "the resource is not there")])
    type_, id_ = conflict.reference.split("/", 1)
    return {**value, "resourceType": type_, "id": id_}


def _ended(resource: Resource, now: datetime) -> Resource:
    if lifecycle.cannot_end(resource):
        what = "this cannot be taken out of the plan: it is shown to whom the plan is shown"
        raise Refused(what, [Issue("error", "business-rule", "decision", what, "keep, which gives it again, or later")])
    return lifecycle.remove(resource, now)


def with_value(conflict: Conflict, resource: Resource, value: Any) -> Resource:
    """The resource as it would be if this value stood where the conflict is (for showing it in somebody's words)."""
    if not _is_about_the_whole(conflict):
        return with_value_at(resource, conflict.path, value, several=_has_several_names(conflict))
    return resource if value is None else {**value, "resourceType": resource["resourceType"], "id": resource["id"]}


def said_in(conflict: Conflict, resource: Resource) -> Any:
    """What a resource says where the conflict is; None where it says nothing."""
    return live_value(conflict, {conflict.reference: resource})


def value_from_text(text: str, conflict: Conflict) -> Any:
    """What somebody typed as a value of the conflict's kind: plain words where it is a text or a concept, else JSON."""
    known = [one for one in (conflict.live, conflict.other, conflict.base) if one is not None]
    if not text.lstrip().startswith(("{", "[", '"')):
        if all(isinstance(one, str) for one in known):
            return text
        if all(isinstance(one, dict) and one.keys() & {"text", "coding"} for one in known):
            return {"text": text}
    try:
        return parse_json(text.encode())
    except BadRequest:
        raise Refused("not a value", [Issue("error", "value", "value", "this is not JSON", "a JSON value")]) from None


def value_of_its_kind(value: Any, conflict: Conflict) -> Any:
    """A third value; plain words where the others are no texts are what they say: a concept's text, or JSON."""
    known = (conflict.live, conflict.other, conflict.base)
    if not isinstance(value, str) or any(isinstance(one, str) for one in known):
        return value
    return value_from_text(value, conflict)


def _is_about_the_whole(conflict: Conflict) -> bool:
    """Of what is quarantined the path only says why: the whole resource is neither applied nor dropped."""
    return not conflict.path or conflict.kind == "quarantined"


def _has_several_names(conflict: Conflict) -> bool:
    return has_several_names(conflict.path, (conflict.base, conflict.live, conflict.other))


# --- the Task ----------------------------------------------------------------------------------------------------


def decision_in(task: Resource, conflict: Conflict) -> Decision:
    """What a completed Task answers: Task.output with type `decision`, `value`, `reason`, `until`; no output: keep.

    Raises Refused, with paths like Task.output.
    """
    said = {code: _value_of(output) for output in task.get("output", []) if (code := _code_of(output)) is not None}
    word = said.get("decision", "write" if "value" in said else "keep")
    value = said.get("value")
    if isinstance(value, str) and word == "write":
        value = value_from_text(value, conflict)
    try:
        return check_decision(word, value, said.get("reason"), said.get("until"))
    except Refused as fault:
        issues = [Issue(one.severity, one.code, f"Task.output[{one.path}]", one.message, one.expected)
                  for one in fault.issues]  # fmt: skip
        raise Refused(str(fault), issues) from None


def live_seen_in(task: Resource) -> str | None:
    """The word for the live value that the Task showed to who answers it; None where it lost that input."""
    for item in task.get("input", []):
        if _code_in(item.get("type"), CONFLICT) == "live" and isinstance(item.get("valueString"), str):
            return word_for(parse_json(item["valueString"].encode()))
    return word_for(None)


def _code_of(output: Resource) -> str | None:
    return _code_in(output.get("type"), DECISION)


def _code_in(concept: Any, system: str) -> str | None:
    codings = concept.get("coding", []) if isinstance(concept, dict) else []
    return next((one.get("code") for one in codings if one.get("system") == system), None)


def _value_of(output: Resource) -> Any:
    """The one value[x]; a concept that says a word of ours is that word."""
    value = next((value for name, value in output.items() if name.startswith("value")), None)
    if isinstance(value, dict):
        return _code_in(value, DECISION) or (value.get("code") if value.get("system") == DECISION else None) or value
    return value


def answered(task: Resource, decision: Decision) -> Resource:
    """The Task after the decision: completed with its outputs; with `later` it stays open, with a day and a remark."""
    if decision.word == "later":
        period = {"restriction": {"period": {"end": decision.until}}} if decision.until else {}
        return task | period | {"status": "on-hold"} | _reason(decision.reason)
    outputs = [_output("decision", "valueCode", decision.word)]
    if decision.word == "write":
        outputs.append(_output("value", "valueString", dump_json(decision.value).decode()))
    if decision.reason:
        outputs.append(_output("reason", "valueString", decision.reason))
    return _without(task, "restriction", "statusReason") | {"status": "completed", "output": outputs}


def settled(task: Resource) -> Resource:
    """The Task of a conflict that an ordinary edit has settled."""
    outputs = [_output("decision", "valueCode", "settled")]
    return _without(task, "restriction", "statusReason") | {"status": "completed", "output": outputs}


def showing(task: Resource, conflict: Conflict, live: Any) -> Resource:
    """The Task with what is live now among its inputs."""
    if conflict.kind == "quarantined":
        return task  # its author may not see what is live
    rest = [item for item in task.get("input", []) if _code_in(item.get("type"), CONFLICT) != "live"]
    if live is not None:
        rest.append({"type": {"coding": [{"system": CONFLICT, "code": "live"}]},
                     "valueString": dump_json(live).decode()})  # fmt: skip
    order = ["path", "base", "live", "other", "live-party", "other-party"]
    return task | {"input": sorted(rest, key=lambda item: order.index(_code_in(item["type"], CONFLICT) or order[-1]))}


def worked_on(task: Resource, said: Resource) -> Resource:
    """The Task after a party wrote to it without deciding: only its state and what it noted are taken."""
    status = said.get("status") if said.get("status") in WORKING else task["status"]
    notes = [*task.get("note", []), *(note for note in said.get("note", []) if note not in task.get("note", []))]
    return task | {"status": status} | ({"note": notes} if notes else {})


def not_applied(task: Resource, issues: Collection[Issue], now: datetime) -> Resource:
    """The Task, still open, with a note that says why the answer was not applied."""
    why = "; ".join(dict.fromkeys(_sentence(issue) for issue in issues))
    note = {"time": now.isoformat(timespec="seconds").replace("+00:00", "Z"), "text": f"Not applied: {why}"}
    return task | {"note": [*task.get("note", []), note]}


def _sentence(issue: Issue) -> str:
    place = f"{issue.path}: " if issue.path else ""
    return f"{place}{issue.message}" + (f" (expected: {issue.expected})" if issue.expected else "")


def _output(name: str, element: str, value: str) -> Resource:
    return {"type": {"coding": [{"system": DECISION, "code": name}]}, element: value}


def _reason(text: str | None) -> Resource:
    return {"statusReason": {"text": text}} if text else {}


def _without(task: Resource, *names: str) -> Resource:
    return {name: value for name, value in task.items() if name not in names}


# --- all open conflicts of a plan, after a change -----------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Outcome:
    """What a change makes of an open conflict: its Task as it is now, and whether it is settled by that."""

    id: str
    task: Resource
    is_settled: bool


def looked_at_again(
    open_: Mapping[str, Conflict], before: Mapping[str, Resource], changed: Mapping[str, Resource]
) -> Iterator[Outcome]:
    """The conflicts that a change concerns: settled where the plan says by now what the other party wanted, else
    their Tasks show what is live now."""
    after = {**before, **changed}
    for id_, conflict in open_.items():
        task = after.get(f"Task/{id_}")
        if conflict.reference not in changed or task is None:
            continue
        was_settled = is_settled(conflict, before)
        if is_settled(conflict, after) and not was_settled:
            yield Outcome(id_, settled(task), True)
        elif live_value(conflict, after) != live_value(conflict, before):
            yield Outcome(id_, showing(task, conflict, live_value(conflict, after)), False)


def reference_to(id_: str) -> str:
    """The Task of the conflict with this id."""
    return reference_of({"resourceType": "Task", "id": id_})
