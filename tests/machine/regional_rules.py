"""What people at a region do in a run, and what befalls its store: backups, restores, things that vanish."""

from __future__ import annotations

from hypothesis import strategies as st
from hypothesis.stateful import rule

from fhir_adapter.fhir.resources import Resource, asks_for_a_decision, reference_of
from fhir_adapter.flows.naming import write_id_of
from tests.machine.municipal_rules import MunicipalRules
from tests.machine.state import regions, which
from tests.machine.words import SPOKEN, with_words, words_of
from tests.machine.world import Region

GOAL_STATES = ("active", "on-hold", "accepted", "completed")
TASK_STATES = ("accepted", "rejected", "in-progress", "completed")
MOST_BACKUPS = 3
"""Backups that a region keeps: the one it began with, and the newest."""

SPOKEN_OF = st.sampled_from(SPOKEN)


class RegionalRules(MunicipalRules):
    """They work in the region's own store; nobody tells the service."""

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


def _everything_in(region: Region) -> str:
    return b"".join(body for *_, body in region.versions()).decode()
