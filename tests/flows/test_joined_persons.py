"""A region joins two patients, and takes it back: the plan goes on with the one that remains there."""

from __future__ import annotations

from typing import Any

from fhir_adapter.flows import sync
from fhir_adapter.remotes.client import FhirClient
from tests.flows.conftest import Town


def test_the_plan_follows_a_person_whom_the_region_joined_and_comes_back_when_it_is_undone(
    town: Town, sip: dict[str, Any]
) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    ours = town.at_region(f"CarePlan/{plan}")["subject"]["reference"].partition("/")[2]
    before = town.get(f"/fhir/Patient/{ours}").json()
    join(town, plan, ours, "4711")
    settle(town)
    assert town.get(f"/fhir/Patient/{ours}").json() == before, "nobody is joined here"
    assert town.get(f"/fhir/CarePlan/{plan}").json()["subject"]["reference"] == f"Patient/{ours}"
    sip["mal"][2]["text"] = "Jag åker buss varje dag."
    sip["insatser"].append({"id": "I9", "mal": ["M1"], "text": "Ny insats", "huvudman": "kommun", "status": "pågående"})
    town.push(sip)
    settle(town)
    assert town.goal_at_region(plan, "varje dag")["subject"]["reference"] == "Patient/4711"
    new = next(each for each in resources_at(town, "ServiceRequest") if each["code"]["text"] == "Ny insats")
    assert new["subject"]["reference"] == "Patient/4711"
    given_up = town.at_region(f"Patient/{ours}")
    assert given_up["active"] is False, "what the region gave up is not written over"
    town.put_at_region({name: value for name, value in given_up.items() if name != "link"} | {"active": True})
    settle(town)
    sip["mal"][2]["text"] = "Jag cyklar."
    town.push(sip)
    settle(town)
    assert town.goal_at_region(plan, "cyklar")["subject"]["reference"] == f"Patient/{ours}"


def join(town: Town, plan: str, source: str, target: str) -> None:
    """What a merge does: the old one says who replaces it, and everything points to the new one."""
    town.put_at_region({"resourceType": "Patient", "id": target, "active": True, "name": [{"text": "Elin Å."}]})
    old = town.at_region(f"Patient/{source}")
    link = {"other": {"reference": f"Patient/{target}"}, "type": "replaced-by"}
    town.put_at_region(old | {"active": False, "link": [link]})
    for type_ in ("CarePlan", "CareTeam", "Goal", "ServiceRequest", "Consent"):
        for each in resources_at(town, type_):
            role = "patient" if type_ == "Consent" else "subject"
            if each.get(role, {}).get("reference") == f"Patient/{source}":
                town.put_at_region(each | {role: {"reference": f"Patient/{target}"}})


def resources_at(town: Town, type_: str) -> list[dict[str, Any]]:
    return list(FhirClient(town.region).search(type_, {}))


def settle(town: Town) -> None:
    party = town.service.hub.parties["region-stockholm"]
    for _ in range(10):
        turn = sync.cycle(town.service.hub, party)
        assert not turn.parked
        if turn.is_settled and not turn.taken and not turn.delivered:
            return
    raise AssertionError("it does not come to rest")
