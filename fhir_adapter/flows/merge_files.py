"""The function behind `fhir-adapter merge`: three versions of a plan in, the merged plan and what is left open out."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_adapter.fhir.resources import Resource, dump_json, indented
from fhir_adapter.flows.merge_input import Version, read_versions
from fhir_adapter.flows.ownership import declared_rules
from fhir_adapter.mapping.load import find
from fhir_adapter.plan.decide import decide
from fhir_adapter.plan.elements import UNKNOWN_PARTY
from fhir_adapter.plan.lead import hold_back_what_is_not_its
from fhir_adapter.plan.merge import Conflict, Refs, Tombstone, looks_emptied, merge
from fhir_adapter.plan.negotiation import Standing, hold_back, is_negotiated
from fhir_adapter.plan.owners import Owners, lead_of, organisations_behind
from fhir_adapter.plan.ownership import Rules
from fhir_adapter.plan.quarantine import REASONS

_LOST = "it looks like a broken export: it has lost its {}"


@dataclass(frozen=True, slots=True)
class MergedFiles:
    """What goes to standard output, as indented JSON; `clean`: no conflict and nothing quarantined."""

    output: bytes
    clean: bool


@dataclass(frozen=True, slots=True)
class _Case:
    """One merge: what the party `by` had before, what is live, what it says, and when it said that."""

    before: Version
    live: Version
    said: Version
    by: str
    now: datetime


def merge_files(
    base: bytes, ours: bytes, theirs: bytes, *, by: str, now: datetime, rules: str = "default"
) -> MergedFiles:
    """Merge what the organisation `by` says (theirs, having seen base) into ours.

    Each file is a Bundle or one resource; what base has and theirs lacks was taken away. rules: "default" or the name
    of a mapping. now: when that was said, where the file does not tell. Raises BadRequest for a file that cannot be
    read, BadDeclaration for rules that there are not.
    """
    names = Rules.default() if rules == "default" else declared_rules(find(rules))
    before, live, said = read_versions(base, ours, theirs)
    case = _Case(before, live, said, _plain(by, live), said.said_at() or now)
    lost = _what_was_lost(before, said)
    if lost:
        bundle = next(iter(said.resources.values())) if said.is_single else said.bundle
        return _told(_bundle(live, live.resources, said), [], [], [_parked(case, "", "", bundle, lost)])
    return _merged(case, names)


def _merged(case: _Case, rules: Rules) -> MergedFiles:
    ours = case.live.resources
    owners = _owners(case.live, case.by, rules)
    merged = merge(
        [case.before.resources], ours, case.said.resources, party=case.by, owners=owners, partial=False, now=case.now
    )
    hold_back(merged, ours, case.by, lambda task: _standing(task, case.by, owners), owners.wrote)
    hold_back_what_is_not_its(merged, ours, case.by, owners)
    steps = decide(merged, ours, case.now)
    return _told(
        _bundle(case.live, ours | steps.save, case.said),
        [_conflict(case, one) for one in steps.ask if one.kind != "quarantined"],
        [_tombstone(one) for one in steps.bury],
        [
            _parked(case, one.reference, one.path, one.other, REASONS[one.path])
            for one in steps.ask
            if one.kind == "quarantined"
        ],
    )


def _what_was_lost(before: Version, said: Version) -> str:
    """Why theirs must not be merged but looked at; empty where it may."""
    if before.resources and not said.resources:
        return _LOST.format("whole content")
    lost = looks_emptied([before.resources], said.resources)
    return _LOST.format(f"{' and '.join(lost)} resources") if lost else ""


# --- who is who --------------------------------------------------------------------------------------------------


def _owners(live: Version, by: str, rules: Rules) -> Owners:
    """Whom the plan names; `by` stands for the organisation that speaks and for every unit of it."""
    urls = {entry["fullUrl"]: live.resources[ref] for ref, entry in live.entries.items() if "fullUrl" in entry}
    plan = urls | live.resources

    def organisation(reference: Any) -> str | None:
        behind = [_plain(one, live) for one in organisations_behind(_literal(reference, plan), plan)]
        own = next((one for one in behind if one == by), None)
        return own or next((one for one in behind if _is_organisation(one, live)), None)

    return Owners(None, lambda _: None, names=organisation, rules=rules, author=lead_of(live.resources))


def _plain(reference: str, live: Version) -> str:
    """`Type/id`, however an organisation is written: whose server it stands at does not matter here."""
    found = live.resolve(reference)
    return "/".join(found.split("/")[-2:]) if "://" in found else found


def _is_organisation(reference: str, live: Version) -> bool:
    resource = live.resources.get(reference)
    return resource["resourceType"] == "Organization" if resource else reference.startswith("Organization/")


def _literal(reference: Any, plan: Mapping[str, Resource]) -> Any:
    """The Reference by `Type/id`, where it only gives an identifier that a resource of the plan has."""
    identifier = reference.get("identifier") if isinstance(reference, dict) else None
    if not isinstance(identifier, dict) or "reference" in reference:
        return reference
    number = identifier.get("system"), identifier.get("value")
    for name, resource in plan.items():
        if number in [(one.get("system"), one.get("value")) for one in resource.get("identifier", ())]:
            return {"reference": name}
    return reference


def _standing(task: Resource, by: str, owners: Owners) -> Standing:
    """What `by` is to a Task: who leads speaks for a requester that is no organisation here, who asks for such a
    performer. Of a Task that nobody negotiated a file does not tell who may write how far it is."""
    if not is_negotiated(task):
        return Standing(records=True)
    requester, performer = owners.names(task["requester"]), owners.names(task["owner"])
    asks = by == (requester or owners.leader)
    return Standing(requester=asks, owner=performer == by or (asks and performer is None))


# --- telling -----------------------------------------------------------------------------------------------------


def _bundle(live: Version, plan: Refs, said: Version) -> Resource:
    """Ours as it came in, with the merged resources in their places and new ones behind them."""
    place = {id(entry["resource"]): reference for reference, entry in live.entries.items()}
    kept = [
        entry | {"resource": plan[place[id(entry["resource"])]]} if id(entry.get("resource")) in place else entry
        for entry in live.bundle.get("entry", [])
    ]
    added = [said.entries.get(ref, {}) | {"resource": one} for ref, one in plan.items() if ref not in live.entries]
    total = {"total": live.bundle["total"] + len(added)} if "total" in live.bundle else {}
    entries = {"entry": [*kept, *added]} if kept or added else {}
    return live.bundle | total | entries


def _told(bundle: Resource, conflicts: list[Any], tombstones: list[Any], quarantined: list[Any]) -> MergedFiles:
    found = {"plan": bundle, "conflicts": conflicts, "tombstones": tombstones, "quarantined": quarantined}
    return MergedFiles(indented(dump_json(found)) + b"\n", not conflicts and not quarantined)


def _conflict(case: _Case, one: Conflict) -> dict[str, Any]:
    """The other value with author, time and base, beside the live one."""
    said, stood = _instant(case.now), _instant(case.live.said_at(one.reference))
    is_taken = one.live_party == case.by and one.other_party != case.by
    return {
        "reference": one.reference,
        "path": one.path,
        "kind": one.kind,
        "base": one.base,
        "live": one.live,
        "other": one.other,
        "owner": one.owner,
        "liveFrom": _known(one.live_party),
        "liveAt": said if is_taken else stood,
        "otherFrom": _known(one.other_party),
        "otherAt": stood if is_taken else said,
    }


def _tombstone(one: Tombstone) -> dict[str, Any]:
    return {"reference": one.reference, "path": one.path, "removed": one.removed, "by": one.by, "at": _instant(one.at)}


def _parked(case: _Case, reference: str, path: str, other: Any, reason: str) -> dict[str, Any]:
    """What is neither applied nor dropped. Nothing of ours is in it: who wrote it may not see that."""
    return {
        "reference": reference,
        "path": path,
        "other": other,
        "otherFrom": case.by,
        "otherAt": _instant(case.now),
        "reason": reason,
    }


def _known(party: str | None) -> str | None:
    return None if party == UNKNOWN_PARTY else party


def _instant(moment: datetime | None) -> str | None:
    return moment.isoformat(timespec="seconds").replace("+00:00", "Z") if moment else None
