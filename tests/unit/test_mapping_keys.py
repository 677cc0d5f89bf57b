"""How items are told apart, and the ids that could not tell them apart."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from fhir_adapter.errors import Refused
from fhir_adapter.fhir.resources import parse_json, reference_of
from fhir_adapter.mapping.load import FOLDER, find
from fhir_adapter.mapping.model import Mapped
from fhir_adapter.mapping.recognising import Earlier

PLACE: dict[str, Any] = {"source": "https://source.example", "namespace": UUID(int=7)}
BORN = "3f2b8f0e-64f5-4b59-9a3f-0d8a0f5a1c11"
RECORD: dict[str, Any] = {"id": "R", "system": "sip", "person": {"name": "A", "personnummer": "198507142381"}}


@pytest.mark.parametrize(
    ("lists", "path", "message"),
    [
        ({"insatser": [{"id": "1"}, {"id": "1"}]}, "insatser[1].id", "another item of the same list"),
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


def test_one_id_may_stand_in_two_places_where_it_is_the_id_of_no_resource() -> None:
    step = {"id": BORN, "description": "a step"}
    places = [{"id": name, "location": {"id": name, "accessibility": [step]}} for name in "ab"]
    mapping = find("de-angebotsinventar")
    record = {"id": "R", "name": "Offer", "status": "active", "service_at_locations": places}
    assert mapping.put(mapping.get(record, **PLACE).resources, record, **PLACE) == record


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


@pytest.mark.parametrize("goals", [["a", "b", "c"], ["a", "a", "b"]], ids=str)
def test_who_stood_behind_one_that_is_gone_is_still_the_same(goals: list[str]) -> None:
    mapping, record = find("se-sip"), RECORD | {"mal": [{"text": text} for text in goals]}
    said = mapping.get(record, **PLACE).resources
    first, second, third = (resource for resource in said if resource["resourceType"] == "Goal")
    plan = said[0] | {"goal": [one for one in said[0]["goal"] if one["reference"] != reference_of(first)]}
    left = [plan if one is said[0] else one for one in said if one is not first]
    after = mapping.put(left, record, **PLACE)
    assert after["mal"] == [{"text": goals[1], "id": "#2"}, {"text": goals[2]}]
    again = mapping.get(after | {"mal": [*after["mal"], {"text": "new"}]}, **PLACE).resources
    names = [reference_of(resource) for resource in again if resource["resourceType"] == "Goal"]
    assert names[:2] == [reference_of(second), reference_of(third)]
    assert names[2] not in {reference_of(first), *names[:2]}
    assert mapping.create(mapping.get(after, **PLACE).resources, **PLACE)["mal"][0]["id"] == "#2"


def test_an_item_without_id_takes_no_place_that_another_has_as_its_id() -> None:
    goals = [{"text": "a"}, {"text": "b", "id": "#1"}, {"text": "c"}]
    said = find("se-sip").get(RECORD | {"mal": goals}, **PLACE).resources
    assert len({one["id"] for one in said if one["resourceType"] == "Goal"}) == 3


def test_who_leaves_gives_the_name_free_for_another_of_the_same_name() -> None:
    mapping, before = find("dk-borgerens-plan"), sample("BP-1", "dk-borgerens-plan")
    after = before | {"parter": [{"navn": "Mo Prøve", "rolle": "udfører"}]}
    said = mapping.get(after, **PLACE).resources
    put = mapping.put(said, before | {"parter": [{"navn": "Mo Prøve", "rolle": "borger"}]}, **PLACE)
    assert put["parter"] == [{"navn": "Mo Prøve", "rolle": "udfører"}]


def sample(name: str, mapping: str = "dk-integrerede-forloeb") -> dict[str, Any]:
    record: dict[str, Any] = parse_json((FOLDER / mapping / "samples" / f"{name}.json").read_bytes())
    return record


def test_items_without_ids_inside_others_are_known_wherever_both_stand() -> None:
    mapping = find("dk-borgerens-plan")
    steps = [{"text": "Søger bolig", "frist": "2025-06"}, {"text": "Laver mad", "frist": "2025-04"}]
    goals = [
        {"id": "B1", "text": "Et hjem", "delmaal": steps},
        {"id": "B2", "text": "Ro", "delmaal": [{"text": "Går"}]},
    ]
    first = sample("BP-2", "dk-borgerens-plan") | {"maal": goals}
    moved = first | {"maal": [goals[1], goals[0] | {"delmaal": [steps[1] | {"frist": "2025-05"}, {"text": "Sover"}]}]}
    names = mapping.names_in(moved, [Earlier(first)], **PLACE)
    said, after = (
        goals_of(mapping.get(record, **PLACE, names=with_)) for record, with_ in ((first, {}), (moved, names))
    )
    assert after.keys() - said.keys() == {"Sover"}
    assert {words: id_ for words, id_ in said.items() if words != "Søger bolig"}.items() <= after.items()
    assert after["Sover"] not in said.values()
    assert mapping.put(mapping.get(moved, **PLACE, names=names).resources, moved, **PLACE, names=names) == moved


def goals_of(mapped: Mapped) -> dict[str, str]:
    """The id of each goal, by its words."""
    return {one["description"]["text"]: one["id"] for one in mapped.resources if one["resourceType"] == "Goal"}


def test_a_name_of_several_lines_makes_an_id_of_one() -> None:
    followed = {"id": "1", "resultater": [{"maal": "to\nlinjer", "kommentar": word} for word in ("en", "to")]}
    record = RECORD | {
        "system": "borgerens-plan",
        "person": {"name": "A", "cpr": "1007059995"},
        "opfoelgning": [followed],
    }
    mapping = find("dk-borgerens-plan")
    resources = mapping.get(record, **PLACE).resources
    first = next(one for one in resources if "en" in [note.get("text") for note in one.get("note", ())])
    left = mapping.put([one for one in resources if one is not first], record, **PLACE)
    assert mapping.get(left, **PLACE).resources
    assert [one["kommentar"] for one in left["opfoelgning"][0]["resultater"]] == ["to"]
