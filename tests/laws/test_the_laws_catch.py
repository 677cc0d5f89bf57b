"""Each law broken on purpose, by a converter or an engine that is wrong in one thing, and the law that notices it."""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from random import Random
from shutil import copytree
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from fhir_adapter.fhir.ends import is_taken_away
from fhir_adapter.fhir.resources import reference_of
from fhir_adapter.mapping.converters import CONVERTERS
from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.load import FOLDER, load
from fhir_adapter.mapping.model import Pair
from tests.laws import lens
from tests.laws.cases import case_of
from tests.laws.lens import Case

SIP = FOLDER / "se-sip"


@contextmanager
def converter_changed(name: str, change: Callable[[Pair], Pair]) -> Iterator[None]:
    """The converter `name` is another one for as long as it takes to load a mapping."""
    right = CONVERTERS[name]
    CONVERTERS[name] = dataclasses.replace(right, build=lambda *given: change(right.build(*given)))
    try:
        yield
    finally:
        CONVERTERS[name] = right


def with_converter(name: str, **sides: Any) -> Mapping:
    with converter_changed(name, lambda pair: dataclasses.replace(pair, **sides)):
        return load(SIP)


class Forgetful(Mapping):
    """Starts from nothing instead of from the record as it was."""

    def put(self, resources: Any, before: Any, *, names: Any, **place: Any) -> Any:
        return self.create(resources, **place)


class Backwards(Mapping):
    """Turns lists round when somebody says something new."""

    def put(self, resources: Any, before: Any, **place: Any) -> Any:
        after = super().put(resources, before, **place)
        return {name: value[::-1] if isinstance(value, list) else value for name, value in after.items()}


class Hoarding(Mapping):
    """Takes no item out of a list."""

    def put(self, resources: Any, before: Any, **place: Any) -> Any:
        after = super().put(resources, before, **place)
        fewer = {
            name
            for name, value in before.items()
            if isinstance(value, list) and len(after.get(name) or ()) < len(value)
        }
        return after | {name: before[name] for name in fewer}


class Deaf(Mapping):
    """Takes no new item into a list."""

    def put(self, resources: Any, before: Any, **place: Any) -> Any:
        after = super().put(resources, before, **place)
        return {name: self._fewer(value, before.get(name)) for name, value in after.items()}

    def _fewer(self, value: Any, before: Any) -> Any:
        return value[: len(before or ())] if isinstance(value, list) else value


class Shifting(Mapping):
    """Lets an item take the place of one that is no more."""

    def put(self, resources: Any, before: Any, **place: Any) -> Any:
        return unplaced(super().put(resources, before, **place))


def unplaced(value: Any) -> Any:
    """JSON without the ids that are places."""
    if isinstance(value, list):
        return [unplaced(child) for child in value]
    if not isinstance(value, dict):
        return value
    return {name: unplaced(child) for name, child in value.items() if name != "id" or str(child)[:1] != "#"}


class Dangling(Mapping):
    """Leaves out the last resource, whoever refers to it."""

    def get(self, native: Any, **place: Any) -> Any:
        mapped = super().get(native, **place)
        resources = [one for one in mapped.resources if one["resourceType"] != "ServiceRequest"]
        return dataclasses.replace(mapped, resources=resources)


class Wary(Mapping):
    """Leaves out what has something that it does not know."""

    def put(self, resources: Any, before: Any, **place: Any) -> Any:
        return super().put([one for one in resources if "implicitRules" not in one], before, **place)


class Placing(Mapping):
    """Calls what has no id by its place, whatever stood there before."""

    def names_in(self, native: Any, earlier: Any, **place: Any) -> Any:
        return {}


class Deathless(Mapping):
    """Takes no notice of an end."""

    def put(self, resources: Any, before: Any, **place: Any) -> Any:
        was = {reference_of(one): one for one in self.get(before, **place).resources}
        live = [was.get(reference_of(one), one) if is_taken_away(one) else one for one in resources]
        return super().put(live, before, **place)


class Twofold(Mapping):
    """Gives the first resource twice."""

    def get(self, native: Any, **place: Any) -> Any:
        mapped = super().get(native, **place)
        return dataclasses.replace(mapped, resources=[mapped.resources[0], *mapped.resources])


def as_a(kind: type[Mapping]) -> Callable[[], Mapping]:
    def made() -> Mapping:
        mapping = load(SIP)
        mapping.__class__ = kind
        return mapping

    return made


def without_a_mark() -> Mapping:
    """Two lists take the same interventions: only what is known from before stays where it was."""
    with TemporaryDirectory() as folder:
        own = Path(copytree(SIP, Path(folder) / "se-sip"))
        declared = (own / "mapping.yaml").read_text("utf-8")
        mark = "mark: category[] = sip-intervention#atgard-av-annan"
        (own / "mapping.yaml").write_text(declared.replace(mark, mark.replace("mark", "tag", 1)), "utf-8")
        return load(own)


@cache
def cases() -> list[Case]:
    found = (case_of("se-sip", seed) for seed in range(150))
    return [case for case in found if case is not None]


def laws_broken(mapping: Mapping) -> set[str]:
    """The names of the laws that some record shows to be broken."""
    broken = set()
    for seed, right in enumerate(cases()):
        case = Case(mapping, right.record, right.after, Random(seed), right.edit, right.names)
        for law in lens.LAWS:
            try:
                law(case)
            except AssertionError:
                broken.add(law.__name__)
    return broken


BROKEN: list[tuple[str, Callable[[], Mapping], str]] = [
    ("a way back that says another word", lambda: with_converter("text", to_native=lambda *_: "x"),
     "changed_fhir_is_what_the_record_says_afterwards"),
    ("a way back that says nothing", lambda: with_converter("concept", to_native=lambda *_: None),
     "a_record_made_from_fhir_alone_says_the_same"),
    ("a way there that drops", lambda: with_converter("pertains_to_goal", to_native=lambda *_: None),
     "changed_fhir_is_what_the_record_says_afterwards"),
    ("a way there that shares", lambda: with_converter("datetime", to_native=lambda value, _run: value[:4]),
     "a_record_made_from_fhir_alone_says_the_same"),
    ("an engine that forgets", as_a(Forgetful), "unchanged_fhir_gives_the_record_back"),
    ("an engine that forgets the unknown", as_a(Forgetful), "undeclared_fields_survive"),
    ("an engine that turns lists round", as_a(Backwards), "lists_keep_their_order"),
    ("a status that is always the same", lambda: with_converter("code", to_native=lambda *_: "pågår"),
     "an_edit_in_fhir_is_what_the_record_says_afterwards"),
    ("another performer who is nobody", lambda: with_converter("named", to_native=lambda *_: None),
     "an_edit_in_fhir_is_what_the_record_says_afterwards"),
    ("an item that is never gone", as_a(Hoarding), "an_edit_in_fhir_is_what_the_record_says_afterwards"),
    ("an item that is never new", as_a(Deaf), "an_edit_in_fhir_is_what_the_record_says_afterwards"),
    ("an item that takes another's place", as_a(Shifting), "an_edit_in_fhir_is_what_the_record_says_afterwards"),
    ("an engine that leaves a resource out", as_a(Dangling), "every_reference_leads_somewhere"),
    ("an engine that leaves out what it does not know", as_a(Wary), "what_the_record_cannot_say_changes_nothing"),
    ("two lists that take the same", without_a_mark, "what_is_known_is_found_by_looking_too"),
    ("an engine that calls by places alone", as_a(Placing), "what_reads_the_same_is_the_same_thing"),
    ("an engine that knows no end", as_a(Deathless), "what_was_taken_away_is_told_as_that_or_no_more"),
    ("an engine that says a thing twice", as_a(Twofold), "every_reference_leads_somewhere"),
]  # fmt: skip


@pytest.mark.parametrize(("broken", "law"), [case[1:] for case in BROKEN], ids=[case[0] for case in BROKEN])
def test_a_broken_mapping_is_caught_by_its_law(broken: Callable[[], Mapping], law: str) -> None:
    assert law in laws_broken(broken())


def test_every_law_has_something_that_breaks_it() -> None:
    assert {law for _, _, law in BROKEN} == {law.__name__ for law in lens.LAWS}


def test_the_right_mapping_breaks_none() -> None:
    assert laws_broken(load(SIP)) == set()
