"""Who a party is: a system that holds a copy of the plan, and the organisation that it speaks for."""

from __future__ import annotations

from dataclasses import dataclass, field

from fhir_adapter.fhir.resources import BASE, Resource


@dataclass(frozen=True, slots=True)
class Party:
    """A system that takes part in shared plans.

    Native systems name a `mapping` (folder under mappings/), FHIR servers their base URL in `fhir`.
    `identifiers` are (system, value) pairs of the organisation, e.g. ("urn:oid:2.5.4.97", "2120000159").
    """

    name: str
    title: str
    identifiers: frozenset[tuple[str, str]] = field(default_factory=frozenset)
    mapping: str | None = None
    fhir: str | None = None

    @property
    def reference(self) -> Resource:
        """The organisation as a FHIR Reference: by its identifier and title, whether or not it has a resource."""
        identifiers = [{"system": system, "value": value} for system, value in sorted(self.identifiers)]
        return {"display": self.title} | ({"identifier": identifiers[0]} if identifiers else {})

    @property
    def source(self) -> str:
        """URI of the party's own identifiers: what it calls M1 is (source, M1) to everybody else."""
        return f"{BASE}/sid/{self.name}"
