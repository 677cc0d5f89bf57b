"""What a municipal system does in a run: it edits its record, delivers it, fetches what is new, and decides."""

from __future__ import annotations

import copy
from collections.abc import Mapping
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import rule

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.flows.push import Delivery
from tests.machine import judge
from tests.machine.state import State, which
from tests.machine.words import matters
from tests.machine.world import MUNICIPALITY, as_json

FIELDS = ("title_local", "vad_ar_viktigt")
"""single fields with words"""

NATIVE_STATES = ("planerad", "pågående", "klar")
NUMBERLESS = "atgarder_av_annan"
"""Items that the municipal system gives no ids: it knows them by where they stand, and sends them anywhere."""


class MunicipalRules(State):
    """Until there is an answer, what was delivered is delivered again before anything else."""

    @rule(what=st.sampled_from(["title_local", "vad_ar_viktigt", "mal", "insatser"]), index=which, exact=st.booleans())
    def edit_words(self, what: str, index: int, exact: bool) -> None:
        """Other words for the plan, for what matters to the person, for a goal or an intervention."""
        self._deliver_what_waits()
        town, words = self.town, self.ledger.new_words()
        if what in FIELDS:
            seen = {r[what] for r in (town.record, town.shown) if r and what in r}
            town.record[what] = words
            self.spoken_of |= {ref for ref, one in self.world.held().items() if matters(one)}
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

    @rule(what=st.sampled_from(["mal", "insatser", "anteckningar", NUMBERLESS]))
    def add(self, what: str) -> None:
        """A new goal, intervention or note."""
        if what == NUMBERLESS:
            self.add_numberless(0)
            return
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

    @rule(what=st.sampled_from(["vad_ar_viktigt", "mal", "insatser"]), index=which)
    def take_out(self, what: str, index: int) -> None:
        """A goal or an intervention that is no longer in the record, or the field that stands for one."""
        self._deliver_what_waits()
        if what in FIELDS:
            if self.town.record.pop(what, None):
                self._push(False)
            return
        items = self.town.record[what]
        if len(items) < 3:
            return
        items.pop(index % len(items))
        self._push(False)

    @rule(index=which)
    def add_numberless(self, index: int) -> None:
        """A new item without id, anywhere in its list."""
        self._deliver_what_waits()
        words = self.ledger.new_words()
        items = self.town.record.setdefault(NUMBERLESS, [])
        items.insert(index % (len(items) + 1), {"text": words, "status": "planerad"})
        self.ledger.wrote(MUNICIPALITY, words, ())
        self._push(False)

    @rule(index=which, exact=st.booleans())
    def edit_numberless(self, index: int, exact: bool) -> None:
        """Other words for an item without id."""
        self._deliver_what_waits()
        town, words = self.town, self.ledger.new_words()
        items = town.record.get(NUMBERLESS, [])
        shown = (town.shown or {}).get(NUMBERLESS, [])
        if not items or any(item["text"] not in {one["text"] for one in items} for item in shown):
            return  # which of those that it was shown somebody has before his eyes, nobody can tell
        item = items[index % len(items)]
        self.ledger.wrote(MUNICIPALITY, words, [item["text"]])
        item["text"] = words
        self._push(exact)

    @rule(index=which, out=st.booleans())
    def shuffle_numberless(self, index: int, out: bool) -> None:
        """Items without id come in another order, one of them perhaps no more."""
        self._deliver_what_waits()
        items = self.town.record.get(NUMBERLESS, [])
        if out and len(items) > 2:
            items.pop(index % len(items))
        items[:] = [*items[index:], *items[:index]]
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
            for item in self.town.record.get(NUMBERLESS, []):
                item.pop("id", None)  # it has no place for ids
            self.town.record.setdefault("mal", [])
            self.town.record.setdefault("insatser", [])
            self.town.version = shown.version

    @rule(word=st.sampled_from(["keep", "take"]), index=which)
    def decide(self, word: str, index: int) -> None:
        """Somebody decides which of two values is live from now on."""
        decided = self.world.decide(word, index)
        if decided is None:
            return
        live, reference = decided["live"], decided["element"].removesuffix("#")
        if word == "take" and isinstance(live, str | dict):
            self.ledger.let_go(live if isinstance(live, str) else str(live.get("text")))
        if word == "keep" and decided["kept"] is None and decided["keptFrom"] in self.trashed:
            self.trashed[decided["keptFrom"]].discard(reference)  # what it deleted is to stay

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


def _made_of(id_: str, held: Mapping[str, Resource]) -> set[str]:
    """The request that an intervention of the record became, and its task."""
    requests = {ref for ref, one in held.items() if id_ in (one["id"], *_numbers_of(one)) and ref.startswith("Serv")}
    return requests | {ref for ref, one in held.items() if one.get("focus", {}).get("reference") in requests}


def _numbers_of(resource: Resource) -> list[str]:
    return [str(each["value"]).rpartition("/")[2] for each in resource.get("identifier", [])]
