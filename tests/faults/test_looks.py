"""A look at a region that answers now and then: what was answered stays, and what was not is asked again."""

from __future__ import annotations

from dataclasses import replace
from math import inf
from pathlib import Path
from typing import Any

import pytest
from structlog.testing import capture_logs

from fhir_adapter.faults import faults_in
from fhir_adapter.flows import sync
from fhir_adapter.store import copies, sides
from tests.faults.roads import REGION, Road, a_road, with_goals

FEW_TURNS = 10
"""Enough for thirteen refusals in a row, which these seeds hold: a party that rests is asked for one thing a turn."""


@pytest.fixture
def sip() -> dict[str, Any]:
    """With so many goals that a look takes many requests."""
    return with_goals(40)


def edited_there(road: Road, sip: dict[str, Any], times: int = 1) -> list[str]:
    """The region has the plan and somebody there has edited every goal; their names."""
    road.push(sip)
    assert road.attempt() == "done"
    assert road.look() == 0
    goals = [f"Goal/{id_}" for id_ in road.of_ours("Goal")]
    for _ in range(times):
        for name in goals:
            road.edit(name)
    return goals


def taken_in(road: Road) -> set[str]:
    """The goals that have a note in the plan."""
    return {name for name, one in road.plan().items() if name.startswith("Goal/") and "note" in one}


@pytest.mark.parametrize("seed", range(2))
@pytest.mark.parametrize("faults", ["503:0.3", "503:0.5", "drop-answer:0.5"])
def test_a_look_of_many_requests_comes_through_in_a_few_turns(
    tmp_path: Path, sip: dict[str, Any], faults: str, seed: int
) -> None:
    with a_road(tmp_path, seed) as road:
        goals = edited_there(road, sip, times=3)
        road.proxy.faults = faults_in(faults)
        turns = [road.look() for _ in range(FEW_TURNS)]
        assert len(goals) * 3 in turns
        assert taken_in(road) == {*goals}
        road.proxy.faults = ()
        road.arrive()


@pytest.mark.parametrize("seed", range(2))
def test_looking_whether_all_is_there_holds_up_no_look(tmp_path: Path, sip: dict[str, Any], seed: int) -> None:
    with a_road(tmp_path, seed) as road:
        goals = edited_there(road, sip)
        road.hub = replace(road.hub, limits=replace(road.hub.limits, check_interval=0))
        road.proxy.faults = faults_in("503:0.5")
        assert len(goals) in [road.look() for _ in range(FEW_TURNS)]


@pytest.mark.parametrize("seed", range(2))
def test_a_delivery_that_meets_edits_there_arrives(tmp_path: Path, sip: dict[str, Any], seed: int) -> None:
    """It has to look first what was edited, at each of the resources that it writes."""
    with a_road(tmp_path, seed) as road:
        goals = edited_there(road, sip)
        for one in sip["mal"]:
            one["text"] += "."
        road.push(sip)
        road.proxy.faults = faults_in("503:0.5")
        road.arrive()
        assert taken_in(road) == {*goals}


def test_what_was_answered_is_not_asked_again_after_a_pause(road: Road, sip: dict[str, Any]) -> None:
    """A region that allows so many requests and no more: what was read stays, and the watermark where it was."""
    goals = edited_there(road, sip, times=3)
    before = copies.watermark(road.hub.database.read(), REGION)
    road.client.answered.clear()
    for _ in range(len(goals) // 10):
        road.client.allowed = road.client.answered.total() + 10
        assert road.look() is None
        assert sides.get(road.hub.database.read(), REGION).seconds > 25
        assert copies.watermark(road.hub.database.read(), REGION) == before
        assert not taken_in(road)
    road.client.allowed = inf
    assert road.look() == 3 * len(goals)
    assert taken_in(road) == {*goals}
    assert {road.client.answered[f"GET {name}/_history"] for name in goals} == {1}
    road.arrive()


def broken_off(road: Road, after: int) -> None:
    """A look that gets so many answers and no more."""
    road.client.allowed = road.client.answered.total() + after
    assert road.look() is None
    road.client.allowed = inf


def test_what_is_edited_between_two_turns_of_a_look_is_taken_in(road: Road, sip: dict[str, Any]) -> None:
    """What was read already is not read again, so that the edit is news of the next look."""
    goals = edited_there(road, sip)
    broken_off(road, after=30)
    read = next(name for name in goals if road.client.told[name])
    road.edit(read, "said later")
    assert road.look() == len(goals)
    assert "said later" not in road.plan()[read]["note"][-1]["text"]
    assert road.look() == 1
    assert road.plan()[read]["note"][-1]["text"] == "said later"
    road.arrive()


def test_a_look_that_goes_further_back_begins_anew(road: Road, sip: dict[str, Any]) -> None:
    """What was read for a shorter one lacks what its list shows, and no later list need show it."""
    goals = edited_there(road, sip)
    broken_off(road, after=30)
    read = next(name for name in goals if road.client.told[name])
    road.edit(read, "said later")
    assert road.look(sync.LONG_OVERLAP) == len(goals) + 1
    assert road.plan()[read]["note"][-1]["text"] == "said later"
    road.arrive()


def test_where_each_type_has_a_list_of_its_own_a_look_begins_anew(road: Road, sip: dict[str, Any]) -> None:
    """They were begun at different moments: the newest of them moves the watermark past what another did not show."""
    goals = edited_there(road, sip)
    abilities = road.client.abilities()
    types = abilities.history_of_type | {"Goal", "CarePlan"}
    road.client._abilities[:] = [replace(abilities, history_of_all=False, history_of_type=types)]
    broken_off(road, after=30)
    read = next(name for name in goals if road.client.told[name])
    road.edit(read, "said later")
    assert road.look() == len(goals) + 1
    assert road.plan()[read]["note"][-1]["text"] == "said later"


def test_what_another_worker_read_meanwhile_did_not_go_back(road: Road, sip: dict[str, Any]) -> None:
    """Its look came to the end and it wrote there, too: answers from before say nothing of that."""
    goals = edited_there(road, sip)
    broken_off(road, after=30)
    other = replace(road, hub=replace(road.hub, readings={}))
    assert other.look() == len(goals)
    for one in sip["mal"]:
        one["text"] += "."
    other.push(sip)
    assert other.attempt() == "done"
    road.edit(goals[0])
    with capture_logs() as logs:
        assert road.look() == 1
    assert logs == []
    road.arrive()


def test_what_of_an_unanswered_write_was_found_between_two_turns_did_not_go_back(
    road: Road, sip: dict[str, Any]
) -> None:
    edited_there(road, sip)
    road.look()
    for one in sip["mal"]:
        one["text"] += "."
    road.push(sip)
    road.lose_the_next_answer(then="")
    assert road.attempt() == "waiting"
    broken_off(road, after=30)
    assert road.attempt() == "done"
    with capture_logs() as logs:
        assert road.look() == 0
    assert logs == []
    road.arrive()


def test_a_region_that_is_gone_is_asked_no_more_often_than_before(road: Road, sip: dict[str, Any]) -> None:
    edited_there(road, sip)
    road.proxy.faults = faults_in("503:1.0")
    road.look()  # looks whether all is there
    before = road.proxy.counts["503"]
    assert road.look() is None
    assert road.proxy.counts["503"] - before == 3
