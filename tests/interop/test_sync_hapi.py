"""The sync with a real HAPI: five parties, faults, a stale history, deletions, joined persons, the probe."""

from __future__ import annotations

import itertools
import os
from pathlib import Path

import pytest

from fhir_adapter.errors import RemoteConflict
from fhir_adapter.faults import faults_in
from fhir_adapter.fhir.resources import parse_json
from fhir_adapter.flows import deciding
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.probe import probe_at
from fhir_adapter.flows.push import Delivery
from fhir_adapter.flows.verify import verify
from fhir_adapter.remotes.client import PAGE
from fhir_adapter.store import conflicts, plans, resources
from tests.faults.roads import REGION
from tests.faults.test_faults import (
    MIXED,
    a_troubled_region,
    check_nothing_was_lost_doubled_or_disordered,
    edits_of_both_sides,
    settle,
    turn,
)
from tests.flows.five_parties import (
    a_pointer_into_a_record_of_its_own_holds_up_no_other,
    all_edit_and_it_settles,
    five_parties,
)

pytestmark = pytest.mark.hapi

_PERSONS = itertools.count(int.from_bytes(os.urandom(2)) % 800 + 100)


def a_person() -> str:
    """A number that this HAPI has not seen yet."""
    return f"19850715{next(_PERSONS)}0"


def test_five_parties_with_hapi_as_one_region_settle(tmp_path: Path, hapi: str) -> None:
    with five_parties(tmp_path, hapi) as five:
        all_edit_and_it_settles(five, a_person())


def test_a_pointer_into_one_regions_record_does_not_keep_hapi_from_being_given_the_plan(
    tmp_path: Path, hapi: str
) -> None:
    with five_parties(tmp_path, hapi) as five:
        a_pointer_into_a_record_of_its_own_holds_up_no_other(five, a_person())


@pytest.mark.parametrize("faults", [MIXED, "stale:60s", "drop-answer:0.3,duplicate:0.2"])
def test_sync_settles_before_hapi_under(faults: str, tmp_path: Path, hapi: str) -> None:
    with a_troubled_region(tmp_path, faults, hapi) as (hub, region, proxy):
        plan, goal = edits_of_both_sides(hub, region, proxy, a_person())
        assert proxy.counts
        proxy.faults = tuple(fault for fault in proxy.faults if fault.kind != "stale")
        settle(hub)
        check_nothing_was_lost_doubled_or_disordered(hub, region, plan, goal)


def test_a_look_over_pages_of_hapis_history_comes_through_half_of_the_requests(tmp_path: Path, hapi: str) -> None:
    with a_troubled_region(tmp_path, "", hapi) as (hub, region, proxy):
        plan, _ = edits_of_both_sides(hub, region, proxy, a_person())
        settle(hub)
        for number in range(PAGE + 10):
            found = region.read("CarePlan", plan)
            assert found
            assert found.resource
            region.send("PUT", f"CarePlan/{plan}", json=found.resource | {"title": f"plan {number}"})
        proxy.faults = faults_in("503:0.5")
        assert sum(turn(hub).taken for _ in range(10)) == PAGE + 10
        stored = resources.read(hub.database.read(), "CarePlan", plan)
        assert stored
        assert parse_json(stored.body)["title"] == f"plan {PAGE + 9}"


def test_the_probe_finds_hapi_usable_and_leaves_nothing_behind(hapi: str) -> None:
    found = {check.name: check for check in probe_at(hapi).checks}
    assert all(check.works for check in found.values() if check.needed)
    assert not found["If-Match on DELETE"].works  # HAPI does not look at it
    assert "409" in found["If-Match on PUT"].words
    assert found["create only where nothing is"].works
    assert found["cleaned up"].works


def is_the_municipalitys_task(hub: Hub, member: plans.Member) -> bool:
    """A Task that the region did not take on: the region may end its own by deleting them."""
    if member.type != "Task":
        return False
    owner = parse_json(member.body).get("owner", {}).get("reference", "/")
    found = resources.read(hub.database.read(), *owner.split("/"))
    return found is not None and b"2120000159" in found.body


def test_what_is_deleted_at_hapi_is_asked_about_and_given_again_once_it_is_to_stay(tmp_path: Path, hapi: str) -> None:
    with a_troubled_region(tmp_path, "", hapi) as (hub, region, proxy):
        plan, _ = edits_of_both_sides(hub, region, proxy, a_person())
        settle(hub)
        task = next(each for each in plans.members(hub.database.read(), plan) if is_the_municipalitys_task(hub, each))
        for _ in range(3):
            try:
                region.send("DELETE", f"Task/{task.id}")
                break
            except RemoteConflict:  # HAPI just started answers a first delete with a conflict that is none
                continue
        settle(hub)
        gone = region.read("Task", task.id)
        assert gone is None or gone.deleted
        (asked,) = conflicts.of_plan(hub.database.read(), plan)
        assert asked.kind == "edit-against-delete"
        assert task.id in [each.id for each in plans.members(hub.database.read(), plan)], "it lives on in the plan"
        assert [one.why for one in verify(hub, hub.parties[REGION])] == [
            f"deleted there: Task/{asked.id} asks whether it stays"
        ]
        keep = Delivery("keep", "application/json", deciding.body_of("keep"))
        assert deciding.decide(hub, hub.parties["sodertalje"], asked.id, keep).status == 200
        settle(hub)
        back = region.read("Task", task.id)
        assert back
        assert back.resource
        assert list(verify(hub, hub.parties[REGION])) == []
