"""A region joins two patients, and takes it back: the plan goes on with the one that remains there.

What a merge amounts to is done by hand here, at the sandbox; tests/interop has HAPI do it.
"""

from __future__ import annotations

from typing import Any

import pytest

from fhir_adapter.errors import Refused
from fhir_adapter.fhir.resources import references_in, rewrite_references
from fhir_adapter.flows import parked, persons, sync
from fhir_adapter.store import plans
from tests.flows.conftest import Town
from tests.flows.test_persons import content, other, person_of, settle, there


def test_the_plan_follows_a_person_whom_the_region_joined_and_comes_back_when_it_is_undone(
    town: Town, sip: dict[str, Any]
) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    ours = person_of(town, plan)
    before = content(town, plan)
    theirs = a_patient(town, sip)
    pointing = join(town, ours, theirs)
    settle(town)
    assert content(town, plan) == before, "nobody is joined here"
    sip["mal"][2]["text"] = "Jag åker buss varje dag."
    sip["insatser"].append({"id": "I9", "mal": ["M1"], "text": "Ny insats", "huvudman": "kommun", "status": "pågående"})
    town.push(sip)
    settle(town)
    assert town.goal_at_region(plan, "varje dag")["subject"]["reference"] == theirs
    new = next(
        one
        for ref, one in everything(town).items()
        if ref.startswith("ServiceRequest/") and one["code"].get("text") == "Ny insats"
    )
    assert new["subject"]["reference"] == theirs
    assert town.at_region(ours)["active"] is False, "what the region gave up is not written over"
    part(town, ours, theirs, pointing)
    settle(town)
    sip["mal"][2]["text"] = "Jag cyklar."
    town.push(sip)
    settle(town)
    assert town.goal_at_region(plan, "cyklar")["subject"]["reference"] == ours


def test_a_duplicate_that_the_region_joined_into_our_person_stays_the_regions_affair(
    town: Town, sip: dict[str, Any]
) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    settle(town)
    ours = person_of(town, plan)
    theirs = a_patient(town, sip)
    join(town, theirs, ours)
    settle(town)
    assert "link" not in town.get(f"/fhir/{ours}").json()
    kinds = [member.type for member in plans.members(town.service.hub.database.read(), plan)]
    assert kinds.count("Patient") == 1, "no double person"
    sip["person"]["phone"] = "070-222 22 22"
    town.push(sip)
    settle(town)
    there = town.at_region(ours)
    replaces = {"other": {"reference": theirs}, "type": "replaces"}
    assert (there["telecom"][0]["value"], there["link"]) == ("070-222 22 22", [replaces]), "what the region said stays"


def test_two_persons_of_ours_whom_the_region_joined_are_asked_about_and_each_plan_keeps_its_own(
    town: Town, sip: dict[str, Any]
) -> None:
    hub = town.service.hub
    first = town.push(sip).json()["plan"]["id"]
    second = town.push(other(sip), party="nykvarn").json()["plan"]["id"]
    settle(town)
    old, new = (person_of(town, plan) for plan in (first, second))
    before = [content(town, plan) for plan in (first, second)]
    pointing = join(town, old, new)
    settle(town)
    assert [content(town, plan) for plan in (first, second)] == before
    (asked,) = persons.listed(hub)
    assert (asked.pair.old, asked.pair.new, asked.pair.why) == (old, new, "joined-there")
    sip["mal"][2]["text"] = "Jag åker buss varje dag."
    town.push(sip)
    goal = town.goal_at_region(second, "buss")
    town.put_at_region(goal | {"note": [{"time": "2025-03-01T10:00:00Z", "text": "regionen"}]})
    settle(town)
    goal = town.goal_at_region(first, "varje dag")
    assert goal["subject"]["reference"] == new, "there they are one, and our writes say so"
    town.put_at_region(goal | {"note": [{"time": "2025-03-01T10:00:00Z", "text": "regionen"}]})
    settle(town)
    assert person_of(town, first) == old
    assert person_of(town, second) == new
    assert all("regionen" in str(content(town, plan)) for plan in (first, second))
    part(town, old, new, pointing)
    settle(town)
    assert persons.listed(hub) == []
    sip["mal"][2]["text"] = "Jag cyklar."
    town.push(sip)
    settle(town)
    assert town.goal_at_region(first, "cyklar")["subject"]["reference"] == old


def test_what_the_region_joined_can_be_joined_here_too(town: Town, sip: dict[str, Any]) -> None:
    hub = town.service.hub
    first = town.push(sip).json()["plan"]["id"]
    second = town.push(other(sip), party="nykvarn").json()["plan"]["id"]
    settle(town)
    old, new = (person_of(town, plan) for plan in (first, second))
    join(town, old, new)
    settle(town)
    persons.join(hub, old, new, hub.parties["region-stockholm"], "joined in the region's index of patients")
    settle(town)
    assert person_of(town, first) == new
    writes = count_writes(town)
    settle(town)
    assert count_writes(town) == writes
    sip["mal"][2]["text"] = "Jag åker buss varje dag."
    town.push(sip)
    settle(town)
    assert town.goal_at_region(first, "varje dag")["subject"]["reference"] == new
    persons.undo(hub, old, new, hub.parties["region-stockholm"], "a mistake")
    settle(town)
    assert person_of(town, first) == old


def test_a_plan_that_the_region_points_to_another_person_stays_with_its_own(town: Town, sip: dict[str, Any]) -> None:
    hub = town.service.hub
    first = town.push(sip).json()["plan"]["id"]
    second = town.push(other(sip), party="nykvarn").json()["plan"]["id"]
    settle(town)
    old, new = (person_of(town, plan) for plan in (first, second))
    before = content(town, first)
    moved = town.goal_at_region(first, "buss")
    note = [{"time": "2025-03-01T10:00:00Z", "text": "regionen"}]
    town.put_at_region(moved | {"subject": {"reference": new}, "note": note})
    sync.cycle(hub, hub.parties["region-stockholm"])
    assert content(town, first) == before
    (asked,) = persons.listed(hub)
    assert (asked.pair.old, asked.pair.new, asked.pair.why) == (old, new, "moved-there")
    (kept,) = parked.listed(hub)
    persons.join(hub, old, new, hub.parties["region-stockholm"], "they are one")
    parked.apply(hub, kept.id, "they are one")
    settle(town)
    assert "regionen" in str(content(town, first))


def test_a_stranger_to_whom_the_region_points_a_goal_by_mistake_is_shown_to_nobody(
    town: Town, sip: dict[str, Any]
) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    settle(town)
    before, goal = content(town, plan), town.goal_at_region(plan, "buss")
    stranger = a_patient(town, sip)
    town.put_at_region(goal | {"subject": {"reference": stranger}})
    town.sync()
    members = [one.type for one in plans.members(town.service.hub.database.read(), plan)]
    assert members.count("Patient") == 1
    assert "Elin Å." not in town.get("/fhir/Patient").text
    town.put_at_region(town.goal_at_region(plan, "buss") | {"subject": goal["subject"]})
    town.sync()
    assert content(town, plan) == before


def test_what_is_new_and_about_a_stranger_does_not_come_into_the_plan_that_names_it_by_mistake(
    town: Town, sip: dict[str, Any]
) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    settle(town)
    before, stranger = content(town, plan), a_patient(town, sip)
    goal = {"resourceType": "Goal", "id": "g77", "lifecycleStatus": "active", "subject": {"reference": stranger}}
    town.put_at_region(goal | {"description": {"text": "Elin Å. tvättar själv"}})
    there = town.at_region(f"CarePlan/{plan}")
    town.put_at_region(there | {"goal": [*there["goal"], {"reference": "Goal/g77"}]})
    settle(town)
    members = [one.type for one in plans.members(town.service.hub.database.read(), plan)]
    assert members.count("Patient") == 1
    for path in ("/fhir/Patient", "/fhir/Goal", f"/fhir/CarePlan?_id={plan}&_include=CarePlan:goal"):
        assert "Elin Å." not in town.get(path).text
    assert {"reference": "Goal/g77"} in town.at_region(f"CarePlan/{plan}")["goal"], "what was written there stays"
    assert {ref: one for ref, one in content(town, plan).items() if "CarePlan" not in ref} == {
        ref: one for ref, one in before.items() if "CarePlan" not in ref
    }
    (waiting,) = parked.listed(town.service.hub)
    with pytest.raises(Refused, match="another person"):
        parked.apply(town.service.hub, waiting.id)
    goal = town.at_region("Goal/g77")
    town.put_at_region(goal | {"subject": there["subject"], "description": {"text": "Mål på rätt ställe"}})
    settle(town)
    assert "Mål på rätt ställe" in str(content(town, plan))


def count_writes(town: Town) -> int:
    row = town.service.hub.database.read().execute("SELECT count(*) FROM remote_write").fetchone()
    return int(row[0])


def a_patient(town: Town, sip: dict[str, Any]) -> str:
    """Somebody whom the region knows by a name of its own, which is nobody else's."""
    id_ = f"p{sip['person']['personnummer']}"
    town.put_at_region({"resourceType": "Patient", "id": id_, "active": True, "name": [{"text": "Elin Å."}]})
    return f"Patient/{id_}"


def join(town: Town, source: str, target: str) -> list[str]:
    """What a merge does: everything points to the new one, then the old one says who replaces it."""
    pointing = [ref for ref, one in everything(town).items() if pointed_to(one, source) and ref != source]
    for ref in pointing:
        point(town, ref, source, target)
    link = {"other": {"reference": target}, "type": "replaced-by"}
    town.put_at_region(town.at_region(source) | {"active": False, "link": [link]})
    town.put_at_region(town.at_region(target) | {"link": [{"other": {"reference": source}, "type": "replaces"}]})
    return pointing


def part(town: Town, source: str, target: str, pointing: list[str]) -> None:
    """The merge taken back: what pointed to the old one does so again."""
    for ref in pointing:
        point(town, ref, target, source)
    for ref in (source, target):
        whole = town.at_region(ref)
        town.put_at_region({name: value for name, value in whole.items() if name != "link"} | {"active": True})


def point(town: Town, ref: str, old: str, new: str) -> None:
    town.put_at_region(rewrite_references(town.at_region(ref), lambda name: new if name == old else name))


def pointed_to(resource: dict[str, Any], person: str) -> bool:
    return any(pointer["reference"] == person for _, pointer in references_in(resource))


def everything(town: Town) -> dict[str, dict[str, Any]]:
    """What the region has of the plans, but the persons."""
    return {ref: town.at_region(ref) for ref in there(town) if not ref.startswith("Patient/")}
