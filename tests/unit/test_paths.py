"""Paths read and write fragments of FHIR JSON, and say what is wrong with a path that is none."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_adapter.fhir.paths import compile_path
from fhir_adapter.fhir.resources import EXTENSIONS

FORMS = [
    ("status", "active", {"status": "active"}),
    ("code.text", "x", {"code": {"text": "x"}}),
    ("target[0].dueDate", "2025", {"target": [{"dueDate": "2025"}]}),
    ("line[0]", "a", {"line": ["a"]}),
    ("telecom[system=phone].value", "070", {"telecom": [{"system": "phone", "value": "070"}]}),
    ("extension[form].valueString", "s", {"extension": [{"url": f"{EXTENSIONS}/form", "valueString": "s"}]}),
    ("extension[http://a.b/c].valueCode", "s", {"extension": [{"url": "http://a.b/c", "valueCode": "s"}]}),
    ("telecom[system=phone]", {"system": "phone", "value": "1"}, {"telecom": [{"system": "phone", "value": "1"}]}),
]


@pytest.mark.parametrize(("path", "value", "resource"), FORMS)
def test_a_written_fragment_is_where_the_path_says_and_is_read_back(
    path: str, value: Any, resource: dict[str, Any]
) -> None:
    made: dict[str, Any] = {}
    compile_path(path).write(made, value)
    assert made == resource
    assert compile_path(path).read(made) == value


@pytest.mark.parametrize(("path", "_value", "_resource"), FORMS)
def test_nothing_is_read_where_nothing_is(path: str, _value: Any, _resource: Any) -> None:
    assert compile_path(path).read({}) is None


def test_empty_brackets_append_on_writing_and_gather_on_reading() -> None:
    made: dict[str, Any] = {}
    for reference in ("ServiceRequest/1", "Task/2"):
        compile_path("activity[].reference.reference").write(made, reference)
    assert compile_path("activity[].reference.reference").read(made) == ["ServiceRequest/1", "Task/2"]
    assert len(compile_path("activity[]").read(made)) == 2


def test_lists_in_lists_are_gathered_into_one() -> None:
    resource = {"category": [{"coding": [{"code": "a"}, {"code": "b"}]}, {"coding": [{"code": "c"}]}, {"text": "d"}]}
    assert compile_path("category[].coding[].code").read(resource) == ["a", "b", "c"]


def test_an_existing_element_is_changed_in_place() -> None:
    resource = {"target": [{"dueDate": "2025", "measure": {"text": "m"}}]}
    compile_path("target[0].dueDate").write(resource, "2026")
    assert resource == {"target": [{"dueDate": "2026", "measure": {"text": "m"}}]}


def test_a_value_of_another_shape_reads_as_nothing() -> None:
    assert compile_path("code.text").read({"code": "plain"}) is None
    assert compile_path("name[0].text").read({"name": "plain"}) is None
    assert compile_path("name[].text").read({"name": [None, "x"]}) is None


@pytest.mark.parametrize("text", ["", "a.", "a..b", "a[b]", "9a", "a[0", "a b"])
def test_what_is_not_a_path_is_refused(text: str) -> None:
    with pytest.raises(ValueError):
        compile_path(text)
