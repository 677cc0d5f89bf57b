"""How many merges one core makes, measured in one run:  .venv/bin/python -m benchmarks.merge  (about half a minute)

The plan is the SIP sample, some thirty resources. Each case is timed in turns with a deep copy of the same plan, which
is the least that somebody would do who merges by hand; the figures are CPU time and the median of the rounds.
"""

from __future__ import annotations

import copy
import json
import statistics
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from rich.console import Console
from rich.progress import track
from rich.table import Table

from fhir_adapter.fhir.resources import reference_of
from fhir_adapter.plan.decide import decide
from fhir_adapter.plan.merge import Refs, merge
from fhir_adapter.plan.owners import Owners

ROOT = Path(__file__).parents[1]
SAMPLE = json.loads((ROOT / "mappings" / "se-sip" / "samples" / "SIP-1.fhir.json").read_text("utf-8"))
NOW = datetime(2025, 6, 2, 8, tzinfo=UTC)
OWNERS = Owners("municipality", lambda _reference: "municipality")
ROUNDS, TURNS = 15, 60


def main() -> None:
    """Measure every case and print the table."""
    plan: Refs = {reference_of(entry["resource"]): entry["resource"] for entry in SAMPLE["entry"]}
    goal = next(ref for ref in plan if ref.startswith("Goal/"))
    edited = plan | {goal: plan[goal] | {"description": {"text": "somebody else's words"}}}
    cases: dict[str, Callable[[], Any]] = {
        "nothing changed": lambda: _merge(plan, plan, copied),
        "one goal's text changed": lambda: _merge(plan, plan, theirs),
        "the same text changed by both": lambda: _merge(plan, edited, theirs),
        "every resource got a note": lambda: _merge(plan, plan, noted),
    }
    copied = copy.deepcopy(plan)
    theirs = copy.deepcopy(plan) | {goal: plan[goal] | {"description": {"text": "a new text"}}}
    noted = {ref: copy.deepcopy(one) | {"note": [{"text": "seen"}]} for ref, one in plan.items()}
    rows = [_row(what, case, plan) for what, case in track(cases.items(), description="merging", transient=True)]
    table = Table("a snapshot in which", "merges a second", "deep copies of the plan", "merge / copy", title="One core")
    for row in rows:
        table.add_row(*row)
    Console(width=118).print(table)


def _merge(base: Refs, ours: Refs, theirs: Refs) -> None:
    merged = merge([base], ours, theirs, party="municipality", owners=OWNERS, partial=False, now=NOW)
    decide(merged, ours, NOW)


def _row(what: str, case: Callable[[], Any], plan: Refs) -> tuple[str, str, str, str]:
    pairs = [(_seconds(case), _seconds(lambda: copy.deepcopy(plan))) for _ in range(ROUNDS)]
    merge_, copy_ = (statistics.median(times) for times in zip(*pairs, strict=True))
    ratio = statistics.median(copied / merged for merged, copied in pairs)
    return what, f"{1 / merge_:,.0f}", f"{1 / copy_:,.0f}", f"{ratio:.1f}"


def _seconds(work: Callable[[], Any]) -> float:
    """CPU seconds of one turn."""
    start = time.process_time()
    for _ in range(TURNS):
        work()
    return (time.process_time() - start) / TURNS


if __name__ == "__main__":
    main()
