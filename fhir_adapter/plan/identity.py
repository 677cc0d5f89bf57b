"""Two records of one person become one, and can be parted again; a protected identity is never linked."""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_adapter.errors import Issue, Refused
from fhir_adapter.fhir.resources import Resource, reference_of, references_in, rewrite_references

Refs = Mapping[str, Resource]

Pointer = tuple[str, str]
"""A pointer in a plan: the reference of the resource that has it, and its FHIR path there."""

PROTECTED = frozenset({"R", "V", "sekretessmarkering", "skyddadFolkbokforing"})
"""Security labels of a protected identity: v3-Confidentiality (dk-core) and the Swedish base profiles."""


def is_protected(person: Resource) -> bool:
    """Whether the person's identity is protected: nothing may show which number or place it had before."""
    return any(label.get("code") in PROTECTED for label in person.get("meta", {}).get("security", ()))


def is_nobody(person: Resource) -> bool:
    """Whether nothing is said of the person: the record is left of a plan that was about somebody else."""
    return person.keys() <= {"resourceType", "id", "meta"}


def is_replaced(resource: Resource) -> bool:
    """Whether this is a person's record that another one stands for."""
    links = resource.get("link", ()) if resource.get("resourceType") == "Patient" else ()
    return any(link.get("type") == "replaced-by" for link in links)


def are_born_apart(one: Resource, other: Resource) -> bool:
    """Whether two records give days of birth that cannot be one: 1985 and 1985-07-14 can."""
    first, second = (str(person.get("birthDate", "")) for person in (one, other))
    return not (first.startswith(second) or second.startswith(first))


@dataclass(frozen=True, slots=True)
class Joining:
    """What joining did to the two records, so that it can be undone.

    `numbers` are the identifiers that the remaining record got from the old one, `active` what that one said of itself.
    """

    numbers: tuple[Resource, ...]
    active: bool | None


def join(old: Resource, new: Resource) -> tuple[Resource, Resource, Joining]:
    """Both records of a person, once `new` stands for `old`, too.

    Both stay: the old one inactive and linked replaced-by, the new one linked replaces and with the old numbers as
    such (use = old). Raises Refused where one of them is protected, or they are one already.
    """
    _check_can_be_one(old, new)
    numbers = tuple(one | {"use": "old"} for one in old.get("identifier", ()) if not _has_number(new, one))
    given_up = _linked(old | {"active": False}, new, "replaced-by")
    remaining = _linked(_with(new, "identifier", [*new.get("identifier", []), *numbers]), old, "replaces")
    return given_up, remaining, Joining(numbers, old.get("active"))


def part(old: Resource, new: Resource, done: Joining) -> tuple[Resource, Resource]:
    """Both records once that is undone; whatever else was said since about either person stays."""
    identifiers = [one for one in new.get("identifier", ()) if one not in done.numbers]
    return _unlinked(_with(old, "active", done.active), new), _unlinked(_with(new, "identifier", identifiers), old)


def pointers_to(plan: Refs, person: str) -> tuple[Pointer, ...]:
    """Every pointer to the person, but the links between persons."""
    return tuple(
        (reference, path)
        for reference, resource in plan.items()
        for path, pointer in references_in(resource)
        if pointer["reference"] == person and not _is_person(reference)
    )


def repointed(plan: Refs, old: str, new: str, but: Collection[Pointer] = ()) -> dict[str, Resource]:
    """The resources that change when whatever points to `old` points to `new`, but for some pointers."""
    paths: dict[str, set[str]] = {}
    for reference, path in pointers_to(plan, old):
        if (reference, path) not in but:
            paths.setdefault(reference, set()).add(path)
    return {reference: _rewritten_at(plan[reference], found, old, new) for reference, found in paths.items()}


def _check_can_be_one(old: Resource, new: Resource) -> None:
    if reference_of(old) == reference_of(new):
        raise _refused(old, "this is one record already", "two records")
    for person in (old, new):
        if is_protected(person):
            raise _refused(person, "a protected identity is never linked with another", "two unprotected records")


def _refused(person: Resource, message: str, expected: str) -> Refused:
    return Refused(message, [Issue("error", "business-rule", reference_of(person), message, expected)])


def _has_number(person: Resource, number: Resource) -> bool:
    known = ((one.get("system"), one.get("value")) for one in person.get("identifier", ()))
    return (number.get("system"), number.get("value")) in known


def with_what_was_said_before(said: Resource, earlier: Sequence[Resource]) -> Resource:
    """What a record says of a person, where it only says less than an earlier one of its party did (the municipality of
    an address, of a name the words alone): each such value as the newest of those has it."""

    def fuller(name: str, item: Any) -> Any:
        known = (old for one in reversed(earlier) for old in _items(one.get(name)))
        return next((old for old in known if _says_no_more(item, old)), item)

    return {
        name: [fuller(name, item) for item in value] if isinstance(value, list) else fuller(name, value)
        for name, value in said.items()
    }


def _items(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [value]


def _says_no_more(said: Any, other: Any) -> bool:
    """Whether all of it stands in the other one."""
    if isinstance(said, dict) and isinstance(other, dict):
        return all(name in other and _says_no_more(value, other[name]) for name, value in said.items())
    if isinstance(said, list) and isinstance(other, list):
        return all(any(_says_no_more(item, one) for one in other) for item in said)
    return bool(said == other)


def have_one_number_now(one: Resource, other: Resource) -> bool:
    """Whether a number stands in both records, and in neither as an old one."""
    now, then = (
        {(number.get("system"), number.get("value")) for number in record.get("identifier", ()) if is_current(number)}
        for record in (one, other)
    )
    return not now.isdisjoint(then)


def is_current(number: Any) -> bool:
    """Whether it is a number by which the person is found: one of nobody knows which system is none."""
    return (
        isinstance(number, dict) and number.get("use") != "old" and bool(number.get("system") and number.get("value"))
    )


def _rewritten_at(value: Any, paths: Collection[str], old: str, new: str, path: str = "") -> Any:
    if isinstance(value, list):
        return [_rewritten_at(child, paths, old, new, f"{path}[{place}]") for place, child in enumerate(value)]
    if not isinstance(value, dict):
        return value
    if path in paths and value.get("reference") == old:
        return value | {"reference": new}
    return {
        name: _rewritten_at(child, paths, old, new, f"{path}.{name}" if path else name) for name, child in value.items()
    }


def _linked(person: Resource, other: Resource, type_: str) -> Resource:
    link = {"other": {"reference": reference_of(other)}, "type": type_}
    return person | {"link": [*person.get("link", []), link]}


def _unlinked(person: Resource, other: Resource) -> Resource:
    links = [one for one in person.get("link", ()) if one["other"].get("reference") != reference_of(other)]
    return _with(person, "link", links)


def _with(person: Resource, name: str, value: Any) -> Resource:
    """The person with the element, or without it where there is nothing to say."""
    if value not in (None, []):
        return person | {name: value}
    return {other: kept for other, kept in person.items() if other != name}


ABOUT = ("subject", "patient", "for")
"""Elements that say which person a resource of a plan is about."""


def about(person: str) -> Resource:
    """What is about the person, `Patient/id`, whichever element says so."""
    return {name: {"reference": person} for name in ABOUT}


def pointers_moved(base: Resource, said: Resource) -> set[str]:
    """The persons whom the resource was about and is not about any more."""
    before, now = ({person_in(resource, element) for element in ABOUT} for resource in (base, said))
    return before - now - {""}


def with_words_kept(said: Any, base: Any, persons: Collection[str]) -> Any:
    """What is said, with what `base` had beside a reference to one of the persons (display) where the same place has
    nothing beside it: HAPI's $merge writes such references anew."""
    if isinstance(said, list) and isinstance(base, list) and len(said) == len(base):
        return [with_words_kept(one, before, persons) for one, before in zip(said, base, strict=True)]
    if not isinstance(said, dict) or not isinstance(base, dict):
        return said
    if any(said == {"reference": person} and base.get("reference") == person for person in persons):
        return base
    return {name: with_words_kept(value, base.get(name), persons) for name, value in said.items()}


def person_in(resource: Resource, element: str) -> str:
    """The person, `Patient/id`, to whom an element of the resource points; "" where it points to none."""
    pointer = resource.get(element)
    reference = pointer.get("reference") if isinstance(pointer, dict) else None
    return reference if isinstance(reference, str) and _is_person(reference) else ""


def as_the_known_person(
    said: dict[str, Resource], known: Refs, plan_ref: str, own_name: Callable[[str], str] | None = None
) -> dict[str, Resource]:
    """What is said, with its person under the reference that the plan has, where a number tells that they are one.

    A person who gets another number (a personnummer for a samordningsnummer, a new CPR) stays one record: whoever
    names the old number beside the new one says so. A protected identity is never linked. `own_name`: the reference of
    the record that the plan's party has of its own, where another one brought the person first.
    """
    new, old = (str(plan.get(plan_ref, {}).get("subject", {}).get("reference")) for plan in (said, known))
    if new == old or new not in said or old not in known:
        return said
    is_its_own = own_name is not None and own_name(new) == old
    return under_the_name(said, new, old) if is_its_own or _are_one(said[new], known[old]) else said


def as_the_plans_person(said: dict[str, Resource], known: Refs, plan_ref: str) -> dict[str, Resource]:
    """What was said once, with its person under the reference that the plan has now: whomever it named, that one was
    meant (a plan that came under a wrong number)."""
    then, now = (person_in(plan.get(plan_ref, {}), "subject") for plan in (said, known))
    return under_the_name(said, then, now) if now and then in said and now not in said else said


def under_the_name(said: dict[str, Resource], old: str, new: str) -> dict[str, Resource]:
    """The same with the person `old` under another reference."""
    renamed = {
        reference: rewrite_references(one, lambda name: new if name == old else name)
        for reference, one in said.items()
        if reference != old
    }
    return renamed | {new: said[old] | {"id": new.partition("/")[2]}}


def not_meant(found: Refs) -> set[str]:
    """The persons in a plan to whom nothing in it points: given up for another, or there only while two were one."""
    persons = {ref for ref in found if _is_person(ref)}
    if len(persons) < 2:  # who is alone is who it is about
        return set()
    others = (one for ref, one in found.items() if ref not in persons)
    return persons - {pointer["reference"] for one in others for _, pointer in references_in(one)}


def _is_person(reference: str) -> bool:
    return reference.startswith("Patient/")


def _are_one(said: Resource, known: Resource) -> bool:
    """Whether a number says so; where one is protected, only all numbers: then none is linked with another."""
    shared = [_has_number(known, number) for number in said.get("identifier", ())]
    if is_protected(said) or is_protected(known):
        return bool(shared) and all(shared) and all(_has_number(said, number) for number in known["identifier"])
    return any(shared)


def are_one_person(one: Resource, other: Resource) -> bool:
    """Whether two records are of one person: they share a number, or one says that the other is. Protected: never."""
    if is_protected(one) or is_protected(other):
        return False
    return _are_one(one, other) or _is_linked(one, other) or _is_linked(other, one)


def _is_linked(person: Resource, other: Resource) -> bool:
    links = [link.get("other", {}).get("reference") for link in person.get("link", ())]
    return f"Patient/{other.get('id')}" in links
