"""`map` and `unmap` on whole files: one object, NDJSON, an array; refused records do not stop the others."""

from __future__ import annotations

import json
from typing import Any

import pytest

from fhir_adapter.errors import BadDeclaration
from fhir_adapter.fhir.resources import BASE
from fhir_adapter.flows.convert import map_file, unmap_file

GOOD: dict[str, Any] = {"id": "1", "person": {"personnummer": "196101182803"}, "mal": [{"id": "M1", "text": "Å"}]}
BAD: dict[str, Any] = {"id": "2", "person": {"personnummer": "x"}}


def ndjson(*records: Any) -> bytes:
    return b"".join(json.dumps(record).encode() + b"\n" for record in records)


def test_an_object_gives_one_indented_transaction() -> None:
    converted = map_file("se-sip", json.dumps(GOOD, indent=2).encode())
    bundle = json.loads(converted.output)
    assert converted.ok
    assert converted.output.startswith(b'{\n  "resourceType": "Bundle"')
    assert bundle["type"] == "transaction"
    for entry in bundle["entry"]:
        url = f"{entry['resource']['resourceType']}/{entry['resource']['id']}"
        assert entry["request"] == {"method": "PUT", "url": url}
        assert entry["fullUrl"] == f"{BASE}/fhir/{url}"


def test_ndjson_and_an_array_give_a_line_for_each_record() -> None:
    other = GOOD | {"id": "3"}
    lines = map_file("se-sip", b"\xef\xbb\xbf" + ndjson(GOOD, other) + b"\n \n")
    assert lines.ok
    assert lines.output.count(b"\n") == 2
    assert map_file("se-sip", json.dumps([GOOD, other]).encode()) == lines


def test_a_refused_record_is_told_by_number_and_the_others_are_written() -> None:
    converted = map_file("se-sip", ndjson(GOOD, BAD, GOOD) + b'{"id": \n')
    assert not converted.ok
    assert converted.output.count(b"\n") == 2
    assert [(issue["record"], issue["severity"], issue["path"]) for issue in converted.issues] == [
        (2, "error", "person.personnummer"), (4, "error", ""),
    ]  # fmt: skip


@pytest.mark.parametrize("raw", [b"", b"{", b"not json", b'{\n  "id": 1,\n}', b"\xff\xfe"])
def test_what_is_not_json_is_refused_once(raw: bytes) -> None:
    converted = map_file("se-sip", raw)
    assert (converted.output, converted.ok, len(converted.issues)) == (b"", False, 1)
    assert converted.issues[0]["record"] == 1


def test_warnings_and_fields_not_mapped_are_told_and_do_not_refuse() -> None:
    record = GOOD | {"extra": 1, "insatser": [{"ansvarig": "Ingen"}]}
    converted = map_file("se-sip", ndjson(record))
    assert converted.ok
    assert [(issue["severity"], issue["path"]) for issue in converted.issues] == [
        ("warning", "insatser[0].ansvarig"), ("information", "extra"),
    ]  # fmt: skip


def test_a_bundle_comes_back_as_the_record() -> None:
    converted = unmap_file("se-sip", map_file("se-sip", ndjson(GOOD)).output)
    assert converted.ok
    record = json.loads(converted.output)
    assert (record["id"], record["mal"], record["system"]) == ("1", GOOD["mal"], "sip")


def test_what_the_format_asks_for_and_fhir_does_not_say_is_told_and_the_record_written() -> None:
    plan = map_file("se-sip", ndjson(GOOD)).output
    course = unmap_file("dk-integrerede-forloeb", plan)
    assert json.loads(course.output)["maal"][0]["text"] == "Å"
    assert not course.ok
    assert {issue["path"] for issue in course.issues if issue["severity"] == "error"} == {"submodel"}
    answer = unmap_file("se-getcareplans", plan)
    assert answer.ok
    assert "carePlanHeader.sourceSystemHSAId" in {issue["path"] for issue in answer.issues}


def test_what_the_format_has_no_field_for_is_told() -> None:
    bundle = json.loads(map_file("se-sip", json.dumps(GOOD | {"vad_ar_viktigt": "Ro"}).encode()).output)
    assert unmap_file("se-sip", json.dumps(bundle).encode()).issues == []
    (place,) = (
        index for index, one in enumerate(bundle["entry"]) if one["resource"].get("description") == {"text": "Ro"}
    )
    bundle["entry"][place]["resource"]["startDate"] = "2025-06-01"
    converted = unmap_file("se-sip", json.dumps(bundle).encode())
    assert converted.ok
    assert [one["path"] for one in converted.issues] == [f"Bundle.entry[{place}].resource.startDate"]


def test_what_was_taken_away_and_has_no_word_for_that_is_left_out_and_told() -> None:
    record = GOOD | {"vad_ar_viktigt": "Ro"}
    bundle = json.loads(map_file("se-sip", json.dumps(record).encode()).output)
    for entry in bundle["entry"]:
        if entry["resource"]["resourceType"] == "Goal":
            entry["resource"]["lifecycleStatus"] = "cancelled"
    for before in (None, json.dumps(record).encode()):
        converted = unmap_file("se-sip", json.dumps(bundle).encode(), before=before)
        told = json.loads(converted.output)
        assert ("vad_ar_viktigt" in told, told["mal"][0]["status"]) == (False, "avbrutet")
        (issue,) = converted.issues
        assert (issue["severity"], issue["path"]) == ("information", place_of_goal(bundle, "Ro"))


def place_of_goal(bundle: Any, word: str) -> str:
    places = [index for index, entry in enumerate(bundle["entry"]) if word in str(entry["resource"].get("description"))]
    return f"Bundle.entry[{places[0]}].resource"


def test_before_keeps_what_fhir_does_not_say_for_each_record_by_its_id() -> None:
    records = [GOOD | {"extra": 1}, GOOD | {"id": "2", "extra": 2}]
    bundles = map_file("se-sip", ndjson(*records)).output
    converted = unmap_file("se-sip", bundles, before=ndjson(*reversed(records)))
    assert [json.loads(line) for line in converted.output.splitlines()] == records


def test_a_record_that_before_does_not_hold_is_made_anew() -> None:
    bundle = map_file("se-sip", ndjson(GOOD)).output
    converted = unmap_file("se-sip", bundle, before=ndjson(GOOD | {"id": "another", "extra": 1}))
    assert "extra" not in json.loads(converted.output)


@pytest.mark.parametrize(
    ("bundle", "path"),
    [
        ({"id": "1"}, ""),
        ([[]], ""),
        ({"resourceType": "Bundle"}, "Bundle.entry"),
        ({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Patient", "id": "p"}}]}, "Bundle.entry"),
        ({"resourceType": "Bundle", "entry": [{}]}, "Bundle.entry[0].resource"),
        ({"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "Goal"}}]}, "Bundle.entry[0].resource.id"),
        (
            {"resourceType": "Bundle", "entry": [{"resource": {"resourceType": "CarePlan", "id": "c", "goal": "g"}}]},
            "Bundle.entry[0].resource.goal",
        ),
    ],
)
def test_what_is_no_bundle_of_a_plan_is_refused_with_its_place(bundle: Any, path: str) -> None:
    converted = unmap_file("se-sip", json.dumps(bundle).encode())
    assert not converted.ok
    assert path in {issue["path"] for issue in converted.issues}


def test_an_unknown_mapping_is_a_wrong_declaration() -> None:
    with pytest.raises(BadDeclaration, match=r"there are: .*se-sip"):
        map_file("nonsense", b"{}")
