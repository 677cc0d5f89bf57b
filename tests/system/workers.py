"""Workers on one store that are killed at random while they stall past their leases; test_workers.py runs it, too.

    python -m tests.system.workers --workers 6 --kills 1000       tells what was delivered, lost, doubled, out of order

Edits count upwards in the texts of goals, one goal a plan; the sandbox's own history then tells everything: a number
that comes twice was doubled, one that is smaller than the one before came out of order, a last one missing was lost.
"""

from __future__ import annotations

import argparse
import itertools
import json
import os
import random
import re
import signal
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from fhir_adapter.app import build_sandbox, open_hub
from fhir_adapter.fhir.resources import parse_json
from fhir_adapter.flows import sync
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.push import Delivery, push
from fhir_adapter.flows.worker import Worker
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.settings import Settings, as_demo, read_settings
from fhir_adapter.store import outbox, plans

ROOT = Path(__file__).parents[2]
SAMPLE = parse_json((ROOT / "mappings" / "se-sip" / "samples" / "SIP-1.json").read_bytes())
LEASE = 1.0
STALL = 1.5
REGION = "region-stockholm"


@dataclass(slots=True)
class Figures:
    """What happened, and what must be nothing: lost, doubled, disordered, misread (own versions taken for others')."""

    kills: int = 0
    stalls: int = 0
    deliveries: int = 0
    lost: int = 0
    doubled: int = 0
    disordered: int = 0
    misread: int = 0
    parked: int = 0
    counted: dict[str, int] = field(default_factory=dict)

    def __str__(self) -> str:
        return (
            f"{self.kills} kills, {self.stalls} stalls past the lease, {self.deliveries} deliveries: {self.lost} lost, "
            f"{self.doubled} doubled, {self.disordered} out of order, {self.misread} misread, {self.parked} parked"
        )

    @property
    def is_clean(self) -> bool:
        return not (self.lost or self.doubled or self.disordered or self.misread or self.parked)


def settings_of(data: Path, region: str) -> Settings:
    patient = {"lease": LEASE, "longest_pause": 1.0, "delivery_attempts": 100_000}
    return as_demo(read_settings(None, data=data), region).model_copy(update=patient)


def fork_workers(data: Path, region: str) -> None:
    """Reads lines: each forks one worker, whose process id is the answer. Forking saves the imports of each."""
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the dead
    for _ in sys.stdin:
        child = os.fork()
        if child == 0:
            os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())  # the pipe is for process ids
            _work(data, region)
        print(child, flush=True)


def _work(data: Path, region: str) -> None:
    worker = Worker(0.2)
    with open_hub(settings_of(data, region), worker.wake) as hub:
        worker.hub = hub
        worker.start()
        signal.pause()


class Crew:
    """Some workers, each of which is killed, or stopped for longer than its lease and then sometimes killed."""

    def __init__(self, data: Path, region: str, size: int, seed: int) -> None:
        command = [sys.executable, "-m", "tests.system.workers", "--fork", str(data), region]
        pipe = subprocess.PIPE
        self._forker = subprocess.Popen(command, cwd=ROOT, stdin=pipe, stdout=pipe, text=True)
        self._chance = random.Random(seed)
        self._members = [self._hire() for _ in range(size)]
        self._stopped: dict[int, float] = {}

    def _hire(self) -> int:
        assert self._forker.stdin
        assert self._forker.stdout
        self._forker.stdin.write("\n")
        self._forker.stdin.flush()
        return int(self._forker.stdout.readline())

    def disturb(self, figures: Figures) -> None:
        """One blow at a random worker; those that were stopped long enough go on."""
        for pid in [pid for pid, until in self._stopped.items() if until < time.monotonic()]:
            os.kill(pid, signal.SIGCONT)
            del self._stopped[pid]
        place = self._chance.randrange(len(self._members))
        victim = self._members[place]
        if victim not in self._stopped and self._chance.random() < 0.3:
            os.kill(victim, signal.SIGSTOP)
            self._stopped[victim] = time.monotonic() + STALL
            figures.stalls += 1
            return
        os.kill(victim, signal.SIGKILL)
        self._stopped.pop(victim, None)
        figures.kills += 1
        self._members[place] = self._hire()

    def dismiss(self) -> None:
        for pid in self._members:
            os.kill(pid, signal.SIGKILL)
        assert self._forker.stdin
        assert self._forker.stdout
        self._forker.stdin.close()
        self._forker.wait(30)
        self._forker.stdout.close()


class Editor(threading.Thread):
    """Pushes one edit after the other, each with the next number of its plan."""

    def __init__(self, hub: Hub, figures: Figures, *, people: int, pause: float) -> None:
        super().__init__(daemon=True)
        self._hub, self._figures, self._people, self._pause = hub, figures, people, pause
        self.stopping = False

    def run(self) -> None:
        count = 0
        while not self.stopping:
            count += 1
            self._push(count % self._people, count)
            time.sleep(self._pause)

    def _push(self, person: int, count: int) -> None:
        record = json.loads(json.dumps(SAMPLE))
        record["id"] = f"SIP-{person}"
        record["person"]["personnummer"] = f"19850714{person:04d}"
        record["mal"][2]["text"] = f"steg {count}"
        body = json.dumps(record, ensure_ascii=False).encode()
        answer = push(self._hub, self._hub.parties["sodertalje"], Delivery(str(count), "application/json", body))
        assert answer.status in (200, 201), answer.receipt
        self._figures.counted[parse_json(answer.receipt)["plan"]["id"]] = count


@contextmanager
def a_region(folder: Path) -> Iterator[str]:
    asgi, database = build_sandbox(folder)
    listening = listen("127.0.0.1", 0)
    with answering_in_a_thread(asgi, listening):
        yield f"{address_of(listening)}/fhir"
    database.close()


def run(workers: int, *, kills: int, seconds: float = float("inf"), seed: int = 1, loud: bool = False) -> Figures:
    """Disturb until there were so many kills or the time is over, let one worker finish, and count."""
    figures = Figures()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        with a_region(folder / "region") as region, open_hub(settings_of(folder / "data", region)) as hub:
            editor = Editor(hub, figures, people=8, pause=0.05)
            editor.start()
            chance = random.Random(seed)
            crew = Crew(folder / "data", region, workers, seed)
            end = time.monotonic() + seconds
            try:
                while figures.kills < kills and time.monotonic() < end:
                    time.sleep(chance.uniform(0.05, 0.55))
                    crew.disturb(figures)
                    if loud and figures.kills % 50 == 0:
                        print(f"\r{figures.kills} of {kills} kills", end="", file=sys.stderr, flush=True)
            finally:
                editor.stopping = True
                editor.join()
                crew.dismiss()
            _settle(hub)
            _count(hub, FhirClient(region), figures)
    return figures


def _settle(hub: Hub) -> None:
    """An undisturbed worker ends what the killed ones left; leases of the dead run out meanwhile."""
    party = hub.parties[REGION]
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        turn = sync.cycle(hub, party)
        if turn.is_settled and not turn.taken and not turn.delivered:
            return
        time.sleep(0.1)


def _count(hub: Hub, region: FhirClient, figures: Figures) -> None:
    connection = hub.database.read()
    figures.parked = outbox.open_count(connection, REGION)[1]
    figures.deliveries = connection.execute("SELECT count(*) FROM remote_write WHERE state = 'settled'").fetchone()[0]
    figures.misread = connection.execute("SELECT count(*) FROM journal WHERE party = ?", (REGION,)).fetchone()[0]
    for plan, last in figures.counted.items():
        numbers = _numbers_of(hub, region, plan)
        figures.lost += numbers[-1:] != [last]
        figures.doubled += len(numbers) - len(set(numbers))
        figures.disordered += sum(later < earlier for earlier, later in itertools.pairwise(numbers))


def _numbers_of(hub: Hub, region: FhirClient, plan: str) -> list[int]:
    """The numbers that the region saw in the goal that counts, in the order in which it saw them."""
    goals = [each.id for each in plans.members(hub.database.read(), plan) if each.type == "Goal"]
    for goal in goals:
        texts = [_text(version.resource) for version in region.history("Goal", goal)]
        found = [int(number[1]) for text in texts if (number := re.fullmatch(r"steg (\d+)", text))]
        if found:
            return found
    return []


def _text(goal: Any) -> str:
    return str((goal or {}).get("description", {}).get("text", ""))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--fork", nargs=2, metavar=("DATA", "REGION"), help=argparse.SUPPRESS)
    parser.add_argument("--workers", type=int, default=6)
    parser.add_argument("--kills", type=int, default=1000)
    parser.add_argument("--seed", type=int, default=1)
    given = parser.parse_args()
    if given.fork:
        fork_workers(Path(given.fork[0]), given.fork[1])
        return
    figures = run(given.workers, kills=given.kills, seed=given.seed, loud=True)
    print(f"{given.workers} workers: {figures}")
    sys.exit(0 if figures.is_clean else 1)


if __name__ == "__main__":
    main()
