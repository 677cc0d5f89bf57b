"""Bring a FHIR party up to date with the plan: claim, what does it lack, note the write, transaction, settle.

Each step ends in a commit or is a remote call; a process that dies between any two of them loses nothing, and one that
was overtaken while it stalled can neither write over there nor settle here.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from functools import partial
from typing import TYPE_CHECKING

import structlog

from fhir_adapter.access.identity import Party
from fhir_adapter.access.projection import project
from fhir_adapter.errors import Issue, RemoteConflict, RemoteError, Unavailable
from fhir_adapter.fhir.resources import Resource, parse_json, reference_of
from fhir_adapter.flows import change, circuit, letters, writes
from fhir_adapter.flows.collect import collect
from fhir_adapter.flows.deletions import as_it_goes_on, given_again, tell_again
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.joined import call_by_own_names
from fhir_adapter.flows.naming import as_can_stand_there, as_sent, names_to_theirs, records_to_theirs
from fhir_adapter.flows.pull import decision_for
from fhir_adapter.plan.identity import are_born_apart, have_one_number_now, not_meant
from fhir_adapter.plan.merge import Refs
from fhir_adapter.remotes.client import Entry
from fhir_adapter.remotes.directory import find_by_identifiers
from fhir_adapter.store import copies, outbox, persons, plans, resources
from fhir_adapter.store.copies import Copy, Written
from fhir_adapter.store.outbox import Claim
from fhir_adapter.store.plans import Member

if TYPE_CHECKING:
    import sqlite3

MATCHED_BY_IDENTIFIER = ("Patient", "Organization", "Practitioner")
"""What a FHIR server may know already: it is then pointed to and never written."""

log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class Outgoing:
    """One resource that the party lacks in this form: `seq` is our version, `copy` what it holds now."""

    resource: Resource
    seq: int
    copy: Copy | None

    @property
    def written(self) -> Written:
        """As an item of a write."""
        return Written(self.resource["resourceType"], self.resource["id"], self.seq)


def deliver(hub: Hub, party: Party) -> int:
    """Work off the party's outbox rows that are due; returns how many plans were brought up to date."""
    done = 0
    while (arrived := deliver_next(hub, party)) is not None:
        done += arrived
    return done


def deliver_next(hub: Hub, party: Party, found: Callable[[], None] = lambda: None) -> bool | None:
    """The same for the first row that is due: whether the plan is up to date there; None where nothing is due.

    `found` is called once there is one: others may look for more meanwhile.
    """
    if not circuit.may_go(hub, party):
        return None
    lease = hub.limits.lease
    claim = hub.database.write(lambda connection: outbox.claim(connection, party.name, seconds=lease))
    if claim is None:
        return None
    found()
    return _deliver_claimed(hub, party, claim)


def _deliver_claimed(hub: Hub, party: Party, claim: Claim) -> bool:
    if claim.attempts > hub.limits.delivery_attempts:  # counted at the claim: what kills its worker ends here, too
        letters.park(hub, claim, "tried too often")
        return False
    try:
        _bring_up_to_date(hub, party, claim)
    except writes.OvertakenError:
        log.warning("delivery overtaken", party=claim.party, plan=claim.plan)
        return False
    except RemoteError as fault:
        _put_off(hub, party, claim, fault)
        return False
    except Unavailable:
        raise  # no fault of the delivery: its lease runs out
    except Exception as fault:  # noqa: BLE001 - one plan that cannot be sent must not hold up the others
        _put_off(hub, party, claim, RemoteError(type(fault).__name__))
        return False
    circuit.succeeded(hub, party)
    letters.finish(hub, claim)
    return True


def _put_off(hub: Hub, party: Party, claim: Claim, fault: RemoteError) -> None:
    """Try again later. What was refused, or tried often enough while the party did answer others, is parked."""
    claim = outbox.as_it_stands(hub.database.read(), claim)
    what = circuit.problem(fault)
    is_down = circuit.is_down(hub, party, fault)
    if is_down:
        seconds = max(circuit.failed(hub, party, fault), circuit.pause(hub, claim.attempts))
    else:
        seconds = fault.retry_after or circuit.pause(hub, claim.attempts)
    refused = not fault.retry and fault.answered is not None and fault.answered not in (409, 412)
    is_hopeless = refused and claim.refusals + 1 >= hub.limits.refused_attempts
    if is_hopeless or (claim.attempts >= hub.limits.delivery_attempts and not is_down):
        letters.park(hub, claim, what)
    else:
        hub.database.write(
            lambda connection: outbox.postpone(
                connection, claim, seconds=seconds, problem=what, refused=refused, forgiven=is_down
            )
        )
        log.warning("delivery put off", party=claim.party, plan=claim.plan, problem=what, seconds=round(seconds, 1))


def _bring_up_to_date(hub: Hub, party: Party, claim: Claim) -> None:
    for _ in range(5):
        writes.look_for_what_is_under_way(hub, party, claim)
        outgoing = _what_it_lacks(hub, party, claim.plan)
        if not outgoing:
            return
        try:
            _write_there(hub, party, claim, outgoing)
            return
        except RemoteConflict:  # somebody edited there meanwhile: take that in first, then compare again
            if not writes.came_late(hub, party, claim, [out.written for out in outgoing]):
                collect(hub, party, [_place(out) for out in outgoing])
    raise RemoteError("the plan kept changing at the other side", answered=409)


def _place(out: Outgoing) -> tuple[str, str]:
    return out.resource["resourceType"], out.copy.remote_id if out.copy else out.resource["id"]


def _what_it_lacks(hub: Hub, party: Party, plan_id: str) -> list[Outgoing]:
    connection = hub.database.read()
    plan = plans.get(connection, plan_id)
    members = plans.members(connection, plan_id)
    found = change.as_refs(members)
    if plan is None or not decision_for(connection, hub, party, plan, found).permit:
        return []
    shown = project(found, party)
    _link_what_it_knows(hub, party, plan_id, shown)
    held = copies.of_plan(connection, party.name, plan_id)
    if again := [held[ref] for ref in given_again(connection, party, shown, held)]:
        hub.database.write(partial(call_by_own_names, hub=hub, party=party, gone=again))
        held = copies.of_plan(hub.database.read(), party.name, plan_id)
    known = as_it_goes_on(connection, party, shown, held)
    visible = as_can_stand_there(connection, party, shown, known)
    return [
        Outgoing(visible[ref], member.seq, held.get(ref))
        for ref, member in ((f"{member.type}/{member.id}", member) for member in members)
        if ref in visible and _is_to_be_sent(visible[ref], member, known.get(ref))
    ]


def _is_to_be_sent(resource: Resource, member: Member, copy: Copy | None) -> bool:
    if copy is None:
        return True
    if copy.sent is None or copy.sent == member.seq:
        return False
    return change.without_storage_meta(resource) != change.without_storage_meta(parse_json(copy.body))


def _link_what_it_knows(hub: Hub, party: Party, plan_id: str, shown: Refs) -> None:
    """Persons and organisations that the server has under the same national identifier are used, not made twice."""
    unknown = shown.keys() - copies.of_plan(hub.database.read(), party.name, plan_id).keys() - not_meant(shown)
    for type_ in MATCHED_BY_IDENTIFIER:
        new = [shown[ref] for ref in sorted(unknown) if ref.startswith(f"{type_}/")]
        if new:
            _link_by_identifier(hub, party, type_, new)


def _link_by_identifier(hub: Hub, party: Party, type_: str, new: Sequence[Resource]) -> None:
    names = {one["id"]: _identifiers_of(one) for one in new}
    wanted = list(dict.fromkeys(name for some in names.values() for name in some))
    connection = hub.database.read()
    known = find_by_identifiers(
        hub.clients[party.name], type_, wanted, lambda id_: copies.is_of_ours(connection, party.name, type_, id_)
    )
    for one in new:
        found = [known[name] for name in names[one["id"]] if name in known and known[name]["id"] != one["id"]]
        there = next((match for match in found if _is_it(hub, party, one, match)), None)
        if there:
            copy = Copy(type_, one["id"], there["id"], copies.THEIRS, None, b"{}")
            hub.database.write(partial(copies.save, party=party.name, copy=copy))


def _is_it(hub: Hub, party: Party, ours: Resource, there: Resource) -> bool:
    """Whether what has our number there is ours, and not the copy of another one of ours that has it, too, was given it
    or had it. The party's own may stand for several of ours: each municipality has a record of a person, and of staff
    (decision 36).

    One number and two days of birth: whose plan this would become, a person has to say. Raises RemoteError.
    """
    connection, type_ = hub.database.read(), ours["resourceType"]
    copy = copies.by_remote(connection, party.name, type_, there["id"])
    other = copy.reference if copy and not copy.is_only_a_name and copy.id != ours["id"] else None
    is_linked = other in persons.ever_linked(connection, reference_of(ours))
    if type_ == "Patient" and are_born_apart(ours, there) and not is_linked:
        words = "a person with this number and another birth date is known there"
        raise RemoteError(words, answered=200, issues=[Issue("error", "business-rule", "Patient.birthDate", words)])
    if other is None or copy is None:
        return True
    stored = resources.read(connection, copy.type, copy.id)
    is_several = copy.is_theirs and type_ in ("Patient", "Practitioner")
    return is_several and stored is not None and have_one_number_now(parse_json(stored.body or b"{}"), ours)


def _identifiers_of(resource: Resource) -> list[tuple[str, str]]:
    given = resource.get("identifier", [])
    return [(each["system"], each["value"]) for each in given if each.get("system") and each.get("value")]


def _write_there(hub: Hub, party: Party, claim: Claim, outgoing: Sequence[Outgoing]) -> None:
    write_id = str(hub.new_id())
    items = [out.written for out in outgoing]

    def begin(connection: sqlite3.Connection) -> None:
        for copy in (out.copy for out in outgoing if out.copy and out.copy.is_deleted):  # other plans point to it, too
            tell_again(connection, party, copy, hub.now())
        writes.begin(connection, hub, claim, write_id, items)

    hub.database.write(begin)
    theirs, records = (names(hub.database.read(), party) for names in (names_to_theirs, records_to_theirs))
    entries = [_entry(out, as_sent(out.resource, write_id, theirs, records)) for out in outgoing]
    try:
        made = hub.clients[party.name].transaction(entries)
    except RemoteError as fault:
        if fault.answered is not None and 400 <= fault.answered < 500:  # a clear no: nothing was written
            hub.database.write(lambda connection: copies.abandon_write(connection, write_id))
        raise
    arrived = [  # a server that returns no content is taken at its word
        version if version.resource else replace(version, resource=entry.resource)
        for version, entry in zip(made, entries, strict=True)
    ]
    hub.database.write(lambda connection: writes.settle(connection, hub, party, claim.plan, write_id, arrived))


def _entry(out: Outgoing, resource: Resource) -> Entry:
    """Only over the version that we know, or where nothing is: a repeated or late request then changes nothing."""
    if out.copy is None or out.copy.is_lost:
        return Entry(resource, only_if_new=True)
    return Entry(resource, out.copy.version, only_if_new=out.copy.is_deleted)
