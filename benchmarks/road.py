"""How fast the road is, measured in one run:  .venv/bin/python -m benchmarks.road  (about two minutes)

1. FHIR read and 20-entry search beside a bare Starlette + sqlite3 app doing the same queries: server CPU seconds a
   request, in turns, the median of the ratios.
2. Pushes made durable, merged and queued per second on one core, by as many senders as share a commit and as one file,
   beside bare durable SQLite writes of as many rows as a new one has versions; the ratio is that of the CPU.
3. From the municipality's push to the plan being visible in the sandbox, beside the sandbox's own time for that write.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import re
import sqlite3
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from rich.console import Console
from rich.progress import track
from rich.table import Table

from benchmarks.bare import SCHEMA
from fhir_adapter.app import SANDBOX, Service, build
from fhir_adapter.flows.batch import deliver
from fhir_adapter.flows.push import Delivery, push
from fhir_adapter.logs import set_up_logs
from fhir_adapter.remotes.client import Entry, FhirClient
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.settings import as_demo, read_settings
from fhir_adapter.store.database import MOST_IN_A_COMMIT

ROOT = Path(__file__).parents[1]
SAMPLE = json.loads((ROOT / "mappings" / "se-sip" / "samples" / "SIP-1.json").read_text("utf-8"))
PLANS = 400
REQUESTS = 3000
ROUNDS = 5
TICKS = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True, slots=True)
class Row:
    """One line of the table."""

    what: str
    figure: str
    beside: str
    ratio: str


def main() -> None:
    """Measure everything and print the table."""
    console = Console(width=118)
    set_up_logs(level=logging.CRITICAL)
    with tempfile.TemporaryDirectory() as folder:
        data = Path(folder)
        rows = [*pushes(data / "ours"), *reads(data, console), *visibility(data / "seen")]
    table = Table(
        "what", "ours", "beside", "ratio", title=f"The road, on {os.cpu_count()} cores, Python {sys.version.split()[0]}"
    )
    for row in rows:
        table.add_row(row.what, row.figure, row.beside, row.ratio)
    console.print(table)
    console.print(
        f"This machine, now: ten million additions in a Python loop take {ten_million_additions():.2f} s of CPU."
    )


def ten_million_additions() -> float:
    """CPU seconds of a plain loop: what to divide by when figures of two machines are put side by side."""
    start, total = time.process_time(), 0
    for number in range(10_000_000):
        total += number
    return time.process_time() - start


# --- pushes ----------------------------------------------------------------------------------------------------------


def pushes(data: Path) -> list[Row]:
    """New plans, and one changed intervention in a known plan, on one core, by as many senders as share a commit."""
    service = a_service(data, "http://127.0.0.1:9/fhir", sandbox=False)
    with on_one_core():
        new = rate(service, [(f"new-{number}", record(number)) for number in range(PLANS)])
        versions = service.hub.database.read().execute("SELECT count(*) FROM version").fetchone()[0]
        changed = rate(service, [(f"change-{number}", record(number, klar=True)) for number in range(PLANS)])
        again = rate(service, [(f"again-{number}", record(number, klar=True)) for number in range(PLANS)])
        file = rate_of_file(service, [record(PLANS + number) for number in range(PLANS)])
    service.close()
    with on_one_core():
        bare = bare_writes(data / "bare.sqlite", versions // PLANS)
    paces = {
        "push of a new SIP-1": new,
        "push of a changed intervention": changed,
        "push of an unchanged record": again,
        "a new SIP-1 of a file of 400": file,
    }
    return [
        Row(what, str(pace), f"{bare}, bare durable writes", f"{bare.milliseconds / pace.milliseconds:.2f}")
        for what, pace in paces.items()
    ]


@dataclass(frozen=True, slots=True)
class Pace:
    """How many a second by the clock, and the milliseconds of CPU of each: the clock counts what others do as well."""

    per_second: float
    milliseconds: float

    def __str__(self) -> str:
        return f"{self.per_second:,.0f}/s, {self.milliseconds:.2f} ms of CPU"


def pace_of(count: int, work: Callable[[], object]) -> Pace:
    """What `count` pieces of work take."""
    clock, cpu = time.perf_counter(), time.process_time()
    work()
    cpu, clock = time.process_time() - cpu, time.perf_counter() - clock
    return Pace(count / clock, 1000 * cpu / count)


def record(number: int, *, klar: bool = False) -> bytes:
    """SIP-1 under another record id, about another (invented) person."""
    copy = json.loads(json.dumps(SAMPLE))
    copy["id"] = f"SIP-{number}"
    copy["person"]["personnummer"] = personnummer(number)
    if klar:
        copy["insatser"][0]["status"] = "klar"
    return json.dumps(copy, ensure_ascii=False).encode()


def personnummer(number: int) -> str:
    """Of the person of the record of this number."""
    return str(198507140000 + number)


def rate(service: Service, deliveries: list[tuple[str, bytes]]) -> Pace:
    """The pace of accepted pushes."""
    party = service.hub.parties["sodertalje"]

    def one(delivery: tuple[str, bytes]) -> int:
        return push(service.hub, party, Delivery(delivery[0], "application/json", delivery[1])).status

    def all_of_them() -> None:
        with ThreadPoolExecutor(MOST_IN_A_COMMIT) as senders:
            statuses = set(senders.map(one, deliveries))
        assert statuses <= {200, 201}, statuses

    return pace_of(len(deliveries), all_of_them)


def rate_of_file(service: Service, records: list[bytes]) -> Pace:
    """The pace of the records of one delivery."""
    party = service.hub.parties["sodertalje"]
    delivery = Delivery("file", "application/x-ndjson", b"\n".join(records))

    def all_of_them() -> None:
        answer = deliver(service.hub, party, delivery)
        assert answer.status == 200, answer.receipt

    return pace_of(len(records), all_of_them)


def bare_writes(file: Path, rows: int) -> Pace:
    """The pace of transactions of `rows` 2 kB rows with an index, nothing else."""
    connection = sqlite3.connect(file, isolation_level=None)
    connection.executescript("PRAGMA journal_mode = WAL; PRAGMA synchronous = FULL;" + SCHEMA)
    body = b"x" * 2000

    def write_all() -> None:
        for number in range(PLANS):
            connection.execute("BEGIN IMMEDIATE")
            connection.executemany(
                "INSERT INTO resource (type, id, body) VALUES ('Goal', ?, ?)",
                [(f"{number}-{row}", body) for row in range(rows)],
            )
            connection.execute("COMMIT")

    pace = pace_of(PLANS, write_all)
    connection.close()
    return pace


# --- reads -----------------------------------------------------------------------------------------------------------


def reads(data: Path, console: Console) -> list[Row]:
    """Both servers answer the same requests in turns; what counts is the CPU time that each needs."""
    copy_for_bare(data / "ours" / "plans.sqlite", data / "bare.sqlite")
    connection = sqlite3.connect(data / "ours" / "plans.sqlite")
    ids = [row[0] for row in connection.execute("SELECT id FROM resource WHERE type = 'CarePlan' LIMIT 300")]
    connection.close()
    ours_command = [sys.executable, "-m", "fhir_adapter.cli", "serve", "--port", "0", "--data", str(data / "ours")]
    bare_command = [sys.executable, "-m", "benchmarks.bare", str(data / "bare.sqlite")]
    paths = {
        "FHIR read": [f"/fhir/CarePlan/{id_}" for id_ in ids],
        "FHIR search, 20 entries": ["/fhir/CarePlan?status=active&_count=20"],
    }
    with running(ours_command) as ours, running(bare_command) as bare:
        return [compared(what, some, ours, bare, console) for what, some in paths.items()]


def compared(what: str, paths: list[str], ours: Running, bare: Running, console: Console) -> Row:
    """The median over rounds of bare's CPU time a request divided by ours."""
    requests = [paths[number % len(paths)] for number in range(REQUESTS)]
    for server in (ours, bare):
        server.cpu_for(requests[:300])
    pairs = [
        (ours.cpu_for(requests), bare.cpu_for(requests))
        for _ in track(range(ROUNDS), description=what, console=console, transient=True)
    ]
    mine, theirs = (statistics.median(side) for side in zip(*pairs, strict=True))
    ratio = statistics.median(b / o for o, b in pairs)
    return Row(
        what, f"{REQUESTS / mine:,.0f} a CPU second", f"{REQUESTS / theirs:,.0f} a CPU second, bare", f"{ratio:.2f}"
    )


def copy_for_bare(source: Path, target: Path) -> None:
    """The same resources in the least that the two queries need."""
    connection = sqlite3.connect(target)
    connection.executescript("DROP TABLE IF EXISTS resource; DROP TABLE IF EXISTS token;" + SCHEMA)
    connection.execute("ATTACH ? AS ours", (str(source),))
    connection.execute(
        "INSERT INTO resource SELECT r.rid, r.type, r.id, v.body FROM ours.resource r "
        "JOIN ours.version v ON v.seq = r.seq"
    )
    connection.execute(
        "INSERT INTO token SELECT type, 'status', json_extract(body, '$.status'), rid FROM resource "
        "WHERE json_extract(body, '$.status') IS NOT NULL"
    )
    connection.commit()
    connection.close()


@dataclass(slots=True)
class Running:
    """A server process on loopback."""

    pid: int
    port: int

    def cpu_for(self, requests: list[str]) -> float:
        """CPU seconds of the server for these requests over eight kept connections."""
        before = self._cpu()
        asyncio.run(self._ask_all(requests))
        return self._cpu() - before

    def _cpu(self) -> float:
        fields = Path(f"/proc/{self.pid}/stat").read_text().rsplit(")", 1)[1].split()
        return (int(fields[11]) + int(fields[12])) / TICKS

    async def _ask_all(self, requests: list[str]) -> None:
        queue = iter(requests)
        await asyncio.gather(*(self._ask(queue) for _ in range(8)))

    async def _ask(self, queue: Iterator[str]) -> None:
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port)
        for path in queue:
            writer.write(f"GET {path} HTTP/1.1\r\nHost: 127.0.0.1:{self.port}\r\n\r\n".encode())
            head = await reader.readuntil(b"\r\n\r\n")
            assert head.startswith(b"HTTP/1.1 200"), head
            found = re.search(rb"content-length: (\d+)", head, re.IGNORECASE)
            assert found, head
            await reader.readexactly(int(found[1]))
        writer.close()


@contextmanager
def running(command: list[str]) -> Iterator[Running]:
    """A server as its own process; it says its address in its first line."""
    process = subprocess.Popen(command, cwd=ROOT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    found = re.search(r":(\d+) ", process.stdout.readline())
    assert found, "the server did not say where it answers"
    try:
        yield Running(process.pid, int(found[1]))
    finally:
        process.terminate()
        process.wait()


# --- visibility ------------------------------------------------------------------------------------------------------


def visibility(data: Path, count: int = 30) -> list[Row]:
    """Seconds from the start of a push until a reader at the sandbox finds the plan."""
    listening = listen("127.0.0.1", 0)
    region = f"{address_of(listening)}{SANDBOX}"
    service = a_service(data, region, sandbox=True)
    with answering_in_a_thread(service.asgi, listening):
        service.worker.start()
        seen = [until_visible(service, FhirClient(region), number) for number in range(count)]
        alone = [write_alone(FhirClient(region)) for _ in range(count)]
    service.close()
    mine, theirs = statistics.median(seen[5:]), statistics.median(alone[5:])
    return [
        Row(
            "push to visible in the sandbox",
            f"{mine * 1000:.0f} ms",
            f"{theirs * 1000:.0f} ms, that write alone",
            f"{mine / theirs:.2f}",
        )
    ]


def until_visible(service: Service, region: FhirClient, number: int) -> float:
    start = time.perf_counter()
    answer = push(
        service.hub, service.hub.parties["sodertalje"], Delivery(f"seen-{number}", "application/json", record(number))
    )
    plan = json.loads(answer.receipt)["plan"]["id"]
    while region.read("CarePlan", plan) is None:
        time.sleep(0.002)
    return time.perf_counter() - start


def write_alone(region: FhirClient) -> float:
    """The sandbox's own time for a transaction of as many resources."""
    from uuid import uuid4

    person = {"resourceType": "Patient", "id": str(uuid4())}
    goals = [
        {
            "resourceType": "Goal",
            "id": str(uuid4()),
            "lifecycleStatus": "active",
            "description": {"text": "x" * 400},
            "subject": {"reference": f"Patient/{person['id']}"},
        }
        for _ in range(30)
    ]
    start = time.perf_counter()
    region.transaction([Entry(person), *(Entry(goal) for goal in goals)])
    return time.perf_counter() - start


# --- the service -----------------------------------------------------------------------------------------------------


def a_service(data: Path, region: str, *, sandbox: bool) -> Service:
    settings = as_demo(read_settings(None, data=data), region)
    return build(settings, sandbox=sandbox)


@contextmanager
def on_one_core() -> Iterator[None]:
    """Everything that this process does meanwhile happens on one core."""
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {min(before)})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


if __name__ == "__main__":
    main()
