"""Who owns an element of one plan: whom the plan itself names, else who brought it, else who leads the plan."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.plan.ownership import CONTRIBUTED, NAMED_BY, NAMED_BY_ITEM, OwnerKind, Rules

Refs = Mapping[str, Resource]

_DEEPEST = 10
"""Levels of Organization.partOf that are followed; a loop ends there."""


def _nobody(*_: Any) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Owners:
    """Who owns what in one plan, by the names of parties.

    `lead` leads the plan, unless `author`, the plan's Reference to who does, names a party; `of` tells which party
    brought a resource, `wrote` who changed it last (None: nobody knows); `names` which party a Reference of the plan
    stands for (None: nobody who takes part); `added` who first said an item of a list, by the resource's reference,
    the element's path and the item.
    """

    lead: str | None
    of: Callable[[str], str | None]
    wrote: Callable[[str], str | None] = _nobody
    names: Callable[[Any], str | None] = _nobody
    added: Callable[[str, str, Any], str | None] = _nobody
    rules: Rules = field(default_factory=Rules.default)
    author: Any = None

    @property
    def leader(self) -> str | None:
        """The party that leads the plan; looked up only when it is asked for."""
        return (self.names(self.author) if self.author else None) or self.lead

    def owner_of(
        self,
        reference: str,
        kind: OwnerKind,
        plan: Refs,
        *,
        path: str = "",
        item: Any = None,
        resource: Resource | None = None,
    ) -> str | None:
        """The party that owns an element of this kind in the resource `reference` (`Type/id`) of the plan.

        path, item: the element, and the list item that it is or stands in. resource: its content where the plan
        does not have it. None: nobody's value is preferred to the one that is live.
        """
        if kind == "shared":
            return None
        if kind == "lead":
            return self.leader
        resource = plan.get(reference) or resource or {}
        named = next((party for one in naming(kind, resource, item, plan) if (party := self.names(one))), None)
        if named is None and item is not None and kind in CONTRIBUTED:
            named = self.added(reference, path, item)
        return named or self.of(reference) or self.leader


def naming(kind: OwnerKind, resource: Resource, item: Any, plan: Refs) -> Iterator[Any]:
    """The References that say who owns an element of this kind, the ones that count most first."""
    for name in NAMED_BY_ITEM.get(kind, ()) if isinstance(item, dict) else ():
        yield from _references_at(item, name)
    type_ = resource.get("resourceType", "")
    yield from _references_at(resource, NAMED_BY.get((kind, type_), ""))
    if kind == "requester" and type_ == "Task":
        yield from naming(kind, plan.get(_target(resource.get("focus")), {}), None, plan)
    if kind == "measurer" and type_ == "Goal":
        for outcome in reversed(resource.get("outcomeReference", [])):
            yield from naming(kind, plan.get(_target(outcome), {}), None, plan)


def _references_at(value: Any, path: str) -> Iterator[Any]:
    """The References at a path of plain names, one or a list of them; nothing for no path."""
    for name in path.split("."):
        value = value.get(name) if isinstance(value, dict) else None
    yield from value if isinstance(value, list) else [value] if value else []


def is_said_by_the_person(resource: Resource) -> bool:
    """Whether the resource tells that the person said it."""
    return _target(resource.get("expressedBy")).startswith("Patient/")


def lead_of(plan: Refs) -> Any:
    """The Reference to who leads the plan: the author of the CarePlan that is no part of another."""
    plans = [one for one in plan.values() if one.get("resourceType") == "CarePlan"]
    main = next((one for one in plans if _target(next(iter(one.get("basedOn", [])), None)) not in plan), None)
    return (main or {}).get("author")


def organisations_behind(reference: Any, plan: Refs, depth: int = 0) -> Iterator[str]:
    """The literal references of who a Reference stands for: a member of staff by the organisation, a unit by itself
    and what it is part of; who is none of these by itself."""
    target = _target(reference)
    if not target or depth > _DEEPEST:
        return
    resource = plan.get(target, {})
    type_ = target.partition("/")[0]
    if type_ == "Practitioner":
        roles = (one for one in plan.values() if one.get("resourceType") == "PractitionerRole")
        held = [role for role in roles if _target(role.get("practitioner")) == target]
        resource, type_ = (held[0], "PractitionerRole") if len(held) == 1 else (resource, type_)
    above = {"PractitionerRole": "organization", "HealthcareService": "providedBy"}.get(type_)
    behind = [*organisations_behind(resource.get(above), plan, depth + 1)] if above else []
    yield from behind or [target]
    if type_ == "Organization":
        yield from organisations_behind(resource.get("partOf"), plan, depth + 1)


def _target(reference: Any) -> str:
    literal = reference.get("reference") if isinstance(reference, dict) else None
    return literal if isinstance(literal, str) else ""
