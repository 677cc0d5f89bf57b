"""`fhir-adapter persons` on a data folder, beside the server that is at work on it."""

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
from tests.flows.test_persons import numbers_of, person_of

OLD, NEW = "198507142381", "198507142386"


def run(*words: str) -> Result:
    return CliRunner().invoke(app, ["persons", *words])


@pytest.fixture
def folder(town: Town, sip: dict[str, Any], tmp_path: Path) -> tuple[str, str]:
    """A data folder in which a record came with another number, and its plan."""
    plan = town.push(sip).json()["plan"]["id"]
    assert numbers_of(sip) == (OLD, NEW)
    sip["person"]["personnummer"] = NEW
    assert town.push(sip).status_code == 422
    mark_demo(tmp_path, town.region)
    return str(tmp_path), plan


def test_persons_are_listed_joined_and_parted(town: Town, sip: dict[str, Any], folder: tuple[str, str]) -> None:
    data, plan = folder
    shown = run("--data", data)
    assert (shown.exit_code, "came with the other's number" in shown.stdout, plan in shown.stdout) == (0, True, True)
    assert NEW not in shown.stdout, "personal data only where they are asked for"
    (pair,) = json.loads(run("list", "--json", "--values", "--data", data).stdout)
    assert pair["new person"]["identifier"][0]["value"] == NEW
    assert pair["old person"]["identifier"][0]["value"] == OLD
    who = (pair["old"], pair["new"], "--by", "sodertalje", "--reason", "new number", "--data", data)
    assert run("join", *who).exit_code == 0
    assert person_of(town, plan) == pair["new"]
    assert town.push(sip).status_code == 200
    assert "nobody is asked about" in run("list", "--data", data).stdout
    (decided,) = json.loads(run("list", "--all", "--json", "--data", data).stdout)
    assert (decided["state"], decided["by"], decided["reason"]) == ("joined", "sodertalje", "new number")
    assert run("undo", *who).exit_code == 0
    assert person_of(town, plan) == pair["old"]
    with pytest.raises(AdapterError, match="not joined"):  # main() makes exit code 1 and issues of it
        raise run("undo", *who).exception  # type: ignore[misc]


def test_who_are_two_persons_is_not_asked_again(town: Town, sip: dict[str, Any], folder: tuple[str, str]) -> None:
    data, plan = folder
    (pair,) = json.loads(run("--json", "--data", data).stdout)
    who = (pair["old"], pair["new"], "--by", "sodertalje", "--reason", "mistyped", "--data", data)
    assert run("apart", *who).exit_code == 0
    town.push(sip)
    assert json.loads(run("--json", "--data", data).stdout) == []
    assert person_of(town, plan) == pair["old"]


def test_a_plan_is_moved_to_whom_it_is_about(town: Town, sip: dict[str, Any], folder: tuple[str, str]) -> None:
    data, plan = folder
    (pair,) = json.loads(run("--json", "--data", data).stdout)
    who = (f"CarePlan/{plan}", pair["new"], "--by", "sodertalje", "--reason", "mistyped", "--data", data)
    moved = run("move", *who)
    assert (moved.exit_code, "may be sent again" in moved.stdout) == (0, True)
    assert person_of(town, plan) == pair["new"]
    assert "nobody is asked about" in run("list", "--data", data).stdout
    assert town.push(sip).json()["state"] == "unchanged"
