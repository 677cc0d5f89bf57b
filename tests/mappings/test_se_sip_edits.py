"""What others change in FHIR comes back in the SIP's own words, and nothing else in the record moves."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import uuid4

import pytest

from fhir_adapter.fhir.resources import CODES, Resource, reference_of
from fhir_adapter.mapping.engine import Mapping, copied
from fhir_adapter.plan.steps import normalise

Record = dict[str, Any]
Plan = list[Resource]
REGION_BORN = "0b1f6a52-7b8f-4f6e-9a54-8f1d2c3b4a59"


@pytest.fixture
def plan(se_sip: Mapping, elin: Record, place: dict[str, Any]) -> Plan:
    return se_sip.get(elin, **place).resources


def of_type(plan: Plan, kind: str) -> list[Resource]:
    return [resource for resource in plan if resource["resourceType"] == kind]


def goal(plan: Plan, text: str) -> Resource:
    return next(one for one in of_type(plan, "Goal") if text in one["description"]["text"])


def request(plan: Plan, text: str) -> Resource:
    return next(one for one in of_type(plan, "ServiceRequest") if text in one["code"]["text"])


def task_of(plan: Plan, text: str) -> Resource:
    focus = reference_of(request(plan, text))
    return next(one for one in of_type(plan, "Task") if one["focus"]["reference"] == focus)


def achieved(plan: Plan) -> None:
    system = "http://terminology.hl7.org/CodeSystem/goal-achievement"
    goal(plan, "vem jag ringer")["achievementStatus"] = {
        "coding": [{"system": system, "code": "achieved", "display": "Achieved"}]
    }


def completed_goal(plan: Plan) -> None:
    goal(plan, "buss till Järna")["lifecycleStatus"] = "completed"


def reworded(plan: Plan) -> None:
    goal(plan, "buss till Järna")["description"]["text"] = "Jag åker buss till Järna två gånger i veckan."


def renamed(plan: Plan) -> None:
    plan[0]["title"] = "Elin – ny titel"


def due_later(plan: Plan) -> None:
    goal(plan, "vem jag ringer")["target"][0]["dueDate"] = "2025-06-30"


def frame_moved(plan: Plan) -> None:
    goal(plan, "bor kvar i min lägenhet och känner")["target"][0]["dueDate"] = "2026-08"


def new_end(plan: Plan) -> None:
    request(plan, "krisplan")["occurrencePeriod"]["end"] = "2025-04-30"


def cancelled_task(plan: Plan) -> None:
    task_of(plan, "Boendestöd")["status"] = "cancelled"


def cancelled_intervention(plan: Plan) -> None:
    cancelled_task(plan)
    request(plan, "Boendestöd")["status"] = "revoked"


def plan_note(plan: Plan) -> None:
    plan[0]["note"] = [{"text": "Ring före besök", "authorString": "Åsa Blixt", "time": "2025-03-01T10:00:00+01:00"}]


def goal_note(plan: Plan) -> None:
    goal(plan, "buss")["note"] = [{"text": "Gick bra"}]


def closed_plan(plan: Plan) -> None:
    plan[0]["status"] = "completed"
    plan[0]["period"] = {"end": "2025-12-01"}


def moved_call(plan: Plan) -> None:
    call = next(one for one in of_type(plan, "Appointment") if one["status"] == "booked")
    call |= {"start": "2025-02-20T09:00:00+01:00", "end": "2025-02-20T10:00:00+01:00"}


def answered(plan: Plan) -> None:
    call = next(one for one in of_type(plan, "Appointment") if one["status"] == "booked")
    next(one for one in call["participant"] if one["actor"].get("display") == "Wasa vårdcentral")["status"] = "accepted"


def new_role(plan: Plan) -> None:
    one = of_type(plan, "CareTeam")[0]["participant"][4]
    one["role"] = [{"text": "arbetsterapeut, samordnar hemmet"}]
    reference = one["member"]["reference"]
    next(other for other in plan if reference_of(other) == reference)["code"] = copied(one["role"])


def consent_withdrawn(plan: Plan) -> None:
    of_type(plan, "Consent")[0]["status"] = "inactive"


def goal_gone(plan: Plan) -> None:
    gone = goal(plan, "buss")
    plan.remove(gone)
    plan[0]["goal"] = [one for one in plan[0]["goal"] if one["reference"] != reference_of(gone)]
    bus = request(plan, "exponering buss")
    bus["extension"] = [one for one in bus["extension"] if "valueReference" not in one]


def new_intervention(plan: Plan) -> None:
    born: Resource = {
        "resourceType": "ServiceRequest",
        "id": REGION_BORN,
        "status": "active",
        "intent": "plan",
        "code": {"text": "Samtal varannan vecka"},
        "subject": plan[0]["subject"],
    }
    plan.append(born)
    plan[0]["activity"].append({"reference": {"reference": reference_of(born)}})
    plan[:] = normalise(plan, plan_ref=reference_of(plan[0]))


EDITS: list[tuple[Callable[[Plan], None], Callable[[Record], None]]] = [
    (achieved, lambda n: n["mal"][1].update(resultat="uppnått")),
    (completed_goal, lambda n: n["mal"][2].update(status="avslutat")),
    (reworded, lambda n: n["mal"][2].update(text="Jag åker buss till Järna två gånger i veckan.")),
    (renamed, lambda n: n.update(title_local="Elin – ny titel")),
    (due_later, lambda n: n["mal"][1].update(senast="2025-06-30")),
    (frame_moved, lambda n: n["mal"][0].update(tidsram="2026-08")),
    (new_end, lambda n: n["insatser"][0].update(klart="2025-04-30")),
    (cancelled_task, lambda n: n["insatser"][1].update(status="avbruten")),
    (cancelled_intervention, lambda n: n["insatser"][1].update(status="avbruten")),
    (
        plan_note,
        lambda n: n.update(
            anteckningar=[{"text": "Ring före besök", "av": "Åsa Blixt", "tid": "2025-03-01T10:00:00+01:00"}]
        ),
    ),
    (goal_note, lambda n: n["mal"][2].update(anteckningar=[{"text": "Gick bra"}])),
    (closed_plan, lambda n: n.update(status="avslutad", avslut={"datum": "2025-12-01"})),
    (moved_call, lambda n: n["kallelse"].update(mote="2025-02-20T09:00:00+01:00")),
    (answered, lambda n: n["kallelse"]["kallade"][2].__setitem__(1, "accepted")),
    (new_role, lambda n: n["deltagare"][4].update(roll="arbetsterapeut, samordnar hemmet")),
    (consent_withdrawn, lambda n: n["samtycke"].update(status="inactive")),
    (goal_gone, lambda n: (n["mal"].pop(2), n["insatser"][1].pop("mal"))[:0]),
    (
        new_intervention,
        lambda n: n["insatser"].append({"id": REGION_BORN, "text": "Samtal varannan vecka", "status": "planerad"}),
    ),
]


@pytest.mark.parametrize(("edit", "expected"), EDITS, ids=lambda value: getattr(value, "__name__", ""))
def test_an_edit_in_fhir_changes_that_field_of_the_record_and_no_other(
    edit: Callable[[Plan], None],
    expected: Callable[[Record], None],
    se_sip: Mapping,
    elin: Record,
    plan: Plan,
    place: dict[str, Any],
) -> None:
    wanted = copied(elin)
    expected(wanted)
    edit(plan)
    assert se_sip.put(plan, elin, **place) == wanted


SAME_PLACE = [edit for edit, _ in EDITS if edit not in (answered, cancelled_task)]
"""Not the answer, which moves to the end of the list; nor the Task alone: the record has one word for it and its
request, so the request is revoked with it."""


@pytest.mark.parametrize("edit", SAME_PLACE, ids=lambda edit: edit.__name__)
def test_the_record_after_an_edit_says_the_same_as_the_edited_fhir(
    edit: Callable[[Plan], None], se_sip: Mapping, elin: Record, plan: Plan, place: dict[str, Any]
) -> None:
    edit(plan)
    again = se_sip.get(se_sip.put(plan, elin, **place), **place).resources
    assert by_reference(again) == by_reference(plan)


def by_reference(plan: Plan) -> dict[str, Any]:
    """Resources by reference; lists whose order says nothing are compared as sets would be."""
    return {reference_of(resource): unordered(resource) for resource in plan}


def unordered(resource: Resource) -> Resource:
    order = {"activity", "goal", "supportingInfo"}
    return {name: sorted(value, key=str) if name in order else value for name, value in resource.items()}


def test_fields_that_the_format_does_not_know_survive_an_edit(
    se_sip: Mapping, elin: Record, place: dict[str, Any]
) -> None:
    elin["eget_falt"] = {"a": [1, 2]}
    elin["mal"][2]["farg"] = "blå"
    mapped = se_sip.get(elin, **place)
    assert {lost.path: lost.kind for lost in mapped.unmapped} == {"eget_falt": "unknown", "mal[2].farg": "unknown"}
    reworded(mapped.resources)
    after = se_sip.put(mapped.resources, elin, **place)
    assert after["eget_falt"] == {"a": [1, 2]}
    assert after["mal"][2]["farg"] == "blå"
    assert "två gånger" in after["mal"][2]["text"]


def test_an_intervention_of_the_region_without_a_task_comes_with_the_status_of_its_request(
    se_sip: Mapping, elin: Record, plan: Plan, place: dict[str, Any]
) -> None:
    for status, coded in (("active", {"text": "Samtal"}), ("completed", {"coding": [{"display": "Samtal"}]})):
        born: Resource = {"resourceType": "ServiceRequest", "id": str(uuid4()), "status": status, "code": coded}
        plan.append(born | {"intent": "order", "subject": plan[0]["subject"]})
        plan[0]["activity"].append({"reference": {"reference": reference_of(born)}})
    added = se_sip.put(plan, elin, **place)["insatser"][4:]
    assert [(one["text"], one["status"]) for one in added] == [("Samtal", "planerad"), ("Samtal", "klar")]


def test_a_note_by_a_reference_is_signed_with_the_name_behind_it(
    se_sip: Mapping, elin: Record, plan: Plan, place: dict[str, Any]
) -> None:
    nurse = next(one for one in of_type(plan, "Practitioner") if one["name"][0]["text"] == "Mehmet Yıldız")
    plan[0]["note"] = [{"text": "Ny dos", "authorReference": {"reference": reference_of(nurse)}}]
    assert se_sip.put(plan, elin, **place)["anteckningar"] == [{"text": "Ny dos", "av": "Mehmet Yıldız"}]


def test_a_member_who_left_is_no_participant_any_more(
    se_sip: Mapping, elin: Record, plan: Plan, place: dict[str, Any]
) -> None:
    of_type(plan, "CareTeam")[0]["participant"][4]["period"] = {"end": "2025-06-01"}
    names = [one["namn"] for one in se_sip.put(plan, elin, **place)["deltagare"]]
    assert names == ["Elin Åkerström", "Gun-Britt Åkerström", "Karin Ödman", "Mehmet Yıldız"]


def test_resources_that_did_not_come_leave_their_part_of_the_record_alone(
    se_sip: Mapping, elin: Record, plan: Plan, place: dict[str, Any]
) -> None:
    for kind in ("Goal", "CareTeam", "Patient", "Task", "Consent", "Organization"):
        some = [one for one in plan if one["resourceType"] != kind]
        assert se_sip.put(some, elin, **place) == elin, kind
    assert se_sip.put(plan[:1], elin, **place) == elin
    assert se_sip.put([], elin, **place) == elin


def test_resources_that_the_mapping_does_not_know_are_passed_over(
    se_sip: Mapping, elin: Record, plan: Plan, place: dict[str, Any]
) -> None:
    conflict = {"system": f"{CODES}/conflict", "code": "resolve-conflict"}
    focus = {"reference": reference_of(goal(plan, "buss"))}
    others: Plan = [
        {"resourceType": "Task", "id": "c1", "status": "requested", "code": {"coding": [conflict]}, "focus": focus},
        {"resourceType": "Task", "id": "c2", "status": "requested", "focus": {"reference": reference_of(plan[0])}},
        {"resourceType": "Provenance", "id": "p1", "target": [{"reference": reference_of(plan[0])}]},
        {"resourceType": "CarePlan", "id": "another", "status": "draft", "title": "En annan plan"},
    ]
    assert se_sip.put(others + plan, elin, **place) == elin


def test_a_plan_born_in_the_region_becomes_a_record(se_sip: Mapping, place: dict[str, Any]) -> None:
    plan: Plan = [
        {"resourceType": "CarePlan", "id": REGION_BORN, "status": "on-hold", "intent": "plan", "title": "SIP",
         "subject": {"reference": "Patient/p"}, "goal": [{"reference": "Goal/g"}, {"reference": "Goal/missing"}],
         "careTeam": [{"reference": "CareTeam/t"}]},
        {"resourceType": "Patient", "id": "p", "name": [{"family": "Berg", "given": ["Åsa", "Maria"]}],
         "identifier": [{"system": "http://electronichealth.se/identifier/personnummer", "value": "196101182803"}]},
        {"resourceType": "Goal", "id": "g", "lifecycleStatus": "planned", "description": {"text": "Promenera"}},
        {"resourceType": "CareTeam", "id": "t", "participant": [
            {"member": {"reference": "Practitioner/d"}, "role": [{"coding": [{"display": "läkare"}]}]}]},
        {"resourceType": "Practitioner", "id": "d", "name": [{"text": "Lena Sjöö"}]},
    ]  # fmt: skip
    record = se_sip.create(plan, **place)
    assert record["id"] == REGION_BORN
    assert record["status"] == "vilande"
    assert record["person"]["personnummer"] == "196101182803"
    assert record["mal"] == [{"id": "g", "text": "Promenera", "status": "planerat"}]
    assert record["deltagare"] == [{"namn": "Lena Sjöö", "roll": "läkare"}]
    assert se_sip.get(record, **place).resources[0]["id"] == REGION_BORN
