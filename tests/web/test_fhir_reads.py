"""read, vread, history and what goes wrong with them, over HTTP."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.web.conftest import Served

GOAL = {
    "resourceType": "Goal",
    "lifecycleStatus": "active",
    "description": {"text": "Jag åker buss till Järna"},
    "subject": {"reference": "Patient/p1"},
}


def issue_of(answer) -> tuple[int, str, str]:  # type: ignore[no-untyped-def]
    """Status, FHIR issue code and expression of a refusal, which must be an OperationOutcome."""
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    body = answer.json()
    assert body["resourceType"] == "OperationOutcome"
    issue = body["issue"][0]
    assert issue["severity"] == "error"
    assert issue["diagnostics"]
    return answer.status_code, issue["code"], *issue.get("expression", [""])  # type: ignore[return-value]


def test_read_answers_the_stored_bytes_with_version_and_time(served: Served) -> None:
    served.save({**GOAL, "id": "read1"})
    answer = served.fhir.get("/Goal/read1")
    assert answer.status_code == 200
    assert answer.headers["content-type"] == "application/fhir+json; charset=utf-8"
    assert answer.headers["etag"] == 'W/"1"'
    assert answer.headers["last-modified"] == "Wed, 19 Feb 2025 12:00:00 GMT"
    assert answer.headers["cache-control"] == "private, no-cache"
    assert answer.json()["meta"] == {"versionId": "1", "lastUpdated": "2025-02-19T12:00:00.000Z"}
    assert "åker".encode() in answer.content


def test_head_says_what_get_says_without_a_body(served: Served) -> None:
    served.save({**GOAL, "id": "head1"})
    get, head = served.fhir.get("/Goal/head1"), served.fhir.head("/Goal/head1")
    assert head.content == b""
    for name in ("content-length", "content-type", "etag", "last-modified"):
        assert head.headers[name] == get.headers[name]


@pytest.mark.parametrize("tags", ['W/"1"', '"1"', 'W/"7", W/"1"', "*"])
def test_client_that_has_the_version_is_told_so_in_no_words(served: Served, tags: str) -> None:
    served.save({**GOAL, "id": f"same{len(tags)}"})
    answer = served.fhir.get(f"/Goal/same{len(tags)}", headers={"If-None-Match": tags})
    assert (answer.status_code, answer.content, answer.headers["etag"]) == (304, b"", 'W/"1"')


def test_client_that_has_an_older_version_gets_the_new_one(served: Served) -> None:
    served.save({**GOAL, "id": "newer"}, {**GOAL, "id": "newer", "lifecycleStatus": "completed"})
    answer = served.fhir.get("/Goal/newer", headers={"If-None-Match": 'W/"1"'})
    assert (answer.status_code, answer.json()["lifecycleStatus"]) == (200, "completed")


def test_vread_answers_each_version(served: Served) -> None:
    served.save({**GOAL, "id": "v"}, {**GOAL, "id": "v", "lifecycleStatus": "completed"})
    first, second = (served.fhir.get(f"/Goal/v/_history/{number}") for number in (1, 2))
    assert (first.json()["lifecycleStatus"], first.headers["etag"]) == ("active", 'W/"1"')
    assert (second.json()["lifecycleStatus"], second.headers["etag"]) == ("completed", 'W/"2"')
    assert issue_of(served.fhir.get("/Goal/v/_history/3")) == (404, "not-found", "")
    assert issue_of(served.fhir.get("/Goal/v/_history/x")) == (404, "not-found", "")


def test_deleted_is_gone_but_its_history_stays(served: Served) -> None:
    served.save({**GOAL, "id": "gone"})
    assert served.sandbox.delete("/Goal/gone").status_code == 204
    assert issue_of(served.fhir.get("/Goal/gone")) == (410, "deleted", "")
    assert issue_of(served.fhir.get("/Goal/gone/_history/2")) == (410, "deleted", "")
    assert served.fhir.get("/Goal/gone/_history/1").status_code == 200
    deletion, creation = served.fhir.get("/Goal/gone/_history").json()["entry"]
    assert deletion["request"] == {"method": "DELETE", "url": "Goal/gone"}
    assert deletion["response"]["status"] == "204"
    assert "resource" not in deletion
    assert creation["resource"]["id"] == "gone"
    assert served.found("/Goal?_id=gone") == []


@pytest.mark.parametrize("path", ["/Goal/nobody", "/Goal/nobody/_history", "/Binary/1", "/Binary", "/Binary/_history"])
def test_what_is_not_here_is_not_found(served: Served, path: str) -> None:
    assert issue_of(served.fhir.get(path)) == (404, "not-found", "")


@pytest.mark.parametrize("path", ["/goal/1", "/Goal/a_b", f"/Goal/{'a' * 65}", "/Goal/1/2/3", "/nothing", "/Goal/"])
def test_address_that_means_nothing_is_not_found(served: Served, path: str) -> None:
    assert issue_of(served.fhir.get(path)) == (404, "not-found", "")


@pytest.mark.parametrize(
    ("method", "path", "allowed"),
    [
        ("PUT", "/Goal/1", "GET, HEAD"),
        ("DELETE", "/Goal/1", "GET, HEAD"),
        ("PATCH", "/Goal/1", "GET, HEAD"),
        ("POST", "/Goal", "GET, HEAD"),
        ("GET", "/Goal/_search", "POST"),
        ("POST", "/", ""),
        ("GET", "/", ""),
    ],
)
def test_method_that_is_not_claimed_is_refused(served: Served, method: str, path: str, allowed: str) -> None:
    answer = served.fhir.request(method, path, json={"resourceType": "Goal"})
    assert issue_of(answer) == (405, "not-supported", "")
    assert answer.headers["allow"] == allowed


@pytest.mark.parametrize(
    "accept",
    [
        "application/fhir+xml",
        "text/xml, application/xml;q=0.9",
        "application/json;q=0",
        "application/fhir+json; fhirVersion=5.0",
    ],
)
def test_client_that_takes_no_json_of_this_version_is_refused(served: Served, accept: str) -> None:
    assert issue_of(served.fhir.get("/Goal/1", headers={"Accept": accept})) == (406, "not-supported", "")


@pytest.mark.parametrize(
    "accept",
    [
        "*/*",
        "application/fhir+json",
        "application/json",
        "text/html, application/*;q=0.5",
        "text/html,*/*",
        "application/fhir+json; fhirVersion=4.0",
        "application/fhir+json;fhirVersion=5.0, application/fhir+json;fhirVersion=4.0;q=0.8",
    ],
)
def test_client_that_takes_json_among_others_gets_it(served: Served, accept: str) -> None:
    served.save({**GOAL, "id": "acc"})
    assert served.fhir.get("/Goal/acc", headers={"Accept": accept}).status_code == 200


def test_format_counts_for_more_than_accept(served: Served) -> None:
    served.save({**GOAL, "id": "format"})
    xml = {"Accept": "application/fhir+xml"}
    for format_ in ("json", "application/json", "application/fhir+json", "application/fhir%2Bjson"):
        assert served.fhir.get(f"/Goal/format?_format={format_}", headers=xml).status_code == 200
        assert served.fhir.get(f"/Goal?_format={format_}", headers=xml).status_code == 200
    assert issue_of(served.fhir.get("/Goal/format?_format=xml")) == (406, "not-supported", "")


def test_an_empty_format_says_nothing(served: Served) -> None:
    served.save({**GOAL, "id": "format"})
    for path in ("/Goal/format", "/Goal", "/Goal/format/_history"):
        assert served.fhir.get(f"{path}?_format=").status_code == 200
        refused = served.fhir.get(f"{path}?_format=", headers={"Accept": "application/fhir+xml"})
        assert issue_of(refused) == (406, "not-supported", "")


@pytest.mark.parametrize("name", ["_elements", "_summary"])
def test_part_of_a_resource_is_refused_rather_than_the_whole_passed_off_as_it(served: Served, name: str) -> None:
    served.save({**GOAL, "id": "part"})
    assert issue_of(served.fhir.get(f"/Goal/part?{name}=text")) == (400, "not-supported", name)


def test_host_that_is_none_does_not_get_into_links(served: Served) -> None:
    answer = served.fhir.get("/Goal", headers={"Host": 'localhost/"evil'})
    assert answer.status_code == 400


def test_history_is_read_in_pages_newest_first(serve: Callable[[], Served]) -> None:
    served = serve()
    for _ in range(3):
        served.save({**GOAL, "id": "a"}, {**GOAL, "id": "b"}, {"resourceType": "Patient", "id": "p"})
        served.clock.move(hours=1)

    def walk(path: str) -> list[str]:
        seen, url, pages = [], path, 0
        while url:
            bundle = served.fhir.get(url).json()
            assert bundle["type"] == "history"
            seen += [f"{e['request']['url']} {e['response']['etag']}" for e in bundle.get("entry", [])]
            url = next((link["url"] for link in bundle["link"] if link["relation"] == "next"), "")
            pages += 1
        assert pages > 1 or "_count" not in path
        return seen

    assert walk("/Goal/a/_history?_count=2") == ['Goal/a W/"3"', 'Goal/a W/"2"', 'Goal/a W/"1"']
    assert walk("/Goal/_history?_count=2") == [f'Goal/{i} W/"{v}"' for v in (3, 2, 1) for i in "ba"]
    whole = [f'{r} W/"{v}"' for v in (3, 2, 1) for r in ("Patient/p", "Goal/b", "Goal/a")]
    assert walk("/_history?_count=2") == whole == walk("/_history")
    assert walk("/_history?_since=2025-02-19T14:00:00Z&_count=2") == whole[:3]
    assert walk("/Goal/_history?_since=2025-02-19T15:00:00%2B01:00") == ['Goal/b W/"3"', 'Goal/a W/"3"']
    assert walk("/Goal/_history?_since=2025-02-20") == []
    assert walk("/Goal/a/_history?_since=2025-02-19T13:00:00.001Z") == ['Goal/a W/"3"']


def test_history_entries_say_how_to_repeat_them(serve: Callable[[], Served]) -> None:
    served = serve()
    served.save({**GOAL, "id": "a"}, {**GOAL, "id": "a"})
    second, first = served.fhir.get("/Goal/a/_history").json()["entry"]
    assert first["fullUrl"] == f"{served.address}/fhir/Goal/a"
    assert (first["response"]["status"], second["response"]["status"]) == ("201", "200")
    assert second["request"] == {"method": "PUT", "url": "Goal/a"}
    assert second["response"]["lastModified"] == "2025-02-19T12:00:00.000Z"
    assert second["resource"]["meta"]["versionId"] == "2"


@pytest.mark.parametrize(
    ("query", "name"),
    [("_since=yesterday", "_since"), ("_count=-1", "_count"), ("_at=2025", "_at"), ("_page=x", "_page")],
)
def test_history_that_is_asked_for_wrongly_is_refused(served: Served, query: str, name: str) -> None:
    status, _, path = issue_of(served.fhir.get(f"/Goal/_history?{query}"))
    assert (status, path) == (400, name)
