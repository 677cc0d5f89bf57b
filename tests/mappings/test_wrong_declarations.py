"""A wrong declaration at the command line: exit code 2, and a message with file, line, rule and what to do."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path

import pytest

from fhir_adapter.cli import main
from fhir_adapter.mapping.load import FOLDER

SIP = FOLDER / "se-sip"
FAULTS = [
    ("mapping.yaml", "title_local <-> plan:title", "title_local <-> plan:titel",
     "rule `title_local <-> plan:titel`: R4 has no element CarePlan.titel; did you mean 'title'?"),
    ("mapping.yaml", "| code plan-status", "| kode plan-status", "there is no converter 'kode'; did you mean 'code'?"),
    ("mapping.yaml", "gloss <-> plan:description", "gloss <-> plan:title", "is the target of the rule in line"),
    ("mapping.yaml", "gloss <-> ", "glos <-> ", "'glos' is not a field of the format's schema; did you mean 'gloss'?"),
    ("mapping.yaml", "refer: {for: patient}", "refer: {for: initiative}", "refers to itself: a cycle cannot be made"),
    ("mapping.yaml", "early: true", "erly: true", "unknown word 'erly'; did you mean 'early'?"),
    ("mapping.yaml", "schema: schema.json", "schema: nothing.json", "nothing.json in sip: cannot be read: there is no"),
    ("codes.yaml", "[okänd, unknown]", "[okänd, active]", "the code 'active' has two ways back"),
    ("codes.yaml", "[okänd, unknown]", "[pausad, unknown]", "the word 'pausad' has two codes"),
]  # fmt: skip


@pytest.mark.parametrize(("file", "right", "wrong", "message"), FAULTS, ids=[fault[2] for fault in FAULTS])
def test_a_wrong_declaration_ends_with_exit_code_2_and_says_where(
    file: str, right: str, wrong: str, message: str,
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str],
) -> None:  # fmt: skip
    folder = tmp_path / "sip"
    shutil.copytree(SIP, folder)
    text = (folder / file).read_text(encoding="utf-8")
    assert right in text
    (folder / file).write_text(text.replace(right, wrong, 1), encoding="utf-8")
    monkeypatch.setattr(sys, "argv", ["fhir-adapter", "map", str(folder), str(SIP / "samples" / "SIP-1.json")])
    with pytest.raises(SystemExit) as end:
        main()
    told = capsys.readouterr().err
    assert end.value.code == 2
    assert message in told
    assert "nothing.json" in told or ", line " in told
