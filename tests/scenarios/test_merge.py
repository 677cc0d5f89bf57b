"""Every folder under merge/ is one story: base, ours and theirs in, what `fhir-adapter merge` prints out."""

from __future__ import annotations

from datetime import UTC, datetime
from pathlib import Path

import pytest
import yaml

from fhir_adapter.fhir.resources import dump_json, parse_json
from fhir_adapter.flows.merge_files import MergedFiles, merge_files

FOLDER = Path(__file__).parent / "merge"
SCENARIOS = sorted(folder.name for folder in FOLDER.iterdir())
NOW = datetime(2025, 6, 2, 8, tzinfo=UTC)


def file(name: str, what: str) -> bytes:
    """One file of a story."""
    return (FOLDER / name / f"{what}.json").read_bytes()


def run(name: str, *, base: bytes | None = None, ours: bytes | None = None) -> MergedFiles:
    """The story's merge, as it stands or with another base or plan."""
    story = yaml.safe_load((FOLDER / name / "scenario.yaml").read_text(encoding="utf-8"))
    return merge_files(
        base or file(name, "base"),
        ours or file(name, "ours"),
        file(name, "theirs"),
        by=story["by"],
        rules=story.get("rules", "default"),
        now=NOW,
    )


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_ends_as_expected(name: str) -> None:
    merged = run(name)
    assert parse_json(merged.output) == parse_json(file(name, "expected"))
    assert merged.output == file(name, "expected"), "the order or the digits differ"


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_exit_code_tells_whether_anything_is_left_open(name: str) -> None:
    expected = parse_json(file(name, "expected"))
    assert run(name).clean == (expected["conflicts"] == expected["quarantined"] == [])


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_words_again_change_nothing(name: str) -> None:
    plan = parse_json(file(name, "expected"))["plan"]
    again = parse_json(run(name, base=file(name, "theirs"), ours=dump_json(plan)).output)
    assert again["plan"] == plan
    assert again["conflicts"] == again["tombstones"] == []
