"""Every folder under statements/ is a story that three files cannot tell: two bases, or what is known of the sender."""

from __future__ import annotations

import re
from dataclasses import asdict
from datetime import datetime
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_adapter.fhir.resources import parse_json, reference_of
from fhir_adapter.plan.merge import Merged, Refs, looks_emptied, merge
from fhir_adapter.plan.owners import Owners

FOLDER = Path(__file__).parent / "statements"
SCENARIOS = sorted(folder.name for folder in FOLDER.iterdir())


def refs(name: str, file: str) -> Refs:
    """The resources of one file by reference."""
    return {reference_of(resource): resource for resource in parse_json((FOLDER / name / file).read_bytes())}


def bases_of(name: str) -> list[Refs]:
    """What the party last said (said.json, where there is one) and what it was last shown (base.json)."""
    said = [refs(name, "said.json")] if (FOLDER / name / "said.json").exists() else []
    return [*said, refs(name, "base.json")]


def story_of(name: str) -> dict[str, Any]:
    """The description and what else the merge is told."""
    story: dict[str, Any] = yaml.safe_load((FOLDER / name / "scenario.yaml").read_text(encoding="utf-8"))
    return story


def run(name: str, ours: Refs, bases: list[Refs] | None = None) -> Merged:
    """The scenario's merge into `ours`."""
    story = story_of(name)
    brought = story.get("brought", {})
    return merge(
        bases_of(name) if bases is None else bases,
        ours,
        refs(name, "theirs.json"),
        party=story["party"],
        owners=Owners(story["lead"], lambda reference: brought.get(reference, story["lead"])),
        partial=story["partial"],
        now=datetime.fromisoformat(story["now"]),
        hidden=story.get("hidden"),
        said_last=story.get("said_last", False),
    )


def without_hashes(found: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """List items whose key is a hash are written [*] in expected.json."""
    told = [{name: value for name, value in one.items() if name != "owner"} for one in found]
    return [one | {"path": re.sub(r"\[[0-9a-f]{8}\]", "[*]", one["path"])} for one in told]


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_ends_as_expected(name: str) -> None:
    ours = refs(name, "ours.json")
    expected = parse_json((FOLDER / name / "expected.json").read_bytes())

    merged = run(name, ours)

    assert list((ours | merged.changed).values()) == expected["live"]
    assert merged.removed == expected["removed"]
    assert without_hashes([asdict(one) for one in merged.conflicts]) == expected["conflicts"]
    assert without_hashes([asdict(one) for one in merged.kept]) == expected["kept"]


@pytest.mark.parametrize("name", SCENARIOS)
def test_scenario_changes_only_what_it_reports_as_changed(name: str) -> None:
    ours = refs(name, "ours.json")
    merged = run(name, ours)
    assert ours == refs(name, "ours.json"), "the merge must not change its arguments"
    assert all(ours.get(reference) != resource for reference, resource in merged.changed.items())


@pytest.mark.parametrize("name", SCENARIOS)
def test_the_same_words_again_change_nothing(name: str) -> None:
    ours = refs(name, "ours.json")
    settled = ours | run(name, ours).changed
    again = run(name, settled, [refs(name, "theirs.json")])
    assert again.changed == {}
    assert [one for one in again.conflicts if one.kind != "quarantined"] == []


@pytest.mark.parametrize("name", [name for name in SCENARIOS if not story_of(name)["partial"]])
def test_only_a_snapshot_that_lost_nearly_everything_looks_emptied(name: str) -> None:
    assert list(looks_emptied(bases_of(name), refs(name, "theirs.json"))) == story_of(name).get("emptied", [])
