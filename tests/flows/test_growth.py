"""Nothing reads more because there are more plans: SQLite's steps for each story, with few plans and with many."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import letters, parked, sync
from fhir_adapter.flows.conflicts import list_conflicts
from fhir_adapter.flows.overview import list_plans, show_plan
from fhir_adapter.flows.pull import show_changes, show_record
from fhir_adapter.flows.push import Delivery, push
from fhir_adapter.flows.rest import Server, history, pairs_of, read, search
from fhir_adapter.flows.safety import astray_in_a_sample
from fhir_adapter.store import plans
from tests.flows.conftest import Town
from tests.steps import steps

FEW, MANY = 4, 40
MORE = 1.3
"""So much more may be: which resources are picked, and how many versions one millisecond holds, is not the same."""

SEARCHES = (
    "CarePlan?_count=3",
    "CarePlan?status=active&_count=3",
    "CarePlan?status=active,completed&_count=3",
    "CarePlan?_lastUpdated=gt{since}",
    "CarePlan?_sort=-_lastUpdated&_count=3",
    "CarePlan?patient.identifier={number}",
    "Patient?identifier={number}",
    "CarePlan?_id={plan}&_include=CarePlan:subject&_include=CarePlan:goal&_revinclude=Task:based-on",
    "Task?focus:ServiceRequest.based-on={plan}",
)

BASE = "http://x/fhir"
PARTY, FEW_PLANS, NO_PLAN = "sodertalje", "nykvarn", "salem"


def test_no_story_reads_more_because_there_are_more_plans(town: Town, sip: dict[str, Any]) -> None:
    _deliver(town, _record(sip, 10_000), FEW_PLANS)
    few = _measured(town, sip, 0, FEW)
    many = _measured(town, sip, FEW + 1, MANY)
    assert {what: (few[what], count) for what, count in many.items() if count > MORE * few[what]} == {}


def _measured(town: Town, sip: dict[str, Any], first: int, last: int) -> dict[str, int]:
    """The steps of every story once the plans of these numbers are there, too, and the region has them."""
    hub, region = town.service.hub, town.service.hub.parties["region-stockholm"]
    for number in range(first, last):
        _deliver(town, _record(sip, number))
    for _ in range(2):  # the second look sees what the first turn wrote there
        sync.cycle(hub, region)
    since, cursor = instant(hub.now()), plans.newest_change(hub.database.read())
    server = Server(hub.database, writable=False)
    often = replace(hub, limits=replace(hub.limits, check_interval=0.0))
    plan = plans.newest(hub.database.read(), 1)[0].id
    new, changed = _record(sip, last), _record(sip, last, klar=True)

    def finds(query: str) -> Callable[[], object]:
        type_, _, rest = query.partition("?")
        return lambda: search(server, BASE, type_, pairs_of(rest), lenient=False, posted=False)

    stories: dict[str, Callable[[], object]] = {
        "new push": lambda: _deliver(town, new),
        "unchanged push": lambda: _deliver(town, new),
        "a new plan to the region": lambda: sync.deliver_next(hub, region),
        "changed push": lambda: _deliver(town, changed),
        "a changed plan to the region": lambda: sync.deliver_next(hub, region),
        "look at the region": lambda: sync.look(hub, region, overlap=timedelta(0)),
        "look whether all is there": lambda: astray_in_a_sample(often, region),
        "how it stands with the region": lambda: sync.standing(hub, region),
        "native record": lambda: show_record(hub, hub.parties[PARTY], f"SIP-{last}"),
        "feed since a cursor": lambda: show_changes(hub, hub.parties[PARTY], cursor, 50),
        "feed of who takes part in one plan": lambda: show_changes(hub, hub.parties[FEW_PLANS], 0, 50),
        "feed of who takes part in no plan": lambda: show_changes(hub, hub.parties[NO_PLAN], 0, 50),
        "page of the newest plans": lambda: list_plans(hub, FEW),
        "page of a plan": lambda: show_plan(hub, plan),
        "what is not delivered": lambda: letters.listed(hub),
        "what is parked": lambda: parked.listed(hub),
        "open conflicts": lambda: list_conflicts(hub, None),
        "FHIR read": lambda: read(server, "CarePlan", plan),
        "history of one": lambda: history(server, BASE, "CarePlan", plan, ()),
        "history of all since": lambda: history(server, BASE, None, None, [("_since", since)]),
        "history of a type": lambda: history(server, BASE, "CarePlan", None, [("_count", "3")]),
    }
    stories |= {query: finds(query.format(plan=plan, number=f"1985{last:08d}", since=since)) for query in SEARCHES}
    read_and_write = (hub.database.read(), hub.database._writer)
    counted = {what: steps(read_and_write, story) for what, story in stories.items()}
    assert not any(count == 0 for count in counted.values()), counted
    return counted


def _record(sip: dict[str, Any], number: int, *, klar: bool = False) -> bytes:
    record: dict[str, Any] = json.loads(json.dumps(sip))
    record["id"] = f"SIP-{number}"
    record["person"]["personnummer"] = f"1985{number:08d}"
    if klar:
        record["insatser"][0]["status"] = "klar"
    return json.dumps(record).encode()


def _deliver(town: Town, record: bytes, party: str = PARTY) -> None:
    hub = town.service.hub
    answer = push(hub, hub.parties[party], Delivery(str(hub.new_id()), "application/json", record))
    assert answer.status < 300
