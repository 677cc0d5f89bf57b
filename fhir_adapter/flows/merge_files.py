"""The function behind `fhir-adapter merge`: three versions of a plan in, the merged plan and what is left open out."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from fhir_adapter.checks.validate import check_resource
from fhir_adapter.errors import BadRequest, Issue
from fhir_adapter.fhir.resources import Resource, dump_json, indented, parse_input, reference_of
from fhir_adapter.flows.ownership import declared_rules
from fhir_adapter.mapping.load import find
from fhir_adapter.plan.decide import decide
from fhir_adapter.plan.merge import Conflict, Refs, Tombstone, looks_emptied, merge
from fhir_adapter.plan.owners import Owners, lead_of, organisations_behind
from fhir_adapter.plan.ownership import Rules

_LOST = "it looks like a broken export: it has lost its {}"


@dataclass(frozen=True, slots=True)
class MergedFiles:
    """What goes to standard output, as indented JSON; `clean`: no conflict and nothing quarantined."""

    output: bytes
    clean: bool


@dataclass(frozen=True, slots=True)
class _Version:
    """One file: its resources by reference in order, and the Bundle entries that they stood in.

    `is_single`: the file holds one resource, which was put into a Bundle.
    """

    bundle: Resource
    is_single: bool
    resources: Refs
    entries: Mapping[str, Resource]


def merge_files(
    base: bytes, ours: bytes, theirs: bytes, *, by: str, now: datetime, rules: str = "default"
) -> MergedFiles:
    """Merge what the organisation `by` says (theirs, having seen base) into ours.

    Each file is a Bundle or one resource; what base has and theirs lacks was taken away. rules: "default" or the name
    of a mapping. now: when that was said. Raises BadRequest for a file that cannot be read, BadDeclaration for
    rules that there are not.
    """
    names = Rules.default() if rules == "default" else declared_rules(find(rules))
    before, live, said = versions = tuple(map(_read, ("base", "ours", "theirs"), (base, ours, theirs)))
    _check_same_thing(versions)
    try:
        return _merged(before, live, said, by, now, names)
    except (AttributeError, KeyError, TypeError):  # a list where an object belongs, and the like
        _check_shapes(versions)
        raise


def _merged(before: _Version, live: _Version, said: _Version, by: str, now: datetime, rules: Rules) -> MergedFiles:
    lost = _what_was_lost(before, said)
    if lost:
        parked = {"reference": "", "path": "", "other": None, "otherFrom": by, "reason": lost}
        return _told(_bundle(live, live.resources, said), [], [], [parked])
    owners = _owners(live, by, rules)
    merged = merge([before.resources], live.resources, said.resources, party=by, owners=owners, partial=False, now=now)
    steps = decide(merged, live.resources, now)
    return _told(
        _bundle(live, live.resources | steps.save, said),
        [_conflict(one) for one in steps.ask if one.kind != "quarantined"],
        [_tombstone(one) for one in steps.bury],
        [_quarantined(one) for one in steps.ask if one.kind == "quarantined"],
    )


def said_at(raw: bytes) -> datetime | None:
    """When a file says that its content was said: Bundle.timestamp, else the newest meta.lastUpdated in it."""
    version = _read("theirs", raw)
    stamps = [one.get("meta", {}).get("lastUpdated") for one in version.resources.values()]
    found = [version.bundle.get("timestamp"), max((one for one in stamps if isinstance(one, str)), default=None)]
    return next((moment for text in found if (moment := _moment(text))), None)


def _moment(text: Any) -> datetime | None:
    try:
        moment = datetime.fromisoformat(text)
    except (TypeError, ValueError):
        return None
    return moment if moment.tzinfo else None


def _check_same_thing(versions: Sequence[_Version]) -> None:
    """Three single resources are three versions of one."""
    found = list(dict.fromkeys(reference for version in versions for reference in version.resources))
    if all(version.is_single for version in versions) and len(found) > 1:
        raise _bad("theirs", "", f"{' and '.join(found)} are different resources", "three versions of one, or Bundles")


def _check_shapes(versions: Sequence[_Version]) -> None:
    """Raises BadRequest for the first resource that is not R4 by its structure."""
    for name, version in zip(("base", "ours", "theirs"), versions, strict=True):
        for reference, resource in version.resources.items():
            for issue in check_resource(resource):
                if issue.severity == "error" and issue.code != "required":
                    element = issue.path.partition(".")[2]
                    raise _bad(name, f"{reference} {element}", issue.message, issue.expected or "FHIR R4")


def _what_was_lost(before: _Version, said: _Version) -> str:
    """Why theirs must not be merged but looked at; empty where it may."""
    if before.resources and not said.resources:
        return _LOST.format("whole content")
    lost = looks_emptied([before.resources], said.resources)
    return _LOST.format(f"{' and '.join(lost)} resources") if lost else ""


def _owners(live: _Version, by: str, rules: Rules) -> Owners:
    """Whom the plan names; `by` stands for the organisation that speaks and for every unit of it."""
    urls = {entry["fullUrl"]: live.resources[ref] for ref, entry in live.entries.items() if "fullUrl" in entry}
    plan = urls | live.resources

    def organisation(reference: Any) -> str | None:
        behind = [_plain(one, urls) for one in organisations_behind(_literal(reference, plan), plan)]
        own = next((one for one in behind if one == by), None)
        return own or next((one for one in behind if one.startswith("Organization/")), None)

    return Owners(None, lambda _: None, names=organisation, rules=rules, author=lead_of(live.resources))


def _literal(reference: Any, plan: Refs) -> Any:
    """The Reference by `Type/id`, where it only gives an identifier that a resource of the plan has."""
    identifier = reference.get("identifier") if isinstance(reference, dict) else None
    if not isinstance(identifier, dict) or "reference" in reference:
        return reference
    number = identifier.get("system"), identifier.get("value")
    for name, resource in plan.items():
        if number in [(one.get("system"), one.get("value")) for one in resource.get("identifier", ())]:
            return {"reference": name}
    return reference


def _plain(reference: str, urls: Mapping[str, Resource]) -> str:
    """`Type/id`, however the reference is written."""
    if reference in urls and "id" in urls[reference]:
        return reference_of(urls[reference])
    return "/".join(reference.split("/")[-2:]) if "://" in reference else reference


def _read(name: str, raw: bytes) -> _Version:
    try:
        value = parse_input(raw)
    except BadRequest as fault:
        raise _bad(name, "", str(fault), "a FHIR Bundle or resource in JSON") from None
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise _bad(name, "", "this is no FHIR resource", "a JSON object with resourceType")
    is_single = value["resourceType"] != "Bundle"
    if is_single:
        value = {"resourceType": "Bundle", "type": "collection", "entry": [{"resource": value}]}
    resources: Refs = {}
    entries: dict[str, Resource] = {}
    for place, entry in _entries_of(name, value):
        reference = _identity_of(name, place, entry)
        if reference in resources:
            raise _bad(name, place, f"{reference} is there twice", "every resource once")
        resources[reference], entries[reference] = entry["resource"], entry
    return _Version(value, is_single, resources, entries)


def _entries_of(name: str, bundle: Resource) -> Iterator[tuple[str, Resource]]:
    """The entries that hold a resource, each with its place."""
    entries = bundle.get("entry", [])
    if not isinstance(entries, list):
        raise _bad(name, "Bundle.entry", "this is no list", "a list of entries")
    for index, entry in enumerate(entries):
        place = f"Bundle.entry[{index}]"
        if not isinstance(entry, dict):
            raise _bad(name, place, "this is no entry", "an object with a resource")
        if "resource" not in entry:
            continue
        resource = entry["resource"]
        if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
            raise _bad(name, f"{place}.resource", "this is no FHIR resource", "an object with resourceType")
        yield place, entry


def _identity_of(name: str, place: str, entry: Resource) -> str:
    resource = entry["resource"]
    if isinstance(resource.get("id"), str) and resource["id"]:
        return reference_of(resource)
    if isinstance(entry.get("fullUrl"), str) and entry["fullUrl"]:
        return str(entry["fullUrl"])
    raise _bad(name, f"{place}.resource", f"this {resource['resourceType']} has neither id nor fullUrl", "an id")


def _bad(name: str, path: str, message: str, expected: str) -> BadRequest:
    place = f"{name}: {path}" if path else name
    return BadRequest(f"{place}: {message}", [Issue("error", "structure", place, message, expected)])


def _bundle(live: _Version, plan: Refs, said: _Version) -> Resource:
    """Ours as it came in, with the merged resources in their places and new ones behind them."""
    place = {id(entry["resource"]): reference for reference, entry in live.entries.items()}
    kept = [
        entry | {"resource": plan[place[id(entry["resource"])]]} if "resource" in entry else entry
        for entry in live.bundle.get("entry", [])
    ]
    added = [said.entries[ref] | {"resource": one} for ref, one in plan.items() if ref not in live.entries]
    total = {"total": live.bundle["total"] + len(added)} if "total" in live.bundle else {}
    entries = {"entry": [*kept, *added]} if kept or added else {}
    return live.bundle | total | entries


def _told(bundle: Resource, conflicts: list[Any], tombstones: list[Any], quarantined: list[Any]) -> MergedFiles:
    found = {"plan": bundle, "conflicts": conflicts, "tombstones": tombstones, "quarantined": quarantined}
    return MergedFiles(indented(dump_json(found)) + b"\n", not conflicts and not quarantined)


def _conflict(one: Conflict) -> dict[str, Any]:
    return {
        "reference": one.reference,
        "path": one.path,
        "kind": one.kind,
        "base": one.base,
        "live": one.live,
        "other": one.other,
        "owner": one.owner,
        "liveFrom": one.live_party,
        "otherFrom": one.other_party,
    }


def _tombstone(one: Tombstone) -> dict[str, Any]:
    at = one.at.isoformat(timespec="seconds").replace("+00:00", "Z")
    return {"reference": one.reference, "path": one.path, "removed": one.removed, "by": one.by, "at": at}


def _quarantined(one: Conflict) -> dict[str, Any]:
    """Nothing of ours is in it: who wrote it may not see that."""
    reason = (
        "it carries a modifierExtension that the plan does not have"
        if one.path
        else "base does not show it, so its author has not seen what it changes"
    )
    return {
        "reference": one.reference,
        "path": one.path,
        "other": one.other,
        "otherFrom": one.other_party,
        "reason": reason,
    }
