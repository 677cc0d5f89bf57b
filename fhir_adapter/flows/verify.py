"""Are plan and FHIR party really the same? Contents are compared, whatever versions and marks say."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_adapter.access.identity import Party
from fhir_adapter.access.projection import project
from fhir_adapter.fhir.differences import Difference, differences
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.flows import change, history
from fhir_adapter.flows.deletions import asked_about, is_let_go
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.naming import as_can_stand_there, as_ours, copy_meant, with_our_words, without_pointers
from fhir_adapter.flows.pull import decision_for
from fhir_adapter.flows.safety import found_by_id
from fhir_adapter.remotes.client import RemoteVersion
from fhir_adapter.remotes.feed import current_version
from fhir_adapter.store import copies, outbox, plans
from fhir_adapter.store.copies import Copy


@dataclass(frozen=True, slots=True)
class Deviation:
    """One resource that is not the same there. `why` explains it as far as it is known; `found` are the elements."""

    plan: str
    reference: str
    why: str
    found: tuple[Difference, ...] = ()

    def as_dict(self, *, values: bool) -> dict[str, Any]:
        """For JSON; the values of the elements, which are personal data, only where they are asked for."""
        elements = [
            {"path": one.path} | ({"ours": one.ours, "theirs": one.theirs} if values else {}) for one in self.found
        ]
        return {"plan": self.plan, "reference": self.reference, "why": self.why, "elements": elements}


def verify(hub: Hub, party: Party) -> Iterator[Deviation]:
    """Compare every plan that the party is to have with what it has now. Raises RemoteError."""
    connection = hub.database.read()
    for plan_id in plans.all_ids(connection):
        plan = plans.get(connection, plan_id)
        found = change.as_refs(plans.members(connection, plan_id))
        if plan and decision_for(connection, hub, party, plan, found).permit:
            yield from _of_plan(hub, party, plan_id, project(found, party))


def _of_plan(hub: Hub, party: Party, plan_id: str, visible: Mapping[str, Resource]) -> Iterator[Deviation]:
    connection = hub.database.read()
    held = copies.of_plan(connection, party.name, plan_id)
    visible = as_can_stand_there(connection, party, visible, held)
    is_on_its_way = outbox.is_open(connection, plan_id, party.name)
    ours = [held[ref] for ref in visible if ref in held and not held[ref].is_theirs]
    there = found_by_id(hub.clients[party.name], ours)
    gone = {copy.reference for copy in ours if copy.is_deleted}
    asked = asked_about(connection, party) if gone else {}

    def renamed(name: str) -> str:
        type_, _, id_ = name.partition("/")
        copy = copy_meant(connection, party, plan_id, type_, id_)
        return copy.reference if copy else name

    for reference, resource in visible.items():
        copy = held.get(reference)
        if copy is None:
            yield Deviation(plan_id, reference, "on its way" if is_on_its_way else "never brought there")
        elif copy.is_theirs:
            continue
        elif copy.is_deleted and reference in asked:  # what has its name there now may be another's that had it, too
            yield Deviation(plan_id, reference, f"deleted there: {asked[reference]} asks whether it stays")
        elif theirs := there.get((copy.type, copy.remote_id)):
            taken = with_our_words(connection, party, as_ours(theirs, renamed), resource)
            taken = without_pointers(taken, gone)  # as they were sent, they lead nowhere now
            found = tuple(differences(change.without_storage_meta(resource), taken))
            if found:
                why = _reason(copy, current_version(theirs), is_on_its_way)
                yield Deviation(plan_id, reference, why, found)
        elif not is_let_go(resource, copy):
            yield Deviation(plan_id, reference, _why_it_is_missing(copy, is_on_its_way))


def _why_it_is_missing(copy: Copy, is_on_its_way: bool) -> str:
    if not copy.is_deleted:
        return "not there any more"
    return "deleted there, given again: on its way" if is_on_its_way else "deleted there"


def _reason(copy: Copy, there: RemoteVersion, is_on_its_way: bool) -> str:
    if there.version != copy.version and history.is_older(there, copy):
        return "in an earlier state than it was left: was a backup restored there?"
    if there.version != copy.version:
        return "changed there, not taken in yet"
    if copy.sent is None:
        return "parked: what the party wrote could not be taken in, so it is not written over"
    return "on its way" if is_on_its_way else "the server keeps it otherwise than it was sent"
