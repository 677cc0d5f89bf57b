"""What a person's Consents say about one party: who is named, who is denied, and whether they are in force."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, tzinfo
from typing import Any

from fhir_adapter.access.identity import Party
from fhir_adapter.access.organisations import is_resolved, may_mean, speaks_for
from fhir_adapter.access.periods import EXPIRED, NOT_YET, why_outside
from fhir_adapter.fhir.resources import Resource, dump_json, reference_of

OTHER_SCOPES = frozenset({"adr", "research", "treatment"})
"""Scopes of http://terminology.hl7.org/CodeSystem/consentscope that say nothing about sharing a plan."""

DISCLOSING = frozenset({"access", "use", "disclose"})
"""Actions of http://terminology.hl7.org/CodeSystem/consentaction that showing a plan needs one of."""

NARROWER = ("code", "class", "data", "dataPeriod", "securityLabel", "purpose", "action")
"""Elements of a provision that narrow it to some of the data or some uses."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """What the Consents say: `refused` with reasons, or in force with reasons; `named`: the party is a recipient."""

    refused: bool
    named: bool
    reasons: tuple[str, ...]


def verdict_of(plan: Mapping[str, Resource], subject: str | None, party: Party, now: datetime, zone: tzinfo) -> Verdict:
    """The verdict of all Consents about this person in the plan; everything that is not understood refuses."""
    consents = [one for one in plan.values() if _is_about(one, subject)]
    if not consents:
        return Verdict(True, False, ("there is no consent",))
    problems: list[str] = []
    reasons: list[str] = []
    named = False
    for voices in _by_who_gives_it(consents):
        current = _current(voices)
        problem = _why_not_in_force(current, now, zone) or _why_denied(current, party, plan, now, zone)
        if problem:
            problems.append(f"{reference_of(current)}: {problem}")
            continue
        named = named or _names(current, party, plan)
        reasons.append(f"{reference_of(current)} is in force")
        if _has_exclusions(current):
            reasons.append(f"{reference_of(current)} leaves out topics or kinds of data; these are not told apart here")
    return Verdict(bool(problems), named, tuple(problems or reasons))


def refusals_of(
    plan: Mapping[str, Resource], subject: str | None, party: Party, now: datetime, zone: tzinfo
) -> list[str]:
    """Why the Consents of another plan about this person refuse the party: withdrawn, rejected, or they deny it.

    One that has ended, has not begun, or is not there says nothing about any other plan.
    """
    current = [_current(voices) for voices in _by_who_gives_it(one for one in plan.values() if _is_about(one, subject))]
    return [
        f"{reference_of(one)}, of another plan of this person: {problem}"
        for one in current
        if (problem := _why_refused(one, party, plan, now, zone))
    ]


def _why_refused(
    consent: Resource, party: Party, plan: Mapping[str, Resource], now: datetime, zone: tzinfo
) -> str | None:
    if consent.get("status") != "active":
        return f"its status is {consent['status']}" if consent.get("status") in ("rejected", "inactive") else None
    if why_outside(consent.get("provision", {}).get("period"), now, zone) in (NOT_YET, EXPIRED):
        return None
    return _why_not_in_force(consent, now, zone) or _why_denied(consent, party, plan, now, zone)


def _is_about(resource: Resource, subject: str | None) -> bool:
    """A Consent on sharing by this person (or for nobody in particular) that was not an error."""
    if resource.get("resourceType") != "Consent" or resource.get("status") == "entered-in-error":
        return False
    if set(_codes(resource.get("scope"))) & OTHER_SCOPES:
        return False
    patient = resource.get("patient", {}).get("reference")
    return patient is None or patient == subject


def _by_who_gives_it(consents: Iterable[Resource]) -> list[list[Resource]]:
    """Every voice counts (both guardians of a child); the Consents of one voice follow each other in time."""
    voices: dict[bytes, list[Resource]] = {}
    for consent in consents:
        voice = dump_json([consent.get("performer"), consent.get("category")])
        voices.setdefault(voice, []).append(consent)
    return list(voices.values())


def _current(voices: Sequence[Resource]) -> Resource:
    """The newest that was decided; a new proposal takes nothing back. Among equally old ones a refusal comes first."""
    decided = [one for one in voices if one.get("status") in ("active", "rejected", "inactive")]
    return max(decided or voices, key=lambda one: (one.get("dateTime", ""), one.get("status") != "active"))


def _why_not_in_force(consent: Resource, now: datetime, zone: tzinfo) -> str | None:
    if consent.get("status") != "active":
        return f"its status is {consent.get('status')}"
    if "patient-privacy" not in _codes(consent.get("scope")):
        return "its scope is not understood"
    if any("modifierExtension" in holder for holder in (consent, *_provisions(consent.get("provision")))):
        return "it is modified in a way that is not understood"
    if any(one.get("type") not in ("permit", "deny", None) for one in _provisions(consent.get("provision"))):
        return "it has a provision of an unknown type"
    return why_outside(consent.get("provision", {}).get("period"), now, zone)


def _why_denied(
    consent: Resource, party: Party, plan: Mapping[str, Resource], now: datetime, zone: tzinfo
) -> str | None:
    root = consent.get("provision", {})
    actions = [code for action in root.get("action", []) for code in _codes(action)]
    if actions and not set(actions) & DISCLOSING:
        return "it permits no disclosure"
    for denial in (one for one in _provisions(root) if one.get("type") == "deny"):
        if denial is not root and why_outside(denial.get("period"), now, zone) in (NOT_YET, EXPIRED):
            continue
        if denial is root and _permits_below(root, party, plan):
            continue
        if any(_may_hit(actor.get("reference"), party, plan) for actor in denial.get("actor", [])):
            return "it denies this party, or may mean it"
        if not denial.get("actor") and (denial is root or not any(name in denial for name in NARROWER)):
            return "it denies everybody"
    if root.get("type") is None and "OPTOUT" in _codes(consent.get("policyRule")):
        return None if _permits_below(root, party, plan) else "it permits nobody who is not named"
    return None


def _permits_below(root: Resource, party: Party, plan: Mapping[str, Resource]) -> bool:
    """Whether an exception right below the rule permits the party by identifier."""
    permits = [one for one in root.get("provision", []) if one.get("type") == "permit"]
    actors = [actor.get("reference") for one in permits for actor in one.get("actor", [])]
    return any(speaks_for(party, reference, plan) for reference in actors)


def _may_hit(reference: Any, party: Party, plan: Mapping[str, Resource]) -> bool:
    """Whether a denied actor is the party: by identifier, by words that could mean it, or because nobody can tell."""
    if speaks_for(party, reference, plan):
        return True
    display = reference.get("display") if isinstance(reference, dict) else None
    if isinstance(display, str) and display.strip():
        return may_mean(party, display)
    return not _is_somebody_else(reference, plan)


def _is_somebody_else(reference: Any, plan: Mapping[str, Resource]) -> bool:
    """Whether the reference leads to an organisation of its own, or to a person, who is no party."""
    if is_resolved(reference, plan):
        return True
    target = reference.get("reference", "") if isinstance(reference, dict) else ""
    return target in plan and target.split("/")[0] in ("RelatedPerson", "Patient")


def _names(consent: Resource, party: Party, plan: Mapping[str, Resource]) -> bool:
    """Whether the party is a recipient, by identifier."""
    permits = [one for one in _provisions(consent.get("provision")) if one.get("type") != "deny"]
    actors = [actor.get("reference") for one in permits for actor in one.get("actor", [])]
    return any(speaks_for(party, reference, plan) for reference in actors)


def _has_exclusions(consent: Resource) -> bool:
    root = consent.get("provision", {})
    denials = [one for one in _provisions(root) if one.get("type") == "deny" and not one.get("actor")]
    return bool(denials) or any(name in root for name in ("code", "class", "data", "dataPeriod", "securityLabel"))


def _provisions(provision: Any) -> Iterator[Resource]:
    """The provision and all that are nested in it."""
    if isinstance(provision, dict):
        yield provision
        for nested in provision.get("provision", []):
            yield from _provisions(nested)


def _codes(concept: Any) -> list[str]:
    codings = concept.get("coding", []) if isinstance(concept, dict) else []
    return [coding["code"] for coding in codings if "code" in coding]
