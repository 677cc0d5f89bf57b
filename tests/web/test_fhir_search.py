"""Search over HTTP: every kind of parameter, what is refused, links, pages, order and counts."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit

import httpx
import pytest

from tests.web.conftest import Served

PNR = "http://electronichealth.se/identifier/personnummer"


def person(id_: str, family: str, given: str, number: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Patient",
        "id": id_,
        "identifier": [{"system": PNR, "value": number}],
        "name": [{"family": family, "given": [given]}],
        **more,
    }


def goal(id_: str, patient: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Goal",
        "id": id_,
        "lifecycleStatus": "active",
        "description": {"text": "Ett mål"},
        "subject": {"reference": f"Patient/{patient}"},
        **more,
    }


def plan(id_: str, patient: str, **more: Any) -> dict[str, Any]:
    return {
        "resourceType": "CarePlan",
        "id": id_,
        "status": "active",
        "intent": "plan",
        "subject": {"reference": f"Patient/{patient}"},
        **more,
    }


ASSESS = {"system": "http://hl7.org/fhir/us/core/CodeSystem/careplan-category", "code": "assess-plan"}
SIP = {"system": "https://fhir-adapter.example/fhir/CodeSystem/plan-type", "code": "sip", "display": "Samordnad plan"}


YEARS = {"start": "2020", "end": "2021"}
COORDINATOR = {"coding": [{"system": "urn:role", "code": "samordnare"}]}
LIVING = {"coding": [{"system": "urn:g", "code": "bo"}], "text": "Bo kvar"}


@pytest.fixture(scope="module")
def town(serve: Callable[[], Served]) -> Served:
    """Two people, three plans, and what hangs on them."""
    served = serve()
    served.save(
        person("elin", "Åkerström", "Elin", "198507142381", gender="female", birthDate="1985-07-14", active=True),
        person("omar", "Haidari", "Omar", "198901712391", gender="male", birthDate="1989"),
        plan(
            "p1",
            "elin",
            identifier=[{"system": "urn:sodertalje", "value": "SIP-1"}],
            category=[{"coding": [SIP, ASSESS]}],
            period={"start": "2025-02-19", "end": "2026-02-18"},
            careTeam=[{"reference": "CareTeam/t1"}],
            goal=[{"reference": "Goal/g1"}, {"reference": "Goal/g2"}],
            activity=[{"reference": {"reference": "ServiceRequest/s1"}}],
            meta={"tag": [{"system": "urn:t", "code": "demo"}], "profile": ["http://example.org/sip"]},
        ),
        plan("p2", "elin", status="completed", category=[{"coding": [ASSESS]}], period=YEARS),
        plan("p3", "omar", category=[{"text": "Samordnad individuell plan"}], period={"start": "2025-10"}),
        {
            "resourceType": "CareTeam",
            "id": "t1",
            "status": "active",
            "subject": {"reference": "Patient/elin"},
            "participant": [
                {"role": [COORDINATOR], "member": {"reference": "PractitionerRole/r1"}},
                {"member": {"reference": "Patient/elin"}},
                {"member": {"reference": "CareTeam/t1"}},
            ],
        },
        {"resourceType": "PractitionerRole", "id": "r1", "practitioner": {"reference": "Practitioner/karin"}},
        {"resourceType": "Practitioner", "id": "karin", "name": [{"family": "Ödman", "given": ["Karin"]}]},
        goal("g1", "elin", target=[{"dueDate": "2025-03-31"}], startDate="2025-02-19"),
        goal("g2", "elin", lifecycleStatus="completed", description=LIVING),
        goal("g3", "omar", target=[{"dueDate": "2025-05"}, {"dueDate": "2026-01-01"}]),
        {
            "resourceType": "ServiceRequest",
            "id": "s1",
            "status": "active",
            "intent": "plan",
            "subject": {"reference": "Patient/elin"},
            "requester": {"identifier": {"system": "urn:oid:2.5.4.97", "value": "2120000159"}},
        },
        {
            "resourceType": "Task",
            "id": "k1",
            "status": "accepted",
            "intent": "order",
            "code": {"coding": [{"system": "urn:c", "code": "fulfil"}]},
            "focus": {"reference": "ServiceRequest/s1"},
            "basedOn": [{"reference": "CarePlan/p1"}],
            "for": {"reference": "Patient/elin"},
            "owner": {"reference": "http://elsewhere.example/fhir/Organization/9"},
        },
        {
            "resourceType": "Provenance",
            "id": "v1",
            "target": [{"reference": "CarePlan/p1/_history/1"}],
            "recorded": "2025-02-19T12:00:00Z",
            "agent": [{"who": {"display": "x"}}],
        },
        {
            "resourceType": "Observation",
            "id": "o1",
            "status": "final",
            "code": {"text": "resor"},
            "subject": {"reference": "Patient/elin"},
            "valueQuantity": {"value": 3, "unit": "resor", "code": "{trip}", "system": "http://unitsofmeasure.org"},
        },
    )  # fmt: skip
    return served


CASES = {
    # tokens
    "/CarePlan?status=active": "p1 p3",
    "/CarePlan?status=active,completed": "p1 p2 p3",
    "/CarePlan?status=http://hl7.org/fhir/request-status|active": "p1 p3",
    "/CarePlan?status=http://elsewhere|active": "",
    "/CarePlan?status:not=active": "p2",
    "/CarePlan?status=ACTIVE": "",
    "/CarePlan?category=assess-plan": "p1 p2",
    f"/CarePlan?category={ASSESS['system']}|assess-plan": "p1 p2",
    f"/CarePlan?category={ASSESS['system']}|": "p1 p2",
    "/CarePlan?category=|assess-plan": "",
    "/CarePlan?category:not=sip": "p2 p3",
    "/CarePlan?category:not=sip,assess-plan": "p3",
    "/CarePlan?category=sip&category=assess-plan": "p1",
    "/CarePlan?category:text=samordnad": "p1 p3",
    "/CarePlan?category:text=individuell": "",
    "/CarePlan?category:missing=true": "",
    "/CarePlan?_id:missing=true": "",
    "/CarePlan?_id:missing=false": "p1 p2 p3",
    "/CarePlan?_lastUpdated:missing=false&status=active": "p1 p3",
    "/CarePlan?patient._id:missing=true": "",
    "/CarePlan?_count=1000000000": "p1 p2 p3",
    "/CarePlan?identifier:missing=true": "p2 p3",
    "/CarePlan?identifier:missing=false": "p1",
    "/CarePlan?identifier=SIP-1": "p1",
    "/CarePlan?identifier=urn:sodertalje|SIP-1": "p1",
    "/CarePlan?identifier=urn:nykvarn|SIP-1": "",
    "/CarePlan?_tag=urn:t|demo": "p1",
    "/CarePlan?_profile=http://example.org/sip": "p1",
    "/CarePlan?_profile=http://example.org/si": "",
    "/CarePlan?_profile:missing=true": "p2 p3",
    "/Goal?lifecycle-status=completed": "g2",
    "/Goal?description=bo": "g2",
    "/Goal?description:text=ett mål": "g1 g3",
    "/CareTeam?role=samordnare": "t1",
    "/Patient?gender=female": "elin",
    "/Patient?active=true": "elin",
    "/Patient?active:missing=true": "omar",
    "/Patient?deceased=true": "",
    # ids and times
    "/CarePlan?_id=p1": "p1",
    "/CarePlan?_id=p3,p1,nobody": "p1 p3",
    "/CarePlan?_id:not=p1": "p2 p3",
    "/Goal?_id=p1": "",
    "/CarePlan?_lastUpdated=2025-02-19": "p1 p2 p3",
    "/CarePlan?_lastUpdated=gt2025-02-19T12:00:00Z": "",
    "/CarePlan?_lastUpdated=ge2025-02-19T13:00:00%2B01:00": "p1 p2 p3",
    "/CarePlan?_lastUpdated=lt2025-02-19T12:00:00.001Z&status=completed": "p2",
    # dates
    "/CarePlan?date=ge2025-02": "p1 p3",
    "/CarePlan?date=lt2021": "p2",
    "/CarePlan?date=2020,2025": "",
    "/CarePlan?date=ge2026-02": "p1 p3",
    "/CarePlan?date=ge2026-03": "p3",
    "/CarePlan?date=ge2020&date=le2021": "p2",
    "/Goal?target-date=2025-03-31": "g1",
    "/Goal?target-date=2025-05": "g3",
    "/Goal?target-date=ge2025-06": "g3",
    "/Goal?target-date=gt2025-03-31,lt2025-03-31": "g3",
    "/Goal?target-date:missing=true": "g2",
    "/Patient?birthdate=1989": "omar",
    "/Patient?birthdate=1985-07": "elin",
    # strings
    "/Patient?family=åker": "elin",
    "/Patient?family=ÅKERSTRÖM": "elin",
    "/Patient?family=a%CC%8Aker": "elin",
    "/Patient?family=ker": "",
    "/Patient?family:contains=KER": "elin",
    "/Patient?family:exact=Åkerström": "elin",
    "/Patient?family:exact=åkerström": "",
    "/Patient?family:exact=Åker": "",
    "/Patient?name=elin,omar": "elin omar",
    "/Patient?name=el&name=åk": "elin",
    "/Patient?given:missing=false": "elin omar",
    # references
    "/CarePlan?patient=elin": "p1 p2",
    "/CarePlan?patient=Patient/elin": "p1 p2",
    "/CarePlan?subject=elin,omar": "p1 p2 p3",
    "/CarePlan?subject:Patient=elin": "p1 p2",
    "/CarePlan?subject:Group=elin": "",
    "/CarePlan?patient:missing=false": "p1 p2 p3",
    "/CarePlan?patient:missing=true": "",
    "/Goal?patient:missing=false&_id=g1": "g1",
    "/CarePlan?patient=Group/elin": "",
    "/CarePlan?patient=elin&status=active": "p1",
    "/CarePlan?goal=g2": "p1",
    "/Provenance?target=CarePlan/p1": "v1",
    "/Provenance?target=p1": "v1",
    "/Task?focus=ServiceRequest/s1": "k1",
    "/Task?based-on=p1&code=urn:c|fulfil&status=accepted&patient=elin": "k1",
    "/Task?owner=http://elsewhere.example/fhir/Organization/9": "k1",
    "/Task?owner=9": "",
    "/ServiceRequest?requester:identifier=urn:oid:2.5.4.97|2120000159": "s1",
    "/ServiceRequest?requester:missing=false": "s1",
    # quantities
    "/Observation?value-quantity=3": "o1",
    "/Observation?value-quantity=gt2.5|http://unitsofmeasure.org|{trip}": "o1",
    "/Observation?value-quantity=3||resor": "o1",
    "/Observation?value-quantity=3||km": "",
    "/Observation?value-quantity=ap3.2": "o1",
    # chains
    f"/CarePlan?patient.identifier={PNR}|198507142381": "p1 p2",
    f"/CarePlan?patient:Patient.identifier={PNR}|198507142381&status=active": "p1",
    f"/CarePlan?subject.identifier={PNR}|198507142381": "p1 p2",
    "/CarePlan?patient.identifier=198507142381,198901712391": "p1 p2 p3",
    "/CarePlan?subject._id=omar": "p3",
    "/CarePlan?patient.family=haid": "p3",
    "/CarePlan?patient.gender:not=female": "p3",
    "/CarePlan?patient.birthdate=lt1986&category=sip": "p1",
    "/Task?owner.name=nobody": "",
    "/Goal?_has:CarePlan:goal:identifier=SIP-1": "g1 g2",
    "/Goal?_has:CarePlan:goal:status:not=active": "",
    "/Patient?_has:Goal:patient:lifecycle-status=completed": "elin",
    "/Patient?_has:CarePlan:patient:date=ge2025-10": "elin omar",
    # nothing asked, nothing left
    "/CarePlan": "p1 p2 p3",
    "/Encounter": "",
}


@pytest.mark.parametrize(("query", "ids"), CASES.items(), ids=CASES)
def test_search_finds(town: Served, query: str, ids: str) -> None:
    type_ = query[1:].partition("?")[0]
    assert town.found(query) == [f"{type_}/{id_}" for id_ in ids.split()]


@pytest.mark.parametrize(("query", "ids"), CASES.items(), ids=CASES)
def test_count_agrees_with_what_is_found(town: Served, query: str, ids: str) -> None:
    path, _, rest = query.partition("?")
    answer = town.fhir.get(f"{path}?{rest}&_summary=count" if rest else f"{path}?_summary=count").json()
    assert (answer["total"], "entry" in answer) == (len(ids.split()), False)


def test_reference_may_be_given_under_the_servers_own_base(town: Served) -> None:
    assert town.found(f"/CarePlan?patient={town.address}/fhir/Patient/elin") == ["CarePlan/p1", "CarePlan/p2"]
    assert town.found(f"/CarePlan?subject={town.address}/fhir/Patient/omar") == ["CarePlan/p3"]
    assert town.found("/CarePlan?subject=http://elsewhere.example/fhir/Patient/omar") == []


REFUSED = [
    ("/CarePlan?colour=red", "not-supported", "colour"),
    ("/CarePlan?status:above=active", "not-supported", "status:above"),
    ("/CarePlan?date:exact=2025", "not-supported", "date:exact"),
    ("/CarePlan?_id:exact=1", "not-supported", "_id:exact"),
    ("/CarePlan?date=soon", "value", "date"),
    ("/CarePlan?date=2025-02-30", "value", "date"),
    ("/CarePlan?date=2025-02-28T25:00", "value", "date"),
    ("/CarePlan?date=1973-02-28T01:01:09.999999999999999999", "value", "date"),
    ("/CarePlan?status=", "value", "status"),
    ("/CarePlan?status=active,", "value", "status"),
    ("/CarePlan?status=|", "value", "status"),
    ("/CarePlan?status=a|b|c", "value", "status"),
    ("/CarePlan?status:missing=perhaps", "value", "status:missing"),
    ("/Observation?value-quantity=much", "value", "value-quantity"),
    ("/Observation?value-quantity=1|2|3|4", "value", "value-quantity"),
    ("/Observation?value-quantity=1e999", "value", "value-quantity"),
    ("/CarePlan?status.identifier=1", "not-supported", "status.identifier"),
    ("/CarePlan?patient.colour=1", "not-supported", "patient.colour"),
    ("/CarePlan?patient:Group.identifier=1", "not-supported", "patient:Group.identifier"),
    ("/CarePlan?patient.general-practitioner.name=1", "not-supported", "patient.general-practitioner.name"),
    ("/CarePlan?_has:Task=1", "not-supported", "_has:Task"),
    ("/CarePlan?_has:Goal:patient:status=1", "not-supported", "_has:Goal:patient:status"),
    ("/CarePlan?_include=CarePlan:status", "value", "_include"),
    ("/CarePlan?_include=Nothing:goal", "value", "_include"),
    ("/CarePlan?_include=CarePlan:goal:Nothing", "value", "_include"),
    ("/CarePlan?_include:all=CarePlan:goal", "not-supported", "_include:all"),
    ("/CarePlan?_count=many", "value", "_count"),
    ("/CarePlan?_count=-1", "value", "_count"),
    ("/CarePlan?_id:missing=perhaps", "value", "_id:missing"),
    ("/CarePlan?_sort=status", "value", "_sort"),
    ("/CarePlan?_sort=date,_id,-_lastUpdated,date", "value", "_sort"),
    ("/CarePlan?_total=roughly", "value", "_total"),
    ("/CarePlan?_summary=text", "value", "_summary"),
    ("/CarePlan?_elements=status", "not-supported", "_elements"),
    ("/CarePlan?_contained=true", "not-supported", "_contained"),
    ("/CarePlan?_text=plan", "not-supported", "_text"),
    ("/CarePlan?_filter=status eq active", "not-supported", "_filter"),
    ("/CarePlan?_page=x&status=active", "value", "_page"),
]


@pytest.mark.parametrize(("query", "code", "name"), REFUSED, ids=[query for query, _, _ in REFUSED])
def test_search_that_is_not_understood_is_refused_with_the_parameters_name(
    town: Served, query: str, code: str, name: str
) -> None:
    answer = town.fhir.get(query)
    assert (answer.status_code, answer.json()["resourceType"]) == (400, "OperationOutcome")
    issue = answer.json()["issue"][0]
    assert (issue["severity"], issue["code"], issue["expression"]) == ("error", code, [name])


def test_everything_that_is_wrong_is_told_at_once(town: Served) -> None:
    issues = town.fhir.get("/CarePlan?colour=red&date=soon&_count=many").json()["issue"]
    assert [issue["expression"] for issue in issues] == [["colour"], ["date"], ["_count"]]


def test_search_with_too_many_alternatives_is_refused_and_with_many_answered(town: Served) -> None:
    for name in ("patient", "status", "_id", "date", "patient.name"):
        value = "2025" if name == "date" else "a"
        assert town.fhir.get(f"/CarePlan?{name}={','.join([value] * 500)}").status_code == 200
        answer = town.fhir.get(f"/CarePlan?{name}={','.join([value] * 501)}")
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (400, "too-costly")
    assert town.fhir.get("/CarePlan?" + "&".join(["status=a,b"] * 200)).status_code == 200


def test_query_that_is_no_text_is_refused(town: Served) -> None:
    assert town.fhir.get("/CarePlan?status=%ff").status_code == 400
    assert town.fhir.get("/CarePlan?" + "&".join(["status=active"] * 201)).status_code == 400


def test_lenient_client_has_unknown_parameters_passed_over_and_sees_so_in_the_self_link(town: Served) -> None:
    answer = town.fhir.get("/CarePlan?colour=red&status=active", headers={"Prefer": "handling=lenient"})
    assert answer.json()["total"] == 2
    assert links_of(answer.json())["self"] == f"{town.address}/fhir/CarePlan?status=active"
    wrong = town.fhir.get("/CarePlan?colour=red&date=soon", headers={"Prefer": "handling=lenient"})
    assert [issue["expression"] for issue in wrong.json()["issue"]] == [["date"]]


def links_of(bundle: dict[str, Any]) -> dict[str, str]:
    return {link["relation"]: link["url"] for link in bundle["link"]}


def test_bundle_tells_type_total_full_url_and_mode(town: Served) -> None:
    bundle = town.fhir.get("/CarePlan?identifier=SIP-1").json()
    (entry,) = bundle["entry"]
    assert (bundle["resourceType"], bundle["type"], bundle["total"]) == ("Bundle", "searchset", 1)
    assert entry["fullUrl"] == f"{town.address}/fhir/CarePlan/p1"
    assert entry["search"] == {"mode": "match"}
    assert entry["resource"] == town.fhir.get("/CarePlan/p1").json()


def entries_of(bundle: dict[str, Any]) -> dict[str, str]:
    """`Type/id` → mode; each resource may be there once."""
    pairs = [
        (f"{entry['resource']['resourceType']}/{entry['resource']['id']}", entry["search"]["mode"])
        for entry in bundle.get("entry", [])
    ]
    assert len(dict(pairs)) == len(pairs)
    return dict(pairs)


ROAD = [
    ("patient.identifier", f"{PNR}|198507142381"),
    ("status", "active"),
    ("_include", "CarePlan:care-team"),
    ("_include", "CarePlan:goal"),
    ("_include", "CarePlan:activity-reference"),
    ("_include", "CarePlan:subject"),
    ("_include:iterate", "CareTeam:participant"),
    ("_revinclude:iterate", "Task:focus"),
]


def test_one_request_brings_plan_team_goals_and_activities(town: Served) -> None:
    assert entries_of(town.fhir.get(f"/CarePlan?{urlencode(ROAD)}").json()) == {
        "CarePlan/p1": "match",
        **dict.fromkeys(
            [
                "Patient/elin",
                "CareTeam/t1",
                "Goal/g1",
                "Goal/g2",
                "ServiceRequest/s1",
                "Task/k1",
                "PractitionerRole/r1",
            ],
            "include",
        ),
    }


INCLUDES = {
    "_include=CarePlan:goal": "Goal/g1 Goal/g2",
    "_include=CarePlan:goal:Goal": "Goal/g1 Goal/g2",
    "_include=CarePlan:activity-reference:Task": "",
    "_include=CarePlan:care-team&_include=CareTeam:participant": "CareTeam/t1",
    "_include=CarePlan:care-team&_include:iterate=CareTeam:participant:PractitionerRole"
    "&_include:iterate=PractitionerRole:practitioner": "CareTeam/t1 PractitionerRole/r1 Practitioner/karin",
    "_include:recurse=CarePlan:care-team": "CareTeam/t1",
    "_include=CarePlan:*": "Patient/elin CareTeam/t1 Goal/g1 Goal/g2 ServiceRequest/s1",
    "_include=*": "Patient/elin CareTeam/t1 Goal/g1 Goal/g2 ServiceRequest/s1",
    "_revinclude=Task:based-on": "Task/k1",
    "_revinclude=Provenance:target": "Provenance/v1",
    "_revinclude=Task:*": "Task/k1",
    "_revinclude=*": "Task/k1 Provenance/v1",
    "_revinclude=Task:focus": "",
    "_include=CarePlan:activity-reference&_revinclude:iterate=Task:focus": "ServiceRequest/s1 Task/k1",
    "_include=Goal:patient": "",
}


@pytest.mark.parametrize(("asked", "included"), INCLUDES.items(), ids=INCLUDES)
def test_included_is(town: Served, asked: str, included: str) -> None:
    entries = entries_of(town.fhir.get(f"/CarePlan?_id=p1&{asked}").json())
    assert entries.pop("CarePlan/p1") == "match"
    assert entries == dict.fromkeys(included.split(), "include")


def test_what_matches_is_not_included_again(town: Served) -> None:
    entries = entries_of(
        town.fhir.get("/CarePlan?_include=CarePlan:subject&_revinclude:iterate=CarePlan:subject").json()
    )
    assert [reference for reference, mode in entries.items() if mode == "match"] == [
        f"CarePlan/p{i}" for i in (1, 2, 3)
    ]


def test_deleted_is_not_included(serve: Callable[[], Served]) -> None:
    served = serve()
    served.save(plan("p", "x", goal=[{"reference": "Goal/g"}]), goal("g", "x"))
    served.sandbox.delete("/Goal/g")
    assert entries_of(served.fhir.get("/CarePlan?_include=CarePlan:goal").json()) == {"CarePlan/p": "match"}


def posted(served: Served, path: str, form: list[tuple[str, str]], **more: Any) -> httpx.Response:
    return served.fhir.post(
        path, content=urlencode(form), headers={"content-type": "application/x-www-form-urlencoded"}, **more
    )


def test_search_can_be_posted(town: Served) -> None:
    answer = posted(town, "/CarePlan/_search?status=active", [("patient", "Patient/elin")])
    assert entries_of(answer.json()) == {"CarePlan/p1": "match"}


def test_posted_search_of_another_media_type_is_refused(town: Served) -> None:
    answer = town.fhir.post("/CarePlan/_search", json={"patient": "Patient/elin"})
    assert (answer.status_code, answer.json()["issue"][0]["code"]) == (415, "not-supported")


def test_posted_search_is_paged_by_links_that_do_not_repeat_it(town: Served) -> None:
    form = [("subject.identifier", f"{PNR}|198507142381"), ("_count", "1"), ("_include", "CarePlan:subject")]
    first = posted(town, "/CarePlan/_search", form).json()
    assert "198507142381" not in json.dumps(first["link"])
    second = httpx.get(links_of(first)["next"]).json()
    assert entries_of(first) == {"CarePlan/p1": "match", "Patient/elin": "include"}
    assert entries_of(second) == {"CarePlan/p2": "match", "Patient/elin": "include"}
    assert "next" not in links_of(second)
    for bundle in (first, second):
        assert httpx.get(links_of(bundle)["self"]).json()["entry"] == bundle["entry"]


def test_next_link_of_a_get_says_nothing_and_self_link_what_was_understood(town: Served) -> None:
    links = links_of(town.fhir.get(f"/CarePlan?subject.identifier={PNR}|198507142381&_count=1").json())
    assert [name for name, _ in parse_qsl(urlsplit(links["next"]).query)] == ["_page"]
    assert "198507142381" not in links["next"]
    assert parse_qsl(urlsplit(links["self"]).query) == [
        ("subject.identifier", f"{PNR}|198507142381"),
        ("_count", "1"),
    ]


def test_page_that_is_not_kept_is_gone(town: Served) -> None:
    for type_, token in (("CarePlan", "nonsense"), ("Goal", "x")):
        answer = town.fhir.get(f"/{type_}?_page={token}")
        assert (answer.status_code, answer.json()["issue"][0]["code"]) == (410, "deleted")
    token = links_of(town.fhir.get("/CarePlan?_count=1").json())["next"].partition("_page=")[2]
    assert town.fhir.get(f"/Goal?_page={token}").status_code == 410


@pytest.fixture(scope="module")
def many(serve: Callable[[], Served]) -> Served:
    """Goals 00 to 44, saved at one hour each; every third has no start, and the starts run backwards."""
    served = serve()
    for number in range(45):
        start = {"startDate": f"2025-{12 - number // 4:02}-{1 + number % 4:02}"} if number % 3 else {}
        served.save(goal(f"{number:02}", "x", **start))
        served.clock.move(hours=1)
    return served


def numbers(references: list[str]) -> list[int]:
    return [int(reference.removeprefix("Goal/")) for reference in references]


def test_page_holds_twenty_unless_told_and_two_hundred_at_most(many: Served) -> None:
    assert len(many.fhir.get("/Goal").json()["entry"]) == 20
    assert len(many.fhir.get("/Goal?_count=7").json()["entry"]) == 7
    assert len(many.fhir.get("/Goal?_count=100000").json()["entry"]) == 45


@pytest.mark.parametrize("count", [1, 7, 20, 44, 45, 46])
def test_pages_together_hold_everything_once(many: Served, count: int) -> None:
    assert numbers(many.found(f"/Goal?patient=x&_count={count}")) == list(range(45))


def test_page_after_an_insert_neither_repeats_nor_misses(many: Served, serve: Callable[[], Served]) -> None:
    served = serve()
    served.save(*(goal(f"{number:02}", "x") for number in range(4)))
    first = served.fhir.get("/Goal?_count=2").json()
    served.save(goal("00", "x", lifecycleStatus="completed"), goal("zz", "x"))
    rest = httpx.get(links_of(first)["next"]).json()
    assert list(entries_of(first) | entries_of(rest)) == ["Goal/00", "Goal/01", "Goal/02", "Goal/03"]


def start_of(number: int) -> tuple[int, int]:
    return (12 - number // 4, 1 + number % 4)


BY_START = sorted((n for n in range(45) if n % 3), key=start_of)
WITHOUT_START = [n for n in range(45) if not n % 3]
ORDERS = {
    "_id": list(range(45)),
    "-_id": list(range(44, -1, -1)),
    "_lastUpdated": list(range(45)),
    "-_lastUpdated": list(range(44, -1, -1)),
    "start-date": BY_START + WITHOUT_START,
    "-start-date": BY_START[::-1] + WITHOUT_START,
    "start-date,-_id": BY_START + WITHOUT_START[::-1],
}


@pytest.mark.parametrize("count", [4, 45])
@pytest.mark.parametrize(("sort", "expected"), ORDERS.items(), ids=ORDERS)
def test_order_holds_over_all_pages(many: Served, sort: str, expected: list[int], count: int) -> None:
    assert numbers(many.found(f"/Goal?_sort={sort}&_count={count}")) == expected


def test_total_is_told_when_asked_for_or_known_anyway(many: Served) -> None:
    assert "total" not in many.fhir.get("/Goal").json()
    assert many.fhir.get("/Goal?_total=none&_count=45").json()["total"] == 45
    first = many.fhir.get("/Goal?_total=accurate&_count=30").json()
    assert first["total"] == 45
    assert httpx.get(links_of(first)["next"]).json()["total"] == 45


def test_count_of_zero_asks_for_the_total_alone(many: Served) -> None:
    bundle = many.fhir.get("/Goal?_count=0").json()
    assert (bundle["total"], "entry" in bundle, list(links_of(bundle))) == (45, False, ["self"])


def test_times_of_change_pick_what_changed(many: Served) -> None:
    assert numbers(many.found("/Goal?_lastUpdated=ge2025-02-20T00:00:00Z&_lastUpdated=lt2025-02-20T03:00:00Z")) == [
        12,
        13,
        14,
    ]
    many_spans = "/Goal?_lastUpdated=2025-02-19T12:00:00Z,2025-02-19T13"
    assert many.fhir.get(many_spans).status_code == 400
    assert numbers(
        many.found("/Goal?_lastUpdated=2025-02-19T12:00:00Z,2025-02-19T13:00Z&start-date:missing=false")
    ) == [1]
