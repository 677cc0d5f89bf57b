"""Reading and writing undo each other in every format, on records and on tables that nobody thought of."""

from __future__ import annotations

import csv
import io
import os
from decimal import Decimal
from typing import Any

from hypothesis import given, settings
from hypothesis import strategies as st

from fhir_adapter.mapping.inputs.declared import declared_format
from fhir_adapter.mapping.inputs.formats import Contents, Format
from fhir_adapter.mapping.inputs.text import GARBLED
from fhir_adapter.mapping.schema import RecordSchema

LAWS = settings(max_examples=10_000 if os.environ.get("FHIR_ADAPTER_DEEP") else 60, deadline=None)

TEXT = {"type": "string"}
PLACE = {"type": "object", "properties": {"x": TEXT}}
NOTE = {"type": "object", "properties": {"text": TEXT, "by": TEXT}}
SCHEMA = RecordSchema(
    {
        "type": "object",
        "properties": {
            "id": TEXT,
            "name": TEXT,
            "age": {"type": "integer"},
            "score": {"type": "number"},
            "open": {"type": "boolean"},
            "person": {"type": "object", "properties": {"name": TEXT, "place": PLACE}},
            "tags": {"type": "array", "items": TEXT},
            "goals": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "id": TEXT,
                        "text": TEXT,
                        "tags": {"type": "array", "items": TEXT},
                        "notes": {"type": "array", "items": NOTE},
                    },
                },
            },
        },
    }
)  # fmt: skip


def says_something(text: str) -> bool:
    """A blank cell is an absent field, and what looks garbled is refused."""
    return bool(text.strip()) and not GARBLED.search(text)


WORDS = st.text(st.sampled_from("aå;,|\t\"'=+-@<&>]\n\r 1Ã中"), min_size=1, max_size=8).filter(says_something)
ANY_LETTER = st.characters(codec="utf-8", exclude_categories=("Cs", "Cc"), exclude_characters="\ufffe\uffff")
LETTERS = st.text(ANY_LETTER, min_size=1, max_size=8).filter(says_something)
TEXTS = WORDS | LETTERS
DECIMALS = st.decimals(allow_nan=False, allow_infinity=False, places=3, min_value=-(10**6), max_value=10**6)


def objects(**fields: st.SearchStrategy[Any]) -> st.SearchStrategy[dict[str, Any]]:
    return st.fixed_dictionaries({}, optional=fields)


def items(*, plain: st.SearchStrategy[str], notes: int = 3) -> st.SearchStrategy[list[dict[str, Any]]]:
    inner = st.lists(objects(text=plain, by=plain).filter(bool), min_size=1, max_size=notes)
    rest = objects(tags=st.lists(plain, min_size=1, max_size=2), notes=inner)
    item = st.builds(lambda text, rest: {"text": text, **rest}, plain, rest)
    return st.lists(item, min_size=1, max_size=3, unique_by=lambda one: one["text"])


def records(plain: st.SearchStrategy[str]) -> st.SearchStrategy[dict[str, Any]]:
    place = objects(x=plain).filter(bool)
    return st.builds(
        lambda id_, rest: {"id": id_, **rest},
        plain,
        objects(
            name=plain,
            age=st.integers(-99, 10**12),
            score=DECIMALS,
            open=st.booleans(),
            person=objects(name=plain, place=place).filter(bool),
            tags=st.lists(plain, min_size=1, max_size=3),
            goals=items(plain=plain),
        ),
    )


def taken(contents: Contents) -> list[Any]:
    return [entry.taken() for entry in contents.entries]


def declared(**words: Any) -> Format:
    return declared_format(words, SCHEMA)


BY_KEY = declared(format="csv", delimiter=";", key="id", decimal=",")
NUMBERED = declared(format="csv", delimiter=",")
XML = declared(format="xml", record="plans/plan", namespaces={"": "urn:p"})
FHIR = declared(format="fhir")


@LAWS
@given(st.lists(records(TEXTS), max_size=3, unique_by=lambda one: one["id"]))
def test_records_written_as_rows_are_read_as_they_were(sent: list[dict[str, Any]]) -> None:
    assert taken(BY_KEY.read(BY_KEY.write(sent))) == sent
    assert taken(NUMBERED.read(NUMBERED.write(sent))) == sent


@LAWS
@given(st.lists(records(TEXTS), min_size=1, max_size=2, unique_by=lambda one: one["id"]))
def test_one_record_cut_out_of_a_table_is_that_record(sent: list[dict[str, Any]]) -> None:
    for entry in BY_KEY.read(BY_KEY.write(sent)).entries:
        assert BY_KEY.one(entry.raw) == entry.record


CELLS = st.sampled_from(["", " ", "1", "-7", "1,5", "ja", "true", "=1", "'=1", "Å", "a;b", 'x"y', "two\nlines"])
HEADER = [
    "id",
    "name",
    "age",
    "score",
    "open",
    "goals[].id",
    "goals[].text",
    "goals[].notes[].text",
    "tags[]",
    "Own col.",
]


@LAWS
@given(st.lists(st.lists(CELLS, min_size=len(HEADER), max_size=len(HEADER)), max_size=5))
def test_a_table_written_again_means_the_same(rows: list[list[str]]) -> None:
    out = io.StringIO()
    csv.writer(out, delimiter=";").writerows([HEADER, *rows])
    read = [entry.record for entry in BY_KEY.read(out.getvalue().encode()).entries if isinstance(entry.record, dict)]
    assert taken(BY_KEY.read(BY_KEY.write(read))) == read


@LAWS
@given(st.lists(records(TEXTS), max_size=3))
def test_records_written_as_xml_are_read_as_they_were(sent: list[dict[str, Any]]) -> None:
    written = XML.write(sent)
    assert taken(XML.read(written)) == sent
    assert XML.write(taken(XML.read(written))) == written
    for entry in XML.read(written).entries:
        assert XML.one(entry.raw) == entry.record


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers(-9, 9) | DECIMALS.map(Decimal) | TEXTS,
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2),
    max_leaves=5,
)
RESOURCES = st.builds(
    lambda type_, rest: {"resourceType": type_, **rest},
    st.sampled_from(["CarePlan", "Goal", "Custom"]),
    objects(id=st.sampled_from("abc"), status=JSON_VALUES, future=JSON_VALUES),
)
ENTRIES = objects(fullUrl=TEXTS, resource=RESOURCES, request=JSON_VALUES)


@LAWS
@given(st.lists(ENTRIES, max_size=5), st.dictionaries(st.sampled_from(["id", "type", "meta"]), JSON_VALUES))
def test_a_bundle_comes_back_to_the_letter(entries: list[dict[str, Any]], rest: dict[str, Any]) -> None:
    bundle = {"resourceType": "Bundle", **rest, "entry": entries}
    record = FHIR.record(bundle)  # type: ignore[attr-defined]
    assert FHIR.shown(record) == bundle
