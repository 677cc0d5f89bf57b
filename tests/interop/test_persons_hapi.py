"""Persons at a real HAPI: what tests/flows does by hand, and HAPI's own Patient/$merge and its undo.

https://build.fhir.org/patient-operation-merge.html; HAPI's undo is Patient/$hapi.fhir.undo-merge. HAPI 8.8, and what
came after it until now, merges nobody who stands in a list of several: its patch goes to `CareTeam.participant.member`,
which names all members (ReplaceReferencesPatchBundleSvc looks at the end of the path alone): refused, HAPI-2704. So
HAPI merges here what it can, and persons of whole plans are merged by hand, in the two steps that it takes itself.
"""

from __future__ import annotations

import itertools
import json
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fhir_adapter.errors import RemoteError
from fhir_adapter.flows import parked, persons, sync
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.store import plans
from tests.flows.conftest import SAMPLES, Town, a_town
from tests.flows.test_joined_persons import (
    count_writes,
    test_a_duplicate_that_the_region_joined_into_our_person_stays_the_regions_affair,
    test_a_plan_that_the_region_points_to_another_person_stays_with_its_own,
    test_the_plan_follows_a_person_whom_the_region_joined_and_comes_back_when_it_is_undone,
    test_two_persons_of_ours_whom_the_region_joined_are_asked_about_and_each_plan_keeps_its_own,
    test_what_the_region_joined_can_be_joined_here_too,
)
from tests.flows.test_persons import (
    content,
    other,
    person_of,
    settle,
    test_a_party_that_never_had_the_other_person_hears_no_more_of_it_once_it_was_undone,
    test_a_record_that_comes_with_another_number_is_asked_about_and_taken_once_they_are_joined,
    test_joined_persons_are_one_to_everybody,
    test_one_number_and_two_birth_dates_stay_two_persons_until_somebody_has_looked,
    test_what_a_consent_refuses_in_one_plan_is_refused_in_the_other,
    test_what_was_undone_is_as_before_and_keeps_what_was_said_since,
    test_who_was_known_at_the_region_before_us_goes_by_that_name_after_a_joining_and_after_its_undoing,
    there,
    two_plans,
)

pytestmark = pytest.mark.hapi

__all__ = [
    "test_a_duplicate_that_the_region_joined_into_our_person_stays_the_regions_affair",
    "test_a_party_that_never_had_the_other_person_hears_no_more_of_it_once_it_was_undone",
    "test_a_plan_that_the_region_points_to_another_person_stays_with_its_own",
    "test_a_record_that_comes_with_another_number_is_asked_about_and_taken_once_they_are_joined",
    "test_joined_persons_are_one_to_everybody",
    "test_one_number_and_two_birth_dates_stay_two_persons_until_somebody_has_looked",
    "test_the_plan_follows_a_person_whom_the_region_joined_and_comes_back_when_it_is_undone",
    "test_two_persons_of_ours_whom_the_region_joined_are_asked_about_and_each_plan_keeps_its_own",
    "test_what_a_consent_refuses_in_one_plan_is_refused_in_the_other",
    "test_what_the_region_joined_can_be_joined_here_too",
    "test_what_was_undone_is_as_before_and_keeps_what_was_said_since",
    "test_who_was_known_at_the_region_before_us_goes_by_that_name_after_a_joining_and_after_its_undoing",
    "two_plans",
]

_PERSONS = itertools.count(int.from_bytes(os.urandom(2)) % 900)
NUMBER = "http://electronichealth.se/identifier/personnummer"


@pytest.fixture
def sip() -> dict[str, Any]:
    """SIP-1 about somebody whom this HAPI has not seen yet."""
    record: dict[str, Any] = json.loads((SAMPLES / "SIP-1.json").read_text("utf-8"))
    record["person"]["personnummer"] = f"19850716{next(_PERSONS):03d}0"
    return record


@pytest.fixture
def small(sip: dict[str, Any]) -> dict[str, Any]:
    """A plan whose person HAPI can merge: the only member of the team, called to no meeting."""
    sip["deltagare"] = sip["deltagare"][:1]
    sip["insatser"] = [{"id": "I1", "mal": ["M1.1"], "text": "Krisplan", "huvudman": "region", "status": "pågående"}]
    return sip | {
        "kallelse": None,
        "fast_vardkontakt": None,
        "uppfoljning": None,
        "huvudansvar": {"huvudman": "kommun"},
    }


@pytest.fixture
def town(tmp_path: Path, hapi: str) -> Iterator[Town]:
    yield from a_town(tmp_path, hapi)


@pytest.fixture
def index(hapi: str) -> Index:
    """The region's index of patients. Needs a HAPI that has registered the operation; the public image has not."""
    found = Index(FhirClient(hapi))
    listed = [each for rest in found.client.capability()["rest"] for each in rest["resource"]]
    operations = [one["name"] for each in listed if each["type"] == "Patient" for one in each.get("operation", [])]
    if "merge" not in operations:
        pytest.skip("this HAPI has no Patient/$merge; FHIR_ADAPTER_HAPI=build makes one that has")
    return found


class Index:
    """Joins two patients, and takes it back, by HAPI's operations."""

    def __init__(self, client: FhirClient) -> None:
        self.client = client

    def add(self, **elements: Any) -> str:
        """A patient of the region's own; returns `Patient/id`."""
        name = f"Patient/{uuid4()}"
        patient = {"resourceType": "Patient", "id": name.partition("/")[2], "active": True, **elements}
        self.client.send("PUT", name, json=patient)
        return name

    def merge(self, source: str, target: str, *more: dict[str, Any]) -> None:
        self._send("$merge", source, target, *more)

    def undo(self, source: str, target: str) -> None:
        self._send("$hapi.fhir.undo-merge", source, target)

    def _send(self, operation: str, source: str, target: str, *more: dict[str, Any]) -> None:
        given = [{"name": f"{name}-patient", "valueReference": {"reference": reference}}
                 for name, reference in (("source", source), ("target", target))]  # fmt: skip
        self.client.send(
            "POST", f"Patient/{operation}", json={"resourceType": "Parameters", "parameter": [*given, *more]}
        )


def test_the_plan_goes_on_when_hapi_merges_its_person_into_another_one(
    town: Town, small: dict[str, Any], index: Index
) -> None:
    plan = town.push(small).json()["plan"]["id"]
    settle(town)
    ours, before = person_of(town, plan), content(town, plan)
    theirs = index.add(name=[{"text": "Elin Å."}])
    writes = count_writes(town)
    index.merge(ours, theirs)
    rewritten = there(town)
    assert ours not in json.dumps([one for ref, one in rewritten.items() if not ref.startswith("Patient/")])
    settle(town)
    assert content(town, plan) == before, "nobody is joined here, and nothing is lost"
    assert [one.type for one in plans.members(town.service.hub.database.read(), plan)].count("Patient") == 1
    assert count_writes(town) == writes, "what HAPI rewrote is not written back"
    given_up = town.at_region(ours)
    assert given_up["link"] == [{"other": {"reference": theirs}, "type": "replaced-by"}]
    goal = town.goal_at_region(plan, "ringer")
    town.put_at_region(goal | {"note": [{"time": "2025-03-01T10:00:00Z", "text": "regionen"}]})
    small["mal"][2]["text"] = "Jag åker buss varje dag."
    town.push(small)
    settle(town)
    assert "regionen" in json.dumps(content(town, plan))
    assert town.goal_at_region(plan, "varje dag")["subject"]["reference"] == theirs
    assert town.at_region(ours) == given_up, "what HAPI gave up is not written over"


def test_the_plan_comes_back_to_its_person_when_hapi_undoes_it(town: Town, small: dict[str, Any], index: Index) -> None:
    plan = town.push(small).json()["plan"]["id"]
    settle(town)
    ours, before = person_of(town, plan), content(town, plan)
    theirs = index.add()
    index.merge(ours, theirs)
    settle(town)
    index.undo(ours, theirs)
    settle(town)
    assert content(town, plan) == before
    small["mal"][2]["text"] = "Jag cyklar."
    town.push(small)
    settle(town)
    assert town.goal_at_region(plan, "cyklar")["subject"]["reference"] == ours
    assert "link" not in town.at_region(ours)


def test_where_hapi_deletes_the_person_what_it_rewrote_is_parked_and_somebody_is_asked(
    town: Town, small: dict[str, Any], index: Index
) -> None:
    hub = town.service.hub
    plan = town.push(small).json()["plan"]["id"]
    settle(town)
    ours, before = person_of(town, plan), content(town, plan)
    theirs = index.add(name=[{"text": "Elin Å."}])
    index.merge(ours, theirs, {"name": "delete-source", "valueBoolean": True})
    for _ in range(3):
        sync.cycle(hub, hub.parties["region-stockholm"])
    after = content(town, plan)
    (asked,) = after.keys() - before.keys()
    assert after.pop(asked)["focus"]["reference"] == ours, "somebody is asked about the deleted person"
    assert after == before
    kept = parked.listed(hub)
    assert {each.what.partition("/")[0] for each in kept} >= {"CarePlan", "CareTeam", "Consent", "Goal"}
    assert {each.why for each in kept} == {"about another person than it was shared for"}


def test_hapi_merges_nobody_who_stands_in_a_list_of_several(town: Town, sip: dict[str, Any], index: Index) -> None:
    """The day this fails, HAPI can, and what is merged by hand here can be merged by it."""
    plan = town.push(sip).json()["plan"]["id"]
    settle(town)
    before = there(town)
    with pytest.raises(RemoteError) as refused:
        index.merge(person_of(town, plan), index.add())
    assert refused.value.answered == 400
    assert there(town) == before, "all or nothing"


def test_a_duplicate_that_hapi_merges_into_our_person_brings_its_number_and_stays_hapis_affair(
    town: Town, sip: dict[str, Any], index: Index
) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    settle(town)
    ours = person_of(town, plan)
    duplicate = index.add(identifier=[{"system": NUMBER, "value": str(uuid4())}])
    index.merge(duplicate, ours)
    settle(town)
    known = town.get(f"/fhir/{ours}").json()
    assert [one.get("use") for one in known["identifier"]] == ["official", "old"]
    assert "link" not in known
    assert [one.type for one in plans.members(town.service.hub.database.read(), plan)].count("Patient") == 1
    sip["person"]["phone"] = "070-222 22 22"
    town.push(sip)
    settle(town)
    there = town.at_region(ours)
    replaces = {"other": {"reference": duplicate}, "type": "replaces"}
    assert (there["telecom"][0]["value"], there["link"]) == ("070-222 22 22", [replaces])


def test_two_persons_of_ours_whom_hapi_merges_are_asked_about(town: Town, small: dict[str, Any], index: Index) -> None:
    hub = town.service.hub
    first = town.push(small).json()["plan"]["id"]
    second = town.push(other(small), party="nykvarn").json()["plan"]["id"]
    settle(town)
    old, new = person_of(town, first), person_of(town, second)
    before = content(town, first)
    index.merge(old, new)
    settle(town)
    assert content(town, first) == before
    (asked,) = persons.listed(hub)
    assert (asked.pair.old, asked.pair.new, asked.pair.why) == (old, new, "joined-there")
    persons.join(hub, old, new, hub.parties["region-stockholm"], "joined in the region's index of patients")
    settle(town)
    assert person_of(town, first) == new


def test_a_person_whom_hapi_merged_before_is_found_behind_the_record_that_was_given_up(
    town: Town, sip: dict[str, Any], index: Index
) -> None:
    number = {"system": NUMBER, "value": sip["person"]["personnummer"]}
    given_up = index.add(identifier=[number], birthDate="1985-07-14")
    remaining = index.add(birthDate="1985-07-14")
    index.merge(given_up, remaining)
    plan = town.push(sip).json()["plan"]["id"]
    settle(town)
    assert town.at_region(f"CarePlan/{plan}")["subject"]["reference"] == remaining
