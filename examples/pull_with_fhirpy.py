"""Pull a person's shared plan with fhirpy: plan, team, goals and activities in one request.

    python examples/pull_with_fhirpy.py [BASE_URL] [SYSTEM|VALUE]

Without arguments: the person of the sample SIP-1, from a server started by `fhir-adapter serve --demo`.
"""

from __future__ import annotations

import sys

from fhirpy import SyncFHIRClient
from fhirpy.base.searchset import Raw

BASE_URL = "http://127.0.0.1:8080/fhir"
PERSON = "http://electronichealth.se/identifier/personnummer|198507142381"


def main(base_url: str = BASE_URL, person: str = PERSON) -> None:
    client = SyncFHIRClient(base_url)
    bundle = (
        client.resources("CarePlan")
        .search(Raw(**{"patient.identifier": person}))
        .include("CarePlan", "care-team")
        .include("CarePlan", "goal")
        .include("CarePlan", "activity-reference")
        .include("CarePlan", "subject")
        .include("CareTeam", "participant", iterate=True)
        .revinclude("Task", "focus", iterate=True)
        .fetch_raw()
    )
    found = [entry["resource"] for entry in bundle.get("entry", [])]
    if not found:
        sys.exit("there is no shared plan for this person")
    by_reference = {f"{resource['resourceType']}/{resource['id']}": resource for resource in found}
    tasks = {task["focus"]["reference"]: task for task in found if task["resourceType"] == "Task"}
    for plan in (resource for resource in found if resource["resourceType"] == "CarePlan"):
        print(f"Plan {plan['id']}: {plan['status']}")
        for reference in plan.get("careTeam", []):
            for member in by_reference[reference["reference"]].get("participant", []):
                print(f"  team: {name_of(member['member'], by_reference)}")
        for reference in plan.get("goal", []):
            goal = by_reference[reference["reference"]]
            print(f"  goal: {goal['description']['text']} ({goal['lifecycleStatus']})")
        for activity in plan.get("activity", []):
            reference = activity["reference"]["reference"]
            if reference in by_reference:
                status = tasks.get(reference, by_reference[reference])["status"]
                print(f"  activity: {words_of(by_reference[reference])} ({status})")


def name_of(member: dict, by_reference: dict) -> str:
    """What a member is called: the words beside the reference, or what it points at."""
    if "display" in member:
        return member["display"]
    return words_of(by_reference.get(member.get("reference", ""), {}))


def words_of(resource: dict) -> str:
    """The name, code, description or time of a resource."""
    name = resource.get("name", "")
    if isinstance(name, list):
        first = name[0]
        return first.get("text") or " ".join([*first.get("given", []), first.get("family", "")])
    words = resource.get("code", {}) if isinstance(resource.get("code"), dict) else {}
    return name or words.get("text") or resource.get("description") or resource.get("start", "unknown")


if __name__ == "__main__":
    main(*sys.argv[1:3])
