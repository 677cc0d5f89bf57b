"""The pull story of a municipal system: its record with everybody's changes, in its own format, and what is new."""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

import structlog

from fhir_adapter.access.identity import Party
from fhir_adapter.access.policies import Decision, may_see
from fhir_adapter.access.projection import project
from fhir_adapter.errors import BadRequest, Issue, NotFound, Refused, Unavailable
from fhir_adapter.fhir.differences import Untold
from fhir_adapter.fhir.organisations import digits_of
from fhir_adapter.fhir.resources import Resource, asks_for_a_decision, reference_of
from fhir_adapter.flows import change, known_persons
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.said import Lens, by_reference, record_said
from fhir_adapter.mapping.model import Mapped
from fhir_adapter.mapping.recognising import Earlier
from fhir_adapter.plan.identity import as_the_known_person, not_meant
from fhir_adapter.plan.merge import Refs
from fhir_adapter.plan.untold import untold, whatever_the_place
from fhir_adapter.store import conflicts, plans
from fhir_adapter.store.database import attempt
from fhir_adapter.store.plans import Plan, Record

if TYPE_CHECKING:
    import sqlite3


log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Shown:
    """A plan as a party sees it: its record in its own format, the version that it shows, and the open conflicts.

    `untold`: what the plan says and the record does not, because it has no field for it, or one for two things; all of
    it where changes are listed.
    """

    record: str
    plan: str
    version: int
    updated: str
    changed_by: tuple[str, ...]
    native: dict[str, Any]
    conflicts: tuple[dict[str, Any], ...]
    untold: tuple[dict[str, Any], ...]


def show_record(hub: Hub, party: Party, name: str) -> Shown:
    """The record that the party calls `name` (its id or the plan's). Raises NotFound, also where it may not look."""
    return hub.database.write(lambda connection: _show(connection, hub, party, _find(connection, party, name)))


@dataclass(frozen=True, slots=True)
class Changes:
    """A page of what changed: the next cursor, whether there may be more, and records that could not be written."""

    shown: tuple[Shown, ...]
    failed: tuple[str, ...]
    cursor: int
    more: bool


BATCH = 50
"""Plans that one transaction looks at: who pushes meanwhile waits for no more than that."""

MOST_BATCHES = 20
"""In one page: who is named in many plans and may see few of them gets a page that is not full, and `more`."""


def show_changes(hub: Hub, party: Party, since: int, count: int) -> Changes:
    """The party's records that changed after the cursor, oldest change first. One that fails holds up no other.

    Raises BadRequest for a cursor that was not given out yet: who goes on from it would miss what changes until then.
    """
    page = Changes((), (), since, more=True)
    for _ in range(MOST_BATCHES):
        page = hub.database.write(partial(_with_more, hub=hub, party=party, page=page, since=since, count=count))
        if not page.more or len(page.shown) == count:
            break
    return page


def _with_more(
    connection: sqlite3.Connection, *, hub: Hub, party: Party, page: Changes, since: int, count: int
) -> Changes:
    if since > plans.newest_change(connection):
        issue = Issue("error", "value", "since", "not a cursor of ours", "the `cursor` of the previous answer, or 0")
        raise BadRequest("since", [issue])
    shown, failed, cursor = [*page.shown], [*page.failed], page.cursor
    reader = plans.Reader(party.name, frozenset(digits_of(value) for _, value in party.identifiers))
    found = plans.changed_since(connection, reader, page.cursor, BATCH)
    for plan in found:
        if len(shown) == count:
            break
        cursor = plan.change
        try:
            with attempt(connection):
                shown.append(_show(connection, hub, party, plan, since, whole=True))
        except NotFound:
            continue
        except Unavailable:
            raise
        except Exception as fault:  # noqa: BLE001 - whatever it is, it is this record's
            if plans.record_of(connection, party.name, plan.id):
                failed.append(plan.id)
            log.error("record not shown", party=party.name, plan=plan.id, problem=type(fault).__name__)
    else:
        if len(found) < BATCH:  # the rest of the changes is not the party's
            cursor = plans.newest_change(connection)
    return Changes(tuple(shown), tuple(failed), cursor, more=cursor < plans.newest_change(connection))


LETS_ITSELF_IN = "by it, who may not see the plan would let itself in"
"""Why a version is parked that gives its party a plan which it may not see."""


class LetsItselfIn(Refused):
    """Who may not see a plan would by what it says; it takes who may to let it in."""

    def __init__(self) -> None:
        words = "this plan is not shown to you any more, and what you say would have it shown to you again"
        expected = "that who leads the plan lets you take part, or a consent in force"
        super().__init__(LETS_ITSELF_IN, [Issue("error", "forbidden", "", words, expected)])


def decision_for(connection: sqlite3.Connection, hub: Hub, party: Party, plan: Plan, found: Refs) -> Decision:
    """Whether the party may see the plan, and why. Asked again each time something is shown or sent."""
    main, beside = f"CarePlan/{plan.id}", known_persons.plans_beside(connection, plan.id, found)
    return may_see(found, party, home=plan.party, now=hub.consents_judged_at(), main=main, beside=beside)


def may_look_at(connection: sqlite3.Connection, hub: Hub, party: Party, plan_id: str) -> bool:
    """Whether the plan is here and the party may see it as it is now."""
    plan = plans.get(connection, plan_id)
    return plan is not None and decision_for(connection, hub, party, plan, change.load(connection, plan)).permit


def _find(connection: sqlite3.Connection, party: Party, name: str) -> Plan:
    plan = plans.of_record(connection, party.name, name) or plans.get(connection, name)
    if plan is None:
        raise NotFound("no such record")
    return plan


def _show(
    connection: sqlite3.Connection, hub: Hub, party: Party, plan: Plan, since: int = 0, *, whole: bool = False
) -> Shown:
    """`whole`: with what the record does not tell."""
    mapping = hub.mapping_of(party)
    found = change.as_refs(plans.members(connection, plan.id))
    decision = decision_for(connection, hub, party, plan, found)
    if not decision.permit:
        raise NotFound("no such record")
    visible = project(found, party)
    record = plans.record_of(connection, party.name, plan.id)
    name = _name_for(connection, party, plan, record)
    source = source_of(party, plan, name)
    edited: list[Untold] = []
    lens = Lens(mapping, source, hub.namespace)
    if said := record_said(connection, mapping, record):
        mapped = lens.get_again(*said)
        own = {reference_of(resource): resource for resource in mapped.resources}
        shown = _with_own_directory(connection, plan, visible, own)
        written = lens.put(what_a_record_tells(shown), said, edited)
    else:
        mapped, shown = None, visible
        written = lens.put(what_a_record_tells(visible), Earlier({}))
    now = hub.now()
    plans.note_shown(connection, party.name, plan.id, name, plan.change)
    change.audit(connection, hub, plan, party, "R", now, decision.reasons)
    changed_by = tuple(plans.changed_by(connection, plan.id, since))
    questions = tuple(
        change.conflict_in_words(mapped, conflict, visible)
        for conflict in conflicts.open_of_plan(connection, plan.id)
        if f"Task/{conflict.id}" in visible
    )
    beside = [_in_words(mapped, visible, *one) for one in edited if one.path]
    if whole:
        beside += _without_a_field(lens, written, shown, {whatever_the_place(one["element"]) for one in beside})
    return Shown(name, plan.id, plan.version, plan.updated, changed_by, written.record, questions, tuple(beside))


def _in_words(mapped: Mapped | None, found: Refs, reference: str, element: str, value: Any) -> dict[str, Any]:
    """An element and what stands there, by the field of the record that stands for it or for what it belongs to."""
    path = change.field_around(mapped, found, reference, element) if mapped else ""
    return {"path": path, "element": f"{reference}#{element}", "value": value}


def _without_a_field(lens: Lens, written: Earlier, shown: Refs, known: set[str]) -> list[dict[str, Any]]:
    """What the record does not tell of the plan but for the places that are `known`; nothing where it cannot be read
    back, since others wrote what is no value of its format."""
    try:
        mapped = lens.get_again(*written)
    except Refused:
        return []
    told = {reference_of(one): one for one in what_a_record_tells(shown)}
    found = (_in_words(mapped, told, *one) for one in untold(told, by_reference(lens, mapped.resources, shown)))
    return [one for one in found if one["element"] not in known]


def _name_for(connection: sqlite3.Connection, party: Party, plan: Plan, record: Record | None) -> str:
    """The id under which the party knows a plan: its own, or that of the system which brought the plan; where the
    party knows another plan under that one already, the plan's."""
    name = record.record if record else plan.record
    if plan.party == party.name or (record and record.said is not None):
        return name
    known = plans.of_record(connection, party.name, name)
    return plan.id if known and known.id != plan.id else name


def source_of(party: Party, plan: Plan, name: str) -> str:
    """The system whose ids a party's record of the plan uses, by the id that the record goes by."""
    return party.source if name == plan.id != plan.record else plan.source


def what_a_record_tells(shown: Refs) -> list[Resource]:
    """The resources that a native record is made of: questions about conflicts are told beside it, never in it."""
    strangers = not_meant(shown)
    return [one for ref, one in shown.items() if ref not in strangers and not asks_for_a_decision(one)]


def _with_own_directory(connection: sqlite3.Connection, plan: Plan, visible: Refs, own: Refs) -> Refs:
    """Persons and organisations at home in another plan are shown to the party as it brought them itself.

    A person whose record was joined with another one is shown under the numbers of today.
    """
    plan_ref = f"CarePlan/{plan.id}"
    person = str(visible.get(plan_ref, {}).get("subject", {}).get("reference"))
    if person not in own:
        own = as_the_known_person(dict(own), visible, plan_ref)
        own |= {person: own[person] | {"identifier": visible[person]["identifier"]}} if person in own else {}

    guests = plans.guests(connection, plan.id)
    return {ref: own.get(ref, resource) if ref in guests else resource for ref, resource in visible.items()}
