"""The laws of a lens, each a function that raises AssertionError where a mapping breaks it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import dataclass, field
from functools import cached_property
from random import Random
from typing import Any

from fhir_adapter.errors import Refused
from fhir_adapter.fhir.ends import is_taken_away
from fhir_adapter.fhir.resources import Resource, dump_json, reference_of, references_in
from fhir_adapter.mapping.anchors import Anchor, PublicIdentity
from fhir_adapter.mapping.engine import Mapping, copied
from fhir_adapter.mapping.frames import Frame
from fhir_adapter.mapping.model import Run
from fhir_adapter.mapping.recognising import Earlier, Names
from fhir_adapter.mapping.scopes import Scope
from fhir_adapter.mapping.words import folded
from tests.laws.edits import Edit
from tests.laws.fhir_parts import masked, values_at, without, words_in
from tests.laws.items import says_nothing, taken_away
from tests.laws.marks import marks_in, order_of, same_things
from tests.laws.places import Record
from tests.laws.pools import PLACE


@dataclass
class Case:
    """A record, and the same one after a change that its own system could make (None where there is none). `names`:
    of the record's items without id, where a record before it told them."""

    mapping: Mapping
    record: Record
    after: Record | None
    random: Random
    edit: Edit | None = None
    """of what the record says in FHIR"""
    names: Names = field(default_factory=dict)

    @cached_property
    def here(self) -> Earlier:
        """The record with its names."""
        return Earlier(self.record, self.names)

    @cached_property
    def there(self) -> Earlier | None:
        """The record after the change, in which what is the same is called the same."""
        if self.after is None:
            return None
        return Earlier(self.after, self.mapping.names_in(self.after, [self.here], **PLACE))

    @cached_property
    def said(self) -> list[Resource]:
        """What the record says in FHIR."""
        return fhir_of(self.mapping, self.here)

    @cached_property
    def walked(self) -> tuple[list[tuple[Scope, Frame]], Run, dict[str, str]]:
        """The frames of the record, and the run over it."""
        return self.mapping.walked(self.record, names=self.names, **PLACE)

    def walk(self, record: Earlier) -> tuple[list[tuple[Scope, Frame]], Run, dict[str, str]]:
        """The same of the record after something."""
        return self.walked if record is self.here else self.mapping.walked(record.record, names=record.names, **PLACE)

    @cached_property
    def changed(self) -> list[Resource] | None:
        """What it says after the change."""
        return fhir_of(self.mapping, self.there) if self.there is not None else None

    @cached_property
    def came(self) -> list[Resource]:
        """The same in any order."""
        return shuffled(self.changed or [], self.random)

    @cached_property
    def put(self) -> Earlier:
        """The record after somebody else said what the change says."""
        return self.put_back(self.came)

    def put_back(self, resources: list[Resource]) -> Earlier:
        """The record after somebody else said this."""
        names = self.mapping.put_named(resources, self.here, **PLACE).names if self.names else {}
        return Earlier(self.mapping.put(resources, self.record, names=self.names, **PLACE), names)


Law = Callable[[Case], None]


def fhir_of(mapping: Mapping, record: Earlier) -> list[Resource]:
    """The record in FHIR. A record that its own mapping made and then refuses breaks a law."""
    try:
        return mapping.get(record.record, names=record.names, **PLACE).resources
    except Refused as refusal:
        raise AssertionError([issue.as_dict() for issue in refusal.issues]) from None


def by_reference(resources: list[Resource]) -> dict[str, Resource]:
    return {reference_of(resource): resource for resource in resources}


def shuffled(resources: list[Resource], random: Random) -> list[Resource]:
    return random.sample(resources, len(resources))


def bearers(case: Case, record: Earlier) -> dict[str, set[str]]:
    """Each name by which a record calls something, with the references to all that have it."""
    opened, run, _ = case.walk(record)
    found: dict[str, set[str]] = {}
    for reference, resource in run.index.items():
        if resource["resourceType"] == "Organization" and resource.get("name", "") in run.bearers:
            found.setdefault(folded(resource["name"]), set()).add(reference)
    for scope, frame in opened:
        for anchor in scope.anchors:
            name = anchor.call.read(frame.native) if anchor.call is not None else None
            if name and anchor.name in frame.nodes:
                found.setdefault(folded(name), set()).add(reference_of(frame.nodes[anchor.name]))
    return found


def has_namesakes(case: Case) -> bool:
    """Do two things in the record have one name? Who is called by it is the first of them, and FHIR has no first."""
    return any(len(references) > 1 for references in bearers(case, case.here).values())


def has_twins(case: Case) -> bool:
    """Have two items one name, in a list whose items have no id? Each of them is the other where one is gone."""
    opened, _, _ = case.walked
    return any(scope.key is not None and not scope.numbered and re.search(r"#\d+$", one.key) for scope, one in opened)


def has_hidden_namesake(case: Case) -> bool:
    """Has an item whose id FHIR is not told the name of another? From FHIR alone it takes the key of the other one."""
    told = [(scope, frame) for scope, frame in case.walked[0] if scope.key is not None]
    names = Counter(
        (scope.name, scope.label, frame.parent_key, str(frame.native.get(scope.key))) for scope, frame in told
    )
    return any(
        names[scope.name, scope.label, frame.parent_key, str(frame.native.get(scope.key))] > 1
        for scope, frame in told
        if "id" in frame.native and not any(one.identifier and one.name in frame.nodes for one in scope.anchors)
    )


def has_one_number_twice(case: Case, record: Earlier) -> bool:
    """Have two items of a list one public number? It is the first one's, and FHIR has no first."""
    opened, run, _ = case.walk(record)
    items = [(scope, frame) for scope, frame in opened if scope.primary.identify is not None]
    made = [((scope.name, scope.label), scope.primary.identify(run.fresh(), frame)) for scope, frame in items]
    numbers = [one for one in made if isinstance(one[1], PublicIdentity)]
    return len(numbers) > len(set(numbers))


def hidden(case: Case, record: Earlier) -> set[str]:
    """The fields and items of a record that FHIR gets nothing of, though the declaration has a place for them."""
    opened, run, _ = case.walk(record)
    items = {frame.path for scope, frame in opened if not any(one.name in frame.nodes for one in scope.standing)}
    return items | {one.path for one in run.unmapped}


def names_of(case: Case, record: Earlier, references: set[str]) -> set[str]:
    """The names that these resources have in a record."""
    return {name for name, called in bearers(case, record).items() if called & references}


def unordered(value: Any) -> Any:
    """JSON whose lists are sorted: what was added may stand at another place."""
    if isinstance(value, dict):
        return {name: unordered(value[name]) for name in sorted(value)}
    return sorted(map(unordered, value), key=dump_json) if isinstance(value, list) else value


def unchanged_fhir_gives_the_record_back(case: Case) -> None:
    """put(get(n), n) == n, to the letter and in every order of resources; neither side is touched."""
    before, said = copied(case.record), dump_json(case.said)
    assert case.put_back(shuffled(case.said, case.random)).record == before
    assert (case.record, dump_json(case.said)) == (before, said)


def what_the_record_cannot_say_changes_nothing(case: Case) -> None:
    """put(f', n) == put(f, n) where f' differs from f only in what no rule reads, for an f that was changed or not."""
    share = case.random.choice([0.5, 1])
    for said, wanted in ((case.said, case.record), (case.came, case.put.record)):
        other = [one | {"implicitRules": "https://a.example"} if case.random.random() < share else one for one in said]
        assert case.put_back(other).record == wanted


def what_is_known_is_found_by_looking_too(case: Case) -> None:
    """`put` does not look for what says the same as before: had it looked, it would have found it in the same place."""
    searching = case.mapping.searching()
    place = PLACE | {"names": case.names}
    assert searching.put(shuffled(case.said, case.random), case.record, **place) == case.record
    assert searching.put(case.came, case.record, **place) == case.put.record


def a_record_made_from_fhir_alone_says_the_same(case: Case) -> None:
    """get(create(get(n))) == get(n), and what is created once more is the same record."""
    if has_hidden_namesake(case) or (case.names and has_namesakes(case)):
        return
    made = case.mapping.create(case.said, **PLACE)
    again = fhir_of(case.mapping, Earlier(made))
    as_told = unordered if case.names else dict  # made anew they stand by their names, where those are places
    assert as_told(by_reference(again)) == as_told(by_reference(case.said))
    if not (has_namesakes(case) or has_one_number_twice(case, case.here)):
        other = case.mapping.create(shuffled(case.said, case.random), **PLACE)
        assert unordered(by_reference(fhir_of(case.mapping, Earlier(other)))) == unordered(by_reference(case.said))
    assert case.random.random() > 0.1 or case.mapping.create(again, **PLACE) == made


def changed_fhir_is_what_the_record_says_afterwards(case: Case) -> None:
    """get(put(f, n)) == f for an f that says something else: a value, an item more or less, another name.

    What FHIR was not shown, for want of something that it could hang on, is shown when that comes.
    A resource to which nothing that came refers cannot be said to be no more by not coming: it may be there still.
    Lists keep their order in the record, whatever is told by the first of one.
    """
    if case.there is None or case.changed is None or hidden(case, case.here) - hidden(case, case.put):
        return
    if not any(has_one_number_twice(case, record) for record in (case.here, case.there)):
        found, said = by_reference(fhir_of(case.mapping, case.put)), by_reference(case.changed)
        came = [resource for name, resource in found.items() if name in said]
        pointed = {pointer["reference"] for resource in came for _, pointer in references_in(resource)}
        missing = by_reference(case.said).keys() - said.keys()
        if names_of(case, case.put, missing) & words_in(case.changed):
            return  # a name that stood for itself is that of somebody who may still be there
        stayed = missing - pointed
        there = {name: one for name, one in found.items() if name not in stayed}
        assert unordered(there) == unordered(said) or unordered(case.put.record) == unordered(case.after)


def an_edit_in_fhir_is_what_the_record_says_afterwards(case: Case) -> None:
    """get(put(f, n)) == f for an f that no record gave: an edit made in FHIR. All but the edit is as it was.

    Whom a name leads to depends on who takes part; and what says nothing that the record has a word for is not in it.
    """
    edit = case.edit
    if edit is None or has_one_number_twice(case, case.here) or has_namesakes(case) or has_twins(case):
        return
    put = case.put_back(shuffled(edit.resources, case.random))
    if changes_what_stands(case, put, case.mapping.root.anchors):
        return
    there, here, before = (by_reference(one) for one in (fhir_of(case.mapping, put), edit.resources, case.said))
    if bearers(case, put) != bearers(case, case.here) or organisations(there) != organisations(before):
        there, here = in_words(there), in_words(here)
    there = {name: masked(resource, edit.follows) for name, resource in there.items()}
    here = {name: masked(copied(resource), edit.follows) for name, resource in here.items()}
    assert there.keys() - unmentioned(there) <= here.keys() | before.keys(), edit.what
    assert here.keys() - unmentioned(here) <= there.keys(), edit.what
    for name in here.keys() & there.keys():
        for names in edit.changed:
            assert unordered(values_at(there[name], names)) == unordered(values_at(here[name], names)), edit.what
        assert unordered(there[name]) == unordered(here[name]), edit.what


def changes_what_stands(case: Case, after: Earlier, anchors: Iterable[Anchor]) -> bool:
    """Do the fields of the record itself bring forth others of these things than before?"""
    whole = [case.walk(record)[0][0][1].native for record in (case.here, after)]
    return any(one.when is not None and one.when(whole[0]) != one.when(whole[1]) for one in anchors)


def what_was_taken_away_is_told_as_that_or_no_more(case: Case) -> None:
    """In FHIR nothing is deleted: what was taken away says so itself. The record says it by a word of its own, or has
    the thing no more, as if nothing had ever led to it. When it is there again, the record has it again.

    What an object of the record stands for is there, without a word of its own, while others stand on that object. A
    field of another item that refers to it says what it said.
    """
    taken = taken_away(case.walked[0], case.random)
    if taken is None or has_one_number_twice(case, case.here) or has_namesakes(case) or has_twins(case):
        return
    said, ended = by_reference(case.said), taken.resources
    came = shuffled(list((said | ended).values()), case.random)
    put = case.put_back(came)
    assert case.mapping.searching().put(came, case.record, names=case.names, **PLACE) == put.record
    if changes_what_stands(case, put, case.mapping.root.standing):
        return  # it was all that the record said of its plan
    there = by_reference(fhir_of(case.mapping, put))
    for record in (put, Earlier(case.mapping.create(came, **PLACE))):
        found = by_reference(fhir_of(case.mapping, record))
        live = {name for name in ended if name in found and not is_taken_away(found[name])}
        assert not live or says_nothing(taken, case.walk(record)[0])
        assert live or ended.keys() <= found.keys() or not ended.keys() & found.keys()
    pointed = {name: {one["reference"] for _, one in references_in(said[name])} for name in said.keys() - ended}
    pointing = {name for name, references in pointed.items() if references & ended.keys()}
    if not ended.keys() & there.keys() and pointing == {reference_of(case.said[0])}:
        away = [without(one, set(ended)) for name, one in said.items() if name not in ended]
        assert unordered(case.put_back(away).record) == unordered(put.record)
    again = by_reference(fhir_of(case.mapping, case.mapping.put_named(case.said, put, **PLACE)))
    assert unordered(again) == unordered(said)


def organisations(found: dict[str, Resource]) -> set[str]:
    """The organisations by whose names others may be called."""
    return {name for name, resource in found.items() if resource["resourceType"] == "Organization"}


def unmentioned(found: dict[str, Resource]) -> set[str]:
    """Who is referred to by nobody: they are in a record only where it names them."""
    left = found
    while True:
        pointed = {pointer["reference"] for resource in left.values() for _, pointer in references_in(resource)}
        named = {name: one for name, one in left.items() if name in pointed or one["resourceType"] not in NAMED}
        if len(named) == len(left):
            return found.keys() - left.keys()
        left = named


NAMED = ("Organization", "Practitioner")


def in_words(value: Any) -> Any:
    """JSON with the name alone wherever a reference has one beside it."""
    if isinstance(value, list):
        return [in_words(child) for child in value]
    if not isinstance(value, dict):
        return value
    return {name: in_words(child) for name, child in value.items() if name != "reference" or "display" not in value}


def what_reads_the_same_is_the_same_thing(case: Case) -> None:
    """An item without id that reads as one did before is called as that one was, wherever it stands; no two are called
    the same, and as many as read the same stay what they were."""
    was, now = (called(case, one) for one in (case.here, case.there or case.here))
    for place, items in now.items():
        keys = [key for found in items.values() for key in found]
        assert len(set(keys)) == len(keys)
        for words, found in was.get(place, {}).items():
            there = items.get(words, [])
            assert len(set(found) & set(there)) == min(len(found), len(there)), (place, words)


def called(case: Case, record: Earlier) -> dict[tuple[str, str, str], dict[bytes, list[str]]]:
    """What the items without id are called: by their list, and the item around, and what they say."""
    found: dict[tuple[str, str, str], dict[bytes, list[str]]] = {}
    for scope, frame in case.walk(record)[0][1:]:
        if "id" not in frame.native and scope.numbered:
            items = found.setdefault((scope.name, scope.label, frame.parent_key), {})
            items.setdefault(dump_json(unordered(frame.native)), []).append(frame.key)
    return found


def undeclared_fields_survive(case: Case) -> None:
    """Fields that the format does not know are still there, wherever they are, after somebody changed another one.

    Not those of items that FHIR was shown before the change and is not shown after it, for want of what they hang on.
    """
    if case.after is not None and case.there is not None and not hidden(case, case.there) - hidden(case, case.here):
        untold = {path.text for path in case.mapping.refused}
        assert same_things(case.record, case.after, untold) <= marks_in(case.put.record).keys()


def lists_keep_their_order(case: Case) -> None:
    """Items that are still there stand in the order in which they were sent."""
    for kept in order_of(case.put.record) if case.after is not None else ():
        assert kept == sorted(kept)


def every_reference_leads_somewhere(case: Case) -> None:
    """Every literal reference in the FHIR of a record is to a resource of the record, and no two have one id."""
    pointed = {pointer["reference"] for resource in case.said for _, pointer in references_in(resource)}
    assert pointed <= set(by_reference(case.said))
    assert len(by_reference(case.said)) == len(case.said)
    assert case.said[0]["resourceType"] in {anchor.type for anchor in case.mapping.root.standing}


LAWS: tuple[Law, ...] = (
    unchanged_fhir_gives_the_record_back,
    what_the_record_cannot_say_changes_nothing,
    what_is_known_is_found_by_looking_too,
    a_record_made_from_fhir_alone_says_the_same,
    changed_fhir_is_what_the_record_says_afterwards,
    an_edit_in_fhir_is_what_the_record_says_afterwards,
    what_reads_the_same_is_the_same_thing,
    what_was_taken_away_is_told_as_that_or_no_more,
    undeclared_fields_survive,
    lists_keep_their_order,
    every_reference_leads_somewhere,
)
