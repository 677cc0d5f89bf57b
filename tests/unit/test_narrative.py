"""A generated narrative after a merge: it tells nothing that the elements do not say."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.plan.decide import decide
from fhir_adapter.plan.merge import merge
from fhir_adapter.plan.owners import Owners

NOW = datetime(2025, 6, 2, 8, tzinfo=UTC)
OWNERS = Owners("kommun", lambda _reference: "kommun")


def narrative(words: str, status: str = "generated") -> Resource:
    return {"status": status, "div": f'<div xmlns="http://www.w3.org/1999/xhtml">{words}</div>'}


def goal(words: str, text: Resource | None, **more: Any) -> Resource:
    said = {"resourceType": "Goal", "id": "g", "lifecycleStatus": "active", "description": {"text": words}} | more
    return said | ({"text": text} if text else {})


def after(base: Resource, ours: Resource, theirs: Resource, party: str = "kommun") -> Resource:
    """The goal once the party has spoken."""
    before = {"Goal/g": ours}
    merged = merge([{"Goal/g": base}], before, {"Goal/g": theirs}, party=party, owners=OWNERS, partial=True, now=NOW)
    return decide(merged, before, NOW).save.get("Goal/g", ours)


OLD = goal("Bo kvar", narrative("Bo kvar"))


def test_a_text_does_not_outlive_the_words_that_it_was_made_of() -> None:
    assert after(OLD, OLD, OLD | {"description": {"text": "Flytta"}}) == goal("Flytta", None)


def test_a_text_that_comes_with_the_words_is_taken_with_them() -> None:
    said = goal("Flytta", narrative("Flytta"))
    assert after(OLD, OLD, said, "region") == said


def test_a_text_made_anew_of_the_same_words_is_taken() -> None:
    said = goal("Bo kvar", narrative("Mål: Bo kvar"))
    assert after(OLD, OLD, said, "region") == said


def test_a_text_that_tells_what_was_not_taken_is_not_taken_either() -> None:
    ours, said = goal("Hitta arbete", None), goal("Flytta", narrative("Flytta"))
    assert after(OLD, ours, said, "region") == ours


def test_where_both_sides_changed_something_no_text_tells_half_of_it() -> None:
    ours = goal("Bo kvar", narrative("Bo kvar, från juni"), startDate="2025-06-01")
    said = goal("Flytta", narrative("Flytta"))
    assert after(OLD, ours, said, "region") == goal("Flytta", None, startDate="2025-06-01")


@pytest.mark.parametrize("status", ["additional", "empty"])
def test_what_somebody_wrote_stays(status: str) -> None:
    mine = goal("Bo kvar", narrative("Skrivet för hand", status))
    assert after(mine, mine, mine | {"lifecycleStatus": "completed"})["text"] == mine["text"]


def test_a_label_is_no_part_of_what_is_told() -> None:
    label = {"security": [{"code": "R"}]}
    assert after(OLD, OLD, OLD | {"meta": label}) == OLD | {"meta": label}
