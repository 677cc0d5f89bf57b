"""Which of the sender's own fields a FHIR element came from."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_adapter.fhir.resources import parse_json, reference_of
from fhir_adapter.flows.convert import NAMESPACE, source_of
from fhir_adapter.mapping.engine import Mapped
from fhir_adapter.mapping.load import FOLDER, find

SAMPLES = FOLDER / "se-sip" / "samples"


def mapped(sample: Path) -> Mapped:
    return find("se-sip").get(parse_json(sample.read_bytes()), source=source_of("se-sip"), namespace=NAMESPACE)


@pytest.fixture(scope="module")
def elin() -> Mapped:
    return mapped(SAMPLES / "SIP-1.json")


@pytest.fixture(scope="module")
def full() -> Mapped:
    return mapped(SAMPLES / "full.json")


def reference(record: Mapped, kind: str, number: int = 0) -> str:
    """The reference of one of the resources of a type, in the order of the record."""
    return [reference_of(one) for one in record.resources if one["resourceType"] == kind][number]


PLAIN = [
    ("CarePlan", 0, "title", "title_local"),
    ("Patient", 0, "telecom[phone].value", "person.phone"),
    ("Patient", 0, "identifier[http://electronichealth.se/identifier/personnummer]", "person.personnummer"),
    ("Patient", 0, "address[0a1b2c3d].city", "person.address"),
    ("Goal", 0, "description", "vad_ar_viktigt"),
    ("Goal", 2, "description", "mal[1].text"),
    ("Goal", 2, "description.text", "mal[1].text"),
    ("Goal", 2, "lifecycleStatus", "mal[1].status"),
    ("Goal", 2, "target[0a1b2c3d].dueDate", "mal[1].senast"),
    ("Goal", 1, "target[0a1b2c3d].due", "mal[0].tidsram"),
    ("ServiceRequest", 0, "occurrence.start", "insatser[0].start"),
    ("ServiceRequest", 0, "performer[0a1b2c3d]", "insatser[0].ansvarig"),
    ("Task", 1, "status", "insatser[0].status"),
    ("Appointment", 0, "start", "kallelse.mote"),
]


@pytest.mark.parametrize(("kind", "number", "element", "field"), PLAIN, ids=lambda value: str(value))
def test_an_element_leads_to_the_field_it_came_from(
    elin: Mapped, kind: str, number: int, element: str, field: str
) -> None:
    assert elin.native_path(reference(elin, kind, number), element) == field


def test_a_whole_resource_leads_to_its_item_or_to_the_object_of_its_fields(elin: Mapped) -> None:
    assert elin.native_path(reference(elin, "ServiceRequest", 1), "") == "insatser[1]"
    assert elin.native_path(reference(elin, "Task", 2), "") == "insatser[1]"
    assert elin.native_path(reference(elin, "Patient"), "") == "person"
    assert elin.native_path(reference(elin, "PractitionerRole"), "") == "deltagare[2]"
    assert elin.native_path(reference(elin, "CarePlan"), "") == ""


def test_a_participant_is_told_by_whom_it_refers_to(elin: Mapped) -> None:
    team, role = reference(elin, "CareTeam"), reference(elin, "PractitionerRole", 1)
    assert elin.native_path(team, f"participant[{role}].role") == "deltagare[3].roll"
    assert elin.native_path(team, f"participant[{role}]") == "deltagare[3]"
    assert elin.native_path(team, f"participant[{role}].period.end") == "deltagare[3]"


def test_a_link_leads_to_the_item_that_it_links_to(elin: Mapped) -> None:
    goal = reference(elin, "Goal", 2)
    assert elin.native_path(reference(elin, "CarePlan"), f"goal[{goal}]") == "mal[1]"


def test_a_note_leads_to_its_list_where_the_key_does_not_tell_which_it_is(full: Mapped) -> None:
    plan = reference(full, "CarePlan")
    assert full.native_path(plan, "note[0a1b2c3d]") == "anteckningar"
    assert full.native_path(plan, "note") == "anteckningar"


def test_the_list_is_named_even_where_the_record_has_no_item_in_it(elin: Mapped) -> None:
    assert elin.native_path(reference(elin, "Goal", 2), "note[0a1b2c3d].text") == "mal[1].anteckningar"


def test_of_two_fields_that_write_one_element_the_last_to_write_is_named(full: Mapped) -> None:
    assert full.native_path(reference(full, "Goal", 2), "achievementStatus") == "uppfoljning[0].resultat[0].resultat"


def test_several_fields_inside_one_element_lead_to_what_holds_them(full: Mapped) -> None:
    assert full.native_path(reference(full, "Goal", 2), "target[0a1b2c3d]") == "mal[1]"
    assert full.native_path(reference(full, "Goal", 2), "target[0a1b2c3d].detail") == "mal[1].mal_varde"


def test_an_organisation_leads_to_the_first_field_that_speaks_of_it(elin: Mapped) -> None:
    assert elin.native_path(reference(elin, "Organization"), "name") == "huvudansvar.huvudman"


@pytest.mark.parametrize("element", ["", "description", "note[0a1b2c3d]"])
def test_what_the_record_does_not_hold_leads_nowhere(elin: Mapped, element: str) -> None:
    assert elin.native_path("Goal/4a5dcd23-0000-4000-8000-000000000000", element) == ""


def test_an_element_that_no_field_makes_leads_nowhere(elin: Mapped) -> None:
    assert elin.native_path(reference(elin, "CarePlan"), "intent") == ""
    assert elin.native_path(reference(elin, "CarePlan"), "nothing[like].this") == ""
