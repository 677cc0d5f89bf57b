"""Short stories that the machine once told, and that the product did not survive then."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.machine.machine import Machine


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
    machine.edit_words("title", 0, False)
    machine.settle()
    there = machine.world.regions["region-sormland"].there("CarePlan")
    assert [plan["title"] for plan in there] == [machine.town.record["title_local"]]
