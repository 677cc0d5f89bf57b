"""How items are told apart, and the ids that could not tell them apart."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from fhir_adapter.errors import Refused
from fhir_adapter.mapping.load import find

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
