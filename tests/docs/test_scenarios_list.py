"""tests/scenarios/README.md lists every story, and every case has one."""

from __future__ import annotations

from scripts.list_scenarios import DOCUMENT, document, stories_of


def test_the_list_of_stories_is_current():
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "run .venv/bin/python -m scripts.list_scenarios"


def test_a_case_is_found_by_its_whole_name_only():
    told = {"one": "E14, E2: a number", "two": "E12. A move", "three": "SIP-3. A discharge"}
    assert stories_of("E2", told) == ["one"]
    assert stories_of("E1", told) == []
    assert stories_of("SIP-3", told) == ["three"]
