"""The push story: a municipal system delivers a record in its own format and gets a receipt in its own words.

raw body -> one transaction: answered before? -> map -> journal, merge, versions, conflicts, outbox, audit, receipt
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import AdapterError, BadRequest, Conflict, Issue, PreconditionFailed, Refused
from fhir_adapter.fhir.resources import NO_READINGS, Readings, Resource, dump_json
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import change, known_persons
from fhir_adapter.flows.bases import Known, Past, known_of, newcomers_in, said_beside
from fhir_adapter.flows.fhir_parts import check_what_is_fhir
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.known_persons import Said
from fhir_adapter.flows.pull import LetsItselfIn, decision_for, source_of
from fhir_adapter.flows.said import Lens, by_reference
from fhir_adapter.mapping.engine import Mapped
from fhir_adapter.mapping.recognising import NO_NAMES, names_in_words, names_of
from fhir_adapter.plan.merge import Kept, Refs, looks_emptied, repeats_nothing
from fhir_adapter.store import journal, plans
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Delivery:
    """A record as it came in: `key` is the Idempotency-Key, `seen` the plan version of its If-Match, if it had one.

    `is_meant`: somebody has looked at what it lacks. Of a record that was cut out of a file: `fault` is why it cannot
    be read, `place` where the file has a field.
    """

    key: str
    media_type: str
    body: bytes
    seen: int | None = None
    is_meant: bool = False
    fault: BadRequest | None = None
    place: Callable[[str], str] = str


@dataclass(frozen=True, slots=True)
class Answer:
    """The receipt as JSON bytes with its HTTP status; `replayed` when it was given before."""

    status: int
    receipt: bytes
    replayed: bool = False


def push(hub: Hub, party: Party, delivery: Delivery) -> Answer:
    """Take a record in. Everything that was accepted is durable when this returns.

    Raises Conflict when the key was used with another body. A record that is refused gets a receipt as well.
    """
    (answer,) = push_each(hub, party, [delivery])
    if isinstance(answer, Conflict):
        raise answer
    return answer


def push_each(hub: Hub, party: Party, deliveries: Sequence[Delivery]) -> list[Answer | Conflict]:
    """`push` for several, in their order: they share commits, and one that is refused or whose key was used before
    holds up no other."""
    hub.mapping_of(party)
    works = [partial(_take, hub=hub, party=party, delivery=delivery) for delivery in deliveries]
    taken = hub.database.write_each(works)
    answers = [_answer(hub, party, *each) for each in zip(deliveries, taken, strict=True)]
    if any(isinstance(answer, Answer) and not answer.replayed and answer.status < 300 for answer in answers):
        hub.changed()
    return answers


def _answer(hub: Hub, party: Party, delivery: Delivery, taken: Callable[[], Answer]) -> Answer | Conflict:
    try:
        return taken()
    except Conflict as fault:
        return fault
    except (BadRequest, Refused, PreconditionFailed) as fault:
        refusal = fault
        return hub.database.write(lambda connection: _refuse(connection, hub, party, delivery, refusal))


def receipt_of(hub: Hub, party: Party, key: str) -> Answer | None:
    """The receipt that was given under this key."""
    entry = journal.by_key(hub.database.read(), party.name, key)
    return Answer(entry.status, (entry.receipt or "").encode(), True) if entry else None


def earlier_answer(connection: sqlite3.Connection, party: Party, delivery: Delivery) -> Answer | None:
    """What was answered under this key. Raises Conflict when it was another body."""
    entry = journal.by_key(connection, party.name, delivery.key)
    if entry is None:
        return None
    if entry.digest != journal.digest_of(delivery.body):
        raise Conflict(
            "this Idempotency-Key was used before with another body",
            [Issue("error", "duplicate", "Idempotency-Key", "used before with another body", "a new key per record")],
        )
    return Answer(entry.status, (entry.receipt or "").encode(), True)


def _take(connection: sqlite3.Connection, hub: Hub, party: Party, delivery: Delivery) -> Answer:
    """Map and merge, one sender after the other: threads that map beside the one that writes would only take the
    interpreter from it at each of its statements, and who waits meanwhile shares its commit."""
    earlier = earlier_answer(connection, party, delivery)
    if earlier:
        return earlier
    if delivery.fault:
        raise delivery.fault
    mapping = hub.mapping_of(party)
    native = mapping.record_in(delivery.body)
    check_what_is_fhir(mapping, native)
    known = known_of(connection, party, native)
    # The system whose ids the record uses: the party's own, unless it is its copy of a plan that another brought.
    source = source_of(party, known.plan, str(native["id"])) if known else party.source
    lens = Lens(mapping, source, hub.namespace, known.plan.source if known else source)
    past = Past(connection, party, lens, known, delivery.seen) if known else None
    again = _says_the_same_again(known, delivery)
    names = _names_in(native, lens, past, again=again is not None)
    told = lens.rest(again, names) if again else None
    mapped = told or lens.get(native, names_of(names), past.records if past else tuple)
    if past and delivery.seen is None and _is_a_namesake(connection, party, past, mapped):
        past, lens = None, replace(lens, source=party.source, home=party.source)
        names = _names_in(native, lens, past, again=False)
        mapped = lens.get(native)
    readings = Readings(mapped.resources)
    answer = _accept(connection, hub, party, delivery, lens, mapped, names, readings, past, again=again is not None)
    if mapped is not told:
        lens.remember(journal.digest_of(delivery.body), names, mapped, readings)
    return answer


def _names_in(native: Any, lens: Lens, past: Past | None, *, again: bool) -> str | None:
    """What the items that have no id are called, as JSON; None where each tells its own."""
    if not isinstance(native, dict):
        return None
    if past is None:
        mark = lens.mapping.mark_of(native)
        return None if mark is None else names_in_words(NO_NAMES, mark)
    return past.known.names if again else past.names(native)


def _is_a_namesake(connection: sqlite3.Connection, party: Party, past: Past, mapped: Mapped) -> bool:
    """Whether the record has nothing but its id in common with what is known by it: a plan of another system, which
    the party was shown and never spoke of, about another person, or with nothing of what is planned there."""
    plan = past.known.plan
    if plan.party == party.name or past.known.said is not None:
        return False
    ours = change.load(connection, plan)
    theirs = by_reference(past.lens, mapped.resources, ours)
    return _person(plan, ours) != _person(plan, theirs) or repeats_nothing(past.bases(NO_READINGS, ours), theirs)


def _accept(
    connection: sqlite3.Connection,
    hub: Hub,
    party: Party,
    delivery: Delivery,
    lens: Lens,
    mapped: Mapped,
    names: str | None,
    readings: Readings,
    past: Past | None,
    *,
    again: bool,
) -> Answer:
    now = hub.now()
    known = past.known if past else None
    entry = enter(connection, party, delivery, now)
    plan = known.plan if known else _new_plan(connection, party, mapped, lens.source, instant(now))
    if not known and delivery.seen is not None:
        issue = Issue("error", "conflict", "If-Match", "there is no record of this id yet", "no If-Match")
        raise PreconditionFailed("If-Match names a version of a record that is not here", [issue])
    ours = change.load(connection, plan, readings)
    record = known.record if known else None
    was_told = _may_be_told(connection, hub, party, plan, ours)
    if again:
        applied = change.Applied(plan, ours, changed=False, conflicts=(), kept=())
        change.audit(connection, hub, plan, party, "U", now)
    else:
        theirs = by_reference(lens, mapped.resources, ours)
        if not known:
            theirs = known_persons.as_known_here(connection, hub, party, lens, theirs, plan)
        bases = past.bases(readings, ours) if past else []
        _check_same_person(plan, ours, theirs)
        theirs = known_persons.others_as_known_here(connection, lens, theirs, plan, ours)
        new = newcomers_in(connection, party, lens, readings, plan, ours, theirs)
        plans.add_guests(connection, plan.id, new.here)
        ours, bases, theirs = ours | new.here, new.with_bases(bases), new.theirs
        if delivery.seen is None and not delivery.is_meant and looks_emptied(bases, theirs):
            return _park(connection, party, delivery, mapped, plan, entry, is_told=was_told)
        arrival = change.Arrival(
            party,
            entry,
            bases,
            theirs,
            partial=False,
            exact=delivery.seen is not None,
            said_last=record is not None and record.said_last,
            earlier=past.earlier(ours) if past else (),
            is_stated=lens.mapping.is_stated,
            beside=partial(said_beside, connection, party, lens, readings, plan),
            spelled=past is not None and past.ends_in_own_words(bases),
        )
        applied = _apply(connection, hub, plan, ours, arrival, mapped, now)
    is_told = _may_be_told(connection, hub, party, applied.plan, applied.found) if applied.changed else was_told
    if is_told and not was_told and not delivery.is_meant:
        raise LetsItselfIn
    plans.note_said(connection, party.name, plan.id, mapped.record_id, entry, names)
    receipt = _receipt_of(connection, hub, delivery, mapped, applied, is_new=not known, is_told=is_told)
    status = 200 if known else 201
    journal.close(
        connection,
        entry,
        "applied" if applied.changed else "unchanged",
        status=status,
        plan=plan.id,
        receipt=receipt.decode(),
    )
    return Answer(status, receipt)


def _says_the_same_again(known: Known | None, delivery: Delivery) -> journal.Entry | None:
    """The party's last entry if the body is that one to the byte, and it was shown nothing that it could have taken up.

    Then every element equals what it said before: nothing is edited, nothing is missing, and nothing is old either.
    """
    if known is None or known.record is None or known.record.shown is not None or delivery.seen is not None:
        return None
    return known.said if known.said and known.said.digest == journal.digest_of(delivery.body) else None


def _apply(
    connection: sqlite3.Connection,
    hub: Hub,
    plan: Plan,
    ours: Refs,
    arrival: change.Arrival,
    mapped: Mapped,
    now: datetime,
) -> change.Applied:
    """Merge; what is refused is told by the record's own fields."""
    try:
        return change.apply(connection, hub, plan, ours, arrival, now)
    except Refused as fault:
        issues = [replace(each, path=mapped.native_path(each.path, "") or each.path) for each in fault.issues]
        raise Refused(str(fault), issues) from None


def enter(connection: sqlite3.Connection, party: Party, delivery: Delivery, now: datetime) -> int:
    """Keep a delivery as it came; the id of its entry in the journal, which the caller closes."""
    return journal.enter(
        connection,
        party=party.name,
        key=delivery.key,
        media_type=delivery.media_type,
        body=delivery.body,
        received=instant(now),
    )


def _new_plan(connection: sqlite3.Connection, party: Party, mapped: Mapped, source: str, now: str) -> Plan:
    care_plan = _plan_in(mapped)
    if plans.get(connection, care_plan):
        raise Refused(
            "not a record of this party",
            [
                Issue(
                    "error",
                    "business-rule",
                    "id",
                    "this id names a plan that this party has not been shown",
                    "the id of one of the party's own records",
                )
            ],
        )
    return plans.add(connection, id=care_plan, party=party.name, source=source, record=mapped.record_id, now=now)


def _plan_in(mapped: Mapped) -> str:
    """The id of the record's CarePlan, which comes first where there is one. Raises Refused."""
    first = mapped.resources[0]
    if first["resourceType"] == "CarePlan":
        return str(first["id"])
    what = f"it stands for a {first['resourceType']}, and only plans are kept and shared here"
    expected = "a record with a plan; `fhir-adapter map` converts the others"
    raise Refused("no plan", [Issue("error", "not-supported", "", f"this record holds no plan: {what}", expected)])


class AnotherPerson(Refused):
    """The record was about `old` and comes with `new`: a mistake, another person, or one who got another number."""

    def __init__(self, old: str, new: str, said: Said | None) -> None:
        words = "this record was about a person with another number until now"
        expected = (
            "the same person, the number from before beside the new one, or a new record id; "
            "if the number from before was wrong, whoever keeps the plans can move this one"
        )
        super().__init__("another person", [Issue("error", "business-rule", "person", words, expected)])
        self.old, self.new, self.said = old, new, said


def _check_same_person(plan: Plan, ours: Refs, theirs: Refs) -> None:
    """A plan stays with its person. Raises AnotherPerson."""
    known, said = _person(plan, ours), _person(plan, theirs)
    if ours and known != said:
        new = str(said.get("reference"))
        raise AnotherPerson(str(known.get("reference")), new, Said(plan.id, theirs[new]) if new in theirs else None)


def _person(plan: Plan, refs: Refs) -> Resource:
    """The reference to whom the plan is about."""
    subject: Resource = refs.get(f"CarePlan/{plan.id}", {}).get("subject", {})
    return subject


def _refuse(
    connection: sqlite3.Connection, hub: Hub, party: Party, delivery: Delivery, refusal: AdapterError
) -> Answer:
    """Keep what came, with the reason: the same key and body get the same answer again."""
    earlier = earlier_answer(connection, party, delivery)
    if earlier:
        return earlier
    if isinstance(refusal, AnotherPerson):
        known_persons.ask(connection, hub, refusal.old, refusal.new, "another-number", party, refusal.said)
    entry = enter(connection, party, delivery, hub.now())
    receipt = _receipt("refused", delivery, None, None, refusal.issues, None, ())
    journal.close(connection, entry, "refused", status=refusal.status, receipt=receipt.decode())
    return Answer(refusal.status, receipt)


def _park(
    connection: sqlite3.Connection,
    party: Party,
    delivery: Delivery,
    mapped: Mapped,
    plan: Plan,
    entry: int,
    *,
    is_told: bool,
) -> Answer:
    """A snapshot that drops nearly everything looks like a broken export: kept, not applied, said so."""
    issue = Issue(
        "error",
        "business-rule",
        "",
        "this record has lost most of its goals or of its interventions at once, which looks like a "
        "broken export: it was kept but not applied",
        "the whole record; or If-Match with the version you have seen",
    )
    told = plan if is_told else None
    receipt = _receipt("parked", delivery, mapped.record_id, told, [issue, *mapped.issues], mapped, ())
    journal.close(connection, entry, "parked", status=422, plan=plan.id, receipt=receipt.decode())
    return Answer(422, receipt)


def _step_issue(mapped: Mapped, reference: str, step: Issue, found: Refs) -> Issue:
    element = step.path.partition(".")[2]
    return replace(step, severity="warning", path=change.field_around(mapped, found, reference, element) or step.path)


def _kept_issue(mapped: Mapped, kept: Kept, found: Refs) -> Issue:
    what = (
        "this was added by somebody else and shown to you, and your record lacks it; it was kept"
        if kept.sent is None
        else "you sent the value from before somebody else changed it; the newer value was kept"
    )
    return Issue(
        "information",
        "conflict",
        change.field_around(mapped, found, kept.reference, kept.path),
        what,
        "the newer value, or If-Match with the version you have seen if yours is meant",
    )


def _receipt_of(
    connection: sqlite3.Connection,
    hub: Hub,
    delivery: Delivery,
    mapped: Mapped,
    applied: change.Applied,
    *,
    is_new: bool,
    is_told: bool,
) -> bytes:
    """What became of a record. Who may not see the plan any more is told that it came, and nothing of what is there."""
    plan, found = applied.plan, applied.found
    if not is_told:
        return _receipt("accepted", delivery, mapped.record_id, None, mapped.issues, mapped, ())
    told = (kept for kept in applied.kept if kept.sent is not None or not is_new)  # what is new lacks nothing shown
    kept = (_kept_issue(mapped, kept, found) for kept in told)
    steps = (_step_issue(mapped, reference, step, found) for reference, step in applied.steps)
    return _receipt(
        "accepted" if applied.changed else "unchanged",
        delivery,
        mapped.record_id,
        plan,
        list(dict.fromkeys([*mapped.issues, *kept, *steps])),
        mapped,
        [change.conflict_in_words(mapped, conflict, found) for conflict in applied.conflicts],
        _shared_with(connection, hub, plan, found),
    )


def _may_be_told(connection: sqlite3.Connection, hub: Hub, party: Party, plan: Plan, found: Refs) -> bool:
    return plan.party == party.name or decision_for(connection, hub, party, plan, found).permit


def _receipt(
    state: str,
    delivery: Delivery,
    record: str | None,
    plan: Plan | None,
    issues: Sequence[Issue],
    mapped: Mapped | None,
    conflicts: Sequence[dict[str, Any]],
    shared: Sequence[dict[str, Any]] = (),
) -> bytes:
    """The receipt as JSON; its fields are described in docs/push.md."""
    return dump_json(
        {
            "state": state,
            "key": delivery.key,
            "record": record,
            "plan": {"id": plan.id, "version": plan.version} if plan else None,
            "issues": [replace(issue, path=delivery.place(issue.path)).as_dict() for issue in issues],
            "unmapped": [
                {"path": delivery.place(field.path), "kind": field.kind, "reason": field.reason}
                for field in (mapped.unmapped if mapped else ())
            ],
            "conflicts": conflicts,
            "shared": shared,
        }
    )


def _shared_with(connection: sqlite3.Connection, hub: Hub, plan: Plan, found: Refs) -> list[dict[str, Any]]:
    """Which FHIR parties get the plan, and why they do or do not."""
    decisions = {party.name: decision_for(connection, hub, party, plan, found) for party in hub.fhir_parties}
    return [{"party": name, "permit": each.permit, "reasons": each.reasons} for name, each in decisions.items()]
