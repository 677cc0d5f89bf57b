"""The way back looks only for what may stand elsewhere than before: looking for everything gives the same record."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.fhir.resources import CODES, Resource, parse_json
from fhir_adapter.flows.convert import NAMESPACE, source_of
from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.inputs.declared import one_of_any
from fhir_adapter.mapping.load import FOLDER, find

SAMPLES = [path for path in sorted(FOLDER.glob("*/samples/full.*")) if path.suffixes in ([".json"], [".xml"])]


def less(resources: list[Resource]) -> Iterator[tuple[str, list[Resource]]]:
    """What is left without a resource, an element of one, or the first item of an element."""
    for place, one in enumerate(resources):
        before, after = resources[:place], resources[place + 1 :]
        yield one["resourceType"], before + after
        for name in one.keys() - {"resourceType", "id"}:
            kept = {other: child for other, child in one.items() if other != name}
            yield f"{one['resourceType']}.{name}", [*before, kept, *after]
            if isinstance(one[name], list) and len(one[name]) > 1:
                yield f"{one['resourceType']}.{name}[0]", [*before, one | {name: one[name][1:]}, *after]


def codings(concept: Any) -> list[str]:
    return [coding["code"] for coding in (concept or {}).get("coding", ())]


def read(sample: Path) -> tuple[Mapping, Any, dict[str, Any]]:
    mapping = find(sample.parents[1].name)
    record = one_of_any(mapping.format, sample.read_bytes())
    return mapping, record, {"source": source_of(mapping.name), "namespace": NAMESPACE}


@pytest.mark.parametrize("sample", SAMPLES, ids=[path.parents[1].name for path in SAMPLES])
def test_whatever_did_not_come_looking_for_all_finds_what_is_known(sample: Path) -> None:
    mapping, record, place = read(sample)
    looking = mapping.searching()
    for what, resources in less(mapping.get(record, **place).resources):
        assert mapping.put(resources, record, **place) == looking.put(resources, record, **place), what


def test_what_a_mark_tells_moves_with_it(se_sip: Mapping, place: dict[str, Any]) -> None:
    """An intervention that is marked as somebody else's is no longer in the list of one's own."""
    record = parse_json((FOLDER / "se-sip" / "samples" / "full.json").read_bytes())
    resources = se_sip.get(record, **place).resources
    mine = record["insatser"][0]["text"]
    marked = {"category": [{"coding": [{"system": f"{CODES}/sip-intervention", "code": "atgard-av-annan"}]}]}
    said = [one | marked if one.get("code") == {"text": mine} else one for one in resources]
    after = se_sip.put(said, record, **place)
    assert mine not in [item["text"] for item in after["insatser"]]
    assert mine in [item["text"] for item in after["atgarder_av_annan"]]


def test_what_hangs_on_something_that_did_not_come_is_taken_for_nothing_else() -> None:
    """The referrals of an enquiry that did not come are still referrals: no measures of the plan."""
    mapping, record, place = read(FOLDER / "at-wippcare" / "samples" / "full.json")
    resources = mapping.get(record, **place).resources
    enquiry = next(one for one in resources if codings(one.get("code")) == ["anfrage"])
    others = [one for one in resources if one is not enquiry]
    assert record["clearing"]["entscheidung"]
    assert mapping.put(others, record, **place) == record
