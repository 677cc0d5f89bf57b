"""`fhir-adapter merge` from outside: files in, JSON and an exit code out."""

from __future__ import annotations

import json
import os
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.cli import main

GOAL = {"resourceType": "Goal", "id": "g", "lifecycleStatus": "active", "description": {"text": "bor kvar"}}
NAMELESS = {name: value for name, value in GOAL.items() if name != "id"}


@dataclass(frozen=True)
class Result:
    """What the command printed and how it ended."""

    exit_code: Any
    stdout: str
    stderr: str


class Desk:
    """A folder with the three files of one merge."""

    def __init__(self, folder: Path, capture: pytest.CaptureFixture[str], patch: pytest.MonkeyPatch) -> None:
        self.folder, self.capture, self.patch = folder, capture, patch
        for name in ("base", "ours", "theirs"):
            self.put(name, GOAL)

    def put(self, name: str, content: Any) -> None:
        text = content if isinstance(content, str) else json.dumps(content)
        (self.folder / f"{name}.json").write_text(text, encoding="utf-8")

    def merge(self, *more: str, by: str = "Organization/region") -> Result:
        files = {f"--{name}": str(self.folder / f"{name}.json") for name in ("base", "ours", "theirs")}
        return self.run(*(word for each in files.items() for word in each), "--by", by, *more)

    def run(self, *words: str) -> Result:
        self.patch.setattr(sys, "argv", ["fhir-adapter", "merge", *words])
        self.capture.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        return Result(end.value.code, *self.capture.readouterr())


@pytest.fixture
def desk(tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> Desk:
    return Desk(tmp_path, capsys, monkeypatch)


def test_a_clean_merge_ends_with_zero(desk: Desk) -> None:
    desk.put("theirs", GOAL | {"startDate": "2025-03"})
    result = desk.merge()
    assert result.exit_code == 0
    found = json.loads(result.stdout)
    assert list(found) == ["plan", "conflicts", "tombstones", "quarantined"]
    assert [entry["resource"] for entry in found["plan"]["entry"]] == [GOAL | {"startDate": "2025-03"}]


def test_a_conflict_ends_with_one_and_holds_both_values(desk: Desk) -> None:
    for name, words, day in (("ours", "ringer", "01"), ("theirs", "tar bussen", "02")):
        meta = {"lastUpdated": f"2025-02-{day}T09:00:00+01:00"}
        desk.put(name, GOAL | {"description": {"text": words}, "meta": meta})
    result = desk.merge("--rules", "default")
    assert result.exit_code == 1
    (conflict,) = json.loads(result.stdout)["conflicts"]
    assert conflict == {
        "reference": "Goal/g",
        "path": "description",
        "kind": "both-changed",
        "base": {"text": "bor kvar"},
        "live": {"text": "ringer"},
        "other": {"text": "tar bussen"},
        "owner": None,
        "liveFrom": None,
        "liveAt": "2025-02-01T09:00:00+01:00",
        "otherFrom": "Organization/region",
        "otherAt": "2025-02-02T09:00:00+01:00",
    }


def test_a_quarantined_write_ends_with_one(desk: Desk) -> None:
    desk.put("base", {"resourceType": "Bundle", "type": "collection"})
    desk.put("theirs", GOAL | {"description": {"text": "tar bussen"}})
    result = desk.merge()
    assert result.exit_code == 1
    assert [one["reference"] for one in json.loads(result.stdout)["quarantined"]] == ["Goal/g"]


@pytest.mark.parametrize(
    ("content", "words"),
    [
        ("{", "base: not valid JSON"),
        ("[]", "base: this is no FHIR resource"),
        ({"resourceType": "Foo", "id": "1"}, "base: Foo/1 resourceType: a resource type of FHIR R4"),
        (GOAL | {"meta": "x"}, "base: Goal/g meta: an object"),
        (GOAL | {"category": [{"coding": {"code": "x"}}]}, "base: Goal/g category[0].coding: a list"),
        (GOAL | {"description": [{"text": "x"}]}, "base: Goal/g description: no list"),
        ({"resourceType": "Bundle", "entry": [{"resource": NAMELESS}] * 2}, "base: Bundle.entry[1]: Goal without id"),
        ({"resourceType": "Bundle", "entry": {}}, "Bundle.entry: this is no list"),
        ({"resourceType": "Bundle", "entry": [1]}, "Bundle.entry[0]"),
        ({"resourceType": "Bundle", "entry": [{"resource": 1}]}, "Bundle.entry[0].resource"),
        ({"resourceType": "Bundle", "entry": [{"resource": GOAL}, {"resource": GOAL}]}, "Goal/g is there twice"),
    ],
)
def test_a_file_that_cannot_be_read_ends_with_two_and_says_where(desk: Desk, content: Any, words: str) -> None:
    desk.put("base", content)
    result = desk.merge()
    assert (result.exit_code, result.stdout) == (2, "")
    assert words in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        ({"note": {"text": "x"}}, "theirs: Goal/g note"),
        ({"extension": ["x"]}, "theirs: Goal/g extension"),
        ({"target": [{"measure": []}], "extension": 5}, "theirs: Goal/g"),
    ],
)
def test_what_is_not_shaped_as_fhir_is_refused_with_its_place(desk: Desk, wrong: Any, words: str) -> None:
    desk.put("ours", GOAL | {"note": [{"text": "y"}]})
    desk.put("theirs", GOAL | wrong)
    result = desk.merge()
    assert result.exit_code == 2
    assert words in result.stderr


def test_three_single_resources_are_versions_of_one(desk: Desk) -> None:
    desk.put("theirs", GOAL | {"id": "h"})
    result = desk.merge()
    assert result.exit_code == 2
    assert "Goal/g and Goal/h are different" in result.stderr


def test_a_missing_file_or_option_and_a_by_that_is_no_reference_end_with_two(desk: Desk) -> None:
    assert desk.run("--by", "Organization/region").exit_code == 2
    for by in ("region", "", "/", "Organization/"):
        assert (desk.merge(by=by).exit_code, desk.merge(by=by).stderr.partition(":")[0]) == (2, "--by")
    (desk.folder / "ours.json").unlink()
    result = desk.merge()
    assert result.exit_code == 2
    assert result.stderr == f"--ours: {desk.folder / 'ours.json'}: no such file or directory\n"


def test_when_a_thing_ended_is_told_by_the_file(desk: Desk) -> None:
    team = {"resourceType": "CareTeam", "id": "c", "participant": [{"member": {"reference": "Organization/region"}}]}
    for name in ("base", "ours"):
        desk.put(name, team)
    desk.put("theirs", {"resourceType": "CareTeam", "id": "c"})
    os.utime(desk.folder / "theirs.json", (1_700_000_000, 1_700_000_000))
    first = desk.merge()
    assert json.loads(first.stdout)["tombstones"][0]["at"] == "2023-11-14T22:13:20Z"
    assert desk.merge().stdout == first.stdout
    desk.put("theirs", {"resourceType": "CareTeam", "id": "c", "meta": {"lastUpdated": "2025-03-01T10:00:00+01:00"}})
    assert json.loads(desk.merge().stdout)["tombstones"][0]["at"] == "2025-03-01T10:00:00+01:00"


def test_the_rules_of_a_mapping_are_known_by_its_name(desk: Desk) -> None:
    assert desk.merge("--rules", "se-sip").exit_code == 0
