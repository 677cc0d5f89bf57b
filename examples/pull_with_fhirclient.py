"""Pull a person's shared plan with fhirclient: plan, team, goals and activities in one request.

    python examples/pull_with_fhirclient.py [BASE_URL] [SYSTEM|VALUE]

Without arguments: the person of the sample SIP-1, from a server started by `fhir-adapter serve --demo`.
"""

from __future__ import annotations

import sys

from fhirclient import client
from fhirclient.models.careplan import CarePlan
from fhirclient.models.resource import Resource

BASE_URL = "http://127.0.0.1:8080/fhir"
PERSON = "http://electronichealth.se/identifier/personnummer|198507142381"


def main(base_url: str = BASE_URL, person: str = PERSON) -> None:
    server = client.FHIRClient(settings={"app_id": "pull_with_fhirclient", "api_base": base_url}).server
    search = CarePlan.where(
        {
            "patient.identifier": person,
            "_include": {
                "$and": ["CarePlan:care-team", "CarePlan:goal", "CarePlan:activity-reference", "CarePlan:subject"]
            },
            "_include:iterate": "CareTeam:participant",
            "_revinclude:iterate": "Task:focus",
        }
    )
    found = list(search.perform_resources_iter(server))
    if not found:
        sys.exit("there is no shared plan for this person")
    by_reference = {f"{resource.resource_type}/{resource.id}": resource for resource in found}
    tasks = {resource.focus.reference: resource for resource in found if resource.resource_type == "Task"}
    for plan in (resource for resource in found if resource.resource_type == "CarePlan"):
        print(f"Plan {plan.id}: {plan.status}")
        for reference in plan.careTeam or []:
            for member in by_reference[reference.reference].participant or []:
                print(f"  team: {member.member.display or words_of(by_reference.get(member.member.reference))}")
        for reference in plan.goal or []:
            goal = by_reference[reference.reference]
            print(f"  goal: {goal.description.text} ({goal.lifecycleStatus})")
        for activity in plan.activity or []:
            request = by_reference.get(activity.reference.reference)
            if request:
                status = tasks.get(activity.reference.reference, request).status
                print(f"  activity: {words_of(request)} ({status})")


def words_of(resource: Resource | None) -> str:
    """The name, code, description or time of a resource."""
    name = getattr(resource, "name", None)
    if isinstance(name, list):
        return name[0].text or " ".join([*(name[0].given or []), name[0].family or ""])
    code = getattr(resource, "code", None)
    words = name or getattr(code, "text", None) or getattr(resource, "description", None)
    start = getattr(resource, "start", None)
    return words or (start.origval if start else "unknown")


if __name__ == "__main__":
    main(*sys.argv[1:3])
