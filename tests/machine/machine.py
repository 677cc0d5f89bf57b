"""The state machine: everybody does anything in any order, and after every quiet moment nothing may be missing."""

from __future__ import annotations

import atexit
import copy
import json
import shutil
import tempfile
from collections import Counter
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from fhir_adapter.access.projection import WITHHELD, project
from fhir_adapter.fhir.resources import WRITE_ID, Resource, asks_for_a_decision, reference_of
from fhir_adapter.flows import sync
from fhir_adapter.flows.pull import decision_for
from fhir_adapter.flows.push import receipt_of
from tests.machine.ledger import Ledger
from tests.machine.world import FIRST_RECORD, MUNICIPALITY, REGIONS, Delivery, Region, World, as_json, copied, prepared

SHM = Path("/dev/shm")
GOAL_STATES = ("active", "on-hold", "accepted", "completed")
TASK_STATES = ("accepted", "rejected", "in-progress", "completed")
NATIVE_STATES = ("planerad", "pågående", "klar")
TROUBLES = ("lost request", "lost answer", "twice", "late request", "crash before call", "crash after call")
ROUNDS = 15
"""Rounds of looking and delivering after which everything must have settled."""

regions = st.sampled_from(REGIONS)
which = st.integers(0, 3)


@cache
def store() -> Path:
    """Where this process keeps its worlds: in memory where the system has such a place."""
    folder = Path(tempfile.mkdtemp(prefix="machine-", dir=SHM if SHM.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def prepared_once() -> Path:
    return prepared(store())


class Municipality:
    """A municipal system: its own copy of the record, what it was last shown, and what it could not deliver yet."""

    def __init__(self) -> None:
        self.record: dict[str, Any] = copy.deepcopy(FIRST_RECORD)
        self.shown: dict[str, Any] | None = None
        self.version: int | None = None
        self.waiting: Delivery | None = None
        self.consent = True
        self.count = 1

    def item_words(self, list_: str, id_: str) -> set[str]:
        """What it has before its eyes as the words of an item: its own copy's, and those it was shown."""
        records = [self.record, *([self.shown] if self.shown else [])]
        return {item["text"] for record in records for item in record.get(list_, []) if item["id"] == id_}


class Machine(RuleBasedStateMachine):
    """Rules are what parties, network, clocks and processes do; `settle` and the end judge."""

    world: World

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=store()))
        self.world = copied(prepared_once(), self.folder, seed)
        self.ledger = Ledger()
        self.town = Municipality()
        self.acknowledged: list[str] = []
        self.blind: set[str] = set()
        self.writes_at_revocation: dict[str, int] | None = None

    # --- the municipality

    @rule(what=st.sampled_from(["title", "mal", "insatser"]), index=which, exact=st.booleans())
    def edit_words(self, what: str, index: int, exact: bool) -> None:
        """Other words for the plan, a goal or an intervention."""
        self._deliver_what_waits()
        town, words = self.town, self.ledger.new_words()
        if what == "title":
            seen = {r["title_local"] for r in (town.record, town.shown) if r}
            town.record["title_local"] = words
        else:
            items = town.record.get(what, [])
            if not items:
                return
            item = items[index % len(items)]
            seen = town.item_words(what, item["id"])
            item["text"] = words
        self.ledger.wrote(MUNICIPALITY, words, seen)
        self._push(exact)

    @rule(index=which, state=st.sampled_from(NATIVE_STATES))
    def edit_state(self, index: int, state: str) -> None:
        """How far an intervention is."""
        self._deliver_what_waits()
        items = self.town.record["insatser"]
        items[index % len(items)]["status"] = state
        self._push(False)

    @rule(what=st.sampled_from(["mal", "insatser", "anteckningar"]))
    def add(self, what: str) -> None:
        """A new goal, intervention or note."""
        self._deliver_what_waits()
        words = self.ledger.new_words()
        self.town.count += 1
        item: dict[str, Any] = {"text": words}
        if what == "anteckningar":
            item |= {"av": "Karin Ödman", "tid": f"2025-06-02T10:{self.town.count % 60:02}:00+02:00"}
        else:
            item["id"] = f"N{self.town.count}"
        if what == "insatser":
            item |= {"huvudman": "kommun", "status": "planerad"}
        self.town.record.setdefault(what, []).append(item)
        self.ledger.wrote(MUNICIPALITY, words, ())
        self._push(False)

    @rule(what=st.sampled_from(["mal", "insatser"]), index=which)
    def take_out(self, what: str, index: int) -> None:
        """A goal or an intervention that is no longer in the record."""
        self._deliver_what_waits()
        items = self.town.record[what]
        if len(items) < 3:
            return
        items.pop(index % len(items))
        self._push(False)

    @rule(given=st.booleans())
    def consent(self, given: bool) -> None:
        """The person gives or withdraws consent."""
        self._deliver_what_waits()
        if self.town.consent == given:
            return
        self.town.consent = given
        self.town.record["samtycke"]["status"] = "active" if given else "inactive"
        self._push(False)

    @rule(adopt=st.booleans())
    def fetch(self, adopt: bool) -> None:
        """The municipal system asks what is new, and takes it up or not."""
        self._deliver_what_waits()
        shown = self.world.fetch()
        if shown is None:
            return
        self.town.shown = shown.native
        self.town.version = None
        if adopt:
            self.town.record = copy.deepcopy(shown.native)
            self.town.record.setdefault("mal", [])
            self.town.record.setdefault("insatser", [])
            self.town.version = shown.version

    @rule(word=st.sampled_from(["keep", "take"]), index=which)
    def decide(self, word: str, index: int) -> None:
        """Somebody decides which of two values is live from now on."""
        self.world.decide(word, index)

    @rule()
    def send_again(self) -> None:
        """The same delivery once more, as a sender does who got no answer."""
        self._deliver_what_waits()

    def _push(self, exact: bool) -> None:
        town = self.town
        seen = town.version if exact else None
        key = f"{len(self.ledger.edits)}-{self.world.seconds}"
        town.waiting = Delivery(key, "application/json", as_json(town.record), seen)
        town.version = None
        self._deliver_what_waits(once=True)

    def _deliver_what_waits(self, once: bool = False) -> None:
        """At least once: the same key and body until there is an answer."""
        while self.town.waiting:
            answer = self.world.push(self.town.waiting)
            if answer is None:
                if once:
                    return
                continue
            assert answer.status in (200, 201), answer.receipt
            self.acknowledged.append(self.town.waiting.key)
            self.town.waiting = None
            self._note_consent()

    def _note_consent(self) -> None:
        if self.town.consent:
            self.writes_at_revocation = None
        elif self.writes_at_revocation is None:
            self.writes_at_revocation = {name: region.wire.writes for name, region in self.world.regions.items()}

    # --- the regions

    @rule(name=regions, what=st.sampled_from(["CarePlan", "Goal", "ServiceRequest"]), index=which)
    def region_edits_words(self, name: str, what: str, index: int) -> None:
        """Somebody at a region writes other words."""
        region = self.world.regions[name]
        found = self._pick(region, what, index)
        if found is None:
            return
        words = self.ledger.new_words()
        before = _words_of(found)
        region.put(_with_words(found, words))
        self.ledger.wrote(name, words, {before} if before else ())

    @rule(name=regions, index=which, state=st.sampled_from(GOAL_STATES))
    def region_edits_state(self, name: str, index: int, state: str) -> None:
        """Somebody at a region says how far a goal is."""
        region = self.world.regions[name]
        found = self._pick(region, "Goal", index)
        if found is not None:
            region.put(found | {"lifecycleStatus": state})

    @rule(name=regions, index=which, state=st.sampled_from(TASK_STATES))
    def region_answers(self, name: str, index: int, state: str) -> None:
        """Somebody at a region says how far a task is, allowed to or not."""
        region = self.world.regions[name]
        found = self._pick(region, "Task", index)
        if found is not None and not asks_for_a_decision(found):
            region.put(found | {"status": state})

    @rule(name=regions, what=st.sampled_from(["Goal", "ServiceRequest", "note"]))
    def region_adds(self, name: str, what: str) -> None:
        """Somebody at a region adds a goal, an intervention or a note to the plan."""
        region = self.world.regions[name]
        plan = self._pick(region, "CarePlan", 0)
        if plan is None:
            return
        words = self.ledger.new_words()
        self.ledger.wrote(name, words, ())
        new: Resource = {"resourceType": what, "id": str(self.world.new_id()), "subject": plan["subject"]}
        if what == "Goal":
            region.put(new | {"lifecycleStatus": "active", "description": {"text": words}})
            plan = plan | {"goal": [*plan.get("goal", []), {"reference": f"Goal/{new['id']}"}]}
        elif what == "ServiceRequest":
            region.put(new | {"status": "active", "intent": "plan", "code": {"text": words}})
            link = {"reference": {"reference": f"ServiceRequest/{new['id']}"}}
            plan = plan | {"activity": [*plan.get("activity", []), link]}
        else:
            note = {"text": words, "authorString": name, "time": self.world.now().isoformat()}
            plan = plan | {"note": [*plan.get("note", []), note]}
        region.put(plan)

    @rule(name=regions, index=which)
    def region_deletes(self, name: str, index: int) -> None:
        """Somebody at a region deletes a goal there."""
        region = self.world.regions[name]
        found = self._pick(region, "Goal", index)
        if found is not None and len(region.there("Goal")) > 2:
            region.delete(found)

    @rule(name=regions, index=which)
    def region_writes_blindly(self, name: str, index: int) -> None:
        """A write to a part of the plan that this region was never shown, as a mixed-up import makes it."""
        region = self.world.regions[name]
        there = {reference_of(one) for one in region.there()}
        unseen = [one for ref, one in sorted(self.world.held().items()) if ref.startswith("Goal/") and ref not in there]
        unseen = [one for one in unseen if reference_of(one) not in region.deleted]
        if not unseen:
            return
        found = unseen[index % len(unseen)]
        words = self.ledger.new_words()
        region.put(
            {
                "resourceType": "Goal",
                "id": found["id"],
                "subject": found["subject"],
                "lifecycleStatus": "active",
                "description": {"text": words},
                "note": [{"text": words}],
            }
        )
        self.ledger.wrote(name, words, ())
        self.blind.add(words)

    def _pick(self, region: Region, type_: str, index: int) -> Resource | None:
        found = sorted(region.there(type_), key=reference_of)
        return found[index % len(found)] if found else None

    # --- the service's own work, and what befalls it

    @rule(name=regions)
    def collect(self, name: str) -> None:
        self.world.collect(name)

    @rule(name=regions)
    def deliver(self, name: str) -> None:
        self.world.deliver(name)

    @rule(name=regions, what=st.sampled_from(TROUBLES), after=st.integers(0, 1))
    def deliver_in_trouble(self, name: str, what: str, after: int) -> None:
        """The wire misbehaves just when the service writes."""
        self.world.regions[name].wire.trouble = [*([""] * after), what]
        self.world.deliver(name)

    @rule(
        name=regions,
        what=st.sampled_from(TROUBLES),
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
        if name:
            self.world.regions[name].skew = timedelta(minutes=minutes)
        else:
            self.world.skew = timedelta(minutes=minutes)

    @rule()
    def settle(self) -> None:
        """Everything quiet for a while: then everything must be right."""
        self.world.database.dies = None
        for region in self.world.regions.values():
            region.wire.trouble.clear()
        self._deliver_what_waits()
        before: tuple[int, ...] = ()
        for _ in range(ROUNDS):
            after = self.world.versions()
            if after == before:
                break
            before = after
            for name in REGIONS:
                self.world.collect(name, sync.LONG_OVERLAP)
                self.world.go_on(name)
                self.world.deliver(name)
        else:
            raise AssertionError("unsettled: the writes do not stop")
        self._judge()

    # --- the judgement

    def teardown(self) -> None:
        if not hasattr(self, "world"):
            return
        try:
            self.settle()
        finally:
            self.forget()

    def forget(self) -> None:
        """Nothing of this world is left."""
        self.world.close()
        shutil.rmtree(self.folder, ignore_errors=True)

    def _judge(self) -> None:
        held = self.world.held()
        self._nothing_is_lost(held)
        self._no_false_conflict()
        self._nothing_is_there_twice(held)
        self._nothing_leaks()
        self._regions_hold_what_they_may_see(held)
        self._what_was_acknowledged_is_in_the_journal()
        self._nothing_was_sent_after_revocation()

    def _nothing_is_lost(self, held: dict[str, Resource]) -> None:
        live = json.dumps([one for one in held.values() if not asks_for_a_decision(one)], default=str)
        kept = json.dumps([(each.live, each.other) for each in self.world.conflicts()], default=str)
        kept += "".join(each.body for each in self.world.parked())
        lost = self.ledger.lost(live, kept)
        assert not lost, f"lost: {lost}"
        changed = [words for words in self.blind if words in live]
        assert not changed, f"leaked: {changed} changed what their author was never shown"

    def _no_false_conflict(self) -> None:
        for each in self.world.conflicts():
            if each.kind != "both-changed" or not each.live or not each.other:
                continue
            live, other = _words_in(each.live), _words_in(each.other)
            if live in self.ledger.edits and other in self.ledger.edits:
                assert not self.ledger.knew(live, other), f"false conflict: {live} was written by who had seen {other}"
                assert not self.ledger.knew(other, live), f"false conflict: {other} was written by who had seen {live}"

    def _nothing_is_there_twice(self, held: dict[str, Resource]) -> None:
        for name, found in (
            ("the plan", list(held.values())),
            *((n, r.there()) for n, r in self.world.regions.items()),
        ):
            words = Counter(_said_in(one) for one in found if not asks_for_a_decision(one))
            twice = [each for each in self.ledger.edits if words[each] > 1]
            assert not twice, f"doubled: {twice} at {name}"

    def _nothing_leaks(self) -> None:
        for name, region in self.world.regions.items():
            secret = [reference_of(one) for type_ in WITHHELD for one in region.there(type_)]
            assert not secret, f"leaked: {name} has {secret}"

    def _regions_hold_what_they_may_see(self, held: dict[str, Resource]) -> None:
        for name, region in self.world.regions.items():
            party = self.world.hub.parties[name]
            waits = {each.reference for each in self.world.parked() if each.party == name}
            if not decision_for(self.world.hub, party, self.world.plan, held).permit:
                continue
            expected = {
                ref: _content(one)
                for ref, one in project(held, party).items()
                if one["resourceType"] not in WITHHELD and ref not in region.deleted | waits
            }
            types = {ref.partition("/")[0] for ref in expected}
            found = {
                reference_of(one): _content(one)
                for one in region.there()
                if one["resourceType"] in types and reference_of(one) not in waits
            }
            assert found == expected, _difference(name, found, expected)

    def _what_was_acknowledged_is_in_the_journal(self) -> None:
        party = self.world.hub.parties[MUNICIPALITY]
        for key in self.acknowledged:
            assert receipt_of(self.world.hub, party, key), f"not acknowledged: {key} was answered and is not there"

    def _nothing_was_sent_after_revocation(self) -> None:
        for name, writes in (self.writes_at_revocation or {}).items():
            assert self.world.regions[name].wire.writes == writes, (
                f"leaked: {name} was sent something after the revocation"
            )


def _words_of(resource: Resource) -> str | None:
    type_ = resource["resourceType"]
    if type_ == "CarePlan":
        found = resource.get("title")
    else:
        found = resource.get("description" if type_ == "Goal" else "code", {}).get("text")
    return found if isinstance(found, str) else None


def _said_in(resource: Resource) -> str | None:
    return _words_of(resource) if resource["resourceType"] in ("CarePlan", "Goal", "ServiceRequest") else None


def _with_words(resource: Resource, words: str) -> Resource:
    type_ = resource["resourceType"]
    if type_ == "CarePlan":
        return resource | {"title": words}
    return resource | {"description" if type_ == "Goal" else "code": {"text": words}}


def _words_in(value: str) -> str:
    found = json.loads(value)
    return str(found.get("text", "") if isinstance(found, dict) else found)


def _content(resource: Resource) -> Resource:
    """What a resource says, without when and by which write it got there."""
    rest = {name: value for name, value in resource.items() if name not in ("meta", "extension")}
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated", "source")}
    extensions = [each for each in resource.get("extension", []) if each.get("url") != WRITE_ID]
    return rest | ({"meta": meta} if meta else {}) | ({"extension": extensions} if extensions else {})


def _difference(name: str, found: dict[str, Resource], expected: dict[str, Resource]) -> str:
    lines = [f"unsettled: {name} does not hold what it may see:"]
    for ref in sorted(found.keys() | expected.keys()):
        if found.get(ref) != expected.get(ref):
            lines += [f"  {ref}", f"    there: {found.get(ref)}", f"    plan:  {expected.get(ref)}"]
    return "\n".join(lines)
