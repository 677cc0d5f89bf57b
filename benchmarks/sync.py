"""From a push to being visible at a FHIR server, over that server's own time for the same write.

    .venv/bin/python scripts/with_hapi.py .venv/bin/python -m benchmarks.sync --region '{url}'

Without --region the sandbox is the server. At each rate plans are pushed, and the same transactions are sent to the
server by a bare client with as many connections as the worker has: in blocks that take turns, so that both meet the
same machine and the same line. The server's own time is from the moment a transaction is due to its answer; a plan
is visible when a reader, who reads during both, finds it.
"""

from __future__ import annotations

import argparse
import json
import statistics
import tempfile
import threading
import time
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from uuid import uuid4

from rich.console import Console
from rich.table import Table

from benchmarks.road import SAMPLE
from fhir_adapter.app import SANDBOX, build
from fhir_adapter.fhir.resources import Resource, parse_json, reference_of
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.naming import Renaming, as_sent, names_to_theirs
from fhir_adapter.flows.push import Delivery, push
from fhir_adapter.remotes.client import Entry, FhirClient
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.settings import as_demo, read_settings
from fhir_adapter.store import plans

PATIENCE = 300.0
BLOCK = 10
"""Plans of one side before it is the other's turn."""


@dataclass(slots=True)
class Measured:
    """Seconds that each plan took, by who brought it, and how many a second went through."""

    rate: float
    seconds: dict[str, list[float]] = field(default_factory=lambda: {"ours": [], "own": []})
    lasted: dict[str, float] = field(default_factory=lambda: {"ours": 0.0, "own": 0.0})

    def reached(self, who: str) -> float:
        return len(self.seconds[who]) / self.lasted[who]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--region", help="base URL of a FHIR server; left out: the sandbox")
    parser.add_argument("--rates", default="1,10,100", help="plans a second")
    parser.add_argument("--plans", type=int, default=60, help="plans at each rate")
    given = parser.parse_args()
    rates = [float(rate) for rate in given.rates.split(",")]
    with tempfile.TemporaryDirectory() as folder:
        measure(Path(folder), given.region, rates, given.plans)


def measure(folder: Path, region: str | None, rates: Sequence[float], count: int) -> None:
    """Run all rates and print the table."""
    listening = listen("127.0.0.1", 0)
    url = region or f"{address_of(listening)}{SANDBOX}"
    settings = as_demo(read_settings(None, data=folder), url).model_copy(update={"sync_interval": 5.0})
    service = build(settings, sandbox=region is None)
    with answering_in_a_thread(service.asgi, listening):
        service.worker.start()
        bench = Bench(service.hub, FhirClient(url))
        bench.block(Measured(2), "ours")  # the server warms up, and knows the organisations
        bench.block(Measured(2), "own")
        done = [bench.run(rate, count) for rate in rates]
    service.close()
    show(done, "the server's" if region else "the sandbox's")


@dataclass(slots=True)
class Bench:
    """The service, and the server as a bare client and a reader see it."""

    hub: Hub
    server: FhirClient

    def run(self, rate: float, count: int) -> Measured:
        """Plans at this rate, in blocks of either side."""
        measured = Measured(rate)
        for _ in range(-(-count // BLOCK)):
            self.block(measured, "own")
            self.block(measured, "ours")
        return measured

    def block(self, measured: Measured, who: str) -> None:
        """BLOCK plans, evenly at their rate, and wait until each has arrived."""
        due: dict[str, float] = {}
        seen: dict[str, float] = {}
        reader = threading.Thread(target=self._watch, args=(due, seen))
        begin = time.perf_counter()
        reader.start()
        with ThreadPoolExecutor(self.hub.limits.deliveries_at_once) as connections:
            own = self._transactions() if who == "own" else []
            answers = []
            for number in range(BLOCK):
                moment = begin + number / measured.rate
                time.sleep(max(0.0, moment - time.perf_counter()))
                if who == "own":
                    plan, entries = own[number]
                    answers.append(connections.submit(self._answered, entries, moment))
                else:
                    plan = a_push(self.hub)
                due[plan] = moment
            reader.join()
        taken = [answer.result() for answer in answers] or [seen[plan] - due[plan] for plan in due]
        measured.seconds[who] += taken
        measured.lasted[who] += max(seen.values()) - begin

    def _answered(self, entries: Sequence[Entry], due: float) -> float:
        self.server.transaction(entries)
        return time.perf_counter() - due

    def _watch(self, due: dict[str, float], seen: dict[str, float]) -> None:
        """Look for those that have waited longest, as many as are brought at once."""
        end = time.perf_counter() + PATIENCE
        while len(seen) < BLOCK and time.perf_counter() < end:
            for plan in [plan for plan in list(due) if plan not in seen][: self.hub.limits.deliveries_at_once]:
                if self.server.read("CarePlan", plan):
                    seen[plan] = time.perf_counter()
            time.sleep(0.005)

    def _transactions(self) -> list[tuple[str, list[Entry]]]:
        """What the adapter sends for one more plan, under other names: the plan without what is there already."""
        connection = self.hub.database.read()
        plan = plans.newest(connection, 1)[0].id
        guests = plans.guests(connection, plan)
        members = [parse_json(member.body) for member in plans.members(connection, plan)]
        brought = [one for one in members if reference_of(one) not in guests]
        there = names_to_theirs(connection, self.hub.fhir_parties[0])
        return [_under_other_names(brought, there) for _ in range(BLOCK)]


def _under_other_names(resources: Sequence[Resource], there: Renaming) -> tuple[str, list[Entry]]:
    new = {reference_of(one): f"{one['resourceType']}/{uuid4()}" for one in resources}

    def rename(name: str) -> str:
        return new.get(name) or there(name)

    shown = [
        {name: value for name, value in one.items() if name != "identifier"}  # nobody is to be found twice there
        for one in resources
    ]
    plan = next(new[reference_of(one)] for one in resources if one["resourceType"] == "CarePlan")
    return plan.partition("/")[2], [Entry(as_sent(one, str(uuid4()), rename), only_if_new=True) for one in shown]


def a_push(hub: Hub) -> str:
    record = json.loads(json.dumps(SAMPLE))
    record["id"] = f"SIP-{uuid4()}"
    record["person"]["personnummer"] = f"1985{uuid4().int % 10**8:08d}"
    body = json.dumps(record, ensure_ascii=False).encode()
    answer = push(hub, hub.parties["sodertalje"], Delivery(str(uuid4()), "application/json", body))
    return str(json.loads(answer.receipt)["plan"]["id"])


def show(done: Sequence[Measured], whose: str) -> None:
    """The table as the documentation has it."""
    table = Table("plans a second", "went through", f"{whose} own", "p50", "p95", f"{whose} own p50", "p95",
                  "p50 over its own", "p95 over its own")  # fmt: skip
    for one in done:
        ours, own = (quantiles(one.seconds[who]) for who in ("ours", "own"))
        through = (f"{one.reached(who):.1f}" for who in ("ours", "own"))
        times = (f"{seconds * 1000:.0f} ms" for seconds in (*ours, *own))
        table.add_row(f"{one.rate:g}", *through, *times, *(f"{a / b:.2f}" for a, b in zip(ours, own, strict=True)))
    Console(width=130).print(table)


def quantiles(seconds: Sequence[float]) -> tuple[float, float]:
    """p50 and p95."""
    return statistics.median(seconds), statistics.quantiles(seconds, n=20)[-1]


if __name__ == "__main__":
    main()
