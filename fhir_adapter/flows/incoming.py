"""A version that a FHIR party made, in our ids, and as it is meant in the plan that it belongs to."""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING

from fhir_adapter.access.identity import Party
from fhir_adapter.fhir.resources import Resource, dump_json, parse_json
from fhir_adapter.flows import history, joined
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.naming import as_ours, id_in, names_to_ours, with_our_words
from fhir_adapter.remotes.client import RemoteVersion
from fhir_adapter.store import resources
from fhir_adapter.store.copies import Copy
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Incoming:
    """A version in our ids: `theirs` is its content, {} for a deletion; `copy` what the party had of it until now.

    `said`, `known`: that content and its base as they are meant in the plan, of whom remains of joined persons.
    """

    version: RemoteVersion
    id: str
    theirs: Resource
    copy: Copy | None
    said: Resource = field(default_factory=dict)
    known: Resource | None = None

    @property
    def is_shared(self) -> bool:
        """Whether the party has had it from us, or we from it."""
        return self.copy is not None and self.copy.is_shown

    @property
    def stands_for_ours(self) -> bool:
        """Whether it is the party's own, pointed to instead of ours: what the plan says of ours, it never was shown."""
        return self.copy is not None and self.copy.is_theirs

    @property
    def base(self) -> Resource | None:
        """What its author had before his eyes; nothing is left of what was deleted there."""
        return (parse_json(self.copy.body) or None) if self.copy and self.is_shared else None

    def as_copy(self, sent: int | None) -> Copy:
        """The version as what the party has now."""
        version, body = self.version, dump_json(self.theirs)
        return Copy(version.type, self.id, version.id, version.version, sent, body, history.made(version))


def incoming_of(
    connection: sqlite3.Connection, hub: Hub, party: Party, version: RemoteVersion, copy: Copy | None
) -> Incoming:
    """The version in our ids."""
    id_ = id_in(names_to_ours(connection, hub, party)(f"{version.type}/{version.id}"))
    ours = names_to_ours(connection, hub, party, resources.home_plan_of(connection, version.type, id_))
    return Incoming(version, id_, as_ours(version.resource, ours) if version.resource else {}, copy)


def as_meant(connection: sqlite3.Connection, hub: Hub, party: Party, incoming: Incoming, plan: Plan | None) -> Incoming:
    """With what is said of the plan: a name may stand for two persons there, and one of ours for two of theirs."""
    theirs, resource = incoming.theirs, incoming.version.resource
    if plan and resource:
        theirs = as_ours(resource, names_to_ours(connection, hub, party, plan.id))
        theirs = with_our_words(connection, party, theirs, incoming.base or {})
    said, known = joined.of_its_person(connection, hub, party, plan, theirs, incoming.base)
    return replace(incoming, theirs=theirs, said=said, known=known)
