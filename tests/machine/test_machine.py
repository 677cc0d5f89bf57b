"""The state machine in the ordinary run: a few hundred steps, the same each time. `make deep` goes further."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

from hypothesis import HealthCheck, settings

from tests.machine.machine import Machine

DEEP = bool(os.environ.get("FHIR_ADAPTER_DEEP"))

TestTheMachine = Machine.TestCase
TestTheMachine.settings = settings(
    max_examples=200 if DEEP else 25,
    stateful_step_count=30 if DEEP else 20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)

ROOT = Path(__file__).parents[2]
ONCE = "from tests.machine.deep import Job, run; report = run(Job(3, 8, 25)); print(report.digest, report.wrong)"


def test_the_same_seed_is_the_same_run() -> None:
    """In another process with another order of sets, every byte that was written is the same."""
    runs = [
        subprocess.run(
            [sys.executable, "-c", ONCE],
            cwd=ROOT,
            env=os.environ | {"PYTHONHASHSEED": seed},
            capture_output=True,
            text=True,
            check=True,
        ).stdout
        for seed in ("1", "2")
    ]
    assert runs[0] == runs[1]
    assert len(runs[0]) > 64
