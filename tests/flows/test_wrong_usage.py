"""What nobody means: exit code 2 and a sentence, whatever was typed."""

from __future__ import annotations

import sys
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fhir_adapter.cli import app, main
from fhir_adapter.settings import mark_demo
from tests.flows.conftest import Town

NO_TEXT = b"\xff".decode(errors="surrogateescape")
"""A byte that is no UTF-8, as Python gives it in an argument."""

WRONG = {
    "a number that no row has": (["outbox", "show", "9" * 23], "9223372036854775807"),
    "nor a parked change": (["parked", "show", "9" * 23], "9223372036854775807"),
    "a value that is no text": (
        ["conflicts", "decide", "x", "write", "--by", "sodertalje", "--value", NO_TEXT],
        "UTF-8",
    ),
    "a reason that is no text": (["outbox", "drop", "1", "--reason", NO_TEXT], "UTF-8"),
    "a port that there is not": (["parties", "probe", "http://127.0.0.1:99999/fhir"], "not the base URL"),
    "to restore without a party": (["sync", "--restore"], "--resume"),
    "to accept without a party": (["sync", "--accept"], "--resume"),
    "values of nothing": (["sync", "--values"], "--verify"),
    "a delay that never ends": (["sandbox", "--faults", "delay:infs"], "expected delay:TIME"),
    "a delay that is none": (["sandbox", "--faults", "delay:-1s"], "expected delay:TIME"),
}


@pytest.mark.parametrize(("words", "told"), WRONG.values(), ids=WRONG)
def test_it_is_told_in_a_sentence_and_nothing_is_done(
    town: Town,
    sip: dict[str, Any],
    words: list[str],
    told: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    town.push(sip)
    mark_demo(tmp_path, town.region)
    data = [] if words[0] in ("parties", "sandbox") else ["--data", str(tmp_path)]
    monkeypatch.setattr(sys, "argv", ["fhir-adapter", *words, *data])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert told in " ".join(capsys.readouterr().err.replace("│", "").split())


NEED_PLANS = {
    "work": ["work"],
    "sync": ["sync"],
    "outbox": ["outbox"],
    "parked": ["parked", "show", "1"],
    "conflicts": ["conflicts"],
    "persons": ["persons"],
}


@pytest.mark.parametrize("words", NEED_PLANS.values(), ids=NEED_PLANS)
def test_a_folder_without_plans_is_told_and_not_made(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    typo = tmp_path / "dta"
    monkeypatch.setattr(sys, "argv", ["fhir-adapter", *words, "--data", str(typo)])
    with pytest.raises(SystemExit) as end:
        main()
    assert end.value.code == 2
    assert "there are no plans in this folder" in " ".join(capsys.readouterr().err.replace("│", "").split())
    assert not typo.exists()


def test_a_list_of_nobody_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FHIR_ADAPTER_SETTINGS", raising=False)
    assert "nobody takes part" in CliRunner().invoke(app, ["parties", "list"]).stdout


def test_the_version_is_that_of_the_package() -> None:
    told = CliRunner().invoke(app, ["--version"])
    assert (told.exit_code, told.stdout.strip()) == (0, f"fhir-adapter {version('fhir-adapter')}")
