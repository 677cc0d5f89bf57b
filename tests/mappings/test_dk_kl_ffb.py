"""KL's FFB plans: what is particular to a record that is a FHIR Bundle itself, beside what every sample shows."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.fhir.resources import CODES, EXTENSIONS, Resource, dump_json, parse_json
from fhir_adapter.flows.convert import Converted, map_file, unmap_file
from fhir_adapter.mapping.load import FOLDER

SAMPLES = FOLDER / "dk-kl-ffb" / "samples"
PEERS = Path(__file__).parents[3] / "shared" / "data" / "fhir" / "dk-kl-fki-core"
FFB = "urn:oid:1.2.208.176.2.22"
OLD_FFB = "http://kl.dk/fhir/common/caresocial/CodeSystem/FFB"
RANK = "http://fhir.kl.dk/core/StructureDefinition/ConditionRank"
OLD_RANK = "http://fhir.kl.dk/term/StructureDefinition/ConditionRank"
SERVICE = "05cd5e81-1a3a-4bdd-901b-7ec96c12d990"

Bundle = dict[str, Any]


def sample(name: str = "FFB-1") -> str:
    return (SAMPLES / f"{name}.json").read_text("utf-8")


def mapped(text: str) -> Converted:
    return map_file("dk-kl-ffb", text.encode())


def back(plan: Bundle, before: str | None = None) -> Bundle:
    converted = unmap_file("dk-kl-ffb", dump_json(plan), before=before.encode() if before else None)
    assert converted.ok
    found: Bundle = parse_json(converted.output)
    return found


def resources(bundle: Bundle, type_: str) -> list[Resource]:
    found = [entry["resource"] for entry in bundle["entry"]]
    return [resource for resource in found if resource["resourceType"] == type_]


def of_type(converted: Converted, type_: str) -> list[Resource]:
    return resources(parse_json(converted.output), type_)


def issue_at(converted: Converted, path: str) -> dict[str, Any]:
    return next(issue for issue in converted.issues if issue["path"] == path)


def test_a_planned_intervention_is_a_request_and_a_task() -> None:
    plan = mapped(sample())
    (care_plan,) = of_type(plan, "CarePlan")
    first, second = of_type(plan, "ServiceRequest")
    assert [one["reference"]["reference"] for one in care_plan["activity"] if "reference" in one] == [
        f"ServiceRequest/{first['id']}",
        f"ServiceRequest/{second['id']}",
    ]
    assert second["code"]["coding"][0]["code"] == SERVICE
    assert {task["focus"]["reference"] for task in of_type(plan, "Task")} == {
        f"ServiceRequest/{first['id']}",
        f"ServiceRequest/{second['id']}",
    }


def test_an_intervention_that_another_party_adds_is_a_care_plan_based_on_the_plan() -> None:
    plan = parse_json(mapped(sample()).output)
    (care_plan,) = resources(plan, "CarePlan")
    request = {
        "resourceType": "ServiceRequest",
        "id": "7c9d2c1e-51f5-4b0e-8d9e-0d6f6f7f0001",
        "status": "active",
        "intent": "plan",
        "subject": care_plan["subject"],
        "authoredOn": "2025-06-01",
        "code": {"coding": [{"system": FFB, "code": SERVICE}]},
    }
    task = {
        "resourceType": "Task",
        "id": "7c9d2c1e-51f5-4b0e-8d9e-0d6f6f7f0002",
        "status": "accepted",
        "intent": "plan",
        "focus": {"reference": f"ServiceRequest/{request['id']}"},
        "basedOn": [{"reference": f"CarePlan/{care_plan['id']}"}],
    }
    care_plan["activity"].append({"reference": {"reference": f"ServiceRequest/{request['id']}"}})
    plan["entry"] += [{"resource": request}, {"resource": task}]
    written = back(plan, sample())
    added = resources(written, "CarePlan")[-1]
    assert added["id"] == request["id"]
    assert added["basedOn"] == [{"reference": "CarePlan/FFB-2025-0117"}]
    assert added["activity"] == [{"detail": {"code": request["code"], "status": "scheduled"}}]
    assert written["entry"][:-1] == parse_json(sample().encode())["entry"]


def test_two_plans_in_one_bundle_are_refused() -> None:
    plan = mapped(sample().replace('"basedOn"', '"replaces"'))
    assert not plan.ok
    assert issue_at(plan, "CarePlan[0].basedOn")["severity"] == "error"


def test_a_plan_of_another_danish_system_becomes_a_bundle_that_is_taken_again() -> None:
    course = (FOLDER / "dk-integrerede-forloeb" / "samples" / "full.fhir.json").read_bytes()
    bundle = back(parse_json(course))
    assert mapped(dump_json(bundle).decode()).ok
    (plan, *interventions) = resources(bundle, "CarePlan")
    assert [one["coding"][0]["code"][:8] for one in plan["category"]] == ["e459386d", "01302bcb"]
    assert {one["basedOn"][0]["reference"] for one in interventions} == {f"CarePlan/{plan['id']}"}
    assert "fhir-adapter.example/fhir/StructureDefinition" not in dump_json(bundle).decode()


def test_a_request_that_came_without_task_is_as_far_as_its_own_status_says() -> None:
    plan = parse_json(mapped(sample()).output)
    plan["entry"] = [one for one in plan["entry"] if one["resource"]["resourceType"] != "Task"]
    interventions = resources(back(plan), "CarePlan")[1:]
    assert [one["activity"][0]["detail"]["status"] for one in interventions] == ["in-progress", "in-progress"]


def test_a_goal_that_changes_changes_alone_and_old_spellings_stay_as_they_were_sent() -> None:
    old = sample().replace(FFB, OLD_FFB).replace(RANK, OLD_RANK)
    plan = parse_json(mapped(old).output)
    assert plan == parse_json(mapped(sample()).output)
    goal = next(one for one in resources(plan, "Goal") if "Holder orden" in one["description"]["text"])
    goal["description"]["text"] = "Holder orden i hele boligen."
    written = back(plan, old)
    assert written == parse_json(old.replace("Holder orden i egen bolig.", "Holder orden i hele boligen.").encode())


def test_a_new_record_is_spelled_the_current_way() -> None:
    old = sample().replace(FFB, OLD_FFB).replace(RANK, OLD_RANK)
    assert back(parse_json(mapped(old).output)) == parse_json(sample().encode())


def test_a_missing_display_is_looked_up_and_is_no_change() -> None:
    bare = re.sub(r',\s*"display": "Angst"', "", sample())
    assert bare != sample()
    assert parse_json(mapped(bare).output) == parse_json(mapped(sample()).output)
    assert back(parse_json(mapped(bare).output), bare) == parse_json(bare.encode())


def test_other_words_than_the_codes_are_told_and_the_code_counts() -> None:
    plan = mapped(sample().replace('"display": "Angst"', '"display": "Depression"'))
    assert plan.ok
    assert issue_at(plan, "Condition[0].code.coding[0].display")["expected"] == "Angst"


def test_an_unknown_code_is_kept_with_a_warning() -> None:
    plan = mapped(sample().replace(SERVICE, "00000000-0000-4000-8000-000000000000"))
    assert plan.ok
    assert issue_at(plan, "CarePlan[1].activity[0].detail.code.coding[0].code")["severity"] == "warning"


NO_CODES = [
    None,
    {"extension": [{"url": f"{EXTENSIONS}/word", "valueCode": "x"}]},
    {"coding": [{"system": f"{CODES}/kind", "code": "x"}]},
    {"coding": [{"extension": [{"url": f"{EXTENSIONS}/word", "valueCode": "x"}]}]},
]


@pytest.mark.parametrize("code", NO_CODES)
def test_a_condition_without_a_code_of_theirs_gets_no_empty_one(code: Resource | None) -> None:
    plan = parse_json(mapped(sample()).output)
    (condition, *_) = resources(plan, "Condition")
    condition.pop("code")
    condition |= {"code": code} if code else {}
    made = unmap_file("dk-kl-ffb", dump_json(plan))
    place = next(index for index, one in enumerate(plan["entry"]) if one["resource"]["id"] == condition["id"])
    left_out = [f"Bundle.entry[{place}].resource.code"] if code else []
    assert [issue["path"] for issue in made.issues] == [*left_out, "Condition[0].code"]
    assert "code" not in resources(parse_json(made.output), "Condition")[0]
    kept = back(plan, before=sample())
    assert resources(kept, "Condition")[0]["code"] == resources(parse_json(sample().encode()), "Condition")[0]["code"]


def test_what_only_our_codes_tell_is_told_in_words_where_a_code_has_to_be() -> None:
    plan = parse_json(mapped(sample()).output)
    (condition, *_) = resources(plan, "Condition")
    condition["code"] = {"coding": [{"system": f"{CODES}/kind", "code": "x", "display": "Krise"}]}
    assert resources(back(plan), "Condition")[0]["code"] == {"text": "Krise"}


def test_a_part_that_holds_more_than_ours_keeps_the_rest() -> None:
    plan = parse_json(mapped(sample()).output)
    (condition, *_) = resources(plan, "Condition")
    ours = {"url": f"{EXTENSIONS}/word", "valueCode": "x"}
    condition["code"] = {"text": "Angst", "extension": [ours], "coding": [{"extension": [ours]}, {"code": "y"}]}
    assert resources(back(plan), "Condition")[0]["code"] == {"text": "Angst", "coding": [{"code": "y"}]}


def test_the_category_of_the_service_is_taken_for_that_of_the_course_and_kept() -> None:
    (care_plan,) = of_type(mapped(sample("FFB-2")), "CarePlan")
    assert care_plan["category"][0]["coding"][0]["code"].startswith("4a297733")


def test_goals_keep_what_they_are_by_category() -> None:
    words = [goal["category"][0]["coding"][0]["display"] for goal in of_type(mapped(sample()), "Goal")]
    assert words == ["Indsatsformål", "FFB indsatsmål", "FFB delmål", "FFB borgers mål og ønsker"]


def test_the_rank_of_a_target_group_is_on_the_plans_reference_to_it() -> None:
    (care_plan,) = of_type(mapped(sample()), "CarePlan")
    conditions = of_type(mapped(sample()), "Condition")
    assert [one["reference"] for one in care_plan["addresses"]] == [f"Condition/{one['id']}" for one in conditions[:2]]
    assert [one["extension"][0]["valuePositiveInt"] for one in care_plan["addresses"]] == [1, 2]


def test_a_guardian_and_a_consent_given_by_one_come_through() -> None:
    plan = mapped(sample("FFB-2"))
    (guardian,), (consent,) = of_type(plan, "RelatedPerson"), of_type(plan, "Consent")
    assert consent["performer"] == [{"reference": f"RelatedPerson/{guardian['id']}"}]


def test_entries_that_refer_to_each_other_by_their_address_are_understood() -> None:
    addressed = sample()
    for number, goal in enumerate(("formaal-1", "indsatsmaal-1", "delmaal-1", "oensker-1")):
        address = f"urn:uuid:00000000-0000-4000-8000-00000000000{number}"
        addressed = addressed.replace(f'"Goal/{goal}"', f'"{address}"')
        addressed = addressed.replace(f'"https://fhir-adapter.example/fhir/Goal/{goal}"', f'"{address}"')
    assert parse_json(mapped(addressed).output) == parse_json(mapped(sample()).output)


def test_the_same_person_as_in_another_danish_record() -> None:
    course = map_file("dk-integrerede-forloeb", (FOLDER / "dk-integrerede-forloeb/samples/full.json").read_bytes())
    (there,) = of_type(course, "Patient")
    number = next(one["value"] for one in there["identifier"] if one["system"] == "urn:oid:1.2.208.176.1.2")
    for system in ("urn:oid:1.2.208.176.1.2", "http://www.cpr.dk/cpr-systemet"):
        same = sample().replace("0107729995", number).replace("urn:oid:1.2.208.176.1.2", system)
        (here,) = of_type(mapped(same), "Patient")
        assert here["id"] == there["id"]


def test_an_organisation_that_another_party_brings_is_an_entry_of_the_bundle() -> None:
    plan = parse_json(mapped(sample()).output)
    other = {"resourceType": "Organization", "id": "7c9d2c1e-51f5-4b0e-8d9e-0d6f6f7f0003", "name": "Region Midtjylland"}
    plan["entry"].append({"resource": other})
    assert other in resources(back(plan, sample()), "Organization")


@pytest.mark.parametrize(
    ("sent", "wrong", "path"),
    [
        ('"value": "0107729995"', '"value": "010772-9995"', "Patient[0].identifier[0].value"),
        ('"created": "2025-03-03"', '"created": "3. marts 2025"', "plan.created"),
        ('"lifecycleStatus": "active"', '"lifecyclestatus": "active"', "Goal[0].lifecycleStatus"),
        ('"status": "in-progress"', '"status": "i gang"', "CarePlan[0].activity[0].detail.status"),
        ('"resourceType": "Patient"', '"resourceType": "Group"', "Patient"),
    ],
)
def test_bad_input_is_refused_at_the_senders_field(sent: str, wrong: str, path: str) -> None:
    assert sent in sample()
    plan = mapped(sample().replace(sent, wrong))
    assert not plan.ok
    assert issue_at(plan, path)["severity"] == "error"


def test_a_person_that_the_bundle_lacks_is_an_error_at_the_plan() -> None:
    bundle = parse_json(sample().encode())
    resources(bundle, "CarePlan")[0]["subject"] = {"reference": "Patient/anden"}
    plan = mapped(json.dumps(bundle))
    assert not plan.ok
    assert issue_at(plan, "plan.subject.reference")


def test_a_reference_that_leads_nowhere_is_kept_as_text_with_a_warning() -> None:
    bundle = parse_json(sample().encode())
    resources(bundle, "Goal")[1]["expressedBy"] = {"reference": "Practitioner/anden"}
    plan = mapped(json.dumps(bundle))
    assert issue_at(plan, "Goal[1].expressedBy.reference")["severity"] == "warning"
    assert of_type(plan, "Goal")[1]["expressedBy"] == {"display": "Practitioner/anden"}
    assert back(parse_json(plan.output), json.dumps(bundle)) == bundle


def peer(name: str) -> Bundle:
    """A public example plan of KL with everything about its person, as one Bundle."""
    plan = json.loads((PEERS / f"CarePlan-{name}.json").read_text("utf-8"))
    others = [json.loads(path.read_text("utf-8")) for path in sorted(PEERS.glob("*.json"))]
    subject = plan["subject"]["reference"]
    about = [
        one
        for one in others
        if f"{one['resourceType']}/{one['id']}" == subject
        or one["resourceType"] in ("Organization", "Practitioner", "CareTeam")
        or (one.get("subject") or one.get("patient") or {}).get("reference") == subject
    ]
    mine = [one for one in about if one["resourceType"] != "CarePlan" or plan["id"] in json.dumps(one.get("basedOn"))]
    return {
        "resourceType": "Bundle",
        "type": "collection",
        "entry": [{"resource": one} for one in (plan, *(one for one in mine if one["resourceType"] != "Provenance"))],
    }


@pytest.mark.parametrize("name", ["FFBIndsats", "NySocialIndsats"])
def test_the_public_examples_go_through_and_back_without_loss(name: str) -> None:
    if not PEERS.is_dir():
        pytest.skip("the public example plans (shared/data/fhir) are not beside this checkout")
    bundle = peer(name)
    sent = json.dumps(bundle)
    plan = mapped(sent)
    assert plan.ok
    assert len(of_type(plan, "Goal")) == 6
    assert back(parse_json(plan.output), sent) == bundle
