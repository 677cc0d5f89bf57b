"""Who owns what in a stored plan, as parties: whom the plan names, else who first said it, else who brought it."""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any

from fhir_adapter.access.organisations import speaker_for
from fhir_adapter.fhir.resources import parse_json
from fhir_adapter.flows.hub import Hub
from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.plan.merge import Refs
from fhir_adapter.plan.owners import Owners
from fhir_adapter.plan.ownership import Rules
from fhir_adapter.store import plans, resources
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3


def owners_of(connection: sqlite3.Connection, hub: Hub, plan: Plan, ours: Refs) -> Owners:
    """The owners of a plan whose resources are `ours`; everything is looked up only when it is asked for."""

    def brought_by(reference: str) -> str | None:
        type_, id_ = reference.split("/", 1)
        return resources.owner_of(connection, type_, id_)

    def party_of(reference: Any) -> str | None:
        party = speaker_for(hub.parties.values(), reference, ours)
        return party.name if party else None

    return Owners(
        lead=plan.party,
        of=brought_by,
        wrote=lambda ref: plans.wrote(connection, plan.id, ref),
        names=party_of,
        added=lambda ref, path, item: _added_by(connection, plan.id, ref, path, item),
        rules=rules_of(hub, plan),
        author=ours.get(f"CarePlan/{plan.id}", {}).get("author"),
    )


def rules_of(hub: Hub, plan: Plan) -> Rules:
    """The default rules, with the owners that the mapping of the party that brought the plan declares."""
    party = hub.parties.get(plan.party)
    mapping = hub.mappings.get(party.mapping) if party and party.mapping else None
    return declared_rules(mapping) if mapping else Rules.default()


@lru_cache(maxsize=64)
def declared_rules(mapping: Mapping) -> Rules:
    """The default rules with the owners of a declaration. Raises BadDeclaration for an owner that there is not."""
    return Rules.default().overridden(mapping.owners)


def _added_by(connection: sqlite3.Connection, plan: str, reference: str, path: str, item: Any) -> str | None:
    """The party whose change of the plan first had this very item in a list of the resource."""
    if "." in path:  # which of several holders it stood in, nobody could tell
        return None
    for body, party in plans.versions_of(connection, plan, reference):
        items = parse_json(body).get(path)
        if isinstance(items, list) and item in items:
            return party
    return None
