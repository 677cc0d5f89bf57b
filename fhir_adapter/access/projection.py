"""What of a plan a party is shown: all of it except what is the service's own or another party's business.

Topics that a consent leaves out ("undantag") are words; nothing tells yet which goal or note is about them, so they
are not withheld here. The decision's reasons say so (access/consent.py), and the plan's lead must leave them out.
"""

from __future__ import annotations

from collections.abc import Mapping

from fhir_adapter.access.identity import Party
from fhir_adapter.access.organisations import speaks_for
from fhir_adapter.access.policies import Decision
from fhir_adapter.fhir.resources import CODES, Resource, asks_for_a_decision

WITHHELD = frozenset({"AuditEvent", "Provenance"})
"""Who looked and who wrote is for the plan's keeper, not for the other parties."""

_CONFLICT = f"{CODES}/conflict"


def project(resources: Mapping[str, Resource], party: Party, decision: Decision | None = None) -> dict[str, Resource]:
    """The resources that the party may see, in their order; nothing at all where a given decision does not permit."""
    if decision is not None and not decision.permit:
        return {}
    return {reference: resource for reference, resource in resources.items() if _is_shown(resource, party, resources)}


def _is_shown(resource: Resource, party: Party, plan: Mapping[str, Resource]) -> bool:
    if resource.get("resourceType") in WITHHELD:
        return False
    return not asks_for_a_decision(resource) or _concerns(resource, party, plan)


def _concerns(task: Resource, party: Party, plan: Mapping[str, Resource]) -> bool:
    """Whether one of the two values is the party's, or its organisation is asked to decide."""
    if speaks_for(party, task.get("owner"), plan):
        return True
    return any(_is_party_input(item) and item.get("valueString") == party.name for item in task.get("input", []))


def _is_party_input(item: Resource) -> bool:
    codings = item.get("type", {}).get("coding", [])
    return any(one.get("system") == _CONFLICT and one.get("code") in ("live-party", "other-party") for one in codings)
