"""Two records of one person become one, and can be parted again; a protected identity is never linked."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_adapter.errors import Issue, Refused
from fhir_adapter.fhir.resources import Resource, references_in, rewrite_references

Refs = Mapping[str, Resource]

PROTECTED = frozenset({"R", "V", "sekretessmarkering", "skyddadFolkbokforing"})
"""Security labels of a protected identity: v3-Confidentiality (dk-core) and the Swedish base profiles."""


def is_protected(person: Resource) -> bool:
    """Whether the person's identity is protected: nothing may show which number or place it had before."""
    return any(label.get("code") in PROTECTED for label in person.get("meta", {}).get("security", ()))


@dataclass(frozen=True, slots=True)
class PersonMerge:
    """What a merge of two records of a person did, so that it can be undone.

    `pointers` are (reference of a resource, path within it) that pointed to the retired record; `numbers` the
    identifiers that the surviving record got from it, `active` what the retired one said of itself.
    """

    survivor: str
    retired: str
    pointers: tuple[tuple[str, str], ...]
    numbers: tuple[Resource, ...]
    active: bool | None


def merge_persons(plan: Refs, *, survivor: str, retired: str) -> tuple[dict[str, Resource], PersonMerge]:
    """The resources that change when the record `retired` turns out to be the person of `survivor`.

    Both stay: the retired one inactive and linked replaced-by, the surviving one linked replaces and with the old
    numbers as such (use = old). Whatever pointed to the retired one points to the survivor; consents of both stay in
    force side by side, so that the stricter one counts. Raises Refused where one of them is protected, where one is
    missing, or where they are one.
    """
    _check_can_be_one(plan, survivor, retired)
    new, old = plan[survivor], plan[retired]
    numbers = tuple(one | {"use": "old"} for one in old.get("identifier", ()) if not _has_number(new, one))
    pointers = tuple(
        (reference, path)
        for reference, resource in plan.items()
        if reference not in (survivor, retired)
        for path, pointer in references_in(resource)
        if pointer["reference"] == retired
    )
    identifiers = [*new.get("identifier", []), *numbers]
    changed = _repointed(plan, pointers, retired, survivor)
    changed[survivor] = _linked(_with(new, "identifier", identifiers), retired, "replaces")
    changed[retired] = _linked(old | {"active": False}, survivor, "replaced-by")
    return changed, PersonMerge(survivor, retired, pointers, numbers, old.get("active"))


def part_persons(plan: Refs, merge: PersonMerge) -> dict[str, Resource]:
    """The resources that change when that merge is undone; what was said since about either person stays.

    Only what pointed to the retired record goes back to it, where it still points to the survivor.
    """
    new, old = plan[merge.survivor], plan[merge.retired]
    identifiers = [one for one in new.get("identifier", ()) if one not in merge.numbers]
    changed = _repointed(plan, merge.pointers, merge.survivor, merge.retired)
    changed[merge.survivor] = _unlinked(_with(new, "identifier", identifiers), merge.retired)
    changed[merge.retired] = _unlinked(_with(old, "active", merge.active), merge.survivor)
    return changed


def _check_can_be_one(plan: Refs, survivor: str, retired: str) -> None:
    missing = [reference for reference in (survivor, retired) if reference not in plan]
    if missing:
        raise _refused(missing[0], "this person is not in the plan", "the reference of a Patient of the plan")
    if survivor == retired:
        raise _refused(survivor, "this is one record already", "two records")
    for reference in (survivor, retired):
        if is_protected(plan[reference]):
            raise _refused(reference, "a protected identity is never linked with another", "two unprotected records")


def _refused(reference: str, message: str, expected: str) -> Refused:
    return Refused(message, [Issue("error", "business-rule", reference, message, expected)])


def _has_number(person: Resource, number: Resource) -> bool:
    known = ((one.get("system"), one.get("value")) for one in person.get("identifier", ()))
    return (number.get("system"), number.get("value")) in known


def _repointed(plan: Refs, pointers: Iterable[tuple[str, str]], old: str, new: str) -> dict[str, Resource]:
    """The resources at whose paths a pointer to `old` becomes one to `new`."""
    paths: dict[str, set[str]] = {}
    for reference, path in pointers:
        paths.setdefault(reference, set()).add(path)
    return {
        reference: _rewritten_at(plan[reference], found, old, new)
        for reference, found in paths.items()
        if reference in plan
    }


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


def _linked(person: Resource, other: str, type_: str) -> Resource:
    return person | {"link": [*person.get("link", []), {"other": {"reference": other}, "type": type_}]}


def _unlinked(person: Resource, other: str) -> Resource:
    return _with(person, "link", [one for one in person.get("link", ()) if one["other"].get("reference") != other])


def _with(person: Resource, name: str, value: Any) -> Resource:
    """The person with the element, or without it where there is nothing to say."""
    if value not in (None, []):
        return person | {name: value}
    return {other: kept for other, kept in person.items() if other != name}


def as_the_known_person(said: dict[str, Resource], known: Refs, plan_ref: str) -> dict[str, Resource]:
    """What is said, with its person under the reference that the plan has, where a number tells that they are one.

    A person who gets another number (a personnummer for a samordningsnummer, a new CPR) stays one record: whoever
    names the old number beside the new one says so. A protected identity is never linked.
    """
    new, old = (str(plan.get(plan_ref, {}).get("subject", {}).get("reference")) for plan in (said, known))
    if new == old or new not in said or old not in known or not _are_one(said[new], known[old]):
        return said
    renamed = {
        reference: rewrite_references(one, lambda name: old if name == new else name)
        for reference, one in said.items()
        if reference != new
    }
    return renamed | {old: said[new] | {"id": old.partition("/")[2]}}


def _are_one(said: Resource, known: Resource) -> bool:
    if is_protected(said) or is_protected(known):
        return False
    return any(_has_number(known, number) for number in said.get("identifier", ()))


def are_one_person(one: Resource, other: Resource) -> bool:
    """Whether two records are of one person: they share a number, or one says that the other is. Protected: never."""
    if is_protected(one) or is_protected(other):
        return False
    return _are_one(one, other) or _is_linked(one, other) or _is_linked(other, one)


def _is_linked(person: Resource, other: Resource) -> bool:
    links = [link.get("other", {}).get("reference") for link in person.get("link", ())]
    return f"Patient/{other.get('id')}" in links
