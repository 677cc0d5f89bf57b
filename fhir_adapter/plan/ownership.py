"""Who owns which element of a plan, and by what key its lists are matched: the merge's rules as data.

Every rule is `resource type -> element path -> Rule`. A path has no positions and no keys (`participant.period`).
What is not listed: an object is one value, a list is a set of values, the owner is the resource's (`OWNERS`).
docs/merge.md shows these tables (made by scripts/describe_merge.py).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

OwnerKind = Literal[
    "lead", "setter", "measurer", "requester", "performer", "member", "author", "adder", "sender"
]  # fmt: skip
Removal = Literal["dropped", "ended", "followed", "kept"]


@dataclass(frozen=True, slots=True)
class Rule:
    """How one element merges.

    `keys` name functions of plan/keys (coarse to fine) that tell which items of two lists are the same one;
    `fields`: both sides' changes inside the object come together, otherwise it is one value;
    `removal` of a list item by its owner: the item is dropped; ended (period.end); followed to the resource that it
    points to, which is ended while the link stays; or kept, because the list is append-only.
    """

    owner: OwnerKind
    keys: tuple[str, ...] = ()
    fields: bool = False
    removal: Removal = "dropped"


OWNERS: dict[str, OwnerKind] = {
    "CarePlan": "lead",
    "CareTeam": "lead",
    "Goal": "setter",
    "ServiceRequest": "requester",
    "Task": "performer",
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
        "contributor": Rule("member", keys=("reference",)),
    },
    "CareTeam": {
        "participant": Rule("member", keys=("member", "member and role"), fields=True, removal="ended"),
        "managingOrganization": Rule("lead", keys=("reference",)),
    },
    "Goal": {
        "lifecycleStatus": Rule("lead"),
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
        "for": Rule("requester"),
        "focus": Rule("requester"),
        "intent": Rule("requester"),
        "priority": Rule("requester"),
        "requester": Rule("requester"),
        "restriction": Rule("requester", fields=True),
        "input": Rule("requester", keys=("type",)),
        "output": Rule("performer", keys=("type",)),
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
        "provision": Rule("setter", fields=True),
        "provision.actor": Rule("setter", keys=("actor",)),
    },
    "Observation": {"component": Rule("measurer", keys=("code",), fields=True)},
    "Patient": {"contact": Rule("setter", keys=("relationship",), fields=True)},
}

CHOICES: dict[tuple[str, str], tuple[str, ...]] = {
    ("Patient", ""): ("deceased", "multipleBirth"),
    ("Goal", ""): ("start",),
    ("Goal", "target"): ("due", "detail"),
    ("ServiceRequest", ""): ("quantity", "occurrence", "asNeeded"),
    ("Condition", ""): ("onset", "abatement"),
    ("Observation", ""): ("effective", "value"),
    ("Observation", "component"): ("value",),
    ("CarePlan", "activity.detail"): ("scheduled", "product"),
    ("Consent", ""): ("source",),
    ("Provenance", ""): ("occurred",),
}
"""Elements of the form name[x], by type and path of what holds them: `startDate` and `startCodeableConcept` are one."""


@dataclass(frozen=True, slots=True)
class Owners:
    """Who owns what in one plan, by the names of parties.

    `lead` leads the plan; `of` tells which party brought a resource (None: nobody knows; then nobody's value is
    preferred to the one that is live). Finer owners than the lead all resolve to the party that brought the resource.
    `wrote` tells, where known, who changed a resource last: the author of a value that gives way to the owner's.
    """

    lead: str | None
    of: Callable[[str], str | None]
    wrote: Callable[[str], str | None] = lambda _reference: None

    def owner_of(self, reference: str, kind: OwnerKind) -> str | None:
        """The party that owns an element of this kind in the resource `reference` (`Type/id`)."""
        return self.lead if kind == "lead" else self.of(reference)


def rule_for(type_: str, path: str) -> Rule:
    """The rule of an element: the type's own, else the one of every type, else what is said of unlisted ones."""
    rule = RULES.get(type_, {}).get(path) or ANY.get(path)
    if rule:
        return rule
    owner = _owner_of_what_holds(type_, path)
    last = path.rpartition(".")[2]
    if last in ("extension", "modifierExtension"):
        return ANY["extension"]
    if last == "period" or last.endswith("Period"):
        return Rule(owner, fields=True)
    return Rule(owner)


def _owner_of_what_holds(type_: str, path: str) -> OwnerKind:
    """An unlisted element inside a listed one belongs to the listed one's owner."""
    holder = path.rpartition(".")[0]
    while holder:
        rule = RULES.get(type_, {}).get(holder) or ANY.get(holder)
        if rule:
            return rule.owner
        holder = holder.rpartition(".")[0]
    return OWNERS.get(type_, ANY_OWNER)


def choice_stem(type_: str, path: str, name: str) -> str:
    """`occurrence` for occurrencePeriod and _occurrenceDateTime; a plain element's own name for the others."""
    bare = name.lstrip("_")
    for stem in CHOICES.get((type_, path), ()):
        if bare.startswith(stem) and bare[len(stem) : len(stem) + 1].isupper():
            return stem
    return bare
