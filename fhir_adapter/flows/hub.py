"""What every flow needs in its hands: the store, the parties, their mappings, a clock and a source of ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING
from uuid import UUID

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import MethodNotAllowed, NotFound
from fhir_adapter.mapping.engine import Mapping as SourceMapping
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.store.database import Database

if TYPE_CHECKING:
    from fhir_adapter.flows.reading import Reading


@dataclass(frozen=True, slots=True)
class Limits:
    """How patient the exchange with FHIR servers is; times in seconds. examples/settings.toml says what each is for."""

    delivery_attempts: int = 12
    refused_attempts: int = 3
    lease: float = 120.0
    deliveries_at_once: int = 4
    longest_pause: float = 300.0
    circuit_failures: int = 3
    check_interval: float = 60.0
    stop_when_lost_share: float = 0.3


@dataclass(frozen=True, slots=True)
class Hub:
    """The shared plans and everybody who takes part in them.

    `namespace` is this installation's own secret UUID: ids are derived under it, so that nobody can compute a
    person's id from a person number. `consents_judged_at` is now, except in a demo with cases of the past.
    `changed` is called after a change was committed (it wakes the worker). `readings` are the looks that did not come
    to their end, by party.
    """

    database: Database
    parties: Mapping[str, Party]
    mappings: Mapping[str, SourceMapping]
    clients: Mapping[str, FhirClient]
    namespace: UUID
    now: Callable[[], datetime]
    consents_judged_at: Callable[[], datetime]
    new_id: Callable[[], UUID]
    changed: Callable[[], None]
    limits: Limits = Limits()
    readings: dict[str, Reading] = field(default_factory=dict)

    def party(self, name: str) -> Party:
        """The party with this name. Raises NotFound."""
        try:
            return self.parties[name]
        except KeyError:
            raise NotFound(f"no party is called {name!r} here") from None

    def mapping_of(self, party: Party) -> SourceMapping:
        """The mapping of a native party. Raises MethodNotAllowed for a party that is a FHIR server."""
        if party.mapping is None:
            raise MethodNotAllowed(
                f"{party.name} is a FHIR server: its plans are read and written there, not through records"
            )
        return self.mappings[party.mapping]

    @property
    def fhir_parties(self) -> list[Party]:
        """The parties that plans are delivered to and read from by FHIR."""
        return [party for party in self.parties.values() if party.fhir]
