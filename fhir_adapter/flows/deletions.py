"""What a FHIR party deleted of a plan: it stays away while somebody is asked whether it ends, and comes back if not.

Which of these it is follows from the plan and its open questions; nothing is noted beside them (decision 34).
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING

from fhir_adapter.access.identity import Party
from fhir_adapter.fhir.resources import Resource, asks_for_a_decision
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.pull import may_look_at
from fhir_adapter.plan import lifecycle
from fhir_adapter.plan.decisions import reference_to
from fhir_adapter.plan.merge import Refs
from fhir_adapter.store import conflicts, copies, outbox, plans
from fhir_adapter.store.copies import Copy

if TYPE_CHECKING:
    import sqlite3


def is_let_go(resource: Resource, copy: Copy) -> bool:
    """Whether the party deleted what has ended in the plan, which both are agreed about, or our question to it."""
    return copy.is_deleted and (lifecycle.has_ended(resource) or asks_for_a_decision(resource))


def asked_about(connection: sqlite3.Connection, party: Party) -> dict[str, str]:
    """By our reference, the Task that asks whether what the party took away ends; of a person who has several plans it
    is in one of them."""
    return {reference: reference_to(id_) for reference, id_ in conflicts.open_removals(connection, party.name).items()}


def count_asked_about(connection: sqlite3.Connection, hub: Hub, party: Party) -> int:
    """How much of what the party took away somebody is asked about. A plan that it may not see any more is left as it
    is there, whatever is decided."""
    asking = Counter(conflicts.plans_deleted_and_asked(connection, party.name))
    return sum(count for plan_id, count in asking.items() if may_look_at(connection, hub, party, plan_id))


def given_again(connection: sqlite3.Connection, party: Party, shown: Refs, held: Mapping[str, Copy]) -> set[str]:
    """What the party deleted and nobody is asked about: it goes on in the plan."""
    gone = {ref for ref, copy in held.items() if copy.is_deleted and ref in shown and not is_let_go(shown[ref], copy)}
    return gone - asked_about(connection, party).keys() if gone else gone


def as_it_goes_on(
    connection: sqlite3.Connection, party: Party, shown: Refs, held: Mapping[str, Copy]
) -> dict[str, Copy]:
    """What the party holds, where that which it deleted and is to be given again counts as never sent.

    What points to that may have been sent without the pointer: all is compared then, whatever was sent last.
    """
    gone = given_again(connection, party, shown, held)
    if not gone:
        return dict(held)
    return {ref: replace(copy, sent=0) if ref in gone or copy.sent is not None else copy for ref, copy in held.items()}


def tell_again(connection: sqlite3.Connection, party: Party, copy: Copy, now: datetime) -> None:
    """Have what the party has of the copy's plans compared with them anew, and what it lacks brought there."""
    for plan in plans.plans_of(connection, copy.type, copy.id):
        copies.compare_again(connection, party.name, plan)
        outbox.queue(connection, plan, party.name, instant(now))
