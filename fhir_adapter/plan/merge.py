"""The one merge: what a party says, against what it had seen and what is live, as a decision in values.

Terms: *bases* are what the party may have had before its eyes (what it last said, what it was last shown); an element
is *edited* if it equals none of them; ours was *seen* if it equals one of them. docs/merge.md tells all rules.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from fractions import Fraction
from functools import partial
from typing import Any

from fhir_adapter.fhir.resources import WRITE_ID, Resource
from fhir_adapter.plan import lifecycle
from fhir_adapter.plan.contained import pointed_to_and_gone, with_own_contained_ids
from fhir_adapter.plan.contents import STORED_META, content_of
from fhir_adapter.plan.elements import (
    UNKNOWN_PARTY,
    Conflict,
    ConflictKind,
    Kept,
    Place,
    Tombstone,
    Work,
    merge_fields,
    report,
    speaks_for_the_person,
    was_seen,
)
from fhir_adapter.plan.keys import ABSENT, MISSING
from fhir_adapter.plan.narrative import with_a_text_of_its_own
from fhir_adapter.plan.owners import Owners, is_said_by_the_person
from fhir_adapter.plan.ownership import Rule
from fhir_adapter.plan.quarantine import reason_not_to_merge

__all__ = [
    "UNKNOWN_PARTY",
    "Conflict",
    "ConflictKind",
    "Kept",
    "Merged",
    "Owners",
    "Refs",
    "Tombstone",
    "looks_emptied",
    "merge",
    "repeats_nothing",
]

Refs = dict[str, Resource]
"""`Type/id` -> resource."""

_ITS_OWN = frozenset({"CarePlan", "CareTeam", "Goal", "ServiceRequest", "Condition", "Consent", "Appointment"})
"""Types of which two plans have no equal ones; the same people and their roles may stand in both."""

EMPTIED = Fraction(2, 3)
"""The share of what it had that a snapshot loses at most by somebody's work at once."""


@dataclass(frozen=True, slots=True)
class Merged:
    """What becomes of the plan: `changed` holds whole resources that are new or differ from ours.

    `removed` names those that the party took out of the plan; their ended form is among `changed`.
    """

    changed: Refs
    removed: list[str]
    conflicts: list[Conflict]
    kept: list[Kept]
    tombstones: list[Tombstone]


def merge(
    bases: Sequence[Mapping[str, Resource]],
    ours: Mapping[str, Resource],
    theirs: Mapping[str, Resource],
    *,
    party: str,
    owners: Owners,
    partial: bool,
    now: datetime,
    hidden: Collection[str] | None = None,
    exact: bool = False,
    said_last: bool = False,
    buried: Callable[[], Collection[Tombstone]] = tuple,
    earlier: Sequence[Mapping[str, Resource]] = (),
    deletion: bool = False,
    is_stated: Callable[[Resource], bool] = lambda _: False,
    beside: Callable[[str], Sequence[Resource]] = lambda _: (),
    spelled: bool = False,
) -> Merged:
    """What the plan `ours` becomes now that `party` says `theirs`.

    bases: what the party last said, then what it was last shown (in one or more forms, such as the plan's and its own
    format's: taken away is only what all forms have). exact: the party tells which version it saw, and all bases are
    forms of that one. partial: theirs holds only what changed (a FHIR server); otherwise it is a snapshot, and what
    every base has and it lacks was taken away. now: when things end. hidden: references of ours that the party may
    not see. What it says about those is quarantined; what it says about visible ones that are in no base was added by
    both sides. None: whatever is in no base counts as hidden. said_last: the party said bases[0] after it was shown
    the others; going back from its own words to what it was shown is then an edit. buried: what was taken out of the
    plan before, asked for only where something is added. earlier: what the party was shown before that, since it spoke:
    who repeats a value of those never took up the newer one. deletion: the party deleted what theirs lacks, by name; so
    what cannot end is asked about, of which a snapshot's silence says nothing. is_stated: whether the party's format
    says of such a thing that it is there or is not, and has no word for how far it is. beside: what the party said last
    of a resource with its other records, asked for only where it says something new: where that is live, this is its
    later word. spelled: the last base is the one before it as the party's own format says it. No argument is changed;
    results may share parts with them.
    """
    has_said = len(bases) > 1 and not exact
    is_last, graves, own_words = has_said and said_last, tuple if exact else buried, bases[-1] if spelled else None
    work = Work(
        party,
        owners,
        now,
        ours,
        theirs,
        has_said,
        is_last,
        graves,
        earlier,
        deletion,
        is_stated,
        beside,
        own_words=own_words,
    )
    changed: Refs = {}
    for reference, said in theirs.items():
        result = _merge_resource(work, reference, [base.get(reference) for base in bases], said, hidden)
        if result is not None:
            changed[reference] = result
    changed = _with_tasks_that_wait(work, changed)
    gone = [] if partial else _left_out(work, bases, theirs)
    removed = []
    for reference in _without_tasks_of_others(work, dict.fromkeys(gone + work.unlinked)):
        known = [base[reference] for base in bases if reference in base]
        ended = _take_away(work, reference, known, changed.get(reference))
        if ended is not None:
            changed[reference] = ended
            removed.append(reference)
    _report_tasks_that_end_unseen(work, bases, changed)
    if not partial and has_said:
        _report_what_was_not_taken_up(work, bases, theirs)
    return Merged(changed, removed, work.conflicts, work.kept, work.tombstones)


def looks_emptied(bases: Sequence[Mapping[str, Resource]], theirs: Mapping[str, Resource]) -> tuple[str, ...]:
    """What a snapshot seems to have lost by accident: the types of which it drops two or more, and more than EMPTIED.

    Looked at are goals and interventions that were in every base and had not ended, and the plan itself (one is
    enough). A snapshot for which this is not empty must not be merged but parked: a broken export looks like this.
    """
    if not bases or bases[0].keys() <= theirs.keys():
        return ()
    lost = []
    for type_, least in (("CarePlan", 1), ("Goal", 2), ("ServiceRequest", 2)):
        said = [ref for ref, one in bases[0].items() if one.get("resourceType") == type_]
        before = [ref for ref in said if not lifecycle.has_ended(bases[0][ref]) and all(ref in one for one in bases)]
        dropped = sum(ref not in theirs for ref in before)
        if dropped >= least and dropped > EMPTIED * len(before):
            lost.append(type_)
    return tuple(lost)


def repeats_nothing(bases: Sequence[Mapping[str, Resource]], theirs: Mapping[str, Resource]) -> bool:
    """Whether nothing that makes a plan this one (goals, interventions, consent, team) is in the snapshot as it was."""
    known = [(ref, one) for base in bases for ref, one in base.items() if one.get("resourceType") in _ITS_OWN]
    return bool(known) and all(content_of(theirs.get(ref, {})) != content_of(one) for ref, one in known)


def _left_out(work: Work, bases: Sequence[Mapping[str, Resource]], theirs: Mapping[str, Resource]) -> list[str]:
    """What the party had before its eyes and says no more."""
    if not bases:
        return []
    must_have = bases[:1] if work.said_last else bases
    return [ref for ref in bases[0] if ref not in theirs and all(ref in base for base in must_have)]


def _without_tasks_of_others(work: Work, gone: Collection[str]) -> list[str]:
    """What is to be taken away, but the Tasks of interventions that go as well: they share their request's fate."""
    tasks = {ref: one for ref in gone if (one := work.ours.get(ref, {})).get("resourceType") == "Task"}
    focus = {ref: task.get("focus", {}).get("reference") for ref, task in tasks.items()}
    apart = {ref for ref, request in focus.items() if request in gone and not _may_take_away(work, request)}
    return [reference for reference in gone if reference not in apart]


def _may_take_away(work: Work, reference: str) -> bool:
    return _root(work, reference).owner in (None, work.party)


def _merge_resource(
    work: Work, reference: str, stored: Sequence[Resource | None], said: Resource, hidden: Collection[str] | None
) -> Resource | None:
    """The resource as it is to be saved, or None if nothing of it changes. Whole contents are compared first."""
    mine = work.ours.get(reference)
    theirs = content_of(said)
    if mine is not None and content_of(mine) == theirs:
        return None
    bases = [content_of(base) for base in stored if base]
    if reason := reason_not_to_merge(theirs, [*bases, *([mine] if mine else [])], work.ours, work.theirs):
        work.conflicts.append(_quarantined(work, reference, reason, theirs))
        return None
    if not bases:
        return _merge_unknown(work, reference, [ABSENT] * len(stored), mine, theirs, hidden)
    is_back = work.said_last and not stored[0]  # it was left out since it was shown: to say it again is an edit
    if all(base == theirs for base in bases) and not is_back:
        return None
    if mine is None:
        return _merge_lost(work, reference, bases, theirs)
    if _is_late_copy(work, reference, () if is_back else bases, mine, theirs):
        return None
    return _merge_known(work, reference, [content_of(base) if base else ABSENT for base in stored], mine, theirs)


def _merge_unknown(
    work: Work,
    reference: str,
    bases: Sequence[Any],
    mine: Resource | None,
    theirs: Resource,
    hidden: Collection[str] | None,
) -> Resource | None:
    if mine is None:
        return theirs
    if hidden is None or reference in hidden:
        work.conflicts.append(_quarantined(work, reference, "", theirs))
        return None
    if _is_late_copy(work, reference, (), mine, theirs):
        return None
    return _merge_known(work, reference, bases, mine, theirs)


def _is_late_copy(work: Work, reference: str, bases: Sequence[Resource], mine: Resource, theirs: Resource) -> bool:
    """Whether theirs is word for word what was taken out of the plan: it is asked about, it does not come back."""
    if theirs in bases or not lifecycle.is_removed(mine) or not work.is_buried(reference, "", theirs):
        return False
    request = work.ours.get(_request_of(mine), {})
    if lifecycle.is_removed(request):  # its Task shares its fate: one question is enough
        return True
    live = content_of(mine)
    report(_root(work, reference), [live], live, theirs, "edit-against-delete", taken=False)
    return True


def _request_of(resource: Resource) -> str:
    """What a Task is about; of others, such as an Observation, `focus` is another thing."""
    focus = resource.get("focus", {}) if resource["resourceType"] == "Task" else {}
    return str(focus.get("reference", ""))


def _with_tasks_that_wait(work: Work, changed: Refs) -> Refs:
    """A request that may come back is asked about; its Task, which ended with it, does not begin again before it."""
    asked = {one.reference for one in work.conflicts if one.kind == "edit-against-delete" and not one.path}
    waiting = {ref for ref in asked if lifecycle.is_removed(changed.get(ref) or work.ours.get(ref, {}))}
    if not waiting:
        return changed
    left = {
        reference: _as_it_ended(work.ours.get(reference, {}), after, waiting) for reference, after in changed.items()
    }
    return {reference: after for reference, after in left.items() if after != work.ours.get(reference)}


def _as_it_ended(mine: Resource, after: Resource, waiting: Collection[str]) -> Resource:
    if after["resourceType"] != "Task" or after.get("focus", {}).get("reference") not in waiting:
        return after
    return after | {"status": mine["status"]} if lifecycle.is_removed(mine) else after


def _quarantined(work: Work, reference: str, path: str, theirs: Resource) -> Conflict:
    """Neither applied nor dropped; nothing of ours may leak into what the sender gets back. path: see REASONS."""
    return Conflict(reference, path, None, None, theirs, None, work.party, "quarantined")


def _merge_lost(work: Work, reference: str, bases: Sequence[Resource], theirs: Resource) -> Resource | None:
    """The party speaks of something that it knew and the plan no longer has: only an edit brings it back."""
    if theirs in bases:
        return None
    report(_root(work, reference), bases, theirs, MISSING, "edit-against-delete", taken=True)
    return theirs


def _merge_known(work: Work, reference: str, bases: Sequence[Any], mine: Resource, theirs: Resource) -> Resource | None:
    ours = content_of(mine)
    theirs = with_own_contained_ids(bases, ours, theirs)
    beside = [content_of(one) for one in work.beside(reference)]
    place = _root(replace(work, aside=len(beside)) if beside else work, reference)
    merged = merge_fields(place, [*bases, *beside], ours, theirs)
    live = _with_what_it_points_to(place, bases, ours, theirs, merged)
    live = with_a_text_of_its_own(live, ours, theirs)
    if live == ours:
        return None
    known = [base for base in bases if base is not ABSENT]
    _report_edit_of_what_was_removed(place, known, ours, theirs, live)
    return _with_stored_parts(live, mine)


def _with_what_it_points_to(
    place: Place, bases: Sequence[Any], ours: Resource, theirs: Resource, live: Resource
) -> Resource:
    """The merged resource with the contained ones that one side took out while the other points to them."""
    lost = pointed_to_and_gone(live, theirs, ours)
    for one in lost:
        item = place.child("contained").item(("id", one["id"]), one)
        before = [each for base in bases if base is not ABSENT for each in base.get("contained", ()) if each == one]
        place.work.tombstones[:] = [each for each in place.work.tombstones if each.removed is not one]
        report(item, before, one, MISSING, "edit-against-delete", taken=one not in ours.get("contained", []))
    return live | {"contained": [*live.get("contained", []), *lost]} if lost else live


def _root(work: Work, reference: str) -> Place:
    """The whole resource; its owner is who may take it out of the plan."""
    type_ = (work.ours.get(reference) or work.theirs.get(reference) or {}).get("resourceType", "")
    return Place(work, reference, type_, "", "", Rule(work.owners.rules.whole(type_), fields=True))


def _report_edit_of_what_was_removed(
    place: Place, bases: Sequence[Resource], ours: Resource, theirs: Resource, live: Resource
) -> None:
    """Somebody edits what another had taken away meanwhile: the edit lives, the end stands, both are shown."""
    if not lifecycle.is_removed(live) or lifecycle.is_removed(theirs) or any(map(lifecycle.is_removed, bases)):
        return
    report(place, bases, live, theirs, "edit-against-delete", taken=False)


def _take_away(work: Work, reference: str, known: Sequence[Resource], merged: Resource | None) -> Resource | None:
    """The ended form of what the party took away, or None where it stays: not the party's, or edited meanwhile.

    Where no base holds the resource, a link to it was taken out (a FHIR server tells only of the resource that held
    the link): that is the owner's word, whatever became of the resource meanwhile.
    """
    mine = work.ours.get(reference)
    if mine is None:
        return None
    live = merged or mine
    bases = [content_of(base) for base in known]
    was_done = bool(bases) and all(map(lifecycle.is_terminal, bases))
    take = lifecycle.take_back if was_done and work.is_stated(live) else partial(lifecycle.remove, now=work.now)
    ended = take(live)
    place = _root(work, reference)
    if ended == live:
        if work.deletion and lifecycle.cannot_end(live):
            report(place, bases, content_of(live), MISSING, "edit-against-delete", taken=False)
        return None
    if _may_take_away(work, reference) and (not known or was_seen(place, bases, content_of(mine))):
        work.bury(reference, "", content_of(mine))
        if is_said_by_the_person(mine) and not speaks_for_the_person(work, reference):
            report(place, bases, content_of(ended), content_of(mine), "own-words", taken=True)
        return ended
    report(place, bases, content_of(live), MISSING, "edit-against-delete", taken=False)
    return None


def _report_tasks_that_end_unseen(
    work: Work, bases: Sequence[Mapping[str, Resource]], changed: Mapping[str, Resource]
) -> None:
    """The end of a request ends its Task; what its performer said of that, unseen by who ended the request, is kept."""
    ended = {
        reference: end
        for reference, after in changed.items()
        if after["resourceType"] == "ServiceRequest" and (end := lifecycle.TASK_FOLLOWS.get(after.get("status", "")))
        if after.get("status") != work.ours.get(reference, {}).get("status")
    }
    asked = {one.reference for one in work.conflicts if one.path in ("", "status")}
    for reference, task in work.ours.items() if ended else ():
        end = ended.get(task.get("focus", {}).get("reference")) if task.get("resourceType") == "Task" else None
        if end is None:
            continue
        before = [base[reference].get("status") for base in bases if base.get(reference)]
        state = task.get("status")
        if not before or state in (*before, end) or lifecycle.is_terminal(task):
            continue
        if changed.get(reference, task).get("status") != state or reference in asked:
            continue
        place = Place(work, reference, "Task", "status", "status", work.owners.rules.rule_for("Task", "status"))
        report(place, before, end, state, "both-changed", taken=True)


def _report_what_was_not_taken_up(
    work: Work, bases: Sequence[Mapping[str, Resource]], theirs: Mapping[str, Resource]
) -> None:
    """What the party was shown, never said and does not say now: it stays, and the sender is told."""
    said, *shown = bases
    unsaid = [ref for ref in shown[0] if ref not in said and ref not in theirs and ref in work.ours]
    new = [ref for ref in unsaid if all(ref in form for form in shown)]
    for reference in new:
        mine = work.ours[reference]
        if lifecycle.can_be_removed(mine) and not lifecycle.is_removed(mine) and _request_of(mine) not in new:
            work.kept.append(Kept(reference, "", None, content_of(mine)))


def _with_stored_parts(live: Resource, mine: Resource) -> Resource:
    """The merged content with the version, time, source and write id that ours carried."""
    stored = {name: value for name, value in mine.get("meta", {}).items() if name in STORED_META}
    if stored:
        live = live | {"meta": stored | live.get("meta", {})}
    marks = [one for one in mine.get("extension", ()) if one.get("url") == WRITE_ID]
    return live | {"extension": [*live.get("extension", ()), *marks]} if marks else live
