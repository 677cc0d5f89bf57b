"""The examples are run as they stand: unmodified clients of others pull a plan from a server that really answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from fhir_adapter.fhir.resources import parse_json
from tests.web.conftest import Served

ROOT = Path(__file__).parents[2]
SAMPLE = ROOT / "mappings" / "se-sip" / "samples" / "SIP-1.fhir.json"
PNR = "http://electronichealth.se/identifier/personnummer"


@pytest.fixture(scope="module")
def plan(serve: Callable[[], Served]) -> Served:
    """A server with SIP-1, as its mapping makes it."""
    served = serve()
    served.save(*(entry["resource"] for entry in parse_json(SAMPLE.read_bytes())["entry"]))
    return served


def run(example: str, *arguments: str) -> subprocess.CompletedProcess[str]:
    environment = {**os.environ, "PYTHONWARNINGS": "error", "PYTHONIOENCODING": "utf-8"}
    return subprocess.run(
        [sys.executable, str(ROOT / "examples" / example), *arguments],
        capture_output=True,
        text=True,
        encoding="utf-8",
        timeout=60,
        check=False,
        env=environment,
    )


@pytest.mark.parametrize("example", ["pull_with_fhirpy.py", "pull_with_fhirclient.py"])
def test_example_prints_plan_team_goals_and_activities(plan: Served, example: str) -> None:
    shown = run(example, f"{plan.address}/fhir", f"{PNR}|198507142381")
    assert shown.returncode == 0, shown.stderr
    lines = [line.strip() for line in shown.stdout.splitlines()]
    assert lines[0].endswith(": active")
    assert "team: Karin Ödman" in lines
    assert "goal: Jag åker buss till Järna en gång i veckan. (active)" in lines
    assert "activity: Boendestöd 6 tim/vecka, exponering buss (in-progress)" in lines
    assert {kind: sum(line.startswith(kind) for line in lines) for kind in ("team", "goal", "activity")} == {
        "team": 7,
        "goal": 4,
        "activity": 6,
    }


@pytest.mark.parametrize("example", ["pull_with_fhirpy.py", "pull_with_fhirclient.py"])
def test_example_says_when_there_is_no_plan(plan: Served, example: str) -> None:
    shown = run(example, f"{plan.address}/fhir", f"{PNR}|191212121212")
    assert (shown.returncode, shown.stdout) == (1, "")
    assert "no shared plan" in shown.stderr


def test_examples_agree(plan: Served) -> None:
    shown = {
        run(example, f"{plan.address}/fhir").stdout for example in ("pull_with_fhirpy.py", "pull_with_fhirclient.py")
    }
    assert len(shown) == 1
