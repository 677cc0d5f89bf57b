"""`fhir-adapter conflicts` on a data folder, beside the server that is at work on it."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from fhir_adapter.cli import app
from fhir_adapter.errors import AdapterError
from fhir_adapter.settings import mark_demo
from tests.flows.conftest import Town
from tests.flows.test_conflicts import conflict_about_a_goal


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["conflicts", *words])


@pytest.fixture
def folder(town: Town, sip: dict[str, Any], tmp_path: Path) -> tuple[str, str]:
    """A data folder with one conflict, and the conflict's id."""
    conflict = conflict_about_a_goal(town, sip)
    mark_demo(tmp_path, town.region)
    return str(tmp_path), conflict


def test_a_conflict_is_listed_shown_put_off_and_decided(town: Town, folder: tuple[str, str]) -> None:
    data, conflict = folder
    assert conflict in run("--data", data).stdout
    (one,) = json.loads(run("list", "--party", "sodertalje", "--data", data, "--json").stdout)
    assert (one["path"], one["live"], one["kept"]) == ("mal[2].text", "Kommunens ord", "Regionens ord")
    assert "Regionens ord (from region-stockholm)" in run("show", conflict, "--data", data).stdout
    shown = run("show", conflict, "--party", "sodertalje", "--data", data).stdout
    assert "may decide: keep, take, write, later" in shown
    put_off = run("decide", conflict, "later", "--by", "sodertalje", "--until", "2026-12-01", "--data", data)
    assert (put_off.exit_code, "until 2026-12-01" in put_off.stdout) == (0, True)
    words = ("decide", conflict, "write", "--value", '"Tredje"', "--by", "sodertalje", "--data", data, "--json")
    assert json.loads(run(*words).stdout)["state"] == "decided"
    assert town.record()["mal"][2]["text"] == "Tredje"
    assert "nothing waits" in run("list", "--data", data).stdout
    assert conflict in run("list", "--all", "--plan", one["plan"], "--data", data).stdout


def test_what_is_refused_says_why_and_ends_with_1(town: Town, folder: tuple[str, str]) -> None:
    data, conflict = folder
    with pytest.raises(AdapterError, match="not yours"):  # main() makes exit code 1 and issues of it
        raise run("decide", conflict, "take", "--by", "region-stockholm", "--data", data).exception  # type: ignore[misc]
    record = town.record()
    record["mal"][2]["text"] = "Nya ord"
    town.push(record)
    stale = run("decide", conflict, "take", "--by", "sodertalje", "--data", data)
    assert stale.exit_code == 1
    seen = json.loads(stale.stderr)["conflict"]["seen"]
    assert run("decide", conflict, "take", "--by", "sodertalje", "--seen", seen, "--data", data).exit_code == 0
    assert run("list", "--data", str(Path(data) / "elsewhere")).exit_code == 2
