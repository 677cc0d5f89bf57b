"""Two records of one person: asked about, joined by hand, parted again; in the plan, the records and at the region."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from fhir_adapter.errors import Conflict, NotFound, Refused
from fhir_adapter.fhir.resources import parse_json
from fhir_adapter.flows import persons, sync
from fhir_adapter.flows.verify import verify
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.store import plans
from tests.flows.conftest import Town

NUMBER = "http://electronichealth.se/identifier/personnummer"
REGION = "region-stockholm"

Refs = dict[str, dict[str, Any]]


def numbers_of(sip: dict[str, Any]) -> tuple[str, str]:
    """The number in the record, and another one for the same person."""
    old = sip["person"]["personnummer"]
    return old, f"{old[:-1]}{(int(old[-1]) + 5) % 10}"


@pytest.fixture
def two_plans(town: Town, sip: dict[str, Any]) -> tuple[str, str]:
    """The plans of Södertälje under the old number and of Nykvarn under the new one, both at the region."""
    first = town.push(sip).json()["plan"]["id"]
    second = town.push(other(sip), party="nykvarn").json()["plan"]["id"]
    settle(town)
    return first, second


def other(sip: dict[str, Any], number: str = "") -> dict[str, Any]:
    """The record of another municipality about a person with this number; left out: the other number."""
    record = copy.deepcopy(sip) | {"id": f"N-{sip['id']}"}
    record["person"]["personnummer"] = number or numbers_of(sip)[1]
    record["person"]["phone"] = "070-000 00 00"
    for member in record["deltagare"]:
        if member.get("orgnr") == "2120000159":
            member |= {"org": "Nykvarns kommun", "orgnr": "2120002999"}
    return record


def settle(town: Town) -> None:
    party = town.service.hub.parties[REGION]
    for _ in range(10):
        turn = sync.cycle(town.service.hub, party)
        assert not turn.parked
        if replace(turn, undecided=0).is_settled and not turn.taken and not turn.delivered:
            assert list(verify(town.service.hub, party)) == []
            return
    raise AssertionError("it does not come to rest")


def person_of(town: Town, plan: str) -> str:
    return str(town.get(f"/fhir/CarePlan/{plan}").json()["subject"]["reference"])


def join(town: Town, first: str, second: str) -> tuple[str, str]:
    old, new = person_of(town, first), person_of(town, second)
    hub = town.service.hub
    persons.join(hub, old, new, hub.parties["sodertalje"], "new number")
    return old, new


def undo(town: Town, old: str, new: str) -> None:
    persons.undo(town.service.hub, old, new, town.service.hub.parties["sodertalje"], "a mistake")


def content(town: Town, plan: str) -> Refs:
    """What the plan consists of, without versions and times; whom it is not about is left out."""
    found = [parse_json(member.body) for member in plans.members(town.service.hub.database.read(), plan)]
    kept = {f"{one['resourceType']}/{one['id']}": one | {"meta": one["meta"].get("security")} for one in found}
    person = kept[f"CarePlan/{plan}"]["subject"]["reference"]
    return {ref: one for ref, one in kept.items() if not ref.startswith("Patient/") or ref == person}


def there(town: Town) -> Refs:
    """What stands at the region under the names of everything that is in a plan."""
    connection, client = town.service.hub.database.read(), FhirClient(town.region)
    names = {(one.type, one.id) for plan in plans.all_ids(connection) for one in plans.members(connection, plan)}
    found = [version.resource for name in sorted(names) if (version := client.read(*name)) and version.resource]
    unmarked = [{name: value for name, value in one.items() if name not in ("meta", "extension")} for one in found]
    return {f"{one['resourceType']}/{one['id']}": one for one in unmarked}


def plans_found(town: Town, number: str) -> set[str]:
    bundle = town.get("/fhir/CarePlan", **{"patient.identifier": f"{NUMBER}|{number}"}).json()
    return {entry["resource"]["id"] for entry in bundle.get("entry", [])}


def test_joined_persons_are_one_to_everybody(town: Town, sip: dict[str, Any], two_plans: tuple[str, str]) -> None:
    (old_number, new_number), (first, second) = numbers_of(sip), two_plans
    goals = {plan: sum(ref.startswith("Goal/") for ref in content(town, plan)) for plan in two_plans}
    old, new = join(town, first, second)
    settle(town)
    assert person_of(town, first) == person_of(town, second) == new
    for found in (content(town, first), content(town, second), there(town)):
        rest = {ref: one for ref, one in found.items() if not ref.startswith("Patient/")}
        assert old not in json.dumps(rest)
    assert {plan: sum(ref.startswith("Goal/") for ref in content(town, plan)) for plan in two_plans} == goals
    for patient in (town.get(f"/fhir/{new}").json(), town.at_region(new)):
        assert [(one["value"], one.get("use")) for one in patient["identifier"]] == [
            (new_number, "official"),
            (old_number, "old"),
        ]
        assert patient["link"] == [{"other": {"reference": old}, "type": "replaces"}]
    for patient in (town.get(f"/fhir/{old}").json(), town.at_region(old)):
        assert patient["link"] == [{"other": {"reference": new}, "type": "replaced-by"}]
        assert patient["active"] is False
    assert plans_found(town, old_number) == plans_found(town, new_number) == {first, second}


def test_it_is_told_who_joined_them_and_why(town: Town, two_plans: tuple[str, str]) -> None:
    old, _ = join(town, *two_plans)
    behind = [one["resource"] for one in town.get("/fhir/Provenance", _count=100).json()["entry"]]
    (about_old,) = [one for one in behind if {"reference": old} in one["target"] and len(one["target"]) < 30]
    assert about_old["agent"][0]["who"]["display"] == "Södertälje kommun"
    audits = json.dumps(town.get("/fhir/AuditEvent", _count=100).json())
    assert "new number" in audits


def test_the_municipality_sees_the_new_number_and_may_go_on_with_the_old_one(
    town: Town, sip: dict[str, Any], two_plans: tuple[str, str]
) -> None:
    first, _ = two_plans
    join(town, *two_plans)
    person = town.record(sip["id"])["person"]
    assert person["personnummer"] == numbers_of(sip)[1]
    assert numbers_of(sip)[0] in json.dumps(person["tidigare_nummer"])
    assert person["phone"] == sip["person"]["phone"], "what the other municipality brought is not shown"
    sip["mal"][2]["text"] = "Jag åker buss varje dag."
    answer = town.push(sip)
    assert (answer.status_code, answer.json()["state"], answer.json()["conflicts"]) == (200, "accepted", [])
    record = town.record(sip["id"])
    record["mal"][2]["text"] = "Jag cyklar."
    answer = town.push(record)
    assert (answer.status_code, answer.json()["state"], answer.json()["conflicts"]) == (200, "accepted", [])
    settle(town)
    assert town.goal_at_region(first, "cyklar")["subject"]["reference"] == person_of(town, first)
    third = copy.deepcopy(sip) | {"id": "S-2"}
    assert person_of(town, town.push(third).json()["plan"]["id"]) == person_of(town, first), (
        "the old number still leads"
    )


def test_what_was_undone_is_as_before_and_keeps_what_was_said_since(
    town: Town, sip: dict[str, Any], two_plans: tuple[str, str]
) -> None:
    first, second = two_plans
    before, at_region = [content(town, plan) for plan in two_plans], there(town)
    old, new = join(town, first, second)
    settle(town)
    undo(town, old, new)
    settle(town)
    assert [content(town, plan) for plan in two_plans] == before
    assert there(town) == at_region
    assert plans_found(town, numbers_of(sip)[0]) == {first}
    persons.join(town.service.hub, old, new, town.service.hub.parties["sodertalje"], "after all")
    settle(town)
    sip["mal"].append({"id": "M9", "typ": "delmål", "overmal": "M1", "text": "Nytt mål"})
    assert town.push(sip).status_code == 200
    settle(town)
    assert town.goal_at_region(first, "Nytt mål")["subject"]["reference"] == new
    undo(town, old, new)
    settle(town)
    assert town.goal_at_region(first, "Nytt mål")["subject"]["reference"] == old
    assert town.record(sip["id"])["person"]["personnummer"] == numbers_of(sip)[0]
    assert town.push(sip).json()["state"] == "unchanged"


def test_a_party_that_never_had_the_other_person_hears_no_more_of_it_once_it_was_undone(
    town: Town, sip: dict[str, Any]
) -> None:
    first, second = town.push(sip).json()["plan"]["id"], town.push(_unshared(sip), party="nykvarn").json()["plan"]["id"]
    settle(town)
    new = person_of(town, second)
    assert new not in there(town)
    old, _ = join(town, first, second)
    settle(town)
    assert there(town)[new]["telecom"][0]["value"] == "070-000 00 00"
    undo(town, old, new)
    settle(town)
    assert "link" not in there(town)[new]
    record = _unshared(sip)
    record["person"]["phone"] = "070-111 11 11"
    town.push(record, party="nykvarn")
    sip["mal"][2]["text"] = "Jag åker buss varje dag."
    town.push(sip)
    settle(town)
    assert "111 11 11" not in json.dumps(there(town))


def test_who_was_known_at_the_region_before_us_goes_by_that_name_after_a_joining_and_after_its_undoing(
    town: Town, sip: dict[str, Any]
) -> None:
    theirs = f"Patient/q{sip['person']['personnummer']}"
    number = {"system": NUMBER, "value": sip["person"]["personnummer"]}
    town.put_at_region({"resourceType": "Patient", "id": theirs.partition("/")[2], "identifier": [number]})
    first, second = town.push(sip).json()["plan"]["id"], town.push(_unshared(sip), party="nykvarn").json()["plan"]["id"]
    settle(town)
    new = person_of(town, second)
    assert town.at_region(f"CarePlan/{first}")["subject"]["reference"] == theirs
    before = there(town)
    old, _ = join(town, first, second)
    settle(town)
    assert there(town) == before, "there it is the same person as ever, and nobody is made twice"
    sip["mal"].append({"id": "M9", "typ": "delmål", "overmal": "M1", "text": "Nytt mål"})
    town.push(sip)
    settle(town)
    assert town.goal_at_region(first, "Nytt mål")["subject"]["reference"] == theirs
    goal = town.goal_at_region(first, "buss")
    town.put_at_region(goal | {"note": [{"time": "2025-03-01T10:00:00Z", "text": "regionen"}]})
    settle(town)
    assert [one["subject"]["reference"] for ref, one in content(town, first).items() if ref.startswith("Goal/")] == [
        new
    ] * 5
    undo(town, old, new)
    settle(town)
    assert town.goal_at_region(first, "Nytt mål")["subject"]["reference"] == theirs
    assert not {old, new} & there(town).keys()


def _unshared(sip: dict[str, Any]) -> dict[str, Any]:
    """A record in which the region takes no part."""
    record = other(sip)
    record["deltagare"] = record["deltagare"][:3]
    record["insatser"] = [
        one | {"huvudman": "kommun", "ansvarig": "Karin Ödman"} for one in record["insatser"] if one["id"] == "I2"
    ]
    record["kallelse"] = None
    record["fast_vardkontakt"] = None
    return record


def test_what_a_consent_refuses_in_one_plan_is_refused_in_the_other(
    town: Town, sip: dict[str, Any], two_plans: tuple[str, str]
) -> None:
    """E14: the stricter consent counts, until it is undone."""
    first, second = two_plans
    withdrawn = other(sip)
    withdrawn["samtycke"] |= {"status": "inactive"}
    town.push(withdrawn, party="nykvarn")
    old, new = join(town, first, second)
    sip["mal"][2]["text"] = "Jag åker buss varje dag."
    receipt = town.push(sip).json()
    (shared,) = [one for one in receipt["shared"] if one["party"] == REGION]
    assert shared["permit"] is False
    assert "of another plan of this person" in shared["reasons"][0]
    town.sync()
    assert "varje dag" not in json.dumps(there(town), ensure_ascii=False)
    undo(town, old, new)
    settle(town)
    assert "varje dag" in json.dumps(there(town), ensure_ascii=False)


def test_a_consent_that_is_withdrawn_in_one_record_of_a_file_counts_for_the_next_one(
    town: Town, sip: dict[str, Any]
) -> None:
    """Both share a commit: what is decided goes by what stands in it, not by what was there before."""
    beside = other(sip)
    first, second = (town.push(record).json()["plan"]["id"] for record in (sip, beside))
    settle(town)
    join(town, first, second)
    beside["samtycke"] |= {"status": "inactive"}
    sip["mal"][2]["text"] = "Jag åker buss varje dag."
    file = "\n".join(json.dumps(record, ensure_ascii=False) for record in (beside, sip))
    answer = town.push(file.encode(), **{"Content-Type": "application/x-ndjson"}).json()
    (shared,) = [one for one in answer["receipts"][1]["shared"] if one["party"] == REGION]
    assert shared["permit"] is False


def test_a_consent_that_is_given_again_in_one_plan_lets_the_other_go_on(
    town: Town, sip: dict[str, Any], two_plans: tuple[str, str]
) -> None:
    first, second = two_plans
    withdrawn = other(sip)
    withdrawn["samtycke"] |= {"status": "inactive"}
    town.push(withdrawn, party="nykvarn")
    join(town, first, second)
    sip["mal"][2]["text"] = "Jag åker buss varje dag."
    town.push(sip)
    town.sync()
    town.push(other(sip), party="nykvarn")
    settle(town)
    assert town.goal_at_region(first, "varje dag")


def test_a_protected_identity_is_neither_joined_nor_asked_about(town: Town, sip: dict[str, Any]) -> None:
    """E2: old and new number of a protected identity are never linked, not even by a question."""
    hidden = copy.deepcopy(sip)
    hidden["person"] |= {"personnummer": numbers_of(sip)[1], "skyddade_personuppgifter": "sekretessmarkering"}
    town.push(sip)
    answer = town.push(hidden)
    assert answer.status_code == 422
    assert persons.listed(town.service.hub, also_decided=True) == []
    second = town.push(hidden | {"id": "S-2"}).json()["plan"]["id"]
    first = town.push(sip).json()["plan"]["id"]
    old, new = person_of(town, first), person_of(town, second)
    for pair in ((old, new), (new, old)):
        with pytest.raises(Refused, match="protected"):
            persons.join(town.service.hub, *pair, town.service.hub.parties["sodertalje"], "new number")
    assert town.get("/fhir/Task", code="one-person").json()["total"] == 0


def test_a_record_that_comes_with_another_number_is_asked_about_and_taken_once_they_are_joined(
    town: Town, sip: dict[str, Any]
) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    settle(town)
    sip["person"]["personnummer"] = numbers_of(sip)[1]
    sip["mal"][2]["text"] = "Jag åker buss varje dag."
    answer = town.push(sip)
    assert answer.status_code == 422
    assert answer.json()["issues"][0]["path"] == "person"
    (asked,) = persons.listed(town.service.hub)
    assert (asked.pair.why, asked.pair.old, asked.plans_of_old) == ("another-number", person_of(town, plan), (plan,))
    assert town.get(f"/fhir/{asked.pair.new}").status_code == 404, "what was refused is not here"
    assert town.get("/fhir/Task", code="one-person", status="requested").json()["total"] == 1
    persons.join(town.service.hub, asked.pair.old, asked.pair.new, town.service.hub.parties["sodertalje"], "new number")
    assert persons.listed(town.service.hub) == []
    assert town.get("/fhir/Task", code="one-person", status="requested").json()["total"] == 0
    assert town.push(sip).json()["state"] == "accepted"
    settle(town)
    assert person_of(town, plan) == asked.pair.new
    assert town.goal_at_region(plan, "varje dag")["subject"]["reference"] == asked.pair.new
    assert town.record(sip["id"])["person"]["tidigare_nummer"]
    undo(town, asked.pair.old, asked.pair.new)
    settle(town)
    assert town.goal_at_region(plan, "varje dag")["subject"]["reference"] == asked.pair.old
    assert "link" not in there(town)[asked.pair.new]
    assert town.push(sip).status_code == 422
    assert persons.listed(town.service.hub) == [], "it was decided"


def test_the_record_that_came_last_can_be_the_one_that_is_given_up(town: Town, sip: dict[str, Any]) -> None:
    """A mistyped number: the one that was there first remains, and the other one leads to it."""
    plan = town.push(sip).json()["plan"]["id"]
    right, sip["person"]["personnummer"] = sip["person"]["personnummer"], numbers_of(sip)[1]
    town.push(sip)
    (asked,) = persons.listed(town.service.hub)
    persons.join(town.service.hub, asked.pair.new, asked.pair.old, town.service.hub.parties["sodertalje"], "mistyped")
    assert persons.listed(town.service.hub) == []
    assert person_of(town, plan) == asked.pair.old
    third = town.push(sip | {"id": "S-3"}).json()["plan"]["id"]
    assert person_of(town, third) == asked.pair.old
    sip["person"]["personnummer"] = right
    assert town.push(sip).json()["state"] == "unchanged"
    settle(town)


def test_one_number_and_two_birth_dates_stay_two_persons_until_somebody_has_looked(
    town: Town, sip: dict[str, Any]
) -> None:
    """E15; the second municipality is not told: it may not learn that another holds a plan (decision 7)."""
    first = town.push(sip).json()["plan"]["id"]
    settle(town)
    record = other(sip, numbers_of(sip)[0])
    record["person"] |= {"birthDate": "1991-02-03", "name": "Karl Berg"}
    answer = town.push(record, party="nykvarn")
    second = answer.json()["plan"]["id"]
    assert answer.status_code == 201
    assert "birth" not in json.dumps(answer.json()["issues"])
    one, another = person_of(town, first), person_of(town, second)
    assert one != another
    assert [town.get(f"/fhir/{ref}").json()["birthDate"] for ref in (one, another)] == ["1985-07-14", "1991-02-03"]
    assert town.get("/fhir/Task", code="one-person", status="requested").json()["total"] == 1
    (asked,) = persons.listed(town.service.hub)
    assert (asked.pair.why, asked.are_born_apart) == ("two-birth-dates", True)
    record["mal"][0]["text"] = "Ett annat mål."
    assert town.push(record, party="nykvarn").json()["state"] == "accepted", "it goes on as the same person"
    assert sync.cycle(town.service.hub, town.service.hub.parties[REGION]).waiting == 1
    assert second not in json.dumps(there(town)), "not under a person with another birth date there"
    persons.join(town.service.hub, another, one, town.service.hub.parties["nykvarn"], "the birth date was wrong")
    town.service.hub.database.write(lambda connection: connection.execute("UPDATE outbox SET due = 0"))
    settle(town)
    assert there(town)[f"CarePlan/{second}"]["subject"]["reference"] == one


def test_persons_who_have_a_number_in_common_are_listed_until_it_is_said_that_they_are_two(
    town: Town, sip: dict[str, Any]
) -> None:
    town.push(sip)
    record = other(sip)
    record["person"]["tidigare_nummer"] = [numbers_of(sip)[0]]
    answer = town.push(record, party="nykvarn")
    assert answer.status_code == 201, answer.text
    (asked,) = persons.listed(town.service.hub)
    assert asked.pair.why == "one-number"
    hub = town.service.hub
    persons.keep_apart(hub, asked.pair.old, asked.pair.new, hub.parties["nykvarn"], "they are sisters")
    assert persons.listed(hub) == []
    assert [one.pair.state for one in persons.listed(hub, also_decided=True)] == ["apart"]


def test_what_cannot_be_joined_is_refused(town: Town, two_plans: tuple[str, str]) -> None:
    hub, party = town.service.hub, town.service.hub.parties["sodertalje"]
    old, new = join(town, *two_plans)
    deeds: list[tuple[Callable[..., None], str, str, type[Exception]]] = [
        (persons.join, "Patient/nobody", new, NotFound),
        (persons.join, old, new, Conflict),
        (persons.join, new, old, Conflict),
        (persons.join, new, new, Refused),
        (persons.keep_apart, old, new, Conflict),
        (persons.undo, new, old, NotFound),
    ]
    for deed, one, another, fault in deeds:
        with pytest.raises(fault):
            deed(hub, one, another, party, "because")
