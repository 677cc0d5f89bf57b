"""The machine at length, in several processes, and what each safeguard is worth.

    python -m tests.machine.deep --examples 8000 --steps 40 --processes 2

Goes on until examples x steps were taken (an example may be shorter) or much failed. Ends with figures, and with exit
code 1 if anything was lost, doubled or leaked, if something did not settle, or if the machine did not notice that a
safeguard was missing. A failure is printed as the steps that lead to it.
"""

from __future__ import annotations

import argparse
import ast
import hashlib
import logging
import multiprocessing
import random
import re
import sys
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Any, ClassVar

import structlog
from hypothesis import HealthCheck, Phase, seed, settings
from hypothesis.stateful import invariant, run_state_machine_as_test
from rich.console import Console
from rich.table import Table

from tests.machine.judge import HARM, LAWS, WRONG
from tests.machine.machine import Machine
from tests.machine.safeguards import SAFEGUARDS, without
from tests.machine.state import prepared_once
from tests.machine.wire import READING_TROUBLES, TROUBLES
from tests.progress import progress

BATCH = 50
"""Examples that a process runs before it reports."""

ENOUGH = 20
"""Failures after which nothing more is tried."""

PATIENCE = 100
"""Examples in which a missing safeguard must have done harm."""

COUNTED = (
    "examples",
    "steps",
    "edits",
    "conflicts",
    "parked",
    "parked, decided",
    "crashes",
    "restores",
    *TROUBLES,
    *READING_TROUBLES,
)


class Counted(Machine):
    """The machine, with figures of what happened in all its examples."""

    figures: ClassVar[Counter[str]] = Counter()
    digest: ClassVar[Any] = hashlib.sha256()

    @invariant()
    def count_step(self) -> None:
        """Called after each step."""
        self.figures["steps"] += 1

    def forget(self) -> None:
        """The end of an example."""
        world = self.world
        self.figures.update(examples=1, crashes=world.crashes, edits=len(self.ledger.edits))
        self.figures.update(conflicts=len(world.conflicts()), restores=self.restores)
        self.figures.update({"parked": len(world.parked()), "parked, decided": self.looked_at})
        for region in world.regions.values():
            self.figures.update(region.wire.befell)
        for row in world.everything():
            self.digest.update(repr(row).encode())
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
    """What came of a job: figures, and what was wrong with the steps that lead to it; empty when nothing was.

    `digest` is of all that was written in its examples.
    """

    job: Job
    figures: Counter[str]
    digest: str = ""
    wrong: str = ""
    story: str = ""


@dataclass(slots=True)
class Outcome:
    """All reports together: of the whole product, and by the safeguard that was missing."""

    figures: Counter[str] = field(default_factory=Counter)
    failures: list[Report] = field(default_factory=list)
    costs: dict[str, Report] = field(default_factory=dict)
    told: int = 0

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
    Counted.digest = hashlib.sha256()
    Counted.laws = HARM if job.safeguard else LAWS
    how = settings(
        max_examples=job.examples,
        stateful_step_count=job.steps,
        deadline=None,
        database=None,
        derandomize=False,
        phases=[Phase.generate],
        report_multiple_bugs=False,
        suppress_health_check=list(HealthCheck),
    )
    taken_out = (job.safeguard,) if job.safeguard else ()
    try:
        with without(*taken_out):
            run_state_machine_as_test(seed(job.seed)(Counted), settings=how)
    except Exception as fault:  # noqa: BLE001 - whatever it is, it is what we look for
        report = replace(_report(job), wrong=str(fault) or type(fault).__name__)
        if job.safeguard:
            return report
        steps = [Step.read(line) for note in getattr(fault, "__notes__", ()) for line in note.splitlines()]
        return replace(report, story=shortened([step for step in steps if step], kind_of(report.wrong)))
    return _report(job)


def _report(job: Job) -> Report:
    return Report(job, Counter(Counted.figures), Counted.digest.hexdigest())


@dataclass(frozen=True, slots=True)
class Step:
    """One call of a rule, as Hypothesis tells it: `state.rule(name=value, ...)`."""

    line: str
    rule: str
    arguments: dict[str, Any]

    @classmethod
    def read(cls, line: str) -> Step | None:
        """None for a line that is no step of ours."""
        found = re.fullmatch(r"\s*(state\.(\w+)\((.*)\))\s*", line)
        if found is None or found[2] in ("count_step", "teardown"):
            return None
        call = ast.parse(found[1], mode="eval").body
        assert isinstance(call, ast.Call)
        return cls(found[1], found[2], {str(each.arg): ast.literal_eval(each.value) for each in call.keywords})


def shortened(steps: Sequence[Step], kind: str) -> str:
    """The steps that lead to the same kind of fault, without those that need not be, and what is wrong then.

    Hypothesis can do this as well, and looks for the simplest arguments besides: that takes minutes.
    """
    size = len(steps) // 2
    while size:
        for start in range(len(steps) - size, 0, -size):  # never the first one, which begins
            fewer = [*steps[:start], *steps[start + size :]]
            if kind_of(told(fewer)) == kind:
                steps = fewer
        size //= 2
    return "\n".join([told(steps), *(step.line for step in steps)])


def told(steps: Sequence[Step]) -> str:
    """What is wrong at the end of these steps, "" nothing."""
    machine = Machine()
    try:
        for step in steps:
            getattr(machine, step.rule)(**step.arguments)
        machine.settle()
    except Exception as fault:  # noqa: BLE001 - as above
        return str(fault) or type(fault).__name__
    finally:
        machine.forget()
    return ""


def kind_of(wrong: str) -> str:
    """The first words of what is wrong."""
    return re.split(r"[:\n]", wrong)[0]


def batches(steps: int, steps_each: int, seeds: random.Random) -> list[Job]:
    """Examples for so many steps."""
    examples = -(-steps // steps_each)
    sizes = [min(BATCH, examples - start) for start in range(0, examples, BATCH)]
    return [Job(seeds.randrange(2**32), size, steps_each) for size in sizes]


def searches(steps_each: int, patience: int, seeds: random.Random) -> list[Job]:
    """One search for each safeguard that is taken out."""
    return [Job(seeds.randrange(2**32), patience, steps_each, safeguard) for safeguard in SAFEGUARDS]


def work(console: Console, given: argparse.Namespace) -> Outcome:
    """The searches, and batches until all steps were taken."""
    outcome, seeds = Outcome(), random.Random(given.seed)
    total = given.examples * given.steps
    pool = multiprocessing.get_context("fork").Pool(given.processes)
    with pool, progress(console, total, "steps") as advance:
        jobs = searches(given.steps, given.patience, seeds)
        while len(outcome.failures) < ENOUGH and (
            jobs := jobs + batches(total - outcome.figures["steps"], given.steps, seeds)
        ):
            for report in pool.imap_unordered(run, jobs):
                outcome.take(report)
                advance(0 if report.job.safeguard else report.figures["steps"])
                for failure in outcome.failures[outcome.told :]:
                    console.print(f"seed {failure.job.seed}:\n{failure.story}", markup=False, highlight=False)
                outcome.told = len(outcome.failures)
            jobs = []
    return outcome


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--examples", type=int, default=8000)
    parser.add_argument("--steps", type=int, default=40)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument(
        "--patience", type=int, default=5 * PATIENCE, help="examples in which a missing safeguard is seen"
    )
    parser.add_argument("--seed", type=int, default=random.randrange(2**32), help="another run with the same steps")
    given = parser.parse_args()
    prepared_once()  # once for all: the processes are forked from this one
    console = Console()
    console.print(f"seed {given.seed}")
    began = time.monotonic()
    outcome = work(console, given)
    tell(console, outcome, time.monotonic() - began)
    sys.exit(0 if outcome.is_clean else 1)


def tell(console: Console, outcome: Outcome, seconds: float) -> None:
    """The figures, what each safeguard is worth, and the steps of every failure."""
    figures = Table("what", "how many", title=f"The state machine, {seconds / 60:.1f} minutes")
    for name in (*COUNTED, *WRONG, "other failures"):
        figures.add_row(name, f"{outcome.figures[name]:,}")
    costs = Table("without", "noticed after", "steps", "what was wrong", title="What each safeguard is worth")
    for safeguard, report in sorted(outcome.costs.items()):
        wrong = kind_of(report.wrong) or "nothing noticed"
        costs.add_row(safeguard, f"{report.figures['examples']:,} examples", f"{report.figures['steps']:,}", wrong)
    console.print(figures, costs)


if __name__ == "__main__":
    main()
