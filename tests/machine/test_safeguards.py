"""Each safeguard of the synchronisation is needed: with it a short story ends well, without it something is lost.

The tests prove the machine as well: it notices each of these losses, and finds one by itself within PATIENCE examples.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator

import pytest

from tests.machine.deep import PATIENCE, Job, run
from tests.machine.judge import HARM, WRONG
from tests.machine.machine import Machine
from tests.machine.safeguards import SAFEGUARDS, without

HERE = "region-stockholm"
SEED = 8
"""Any will do; this one finds all of them soon."""

Story = Callable[[Machine], None]


@pytest.fixture
def machine() -> Iterator[Machine]:
    machine = Machine()
    machine.begin(seed=1)
    yield machine
    machine.forget()


def edited_after_a_lost_answer(machine: Machine) -> None:
    """Our write arrives and nobody knows; somebody there edits it, and our mark stays in what is saved."""
    machine.edit_words("title_local", 0, False)
    machine.trouble(HERE, "lost answer", 0)
    machine.deliver(HERE)
    machine.region_edits_words(HERE, "CarePlan", 0)


def edited_again_after_a_lost_answer(machine: Machine) -> None:
    """Our write arrives and nobody knows; the plan goes on meanwhile."""
    machine.edit_words("title_local", 0, False)
    machine.trouble(HERE, "lost answer", 0)
    machine.deliver(HERE)
    machine.edit_words("title_local", 0, False)


def edited_at_both_sides(machine: Machine) -> None:
    """Somebody there saves just before we write."""
    machine.edit_words("title_local", 0, False)
    machine.region_edits_words(HERE, "CarePlan", 0)
    machine.deliver(HERE)


def saved_on_top_of_old_words(machine: Machine) -> None:
    """Somebody there changes the state of goals whose new words have not arrived yet."""
    machine.edit_words("mal", 0, False)
    machine.edit_words("mal", 1, False)
    machine.region_edits_state(HERE, 0, "on-hold")
    machine.region_edits_state(HERE, 1, "on-hold")


def written_though_never_shown(machine: Machine) -> None:
    """Somebody there writes under the id of a goal that has not arrived yet."""
    machine.add("mal")
    machine.region_writes_blindly(HERE, 0)


def edited_after_a_restore(machine: Machine) -> None:
    """Somebody there works on what a backup brought back, until the version has the number that we know."""
    machine.region_edits_words(HERE, "Goal", 1)
    machine.settle()
    machine.region_is_restored(HERE, 0)
    machine.region_edits_words(HERE, "Goal", 1)


def restored_and_quiet(machine: Machine) -> None:
    """A backup was brought back, and nobody touches anything."""
    machine.edit_words("mal", 0, False)
    machine.settle()
    machine.region_is_restored(HERE, 0)


STORIES: dict[str, tuple[Story, str]] = {
    "replay of every version": (edited_after_a_lost_answer, "lost"),
    "write id": (edited_again_after_a_lost_answer, "false conflict"),
    "record of the pending write": (edited_again_after_a_lost_answer, "false conflict"),
    "If-Match": (edited_at_both_sides, "lost"),
    "base is what was shown": (saved_on_top_of_old_words, "lost"),
    "quarantine": (written_though_never_shown, "leaked"),
    "a version is more than its number": (edited_after_a_restore, "lost"),
    "what went back is noticed": (restored_and_quiet, "unsettled"),
}
"""Safeguard -> a story, and what is wrong at its end without that safeguard."""


def test_every_safeguard_has_its_story() -> None:
    assert STORIES.keys() == SAFEGUARDS.keys()


@pytest.mark.parametrize(
    "story", list(dict.fromkeys(story for story, _ in STORIES.values())), ids=lambda story: story.__name__
)
def test_with_all_safeguards_the_story_ends_well(machine: Machine, story: Story) -> None:
    story(machine)
    machine.settle()


@pytest.mark.parametrize("safeguard", STORIES)
def test_without_the_safeguard_the_story_ends_in_a_loss(machine: Machine, safeguard: str) -> None:
    story, wrong = STORIES[safeguard]
    machine.laws = HARM  # type: ignore[misc]
    with without(safeguard):
        story(machine)
        with pytest.raises(AssertionError, match=wrong):
            machine.settle()


@pytest.mark.parametrize("safeguard", SAFEGUARDS)
def test_without_the_safeguard_the_machine_finds_harm_by_itself(safeguard: str) -> None:
    report = run(Job(SEED, PATIENCE, 40, safeguard))
    assert report.wrong, f"{report.figures['examples']} examples, and nothing was noticed"
    assert report.wrong.startswith(WRONG), report.wrong


def test_an_edit_is_lost_without_quarantine_only_where_bases_are_wrong_too(machine: Machine) -> None:
    """A write without a base is compared with nothing, so each value that differs is kept as a conflict: the quarantine
    is the second wall for edits. It alone keeps out what such a write adds."""
    with without("quarantine", "base is what was shown"):
        written_though_never_shown(machine)
        with pytest.raises(AssertionError, match="lost"):
            machine.settle()
