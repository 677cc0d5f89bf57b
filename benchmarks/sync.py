"""From a push to being visible at a FHIR server, over that server's own time for the same write.

    .venv/bin/python scripts/with_hapi.py .venv/bin/python -m benchmarks.sync --region '{url}'

Without --region the sandbox is the server. Plans are pushed evenly at each rate; one is visible when a reader finds it
there. The same transactions written by a bare client, one after the other, are the server's own time.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from uuid import uuid4

from rich.console import Console
from rich.table import Table

from benchmarks.road import SAMPLE
from fhir_adapter.app import SANDBOX, build
from fhir_adapter.fhir.resources import Resource, parse_json
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.naming import as_sent
from fhir_adapter.flows.push import Delivery, push
from fhir_adapter.remotes.client import Entry, FhirClient
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.settings import as_demo, read_settings
from fhir_adapter.store import plans

PATIENCE = 300.0


@dataclass(frozen=True, slots=True)
class Measured:
    """Seconds from push to visible, and how many plans a second really went through."""

    asked: float
    reached: float
    seconds: list[float]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--region", help="base URL of a FHIR server; left out: the sandbox")
    parser.add_argument("--rates", default="1,10,100", help="plans a second")
    parser.add_argument("--plans", type=int, default=60, help="plans at each rate, at most")
    given = parser.parse_args()
    rates = [float(rate) for rate in given.rates.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), given.region, rates, given.plans)


def measure(folder: Path, region: str | None, rates: Sequence[float], most: int) -> None:
    """Run all rates and print the table."""
    listening = listen("127.0.0.1", 0)
    url = region or f"{address_of(listening)}{SANDBOX}"
    settings = as_demo(read_settings(None, data=folder), url).model_copy(update={"sync_interval": 5.0})
    service = build(settings, sandbox=region is None)
    with answering_in_a_thread(service.asgi, listening):
        service.worker.start()
        run(service.hub, url, rate=2, count=6, first=0)  # the server warms up
        own = own_times(service.hub, FhirClient(url))
        done = []
        for place, rate in enumerate(rates):
            count = max(10, min(most, int(rate * 20)))
            done.append(run(service.hub, url, rate=rate, count=count, first=1000 * (place + 1)))
    service.close()
    show(done, own, region is not None)


def run(hub: Hub, url: str, *, rate: float, count: int, first: int) -> Measured:
    """Push `count` plans, evenly, and wait until each is seen."""
    started: dict[str, float] = {}
    seen: dict[str, float] = {}
    watcher = threading.Thread(target=watch, args=(FhirClient(url), started, seen, count))
    watcher.start()
    begin = time.perf_counter()
    for number in range(count):
        time.sleep(max(0.0, begin + number / rate - time.perf_counter()))
        moment = time.perf_counter()
        started[a_push(hub, first + number)] = moment
    watcher.join(PATIENCE)
    seconds = [seen[plan] - started[plan] for plan in seen]
    return Measured(rate, len(seen) / (max(seen.values()) - begin), seconds)


def a_push(hub: Hub, number: int) -> str:
    record = json.loads(json.dumps(SAMPLE))
    record["id"] = f"SIP-{uuid4()}"
    record["person"]["personnummer"] = f"1985{number % 12 + 1:02d}14{uuid4().int % 10000:04d}"
    body = json.dumps(record, ensure_ascii=False).encode()
    answer = push(hub, hub.parties["sodertalje"], Delivery(str(uuid4()), "application/json", body))
    return str(json.loads(answer.receipt)["plan"]["id"])


def watch(reader: FhirClient, started: dict[str, float], seen: dict[str, float], count: int) -> None:
    """Ask for the oldest plan that was not seen yet: plans become visible in the order of their pushes."""
    end = time.perf_counter() + PATIENCE
    while len(seen) < count and time.perf_counter() < end:
        waiting = [plan for plan in list(started) if plan not in seen]
        if waiting and reader.read("CarePlan", waiting[0]):
            seen[waiting[0]] = time.perf_counter()
        else:
            time.sleep(0.005)


def own_times(hub: Hub, server: FhirClient) -> list[float]:
    """Seconds that the server takes for the transaction of one such plan, one after the other, without us."""
    plan = plans.newest(hub.database.read(), 1)[0].id
    resources = [parse_json(member.body) for member in plans.members(hub.database.read(), plan)]
    return [own_time(server, resources) for _ in range(15)][3:]


def own_time(server: FhirClient, resources: Sequence[Resource]) -> float:
    new = {f"{one['resourceType']}/{one['id']}": f"{one['resourceType']}/{uuid4()}" for one in resources}
    shown = [
        {name: value for name, value in one.items() if name != "identifier"}  # nobody is to be found twice there
        for one in resources
        if one["resourceType"] not in ("AuditEvent", "Provenance")
    ]
    entries = [Entry(as_sent(one, str(uuid4()), lambda name: new.get(name, name)), only_if_new=True) for one in shown]
    start = time.perf_counter()
    server.transaction(entries)
    return time.perf_counter() - start


def show(done: Sequence[Measured], own: Sequence[float], is_real: bool) -> None:
    """The table as the documentation has it."""
    half, most = statistics.median(own), statistics.quantiles(own, n=20)[-1]
    console = Console(width=110)
    console.print(
        f"{'the server' if is_real else 'the sandbox'} alone: p50 {half * 1000:.0f} ms, p95 {most * 1000:.0f} ms"
    )
    table = Table("plans a second", "reached", "p50", "p95", "p50 over the server's own", "p95 over its own")
    for one in done:
        middle, slow = statistics.median(one.seconds), statistics.quantiles(one.seconds, n=20)[-1]
        figures = (f"{middle * 1000:.0f} ms", f"{slow * 1000:.0f} ms", f"{middle / half:.1f}", f"{slow / most:.1f}")
        table.add_row(f"{one.asked:g}", f"{one.reached:.1f}", *figures)
    console.print(table)


if __name__ == "__main__":
    main()
