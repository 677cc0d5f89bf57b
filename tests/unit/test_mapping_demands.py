"""What a format asks of a whole record beyond its schema."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.mapping.anchor_words import condition
from fhir_adapter.mapping.demands import Demands, read_demands, read_variants
from fhir_adapter.mapping.files import Files
from fhir_adapter.mapping.said import Said

Record = dict[str, Any]


def has(words: str, _place: str) -> Any:
    """As the loader reads a condition, of fields that no rule knows."""
    return condition(Files(Path()), words, Said())


def seen(demand: Record, record: Record) -> list[tuple[str, str]]:
    found = Demands(read_demands([{"say": "so"} | demand], has)).issues(record)
    return [(issue.severity, issue.path) for issue in found]


WITHIN = {"within": "5 working days", "from": "asked", "to": "held"}


@pytest.mark.parametrize(
    ("demand", "kept", "broken", "place"),
    [
        ({"need": "a.b"}, {"a": {"b": "x"}}, {"a": {}}, "a.b"),
        ({"never": "a"}, {"a": []}, {"a": "x"}, "a"),
        ({"at_least": 2, "of": "a"}, {"a": ["x", "y"]}, {"a": ["x"]}, "a"),
        ({"like": "psyk", "in": "a"}, {"a": [{"n": "Børnepsykiatri"}]}, {"a": ["PPR"]}, "a"),
        ({"same": "a", "as": "b"}, {"a": "Kolding (0621)", "b": "0621"}, {"a": "Kolding (0621)", "b": "0430"}, "a"),
        ({"same": "a", "as": "'x'"}, {"a": "x"}, {"a": "y"}, "a"),
        (WITHIN, {"asked": "2025-04-04", "held": "2025-04-11"}, {"asked": "2025-04-04", "held": "2025-04-14"}, "held"),
        (WITHIN, {"asked": "2025-04", "held": "2026"}, {"asked": "2025-04-04", "held": "2025-04-03"}, "held"),
        (WITHIN | {"within": "30 days"}, {"asked": "2025-04-10", "held": "2025-05-10T08:00:00+02:00"},
         {"asked": "2025-04-10", "held": "2025-05-11"}, "held"),
        (WITHIN | {"within": "24 months"}, {"asked": "2024-02-29", "held": "2026-02-28"},
         {"asked": "2024-02-29", "held": "2026-03-01"}, "held"),
    ],
)  # fmt: skip
def test_a_demand_is_kept_or_told_on_its_field(demand: Record, kept: Record, broken: Record, place: str) -> None:
    assert seen(demand, kept) == []
    assert seen(demand, broken) == [("warning", place)]
    assert seen(demand | {"severity": "error"}, broken) == [("error", place)]


def test_each_asks_every_item_of_a_list_and_when_asks_only_some() -> None:
    record = {"moeder": [{"type": "x"}, {"type": "x", "tid": "2025"}, {}]}
    demand = {"each": "moeder", "when": "type", "need": "tid"}
    assert seen(demand, record) == [("warning", "moeder[0].tid")]


def test_a_field_chooses_the_variant_and_an_unknown_one_is_an_error() -> None:
    variants = read_variants(
        {"kolding": {"match": r"\(0621\)", "demands": [{"need": "foraeldre", "say": "so"}]}, "x": {"match": "073"}},
        has,
    )  # fmt: skip
    demands = Demands((), variants, "submodel")
    assert [issue.path for issue in demands.issues({"submodel": "Kolding (0621)"})] == ["foraeldre"]
    assert demands.issues({"submodel": "Randers (0730)"}) == []
    (unknown,) = demands.issues({"submodel": "Odense"})
    assert (unknown.severity, unknown.path, unknown.expected) == ("error", "submodel", "kolding, x")


@pytest.mark.parametrize(
    "wrong",
    [
        {"need": "a"},
        {"say": "so"},
        {"need": "a", "never": "b", "say": "so"},
        {"need": "a", "say": "so", "sevrity": "error"},
        {"need": "a", "say": "so", "severity": "fatal"},
        {"within": "soon", "from": "a", "to": "b", "say": "so"},
        {"within": "3 days", "to": "b", "say": "so"},
        "need a",
    ],
)
def test_a_wrong_demand_is_refused_when_it_is_read(wrong: Any) -> None:
    with pytest.raises(ValueError, match=r"demand|severity|days"):
        read_demands([wrong], has)


def test_a_wrong_variant_is_refused_when_it_is_read() -> None:
    for wrong in ({"match": "("}, {"demands": []}, {"match": "a", "extra": 1}):
        with pytest.raises(ValueError, match="kolding"):
            read_variants({"kolding": wrong}, has)
