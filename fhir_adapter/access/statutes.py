"""Statutes that let the parties of a plan exchange what is necessary without the person's consent, as dated data."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date

from fhir_adapter.fhir.resources import CODES, STATUTORY_BASIS, Resource

_CODES_OF_BASES = f"{CODES}/disclosure-basis"


@dataclass(frozen=True, slots=True)
class Statute:
    """A statute: from when it permits, until when, and for which plans (codings of CarePlan.category)."""

    since: date
    until: date | None
    plans: frozenset[tuple[str, str]]

    def covers(self, care_plan: Resource, day: date) -> bool:
        """Is it in force on this day, and is this one of its plans?"""
        if day < self.since or (self.until is not None and day > self.until):
            return False
        codings = (one for concept in care_plan.get("category", []) for one in concept.get("coding", []))
        return any((one.get("system"), one.get("code")) in self.plans for one in codings)


_DANISH_PLANS = f"{CODES}/dk-plan-category"

STATUTES: dict[str, Statute] = {
    "dk-psykiatriloven-13c": Statute(
        since=date(2010, 10, 1),
        until=None,
        plans=frozenset({(_DANISH_PLANS, "koordinationsplan"), (_DANISH_PLANS, "udskrivningsaftale")}),
    ),
}
"""By code of our code system disclosure-basis. Denmark: psykiatriloven § 13 c, for plans under § 13 a and § 13 b; the
date is on the safe side (later than the act's)."""


def bases_named_by(care_plan: Resource) -> Iterator[str]:
    """The codes of the statutory bases that a plan names."""
    for extension in care_plan.get("extension", []):
        if extension.get("url") == STATUTORY_BASIS:
            codings = extension.get("valueCodeableConcept", {}).get("coding", [])
            known = [one["code"] for one in codings if one.get("system") == _CODES_OF_BASES and "code" in one]
            yield from known or ["given in words"]
