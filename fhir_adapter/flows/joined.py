"""Persons whom a FHIR party joined: two patients there become one, and what pointed to the old one is rewritten.

R4 says it in Patient.link (http://hl7.org/fhir/R4/patient-definitions.html#Patient.link): replaced-by on the one that
is given up. Our person goes by the remaining one's name there from then on, until the party takes it back. The joining
is that party's: here nobody is joined with anybody.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

import structlog

from fhir_adapter.access.identity import Party
from fhir_adapter.fhir.resources import Resource, dump_json
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.naming import as_ours, id_in, names_to_ours
from fhir_adapter.remotes.client import RemoteVersion
from fhir_adapter.store import copies
from fhir_adapter.store.copies import Copy

if TYPE_CHECKING:
    import sqlite3

log = structlog.get_logger()


def follow(connection: sqlite3.Connection, hub: Hub, party: Party, seen: Sequence[RemoteVersion]) -> None:
    """Use the remaining person's name where one was given up, the old name again where that was taken back."""
    newest = {version.id: version for version in seen if version.type == "Patient" and version.resource}
    for version in newest.values():
        remaining = _replaced_by(version.resource or {})
        copy = copies.by_remote(connection, party.name, "Patient", version.id)
        if copy is None:
            continue
        if remaining is None:
            _part(connection, hub, party, version)
        elif copy.remote_id == version.id and not copies.join(connection, party.name, copy, remaining):
            log.warning("two persons of ours are one there", party=party.name, kept=copy.reference)


def _replaced_by(patient: Resource) -> str | None:
    links = (link.get("other", {}) for link in patient.get("link", []) if link.get("type") == "replaced-by")
    names = (str(other.get("reference", "")) for other in links)
    return next((id_in(name) for name in names if name.startswith("Patient/")), None)


def _part(connection: sqlite3.Connection, hub: Hub, party: Party, version: RemoteVersion) -> None:
    body = dump_json(as_ours(version.resource or {}, names_to_ours(connection, hub, party)))
    copies.part(connection, party.name, Copy("Patient", version.id, version.id, version.version, 0, body))
