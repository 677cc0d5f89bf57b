"""Writing to the sandbox over HTTP: create, update, delete, batch and transaction, and every way to get it wrong."""

from __future__ import annotations

import json
from typing import Any

import httpx
import pytest

from tests.web.conftest import Served

FHIR = {"content-type": "application/fhir+json"}


def goal(**more: Any) -> dict[str, Any]:
    return {
        "resourceType": "Goal",
        "lifecycleStatus": "active",
        "description": {"text": "Ett mål"},
        "subject": {"reference": "Patient/p"},
        **more,
    }


def send(served: Served, method: str, path: str, body: Any = None, **headers: str) -> httpx.Response:
    content = body if isinstance(body, bytes | None) else json.dumps(body).encode()
    names = {name.replace("_", "-"): value for name, value in headers.items()}
    return served.sandbox.request(method, path, content=content, headers=FHIR | names)


def put(served: Served, id_: str, **headers: str) -> httpx.Response:
    return send(served, "PUT", f"/Goal/{id_}", goal(id=id_), **headers)


def refusal(answer: httpx.Response) -> tuple[int, str, str]:
    """Status, code and expression of the first issue of a refusal."""
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    issue = answer.json()["issue"][0]
    assert (answer.json()["resourceType"], issue["severity"]) == ("OperationOutcome", "error")
    return answer.status_code, issue["code"], issue.get("expression", [""])[0]


def test_create_gives_a_new_id_and_says_where(served: Served) -> None:
    answer = send(served, "POST", "/Goal", goal(id="not-this-one"))
    id_ = answer.json()["id"]
    assert (answer.status_code, answer.headers["etag"]) == (201, 'W/"1"')
    assert answer.headers["location"] == f"{served.address}/sandbox/Goal/{id_}/_history/1"
    assert id_ != "not-this-one"
    assert served.sandbox.get(f"/Goal/{id_}").content == answer.content


def test_update_under_the_clients_own_id_creates_then_counts_up(served: Served) -> None:
    first, second = put(served, "u1"), send(served, "PUT", "/Goal/u1", goal(id="u1", lifecycleStatus="completed"))
    assert (first.status_code, first.headers["etag"]) == (201, 'W/"1"')
    assert (second.status_code, second.headers["etag"]) == (200, 'W/"2"')
    assert served.sandbox.get("/Goal/u1").json()["lifecycleStatus"] == "completed"


def test_what_was_written_is_found_at_once(served: Served) -> None:
    send(served, "PUT", "/Goal/now", goal(id="now", identifier=[{"value": "written-now"}]))
    assert served.found("/Goal?identifier=written-now") == ["Goal/now"]
    send(served, "PUT", "/Goal/now", goal(id="now"))
    assert served.found("/Goal?identifier=written-now") == []


def test_what_plans_are_not_made_of_is_kept_and_found_by_what_all_types_have(served: Served) -> None:
    tag = {"system": "urn:tags", "code": "from-the-clinic"}
    specimen = {"resourceType": "Specimen", "id": "s1", "meta": {"tag": [tag]}, "subject": {"reference": "Patient/p"}}
    assert send(served, "PUT", "/Specimen/s1", specimen).status_code == 201
    assert served.sandbox.get("/Specimen/s1").json()["subject"] == specimen["subject"]
    found = served.sandbox.get("/Specimen", params={"_tag": "urn:tags|from-the-clinic"}).json()
    assert [one["resource"]["id"] for one in found["entry"]] == ["s1"]


def test_decimals_unknown_extensions_and_primitive_siblings_come_back_as_they_were(served: Served) -> None:
    body = (
        b'{"resourceType":"Observation","id":"exact","status":"final","code":{"text":"x"},'
        b'"_status":{"extension":[{"url":"http://x.example/y","valueDecimal":1.00}]},'
        b'"valueQuantity":{"value":3.1400,"unit":"\xc3\xa5"}}'
    )
    answer = send(served, "PUT", "/Observation/exact", body)
    assert answer.status_code == 201, answer.text
    head, _, tail = served.sandbox.get("/Observation/exact").content.partition(
        b'"lastUpdated":"2025-02-19T12:00:00.000Z"}'
    )
    assert tail == body.removeprefix(b'{"resourceType":"Observation","id":"exact"')
    assert head.endswith(b'"meta":{"versionId":"1",')


@pytest.mark.parametrize(
    ("prefer", "body"), [("return=minimal", None), ("return=OperationOutcome", "OperationOutcome"), ("", "Goal")]
)
def test_client_chooses_what_a_write_answers(served: Served, prefer: str, body: str | None) -> None:
    answer = send(served, "POST", "/Goal", goal(), Prefer=prefer)
    assert answer.status_code == 201
    assert (answer.json()["resourceType"] if answer.content else None) == body
    assert answer.headers["location"]


def test_update_against_a_version_that_is_not_current_is_refused(served: Served) -> None:
    put(served, "m1")
    assert put(served, "m1", If_Match='W/"1"').status_code == 200
    assert refusal(put(served, "m1", If_Match='W/"1"')) == (412, "conflict", "")
    assert refusal(put(served, "m2", If_Match='W/"1"')) == (412, "conflict", "")
    assert served.sandbox.get("/Goal/m1").headers["etag"] == 'W/"2"'
    assert served.sandbox.get("/Goal/m2").status_code == 404


def test_update_that_must_create_is_refused_where_something_is(served: Served) -> None:
    assert put(served, "n1", If_None_Match="*").status_code == 201
    assert refusal(put(served, "n1", If_None_Match="*")) == (412, "conflict", "")


def test_delete_is_a_version_and_can_be_repeated(served: Served) -> None:
    put(served, "d1")
    first, second = send(served, "DELETE", "/Goal/d1"), send(served, "DELETE", "/Goal/d1")
    assert (first.status_code, first.content, first.headers["etag"]) == (204, b"", 'W/"2"')
    assert (second.status_code, second.headers["etag"]) == (204, 'W/"2"')
    assert send(served, "DELETE", "/Goal/never").status_code == 204


def test_what_was_deleted_is_created_anew_by_an_update(served: Served) -> None:
    put(served, "d3")
    send(served, "DELETE", "/Goal/d3")
    back = put(served, "d3")
    assert (back.status_code, back.headers["etag"]) == (201, 'W/"3"')
    assert put(served, "d3").status_code == 200
    send(served, "DELETE", "/Goal/d3")
    bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [entry("PUT", "Goal/d3", goal(id="d3"))]}
    answer = send(served, "POST", "/", bundle).json()
    assert answer["entry"][0]["response"]["status"] == "201 Created"
    assert served.sandbox.get("/Goal/d3").status_code == 200


def test_delete_against_an_older_version_is_refused(served: Served) -> None:
    put(served, "d2")
    put(served, "d2")
    assert refusal(send(served, "DELETE", "/Goal/d2", If_Match='W/"1"')) == (412, "conflict", "")
    assert send(served, "DELETE", "/Goal/d2", If_Match='W/"2"').status_code == 204


def test_create_that_must_not_double_finds_what_is_there(served: Served) -> None:
    body = goal(identifier=[{"system": "urn:once", "value": "1"}])
    first = send(served, "POST", "/Goal", body, If_None_Exist="identifier=urn:once|1")
    again = send(served, "POST", "/Goal", body, If_None_Exist="identifier=urn:once|1")
    assert (first.status_code, again.status_code) == (201, 200)
    assert again.json() == first.json()
    send(served, "POST", "/Goal", body)
    assert refusal(send(served, "POST", "/Goal", body, If_None_Exist="identifier=urn:once|1"))[0] == 412
    assert refusal(send(served, "POST", "/Goal", body, If_None_Exist="colour=red")) == (400, "not-supported", "colour")


WRONG: dict[str, tuple[str, str, Any, tuple[int, str, str]]] = {
    "not JSON": ("PUT", "/Goal/w", b"{", (400, "structure", "")),
    "not UTF-8": ("PUT", "/Goal/w", b'{"a":"\xff"}', (400, "structure", "")),
    "nothing": ("POST", "/Goal", b"", (400, "structure", "")),
    "a list": ("POST", "/Goal", [], (400, "structure", "")),
    "no type": ("POST", "/Goal", {"id": "w"}, (400, "structure", "")),
    "another type": ("POST", "/Goal", {"resourceType": "Patient"}, (400, "value", "resourceType")),
    "another id": ("PUT", "/Goal/w", goal(id="v"), (400, "value", "Goal.id")),
    "no id": ("PUT", "/Goal/w", goal(), (400, "value", "Goal.id")),
    "type not held": ("POST", "/Binary", {"resourceType": "Binary"}, (404, "not-found", "")),
    "required missing": ("POST", "/Goal", {"resourceType": "Goal"}, (422, "required", "Goal.description")),
    "unknown code": ("POST", "/Goal", goal(lifecycleStatus="nice"), (422, "code-invalid", "Goal.lifecycleStatus")),
    "unknown element": ("POST", "/Goal", goal(colour="red"), (422, "structure", "Goal.colour")),
    "empty": ("POST", "/Goal", goal(note=[]), (422, "structure", "Goal.note")),
    "modifier": ("POST", "/Goal", goal(modifierExtension=[{"url": "u"}]), (422, "extension", "Goal.modifierExtension")),
    "deep": ("POST", "/Goal", b'{"resourceType":"Goal","x":' + b"[" * 500 + b"]" * 500 + b"}", (400, "structure", "")),
    "deeper": ("POST", "/Goal", b"[" * 200_000, (400, "structure", "")),
}


@pytest.mark.parametrize("name", WRONG)
def test_body_that_is_wrong_is_refused(served: Served, name: str) -> None:
    method, path, body, expected = WRONG[name]
    answer = send(served, method, path, body)
    if name == "deep":
        assert refusal(answer)[:2] == expected[:2]
    else:
        assert refusal(answer) == expected
    assert served.sandbox.get("/Goal/w").status_code == 404


@pytest.mark.parametrize(
    "media_type",
    [
        "text/plain",
        "application/xml",
        "application/x-www-form-urlencoded",
        "",
        "application/fhir+json; fhirVersion=3.0",
    ],
)
def test_other_media_types_are_refused(served: Served, media_type: str) -> None:
    answer = served.sandbox.post("/Goal", content=json.dumps(goal()), headers={"content-type": media_type})
    assert refusal(answer) == (415, "not-supported", "")


def test_compressed_body_is_refused(served: Served) -> None:
    assert refusal(send(served, "POST", "/Goal", goal(), content_encoding="gzip")) == (415, "not-supported", "")


def test_media_type_may_name_its_charset(served: Served) -> None:
    headers = {"content-type": "Application/JSON; charset=utf-8"}
    assert served.sandbox.post("/Goal", content=json.dumps(goal()), headers=headers).status_code == 201


def test_body_over_the_limit_is_refused_announced_or_not(served: Served) -> None:
    large = json.dumps(goal(note=[{"text": "x" * 10_000_000}])).encode()
    assert refusal(served.sandbox.post("/Goal", content=large, headers=FHIR))[0] == 413
    chunks = (large[start : start + 100_000] for start in range(0, len(large), 100_000))
    assert refusal(served.sandbox.post("/Goal", content=chunks, headers=FHIR))[0] == 413


@pytest.mark.parametrize(
    ("method", "path"), [("PATCH", "/Goal/1"), ("PUT", "/Goal"), ("DELETE", "/Goal"), ("GET", "/")]
)
def test_what_the_sandbox_does_not_claim_is_refused(served: Served, method: str, path: str) -> None:
    assert refusal(send(served, method, path, goal()))[:2] == (405, "not-supported")


def entry(method: str, url: str, resource: Any = None, full_url: str | None = None, **request: str) -> dict[str, Any]:
    return (
        ({"fullUrl": full_url} if full_url else {})
        | ({"resource": resource} if resource else {})
        | {"request": {"method": method, "url": url, **request}}
    )


def transact(served: Served, *entries: Any, kind: str = "transaction", **headers: str) -> httpx.Response:
    return send(served, "POST", "/", {"resourceType": "Bundle", "type": kind, "entry": list(entries)}, **headers)


def statuses(answer: httpx.Response) -> list[str]:
    assert answer.status_code == 200, answer.text
    return [each["response"]["status"] for each in answer.json()["entry"]]


def test_transaction_resolves_references_between_its_entries(served: Served) -> None:
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    answer = transact(
        served,
        entry("PUT", "Goal/t1", goal(id="t1", subject={"reference": urn})),
        entry("POST", "Patient", {"resourceType": "Patient"}, urn),
    )
    assert answer.json()["type"] == "transaction-response"
    assert statuses(answer) == ["201 Created", "201 Created"]
    location = answer.json()["entry"][1]["response"]["location"]
    assert f"{served.sandbox.get('/Goal/t1').json()['subject']['reference']}/_history/1" == location


def test_transaction_answers_each_entry_in_its_place(served: Served) -> None:
    put(served, "t2")
    put(served, "t3")
    answer = transact(
        served,
        entry("GET", "Goal/t2"),
        entry("PUT", "Goal/t2", goal(id="t2", lifecycleStatus="completed"), ifMatch='W/"1"'),
        entry("DELETE", "Goal/t3"),
        entry("GET", "Goal?_id=t2,t3"),
    )
    read, update, delete, search = answer.json()["entry"]
    assert statuses(answer) == ["200 OK", "200 OK", "204 No Content", "200 OK"]
    assert read["resource"]["lifecycleStatus"] == "completed"
    assert update["response"] == {
        "status": "200 OK",
        "etag": 'W/"2"',
        "lastModified": "2025-02-19T12:00:00.000Z",
        "location": "Goal/t2/_history/2",
    }
    assert delete["response"]["etag"] == 'W/"2"'
    assert [found["resource"]["id"] for found in search["resource"]["entry"]] == ["t2"]


def test_transaction_shows_what_it_stored_when_asked(served: Served) -> None:
    answer = transact(served, entry("PUT", "Goal/t4", goal(id="t4")), Prefer="return=representation")
    assert answer.json()["entry"][0]["resource"] == served.sandbox.get("/Goal/t4").json()


@pytest.mark.parametrize(
    ("bad", "expected"),
    [
        (entry("PUT", "Goal/a1", goal(id="a1"), ifMatch='W/"1"'), (412, "conflict", "Bundle.entry[1]")),
        (entry("GET", "Goal/nobody"), (404, "not-found", "Bundle.entry[1]")),
        (entry("POST", "Goal", goal(), ifNoneExist="colour=red"), (400, "not-supported", "Bundle.entry[1]")),
        (entry("POST", "Binary", {"resourceType": "Binary"}), (404, "not-found", "Bundle.entry[1]")),
        (
            entry("POST", "Goal", goal(lifecycleStatus="nice")),
            (422, "code-invalid", "Bundle.entry[1].resource.lifecycleStatus"),
        ),
        (entry("PUT", "Goal/a2", goal(id="b2")), (400, "value", "Bundle.entry[1].resource.id")),
        (
            entry("PUT", "Goal/a2", {"resourceType": "Patient", "id": "a2"}),
            (400, "value", "Bundle.entry[1].resource.resourceType"),
        ),
        (entry("PUT", "Goal/a0", goal(id="a0")), (400, "duplicate", "Bundle.entry[1]")),
        (entry("DELETE", "Goal/a0"), (400, "duplicate", "Bundle.entry[1]")),
        (
            entry("POST", "Goal", goal(subject={"reference": "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e1"})),
            (400, "not-found", "Bundle.entry[1].resource.subject.reference"),
        ),
        (entry("PATCH", "Goal/a1", goal()), (400, "not-supported", "Bundle.entry[1].request")),
        (entry("PUT", "Goal", goal()), (400, "not-supported", "Bundle.entry[1].request")),
        (entry("POST", "Goal/a1", goal()), (400, "not-supported", "Bundle.entry[1].request")),
        (entry("POST", "Goal"), (400, "required", "Bundle.entry[1].resource")),
        ({"resource": goal()}, (400, "required", "Bundle.entry[1].request")),
        (entry(["GET"], {"a": 1}), (400, "not-supported", "Bundle.entry[1].request")),  # type: ignore[arg-type]
        (entry("DELETE", "Goal/a1", ifMatch=5), (400, "value", "Bundle.entry[1].request.ifMatch")),  # type: ignore[arg-type]
    ],
    ids=lambda value: json.dumps(value.get("request"))[:60] if isinstance(value, dict) else "",
)  # fmt: skip
def test_transaction_with_one_fault_changes_nothing(served: Served, bad: Any, expected: tuple[int, str, str]) -> None:
    assert refusal(transact(served, entry("PUT", "Goal/a0", goal(id="a0")), bad)) == expected
    assert served.sandbox.get("/Goal/a0").status_code == 404


def test_two_entries_that_would_create_the_same_thing_are_refused(served: Served) -> None:
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    twice = [entry("POST", "Goal", goal(), ifNoneExist="identifier=urn:x|1") for _ in range(2)]
    assert refusal(transact(served, *twice)) == (400, "duplicate", "Bundle.entry[1]")
    named = [entry("POST", "Goal", goal(), urn) for _ in range(2)]
    assert refusal(transact(served, *named)) == (400, "duplicate", "Bundle.entry[1]")


def test_conditional_create_in_a_transaction_links_to_what_exists(served: Served) -> None:
    urn = "urn:uuid:0c3151bd-1cbf-4d64-b04d-cd9187a4c6e0"
    served.save({"resourceType": "Patient", "id": "known", "identifier": [{"system": "urn:p", "value": "1"}]})
    answer = transact(
        served,
        entry("POST", "Patient", {"resourceType": "Patient"}, urn, ifNoneExist="identifier=urn:p|1"),
        entry("PUT", "Goal/linked", goal(id="linked", subject={"reference": urn})),
    )
    assert statuses(answer) == ["200 OK", "201 Created"]
    assert served.sandbox.get("/Goal/linked").json()["subject"]["reference"] == "Patient/known"


def test_full_url_under_the_servers_base_is_resolved_too(served: Served) -> None:
    base = f"{served.address}/sandbox"
    transact(
        served,
        entry("PUT", f"{base}/Patient/fu", {"resourceType": "Patient", "id": "fu"}, f"{base}/Patient/fu"),
        entry("PUT", "Goal/fu", goal(id="fu", subject={"reference": f"{base}/Patient/fu"})),
    )
    assert served.sandbox.get("/Goal/fu").json()["subject"]["reference"] == "Patient/fu"


def test_batch_answers_every_entry_for_itself(served: Served) -> None:
    answer = transact(
        served,
        entry("PUT", "Goal/b1", goal(id="b1")),
        entry("PUT", "Goal/b2", goal(id="b2", lifecycleStatus="nice")),
        entry("GET", "Goal/nobody"),
        entry("GET", "Goal/b1"),
        kind="batch",
    )
    assert answer.json()["type"] == "batch-response"
    assert statuses(answer) == ["201 Created", "422 Unprocessable Entity", "404 Not Found", "200 OK"]
    assert answer.json()["entry"][1]["response"]["outcome"]["issue"][0]["code"] == "code-invalid"


@pytest.mark.parametrize(
    "bundle",
    [
        {"resourceType": "Bundle", "type": "collection"},
        {"resourceType": "Bundle"},
        goal(),
        {"resourceType": "Bundle", "type": "batch", "entry": {"a": 1}},
        {"resourceType": "Bundle", "type": "batch", "entry": ["a"]},
    ],
)
def test_bundle_that_is_no_batch_or_transaction_is_refused(served: Served, bundle: Any) -> None:
    assert refusal(send(served, "POST", "/", bundle))[0] == 400


def test_empty_transaction_is_answered_by_an_empty_one(served: Served) -> None:
    answer = send(served, "POST", "/", {"resourceType": "Bundle", "type": "transaction"})
    assert answer.json() == {"resourceType": "Bundle", "type": "transaction-response"}


def test_main_server_offers_none_of_this(served: Served) -> None:
    for method, path in (("POST", "/Goal"), ("PUT", "/Goal/x"), ("DELETE", "/Goal/x"), ("POST", "/")):
        answer = served.fhir.request(method, path, json=goal(id="x"))
        assert refusal(answer)[:2] == (405, "not-supported")
    assert served.sandbox.get("/Goal/x").status_code == 404
