"""How items are told apart, and the ids that could not tell them apart."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from fhir_adapter.errors import Refused
from fhir_adapter.fhir.resources import parse_json, reference_of
from fhir_adapter.mapping.load import FOLDER, find

PLACE: dict[str, Any] = {"source": "https://source.example", "namespace": UUID(int=7)}
BORN = "3f2b8f0e-64f5-4b59-9a3f-0d8a0f5a1c11"
RECORD: dict[str, Any] = {"id": "R", "system": "sip", "person": {"name": "A", "personnummer": "198507142381"}}


@pytest.mark.parametrize(
    ("lists", "path", "message"),
    [
        ({"insatser": [{"id": "1"}, {"id": "1"}]}, "insatser[1].id", "another item of the same list"),
        ({"insatser": [{"id": "#1"}]}, "insatser[0].id", "stands for the place of an item without id"),
        (
            {"insatser": [{"id": BORN}], "atgarder_av_annan": [{"id": BORN}]},
            "insatser[0].id",
            "used in another list of the record",
        ),
    ],
)
def test_an_id_that_tells_nothing_apart_is_refused(lists: dict[str, Any], path: str, message: str) -> None:
    with pytest.raises(Refused) as refusal:
        find("se-sip").get(RECORD | lists, **PLACE)
    assert [issue.path for issue in refusal.value.issues] == [path]
    assert message in refusal.value.issues[0].message


def test_items_of_one_name_are_told_apart_by_their_order_and_come_back_so() -> None:
    record = RECORD | {"deltagare": [{"namn": "A B", "roll": "läkare"}, {"namn": "A B", "roll": "kurator"}]}
    mapping = find("se-sip")
    resources = mapping.get(record, **PLACE).resources
    assert mapping.create(resources, **PLACE)["deltagare"] == record["deltagare"]
    assert mapping.put(resources, record, **PLACE) == record


@pytest.mark.parametrize(
    "lists",
    [
        {"maalgruppe": [{}, {"rang": 2}, {}]},
        {"maalgruppe": [{"rang": 1}, {"code": "en ukendt"}, {"rang": 2}]},
        {"deltagere": [{"navn": "#1"}, {"telefon": "1"}]},
        {"deltagere": [{"navn": "a"}, {"navn": "a#2"}, {"navn": "a"}, {"rolle": "læge"}]},
        {"opfoelgning": [{"dato": "2025-03-30T02:30:00", "resultat_code": "x"}]},
    ],
    ids=str,
)
def test_items_told_by_a_name_or_by_none_come_back_as_the_same_things(lists: dict[str, Any]) -> None:
    mapping = find("dk-integrerede-forloeb")
    resources = mapping.get(sample("DK-FAA") | lists, **PLACE).resources
    again = mapping.get(mapping.create(resources, **PLACE), **PLACE).resources
    assert sorted(map(reference_of, again)) == sorted(map(reference_of, resources))
    assert len({reference_of(resource) for resource in resources}) == len(resources)


def test_who_leaves_gives_the_name_free_for_another_of_the_same_name() -> None:
    mapping, before = find("dk-borgerens-plan"), sample("BP-1", "dk-borgerens-plan")
    after = before | {"parter": [{"navn": "Mo Prøve", "rolle": "udfører"}]}
    said = mapping.get(after, **PLACE).resources
    put = mapping.put(said, before | {"parter": [{"navn": "Mo Prøve", "rolle": "borger"}]}, **PLACE)
    assert put["parter"] == [{"navn": "Mo Prøve", "rolle": "udfører"}]


def sample(name: str, mapping: str = "dk-integrerede-forloeb") -> dict[str, Any]:
    record: dict[str, Any] = parse_json((FOLDER / mapping / "samples" / f"{name}.json").read_bytes())
    return record
