"""What others change in FHIR comes back in the Danish records' own words, and nothing else in them moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest

from fhir_adapter.fhir.resources import Resource, parse_json, reference_of
from fhir_adapter.flows.convert import NAMESPACE, source_of
from fhir_adapter.mapping.engine import copied
from fhir_adapter.mapping.load import FOLDER, find
from fhir_adapter.plan.steps import normalise

Record = dict[str, Any]
Plan = list[Resource]
BORN = str(UUID(int=5))
FFB = "urn:oid:1.2.208.176.2.22"


def record_of(mapping: str, name: str) -> Record:
    found: Record = parse_json((FOLDER / mapping / "samples" / f"{name}.json").read_bytes())
    return found


def place(mapping: str) -> dict[str, Any]:
    return {"source": source_of(mapping), "namespace": NAMESPACE}


def of_type(plan: Plan, kind: str) -> list[Resource]:
    return [resource for resource in plan if resource["resourceType"] == kind]


def goal(plan: Plan, words: str) -> Resource:
    return next(one for one in of_type(plan, "Goal") if words in one["description"]["text"])


def request(plan: Plan, words: str) -> Resource:
    return next(one for one in of_type(plan, "ServiceRequest") if words in one["code"].get("text", ""))


def level_raised(plan: Plan) -> None:
    target = next(one for one in goal(plan, "går galt")["target"] if "niveau" in one["measure"]["coding"][0]["display"])
    target["detailCodeableConcept"] = {"coding": [{"system": FFB, "code": "b508ff66-6326-4862-a6d7-7bbf184c9823"}]}


def level_raised_in_the_old_spelling(plan: Plan) -> None:
    level_raised(plan)
    system = "http://kl.dk/fhir/common/caresocial/CodeSystem/FFB"
    for target in goal(plan, "går galt")["target"]:
        target["detailCodeableConcept"]["coding"][0]["system"] = system


def reworded(plan: Plan) -> None:
    goal(plan, "går galt")["description"]["text"] = "Jeg ringer i tide"


def reached(plan: Plan) -> None:
    coding = {"system": "http://terminology.hl7.org/CodeSystem/goal-achievement", "code": "achieved"}
    goal(plan, "køleskabet")["achievementStatus"] = {"coding": [coding]}


def service_ended(plan: Plan) -> None:
    ended = request(plan, "psykisk trivsel")
    ended["status"] = "completed"
    ended["occurrencePeriod"]["end"] = "2025-09-30"
    next(one for one in of_type(plan, "Task") if one["focus"]["reference"] == reference_of(ended))["status"] = (
        "completed"
    )


def service_recoded(plan: Plan) -> None:
    coding = {"system": FFB, "code": "e7c8b42e-b882-4629-8e03-65e44b1aa3e3", "display": "Støtte til behandling"}
    request(plan, "psykisk trivsel")["code"] = {"coding": [coding]}


def follow_up_moved(plan: Plan) -> None:
    meeting = next(one for one in of_type(plan, "Appointment") if one["requestedPeriod"][0]["start"] == "2025-07-14")
    meeting["requestedPeriod"] = [{"start": "2025-08-01"}]


def follow_up_added(plan: Plan) -> None:
    born = {"resourceType": "Appointment", "id": BORN, "status": "proposed"}
    plan.append(born | {"requestedPeriod": [{"start": "2025-10-01"}], "participant": []})
    plan[0]["activity"].append({"reference": {"reference": f"Appointment/{BORN}"}})


def condition_added(plan: Plan) -> None:
    code = {"coding": [{"system": FFB, "code": "83376fdb-f55d-4dd9-944e-b49631a9836f", "display": "Søvn"}]}
    plan.append({"resourceType": "Condition", "id": BORN, "code": code, "subject": plan[0]["subject"]})
    plan[0]["addresses"].append({"reference": f"Condition/{BORN}"})


def service_added(plan: Plan) -> None:
    born = {"resourceType": "ServiceRequest", "id": BORN, "status": "active", "intent": "plan"}
    plan.append(born | {"code": {"text": "Samtaler"}, "subject": plan[0]["subject"]})
    plan[0]["activity"].append({"reference": {"reference": f"ServiceRequest/{BORN}"}})
    plan[:] = normalise(plan, plan_ref=reference_of(plan[0]))


def sign_added(plan: Plan) -> None:
    crisis = next(one for one in of_type(plan, "Observation") if len(one.get("component", ())) > 2)
    crisis["component"].append(copied(crisis["component"][0]) | {"valueString": "taler meget hurtigt"})


def consent_withdrawn(plan: Plan) -> None:
    of_type(plan, "Consent")[0]["status"] = "inactive"


def noted(plan: Plan) -> None:
    plan[0]["note"] = [{"text": "Ring før besøg"}]


COURSE: list[tuple[Callable[[Plan], None], Callable[[Record], Any]]] = [
    (level_raised, lambda n: n["maal"][0].update(niveau="b508ff66-6326-4862-a6d7-7bbf184c9823")),
    (level_raised_in_the_old_spelling, lambda n: n["maal"][0].update(niveau="b508ff66-6326-4862-a6d7-7bbf184c9823")),
    (reworded, lambda n: n["maal"][0].update(text="Jeg ringer i tide")),
    (reached, lambda n: n["maal"][1].update(opnaaet="opnået")),
    (service_ended, lambda n: n["ydelser"][0].update(status="afsluttet", slut="2025-09-30")),
    (service_recoded, lambda n: (n["ydelser"][0].update(code="e7c8b42e-b882-4629-8e03-65e44b1aa3e3"),
                                 n["ydelser"][0].pop("text"))),
    (follow_up_moved, lambda n: n["opfoelgning"].__setitem__(1, {"id": "2025-07-14", "dato": "2025-08-01"})),
    (follow_up_added, lambda n: n["opfoelgning"].append({"id": BORN, "dato": "2025-10-01"})),
    (condition_added, lambda n: n["tilstande"].append({"id": BORN, "code": "83376fdb-f55d-4dd9-944e-b49631a9836f"})),
    (service_added, lambda n: n["ydelser"].append({"id": BORN, "text": "Samtaler"})),
    (sign_added, lambda n: n["kriseplan"]["advarselstegn"].append("taler meget hurtigt")),
    (consent_withdrawn, lambda n: n["samtykke"].update(status="inactive")),
    (noted, lambda n: n.update(note=[{"text": "Ring før besøg"}])),
]  # fmt: skip


@pytest.mark.parametrize(("edit", "expected"), COURSE, ids=lambda value: getattr(value, "__name__", ""))
def test_an_edit_in_fhir_changes_that_field_of_the_course_and_no_other(
    edit: Callable[[Plan], None], expected: Callable[[Record], Any]
) -> None:
    mapping, record = find("dk-integrerede-forloeb"), record_of("dk-integrerede-forloeb", "DK-FAA")
    plan = mapping.get(record, **place(mapping.name)).resources
    wanted = copied(record)
    expected(wanted)
    edit(plan)
    after = mapping.put(plan, record, **place(mapping.name))
    assert after == wanted
    assert {one["id"] for one in plan} <= {one["id"] for one in mapping.get(after, **place(mapping.name)).resources}


# ---- Borgerens Plan


def scored(plan: Plan) -> None:
    owner = goal(plan, "egen lejlighed")
    score = {"resourceType": "Observation", "id": BORN, "status": "final", "valueInteger": 8}
    code = next(one for one in of_type(plan, "Observation") if one.get("valueInteger"))["code"]
    plan.append(
        score | {"code": code, "focus": [{"reference": reference_of(owner)}], "effectiveDateTime": "2025-09-01"}
    )


def sub_goal_due(plan: Plan) -> None:
    goal(plan, "Søger bolig")["target"][0]["dueDate"] = "2025-07-01"


def sub_goal_added(plan: Plan) -> None:
    above = goal(plan, "egen lejlighed")
    relation = copied(goal(plan, "Søger bolig")["extension"])
    plan.append(
        {"resourceType": "Goal", "id": BORN, "lifecycleStatus": "active", "description": {"text": "Ser to lejligheder"},
         "extension": relation, "subject": plan[0]["subject"]}
    )  # fmt: skip
    plan[0]["goal"].append({"reference": f"Goal/{BORN}"})
    assert reference_of(above) in str(relation)


def party_joined(plan: Plan) -> None:
    of_type(plan, "CareTeam")[0]["participant"].append({"member": {"display": "Natteravnene"}})


def plan_replaced(plan: Plan) -> None:
    plan[0]["replaces"].append({"display": "Ungeplan 2022"})


def consent_taken_away(plan: Plan) -> None:
    plan.remove(of_type(plan, "Consent")[0])
    plan[0]["supportingInfo"] = [one for one in plan[0]["supportingInfo"] if "Consent/" not in one["reference"]]


CITIZEN: list[tuple[Callable[[Plan], None], Callable[[Record], Any]]] = [
    (scored, lambda n: n["maal"][0]["fremdrift"].append({"id": BORN, "dato": "2025-09-01", "score": 8})),
    (sub_goal_due, lambda n: n["maal"][0]["delmaal"][0].update(frist="2025-07-01")),
    (sub_goal_added, lambda n: n["maal"][0]["delmaal"].append({"id": BORN, "text": "Ser to lejligheder"})),
    (party_joined, lambda n: n["parter"].append({"betegnelse": "Natteravnene"})),
    (plan_replaced, lambda n: n["erstatter"].append({"text": "Ungeplan 2022"})),
]


@pytest.mark.parametrize(("edit", "expected"), CITIZEN, ids=lambda value: getattr(value, "__name__", ""))
def test_an_edit_in_fhir_changes_that_field_of_the_citizens_plan_and_no_other(
    edit: Callable[[Plan], None], expected: Callable[[Record], Any]
) -> None:
    mapping, record = find("dk-borgerens-plan"), record_of("dk-borgerens-plan", "BP-1")
    plan = mapping.get(record, **place(mapping.name)).resources
    wanted = copied(record)
    expected(wanted)
    edit(plan)
    assert mapping.put(plan, record, **place(mapping.name)) == wanted


@pytest.mark.parametrize("unknown", [{}, {"journalnr": "17"}], ids=["alone", "beside-unknown-fields"])
def test_a_consent_taken_away_in_fhir_is_no_more(unknown: Record) -> None:
    mapping, record = find("dk-borgerens-plan"), record_of("dk-borgerens-plan", "BP-2")
    record["samtykke"] |= unknown
    plan = mapping.get(record, **place(mapping.name)).resources
    consent_taken_away(plan)
    after = mapping.put(plan, record, **place(mapping.name))
    assert after.get("samtykke", {}) == unknown
    assert of_type(mapping.get(after, **place(mapping.name)).resources, "Consent") == []


def test_a_parents_consent_taken_away_is_one_that_the_record_does_not_have() -> None:
    mapping, record = find("dk-integrerede-forloeb"), record_of("dk-integrerede-forloeb", "DK-KOL")
    plan = mapping.get(record, **place(mapping.name)).resources
    gone = next(one for one in of_type(plan, "Consent") if "performer" in one and "foraelder" in str(one["category"]))
    plan.remove(gone)
    plan[0]["supportingInfo"].remove({"reference": reference_of(gone)})
    after = mapping.put(plan, record, **place(mapping.name))
    assert reference_of(gone) not in map(reference_of, mapping.get(after, **place(mapping.name)).resources)


@pytest.mark.parametrize(
    "party", [{"rolle": "borger", "navn": "Kim Prøve"}, {"betegnelse": "Kim Prøve"}, {"rolle": "udfører"}], ids=str
)
def test_a_party_comes_back_from_fhir_alone_as_it_was_sent(party: Record) -> None:
    mapping, record = find("dk-borgerens-plan"), record_of("dk-borgerens-plan", "BP-1")
    record["person"]["name"], record["parter"] = "Kim Prøve", [party, {"rolle": "myndighed"}]
    made = mapping.create(mapping.get(record, **place(mapping.name)).resources, **place(mapping.name))
    assert [
        {name: one[name] for name in one if name != "id"} for one in mapping.shorthand.expanded(made)["parter"]
    ] == record["parter"]


def test_goals_of_the_citizens_plan_are_nobodys_alone() -> None:
    owners = find("dk-borgerens-plan").owners
    assert owners["Goal.description"] == owners["Goal.target"] == owners["Goal.lifecycleStatus"] == "shared"
    assert owners["Goal.achievementStatus"] == "measurer"


@pytest.mark.parametrize("name", ["dk-integrerede-forloeb", "dk-borgerens-plan"])
def test_a_replacement_number_is_temporary_and_a_case_number_says_whose_it_is(name: str) -> None:
    record = record_of(name, "full")
    record["person"]["kommune"] = "0741"  # a municipality that the organisations file does not know
    plan = find(name).get(record, **place(name)).resources
    number = next(one for one in of_type(plan, "CarePlan")[0]["extension"] if one["url"].endswith("CaseNumber"))
    assert number["extension"][0]["valueIdentifier"]["assigner"] == {"display": "Samsø"}
    uses = {one["system"]: one["use"] for one in of_type(plan, "Patient")[0]["identifier"] if one["use"] != "old"}
    assert uses == {
        "urn:oid:1.2.208.176.1.2": "official",
        "urn:oid:1.2.208.176.1.6.1.1": "temp",
        f"urn:oid:{record['person']['d_ecpr_udsteder']}": "temp",
    }


def test_a_unit_is_that_unit_wherever_it_is_named() -> None:
    record = {
        "id": "DK-1",
        "submodel": "Kolding (0621) + Region Syddanmark (DK-83)",
        "person": {"name": "Anna", "cpr": "3103979995"},
        "ydelser": [
            {"id": str(number), "part": "region", "text": "Samtaler", "udfoerer": "Region Midtjylland, BUP Randers"}
            for number in range(2)
        ],
    }
    plan = find("dk-integrerede-forloeb").get(record, **place("dk-integrerede-forloeb")).resources
    unit = next(one for one in of_type(plan, "Organization") if one["name"] == "BUP Randers")
    performers = [each["performer"][0]["reference"] for each in of_type(plan, "ServiceRequest")]
    assert performers == [reference_of(unit)] * 2


def test_a_party_whose_place_another_one_has_as_its_id_is_made_with_an_id_too() -> None:
    mapping = find("dk-borgerens-plan")
    where = place("dk-borgerens-plan")
    record = {"id": "BP-2", "person": {"cpr": "3103979995"}, "parter": [{"betegnelse": "a", "navn": "Mette"}, {}, {}]}
    said = mapping.get(record, **where).resources
    made = mapping.create(said, **where)
    assert made["parter"] == ["a", {"id": "#1"}, {"id": "#2"}]
    assert by_reference(mapping.get(made, **where).resources).keys() == by_reference(said).keys()


def by_reference(resources: list[Resource]) -> dict[str, Resource]:
    return {reference_of(one): one for one in resources}
