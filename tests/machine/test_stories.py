"""Short stories that the machine once told, and that the product did not survive then."""

from __future__ import annotations

from collections.abc import Iterator
from unittest.mock import patch

import pytest

from fhir_adapter.fhir.resources import asks_for_a_decision, reference_of
from tests.machine.machine import Machine
from tests.machine.words import words_of


@pytest.fixture
def machine() -> Iterator[Machine]:
    """A world that was just made; it must be right at the end of each story, too."""
    machine = Machine()
    machine.begin(seed=1)
    yield machine
    machine.teardown()


def test_a_write_to_something_never_shown_holds_up_nothing_else_of_the_plan(machine: Machine) -> None:
    machine.add("mal")
    machine.region_writes_blindly("region-sormland", 0)
    machine.edit_words("title_local", 0, False)
    machine.settle()
    there = machine.world.regions["region-sormland"].there("CarePlan")
    assert [plan["title"] for plan in there] == [machine.town.record["title_local"]]


def requests_and_tasks(machine: Machine, id_: str) -> list[str]:
    """How far the intervention of this id is at a region, and its task."""
    there = machine.world.regions["region-stockholm"].there()
    (request,) = (one for one in there if one["resourceType"] == "ServiceRequest" and f"S1/{id_}" in str(one))
    about = f"ServiceRequest/{request['id']}"
    tasks = [one for one in there if one.get("focus", {}).get("reference") == about and not asks_for_a_decision(one)]
    return [one["status"] for one in (request, *tasks)]


def test_what_was_taken_out_and_shown_may_be_taken_up_again(machine: Machine) -> None:
    machine.add("insatser")
    machine.take_out("insatser", 0)
    machine.fetch(adopt=True)
    machine.edit_words("insatser", 2, exact=False)
    machine.edit_state(2, "planerad")
    machine.settle()
    assert requests_and_tasks(machine, "I1") == ["active", "requested"]


def test_the_task_of_what_was_taken_out_does_not_come_back_before_its_request(machine: Machine) -> None:
    machine.add("insatser")
    machine.take_out("insatser", 0)
    machine.fetch(adopt=True)
    machine.edit_state(2, "planerad")
    assert [one.kind for one in machine.world.conflicts()] == ["edit-against-delete"]
    machine.settle()
    assert requests_and_tasks(machine, "I1") == ["revoked", "cancelled"]


def test_words_that_were_taken_further_by_who_had_seen_them_are_not_lost(machine: Machine) -> None:
    machine.region_edits_words("region-sormland", "CarePlan", 0)
    machine.settle()
    machine.region_edits_again_after_a_restore("region-stockholm", "CarePlan", 0)
    machine.edit_words("title_local", 0, exact=False)


def test_who_was_never_shown_a_goal_changes_nothing_though_its_first_write_was_dropped(machine: Machine) -> None:
    machine.decide_parked("region-stockholm", "drop", 0)
    blind = next(iter(machine.blind))
    found = machine.world.regions["region-stockholm"].there("Goal")
    index = [blind in str(one) for one in sorted(found, key=reference_of)].index(True)
    machine.region_deletes("region-stockholm", index)
    machine.region_brings_back("region-stockholm")


def test_a_write_is_audited_once_though_a_part_of_it_is_seen_late(machine: Machine) -> None:
    machine.edit_words("insatser", 1, exact=False)
    machine.decide_parked("region-stockholm", "apply", 1)
    machine.edited_here_before_the_answer("region-sormland", "insatser", 0, "lost answer")
    machine.trouble("region-sormland", "lagging", 3)
    machine.edited_at_both_ends("region-sormland", "mal", 2)


def test_what_waits_is_not_written_over_when_an_older_version_of_it_is_dropped(machine: Machine) -> None:
    machine.region_writes_blindly("region-stockholm", 1)
    machine.region_edits_again_after_a_restore("region-stockholm", "Goal", 2)
    machine.check("region-stockholm")
    machine.decide_parked("region-stockholm", "drop", 1)
    machine.check("region-stockholm")
    machine.decide_parked("region-stockholm", "apply", 1)


def test_who_took_up_an_earlier_answer_only_does_not_put_back_what_changed_until_the_next(machine: Machine) -> None:
    machine.region_adds("region-stockholm", "ServiceRequest")
    machine.settle()
    machine.fetch(adopt=True)
    for index in range(3):
        machine.region_edits_words("region-stockholm", "ServiceRequest", index)
    machine.settle()
    machine.fetch(adopt=False)
    machine.add("anteckningar")


def test_what_was_dropped_is_no_base_of_what_is_written_over_it_after_a_restore(machine: Machine) -> None:
    for _ in range(3):
        machine.decide_parked("region-sormland", "drop", 2)
        for index in range(3):
            machine.region_edits_again_after_a_restore("region-sormland", "Goal", index)
            machine.region_deletes("region-sormland", index)
            machine.decide_parked("region-sormland", "drop", index)
            machine.region_brings_back("region-sormland")
    machine.settle()


def forgotten_unseen_and_given_again(machine: Machine, state: str) -> None:
    """A region edits the state of its first goal and loses it, but for a backup, before anybody has looked."""
    machine.region_edits_state("region-stockholm", 0, state)
    machine.region_backs_up("region-stockholm")
    for _ in range(12):
        machine.collect("region-sormland")
    machine.region_forgets("region-stockholm", "Goal", 0)
    machine.check("region-stockholm")
    machine.deliver("region-stockholm")


@pytest.mark.parametrize("state", ["on-hold", "active"])
def test_what_nobody_had_seen_of_what_was_forgotten_is_taken_in_when_a_backup_brings_it_back(
    machine: Machine, state: str
) -> None:
    """Given again meanwhile, it counts fewer versions here than there: the number alone says that all is well."""
    forgotten_unseen_and_given_again(machine, state)
    machine.collect("region-stockholm")
    machine.region_is_restored("region-stockholm", -1)
    machine.settle()
    ref = reference_of(sorted(machine.world.regions["region-stockholm"].there("Goal"), key=reference_of)[0])
    assert machine.world.held()[ref]["lifecycleStatus"] == state


def test_what_was_written_over_long_after_it_was_made_is_taken_in_all_the_same(machine: Machine) -> None:
    """Nobody had seen it; it was forgotten, given again, and came back with a backup under the number that was current.
    What was written over it is the newest version, and as it should be: that does not vouch for what lies before."""
    forgotten_unseen_and_given_again(machine, "on-hold")
    machine.edit_words("mal", 1, exact=False)
    machine.deliver("region-stockholm")
    machine.collect("region-stockholm")
    machine.region_is_restored("region-stockholm", -1)
    machine.edit_words("mal", 1, exact=False)
    machine.deliver("region-stockholm")
    machine.settle()
    goal = sorted(machine.world.regions["region-stockholm"].there("Goal"), key=reference_of)[0]
    assert (goal["meta"]["versionId"], goal["lifecycleStatus"]) == ("4", "on-hold")


def test_what_was_edited_before_its_history_showed_it_is_not_taken_for_what_we_wrote(machine: Machine) -> None:
    """The plan that names it is in the history already; the edit, which left our mark in, is read before our write."""
    machine.add("mal")
    machine.deliver_in_trouble("region-stockholm", "lost answer")
    (goal,) = (one for one in machine.world.regions["region-stockholm"].there("Goal") if "ord" in str(one))
    index = sorted(machine.world.regions["region-stockholm"].there("Goal"), key=reference_of).index(goal)
    machine.region_edits_words("region-stockholm", "Goal", index)
    with patch.object(machine.world.random, "randrange", lambda _count: 1):  # all but the plan is late
        machine.collect_in_trouble("region-stockholm", "lagging")
    machine.settle()
    assert machine.ledger.edits.keys() - {"ord <1>"} <= {words_of(one) for one in machine.world.held().values()}


def test_pointers_come_back_though_a_write_without_them_was_under_way(machine: Machine) -> None:
    machine.region_writes_blindly("region-stockholm", 3)
    machine.region_deletes("region-stockholm", 3)
    machine.region_edits_again_after_a_restore("region-stockholm", "ServiceRequest", 1)
    machine.region_brings_back("region-stockholm")
    machine.edited_there_before_the_answer("region-stockholm", "mal", 2, "crash after call")


def test_what_has_no_id_is_the_same_wherever_it_comes(machine: Machine) -> None:
    for _ in range(3):
        machine.add_numberless(0)
    machine.settle()
    for index in range(6):
        machine.region_edits_words("region-stockholm", "ServiceRequest", index)
    machine.settle()
    machine.fetch(adopt=True)
    machine.shuffle_numberless(1, out=True)
    machine.settle()
    assert machine.world.conflicts() == []
    machine.edit_numberless(1, exact=False)
    machine.add_numberless(1)
    machine.shuffle_numberless(2, out=False)
    machine.settle()
    assert machine.world.conflicts() == []
