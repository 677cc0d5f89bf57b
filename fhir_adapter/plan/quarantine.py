"""What is not merged at all, however it differs: neither applied nor dropped, and why."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from typing import Any

from fhir_adapter.fhir.resources import Resource, dump_json
from fhir_adapter.plan.identity import ABOUT, are_one_person, person_in

REASONS: dict[str, str] = {
    "": "it was not shown to its author, who cannot know what it changes",
    "modifierExtension": "it carries a modifierExtension that the plan does not have, and nobody knows what that means",
    "implicitRules": "it follows rules that the plan does not know, so nobody can tell what it means",
    "subject": "it is about another person than the plan has it for",
}
"""The element that keeps a statement from being merged ("": the whole) -> why. It may be told to the author."""


def reason_not_to_merge(
    said: Resource, known: Sequence[Resource], ours: Mapping[str, Resource], theirs: Mapping[str, Resource]
) -> str:
    """The key of REASONS for what a party says of a resource; empty where nothing but not being shown can be wrong.

    known: what the bases and the plan have of the resource. ours, theirs: all resources, to look persons up.
    """
    if _has_new_modifiers(said, known):
        return "modifierExtension"
    if "implicitRules" in said and said["implicitRules"] not in [one.get("implicitRules") for one in known]:
        return "implicitRules"
    if not known:
        return ""  # nobody said before about whom it is
    is_another = is_about_another_person(said, known, lambda reference: ours.get(reference) or theirs.get(reference))
    return "subject" if is_another else ""


def _has_new_modifiers(said: Resource, known: Sequence[Resource]) -> bool:
    if b'"modifierExtension"' not in dump_json(said):  # a tenth of the time of looking through it
        return False
    new = set(_modifiers_in(said))
    return bool(new) and not new <= {url for resource in known for url in _modifiers_in(resource)}


def _modifiers_in(value: Any) -> Iterator[str]:
    if isinstance(value, dict):
        yield from (str(one.get("url")) for one in value.get("modifierExtension", ()) if isinstance(one, dict))
        for child in value.values():
            yield from _modifiers_in(child)
    elif isinstance(value, list):
        for child in value:
            yield from _modifiers_in(child)


def is_about_another_person(
    said: Resource, known: Sequence[Resource], person: Callable[[str], Resource | None]
) -> bool:
    """Whether it names a person and every earlier version another one, who is not known to be the same.

    person: the record with this reference, if there is one; asked only where two persons are named.
    """
    for element in ABOUT:
        new, old = person_in(said, element), {name for one in known if (name := person_in(one, element))}
        if new and old and new not in old:
            return not any(are_one_person(person(new) or {}, person(name) or {}) for name in old)
    return False
