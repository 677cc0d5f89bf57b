"""The state machine: everybody does anything in any order, and after every quiet moment nothing may be missing.

What the parties do is in municipal_rules.py and regional_rules.py; here is what happens between them.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta
from typing import Any, ClassVar
from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import rule

from fhir_adapter.flows import safety, sync
from fhir_adapter.flows.reading import TRIES
from tests.machine import judge
from tests.machine.regional_rules import RegionalRules
from tests.machine.state import regions, which
from tests.machine.wire import READING_TROUBLES, TROUBLES
from tests.machine.words import words_of
from tests.machine.world import REGIONS

ROUNDS = 15
"""Rounds of looking and delivering after which everything must have settled."""

UNANSWERED = ("lost answer", "crash after call", "late request")
SHARED_WORDS = st.sampled_from(["mal", "insatser"])


class Machine(RegionalRules):
    """Rules are what parties, network, clocks and processes do; `settle` and the end judge."""

    laws: ClassVar[Sequence[judge.Law]] = judge.LAWS

    # --- both sides at once

    @rule(name=regions, what=SHARED_WORDS, index=which)
    def edited_at_both_ends(self, name: str, what: str, index: int) -> None:
        """Somebody there saves just before new words from here are sent."""
        if self.town.record.get(what):
            before = _words_at(self.town.record[what], index)
            self.edit_words(what, index, False)
            self._edit_there(name, what, before)
            self.world.deliver(name)

    @rule(name=regions, what=SHARED_WORDS, index=which, trouble=st.sampled_from(UNANSWERED))
    def edited_there_before_the_answer(self, name: str, what: str, index: int, trouble: str) -> None:
        """New words arrive, or may arrive, without an answer; somebody there goes on with what there is."""
        if self.town.record.get(what):
            self.edit_words(what, index, False)
            self.deliver_in_trouble(name, trouble)
            self._edit_there(name, what, _words_at(self.town.record[what], index))
            self.world.collect(name)

    @rule(name=regions, what=SHARED_WORDS, index=which, trouble=st.sampled_from(UNANSWERED))
    def edited_here_before_the_answer(self, name: str, what: str, index: int, trouble: str) -> None:
        """The same, and somebody here goes on."""
        if self.town.record.get(what):
            self.edit_words(what, index, False)
            self.deliver_in_trouble(name, trouble)
            self.edit_words(what, index, False)

    def _edit_there(self, name: str, what: str, words: str) -> None:
        region = self.world.regions[name]
        for one in region.there("Goal" if what == "mal" else "ServiceRequest"):
            if words_of(one) == words:
                self._write_words(region, one)

    # --- the service's own work, and what befalls it

    @rule(name=regions, word=st.sampled_from(["apply", "drop"]), index=which)
    def decide_parked(self, name: str, word: str, index: int) -> None:
        """Somebody looks at what was parked: it is merged after all, or the plan's word stands over it."""
        if not self.world.parked():
            self.region_writes_blindly(name, index)
            self.world.collect(name)
        decided = self.world.decide_parked(word, index)
        if decided is None:
            return
        self.looked_at += 1
        if word == "apply":
            self.blindly_written.discard((decided.party, decided.reference))
        for edit in self.ledger.edits.values():
            if edit.party == decided.party and edit.words in decided.body:
                self.blind.discard(edit.words) if word == "apply" else self.ledger.let_go(edit.words)

    @rule(name=regions)
    def collect(self, name: str) -> None:
        self.world.collect(name)

    @rule(name=regions)
    def deliver(self, name: str) -> None:
        self.world.deliver(name)

    @rule(name=regions)
    def check(self, name: str) -> None:
        """Now and then the service looks whether a region still has what it was left with."""
        with patch.object(safety, "SAMPLE", 1000):
            self.world.check(name)

    @rule(name=regions, what=st.sampled_from(TROUBLES))
    def deliver_in_trouble(self, name: str, what: str) -> None:
        """The wire misbehaves just when the service writes."""
        self.world.regions[name].wire.at_write = what
        self.world.deliver(name)

    @rule(name=regions, what=st.sampled_from(READING_TROUBLES))
    def collect_in_trouble(self, name: str, what: str) -> None:
        """The region's history comes late or in disorder."""
        self.world.regions[name].wire.trouble = [what]
        self.world.collect(name)

    @rule(name=regions, after=st.integers(0, 12))
    def collect_breaks_off(self, name: str, after: int) -> None:
        """The region answers no more in the middle of a look: a later one goes on with what it said."""
        wire = self.world.regions[name].wire
        wire.trouble = [*([""] * after), *(["lost request"] * TRIES)]
        self.world.collect(name)
        wire.trouble.clear()

    @rule(
        name=regions,
        what=st.sampled_from(TROUBLES + READING_TROUBLES),
        after=st.integers(0, 3),
    )
    def trouble(self, name: str, what: str, after: int) -> None:
        """The wire to a region misbehaves soon."""
        self.world.regions[name].wire.trouble = [*([""] * after), what]

    @rule(commits=st.integers(0, 4), after=st.booleans())
    def die_soon(self, commits: int, after: bool) -> None:
        """The process dies at one of its next commits, before or after it."""
        self.world.database.dies = (commits, after)

    @rule(name=regions)
    def late_arrival(self, name: str) -> None:
        """What the network held for long arrives."""
        self.world.regions[name].wire.arrive()

    @rule(name=st.sampled_from(["", *REGIONS]), minutes=st.integers(-5, 5))
    def clock(self, name: str, minutes: int) -> None:
        """A clock is set wrong, or right again."""
        skew = timedelta(minutes=minutes, milliseconds=7 * minutes)
        if name:
            self.world.regions[name].skew, self.world.regions[name].had_wrong_clock = skew, True
        else:
            self.world.skew = skew

    # --- judgement

    @rule()
    def settle(self) -> None:
        """Everything quiet for a while: then everything must be right."""
        self.world.database.dies = None
        for region in self.world.regions.values():
            region.wire.calm()
        self._deliver_what_waits()
        before: tuple[int, ...] = ()
        for _ in range(ROUNDS):
            after = self.world.versions()
            if after == before:
                break
            before = after
            for name in REGIONS:
                self._serve(name)
        else:
            raise AssertionError("unsettled: the writes do not stop")
        for law in self.laws:
            law(self)

    def _serve(self, name: str) -> None:
        """Look and deliver; who lost something is looked through first.

        The look goes far back where a clock was set wrong or a history lagged, as a worker's does now and then.
        """
        region = self.world.regions[name]
        if region.shaken:
            self.check(name)
            region.shaken = False
        is_late = region.had_wrong_clock or region.wire.befell["lagging"]
        self.world.collect(name, sync.LONG_OVERLAP if is_late else sync.OVERLAP)
        self.world.go_on(name)
        self.world.deliver(name)

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.settle()
        finally:
            self.forget()


def _words_at(items: Sequence[dict[str, Any]], index: int) -> str:
    return str(items[index % len(items)]["text"])
