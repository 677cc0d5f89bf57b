"""A write without an answer, at a region that answers now and then: each attempt goes on where the last one stopped."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.errors import RemoteError
from fhir_adapter.faults import faults_in
from fhir_adapter.flows import sync
from fhir_adapter.flows.hub import Limits
from fhir_adapter.remotes.client import Entry
from tests import backups
from tests.faults.roads import REGION, Road, a_road, with_goals

RESOURCES = 47


@pytest.fixture
def sip() -> dict[str, Any]:
    """With so many goals that RESOURCES come of it."""
    return with_goals(15)


def test_the_limits_are_those_that_the_settings_have_by_themselves(road: Road) -> None:
    assert road.hub.limits.delivery_attempts == Limits().delivery_attempts == 12


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("faults", ["503:0.3", "503:0.5", "503:0.3,drop-answer:0.2"])
def test_a_plan_arrives_at_a_region_that_answers_now_and_then(
    tmp_path: Path, sip: dict[str, Any], faults: str, seed: int
) -> None:
    with a_road(tmp_path, seed) as road:
        road.push(sip)
        road.proxy.faults = faults_in(faults)
        road.arrive()
        assert len(road.versions()) == RESOURCES


@pytest.mark.parametrize("seed", range(3))
@pytest.mark.parametrize("faults", ["503:0.3", "503:0.5"])
def test_what_was_found_of_an_unanswered_write_is_not_looked_for_again(
    tmp_path: Path, sip: dict[str, Any], faults: str, seed: int
) -> None:
    with a_road(tmp_path, seed) as road:
        road.push(sip)
        road.lose_the_next_answer(then=faults)
        road.arrive()
        assert list((+road.client.told).values()) == [1] * RESOURCES
        assert set(road.versions().values()) == {1}


@pytest.mark.parametrize("faults", ["503:0.3", "503:0.5"])
def test_what_the_region_lost_of_it_is_looked_for_once(road: Road, sip: dict[str, Any], faults: str) -> None:
    road.push(sip)
    road.lose_the_next_answer(then="503:1.0")
    road.attempt()
    gone = road.of_ours("Goal")
    for id_ in gone:
        backups.forget(road.region, "Goal", id_)
    road.proxy.faults = faults_in(faults)
    road.arrive()
    assert len(gone) > 15
    assert {road.client.told[f"Goal/{id_}"] for id_ in gone} == {1}


def test_of_a_write_that_is_not_there_one_item_is_asked_for(road: Road, sip: dict[str, Any]) -> None:
    road.push(sip)

    def lose_the_request(_entries: Sequence[Entry]) -> None:
        raise RemoteError("no answer")

    road.client.at_write = lose_the_request
    assert road.attempt() == "waiting"
    road.arrive()
    assert road.client.told.total() == 1


@pytest.mark.parametrize("faults", ["503:0", "503:0.5"])
def test_a_write_that_comes_after_it_was_looked_for_is_known(road: Road, sip: dict[str, Any], faults: str) -> None:
    """Given up, it arrives just before the next one, which then finds its places taken."""
    road.push(sip)
    late: list[Sequence[Entry]] = []

    def hold(entries: Sequence[Entry]) -> None:
        late.append(entries)
        raise RemoteError("no answer")

    def arrive_first(_entries: Sequence[Entry]) -> None:
        road.direct.transaction(late.pop())
        road.proxy.faults = faults_in(faults)

    road.client.at_write = hold
    assert road.attempt() == "waiting"
    road.client.at_write = arrive_first
    road.arrive()
    assert not late
    assert set(road.versions().values()) == {1}


def test_what_somebody_made_of_it_meanwhile_is_taken_in(road: Road, sip: dict[str, Any]) -> None:
    """Of what was found already, and of what was not: nothing is written over, and nobody is asked."""
    road.push(sip)
    road.lose_the_next_answer(then="")
    assert road.attempt() == "waiting"
    goals = [f"Goal/{id_}" for id_ in road.of_ours("Goal")]
    road.client.mute = frozenset(goals[1:2])
    assert road.attempt() == "waiting"
    assert {name in road.client.told for name in goals} == {True, False}
    road.client.mute = frozenset()
    for name in goals:
        road.edit(name)
    assert road.attempt() == "done"
    sync.cycle(road.hub, road.hub.parties[REGION])
    road.check_all_is_the_same()
    live = road.plan()
    assert all(live[name]["note"] == [{"text": f"about {name}"}] for name in goals)


def test_what_somebody_made_of_a_new_one_is_no_write_of_ours_where_the_list_of_changes_lags(
    road: Road, sip: dict[str, Any]
) -> None:
    """It shows the edit, with our mark left in it, and never showed the version that we wrote: that is too long ago."""
    plan = road.push(sip)
    assert road.attempt() == "done"
    assert road.look() == 0
    known = road.of_ours("Goal")
    sip["mal"].append({"id": "new", "text": "nytt"})
    road.push(sip)
    road.lose_the_next_answer(then="")
    assert road.attempt() == "waiting"
    (new,) = (f"Goal/{id_}" for id_ in road.of_ours("Goal") if id_ not in known)
    road.client.late = frozenset({new, f"CarePlan/{plan}"})
    road.edit(f"Goal/{known[0]}")
    assert road.look(timedelta(0)) == 1
    road.client.late = frozenset()
    road.edit(new)
    assert road.look(timedelta(0)) == 1
    assert road.plan()[new]["note"] == [{"text": f"about {new}"}]
    road.arrive()


def test_an_attempt_that_gets_no_further_counts_all_the_same(road: Road, sip: dict[str, Any]) -> None:
    """Half of it can be found, the other half never: that is parked after as many attempts as anything else."""
    road.push(sip)
    road.lose_the_next_answer(then="")
    assert road.attempt() == "waiting"
    road.client.mute = frozenset(f"Goal/{id_}" for id_ in road.of_ours("Goal"))
    states = [road.attempt() for _ in range(road.hub.limits.delivery_attempts)]
    assert states == ["waiting"] * road.hub.limits.delivery_attempts  # the first of them got further
    assert road.attempt() == "parked"
