"""What a party is to a Task: the organisations behind its requester and owner, matched to the parties here."""

from __future__ import annotations

from typing import Any

from fhir_adapter.access.identity import Party
from fhir_adapter.access.organisations import speaker_for, speaks_for
from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.flows.hub import Hub
from fhir_adapter.plan.merge import Refs
from fhir_adapter.plan.negotiation import Standing, is_negotiated
from fhir_adapter.plan.owners import Owners
from fhir_adapter.store.plans import Plan


def standing_of(hub: Hub, party: Party, plan: Plan, owners: Owners, ours: Refs, task: Resource) -> Standing:
    """Whether the party asks for the Task, does it, or writes down how far others are.

    Who leads the plan speaks for a requester who is no party here, and who asks for a performer who is none. How far a
    Task is that nobody negotiates, the lead writes down for all.
    """

    def somebody_here(reference: Any) -> bool:
        return speaker_for(hub.parties.values(), reference, ours) is not None

    leads = party.name in (owners.leader, plan.party)
    if is_negotiated(task):
        asks = speaks_for(party, task["requester"], ours) or (leads and not somebody_here(task["requester"]))
    else:
        asks = owners.of(reference_of(task)) == party.name
    does = speaks_for(party, task.get("owner"), ours) or (asks and not somebody_here(task.get("owner")))
    return Standing(asks, does, records=leads and not is_negotiated(task))
