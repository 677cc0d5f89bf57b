"""The whole road as a process that kills itself at a chosen commit or remote call; run by test_crashes.py.

    python -m tests.system.road     one line `DATA REGION_URL POINT WHEN` in, one exit status out

WHEN is `before` or `after` the point, `never`, or `twice`: nothing dies, and every write is undone and done once more.

Each line is a process of its own, forked from this one, which has only imported and read things: that saves most of
the time of a run.
"""

from __future__ import annotations

import json
import logging
import os
import signal
import sqlite3
import sys
import traceback
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any, NoReturn

from fhir_adapter.access.identity import Party
from fhir_adapter.app import open_hub
from fhir_adapter.errors import RemoteError
from fhir_adapter.fhir.resources import Resource, parse_json
from fhir_adapter.flows import change, sync
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.pull import show_record
from fhir_adapter.flows.push import Delivery, push
from fhir_adapter.logs import set_up_logs
from fhir_adapter.mapping import load
from fhir_adapter.remotes.client import Entry, FhirClient
from fhir_adapter.settings import as_demo, demo_parties, read_settings
from fhir_adapter.store import conflicts, copies, outbox, plans
from fhir_adapter.store.database import Database, attempt

SAMPLE = Path(__file__).parents[2] / "mappings" / "se-sip" / "samples" / "SIP-1.json"
NAMESPACE = "5b0f3c0e-0a53-4a39-8d6c-6a7a2a8f2a55"
NOTE = "Elin vill gärna ha samtalen på förmiddagen."


class Bomb:
    """Counts commits and remote calls, notes each in a file, and kills the process at the chosen one."""

    def __init__(self, log: Path, point: int, after: bool) -> None:
        self.log, self.point, self.after, self.count = log, point, after, 0

    def around(self, what: str, step: Callable[..., Any]) -> Callable[..., Any]:
        def stepping(*args: Any, **kwargs: Any) -> Any:
            self.count += 1
            with self.log.open("a") as log:
                log.write(f"{self.count} {what}\n")
            mine = self.count == self.point
            if mine and not self.after:
                os.kill(os.getpid(), signal.SIGKILL)
            try:
                return step(*args, **kwargs)
            finally:  # also after a no
                if mine:
                    os.kill(os.getpid(), signal.SIGKILL)

        return stepping


class UndoneError(Exception):
    """Ends the first run of a work that is run twice."""


def twice(write: Callable[..., Any]) -> Callable[..., Any]:
    """`Database.write` as when somebody else's work in the same transaction fails, every time."""

    def writing(database: Database, work: Callable[[sqlite3.Connection], Any]) -> Any:
        def undone_and_done(connection: sqlite3.Connection) -> Any:
            with suppress(UndoneError), attempt(connection):
                work(connection)
                raise UndoneError
            return work(connection)

        return write(database, undone_and_done)

    return writing


def travel(hub: Hub, region: FhirClient) -> None:
    """Push, deliver, an edit over there, collect, a second push that edits what the region edited too, deliver: the
    answer to the first write of that is lost."""
    sodertalje, stockholm = hub.parties["sodertalje"], hub.parties["region-stockholm"]
    sip = parse_json(SAMPLE.read_bytes())
    _push(hub, sodertalje, "first", sip)
    _collect(hub, stockholm)
    sync.deliver(hub, stockholm)
    _region_edits_once(hub, region)
    sip["mal"][2]["text"] = "Jag åker buss till Järna två gånger i veckan."
    _push(hub, sodertalje, "second", sip)
    with an_answer_lost(hub.clients[stockholm.name]):
        sync.deliver(hub, stockholm)
    for _ in range(3):
        _collect(hub, stockholm)
        sync.deliver(hub, stockholm)


@contextmanager
def an_answer_lost(client: FhirClient) -> Iterator[None]:
    """The next transaction that is carried out: nobody hears of it."""
    transaction = client.transaction

    def unheard(entries: Sequence[Entry]) -> NoReturn:
        transaction(entries)
        client.transaction = transaction  # type: ignore[method-assign]
        raise RemoteError("no answer")

    client.transaction = unheard  # type: ignore[method-assign]
    yield
    client.transaction = transaction  # type: ignore[method-assign]


def _collect(hub: Hub, party: Party) -> None:
    """With so long a look back that each run makes the same calls, however slow it is."""
    sync.collect(hub, party, overlap=sync.LONG_OVERLAP)


def _push(hub: Hub, party: Party, key: str, record: dict[str, Any]) -> None:
    answer = push(hub, party, Delivery(key, "application/json", json.dumps(record, ensure_ascii=False).encode()))
    assert answer.status in (200, 201), answer.receipt


def _region_edits_once(hub: Hub, region: FhirClient) -> None:
    """A goal's status and words, a note and an intervention; left alone where an earlier run did it already."""
    plan = plans.newest(hub.database.read(), 1)[0].id
    care_plan = _there(region, "CarePlan", plan)
    goals = [_there(region, *each["reference"].split("/")) for each in care_plan["goal"]]
    goal = next(goal for goal in goals if "buss" in goal["description"]["text"] or "sällskap" in str(goal))
    if goal["meta"]["versionId"] == "1":
        goal["description"] = {"text": "Jag åker buss med sällskap."}
        goal["lifecycleStatus"] = "accepted"
        _put(region, goal)
    request = {
        "resourceType": "ServiceRequest",
        "id": "7d0f5c4e-31a5-4f0a-9f3c-6c1f6f3f6b11",
        "status": "active",
        "intent": "plan",
        "code": {"text": "Samtal om sömn"},
        "subject": care_plan["subject"],
        "basedOn": [{"reference": f"CarePlan/{plan}"}],
    }
    if region.read("ServiceRequest", request["id"]) is None:
        _put(region, request)
    if NOTE not in str(care_plan.get("note")):
        care_plan["activity"].append({"reference": {"reference": f"ServiceRequest/{request['id']}"}})
        care_plan.setdefault("note", []).append(
            {"authorString": "Psykiatri Södertälje", "time": "2025-03-10T09:30:00+01:00", "text": NOTE}
        )
        _put(region, care_plan)


def _there(region: FhirClient, type_: str, id_: str) -> Resource:
    found = region.read(type_, id_)
    assert found, f"the region has no {type_}"
    assert found.resource, f"the region has no {type_}"
    return found.resource


def _put(region: FhirClient, resource: Resource) -> None:
    version = resource.get("meta", {}).get("versionId")
    region.send(
        "PUT",
        f"{resource['resourceType']}/{resource['id']}",
        json=resource,
        headers={"If-Match": f'W/"{version}"'} if version else None,
    )


def state(hub: Hub, region: FhirClient) -> dict[str, Any]:
    """All that must be the same however often the process died: contents, how many of each, nothing left undone."""
    connection = hub.database.read()
    plan = plans.newest(connection, 1)[0]
    found = change.as_refs(plans.members(connection, plan.id))
    held = {(version.type, version.id): version.resource for version in region.history() if not version.deleted}
    there = {f"{type_}/{id_}": resource for (type_, id_), resource in held.items() if resource}
    return {
        "plans": len(plans.newest(connection, 10)),
        "plan": _timeless(found),
        "conflicts": sorted(
            (each.reference, each.path, each.live, each.other) for each in conflicts.of_plan(connection, plan.id)
        ),
        "there": _timeless({ref: _without_write_id(resource) for ref, resource in there.items()}),
        "record": show_record(hub, hub.parties["sodertalje"], "SIP-1").native,
        "outbox": sorted({letter.state for letter in outbox.letters(connection, 1000, also_settled=True)}),
        "pending": copies.pending_writes(connection, "region-stockholm", plan.id),
    }


def _timeless(found: dict[str, Resource]) -> dict[str, Any]:
    """Contents without when they were written: ids are the same in every run, moments are not."""
    moments = ("authoredOn", "lastModified", "recorded")
    return {
        reference: {
            name: value
            for name, value in resource.items()
            if name != "meta"
            and not (resource["resourceType"] == "Task" and "conflict" in str(resource.get("code")) and name in moments)
        }
        for reference, resource in sorted(found.items())
    }


def _without_write_id(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name != "extension" or "write-id" not in str(value)}


def run(data: Path, region_url: str, point: int, when: str) -> None:
    """Travel, dying at the chosen point; without one (0), leave the state that was reached in DATA.state."""
    before = Database(data / "plans.sqlite")  # the same ids in every run, so that runs can be compared
    before.write(lambda connection: plans.instance_value(connection, "namespace", NAMESPACE))
    before.close()
    bomb = Bomb(data.with_suffix(".points"), point, when == "after")
    region = FhirClient(region_url)
    region.send = FhirClient(region_url).send  # type: ignore[method-assign] - the outside world is not counted
    commit, send, write = Database.commit, FhirClient.send, Database.write
    Database.commit = bomb.around("commit", commit)  # type: ignore[method-assign]
    FhirClient.send = bomb.around("remote call", send)  # type: ignore[method-assign]
    if when == "twice":
        Database.write = twice(write)  # type: ignore[method-assign]
    settings = as_demo(read_settings(None, data=data), region_url).model_copy(update={"longest_pause": 1e-9})
    with open_hub(settings) as hub:
        travel(hub, region)
        Database.commit, FhirClient.send, Database.write = commit, send, write  # type: ignore[method-assign]
        reached = json.dumps(state(hub, region), default=str, sort_keys=True)
    data.with_suffix(".state").write_text(reached)


def main() -> None:
    """Fork a traveller for every line; nothing but the answers is printed."""
    set_up_logs(level=logging.CRITICAL)
    for party in demo_parties("http://region.example"):
        if party.mapping:
            load.find(party.mapping)
    for line in sys.stdin:
        data, region_url, point, when = line.split()
        child = os.fork()
        if child == 0:
            status = 1
            try:
                run(Path(data), region_url, int(point), when)
                status = 0
            except Exception:  # noqa: BLE001 - printed, and the status says it
                traceback.print_exc()
            finally:
                os._exit(status)
        print(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]), flush=True)


if __name__ == "__main__":
    main()
