"""Persons and organisations that several plans point to: at home in the plan that brought them, guests in the others.

A guest changes only where it is at home. A person is at home in every plan of the party that brought it (decision 7),
and another party gets a record of its own (decision 36).
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import TYPE_CHECKING

from fhir_adapter.errors import Issue, Refused
from fhir_adapter.fhir.index import split_reference
from fhir_adapter.plan.merge import Refs
from fhir_adapter.store import plans
from fhir_adapter.store.names import Names
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3

    from fhir_adapter.flows.change import Arrival

DIRECTORY = frozenset({"Patient", "Organization", "Practitioner", "PractitionerRole", "RelatedPerson"})
"""Types that several plans may point to."""


def without_guests(connection: sqlite3.Connection, names: Names, plan: Plan, arrival: Arrival, ours: Refs) -> Arrival:
    """Leave out persons and organisations at home in another plan: they change there, not here.

    Anything else that belongs to another plan is refused: a party cannot reach another plan by naming its parts.
    """
    unknown = {reference: split_reference(reference) for reference in arrival.theirs if reference not in ours}
    names.look_up(unknown.values())
    new = {
        reference
        for reference, name in unknown.items()
        if (known := names.current[name]) and known.plan not in (None, plan.id)
    }
    for reference in new:
        if reference.partition("/")[0] not in DIRECTORY:
            raise Refused(
                "a part of another plan",
                [
                    Issue(
                        "error",
                        "business-rule",
                        reference,
                        "this belongs to another plan and cannot be changed from here",
                        "an id of its own",
                    )
                ],
            )
    plans.add_guests(connection, plan.id, new)
    guests = plans.guests(connection, plan.id) & arrival.theirs.keys()
    if not guests:
        return arrival
    bases = [{ref: value for ref, value in base.items() if ref not in guests} for base in arrival.bases]
    theirs = {ref: value for ref, value in arrival.theirs.items() if ref not in guests}
    return replace(arrival, bases=bases, theirs=theirs)


def plans_beside(connection: sqlite3.Connection, plan: Plan, changed: Iterable[str]) -> list[Plan]:
    """The other plans that show what was changed in this one: those in which the person is at home as well."""
    found = (one for reference in changed for one in plans.plans_beside(connection, plan.id, reference))
    return list({one.id: one for one in found}.values())
