"""Items that may stand as bare values come back as their sender wrote them."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_adapter.mapping.shorthand import Shorthand

SHORT = Shorthand({"dates": "on", "goals[].notes": "text", "plan.offers": "text", "note": "text"}, frozenset({"note"}))


@pytest.mark.parametrize(
    "record",
    [
        {"dates": "2025"},
        {"dates": ["2025"]},
        {"dates": ["2025", {"on": "2026"}, {"on": "2027", "how": "call"}]},
        {"goals": [{"notes": ["a"]}, {"notes": [{"text": "a"}]}, {"notes": "b"}, {}]},
        {"plan": {"offers": ["a", "b"]}, "dates": None, "note": []},
        {"plan": None, "goals": None},
        {},
    ],
)
def test_what_was_made_whole_is_written_as_it_was(record: dict[str, Any]) -> None:
    whole = SHORT.expanded(record)
    assert all(isinstance(item, dict) for item in whole.get("dates") or [])
    assert SHORT.contracted(whole, is_new=False) == record


def test_an_item_that_now_says_more_becomes_an_object() -> None:
    whole = SHORT.expanded({"dates": ["2025", "2026"], "note": "a"})
    whole["dates"][1]["how"] = "call"
    whole["dates"].append({"on": "2027"})
    whole["note"].append({"text": "b"})
    contracted = SHORT.contracted(whole, is_new=False)
    assert contracted == {
        "dates": ["2025", {"on": "2026", "how": "call"}, {"on": "2027"}],
        "note": ["a", {"text": "b"}],
    }
    assert type(contracted["dates"][1]) is dict


def test_a_new_record_is_written_bare_and_alone_where_that_is_the_custom() -> None:
    new = {"dates": [{"on": "2025"}], "note": [{"text": "a"}], "goals": [{"notes": [{"text": "a", "by": "b"}]}]}
    assert SHORT.contracted(new, is_new=True) == {"dates": ["2025"], "note": "a", "goals": new["goals"]}


def test_the_senders_own_path_of_a_bare_item_is_known() -> None:
    whole = SHORT.expanded({"dates": "2025", "goals": [{}, {"notes": [{"text": "a"}, "b"]}]})
    assert SHORT.spelled(whole) == {"dates[0].on": "dates", "goals[1].notes[1].text": "goals[1].notes[1]"}
