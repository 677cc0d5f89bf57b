"""The one merge: what a party says, against what it had seen and what is live, as a decision in values.

Terms: *bases* are what the party may have had before its eyes (what it last said, what it was last shown); an element
is *edited* if it equals none of them; ours was *seen* if it equals one of them. docs/merge.md tells all rules.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Literal

from fhir_adapter.fhir.resources import WRITE_ID, Resource
from fhir_adapter.plan import lifecycle
from fhir_adapter.plan.keys import ABSENT, MISSING, Key, assign_keys, label
from fhir_adapter.plan.ownership import Owners, Rule, choice_stem, rule_for

Refs = dict[str, Resource]
"""`Type/id` -> resource."""

ConflictKind = Literal["both-changed", "edit-against-delete", "own-words", "quarantined"]

UNKNOWN_PARTY = "unknown"
"""Stands for the author of a value where nobody noted who it was."""

STORED_META = frozenset({"versionId", "lastUpdated", "source"})
"""What a store writes about a version; it never takes part in a merge (meta.security, tag and profile do)."""


@dataclass(frozen=True, slots=True)
class Conflict:
    """Two values where one can be live: `live` is, `other` is kept for a decision. None stands for "not there".

    `path` is the element's FHIR path, list items by their key (`participant[PractitionerRole/1].period.end`), empty
    for the whole resource. A quarantined conflict names nothing of what is live: its author may not see that.
    """

    reference: str
    path: str
    base: Any
    live: Any
    other: Any
    live_party: str | None
    other_party: str
    kind: ConflictKind


@dataclass(frozen=True, slots=True)
class Kept:
    """The sender repeated a value from before somebody else's change, which was not taken for an edit."""

    reference: str
    path: str
    sent: Any
    live: Any


@dataclass(frozen=True, slots=True)
class Merged:
    """What becomes of the plan: `changed` holds whole resources that are new or differ from ours.

    `removed` names those that the party took out of the plan; their ended form is among `changed`.
    """

    changed: Refs
    removed: list[str]
    conflicts: list[Conflict]
    kept: list[Kept]


@dataclass(frozen=True, slots=True)
class _Merge:
    """What stays the same throughout one merge, and what it finds."""

    party: str
    owners: Owners
    now: datetime
    ours: Mapping[str, Resource]
    has_said: bool
    said_last: bool
    conflicts: list[Conflict] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    unlinked: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Place:
    """One element of one resource: `path` for the rules, `label` for people, `rule` how it merges."""

    work: _Merge
    reference: str
    type: str
    path: str
    label: str
    rule: Rule

    def child(self, name: str) -> _Place:
        """The element `name` of the object here."""
        path = f"{self.path}.{name}" if self.path else name
        text = f"{self.label}.{name}" if self.label else name
        return replace(self, path=path, label=text, rule=rule_for(self.type, path))

    def item(self, key: Key) -> _Place:
        """The item with this key in the list here."""
        return replace(self, label=f"{self.label}[{label(key)}]")

    @property
    def owner(self) -> str | None:
        """The party that owns this element."""
        return self.work.owners.owner_of(self.reference, self.rule.owner)

    @property
    def is_own(self) -> bool:
        """Whether the party whose words are merged owns this element."""
        return self.owner == self.work.party


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
) -> Merged:
    """What the plan `ours` becomes now that `party` says `theirs`.

    bases: what the party last said, then what it was last shown (in one or more forms, such as the plan's and its own
    format's: taken away is only what all forms have). exact: the party tells which version it saw, and all bases are
    forms of that one. partial: theirs holds only what changed (a FHIR server); otherwise it is a snapshot, and what
    every base has and it lacks was taken away. now: when things end. hidden: references of ours that the party may
    not see. What it says about those is quarantined; what it says about visible ones that are in no base was added by
    both sides. None: whatever is in no base counts as hidden. said_last: the party said bases[0] after it was shown
    the others; going back from its own words to what it was shown is then an edit. No argument is changed; results
    may share parts with them.
    """
    has_said = len(bases) > 1 and not exact
    work = _Merge(party, owners, now, ours, has_said, has_said and said_last)
    changed: Refs = {}
    for reference, said in theirs.items():
        result = _merge_resource(work, reference, [base.get(reference) for base in bases], said, hidden)
        if result is not None:
            changed[reference] = result
    gone = [] if partial else _left_out(work, bases, theirs)
    removed = []
    for reference in dict.fromkeys(gone + work.unlinked):
        known = [base[reference] for base in bases if reference in base]
        ended = _take_away(work, reference, known, changed.get(reference))
        if ended is not None:
            changed[reference] = ended
            removed.append(reference)
    if not partial and has_said:
        _report_what_was_not_taken_up(work, bases, theirs)
    return Merged(changed, removed, work.conflicts, work.kept)


def looks_emptied(bases: Sequence[Mapping[str, Resource]], theirs: Mapping[str, Resource]) -> tuple[str, ...]:
    """What a snapshot seems to have lost by accident: the types of which it drops every one of two or more.

    Looked at are goals and interventions that were in every base and had not ended, and the plan itself (one is
    enough). A snapshot for which this is not empty must not be merged but parked: a broken export looks like this.
    """
    if not bases:
        return ()
    known = [ref for ref, one in bases[0].items() if all(ref in base for base in bases) and not _has_ended(one)]
    lost = []
    for type_, least in (("CarePlan", 1), ("Goal", 2), ("ServiceRequest", 2)):
        before = [reference for reference in known if reference.startswith(f"{type_}/")]
        if len(before) >= least and not any(reference in theirs for reference in before):
            lost.append(type_)
    return tuple(lost)


def _has_ended(resource: Resource) -> bool:
    return bool(resource) and lifecycle.is_removed(resource)


# --- whole resources ---------------------------------------------------------------------------------------------


def _left_out(work: _Merge, bases: Sequence[Mapping[str, Resource]], theirs: Mapping[str, Resource]) -> list[str]:
    """What the party had before its eyes and says no more."""
    if not bases:
        return []
    must_have = bases[:1] if work.said_last else bases
    return [ref for ref in bases[0] if ref not in theirs and all(ref in base for base in must_have)]


def _merge_resource(
    work: _Merge, reference: str, stored: Sequence[Resource | None], said: Resource, hidden: Collection[str] | None
) -> Resource | None:
    """The resource as it is to be saved, or None if nothing of it changes. Whole contents are compared first."""
    mine = work.ours.get(reference)
    theirs = content_of(said)
    if mine is not None and content_of(mine) == theirs:
        return None
    bases = [content_of(base) for base in stored if base]
    if not bases:
        return _merge_unknown(work, reference, [ABSENT] * len(stored), mine, theirs, hidden)
    if all(base == theirs for base in bases):
        return None
    if mine is None:
        return _merge_lost(work, reference, bases, theirs)
    return _merge_known(work, reference, [content_of(base) if base else ABSENT for base in stored], mine, theirs)


def _merge_unknown(
    work: _Merge,
    reference: str,
    bases: Sequence[Any],
    mine: Resource | None,
    theirs: Resource,
    hidden: Collection[str] | None,
) -> Resource | None:
    if mine is None:
        return theirs
    if hidden is None or reference in hidden:
        # neither applied nor dropped; nothing of ours may leak into what the sender gets back
        work.conflicts.append(Conflict(reference, "", None, None, theirs, None, work.party, "quarantined"))
        return None
    return _merge_known(work, reference, bases, mine, theirs)


def _merge_lost(work: _Merge, reference: str, bases: Sequence[Resource], theirs: Resource) -> Resource | None:
    """The party speaks of something that it knew and the plan no longer has: only an edit brings it back."""
    if theirs in bases:
        return None
    other = work.owners.wrote(reference) or work.owners.of(reference) or UNKNOWN_PARTY
    work.conflicts.append(Conflict(reference, "", bases[-1], theirs, None, work.party, other, "edit-against-delete"))
    return theirs


def _merge_known(
    work: _Merge, reference: str, bases: Sequence[Any], mine: Resource, theirs: Resource
) -> Resource | None:
    ours = content_of(mine)
    place = _Place(work, reference, theirs.get("resourceType", ""), "", "", Rule("setter", fields=True))
    live = _merge_fields(place, bases, ours, theirs)
    if live == ours:
        return None
    known = [base for base in bases if base is not ABSENT]
    _report_edit_of_what_was_removed(place, known, ours, theirs, live)
    return _with_stored_parts(live, mine)


def _report_edit_of_what_was_removed(
    place: _Place, bases: Sequence[Resource], ours: Resource, theirs: Resource, live: Resource
) -> None:
    """Somebody edits what another had taken away meanwhile: the edit lives, the end stands, both are shown."""
    if not lifecycle.is_removed(live) or lifecycle.is_removed(theirs) or any(map(lifecycle.is_removed, bases)):
        return
    work = place.work
    owner = work.owners.of(place.reference)
    base = bases[-1] if bases else None
    work.conflicts.append(Conflict(place.reference, "", base, live, theirs, owner, work.party, "edit-against-delete"))


def _take_away(work: _Merge, reference: str, known: Sequence[Resource], merged: Resource | None) -> Resource | None:
    """The ended form of what the party took away, or None where it stays: not the party's, or edited meanwhile.

    Where no base holds the resource, a link to it was taken out (a FHIR server tells only of the resource that held
    the link): that is the owner's word, whatever became of the resource meanwhile.
    """
    mine = work.ours.get(reference)
    if mine is None:
        return None
    live = merged or mine
    ended = lifecycle.remove(live, work.now)
    if ended == live:
        return None
    bases = [content_of(base) for base in known]
    owner = work.owners.of(reference)
    is_seen = not known or _was_seen(bases, content_of(mine), mine.get("resourceType", ""), "")
    if owner == work.party and is_seen:
        return ended
    base = bases[-1] if bases else None
    work.conflicts.append(
        Conflict(reference, "", base, content_of(live), None, owner, work.party, "edit-against-delete")
    )
    return None


def _report_what_was_not_taken_up(
    work: _Merge, bases: Sequence[Mapping[str, Resource]], theirs: Mapping[str, Resource]
) -> None:
    """What the party was shown, never said and does not say now: it stays, and the sender is told."""
    said, *shown = bases
    unsaid = [ref for ref in shown[0] if ref not in said and ref not in theirs and ref in work.ours]
    new = [ref for ref in unsaid if all(ref in form for form in shown)]
    for reference in new:
        mine = work.ours[reference]
        goes_with_another = mine.get("focus", {}).get("reference") in new
        if lifecycle.can_be_removed(mine) and not lifecycle.is_removed(mine) and not goes_with_another:
            work.kept.append(Kept(reference, "", None, content_of(mine)))


# --- elements ----------------------------------------------------------------------------------------------------


def _merge_value(place: _Place, bases: Sequence[Any], ours: Any, theirs: Any) -> Any:
    """The live value of one element; MISSING where it is not there."""
    if ours == theirs:
        return ours
    if isinstance(ours, list) or isinstance(theirs, list):
        return _merge_list(place, bases, ours, theirs)
    if place.rule.fields and isinstance(ours, dict) and isinstance(theirs, dict):
        return _merge_fields(place, bases, ours, theirs)
    return _merge_whole(place, bases, ours, theirs)


def _merge_whole(place: _Place, bases: Sequence[Any], ours: Any, theirs: Any) -> Any:
    """One value against another: the rule at the bottom of everything."""
    if ours == theirs:
        return ours
    if all(base is ABSENT for base in bases):
        bases = (MISSING,)
    if not _is_edited(place.work, bases, ours, theirs):
        _report_old_value(place, bases, ours, theirs)
        return ours
    if ours in bases and not _is_reopened_by_another(place, theirs):
        if _is_in_the_persons_own_words(place):
            _report(place, bases, theirs, ours, "own-words", taken=True)
        return theirs
    if ours in bases or theirs is MISSING:
        _report(place, bases, ours, theirs, "edit-against-delete", taken=False)
        return ours
    if ours is MISSING:
        _report(place, bases, theirs, ours, "edit-against-delete", taken=True)
        return theirs
    live, other = (theirs, ours) if place.is_own else (ours, theirs)
    _report(place, bases, live, other, "both-changed", taken=place.is_own)
    return live


def _is_edited(work: _Merge, bases: Sequence[Any], ours: Any, theirs: Any) -> bool:
    """Whether the party means its value: it equals no base, or turns back its own last words, which are live."""
    if theirs not in bases:
        return True
    return work.said_last and ours == bases[0] and theirs != bases[0]


def _report_old_value(place: _Place, bases: Sequence[Any], ours: Any, theirs: Any) -> None:
    """Tell the sender that its value was not taken, where it had a newer one before its eyes or may have meant it."""
    if not place.work.has_said or bases[0] is ABSENT:
        return
    said, *shown = bases
    is_older = theirs == said and said not in shown and any(form is not ABSENT for form in shown)
    may_be_meant = theirs != said and ours == said
    if is_older or may_be_meant:
        place.work.kept.append(Kept(place.reference, place.label, _json(theirs), _json(ours)))


def _is_reopened_by_another(place: _Place, theirs: Any) -> bool:
    """Whether a party that does not own the state leaves a terminal one: that needs a decision."""
    element, _ = lifecycle.LIFECYCLES.get(place.type, ("", {}))
    if place.path != element or place.is_own:
        return False
    mine = place.work.ours.get(place.reference, {})
    return lifecycle.is_terminal(mine) and theirs != "entered-in-error"


def _is_in_the_persons_own_words(place: _Place) -> bool:
    """Whether somebody else rewrites what the person said: taken, but the person's words are never lost silently."""
    if place.type != "Goal" or place.path != "description" or place.is_own:
        return False
    mine = place.work.ours.get(place.reference, {})
    spoken_by = mine.get("expressedBy", {}).get("reference", "")
    return "description" in mine and "Patient/" in spoken_by


def _report(place: _Place, bases: Sequence[Any], live: Any, other: Any, kind: ConflictKind, *, taken: bool) -> None:
    """Keep both values; `taken`: the live one is the sender's."""
    work, owner = place.work, place.owner
    base = next((one for one in reversed(bases) if one is not ABSENT), MISSING)
    others = work.owners.wrote(place.reference) or (owner if owner != work.party else None)
    live_party, other_party = (work.party, others or UNKNOWN_PARTY) if taken else (others, work.party)
    work.conflicts.append(
        Conflict(place.reference, place.label, _json(base), _json(live), _json(other), live_party, other_party, kind)
    )


def _merge_fields(place: _Place, bases: Sequence[Any], ours: Resource, theirs: Resource) -> Resource:
    """Both sides' changes inside one object. `x` and `_x`, and the forms of x[y], are one element each."""
    live = dict(ours)
    before = [base if base is ABSENT or isinstance(base, dict) else {} for base in bases]
    for names in _names_by_element(place, [ours, theirs, *(base for base in before if base is not ABSENT)]):
        if len(names) == 1:
            name = names[0]
            values = [ABSENT if base is ABSENT else base.get(name, MISSING) for base in before]
            value = _merge_value(place.child(name), values, ours.get(name, MISSING), theirs.get(name, MISSING))
            part = {} if value is MISSING else {name: value}
        else:
            element = place.child(choice_stem(place.type, place.path, names[0]))
            forms = [ABSENT if base is ABSENT else _part(base, names) for base in before]
            value = _merge_whole(element, forms, _part(ours, names), _part(theirs, names))
            part = {} if value is MISSING else value
        if part != {name: ours[name] for name in names if name in ours}:
            live = {name: value for name, value in live.items() if name not in names} | part
    return live


def _names_by_element(place: _Place, versions: Sequence[Resource]) -> list[list[str]]:
    """The names that occur, those of one element together, in order of first appearance."""
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for version in versions for name in version):
        found.setdefault(choice_stem(place.type, place.path, name), []).append(name)
    return list(found.values())


def _part(version: Resource, names: Sequence[str]) -> Any:
    return {name: version[name] for name in names if name in version} or MISSING


# --- lists -------------------------------------------------------------------------------------------------------


def _merge_list(place: _Place, bases: Sequence[Any], ours: Any, theirs: Any) -> Any:
    """The list after both sides' changes, item by item; MISSING where nothing is left."""
    versions = [version if isinstance(version, list) else [] for version in (*bases, ours, theirs)]
    keys = assign_keys(place.rule.keys, versions, len(bases))
    by_key = [dict(zip(names, items, strict=True)) for names, items in zip(keys, versions, strict=True)]
    live: dict[Key, Any] = {}
    for key in _in_order(keys[-2], keys[-1]):
        *before, mine, said = (version.get(key, MISSING) for version in by_key)
        before = [ABSENT if base is ABSENT else item for base, item in zip(bases, before, strict=True)]
        value = _merge_item(place.item(key), before, mine, said)
        if value is not MISSING:
            live[key] = value
    return list(live.values()) or MISSING


def _in_order(ours: Sequence[Key], theirs: Sequence[Key]) -> list[Key]:
    """Ours in its order, each addition behind the one that it follows in theirs; first ones at the end."""
    order = list(ours)
    known = set(ours)
    for before, key in zip([None, *theirs], theirs, strict=False):
        if key not in known:
            order.insert(order.index(before) + 1 if before is not None else len(order), key)
            known.add(key)
    return order


def _merge_item(place: _Place, bases: Sequence[Any], ours: Any, theirs: Any) -> Any:
    if ours is MISSING:
        return _merge_item_that_we_lack(place, bases, theirs)
    if theirs is not MISSING:
        inside = [ABSENT if base is MISSING else base for base in bases]
        return _merge_value(place, inside, ours, _as_we_spell_it(place, ours, theirs))
    telling = [base for base in bases if base is not ABSENT]
    must_have = bases[:1] if place.work.said_last and bases[0] is not ABSENT else telling
    if must_have and MISSING not in must_have:
        return _take_item_away(place, [base for base in telling if base is not MISSING], ours)
    was_only_shown = place.work.has_said and bases[0] is MISSING and MISSING not in telling[1:] and len(telling) > 1
    if was_only_shown and place.rule.removal != "followed":
        place.work.kept.append(Kept(place.reference, place.label, None, ours))
    return ours


def _as_we_spell_it(place: _Place, ours: Any, theirs: Any) -> Any:
    """A note may come back with its time in another zone or its letters decomposed: ours stays as it was sent."""
    if place.rule.removal != "kept":
        return theirs
    return theirs | {name: ours[name] for name in ("text", "time") if name in ours}


def _merge_item_that_we_lack(place: _Place, bases: Sequence[Any], theirs: Any) -> Any:
    if all(base is MISSING or base is ABSENT for base in bases):
        return theirs
    return _merge_whole(place, bases, MISSING, theirs)


def _take_item_away(place: _Place, bases: Sequence[Any], ours: Any) -> Any:
    """What stays of an item that every base has and the party left out."""
    work, removal = place.work, place.rule.removal
    target = _target_of(ours)
    if removal == "followed" and target in work.ours:
        work.unlinked.append(target)
        return ours
    ended = lifecycle.end_membership(ours, work.now) if removal == "ended" else MISSING
    if ended == ours:
        return ours
    if removal != "kept" and place.is_own and _was_seen(bases, ours, place.type, place.path):
        return ended
    _report(place, bases, ours, MISSING, "edit-against-delete", taken=False)
    return ours


def _target_of(link: Any) -> str:
    """What an item of a link list points to: it is a Reference, or has one (CarePlan.activity)."""
    reference = link.get("reference") if isinstance(link, dict) else None
    if isinstance(reference, dict):
        reference = reference.get("reference")
    return reference if isinstance(reference, str) else ""


def _was_seen(bases: Sequence[Any], ours: Any, type_: str, path: str) -> bool:
    """Whether everything that ours says stands in one of the bases, element by element."""
    if ours in bases:
        return True
    if isinstance(ours, dict):
        before = [base for base in bases if isinstance(base, dict)]
        return bool(before) and all(
            _was_seen([base[name] for base in before if name in base], value, type_, f"{path}.{name}".lstrip("."))
            for name, value in ours.items()
        )
    if isinstance(ours, list):
        versions = [base for base in bases if isinstance(base, list)]
        *keys, mine = assign_keys(rule_for(type_, path).keys, [*versions, ours], len(versions))
        known = [dict(zip(names, items, strict=True)) for names, items in zip(keys, versions, strict=True)]
        return all(
            _was_seen([one[key] for one in known if key in one], item, type_, path)
            for key, item in zip(mine, ours, strict=True)
        )
    return False


# --- what takes part ---------------------------------------------------------------------------------------------


def content_of(resource: Resource) -> Resource:
    """The resource without what a store or a delivery wrote on it: version, time and source in meta, the write id."""
    if "meta" in resource and STORED_META & resource["meta"].keys():
        meta = {name: value for name, value in resource["meta"].items() if name not in STORED_META}
        resource = {name: value for name, value in resource.items() if name != "meta"} | (
            {"meta": meta} if meta else {}
        )
    if "extension" in resource and any(one.get("url") == WRITE_ID for one in resource["extension"]):
        rest = [one for one in resource["extension"] if one.get("url") != WRITE_ID]
        resource = {name: value for name, value in resource.items() if name != "extension"}
        resource = resource | ({"extension": rest} if rest else {})
    return resource


def _with_stored_parts(live: Resource, mine: Resource) -> Resource:
    """The merged content with the version, time, source and write id that ours carried."""
    stored = {name: value for name, value in mine.get("meta", {}).items() if name in STORED_META}
    if stored:
        live = live | {"meta": stored | live.get("meta", {})}
    marks = [one for one in mine.get("extension", ()) if one.get("url") == WRITE_ID]
    return live | {"extension": [*live.get("extension", ()), *marks]} if marks else live


def _json(value: Any) -> Any:
    return None if value is MISSING else value
