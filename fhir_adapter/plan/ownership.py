"""Who owns which element of a plan, and by what key its lists are matched: the merge's rules as data.

Every rule is `resource type -> element path -> Rule`. A path has no positions and no keys (`participant.period`).
What is not listed: an object is one value, a list is a set of values, the owner is the resource's (`OWNERS`).
docs/merge.md shows these tables (made by scripts/describe_merge.py). plan/owners.py finds who the owner is.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from typing import Literal, get_args

from fhir_adapter.errors import BadDeclaration
from fhir_adapter.fhir.elements import forms_of, type_below

OwnerKind = Literal[
    "lead", "setter", "measurer", "requester", "performer", "member", "author", "adder", "sender", "person", "shared"
]  # fmt: skip
Removal = Literal["dropped", "ended", "followed", "kept", "retired"]
Preference = Literal["owner", "stricter", "earlier", "later"]

CONTRIBUTED: frozenset[OwnerKind] = frozenset({"member", "author", "adder", "sender"})
"""Owners of single items: only who contributed an item takes it away. Lists of any other owner are values of their
element, which whoever has seen them may change."""

NAMED_BY: dict[tuple[OwnerKind, str], str] = {
    ("lead", "CarePlan"): "author",
    ("setter", "Goal"): "expressedBy",
    ("person", "Goal"): "expressedBy",
    ("requester", "ServiceRequest"): "requester",
    ("requester", "Task"): "requester",
    ("performer", "ServiceRequest"): "performer",
    ("performer", "Task"): "owner",
    ("measurer", "Observation"): "performer",
    ("adder", "Condition"): "recorder",
    ("setter", "Consent"): "organization",
    ("setter", "Communication"): "sender",
    ("setter", "DocumentReference"): "custodian",
    ("setter", "Encounter"): "serviceProvider",
    ("setter", "QuestionnaireResponse"): "author",
}
"""Owner and type -> the element that names the owner (the first, where it is a list)."""

NAMED_BY_ITEM: dict[OwnerKind, tuple[str, ...]] = {
    "author": ("authorReference",),
    "member": ("onBehalfOf", "member", "actor", "individual"),
    "performer": ("detail.performer",),
}
"""Owner of an item -> the elements of the item that name it, first come first."""

OWN_WORDS: dict[str, tuple[str, ...]] = {"Goal": ("description", "target", "expressedBy")}
"""What a person says, where the resource tells so, and that it tells so: never overwritten silently."""

STRICT_FIRST = ("entered-in-error", "rejected", "inactive", "deny", "draft", "proposed", "active", "permit")
"""States of a consent and types of its provisions, those that permit least first."""


@dataclass(frozen=True, slots=True)
class Rule:
    """How one element merges.

    `keys` name functions of plan/keys (coarse to fine) that tell which items of two lists are the same one;
    `fields`: both sides' changes inside the object come together, otherwise it is one value;
    `removal` of a list item: the item is dropped; ended (period.end); followed to the resource that it points to,
    which is ended while the link stays; kept, because the list is append-only; or retired, which is kept as an old one
    (use = old). `prefer`: whose value is live where two differ.
    """

    owner: OwnerKind
    keys: tuple[str, ...] = ()
    fields: bool = False
    removal: Removal = "dropped"
    prefer: Preference = "owner"


OWNERS: dict[str, OwnerKind] = {
    "CarePlan": "lead",
    "CareTeam": "lead",
    "Goal": "setter",
    "ServiceRequest": "requester",
    "Task": "requester",
    "Observation": "measurer",
    "Condition": "adder",
}
"""Owner of every element of a resource that no rule names; other types belong to the party that brought them."""

ANY_OWNER: OwnerKind = "setter"

NOTES = Rule("author", keys=("note",), fields=True, removal="kept")
LINKS = Rule("adder", keys=("reference",))

ANY: dict[str, Rule] = {
    "note": NOTES,
    "identifier": Rule("sender", keys=("system", "identifier")),
    "extension": Rule("sender", keys=("url",)),
    "modifierExtension": Rule("sender", keys=("url",)),
    "contained": Rule("sender", keys=("id",)),
    "meta": Rule("sender", fields=True),
    "meta.tag": Rule("sender", keys=("coding",)),
    "meta.security": Rule("sender", keys=("coding",)),
    "name": Rule("setter", keys=("use",)),
    "telecom": Rule("setter", keys=("telecom",)),
    "address": Rule("setter", keys=("use",)),
    "basedOn": LINKS,
    "supportingInfo": LINKS,
    "text": Rule("sender"),
    "language": Rule("sender"),
}
"""Rules of every type, unless the type has its own for the path."""

RULES: dict[str, dict[str, Rule]] = {
    "CarePlan": {
        "goal": Rule("setter", keys=("reference",), removal="followed"),
        "careTeam": Rule("lead", keys=("reference",), removal="followed"),
        "addresses": Rule("adder", keys=("reference",), removal="followed"),
        "activity": Rule("requester", keys=("activity",), fields=True, removal="followed"),
        "activity.progress": NOTES,
        "activity.outcomeReference": LINKS,
        "activity.detail": Rule("requester", fields=True),
        "activity.detail.status": Rule("performer"),
        "activity.detail.statusReason": Rule("performer"),
        "contributor": Rule("member", keys=("reference",)),
    },
    "CareTeam": {
        "participant": Rule("member", keys=("member", "member and role"), fields=True, removal="ended"),
        "managingOrganization": Rule("lead", keys=("reference",)),
    },
    "Goal": {
        "description": Rule("setter"),
        "lifecycleStatus": Rule("lead"),
        "statusDate": Rule("lead"),
        "statusReason": Rule("lead"),
        "achievementStatus": Rule("measurer"),
        "outcomeReference": Rule("measurer", keys=("reference",)),
        "outcomeCode": Rule("measurer"),
        "target": Rule("setter", keys=("measure", "measure and due"), fields=True),
        "addresses": LINKS,
    },
    "ServiceRequest": {
        "performer": Rule("requester", keys=("reference",)),
        "reasonReference": LINKS,
    },
    "Task": {
        "status": Rule("performer"),
        "statusReason": Rule("performer"),
        "businessStatus": Rule("performer"),
        "executionPeriod": Rule("performer", fields=True),
        "lastModified": Rule("performer"),
        "output": Rule("performer", keys=("type",)),
        "restriction": Rule("requester", fields=True),
        "input": Rule("requester", keys=("type",)),
    },
    "Appointment": {
        "participant": Rule("member", keys=("actor",), fields=True),
        "requestedPeriod": Rule("setter", keys=("the only one",), fields=True),
    },
    "Encounter": {
        "participant": Rule("member", keys=("individual",), fields=True),
        "hospitalization": Rule("setter", fields=True),
    },
    "Consent": {
        "status": Rule("setter", prefer="stricter"),
        "provision": Rule("setter", fields=True),
        "provision.type": Rule("setter", prefer="stricter"),
        "provision.period.start": Rule("setter", prefer="later"),
        "provision.period.end": Rule("setter", prefer="earlier"),
        "provision.actor": Rule("setter", keys=("actor",)),
    },
    "Observation": {"component": Rule("measurer", keys=("code",), fields=True)},
    "Patient": {
        "contact": Rule("setter", keys=("relationship",), fields=True),
        "identifier": Rule("sender", keys=("identifier",), fields=True, removal="retired"),
    },
}


_MOST = 4096
"""Elements whose rules are remembered: more than R4 has in a plan, and no sender's invented names fill the memory."""


@dataclass(frozen=True, slots=True)
class Rules:
    """The rules of one plan: the tables above, with the owners that a country or a plan type wants otherwise.

    owners: FHIR type, or type and element path without positions ("Goal.description") -> owner; it holds for
    everything inside the element, too. Made by `overridden`; every rule is worked out once.
    """

    owners: Mapping[str, OwnerKind] = field(default_factory=dict)
    _known: dict[tuple[str, str], Rule] = field(default_factory=dict, compare=False, repr=False)

    @staticmethod
    def default() -> Rules:
        """The rules as the tables have them."""
        return _DEFAULT

    def overridden(self, owners: Mapping[str, str]) -> Rules:
        """These rules with other owners. Raises BadDeclaration for a word that names no owner."""
        found: dict[str, OwnerKind] = dict(self.owners)
        for path, owner in owners.items():
            if owner not in _KINDS:
                raise BadDeclaration(f"{path}: no owner is called {owner!r}; {', '.join(_KINDS)} are")
            found[_stemmed(path)] = _KINDS[owner]
        return Rules(found) if owners else self

    def rule_for(self, type_: str, path: str) -> Rule:
        """The rule of an element: the type's own, else the one of every type, else what is said of unlisted ones."""
        rule = self._known.get((type_, path))
        if rule is None:
            if len(self._known) >= _MOST:
                self._known.clear()
            rule = self._known[type_, path] = self._work_out(type_, path)
        return rule

    def whole(self, type_: str) -> OwnerKind:
        """Who may take a resource of this type out of the plan."""
        return self.owners.get(type_) or OWNERS.get(type_, ANY_OWNER)

    def _work_out(self, type_: str, path: str) -> Rule:
        owner = self._owner(type_, path)
        listed = RULES.get(type_, {}).get(path) or ANY.get(path)
        last = path.rpartition(".")[2]
        if listed:
            return replace(listed, owner=owner)
        if last in ("extension", "modifierExtension"):
            return ANY["extension"]
        return Rule(owner, fields=last == "period" or last.endswith("Period"))

    def _owner(self, type_: str, path: str) -> OwnerKind:
        """The owner that is named for the element, or for the nearest one that holds it."""
        while path:
            other = self.owners.get(_stemmed(f"{type_}.{path}"))
            rule = RULES.get(type_, {}).get(path) or ANY.get(path)
            if other or rule:
                return other or (rule.owner if rule else ANY_OWNER)
            path = path.rpartition(".")[0]
        return self.owners.get(type_) or OWNERS.get(type_, ANY_OWNER)


_DEFAULT = Rules()

_KINDS: dict[str, OwnerKind] = {kind: kind for kind in get_args(OwnerKind)}


def _stemmed(element: str) -> str:
    """`ServiceRequest.occurrence` for ServiceRequest.occurrencePeriod: the forms of x[y] have one owner."""
    type_, _, path = element.partition(".")
    holder, _, last = path.rpartition(".")
    stem = choice_stem(type_, holder, last)
    return ".".join(part for part in (type_, holder, stem) if part)


@lru_cache(maxsize=_MOST)
def choice_stem(type_: str, path: str, name: str) -> str:
    """`occurrence` for occurrencePeriod and _occurrenceDateTime, which R4 has one of; a plain element's own name for
    the others. path: the element that holds it, without positions."""
    bare = name.lstrip("_")
    return forms_of(type_below(type_, path)).get(bare, bare)
