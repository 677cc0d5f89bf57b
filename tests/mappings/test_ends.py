"""What was taken away in FHIR is told by the format's own word for it, or no more; never as if it were still there."""

from __future__ import annotations

from typing import Any

import pytest

from fhir_adapter.fhir.ends import ENDS, is_taken_away
from fhir_adapter.fhir.resources import Resource, parse_json, reference_of
from fhir_adapter.flows.convert import NAMESPACE, source_of
from fhir_adapter.mapping.engine import Mapping, copied
from fhir_adapter.mapping.load import find

INACTIVE = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/condition-clinical", "code": "inactive"}]}


def place_of(mapping: Mapping) -> dict[str, Any]:
    return {"source": source_of(mapping.name), "namespace": NAMESPACE}


def taken_away(resource: Resource) -> Resource:
    element, state = ENDS[resource["resourceType"]]
    return resource | {element: INACTIVE if element == "clinicalStatus" else state}


def at(record: dict[str, Any], path: str) -> Any:
    for name in path.split("."):
        record = record.get(name) or {}
    return record


FIELDS = [
    ("se-sip", "vad_ar_viktigt", "Goal", {"vad_ar_viktigt": "Ro"}),
    ("se-sip", "krisplan", "Observation", {"krisplan": {"text": "Ring"}}),
    ("se-sip", "svu", "Encounter", {"svu": {"inskrivning": "2025-03-01", "utskriven": "2025-03-04"}}),
    ("se-sip", "behov", "Condition", {"behov": [{"text": "Boende"}]}),
    ("de-gesamtplan", "verfahren.ueberpruefung", "Appointment", {"verfahren": {"ueberpruefung": "2026-05-01"}}),
    ("de-gesamtplan", "feststellungen.gdb", "Observation", {"feststellungen": {"gdb": 50}}),
    ("de-gesamtplan", "beratungen", "Communication", {"beratungen": [{"datum": "2025-01-01"}]}),
    ("dk-borgerens-plan", "borgerens_stemme", "Goal", {"borgerens_stemme": "Ro"}),
    ("dk-borgerens-plan", "aftale", "ServiceRequest", {"aftale": {"opfoelgning": "hver måned"}}),
    ("dk-integrerede-forloeb", "forloeb.screening", "Encounter", {"forloeb": {"screening": "2025-03-01"}}),
    ("at-wippcare", "plan_b", "CarePlan", {"plan_b": {"text": "Ruf an"}, "case_management": {"intake": "2025-01-01"}}),
]  # fmt: skip


def record_with(mapping: Mapping, more: dict[str, Any]) -> dict[str, Any]:
    """A record about the person of a sample, with no more than this."""
    sample = parse_json(next((mapping.folder / "samples").glob("*[!r].json")).read_bytes())
    return {name: sample[name] for name in ("person", "submodel") if name in sample} | {"id": "R-1", **more}


@pytest.mark.parametrize(("name", "path", "type_", "more"), FIELDS, ids=[f"{one[0]} {one[1]}" for one in FIELDS])
def test_a_field_for_whose_end_there_is_no_word_is_told_no_more(
    name: str, path: str, type_: str, more: dict[str, Any]
) -> None:
    mapping = find(name)
    place, record = place_of(mapping), record_with(mapping, more)
    said = mapping.get(record, **place).resources
    assert at(record, path)
    thing = [one for one in said[1:] if one["resourceType"] == type_][-1]
    came = [taken_away(one) if one is thing else one for one in said]
    after = mapping.put(came, record, **place)
    assert not at(after, path)
    assert not at(mapping.create(came, **place), path)
    assert at(mapping.put(said, after, **place), path) == at(record, path)  # and is there again when that is


WORDS = [
    ("se-sip", "mal", "Goal", {"mal": [{"id": "G1", "text": "Bo kvar"}]}, "avbrutet"),
    ("se-sip", "kallelse", "Appointment", {"kallelse": {"plats": "Rum 1"}}, "cancelled"),
    ("se-sip", "samtycke", "Consent", {"samtycke": {"status": "active"}}, "inactive"),
    ("de-gesamtplan", "verfahren.konferenz", "Appointment", {"verfahren": {"konferenz": {"ort": "Saal"}}}, "abgesagt"),
]


@pytest.mark.parametrize(("name", "path", "type_", "more", "word"), WORDS, ids=[f"{one[0]} {one[1]}" for one in WORDS])
def test_where_there_is_a_word_for_the_end_it_is_told_by_that(
    name: str, path: str, type_: str, more: dict[str, Any], word: str
) -> None:
    mapping = find(name)
    place, record = place_of(mapping), record_with(mapping, more)
    said = mapping.get(record, **place).resources
    came = [taken_away(one) if one["resourceType"] == type_ else one for one in said]
    for told in (mapping.put(came, record, **place), mapping.create(came, **place)):
        thing = at(told, path)
        assert (thing[0] if isinstance(thing, list) else thing)["status"] == word
        assert any(map(is_taken_away, mapping.get(told, **place).resources))


STATED = [
    ("se-sip", {"behov_initiativ": {"orsak": "Utskrivning"}, "mal": [{"text": "Bo kvar"}]}),
    ("de-gesamtplan", {"verfahren": {"antragseingang": "2026-01-05", "konferenz": {"ort": "Saal"}}}),
    ("dk-integrerede-forloeb", {"henvendelse": {"dato": "2025-01-05"}}),
]


@pytest.mark.parametrize(("name", "more"), STATED, ids=[name for name, _ in STATED])
def test_a_format_without_a_word_for_how_far_a_thing_is_states_that_it_is_there(
    name: str, more: dict[str, Any]
) -> None:
    mapping = find(name)
    said = mapping.get(record_with(mapping, more), **place_of(mapping)).resources
    (done,) = (one for one in said if one.get("status") == "completed")
    assert mapping.is_stated(done)


def test_what_the_record_itself_says_to_be_no_more_stays() -> None:
    mapping = find("de-gesamtplan")
    place, record = place_of(mapping), record_with(mapping, {"diagnosen": [{"icd10gm": "F20.0", "sicherheit": "A"}]})
    said = mapping.get(record, **place).resources
    assert any(map(is_taken_away, said))
    assert mapping.create(said, **place)["diagnosen"] == record["diagnosen"]
    assert mapping.put([one | {"implicitRules": "x"} for one in said], record, **place) == record


def test_another_thing_of_the_kind_takes_the_place_of_the_one_that_was_taken_away() -> None:
    mapping = find("se-sip")
    place, record = place_of(mapping), record_with(mapping, {"vad_ar_viktigt": "Ro", "mal": [{"text": "Bo kvar"}]})
    plan, *others = copied(mapping.get(record, **place).resources)
    goals = [one for one in others if one["resourceType"] == "Goal"]
    old = next(one for one in goals if one["description"]["text"] == "Ro")
    new = old | {"id": "5f0c6c8e-6a1e-4f0e-9a52-0b7d7a1d2c11", "description": {"text": "Frid"}}
    plan["goal"].append({"reference": reference_of(new)})
    came = [plan, new, *(taken_away(one) if one is old else one for one in others)]
    for told in (mapping.put(came, record, **place), mapping.create(came, **place)):
        assert (told["vad_ar_viktigt"], [goal["text"] for goal in told["mal"]]) == ("Frid", ["Bo kvar"])
