"""What parties said last, in FHIR: each record is compared with that at its next push, and the newest are remembered.

They are found by the digest of their bytes, so it does not matter what became of the push that brought them. And they
are kept as JSON: the objects would take more room, and be looked through for garbage again and again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID

from fhir_adapter.access.identity import Party
from fhir_adapter.fhir.resources import Readings, Resource, reference_of
from fhir_adapter.flows import change, known_persons
from fhir_adapter.mapping.engine import Mapped, Mapping
from fhir_adapter.plan.identity import as_the_known_person
from fhir_adapter.plan.merge import Refs
from fhir_adapter.store import journal, plans
from fhir_adapter.store.journal import Entry
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3

MOST = 1024
"""Records that are remembered, of some 30 kB each."""


class _Told(NamedTuple):
    resources: tuple[bytes, ...]
    rest: Mapped


@dataclass(frozen=True, slots=True)
class Lens:
    """A mapping, the system whose ids a record uses, and our namespace: all that its form in FHIR depends on."""

    mapping: Mapping
    source: str
    namespace: UUID

    def get(self, native: Any) -> Mapped:
        """The record in FHIR. Raises Refused."""
        return self.mapping.get(native, source=self.source, namespace=self.namespace)

    def put(self, resources: Sequence[Resource], before: dict[str, Any]) -> dict[str, Any]:
        """The record as it was before, with what the resources say differently."""
        return self.mapping.put(resources, before, source=self.source, namespace=self.namespace)

    def remember(self, digest: bytes, mapped: Mapped, readings: Readings) -> None:
        """Keep what the bytes with this digest say; `readings` of its resources."""
        rest = replace(mapped, resources=[], trace=lambda _reference, _element: "")
        _told[self, digest] = _Told(readings.raw, rest)
        if len(_told) > MOST:
            _told.popitem(last=False)

    def resources(self, said: Entry, readings: Readings) -> list[Resource]:
        """What an entry says: remembered, or mapped once more."""
        told = _told.pop((self, said.digest), None)
        if told is None:
            return self.get(self.mapping.record_in(said.body)).resources
        return [readings.read(raw) for raw in told.resources]

    def rest(self, said: Entry) -> Mapped | None:
        """What the mapping had to tell of an entry beside the resources, if it is remembered."""
        told = _told.get((self, said.digest))
        return told.rest if told else None


def by_reference(said: Sequence[Resource], ours: Refs) -> Refs:
    """The record's resources; the Task of an intervention is the one that the plan has for it, whoever made that, and
    a person who got another number is the one whom the plan knows."""
    tasks = ((ref, one) for ref, one in ours.items() if one["resourceType"] == "Task")
    known = {focus: ref for ref, task in tasks if (focus := change.intervention_of(task))}
    found: Refs = {}
    for resource in said:
        own = reference_of(resource)
        reference = known.get(change.intervention_of(resource), own) if resource["resourceType"] == "Task" else own
        found[reference] = resource if reference == own else resource | {"id": reference.partition("/")[2]}
    return as_the_known_person(found, ours, reference_of(said[0]))


def said_of_the_person(
    connection: sqlite3.Connection, party: Party, lens: Lens, readings: Readings, plan: Plan, theirs: Refs
) -> tuple[Refs, list[Refs]]:
    """The person of a new plan as they are here, where earlier plans of the party are about them, and what it said of
    them with those. The last of these bases is bare: a record that says less of them takes nothing away."""
    name = str(theirs[f"CarePlan/{plan.id}"].get("subject", {}).get("reference"))
    earlier = plans.plans_beside(connection, plan.id, name) if name in theirs else []
    if not earlier:
        return {}, []
    bare = {"resourceType": "Patient", "id": name.partition("/")[2]}
    said = [_said_with(connection, party, lens, readings, one).get(name) for one in earlier]
    here = {name: known_persons.required_person(connection, name)}
    return here, [{name: person} for person in (*filter(None, said), bare)]


def _said_with(connection: sqlite3.Connection, party: Party, lens: Lens, readings: Readings, plan: Plan) -> Refs:
    """What the party said last of a plan."""
    record = plans.record_of(connection, party.name, plan.id)
    if record is None or record.said is None:
        return {}
    return by_reference(lens.resources(journal.by_id(connection, record.said), readings), change.load(connection, plan))


_told: OrderedDict[tuple[Lens, bytes], _Told] = OrderedDict()
