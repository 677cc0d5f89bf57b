"""A text of nothing but blanks says nothing: it is no FHIR, and it stays in the record."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.errors import Refused
from fhir_adapter.flows.convert import NAMESPACE, source_of
from fhir_adapter.mapping.blanks import has_blanks
from fhir_adapter.mapping.load import FOLDER, find

FULL = sorted(path for path in FOLDER.glob("*/samples/full.*") if not path.name.endswith(".fhir.json"))
STRICT = {"se-getcareplans"}
"""Formats that take no blank text anywhere."""


def texts_in(value: Any, place: tuple[str | int, ...] = ()) -> Iterator[tuple[str | int, ...]]:
    if isinstance(value, str):
        yield place
    for step, child in (
        value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    ):
        yield from texts_in(child, (*place, step))


def with_text(record: Any, place: tuple[str | int, ...], text: str) -> Any:
    changed = node = deepcopy(record)
    for step in place[:-1]:
        node = node[step]
    node[place[-1]] = text
    return changed


@pytest.mark.parametrize("sample", FULL, ids=lambda path: path.parent.parent.name)
def test_a_blank_text_is_no_fhir_and_stays_in_the_record(sample: Path) -> None:
    name = sample.parent.parent.name
    mapping, where = find(name), {"source": source_of(name), "namespace": NAMESPACE}
    record = mapping.record_in(sample.read_bytes())
    taken = 0
    for place in texts_in(record):
        for blank in ("", " ", "\n"):
            changed = with_text(record, place, blank)
            try:
                mapped = mapping.get(changed, **where)
            except Refused:
                continue
            taken += 1
            assert not has_blanks(mapped.resources), place
            assert mapping.put(mapped.resources, changed, **where) == changed, place
    assert (taken == 0) is (name in STRICT)


def test_a_text_that_must_be_there_is_missed(se_sip: Any, place: dict[str, Any]) -> None:
    record = {"id": "1", "person": {"personnummer": "196101182803"}, "mal": [{"text": "\t "}]}
    with pytest.raises(Refused) as refusal:
        se_sip.get(record, **place)
    assert [(issue.path, issue.message) for issue in refusal.value.issues] == [("mal[0].text", "is empty")]
