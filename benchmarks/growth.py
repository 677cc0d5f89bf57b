"""What grows with the number of plans:  .venv/bin/python -m benchmarks.growth [--plans 20000]  (four minutes)

Fills a store with 1,000 plans of distinct persons, measures, fills it up, and measures the same again: milliseconds of
CPU of this process, medians, and the pages that SQLite had to read from the file. Writes are measured in groups of
GROUP, so that the log is copied back within each. `--data` names a new folder that keeps the store.
"""

from __future__ import annotations

import argparse
import asyncio
import logging
import random
import re
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, replace
from functools import partial
from itertools import islice
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.road import a_service, on_one_core, personnummer, record
from fhir_adapter.app import IN_SANDBOX, SANDBOX, Service
from fhir_adapter.flows import sync
from fhir_adapter.flows.push import Delivery, push
from fhir_adapter.flows.safety import astray_in_a_sample
from fhir_adapter.logs import set_up_logs
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.settings import PLANS
from fhir_adapter.store import plans
from fhir_adapter.store.database import statements_in

FEW = 1000
GROUP = 50
TIMES = 300
"""Of each read; of writes so many in groups."""

BOUND = 1.3
PARTY = "sodertalje"
Step = Callable[[], object]


@dataclass(frozen=True, slots=True)
class Cost:
    """Milliseconds of CPU and pages read from the file, of one."""

    milliseconds: float
    pages: float


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--plans", type=int, default=20_000, help="how many there are in the end")
    parser.add_argument("--data", type=Path, help="a folder that keeps the store")
    given = parser.parse_args()
    set_up_logs(level=logging.CRITICAL)
    console = Console(width=118)
    with tempfile.TemporaryDirectory() as folder:
        show(console, measure(given.data or Path(folder), (FEW, given.plans), console))


def measure(data: Path, sizes: Sequence[int], console: Console) -> dict[int, dict[str, Cost]]:
    """The cost of everything at each size, smallest first."""
    listening = listen("127.0.0.1", 0)
    service = a_service(data, f"{address_of(listening)}{SANDBOX}", sandbox=True)
    costs: dict[int, dict[str, Cost]] = {}
    with on_one_core(), answering_in_a_thread(service.asgi, listening):
        for size in sizes:
            fill(service, data, size, console)
            measuring = Measuring(service, random.Random(size))
            costs[measuring.size] = measuring.all(console)
    service.close()
    return costs


# --- plans -----------------------------------------------------------------------------------------------------------


def count(service: Service) -> int:
    """How many plans there are: their records are numbered from 0."""
    return int(service.hub.database.read().execute("SELECT count(*) FROM plan").fetchone()[0])


def deliver(service: Service, key: str, body: bytes) -> None:
    answer = push(service.hub, service.hub.parties[PARTY], Delivery(key, "application/json", body))
    assert answer.status < 300, answer.receipt


def fill(service: Service, data: Path, size: int, console: Console) -> None:
    """Push until there are so many plans, and have the region hold all of them."""
    numbers = range(count(service), size)
    with ThreadPoolExecutor(8) as senders:
        done = senders.map(lambda number: deliver(service, f"new-{number}", record(number)), numbers)
        for _ in track(done, f"{size:,} plans", len(numbers), console=console, transient=True):
            pass
    as_if_delivered(data, service.hub.fhir_parties[0].name)


AS_IF_DELIVERED = """
ATTACH :there AS there;
INSERT INTO there.resource (rid, type, id, seq, version, deleted)
SELECT r.rid + b.rid, r.type, r.id, r.seq + b.seq, 1, 0 FROM plan_member r
CROSS JOIN (SELECT coalesce(max(rid), 0) AS rid, coalesce(max(seq), 0) AS seq FROM there.resource) b
WHERE NOT EXISTS (SELECT 1 FROM there.resource t WHERE t.type = r.type AND t.id = r.id) GROUP BY r.rid;
INSERT INTO there.version (seq, rid, type, id, version, updated, deleted, body)
SELECT t.seq, t.rid, t.type, t.id, 1, '2000-01-01T00:00:00.000Z', 0, v.body
FROM there.resource t JOIN resource r ON r.type = t.type AND r.id = t.id JOIN version v ON v.seq = r.seq
WHERE t.seq > (SELECT coalesce(max(seq), 0) FROM there.version);
INSERT INTO copy (party, type, id, remote_id, version, sent, body, made)
SELECT :region, r.type, r.id, r.id, '1', r.seq, v.body, ''
FROM resource r CROSS JOIN there.resource t ON t.type = r.type AND t.id = r.id CROSS JOIN version v ON v.seq = r.seq
WHERE NOT EXISTS (SELECT 1 FROM copy c WHERE c.party = :region AND c.type = r.type AND c.id = r.id)
ORDER BY r.type, r.id;
UPDATE outbox SET state = 'done' WHERE state = 'waiting';
"""


def as_if_delivered(data: Path, region: str) -> None:
    """The region holds what there is, and every delivery is done; to send all of it would take hours."""
    connection = sqlite3.connect(data / PLANS, timeout=60, isolation_level=None)
    attach, *statements = statements_in(AS_IF_DELIVERED)
    names = {"there": str(data / IN_SANDBOX), "region": region}
    copied_back = "PRAGMA wal_checkpoint(TRUNCATE)"  # reading through a log of gigabytes is no everyday affair
    for statement in ("PRAGMA cache_size = -1000000", attach, "BEGIN", *statements, "COMMIT", copied_back):
        connection.execute(statement, names)
    connection.close()


# --- measuring -------------------------------------------------------------------------------------------------------


class Measuring:
    """Everything that is measured, on plans picked at random from all that there are."""

    def __init__(self, service: Service, chance: random.Random) -> None:
        self._service, self._chance = service, chance
        self.size = count(service)
        connection = service.hub.database.read()
        self._ids = [connection.execute("SELECT id FROM plan WHERE record = ?", (f"SIP-{number}",)).fetchone()[0]
                     for number in self._numbers()]  # fmt: skip
        self._cursor = plans.newest_change(connection) - 20

    def all(self, console: Console) -> dict[str, Cost]:
        """The cost of each, by its name."""
        reads = {
            "FHIR read": self._gets("CarePlan/{id}"),
            "search, patient.identifier": self._gets("CarePlan?patient.identifier={number}"),
            "search, status, 20 entries": ["/fhir/CarePlan?status=active&_count=20"] * TIMES,
            "search, a plan and all around it": self._gets(
                "CarePlan?_id={id}&_include=CarePlan:subject&_include=CarePlan:care-team&_include=CarePlan:goal"
                "&_include=CarePlan:activity-reference&_revinclude:iterate=Task:focus"
            ),
            "native record": [f"/parties/{PARTY}/records/SIP-{number}" for number in self._numbers()],
            "feed since a cursor, 20 records": [f"/parties/{PARTY}/records?since={self._cursor}"] * (TIMES // 10),
            "page of the plans": ["/"] * (TIMES // 10),
        }
        steps: dict[str, Iterator[Step]] = {what: self._asking(paths) for what, paths in reads.items()}
        numbers = self._chance.sample(range(1, self.size, 2), TIMES)
        steps["push of a changed record"] = self._pushing("changed", numbers, klar=True)
        steps["push of an unchanged record"] = self._pushing("again", numbers, klar=True)
        steps["push of a new record"] = self._pushing("new", range(self.size, self.size + TIMES))
        hub, region = self._service.hub, self._service.hub.fhir_parties[0]
        often = replace(hub, limits=replace(hub.limits, check_interval=0.0))
        steps["worker: a changed plan to the region"] = iter([lambda: sync.deliver_next(hub, region)] * GROUP)
        steps["worker: a look where nothing is new"] = iter([lambda: sync.look(hub, region)] * GROUP)
        steps["worker: is all there that it was given"] = iter([lambda: astray_in_a_sample(often, region)] * 10)
        return {
            what: cost_of(some, GROUP if what.startswith("push") else 1)
            for what, some in track(steps.items(), "measuring", console=console, transient=True)
        }

    def _numbers(self) -> list[int]:
        """Of plans that are read: even ones, for a push of what was shown is merged otherwise."""
        return [self._chance.randrange(0, self.size, 2) for _ in range(TIMES)]

    def _gets(self, path: str) -> list[str]:
        return [
            "/fhir/" + path.format(id=id_, number=personnummer(number))
            for id_, number in zip(self._ids, self._numbers(), strict=True)
        ]

    def _asking(self, paths: Sequence[str]) -> Iterator[Step]:
        loop = asyncio.new_event_loop()
        for path in paths:
            yield partial(_answered, loop, self._service, path)
        loop.close()

    def _pushing(self, what: str, numbers: Sequence[int], *, klar: bool = False) -> Iterator[Step]:
        for number in numbers:
            key, body = f"{what}-{number}-{self.size}", record(number, klar=klar)
            yield partial(deliver, self._service, key, body)


def _answered(loop: asyncio.AbstractEventLoop, service: Service, path: str) -> None:
    loop.run_until_complete(get(service, path))


async def get(service: Service, path: str) -> None:
    """Ask the application, without a socket."""
    path, _, query = path.partition("?")
    scope = {"type": "http", "method": "GET", "path": path, "query_string": query.encode(), "scheme": "http",
             "headers": [(b"host", b"127.0.0.1")], "http_version": "1.1", "root_path": ""}  # fmt: skip
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    await service.asgi(scope, receive, send)
    assert sent[0]["status"] == 200, (path, sent)


def cost_of(steps: Iterator[Step], group: int) -> Cost:
    """The median of what one step takes, over groups of so many."""
    costs = []
    while some := list(islice(steps, group)):
        pages, cpu = pages_read(), time.process_time()
        for step in some:
            step()
        costs.append((time.process_time() - cpu, pages_read() - pages))
    seconds, pages = (statistics.median(each) / group for each in zip(*costs, strict=True))
    return Cost(1000 * seconds, pages)


def pages_read() -> int:
    """Calls of this process that read: SQLite makes one for each page that it does not hold."""
    found = re.search(r"syscr: (\d+)", Path("/proc/self/io").read_text("ascii"))
    assert found
    return int(found[1])


def show(console: Console, costs: dict[int, dict[str, Cost]]) -> None:
    """The table as the documentation has it."""
    few, many = costs
    table = Table("what", f"{few:,} plans", f"{many:,} plans", "ratio", "pages read", "", title="CPU of one, in ms")
    for what, before in costs[few].items():
        after = costs[many][what]
        ratio = after.milliseconds / before.milliseconds
        table.add_row(what, f"{before.milliseconds:.2f}", f"{after.milliseconds:.2f}", f"{ratio:.2f}",
                      f"{before.pages:.0f}", f"{after.pages:.0f}", style="bold" if ratio > BOUND else "")  # fmt: skip
    console.print(table)


if __name__ == "__main__":
    main()
