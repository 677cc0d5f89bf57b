"""The laws on many records, mapping by mapping.

    python -m tests.laws.deep --records 10000 --processes 2

Ends with a table, and with exit code 1 if a law does not hold. A record that breaks one is printed as small as it still
breaks it, with its seed: `--seed` tries it again alone.
"""

from __future__ import annotations

import argparse
import multiprocessing
import random
import sys
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from random import Random

from rich.console import Console
from rich.table import Table

from fhir_adapter.fhir.resources import dump_json
from tests.laws.cases import MAPPINGS, case_of, records_of
from tests.laws.lens import LAWS, Case, Law
from tests.laws.places import Record
from tests.laws.smaller import smallest
from tests.progress import progress

BATCH = 100
"""Records that a process tries before it reports."""

KINDS = ("another value", "somebody else", "entry", "item")
"""Kinds of edits in FHIR, as they are counted: entries and items are added or removed."""

SHOWN = 3
"""Failures of a mapping that are printed whole."""


@dataclass(frozen=True, slots=True)
class Job:
    """Some records of a mapping, each by its seed."""

    mapping: str
    seeds: range


@dataclass(frozen=True, slots=True)
class Failure:
    """A record that breaks a law."""

    seed: int
    law: str
    why: str


@dataclass(frozen=True, slots=True)
class Report:
    """What came of a job."""

    mapping: str
    figures: Counter[str]
    edited: frozenset[str]
    """the rules whose elements somebody edited in FHIR"""
    failures: tuple[Failure, ...]


@dataclass(slots=True)
class Outcome:
    """All reports of one mapping."""

    figures: Counter[str] = field(default_factory=Counter)
    edited: set[str] = field(default_factory=set)
    failures: list[Failure] = field(default_factory=list)

    def take(self, report: Report) -> None:
        """One more report."""
        self.figures += report.figures
        self.edited |= report.edited
        self.failures += report.failures


def run(job: Job) -> Report:
    """Tries every law on the records of a job."""
    figures: Counter[str] = Counter()
    edited: set[str] = set()
    failures: list[Failure] = []
    for seed in job.seeds:
        case = case_of(job.mapping, seed)
        if case is None:
            figures["not made"] += 1
            continue
        figures["records"] += 1
        figures["changed"] += case.after is not None
        if case.edit is not None:
            kind, _, what = case.edit.what.partition(": ")
            figures[next(known for known in KINDS if kind.startswith(known))] += 1
            edited |= {what} if "<->" in what else set()
        failures += [Failure(seed, law.__name__, why) for law in LAWS if (why := broken(law, case)) is not None]
    return Report(job.mapping, figures, frozenset(edited), tuple(failures))


def broken(law: Law, case: Case) -> str | None:
    """Why a law does not hold for a case; None where it does."""
    try:
        law(case)
    except Exception as fault:  # noqa: BLE001 - whatever it is, it is what we look for
        return f"{type(fault).__name__}: {str(fault).partition(chr(10))[0]}"
    return None


def jobs(mappings: list[str], records: int, first: int) -> list[Job]:
    """The whole work, all mappings side by side."""
    starts = range(first, first + records, BATCH)
    return [Job(name, range(start, min(start + BATCH, first + records))) for start in starts for name in mappings]


def story(name: str, failure: Failure) -> str:
    """The record that breaks a law, as small as it still does."""
    case = case_of(name, failure.seed)
    assert case is not None
    law = next(one for one in LAWS if one.__name__ == failure.law)
    pools = records_of(name).pools

    def breaks(record: Record, after: Record | None) -> bool:
        if pools.faults(record) or (after is not None and pools.faults(after)):
            return False
        return any(broken(law, Case(case.mapping, record, after, Random(c), None, case.names)) for c in range(3))

    record, after = case.record, case.after
    if breaks(record, after):  # what an edit breaks depends on the edit: it is shown as it is
        record, after = smallest(record, after, breaks)
    told = [f"seed {failure.seed}: {failure.law}", failure.why, dump_json(record).decode()]
    return "\n  ".join([*told, *([f"changed to {dump_json(after).decode()}"] if after is not None else [])])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("mappings", nargs="*", default=MAPPINGS, help="names or folders (with a /); else all")
    parser.add_argument("--records", type=int, default=10_000)
    parser.add_argument("--processes", type=int, default=2)
    parser.add_argument("--seed", type=int, help="of the first record; the others follow it")
    given = parser.parse_args()
    first = random.randrange(2**32) if given.seed is None else given.seed
    console, outcomes = Console(), {name: Outcome() for name in given.mappings}
    console = console if console.is_terminal else Console(width=120)
    console.print(f"seed {first}")
    began, work = time.monotonic(), jobs(given.mappings, given.records, first)
    pool = multiprocessing.get_context("fork").Pool(given.processes)
    with pool, progress(console, given.records * len(outcomes), "records") as advance:
        for report in pool.imap_unordered(run, work):
            outcomes[report.mapping].take(report)
            advance(report.figures["records"] + report.figures["not made"])
    tell(console, outcomes, time.monotonic() - began)
    sys.exit(1 if any(outcome.failures for outcome in outcomes.values()) else 0)


def tell(console: Console, outcomes: dict[str, Outcome], seconds: float) -> None:
    """The figures of each mapping, and the records that break a law."""
    table = Table(
        *("mapping", "records", "changed", *KINDS, "rules edited", "failures"), title=f"{seconds / 60:.1f} minutes"
    )
    for name, outcome in outcomes.items():
        rules = len(
            {rule.text for scope in records_of(name).mapping.scopes() for each in scope.fields for rule in each.readers}
        )
        counts = [f"{outcome.figures[what]:,}" for what in ("records", "changed", *KINDS)]
        table.add_row(Path(name).name, *counts, f"{len(outcome.edited)} of {rules}", str(len(outcome.failures)))
    console.print(table)
    for name, outcome in outcomes.items():
        failures = sorted(outcome.failures, key=lambda one: one.seed)
        told = [story(name, failure) for failure in failures[:SHOWN]]
        told += [f"seed {failure.seed}: {failure.law}, {failure.why}" for failure in failures[SHOWN:]]
        for line in told:
            console.print(f"{Path(name).name}, {line}", markup=False, highlight=False, soft_wrap=True)


if __name__ == "__main__":
    main()
