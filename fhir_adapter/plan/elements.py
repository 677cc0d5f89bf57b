"""One element of a resource, merged: values, objects, lists by key, and what is found on the way."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.plan import lifecycle
from fhir_adapter.plan.contents import content_of
from fhir_adapter.plan.identity import is_current, is_protected
from fhir_adapter.plan.keys import ABSENT, MISSING, Key, assign_keys, content, label, with_replacements_paired
from fhir_adapter.plan.owners import Owners, is_said_by_the_person
from fhir_adapter.plan.ownership import CONTRIBUTED, OWN_WORDS, STRICT_FIRST, Rule, choice_stem
from fhir_adapter.plan.spelling import with_own_spellings

ConflictKind = Literal["both-changed", "edit-against-delete", "own-words", "quarantined", "not-allowed"]

UNKNOWN_PARTY = "unknown"
"""Stands for the author of a value where nobody noted who it was."""


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
    owner: str | None = None


@dataclass(frozen=True, slots=True)
class Tombstone:
    """Something that was taken out of the plan: what it was, by whom and when. `path` as in a Conflict.

    A late copy that brings the same again does not bring it back: it is a question.
    """

    reference: str
    path: str
    removed: Any
    by: str
    at: datetime


@dataclass(frozen=True, slots=True)
class Kept:
    """The sender repeated a value from before somebody else's change, which was not taken for an edit."""

    reference: str
    path: str
    sent: Any
    live: Any


@dataclass(frozen=True, slots=True)
class Work:
    """What stays the same throughout one merge, and what it finds."""

    party: str
    owners: Owners
    now: datetime
    ours: Mapping[str, Resource]
    theirs: Mapping[str, Resource]
    has_said: bool
    said_last: bool
    buried: Callable[[], Collection[Tombstone]] = tuple
    earlier: Sequence[Mapping[str, Resource]] = ()
    deletion: bool = False
    is_stated: Callable[[Resource], bool] = lambda _: False
    beside: Callable[[str], Sequence[Resource]] = lambda _: ()
    aside: int = 0
    """So many of the bases, the last ones, are what the party said of the resource with other records (`beside`)."""
    own_words: Mapping[str, Resource] | None = None
    conflicts: list[Conflict] = field(default_factory=list)
    kept: list[Kept] = field(default_factory=list)
    unlinked: list[str] = field(default_factory=list)
    tombstones: list[Tombstone] = field(default_factory=list)

    def was_shown(self, reference: str, name: str, value: Any) -> bool:
        """Whether the party was shown this value of an element of that name before what it was shown last."""
        forms = (form[reference] for form in self.earlier if reference in form)
        return any(content(one) == content(value) for form in forms for one in _values_of(form, name))

    def told(self, bases: Sequence[Any]) -> Sequence[Any]:
        """The bases but for what the party said with other records: what it takes its edits from, and takes away."""
        return bases[: -self.aside] if self.aside else bases

    def is_its_own_word(self, bases: Sequence[Any], value: Any) -> bool:
        """Whether the party said this value last with another record: what it says now is the later word."""
        return self.aside > 0 and value is not MISSING and value in bases[-self.aside :]

    def is_buried(self, reference: str, path: str, value: Any) -> bool:
        """Whether exactly this was taken out of the plan before."""
        return any((one.reference, one.path, one.removed) == (reference, path, value) for one in self.buried())

    def bury(self, reference: str, path: str, removed: Any) -> None:
        """Note that the party took this out of the plan."""
        self.tombstones.append(Tombstone(reference, path, removed, self.party, self.now))


@dataclass(frozen=True, slots=True)
class Place:
    """One element of one resource: `path` for the rules, `label` for people, `rule` how it merges.

    `inside` is the list item that it is or stands in, as it is live (else as it is said).
    """

    work: Work
    reference: str
    type: str
    path: str
    label: str
    rule: Rule
    inside: Any = None

    def was_shown(self, value: Any) -> bool:
        """Whether the party was shown this value here before what it was shown last."""
        return value is not MISSING and self.work.was_shown(self.reference, self.path.rpartition(".")[2], value)

    def child(self, name: str) -> Place:
        """The element `name` of the object here."""
        path = f"{self.path}.{name}" if self.path else name
        text = f"{self.label}.{name}" if self.label else name
        rule = self.work.owners.rules.rule_for(self.type, path)
        return Place(self.work, self.reference, self.type, path, text, rule, self.inside)

    def item(self, key: Key, value: Any) -> Place:
        """The item with this key in the list here."""
        text = f"{self.label}[{label(key)}]"
        return Place(self.work, self.reference, self.type, self.path, text, self.rule, value)

    @property
    def owner(self) -> str | None:
        """The party that owns this element."""
        work, said = self.work, self.work.theirs.get(self.reference)
        return work.owners.owner_of(
            self.reference, self.rule.owner, work.ours, path=self.path, item=self.inside, resource=said
        )

    @property
    def speaker(self) -> str | None:
        """The person whose words these are, by the plan's reference; else the owner."""
        spoken_by = self.work.ours.get(self.reference, {}).get("expressedBy", {}).get("reference")
        return spoken_by if isinstance(spoken_by, str) else self.owner

    @property
    def is_own(self) -> bool:
        """Whether the party whose words are merged owns this element."""
        return self.owner == self.work.party

    @property
    def may_be_taken_away(self) -> bool:
        """Whether the party may take away an item here: contributions are their owner's, values everybody's."""
        return self.rule.owner not in CONTRIBUTED or self.owner in (None, self.work.party)


def _merge_value(place: Place, bases: Sequence[Any], ours: Any, theirs: Any) -> Any:
    """The live value of one element; MISSING where it is not there."""
    if ours == theirs:
        return ours
    if isinstance(ours, list) or isinstance(theirs, list):
        return _merge_list(place, bases, ours, theirs)
    holds_contributions = place.rule.fields and place.rule.owner in CONTRIBUTED
    if holds_contributions:  # who leaves out all of meta takes no label of others away
        ours, theirs = ({} if value is MISSING else value for value in (ours, theirs))
    if place.rule.fields and isinstance(ours, dict) and isinstance(theirs, dict):
        live = merge_fields(place, bases, ours, theirs)
        return MISSING if holds_contributions and not live else live
    return _merge_whole(place, bases, ours, theirs)


def _merge_whole(place: Place, bases: Sequence[Any], ours: Any, theirs: Any) -> Any:
    """One value against another: the rule at the bottom of everything."""
    theirs = _as_it_is_spelled(theirs, (ours, *bases))
    if ours == theirs:
        return ours
    is_its_own_word = place.work.is_its_own_word(bases, ours)
    bases = place.work.told(bases)
    if all(base is ABSENT for base in bases):
        bases = (MISSING,)
    if not _is_edited(place, bases, ours, theirs):
        _report_old_value(place, bases, ours, theirs)
        return ours
    if ours in bases and (place.is_own or not _leaves_an_end(place, ours, theirs)):
        if _is_in_the_persons_own_words(place):
            report(place, bases, theirs, ours, "own-words", taken=True)
        if theirs is MISSING:
            place.work.bury(place.reference, place.label, ours)
        return theirs
    if is_its_own_word:
        return ours if theirs is MISSING else theirs
    if ours in bases or theirs is MISSING:
        report(place, bases, ours, theirs, "edit-against-delete", taken=False)
        return ours
    if ours is MISSING:
        report(place, bases, theirs, ours, "edit-against-delete", taken=True)
        return theirs
    taken = _is_theirs_preferred(place, ours, theirs)
    live, other = (theirs, ours) if taken else (ours, theirs)
    report(place, bases, live, other, "both-changed", taken=taken)
    return live


def _as_it_is_spelled(value: Any, known: Sequence[Any]) -> Any:
    """The value as ours or a base writes it, where it says the same: a system that decomposes letters edits nothing."""
    return next((one for one in known if content(one) == content(value)), value)


def _is_theirs_preferred(place: Place, ours: Any, theirs: Any) -> bool:
    """Which of two new values is live: the stricter one where the rule says so, else the owner's."""
    if place.rule.prefer == "owner" or not (isinstance(ours, str) and isinstance(theirs, str)):
        is_reopened = _leaves_an_end(place, ours, theirs) and not lifecycle.is_end(place.type, place.path, theirs)
        return place.is_own and not is_reopened
    if place.rule.prefer == "stricter":
        return _strictness(theirs) < _strictness(ours)
    if place.rule.prefer == "later":
        return theirs > ours
    return theirs.ljust(_INSTANT, "9") < ours.ljust(_INSTANT, "9")  # a month ends later than its first days


_INSTANT = len("2025-01-01T00:00:00.000000+00:00")


def _strictness(code: str) -> int:
    return STRICT_FIRST.index(code) if code in STRICT_FIRST else -1  # fail closed: nobody knows what it permits


def _is_edited(place: Place, bases: Sequence[Any], ours: Any, theirs: Any) -> bool:
    """Whether the party means its value: it equals no base, or turns back its own last words, which are live."""
    if theirs not in bases:
        return not place.was_shown(theirs)
    return place.work.said_last and ours == bases[0] and theirs != bases[0]


def _values_of(value: Any, name: str) -> Iterator[Any]:
    """Every value of an element of this name in the resource, each item of a list by itself."""
    if isinstance(value, dict):
        for key, child in value.items():
            if key == name:
                yield from child if isinstance(child, list) else [child]
            yield from _values_of(child, name)
    elif isinstance(value, list):
        for child in value:
            yield from _values_of(child, name)


def _report_old_value(place: Place, bases: Sequence[Any], ours: Any, theirs: Any) -> None:
    """Tell the sender that its value was not taken, where it had a newer one before its eyes or may have meant it."""
    if theirs not in bases:  # it was in an earlier answer
        place.work.kept.append(Kept(place.reference, place.label, _json(theirs), _json(ours)))
        return
    if not place.work.has_said or bases[0] is ABSENT:
        return
    said, *shown = bases
    is_older = theirs == said and said not in shown and any(form is not ABSENT for form in shown)
    may_be_meant = theirs != said and ours == said and ours not in shown  # else it only spells what was shown
    if is_older or may_be_meant:
        place.work.kept.append(Kept(place.reference, place.label, _json(theirs), _json(ours)))


def _leaves_an_end(place: Place, ours: Any, theirs: Any) -> bool:
    """Whether a state that is an end becomes another one: that needs its owner who has seen it, or a decision."""
    return lifecycle.is_end(place.type, place.path, ours) and theirs != "entered-in-error"


def _is_in_the_persons_own_words(place: Place) -> bool:
    """Whether somebody else rewrites what the person said: taken, but the person's words are never lost silently.

    Who took the words down may correct them.
    """
    work = place.work
    mine = work.ours.get(place.reference, {})
    element = place.path.partition(".")[0]
    if place.rule.owner == "person":
        is_said = is_said_by_the_person(mine) or "expressedBy" not in mine
    else:
        is_said = element in OWN_WORDS.get(place.type, ()) and is_said_by_the_person(mine)
    return is_said and element in mine and not speaks_for_the_person(work, place.reference)


def speaks_for_the_person(work: Work, reference: str) -> bool:
    """Whether the party took down what the person said there, or is the person."""
    speaker = work.ours.get(reference, {}).get("expressedBy")
    return work.party in (work.owners.of(reference), work.owners.names(speaker) if speaker else None)


def report(place: Place, bases: Sequence[Any], live: Any, other: Any, kind: ConflictKind, *, taken: bool) -> None:
    """Keep both values; `taken`: the live one is the sender's."""
    work, owner = place.work, place.owner if kind != "own-words" else place.speaker
    base = next((one for one in reversed(bases) if one is not ABSENT), MISSING)
    others = work.owners.wrote(place.reference) or (owner if owner != work.party else None)
    live_party, other_party = (work.party, others or UNKNOWN_PARTY) if taken else (others, work.party)
    work.conflicts.append(
        Conflict(
            place.reference, place.label, _json(base), _json(live), _json(other), live_party, other_party, kind, owner
        )
    )


def merge_fields(place: Place, bases: Sequence[Any], ours: Resource, theirs: Resource) -> Resource:
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
            live = _with_part(live, names, part)
    return live


def _with_part(live: Resource, names: Sequence[str], part: Resource) -> Resource:
    """The object with one element as `part` has it, where it stood; a new element stands last."""
    found: Resource = {}
    for name, value in live.items():
        if name in names:
            found.update((new, part[new]) for new in part if new not in found)
        else:
            found[name] = value
    return found | part


def _names_by_element(place: Place, versions: Sequence[Resource]) -> list[list[str]]:
    """The names of elements in which ours and theirs (the first two) differ, those of one element together."""
    ours, theirs = versions[0], versions[1]
    found: dict[str, list[str]] = {}
    for name in dict.fromkeys(name for version in versions for name in version):
        found.setdefault(choice_stem(place.type, place.path, name), []).append(name)
    return [names for names in found.values() if any(ours.get(name) != theirs.get(name) for name in names)]


def _part(version: Resource, names: Sequence[str]) -> Any:
    return {name: version[name] for name in names if name in version} or MISSING


def _merge_list(place: Place, bases: Sequence[Any], ours: Any, theirs: Any) -> Any:
    """The list after both sides' changes, item by item; MISSING where nothing is left."""
    if any(side is not MISSING and not isinstance(side, list) for side in (ours, theirs)):
        raise TypeError(f"{place.path} is a list on one side only")
    versions = [version if isinstance(version, list) else [] for version in (*bases, ours, theirs)]
    keys = assign_keys(place.rule.keys, versions, len(bases))
    told = len(place.work.told(bases))
    aside, keys = keys[told:-2], [*keys[:told], *keys[-2:]]
    if place.work.own_words is not None:
        keys = with_own_spellings(keys, [*versions[:told], *versions[-2:]], place.work.own_words, place.work.theirs)
    if place.rule.owner not in CONTRIBUTED and place.rule.removal == "dropped" and not place.rule.fields:
        keys = with_replacements_paired(keys, prefer_theirs=place.is_own)
    keys = [*keys[:told], *aside, *keys[-2:]]
    by_key = [dict(zip(names, items, strict=True)) for names, items in zip(keys, versions, strict=True)]
    live: dict[Key, Any] = {}
    for key in _in_order(keys[-2], keys[-1]):
        *before, mine, said = (version.get(key, MISSING) for version in by_key)
        before = [ABSENT if base is ABSENT else item for base, item in zip(bases, before, strict=True)]
        value = _merge_item(place.item(key, said if mine is MISSING else mine), before, mine, said)
        if value is not MISSING:
            live[key] = value
    if place.rule.removal == "retired" and not any(map(is_current, live.values())):
        live |= _current_ones_kept(place, keys[-2], versions[-2])
    return list(live.values()) or MISSING


def _current_ones_kept(place: Place, keys: Sequence[Key], ours: Sequence[Any]) -> dict[Key, Any]:
    """A person's last current number does not go because somebody leaves it out: that needs a decision."""
    current = {key: mine for key, mine in zip(keys, ours, strict=True) if is_current(mine)}
    for key, mine in current.items():
        report(place.item(key, mine), [mine], mine, MISSING, "edit-against-delete", taken=False)
    return current


def _in_order(ours: Sequence[Key], theirs: Sequence[Key]) -> list[Key]:
    """Ours in its order, each addition behind the one that it follows in theirs; first ones before the one that they
    precede, or at the end."""
    order = list(ours)
    known = set(ours)
    for index, key in enumerate(theirs):
        if key in known:
            continue
        if index:
            place = order.index(theirs[index - 1]) + 1
        else:
            place = next((order.index(after) for after in theirs if after in known), len(order))
        order.insert(place, key)
        known.add(key)
    return order


def _merge_item(place: Place, bases: Sequence[Any], ours: Any, theirs: Any) -> Any:
    if ours is MISSING:
        return _merge_item_that_we_lack(place, bases, theirs)
    if theirs is not MISSING:
        inside = [ABSENT if base is MISSING else base for base in bases]
        return _merge_value(place, inside, ours, _as_we_spell_it(place, ours, theirs))
    is_its_own_word = place.work.is_its_own_word(bases, ours)
    bases = place.work.told(bases)
    telling = [base for base in bases if base is not ABSENT]
    must_have = bases[:1] if place.work.said_last and bases[0] is not ABSENT else telling
    if must_have and MISSING not in must_have:
        if is_its_own_word and ours not in telling:  # what it takes away is not there any more
            return ours
        return _take_item_away(place, [base for base in telling if base is not MISSING], ours)
    was_only_shown = place.work.has_said and bases[0] is MISSING and MISSING not in telling[1:] and len(telling) > 1
    if was_only_shown and place.rule.removal != "followed":
        place.work.kept.append(Kept(place.reference, place.label, None, ours))
    return ours


def _as_we_spell_it(place: Place, ours: Any, theirs: Any) -> Any:
    """A note may come back with its time in another zone or its letters decomposed: ours stays as it was sent."""
    if place.rule.removal != "kept":
        return theirs
    return theirs | {name: ours[name] for name in ("text", "time") if name in ours}


def _merge_item_that_we_lack(place: Place, bases: Sequence[Any], theirs: Any) -> Any:
    if not all(base is MISSING or base is ABSENT for base in place.work.told(bases)):
        return _merge_whole(place, bases, MISSING, theirs)
    if place.work.is_buried(place.reference, place.label, theirs) and not _leads_to_other_words(place.work, theirs):
        report(place, bases, MISSING, theirs, "edit-against-delete", taken=False)
        return MISSING
    return theirs


def _leads_to_other_words(work: Work, link: Any) -> bool:
    """Does it point to something that was taken out with it and comes in other words now? It is as new as that is."""
    target = _target_of(link)
    said = work.theirs.get(target)
    if said is None or not lifecycle.is_removed(work.ours.get(target, {})):
        return False
    return not lifecycle.is_removed(said) and not work.is_buried(target, "", content_of(said))


def _take_item_away(place: Place, bases: Sequence[Any], ours: Any) -> Any:
    """What stays of an item that every base has and the party left out."""
    work, removal = place.work, place.rule.removal
    target = _target_of(ours)
    if removal == "followed" and target in work.ours:
        work.unlinked.append(target)
        return ours
    ended = _ended_item(place, ours)
    if ended == ours:
        return ours
    is_allowed = place.may_be_taken_away or removal == "retired"  # a retired item is still there
    if removal != "kept" and is_allowed and was_seen(place, bases, ours):
        if _is_in_the_persons_own_words(place):
            report(place, bases, MISSING, ours, "own-words", taken=True)
        if removal != "retired":  # nothing went; and of a protected person not even a mark may be kept
            work.bury(place.reference, place.label, ours)
        return ended
    report(place, bases, ours, MISSING, "edit-against-delete", taken=False)
    return ours


def _ended_item(place: Place, ours: Any) -> Any:
    """What is left of an item that its owner takes away; MISSING where nothing is."""
    if place.rule.removal == "ended":
        return lifecycle.end_membership(ours, place.work.now)
    if place.rule.removal == "retired" and not is_protected(place.work.ours.get(place.reference, {})):
        return ours | {"use": "old"}
    return MISSING


def _target_of(link: Any) -> str:
    """What an item of a link list points to: it is a Reference, or has one (CarePlan.activity)."""
    reference = link.get("reference") if isinstance(link, dict) else None
    if isinstance(reference, dict):
        reference = reference.get("reference")
    return reference if isinstance(reference, str) else ""


def was_seen(place: Place, bases: Sequence[Any], ours: Any) -> bool:
    """Whether everything that ours says stands in one of the bases, element by element."""
    if ours in bases:
        return True
    if isinstance(ours, dict):
        before = [base for base in bases if isinstance(base, dict)]
        return bool(before) and all(
            was_seen(place.child(name), [base[name] for base in before if name in base], value)
            for name, value in ours.items()
        )
    if isinstance(ours, list):
        versions = [base for base in bases if isinstance(base, list)]
        *keys, mine = assign_keys(place.rule.keys, [*versions, ours], len(versions))
        known = [dict(zip(names, items, strict=True)) for names, items in zip(keys, versions, strict=True)]
        return all(
            was_seen(place, [one[key] for one in known if key in one], item)
            for key, item in zip(mine, ours, strict=True)
        )
    return False


def _json(value: Any) -> Any:
    return None if value is MISSING else value
