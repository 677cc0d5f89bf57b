"""The machine at length, in several processes, and what each safeguard is worth.

    python -m tests.machine.deep --examples 8000 --steps 40 --processes 2

Ends with figures, and with exit code 1 if anything was lost, doubled or leaked, if something did not settle, or if the
machine did not notice that a safeguard was missing. A failure is printed as the steps that lead to it.
"""

from __future__ import annotations

import argparse
import logging
import multiprocessing
import random
import re
import sys
import time
import traceback
from collections import Counter
from dataclasses import dataclass, field
from typing import ClassVar

import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import invariant, run_state_machine_as_test
from rich.console import Console
from rich.table import Table

from tests.machine.machine import Machine, prepared_once
from tests.machine.safeguards import SAFEGUARDS, without
from tests.progress import progress

BATCH = 20
"""Examples that a process runs before it reports."""

WRONG = ("lost", "doubled", "leaked", "false conflict", "unsettled", "not acknowledged")
"""How a judgement begins that went wrong."""

COUNTED = ("examples", "steps", "crashes", "lost request", "lost answer", "late request", "twice", "edits", "conflicts")


class Counted(Machine):
    """The machine, with figures of what happened in all its examples."""

    figures: ClassVar[Counter[str]] = Counter()

    @invariant()
    def count_step(self) -> None:
        """Called after each step."""
        self.figures["steps"] += 1

    def forget(self) -> None:
        """The end of an example."""
        world = self.world
        self.figures.update(examples=1, crashes=world.crashes, edits=len(self.ledger.edits))
        self.figures.update(conflicts=len(world.conflicts()), parked=len(world.parked()))
        for region in world.regions.values():
            self.figures.update(region.wire.befell)
        super().forget()


@dataclass(frozen=True, slots=True)
class Job:
    """Some examples to try; `safeguard` is taken out meanwhile, "" none."""

    seed: int
    examples: int
    steps: int
    safeguard: str = ""


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a job: figures, and what was wrong with the steps that lead to it; empty when nothing was."""

    job: Job
    figures: Counter[str]
    wrong: str = ""
    story: str = ""


@dataclass(slots=True)
class Outcome:
    """All reports together: of the whole product, and by the safeguard that was missing."""

    figures: Counter[str] = field(default_factory=Counter)
    failures: list[Report] = field(default_factory=list)
    costs: dict[str, Report] = field(default_factory=dict)

    def take(self, report: Report) -> None:
        """One more report."""
        if report.job.safeguard:
            self.costs[report.job.safeguard] = report
            return
        self.figures.update(report.figures)
        if report.wrong:
            self.failures.append(report)
            self.figures[next((word for word in WRONG if report.wrong.startswith(word)), "other failures")] += 1

    @property
    def is_clean(self) -> bool:
        """Whether nothing failed with all safeguards, and something without each of them."""
        return not self.failures and all(report.wrong for report in self.costs.values())


def run(job: Job) -> Report:
    """Try the examples of a job; the first failure ends it."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    Counted.figures.clear()
    phases = [Phase.generate] if job.safeguard else [Phase.generate, Phase.shrink]
    how = settings(
        max_examples=job.examples,
        stateful_step_count=job.steps,
        deadline=None,
        database=None,
        derandomize=False,
        phases=phases,
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    taken_out = (job.safeguard,) if job.safeguard else ()
    try:
        with without(*taken_out):
            run_state_machine_as_test(seed(job.seed)(Counted), settings=how)
    except Exception as fault:  # noqa: BLE001 - whatever it is, it is what we look for
        story = "\n".join([*traceback.format_exception_only(fault), *getattr(fault, "__notes__", [])])
        return Report(job, Counter(Counted.figures), str(fault) or type(fault).__name__, story)
    return Report(job, Counter(Counted.figures))


def jobs(examples: int, steps: int, patience: int, first_seed: int) -> list[Job]:
    """The whole work: the examples with all safeguards in place, and one search for each that is taken out."""
    seeds = random.Random(first_seed)
    searches = [Job(seeds.randrange(2**32), patience, steps, safeguard) for safeguard in SAFEGUARDS]
    sizes = [min(BATCH, examples - start) for start in range(0, examples, BATCH)]
    return [Job(seeds.randrange(2**32), size, steps) for size in sizes] + searches


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=8000)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--patience", type=int, default=500, help="examples in which a missing safeguard is noticed")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="another run with the same steps")
    given = parser.parse_args()
    prepared_once()  # once for all: the processes are forked from this one
    console, outcome = Console(), Outcome()
    console.print(f"seed {given.seed}")
    began = time.monotonic()
    pool = multiprocessing.get_context("fork").Pool(given.processes)
    with pool, progress(console, given.examples, "examples") as advance:
        for report in pool.imap_unordered(run, jobs(given.examples, given.steps, given.patience, given.seed)):
            outcome.take(report)
            advance(0 if report.job.safeguard else report.job.examples)
    tell(console, outcome, time.monotonic() - began)
    sys.exit(0 if outcome.is_clean else 1)


def tell(console: Console, outcome: Outcome, seconds: float) -> None:
    """The figures, what each safeguard is worth, and the steps of every failure."""
    figures = Table("what", "how many", title=f"The state machine, {seconds / 60:.1f} minutes")
    for name in (*COUNTED, "parked", *WRONG, "other failures"):
        figures.add_row(name, f"{outcome.figures[name]:,}")
    costs = Table("without", "noticed after", "steps", "what was wrong", title="What each safeguard is worth")
    for safeguard, report in sorted(outcome.costs.items()):
        wrong = re.split(r"[:\n]", report.wrong)[0] or "nothing noticed"
        costs.add_row(safeguard, f"{report.figures['examples']:,} examples", f"{report.figures['steps']:,}", wrong)
    console.print(figures, costs)
    for report in outcome.failures:
        console.print(f"seed {report.job.seed}:\n{report.story}", markup=False, highlight=False)


if __name__ == "__main__":
    main()
