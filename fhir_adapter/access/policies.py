"""May this party see this plan? Denied unless something permits it, and always with reasons.

docs/decisions/0004-who-may-see-a-plan.md says why the rules are as they are.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, tzinfo
from typing import Any
from zoneinfo import ZoneInfo

from fhir_adapter.access.consent import refusals_of, verdict_of
from fhir_adapter.access.identity import Party
from fhir_adapter.access.organisations import speaks_for
from fhir_adapter.access.periods import why_outside
from fhir_adapter.access.statutes import STATUTES, bases_named_by
from fhir_adapter.fhir.resources import CODES, Resource

SWEDEN = ZoneInfo("Europe/Stockholm")

PRINCIPALS = frozenset(
    {
        (f"{CODES}/huvudman", "kommun"), (f"{CODES}/huvudman", "region"),
        (f"{CODES}/dk-part", "kommune"), (f"{CODES}/dk-part", "region"),
    }
)  # fmt: skip
"""Codings of ServiceRequest.performerType that say: a principal (municipality, region) answers for the intervention."""

_ENDED = frozenset({"revoked", "cancelled", "rejected", "inactive", "entered-in-error"})

Intervention = tuple[Resource, list[Resource]]
"""A ServiceRequest with its Tasks."""


@dataclass(frozen=True, slots=True)
class Decision:
    """Whether the plan may be shown, and why; the reasons hold references and paths, no personal data."""

    permit: bool
    reasons: tuple[str, ...]


def may_see(
    plan: Mapping[str, Resource],
    party: Party,
    *,
    home: str,
    now: datetime,
    main: str = "",
    bases: Collection[str] = (),
    beside: Iterable[Mapping[str, Resource]] = (),
    zone: tzinfo = SWEDEN,
) -> Decision:
    """Whether `party` may see the plan whose resources are given.

    home: name of the party that brought the plan; it always sees it. Anybody else must take part in the plan, and a
    consent must be in force that does not deny it; who is not a principal of the plan must be named by the consent.
    Or the plan is shared by statute (access/statutes.py) with those who are in its team, whatever the consents say.
    main: reference of the CarePlan that all others are parts of; left out, it is found by what says partOf.
    bases: statutory bases beside those that the plan names; one that is not understood permits nothing. beside: other
    plans whose person turned out to be this one's: what a consent there refuses is refused here, too. zone: whose
    midnight ends a period.
    """
    if party.name == home:
        return Decision(True, ("the party brought the plan",))
    if not party.identifiers:
        return Decision(False, ("the party has no organisation identifier",))
    care_plan = plan.get(main) or _whole_plan(plan)
    if care_plan is None:
        return Decision(False, ("there is no plan",))
    interventions = tuple(_interventions(plan))
    parts = tuple(_parts_of(plan, care_plan, interventions, party, now, zone))
    if not parts:
        return Decision(False, ("the party's organisation takes no part in the plan",))
    bases = (*bases, *bases_named_by(care_plan))
    for basis in bases:
        if _permits_by_statute(basis, care_plan, parts, now.astimezone(zone).date()):
            return Decision(True, (f"the statute {basis} permits it", *(f"takes part: {part}" for part in parts)))
    subject = care_plan.get("subject", {}).get("reference")
    verdict = verdict_of(plan, subject, party, now, zone)
    elsewhere = [reason for other in beside for reason in refusals_of(other, subject, party, now, zone)]
    unknown = tuple(f"the legal basis {basis} is not understood" for basis in bases if basis not in STATUTES)
    if verdict.refused or elsewhere:
        return Decision(False, (*(verdict.reasons if verdict.refused else ()), *elsewhere, *unknown))
    if not verdict.named and not _is_principal(plan, care_plan, interventions, party):
        return Decision(False, ("the party is no principal of the plan, and no consent names it by identifier",))
    why = "a consent names the party" if verdict.named else "the party is a principal of the plan"
    return Decision(True, (why, *(f"takes part: {part}" for part in parts), *verdict.reasons))


def _permits_by_statute(basis: str, care_plan: Resource, parts: Sequence[str], day: date) -> bool:
    """Whether the statute covers this plan now; only who is named in the team is one of its parties."""
    statute = STATUTES.get(basis)
    is_party = any(part.startswith("CareTeam.") for part in parts)
    return statute is not None and is_party and statute.covers(care_plan, day)


def _parts_of(
    plan: Mapping[str, Resource],
    care_plan: Resource,
    interventions: Iterable[Intervention],
    party: Party,
    now: datetime,
    zone: tzinfo,
) -> Iterator[str]:
    """The places where the plan names the party's organisation, each once."""
    found = set()
    for path, reference in (*_of_plan(care_plan), *_of_teams(plan, now, zone), *_of_interventions(interventions)):
        if reference is not None and path not in found and speaks_for(party, reference, plan):
            found.add(path)
            yield path


def _is_principal(
    plan: Mapping[str, Resource], care_plan: Resource, interventions: Iterable[Intervention], party: Party
) -> bool:
    """Whether the party leads the plan, or answers as municipality or region for an intervention of it."""
    leading = [care_plan.get("author")]
    for request, tasks in interventions:
        if _answers_a_principal(request):
            leading += request.get("performer", [])
            leading += [task.get("owner") for task in tasks]
    return any(speaks_for(party, reference, plan) for reference in leading)


def _whole_plan(plan: Mapping[str, Resource]) -> Resource | None:
    """The CarePlan that the others, such as the plan for when it fails, are parts of."""
    care_plans = [one for one in plan.values() if one.get("resourceType") == "CarePlan"]
    return next((one for one in care_plans if not any(_is_in(plan, whole) for whole in one.get("partOf", []))), None)


def _is_in(plan: Mapping[str, Resource], reference: Any) -> bool:
    return isinstance(reference, dict) and reference.get("reference") in plan


def _of_plan(care_plan: Resource) -> Iterator[tuple[str, Any]]:
    yield "CarePlan.author", care_plan.get("author")
    for contributor in care_plan.get("contributor", []):
        yield "CarePlan.contributor", contributor


def _of_teams(plan: Mapping[str, Resource], now: datetime, zone: tzinfo) -> Iterator[tuple[str, Any]]:
    """Those who are members now."""
    for team in _of_type(plan, "CareTeam"):
        for participant in team.get("participant", []):
            if why_outside(participant.get("period"), now, zone) is None:
                yield "CareTeam.participant.member", participant.get("member")
                yield "CareTeam.participant.onBehalfOf", participant.get("onBehalfOf")


def _of_interventions(interventions: Iterable[Intervention]) -> Iterator[tuple[str, Any]]:
    for request, tasks in interventions:
        for performer in request.get("performer", []):
            yield "ServiceRequest.performer", performer
        for task in tasks:
            yield "Task.owner", task.get("owner")


def _of_type(plan: Mapping[str, Resource], type_: str) -> list[Resource]:
    """The resources of a type that have not come to nothing."""
    return [one for one in plan.values() if one.get("resourceType") == type_ and one.get("status") not in _ENDED]


def _interventions(plan: Mapping[str, Resource]) -> Iterator[Intervention]:
    """Every ServiceRequest with its Tasks."""
    tasks: dict[str, list[Resource]] = {}
    for task in _of_type(plan, "Task"):
        tasks.setdefault(task.get("focus", {}).get("reference", ""), []).append(task)
    return ((one, tasks.get(f"ServiceRequest/{one['id']}", [])) for one in _of_type(plan, "ServiceRequest"))


def _answers_a_principal(request: Resource) -> bool:
    codings = request.get("performerType", {}).get("coding", [])
    return any((coding.get("system"), coding.get("code")) in PRINCIPALS for coding in codings)
