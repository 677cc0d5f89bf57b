"""Which plan a version that a FHIR party made is part of, or would become part of."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from fhir_adapter.access.identity import Party
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.flows import change
from fhir_adapter.flows.guests import DIRECTORY
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.naming import Renaming, as_ours, id_in, names_in, names_to_ours
from fhir_adapter.remotes.client import RemoteVersion
from fhir_adapter.store import plans, resources
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3


def plan_for(
    connection: sqlite3.Connection,
    version: RemoteVersion,
    theirs: Resource,
    news: Sequence[RemoteVersion],
    ours: Renaming,
) -> Plan | None:
    """The plan of a version, `theirs` in our ids: by itself, else by what came along and points to it."""
    id_ = id_in(ours(f"{version.type}/{version.id}"))
    return plan_of(connection, version.type, id_, theirs) or _plan_of_whoever_names(connection, version, news, ours)


def person_it_is_due_to(
    connection: sqlite3.Connection, hub: Hub, party: Party, news: Sequence[RemoteVersion], version: RemoteVersion
) -> str | None:
    """The person of the plan that the version would become part of, as `Patient/id`."""
    ours = names_to_ours(connection, hub, party)
    theirs = as_ours(version.resource, ours) if version.resource else {}
    plan = plan_for(connection, version, theirs, news, ours)
    return change.person_of(connection, plan.id) if plan else None


def plan_of(connection: sqlite3.Connection, type_: str, id_: str, theirs: Resource) -> Plan | None:
    """The plan that the resource is at home in or part of; a new one is part of the plan of what it points to."""
    if home := resources.home_plan_of(connection, type_, id_):
        return plans.get(connection, home)
    candidates = [(type_, id_)] + [
        (name.partition("/")[0], id_in(name)) for name in names_in(theirs) if name.partition("/")[0] not in DIRECTORY
    ]
    for candidate in candidates:
        if homes := plans.plans_of(connection, *candidate):
            return plans.get(connection, homes[0])
    return plans.naming(connection, type_, id_)


def _plan_of_whoever_names(
    connection: sqlite3.Connection, version: RemoteVersion, news: Sequence[RemoteVersion], ours: Renaming
) -> Plan | None:
    """The plan of the resource that points to this one, when it says nothing itself."""
    for other in news:
        if other is not version and f"{version.type}/{version.id}" in names_in(other.resource):
            theirs = as_ours(other.resource or {}, ours)
            if plan := plan_of(connection, other.type, theirs["id"], theirs):
                return plan
            rest = [each for each in news if each not in (version, other)]
            if plan := _plan_of_whoever_names(connection, other, rest, ours):
                return plan
    return None
