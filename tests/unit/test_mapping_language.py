"""What the language can say beyond plans: other roots, shared lists, selected fields, absent data, local times."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.load import load

PLACE: dict[str, Any] = {"source": "https://source.example", "namespace": UUID(int=7)}
TEXT = {"type": "string"}


def mapping_of(folder: Path, declaration: str, **fields: Any) -> Mapping:
    """A mapping whose native format has these fields."""
    (folder / "mapping.yaml").write_text(f"name: x\nversion: 1\nschema: schema.json\n{declaration}", encoding="utf-8")
    schema = {"type": "object", "properties": {"id": TEXT, **fields}}
    (folder / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
    codes = {"marks": {"kind#sub": "Sub"}, "kind": {"rows": [["a", "active"], ["b", "completed"]]}}
    (folder / "codes.yaml").write_text(yaml.safe_dump(codes), encoding="utf-8")
    return load(folder)


def objects(**fields: Any) -> dict[str, Any]:
    return {"type": "array", "items": {"type": "object", "properties": fields}}


def by_type(resources: list[Resource], type_: str) -> list[Resource]:
    return [one for one in resources if one["resourceType"] == type_]


OFFERS = """
lists:
  - native: .
    anchors:
      offer: {type: HealthcareService, id: "{record}", adopt: true, identifier: true}
      owner: {type: Organization, id: "{record}/traeger", when: traeger, link: offer.providedBy}
    rules: [name <-> offer:name, traeger <-> owner:name]
    lists:
      - native: orte[]
        anchors:
          place: {type: Location, id: "{record}/{key}", adopt: true, identifier: true, link: "offer.location[]"}
        rules: [ort <-> place:name]
"""


def test_the_root_need_be_no_plan_and_there_need_be_no_person(tmp_path: Path) -> None:
    mapping = mapping_of(tmp_path, OFFERS, name=TEXT, traeger=TEXT, orte=objects(id=TEXT, ort=TEXT))
    record = {
        "id": "OFF-1",
        "name": "Tagesstätte",
        "traeger": "Kreis",
        "orte": [{"id": "O1", "ort": "Haus"}, {"ort": "Hof"}],
    }
    resources = mapping.get(record, **PLACE).resources
    assert [one["resourceType"] for one in resources] == ["HealthcareService", "Organization", "Location", "Location"]
    assert mapping.record_id_in(resources, PLACE["source"]) == "OFF-1"
    assert mapping.put(resources, record, **PLACE) == record
    assert mapping.create(resources, **PLACE) == record
    by_type(resources, "Location")[0]["name"] = "Neues Haus"
    assert mapping.put(resources, record, **PLACE)["orte"] == [{"id": "O1", "ort": "Neues Haus"}, {"ort": "Hof"}]


ENQUIRY = """
lists:
  - native: .
    anchors:
      enquiry: {type: Task, id: "{record}", adopt: true, identifier: true, set: {status: requested, intent: proposal}}
      person: {type: Patient, id: "urn:svnr|{person.svnr}", link: enquiry.for}
      plan:
        type: CarePlan
        id: "{record}/plan"
        when: plan
        link: enquiry.focus
        set: {status: active, intent: plan}
        refer: {subject: person}
    rules:
      - thema <-> enquiry:description
      - person.svnr <-> person:identifier[system=urn:svnr].value
      - plan.titel <-> plan:title
"""


@pytest.mark.parametrize("person", [{}, {"person": {"svnr": "1233140375"}}], ids=["anonymous", "known"])
@pytest.mark.parametrize("plan", [{}, {"plan": {"titel": "Hilfeplan"}}], ids=["no plan", "plan"])
def test_an_enquiry_may_have_a_person_and_a_plan_or_neither(
    person: dict[str, Any], plan: dict[str, Any], tmp_path: Path
) -> None:
    fields = {"svnr": TEXT}, {"titel": TEXT}
    person_field, plan_field = ({"type": "object", "properties": properties} for properties in fields)
    mapping = mapping_of(tmp_path, ENQUIRY, thema=TEXT, person=person_field, plan=plan_field)
    record = {"id": "WC-1", "thema": "Pflege", **person, **plan}
    resources = mapping.get(record, **PLACE).resources
    assert len(resources) == 1 + len(person) + len(plan)
    assert all("subject" in one for one in by_type(resources, "CarePlan")) is (bool(person) or not plan)
    assert mapping.create(resources, **PLACE) == record
    assert mapping.put(resources, record, **PLACE) == record


SHARED = """
lists:
  - native: .
    anchors: {plan: {type: CarePlan, id: "{record}"}}
    lists:
      - native: ziele[]
        where: teil !~ ^nein
        anchors:
          goal: {type: Goal, id: "{record}/{key}", identifier: true, link: "plan.goal[]", mark: "category[] = kind#sub"}
        rules: [text <-> goal:description.text, teil <-> goal:statusReason]
      - native: ziele[]
        where: teil =~ ^nein
        anchors: {goal: {type: Goal, id: "{record}/{key}", identifier: true, link: "plan.goal[]"}}
        rules: [text <-> goal:description.text, teil <-> goal:statusReason]
"""


def test_two_lists_of_the_declaration_share_the_items_of_one_native_list(tmp_path: Path) -> None:
    mapping = mapping_of(tmp_path, "codes: codes.yaml\n" + SHARED, ziele=objects(id=TEXT, text=TEXT, teil=TEXT))
    items = [{"id": "1", "text": "A", "teil": "ja"}, {"id": "2", "text": "B", "teil": "nein"}, {"id": "3", "text": "C"}]
    record = {"id": "R", "ziele": items}
    resources = mapping.get(record, **PLACE).resources
    marked = [one["description"]["text"] for one in by_type(resources, "Goal") if "category" in one]
    assert marked == ["A", "C"]
    assert mapping.put(resources, record, **PLACE) == record
    first = by_type(resources, "Goal")[0]
    plan = resources[0]
    plan["goal"] = [pointer for pointer in plan["goal"] if pointer["reference"] != reference_of(first)]
    after = mapping.put(resources, record, **PLACE)
    assert [item["text"] for item in after["ziele"]] == [text for text in "ABC" if text != first["description"]["text"]]


BUNDLE = """
lists:
  - native: .
    anchors: {plan: {type: CarePlan, id: "{record}"}}
    rules:
      - CarePlan[0].title <-> plan:title
      - CarePlan[0].category[system=s].code <-> plan:description
"""


def test_a_native_field_may_be_selected_from_a_list(tmp_path: Path) -> None:
    category = objects(system=TEXT, code=TEXT)
    mapping = mapping_of(tmp_path, BUNDLE, CarePlan=objects(title=TEXT, category=category))
    record = {
        "id": "R",
        "CarePlan": [{"title": "T", "category": [{"system": "x", "code": "1"}, {"system": "s", "code": "2"}]}],
    }
    resources = mapping.get(record, **PLACE).resources
    assert (resources[0]["title"], resources[0]["description"]) == ("T", "2")
    resources[0]["title"] = "U"
    del resources[0]["description"]
    after = mapping.put(resources, record, **PLACE)
    assert after["CarePlan"] == [{"title": "U", "category": [{"system": "x", "code": "1"}, {"system": "s"}]}]
    assert mapping.create(resources, **PLACE)["CarePlan"] == [{"title": "U"}]


ABSENT = """
codes: codes.yaml
lists:
  - native: .
    anchors:
      plan: {type: CarePlan, id: "{record}", set: {status: unknown}}
      goal:
        type: Goal
        id: "{record}/goal"
        link: plan.goal[]
        set:
          description:
            extension: [{url: "http://hl7.org/fhir/StructureDefinition/data-absent-reason", valueCode: unknown}]
    rules:
      - status <-> plan:status | code kind else=unknown
      - ziel <-> goal:description | text
"""


def test_what_fhir_requires_and_the_record_does_not_say_is_said_to_be_absent(tmp_path: Path) -> None:
    mapping = mapping_of(tmp_path, ABSENT, status=TEXT, ziel=TEXT)
    record = {"id": "R", "status": "anders"}
    mapped = mapping.get(record, **PLACE)
    assert mapped.resources[0]["status"] == "unknown"
    assert mapped.resources[1]["description"]["extension"][0]["valueCode"] == "unknown"
    assert [(issue.severity, issue.path) for issue in mapped.issues] == [("warning", "status")]
    assert mapping.put(mapped.resources, record, **PLACE) == record
    mapped.resources[1]["description"] = {"text": "Wohnen"}
    assert mapping.put(mapped.resources, record, **PLACE) == record | {"ziel": "Wohnen"}


TIMES = """
zone: Europe/Copenhagen
lists:
  - native: .
    anchors: {plan: {type: CarePlan, id: "{record}", set: {status: active, intent: plan}}}
    rules:
      - fra <-> plan:period.start | datetime form=YYYYMMDDhhmmss
      - til <-> plan:period.end | datetime local
      - oprettet <-> plan:created | datetime
"""


@pytest.mark.parametrize(
    ("native", "fhir"),
    [
        (("20250219130501", "2025-07-19T13:00:00"), ("2025-02-19T13:05:01+01:00", "2025-07-19T13:00:00+02:00")),
        (("199205", "1992"), ("1992-05", "1992")),
        (("20251026023000", "2025-10-26T02:30:00+01:00"), ("2025-10-26T02:30:00+02:00", "2025-10-26T02:30:00+01:00")),
        (("20250330023000", "2025-03-30T02:30:00"), ("2025-03-30T02:30:00+01:00", "2025-03-30T02:30:00+01:00")),
    ],
    ids=["winter and summer", "partial", "the hour that comes twice", "the hour that does not come"],
)  # fmt: skip
def test_times_without_zone_are_the_countrys_and_come_back_to_the_letter(
    native: tuple[str, str], fhir: tuple[str, str], tmp_path: Path
) -> None:
    mapping = mapping_of(tmp_path, TIMES, fra=TEXT, til=TEXT, oprettet=TEXT)
    record = {"id": "R", "fra": native[0], "til": native[1]}
    resources = mapping.get(record, **PLACE).resources
    assert (resources[0]["period"]["start"], resources[0]["period"]["end"]) == fhir
    assert mapping.put(resources, record, **PLACE) == record


def test_a_changed_time_is_written_in_the_form_of_its_field(tmp_path: Path) -> None:
    mapping = mapping_of(tmp_path, TIMES, fra=TEXT, til=TEXT, oprettet=TEXT)
    record = {"id": "R", "fra": "20250219130501", "til": "2025-07-19T13:00:00", "oprettet": "2025-07-19T13:00:00"}
    resources = mapping.get(record, **PLACE).resources
    resources[0] |= {
        "period": {"start": "2026-01-31T12:00:00Z", "end": "2026-07-31T12:00:00Z"},
        "created": "2026-07-31T12:00:00Z",
    }
    after = mapping.put(resources, record, **PLACE)
    assert after == {
        "id": "R",
        "fra": "20260131130000",
        "til": "2026-07-31T14:00:00",
        "oprettet": "2026-07-31T12:00:00Z",
    }


WISHES = """
lists:
  - native: .
    anchors:
      plan: {type: CarePlan, id: "{record}", adopt: true, identifier: true, set: {status: active, intent: plan}}
    lists:
      - native: wishes[]
        anchors:
          wish: {type: Goal, id: "{record}/wishes/{key}", link: "plan.goal[]", set: {lifecycleStatus: active}}
          help:
            type: ServiceRequest
            id: "{record}/wishes/{key}"
            link: wish.addresses[]
            also: plan.activity[].reference
            set: {status: active, intent: plan}
        rules: [text <-> wish:description | text, with <-> help:code | text]
      - native: steps[]
        anchors:
          step:
            type: ServiceRequest
            id: "{record}/steps/{key}"
            link: plan.activity[].reference
            set: {status: active, intent: plan}
        rules: [text <-> step:code | text]
"""


def test_what_hangs_on_an_item_that_was_taken_away_is_no_other_lists_to_take(tmp_path: Path) -> None:
    mapping = mapping_of(tmp_path, WISHES, wishes=objects(text=TEXT, **{"with": TEXT}), steps=objects(text=TEXT))
    record = {"id": "R", "wishes": [{"text": "A cat", "with": "Kim"}], "steps": [{"text": "Cook"}]}
    said = mapping.get(record, **PLACE).resources
    came = [one | {"lifecycleStatus": "cancelled"} if one["resourceType"] == "Goal" else one for one in said]
    assert mapping.put(came, record, **PLACE) == {"id": "R", "steps": [{"text": "Cook"}]}
    assert mapping.create(came, **PLACE) == {"id": "R", "steps": [{"text": "Cook"}]}
