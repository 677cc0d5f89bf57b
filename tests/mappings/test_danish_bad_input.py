"""What is wrong or doubtful in a Danish record is told under the sender's own field names."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_adapter.errors import Refused
from fhir_adapter.flows.convert import NAMESPACE, source_of
from fhir_adapter.mapping.engine import Mapped
from fhir_adapter.mapping.load import FOLDER, find

Record = dict[str, Any]
COURSE, CITIZEN = "dk-integrerede-forloeb", "dk-borgerens-plan"
CASES = Path(__file__).resolve().parents[2].parent / "shared" / "cases.json"
MAPPING_OF = {"dk-integreret": COURSE, "borgerens-plan": CITIZEN}


def sample(mapping: str, name: str) -> Record:
    found: Record = json.loads((FOLDER / mapping / "samples" / f"{name}.json").read_text("utf-8"))
    return found


def mapped(mapping: str, record: Record) -> Mapped:
    return find(mapping).get(record, source=source_of(mapping), namespace=NAMESPACE)


def refusals(mapping: str, record: Record) -> set[tuple[str, str]]:
    with pytest.raises(Refused) as refused:
        mapped(mapping, record)
    return {(issue.code, issue.path) for issue in refused.value.issues if issue.severity == "error"}


def warnings(mapping: str, record: Record) -> set[str]:
    return {issue.path for issue in mapped(mapping, record).issues}


REFUSED: list[tuple[str, str, Callable[[Record], Any], tuple[str, str]]] = [
    (COURSE, "DK-FAA", lambda n: n.update(submodel="Odense (0461)"), ("code-invalid", "submodel")),
    (COURSE, "DK-FAA", lambda n: n.pop("submodel"), ("required", "submodel")),
    (COURSE, "DK-FAA", lambda n: n["person"].pop("cpr"), ("required", "person.cpr")),
    (COURSE, "DK-FAA", lambda n: n["person"].update(cpr="010772-9995"), ("value", "person.cpr")),
    (COURSE, "DK-FAA", lambda n: n["person"].update(kommune="Faaborg"), ("value", "person.kommune")),
    (COURSE, "DK-FAA", lambda n: n.update(status="kører"), ("code-invalid", "status")),
    (COURSE, "DK-FAA", lambda n: n["maal"][1].update(status="kører"), ("code-invalid", "maal[1].status")),
    (COURSE, "DK-FAA", lambda n: n["maal"][1].pop("text"), ("required", "maal[1].text")),
    (COURSE, "DK-FAA", lambda n: n["maal"][1].update(id="IM1"), ("duplicate", "maal[1].id")),
    (COURSE, "DK-FAA", lambda n: n.update(opfoelgning=["2025-04-14", "til sommer"]), ("value", "opfoelgning[1]")),
    (COURSE, "DK-FAA", lambda n: n.update(opfoelgning="til sommer"), ("value", "opfoelgning")),
    (COURSE, "DK-FAA", lambda n: n.update(opfoelgning=[3]), ("structure", "opfoelgning[0]")),
    (COURSE, "DK-FAA", lambda n: n["ydelser"][0].update(start="2025-02-30"), ("value", "ydelser[0].start")),
    (COURSE, "DK-FAA", lambda n: n["maalgruppe"][0].update(rang=0), ("value", "maalgruppe[0].rang")),
    (COURSE, "DK-FAA", lambda n: n["maalepunkt"].update(maal="en"), ("structure", "maalepunkt.maal")),
    (COURSE, "DK-KOL", lambda n: n["foraeldre"][0].update(samtykke="måske"), ("code-invalid", "foraeldre[0].samtykke")),
    (CITIZEN, "BP-1", lambda n: n["maal"][0]["fremdrift"][1].update(score="seks"),
     ("structure", "maal[0].fremdrift[1].score")),
    (CITIZEN, "BP-1", lambda n: n["maal"][0]["delmaal"][0].update(frist="snart"),
     ("value", "maal[0].delmaal[0].frist")),
    (CITIZEN, "BP-1", lambda n: n.update(erstatter=[""]), ("value", "erstatter[0]")),
    (CITIZEN, "BP-1", lambda n: n["parter"][1].update(cvr="6494"), ("value", "parter[1].cvr")),
]  # fmt: skip


@pytest.mark.parametrize(("mapping", "name", "spoil", "told"), REFUSED, ids=[told[1] for *_, told in REFUSED])
def test_a_wrong_value_refuses_the_record_under_its_own_field(
    mapping: str, name: str, spoil: Callable[[Record], Any], told: tuple[str, str]
) -> None:
    record = sample(mapping, name)
    spoil(record)
    assert refusals(mapping, record) == {told}


WARNED: list[tuple[str, str, Callable[[Record], Any], str]] = [
    (COURSE, "DK-KOL", lambda n: n.pop("foraeldre"), "foraeldre"),
    (COURSE, "DK-KOL", lambda n: n["foraeldre"][1].pop("samtykke"), "foraeldre[1].samtykke"),
    (COURSE, "DK-KOL", lambda n: n.update(moeder=[]), "moeder"),
    (COURSE, "DK-KOL", lambda n: n["moeder"][0].update(indkaldt="2025-03-31"), "moeder[0].tid"),
    (COURSE, "DK-KOL", lambda n: n["forloeb"].update(udredningsret_frist="2025-05-11"), "forloeb.udredningsret_frist"),
    (COURSE, "DK-KOL", lambda n: n["samtykke"].update(parter=["Kolding PPR"]), "samtykke.parter"),
    (COURSE, "DK-FAA", lambda n: n.pop("kriseplan"), "kriseplan"),
    (COURSE, "DK-FAA", lambda n: n.pop("maalepunkt"), "maalepunkt.maal"),
    (COURSE, "DK-FAA", lambda n: n["person"].update(kommune="0607"), "submodel"),
    (COURSE, "DK-FAA", lambda n: n["tilstande"][0].pop("niveau"), "tilstande[0].niveau"),
    (COURSE, "DK-FAA", lambda n: n["maalgruppe"][0].update(text="Angst"), "maalgruppe[0].text"),
    (COURSE, "DK-FAA", lambda n: n["maalgruppe"][1].update(code="16075f99"), "maalgruppe[1].code"),
    (COURSE, "DK-FAA", lambda n: n.update(stoettebehov="1c327095-107f-4b96-88d0-ec562cb980be"), "stoettebehov"),
    (COURSE, "DK-FRE", lambda n: n["udskrivningsaftale"].pop("handling_ved_brud"),
     "udskrivningsaftale.handling_ved_brud"),
    (COURSE, "DK-FRE", lambda n: n["udskrivningsaftale"].update(parter=["patient"]), "udskrivningsaftale.parter"),
    (COURSE, "DK-HOL", lambda n: n["koordinationsplan"].update(patient_medvirker=True),
     "koordinationsplan.patient_medvirker"),
    (COURSE, "DK-HOL", lambda n: n.pop("koordinationsplan"), "koordinationsplan"),
    (COURSE, "DK-HOL", lambda n: n.pop("opfoelgning"), "opfoelgning"),
    (COURSE, "DK-SIL", lambda n: n["samtykke"].update(parter=["Silkeborg Kommune"]), "samtykke.parter"),
    (CITIZEN, "BP-1", lambda n: n.update(erstatter="§ 141-handleplan"), "erstatter"),
    (CITIZEN, "BP-1", lambda n: n["maal"][1]["fremdrift"][0].update(score=11), "maal[1].fremdrift[0].score"),
    (CITIZEN, "BP-1", lambda n: n["maal"][0]["fremdrift"][0].update(skala="1-3"), "maal[0].fremdrift[0].score"),
    (CITIZEN, "BP-1", lambda n: n["parter"].pop(0), "parter"),
    (CITIZEN, "BP-1", lambda n: n.pop("borgerens_stemme"), "borgerens_stemme"),
]  # fmt: skip


@pytest.mark.parametrize(("mapping", "name", "spoil", "told"), WARNED, ids=[told for *_, told in WARNED])
def test_what_the_plan_should_have_is_a_warning_on_the_senders_field_and_the_record_is_taken(
    mapping: str, name: str, spoil: Callable[[Record], Any], told: str
) -> None:
    record = sample(mapping, name)
    before = warnings(mapping, record)
    spoil(record)
    assert warnings(mapping, record) - before == {told}


@pytest.mark.parametrize("cpr", ["1502779995", "0101814321", "6107729995"])
def test_numbers_that_fail_modulus_11_and_replacement_numbers_are_taken_as_they_are(cpr: str) -> None:
    record = sample(COURSE, "DK-FAA")
    record["person"]["cpr"] = cpr
    patient = next(one for one in mapped(COURSE, record).resources if one["resourceType"] == "Patient")
    assert patient["identifier"] == [{"use": "official", "system": "urn:oid:1.2.208.176.1.2", "value": cpr}]
    assert "person.cpr" not in warnings(COURSE, record)


def test_a_protected_name_and_address_are_marked_as_restricted() -> None:
    record = sample(COURSE, "DK-FAA")
    record["person"]["beskyttelse"] = "adressebeskyttelse"
    patient = next(one for one in mapped(COURSE, record).resources if one["resourceType"] == "Patient")
    label = {"system": "http://terminology.hl7.org/CodeSystem/v3-Confidentiality", "code": "R", "display": "restricted"}
    assert patient["meta"]["security"] == [label]


def test_a_replacement_number_identifies_a_person_without_cpr() -> None:
    record = sample(COURSE, "DK-FAA")
    del record["person"]["cpr"]
    record["person"] |= {"d_ecpr": "0703921VJ4", "d_ecpr_udsteder": "1.2.208.176.1.6.1.3.183"}
    patient = next(one for one in mapped(COURSE, record).resources if one["resourceType"] == "Patient")
    assert patient["identifier"][0]["system"] == "urn:oid:1.2.208.176.1.6.1.3.183"


def test_every_submodel_names_its_municipality_and_region_as_the_organisations_file_does() -> None:
    submodels = yaml.safe_load((FOLDER / COURSE / "submodels.yaml").read_text("utf-8"))
    register = find(COURSE).knowledge.register
    regions = {"DK-82": "Region Midtjylland", "DK-83": "Region Syddanmark"}
    words = {"municipality", "region", "area", "target_group", "parties", "meetings", "categories", "shared_house",
             "children", "measure"}  # fmt: skip
    assert set(submodels) == {"silkeborg", "randers", "kolding", "faaborg-midtfyn", "fredericia", "holstebro"}
    for name, submodel in submodels.items():
        about = submodel["about"]
        assert set(about) == words, name
        number = register.organisation_of(about["municipality"], "region")
        assert register.organisations[str(number)].name == regions[about["region"]]
        asks_for_parents = any(demand.get("need") == "foraeldre" for demand in submodel["demands"])
        assert asks_for_parents is about["children"], name


@pytest.mark.parametrize("name", ["DK-KOL", "DK-FAA", "DK-FRE", "DK-HOL", "DK-SIL", "BP-1", "BP-2"])
def test_the_cases_go_through_as_they_were_told(name: str) -> None:
    if not CASES.is_file():
        pytest.skip("the cases are not beside the project")
    record = next(case for case in json.loads(CASES.read_text("utf-8")) if case["id"] == name)
    mapping = MAPPING_OF[record["system"]]
    done = mapped(mapping, record)
    assert {lost.path for lost in done.unmapped} <= {"konflikt"}
    assert find(mapping).put(done.resources, record, source=source_of(mapping), namespace=NAMESPACE) == record


def test_a_party_told_by_a_designation_does_not_go_by_the_name_of_a_person() -> None:
    parties = [{"org": "Huset"}, {"betegnelse": "Huset", "navn": "Mo Prøve"}, {"navn": "Mo Prøve"}]
    found = mapped(CITIZEN, {"id": "1", "person": {"cpr": "1007059995"}, "parter": parties})
    team = next(one for one in found.resources if one["resourceType"] == "CareTeam")
    house = next(one for one in found.resources if one["resourceType"] == "Organization")
    assert [one["member"].get("display") for one in team["participant"]] == [None, "Huset", "Mo Prøve"]
    assert team["participant"][1]["member"]["reference"] == f"Organization/{house['id']}"
    assert [one.path for one in found.unmapped] == ["parter[1].navn"]
