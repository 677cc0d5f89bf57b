"""The state machine: everybody does anything in any order, and after every quiet moment nothing may be missing."""

from __future__ import annotations

import atexit
import copy
import shutil
import tempfile
from collections.abc import Mapping, Sequence
from datetime import timedelta
from functools import cache
from pathlib import Path
from typing import Any, ClassVar
from unittest.mock import patch

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, rule

from fhir_adapter.fhir.resources import Resource, asks_for_a_decision, reference_of
from fhir_adapter.flows import safety, sync
from fhir_adapter.flows.naming import write_id_of
from fhir_adapter.flows.push import Answer
from fhir_adapter.store.tombstones import KeptTombstone
from tests.machine import judge
from tests.machine.ledger import Ledger
from tests.machine.wire import READING_TROUBLES, TROUBLES
from tests.machine.words import SPOKEN, content, with_words, words_of
from tests.machine.world import FIRST_RECORD, MUNICIPALITY, REGIONS, Delivery, Region, World, as_json, copied, prepared

SHM = Path("/dev/shm")
GOAL_STATES = ("active", "on-hold", "accepted", "completed")
TASK_STATES = ("accepted", "rejected", "in-progress", "completed")
NATIVE_STATES = ("planerad", "pågående", "klar")
ROUNDS = 15
"""Rounds of looking and delivering after which everything must have settled."""

MOST_BACKUPS = 3
"""Backups that a region keeps: the one it began with, and the newest."""

UNANSWERED = ("lost answer", "crash after call", "late request")
SHARED_WORDS = st.sampled_from(["mal", "insatser"])
SPOKEN_OF = st.sampled_from(SPOKEN)

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
    laws: ClassVar[Sequence[judge.Law]] = judge.LAWS

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=store()))
        self.world = copied(prepared_once(), self.folder, seed)
        self.ledger = Ledger()
        self.town = Municipality()
        self.answered: list[tuple[Delivery, Answer]] = []
        self.blind: set[str] = set()
        self.blindly_written: set[tuple[str, str]] = set()
        self.sent_at_revocation: dict[str, int] | None = None
        self.live: dict[str, str] = {}
        self.buried: list[KeptTombstone] = []
        self.spoken_of: set[str] = set()
        self.trash: dict[tuple[str, str], Resource] = {}
        self.trashed: dict[str, set[str]] = {name: set() for name in REGIONS}
        self.fetched = (0, 0)
        self.unsure: set[str] = set()
        self.said_again: set[str] = set()
        self.restores = 0
        self.looked_at = 0
        self.untouched = {
            (name, reference_of(one)): content(one)
            for name, region in self.world.regions.items()
            for type_ in ("Patient", "Organization", "Practitioner", "PractitionerRole")
            for one in region.there(type_)
        }
        for region in self.world.regions.values():
            region.back_up()
            region.wire.arrived = {mark for one in region.there() if (mark := write_id_of(one))}

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
        item = items[index % len(items)]
        item["status"] = state
        self.spoken_of |= _made_of(item["id"], self.world.held())  # what was taken out and shown may be taken up again
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
        """The municipal system asks what is new, and takes it up or not. Without an answer it asks again."""
        self._deliver_what_waits()
        shown = None
        while shown is None:
            shown = self.world.fetch()
            least, most = self.fetched
            self.fetched = (least + (shown is not None), most + 1)
        judge.a_record_shows_what_is_live(self, shown.native, self.world.held())
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
        live = self.world.decide(word, index)
        if word == "take" and isinstance(live, str | dict):
            self.ledger.let_go(live if isinstance(live, str) else str(live.get("text")))

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

    @rule(index=which)
    def send_again(self, index: int) -> None:
        """A delivery once more, as a sender does who got no answer, or who found an old one in its queue."""
        self._deliver_what_waits()
        if not self.answered:
            return
        delivery, answer = self.answered[-1 - index % len(self.answered)]
        before = self.world.plan.version
        again = self.world.push(delivery)
        assert again is None or (again.replayed and again.receipt == answer.receipt), "doubled: it was taken twice"
        assert self.world.plan.version == before, "doubled: a repeated delivery changed the plan"

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
            self.answered.append((self.town.waiting, answer))
            self.town.waiting = None
            self._note_consent()

    def _note_consent(self) -> None:
        if self.town.consent:
            self.sent_at_revocation = None
        elif self.sent_at_revocation is None:
            self.sent_at_revocation = {name: region.wire.sent for name, region in self.world.regions.items()}

    # --- the regions

    @rule(name=regions, what=SPOKEN_OF, index=which)
    def region_edits_words(self, name: str, what: str, index: int) -> None:
        """Somebody at a region writes other words."""
        region = self.world.regions[name]
        found = self._pick(region, what, index)
        if found is None:
            return
        self._write_words(region, found)

    def _write_words(self, region: Region, found: Resource) -> None:
        words = self.ledger.new_words()
        before = words_of(found)
        self._put(region, with_words(found, words))
        self.ledger.wrote(region.name, words, {before} if before else ())

    @rule(name=regions, index=which, state=st.sampled_from(GOAL_STATES))
    def region_edits_state(self, name: str, index: int, state: str) -> None:
        """Somebody at a region says how far a goal is."""
        region = self.world.regions[name]
        found = self._pick(region, "Goal", index)
        if found is not None:
            self._put(region, found | {"lifecycleStatus": state})

    @rule(name=regions, index=which, state=st.sampled_from(TASK_STATES))
    def region_answers(self, name: str, index: int, state: str) -> None:
        """Somebody at a region says how far a task is, allowed to or not."""
        region = self.world.regions[name]
        found = self._pick(region, "Task", index)
        if found is not None and not asks_for_a_decision(found):
            self._put(region, found | {"status": state})

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
            self.trash[name, reference_of(found)] = found
            region.delete(found)
            words = str(words_of(found))
            if self._is_its_own(region, found):  # its author takes back what nobody else had
                self.blind.discard(words)
                self.ledger.forget(words)
            elif (name, reference_of(found)) not in self.blindly_written:  # else it makes way for what is ours
                self.trashed[name].add(reference_of(found))

    @rule(name=regions)
    def region_brings_back(self, name: str) -> None:
        """Somebody at a region finds that what was deleted there last was needed, and saves it again."""
        region = self.world.regions[name]
        gone = [ref for where, ref in self.trash if where == name and ref in region.deleted]
        if not gone:
            return
        found = {key: value for key, value in self.trash[name, gone[-1]].items() if key != "meta"}
        self._put(region, found)
        words = str(words_of(found))
        self.said_again.add(words)
        if self._is_its_own(region, found):
            self.ledger.wrote(name, words, ())
            self.blind.add(words)

    def _is_its_own(self, region: Region, found: Resource) -> bool:
        """Whether this was written to something that the region was never shown."""
        return (region.name, reference_of(found)) in self.blindly_written and write_id_of(found) is None

    @rule(name=regions, index=which)
    def region_writes_blindly(self, name: str, index: int) -> None:
        """A write to a part of the plan that this region was never shown, as a mixed-up import makes it."""
        region = self.world.regions[name]
        if not self._unseen_goals(region):
            self.add("mal")
        unseen = self._unseen_goals(region)
        if not unseen:
            return
        found = unseen[index % len(unseen)]
        words = self.ledger.new_words()
        self._put(
            region,
            {
                "resourceType": "Goal",
                "id": found["id"],
                "subject": found["subject"],
                "lifecycleStatus": "active",
                "description": {"text": words},
                "note": [{"text": words}],
            },
        )
        self.ledger.wrote(name, words, ())
        self.blind.add(words)
        self.blindly_written.add((name, reference_of(found)))

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

    def _unseen_goals(self, region: Region) -> list[Resource]:
        there = {reference_of(one) for one in region.there("Goal")} | region.deleted
        return [one for ref, one in sorted(self.world.held().items()) if ref.startswith("Goal/") and ref not in there]

    @rule(name=regions)
    def region_backs_up(self, name: str) -> None:
        """The nightly backup."""
        region = self.world.regions[name]
        region.back_up()
        if len(region.backups) > MOST_BACKUPS:
            region.backups.pop(1).close()

    @rule(name=regions, index=which)
    def region_is_restored(self, name: str, index: int) -> None:
        """A backup is brought back: what came after it is gone, and version numbers begin anew."""
        region = self.world.regions[name]
        before = _everything_in(region)
        region.restore(index)
        self.restores += 1
        self._forget_what_nobody_had(region, before)

    @rule(name=regions, what=SPOKEN_OF, index=which)
    def region_edits_again_after_a_restore(self, name: str, what: str, index: int) -> None:
        """What somebody wrote was taken in and then restored away; it is written anew in other words, under the number
        that the first ones had."""
        self.region_backs_up(name)
        self.region_edits_words(name, what, index)
        self.world.collect(name)
        self.region_is_restored(name, -1)
        self.region_edits_words(name, what, index)

    @rule(name=regions, what=st.sampled_from([*SPOKEN, "Task"]), index=which)
    def region_forgets(self, name: str, what: str, index: int) -> None:
        """Something at a region is gone without a trace."""
        region = self.world.regions[name]
        found = self._pick(region, what, index)
        if found is None:
            return
        before, held = _everything_in(region), self.world.held()
        region.forget(what, found["id"])
        hung = {(type_, id_) for type_, id_, *_ in region.versions() if type_ in ("Goal", "ServiceRequest")}
        for type_, id_ in sorted(hung) if what == "CarePlan" else ():
            if f"{type_}/{id_}" not in held:  # it hung on the plan by a link alone
                region.forget(type_, id_)
        self.restores += 1
        self._forget_what_nobody_had(region, before)

    def _forget_what_nobody_had(self, region: Region, before: str) -> None:
        """What was written there and was there alone is lost with it: no fault of the adapter's."""
        after, had = _everything_in(region), self.world.received(region.name)
        for edit in list(self.ledger.edits.values()):
            is_gone = edit.words in before and edit.words not in after
            if edit.party == region.name and is_gone and edit.words not in had:
                self.ledger.forget(edit.words)
                self.blind.discard(edit.words)
        self.unsure |= region.wire.arrived - self.world.noticed(region.name)
        self.trashed[region.name] &= region.deleted

    def _put(self, region: Region, resource: Resource) -> None:
        region.put(resource)
        self.spoken_of.add(reference_of(resource))
        self.trashed[region.name].discard(reference_of(resource))

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

    def forget(self) -> None:
        """Nothing of this world is left."""
        self.world.close()
        shutil.rmtree(self.folder, ignore_errors=True)


def _everything_in(region: Region) -> str:
    return b"".join(body for *_, body in region.versions()).decode()


def _made_of(id_: str, held: Mapping[str, Resource]) -> set[str]:
    """The request that an intervention of the record became, and its task."""
    requests = {ref for ref, one in held.items() if id_ in (one["id"], *_numbers_of(one)) and ref.startswith("Serv")}
    return requests | {ref for ref, one in held.items() if one.get("focus", {}).get("reference") in requests}


def _numbers_of(resource: Resource) -> list[str]:
    return [str(each["value"]).rpartition("/")[2] for each in resource.get("identifier", [])]


def _words_at(items: Sequence[dict[str, Any]], index: int) -> str:
    return str(items[index % len(items)]["text"])
