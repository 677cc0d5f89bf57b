"""The FHIR client against a real HTTP server that misbehaves in every way that others' servers do."""

from __future__ import annotations

import contextlib
import json
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from decimal import Decimal
from email.message import Message
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any
from urllib.parse import parse_qs

import pytest

from fhir_adapter.errors import RemoteConflict, RemoteError
from fhir_adapter.remotes.client import Entry, FhirClient
from fhir_adapter.remotes.directory import find_by_identifiers

PERSON_NUMBER = "191212121212"
PLAN = {"resourceType": "CarePlan", "id": "p1", "meta": {"versionId": "3", "lastUpdated": "2026-11-22T08:00:00Z"}}


@dataclass
class Reply:
    body: Any = b""
    status: int = 200
    headers: dict[str, str] = field(default_factory=dict)
    silence: float = 0.0
    cut: bool = False

    def raw(self) -> bytes:
        return self.body if isinstance(self.body, bytes) else json.dumps(self.body).encode()


@dataclass
class Request:
    method: str
    path: str
    headers: Message
    body: bytes


class OtherSystem:
    """A server that gives the replies it was told to (the last one again and again) and notes what it was asked."""

    def __init__(self) -> None:
        self.replies: list[Reply] = []
        self.requests: list[Request] = []
        self.url = ""

    def answers(self, *replies: Reply) -> None:
        self.replies = list(replies)

    def next_reply(self) -> Reply:
        return self.replies.pop(0) if len(self.replies) > 1 else self.replies[0]


@pytest.fixture
def other() -> Iterator[OtherSystem]:
    system = OtherSystem()
    released = threading.Event()

    class Handler(BaseHTTPRequestHandler):
        def reply(self) -> None:
            length = int(self.headers.get("Content-Length") or 0)
            system.requests.append(Request(self.command, self.path, self.headers, self.rfile.read(length)))
            reply = system.next_reply()
            released.wait(reply.silence)
            raw = reply.raw()
            self.send_response_only(reply.status)
            for name, value in reply.headers.items():
                self.send_header(name, value)
            self.send_header("Content-Length", str(len(raw) + (100 if reply.cut else 0)))
            self.end_headers()
            self.wfile.write(raw)

        def do_GET(self) -> None:
            self.reply()

        def do_POST(self) -> None:
            self.reply()

        def log_message(self, *_: object) -> None:
            """Tests are quiet."""

    class Server(ThreadingHTTPServer):
        def handle_error(self, *_: object) -> None:
            """A client that hangs up is part of these tests."""

    server = Server(("127.0.0.1", 0), Handler)
    system.url = f"http://127.0.0.1:{server.server_port}/fhir"
    thread = threading.Thread(target=server.serve_forever, args=(0.01,))
    thread.start()
    yield system
    released.set()
    server.shutdown()
    thread.join()
    server.server_close()


@pytest.fixture
def naps() -> list[float]:
    return []


@pytest.fixture
def client(other: OtherSystem, naps: list[float]) -> Iterator[FhirClient]:
    client = FhirClient(other.url, timeout=5, sleep=naps.append)
    yield client
    client.close()


def bundle(*resources: dict[str, Any], next_link: str | None = None) -> dict[str, Any]:
    links = [{"relation": "next", "url": next_link}] if next_link else []
    return {"resourceType": "Bundle", "link": links, "entry": [{"resource": resource} for resource in resources]}


def test_read_gives_the_current_version(other: OtherSystem, client: FhirClient) -> None:
    other.answers(Reply(PLAN))
    version = client.read("CarePlan", "p1")
    assert version is not None
    assert (version.type, version.id, version.version, version.updated, version.deleted) == (
        "CarePlan", "p1", "3", "2026-11-22T08:00:00Z", False,
    )  # fmt: skip
    assert other.requests[0].path == "/fhir/CarePlan/p1"
    assert other.requests[0].headers["Accept"] == "application/fhir+json"


def test_read_takes_the_version_from_the_etag_when_meta_has_none(other: OtherSystem, client: FhirClient) -> None:
    other.answers(Reply({"resourceType": "Goal", "id": "g"}, headers={"ETag": 'W/"7"'}))
    version = client.read("Goal", "g")
    assert version is not None
    assert version.version == "7"


def test_read_keeps_every_digit_of_a_decimal(other: OtherSystem, client: FhirClient) -> None:
    other.answers(Reply(b'{"resourceType":"Observation","id":"o","valueQuantity":{"value":1.00}}'))
    version = client.read("Observation", "o")
    assert version is not None
    assert version.resource is not None
    assert str(version.resource["valueQuantity"]["value"]) == "1.00"
    assert isinstance(version.resource["valueQuantity"]["value"], Decimal)


def test_read_of_what_never_was_is_none_and_of_what_is_gone_is_deleted(other: OtherSystem, client: FhirClient) -> None:
    other.answers(Reply(status=404), Reply(status=410))
    assert client.read("Goal", "never") is None
    gone = client.read("Goal", "gone")
    assert gone is not None
    assert gone.deleted
    assert gone.resource is None


def test_a_passing_fault_is_tried_again_and_not_noticed(
    other: OtherSystem, client: FhirClient, naps: list[float]
) -> None:
    other.answers(Reply(b"<html>bad gateway</html>", 502), Reply(status=503), Reply(PLAN))
    assert client.read("CarePlan", "p1") is not None
    assert len(other.requests) == 3
    assert len(naps) == 2


def test_an_html_page_of_a_gateway_is_a_remote_error_without_the_page(other: OtherSystem, client: FhirClient) -> None:
    other.answers(Reply(b"<html>Bad Gateway for patient Anna</html>", 502, {"Content-Type": "text/html"}))
    with pytest.raises(RemoteError) as caught:
        client.read("CarePlan", "p1")
    assert caught.value.answered == 502
    assert caught.value.retry
    assert "Anna" not in str(caught.value)
    assert len(other.requests) == 3


def test_an_html_page_that_says_200_is_an_error_that_trying_again_does_not_help(
    other: OtherSystem, client: FhirClient
) -> None:
    other.answers(Reply(b"<html>log in first</html>"))
    with pytest.raises(RemoteError, match="not a FHIR resource") as caught:
        client.capability()
    assert not caught.value.retry
    assert len(other.requests) == 1


@pytest.mark.parametrize("body", [b"", b"[]", b'{"a":1}', b'"x"', b"\xff\xfe", b"{" * 100_000])
def test_an_answer_that_is_no_resource_is_a_remote_error(other: OtherSystem, client: FhirClient, body: bytes) -> None:
    other.answers(Reply(body))
    with pytest.raises(RemoteError, match="not a FHIR resource"):
        client.read("CarePlan", "p1")


def test_retry_after_is_waited_for_when_it_is_short(other: OtherSystem, client: FhirClient, naps: list[float]) -> None:
    other.answers(Reply(status=503, headers={"Retry-After": "4"}), Reply(PLAN))
    client.read("CarePlan", "p1")
    assert naps == [4.0]


def test_a_long_retry_after_is_told_at_once(other: OtherSystem, client: FhirClient, naps: list[float]) -> None:
    other.answers(Reply(status=429, headers={"Retry-After": "120"}))
    with pytest.raises(RemoteError) as caught:
        client.read("CarePlan", "p1")
    assert caught.value.retry_after == 120.0
    assert naps == []
    assert len(other.requests) == 1


def test_a_date_in_retry_after_is_read_by_the_servers_own_clock(other: OtherSystem, client: FhirClient) -> None:
    dates = {"Date": "Sun, 22 Nov 2020 08:00:00 GMT", "Retry-After": "Sun, 22 Nov 2020 08:01:30 GMT"}
    other.answers(Reply(status=503, headers=dates))
    with pytest.raises(RemoteError) as caught:
        client.read("CarePlan", "p1")
    assert caught.value.retry_after == 90.0


@pytest.mark.parametrize("asked", ["soon", "-5", "1e9", "Sun, 99 Nov 2020 08:00:00 GMT", "²"])
def test_a_retry_after_that_says_nothing_is_left_out(other: OtherSystem, client: FhirClient, asked: str) -> None:
    other.answers(Reply(status=400, headers={"Retry-After": asked.encode().decode("latin-1")}))
    with pytest.raises(RemoteError) as caught:
        client.read("CarePlan", "p1")
    assert caught.value.retry_after is None


def test_silence_is_an_error_without_a_status(other: OtherSystem) -> None:
    impatient = FhirClient(other.url, timeout=0.05, attempts=1)
    other.answers(Reply(PLAN, silence=30))
    with pytest.raises(RemoteError) as caught:
        impatient.read("CarePlan", "p1")
    assert caught.value.answered is None
    assert caught.value.retry
    impatient.close()


def test_an_answer_that_breaks_off_is_an_error_that_may_pass(other: OtherSystem) -> None:
    client = FhirClient(other.url, timeout=0.2, attempts=1)
    other.answers(Reply(PLAN, cut=True))
    with pytest.raises(RemoteError) as caught:
        client.read("CarePlan", "p1")
    assert caught.value.retry
    client.close()


def test_nobody_there_is_an_error_that_may_pass_and_keeps_the_address_of_the_person_out() -> None:
    with socket.socket() as closed:
        closed.bind(("127.0.0.1", 0))
        client = FhirClient(f"http://127.0.0.1:{closed.getsockname()[1]}/fhir", attempts=1)
        with pytest.raises(RemoteError) as caught:
            client.read("Patient", PERSON_NUMBER)
    assert caught.value.answered is None
    assert caught.value.retry
    assert PERSON_NUMBER not in str(caught.value)
    client.close()


def test_a_redirect_is_not_followed(other: OtherSystem, client: FhirClient) -> None:
    other.answers(Reply(status=302, headers={"Location": f"{other.url}/CarePlan/other"}))
    with pytest.raises(RemoteError, match="redirects are not followed"):
        client.read("CarePlan", "p1")
    assert len(other.requests) == 1


def test_search_sends_the_person_number_in_the_body_and_not_in_the_url(other: OtherSystem, client: FhirClient) -> None:
    other.answers(Reply(bundle(PLAN)))
    assert list(client.search("CarePlan", {"patient.identifier": PERSON_NUMBER, "status": ["active", "draft"]})) == [
        PLAN
    ]
    request = other.requests[0]
    assert (request.method, request.path) == ("POST", "/fhir/CarePlan/_search")
    asked = parse_qs(request.body.decode())
    assert asked["patient.identifier"] == [PERSON_NUMBER]
    assert asked["status"] == ["active", "draft"]


def test_search_follows_the_pages_and_leaves_out_the_outcome(other: OtherSystem, client: FhirClient) -> None:
    outcome = {"search": {"mode": "outcome"}, "resource": {"resourceType": "OperationOutcome"}}
    first = bundle({"resourceType": "Goal", "id": "1"}, next_link="?_getpages=2")
    last = bundle({"resourceType": "Goal", "id": "2"})
    last["entry"].append(outcome)
    other.answers(Reply(first), Reply(last))
    assert [goal["id"] for goal in client.search("Goal", {})] == ["1", "2"]
    assert other.requests[1].path == "/fhir/?_getpages=2"


LINKS_AWAY = [
    "http://other.example/fhir?page=2",
    "https://127.0.0.1/fhir",
    "//evil.example/x",
    "file:///etc/passwd",
    "http://[x",
    "http://h:x/",
]


@pytest.mark.parametrize("link", LINKS_AWAY)
def test_a_next_link_to_another_host_is_refused(other: OtherSystem, client: FhirClient, link: str) -> None:
    other.answers(Reply(bundle(PLAN, next_link=link)))
    with pytest.raises(RemoteError, match="another host"):
        list(client.search("CarePlan", {}))
    assert len(other.requests) == 1


def test_pages_that_go_in_a_circle_are_noticed(other: OtherSystem, client: FhirClient) -> None:
    other.answers(Reply(bundle(PLAN, next_link="?page=2")))
    with pytest.raises(RemoteError, match="same next link twice"):
        list(client.search("CarePlan", {}))
    assert len(other.requests) == 2


def test_an_operation_outcome_is_kept_as_issues_without_its_free_text(other: OtherSystem, client: FhirClient) -> None:
    outcome = {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "fatal",
                "code": "required",
                "diagnostics": f"HAPI-0550: Anna {PERSON_NUMBER} lives at",
                "details": {"text": f"Anna {PERSON_NUMBER}"},
                "expression": ["CarePlan.activity[2].reference"],
            },
            {"severity": "warning", "code": PERSON_NUMBER, "expression": [f"Patient.where(id='{PERSON_NUMBER}')"]},
            "nonsense",
            {"severity": ["x"], "code": {}, "expression": "y"},
        ],
    }
    other.answers(Reply(outcome, 422))
    with pytest.raises(RemoteError) as caught:
        client.transaction([Entry(PLAN)])
    first, second, third = caught.value.issues
    assert (first.severity, first.code, first.path) == ("error", "required", "CarePlan.activity[2].reference")
    assert "HAPI-0550" in first.message
    assert (second.severity, second.code, second.path) == ("warning", "exception", "")
    assert (third.severity, third.code, third.path) == ("error", "exception", "")
    told = str(caught.value) + str([issue.as_dict() for issue in caught.value.issues])
    assert PERSON_NUMBER not in told
    assert "Anna" not in told


def test_history_is_oldest_first_and_each_version_once(other: OtherSystem, client: FhirClient) -> None:
    def entry(version: str) -> dict[str, Any]:
        return {
            "resource": {
                "resourceType": "Goal",
                "id": "g",
                "meta": {"versionId": version, "lastUpdated": f"t{version}"},
            },
            "request": {"method": "PUT", "url": "Goal/g"},
        }

    deletion = {
        "fullUrl": f"{other.url}/Goal/g",
        "request": {"method": "DELETE", "url": "Goal/g/_history/4"},
        "response": {"status": "204", "lastModified": "t4"},
    }
    link = [{"relation": "next", "url": f"{other.url}?page=2"}]
    first = {"resourceType": "Bundle", "type": "history", "entry": [deletion, entry("3")], "link": link}
    other.answers(Reply(first), Reply({"resourceType": "Bundle", "entry": [entry("3"), entry("2")]}))
    versions = client.history("Goal", "g", since="2026-11-22T00:00:00Z")
    assert [(v.type, v.id, v.version, v.updated, v.deleted) for v in versions] == [
        ("Goal", "g", "2", "t2", False),
        ("Goal", "g", "3", "t3", False),
        ("Goal", "g", "4", "t4", True),
    ]
    assert other.requests[0].path.startswith("/fhir/Goal/g/_history?")
    assert "_since=2026-11-22T00%3A00%3A00Z" in other.requests[0].path


def test_a_deletion_known_by_its_full_url_and_etag_alone_is_understood(other: OtherSystem, client: FhirClient) -> None:
    deletion = {
        "fullUrl": f"{other.url}/Goal/g",
        "request": {"method": "DELETE"},
        "response": {"etag": 'W/"9"', "lastModified": "t9"},
    }
    other.answers(Reply({"resourceType": "Bundle", "entry": [deletion]}))
    (version,) = client.history()
    assert (version.type, version.id, version.version, version.deleted) == ("Goal", "g", "9", True)
    assert other.requests[0].path.startswith("/fhir/_history")


def test_a_transaction_puts_each_under_its_id_if_the_version_is_still_the_one_seen(
    other: OtherSystem, client: FhirClient
) -> None:
    goal = {"resourceType": "Goal", "id": "g", "description": {"text": "åäö"}}
    answer = {
        "resourceType": "Bundle",
        "type": "transaction-response",
        "entry": [
            {"response": {"status": "200", "etag": 'W/"4"', "lastModified": "t4"}, "resource": PLAN},
            {"response": {"status": "201", "location": "Goal/g/_history/1", "lastModified": "t1"}},
        ],
    }
    other.answers(Reply(answer))
    plan, written_goal = client.transaction([Entry(PLAN, if_match="3"), Entry(goal)])
    assert (plan.version, plan.resource) == ("3", PLAN)
    assert (written_goal.id, written_goal.version, written_goal.resource) == ("g", "1", None)
    sent = json.loads(other.requests[0].body)
    assert [entry["request"] for entry in sent["entry"]] == [
        {"method": "PUT", "url": "CarePlan/p1", "ifMatch": 'W/"3"'},
        {"method": "PUT", "url": "Goal/g"},
    ]
    assert sent["entry"][1]["resource"] == goal
    assert other.requests[0].headers["Content-Type"] == "application/fhir+json"
    assert other.requests[0].headers["Prefer"] == "return=representation"
    assert other.requests[0].path == "/fhir"


@pytest.mark.parametrize("status", [409, 412])
def test_a_version_that_is_not_current_there_is_a_conflict(other: OtherSystem, client: FhirClient, status: int) -> None:
    other.answers(Reply(status=status))
    with pytest.raises(RemoteConflict) as caught:
        client.transaction([Entry(PLAN, if_match="1")])
    assert caught.value.answered == status
    assert not caught.value.retry


def test_a_transaction_is_never_tried_twice(other: OtherSystem, client: FhirClient) -> None:
    other.answers(Reply(status=503))
    with pytest.raises(RemoteError):
        client.transaction([Entry(PLAN)])
    assert len(other.requests) == 1


def test_a_transaction_of_nothing_asks_nothing(other: OtherSystem, client: FhirClient) -> None:
    assert client.transaction([]) == []
    assert other.requests == []


def test_a_resource_that_stands_twice_in_a_transaction_never_leaves(other: OtherSystem, client: FhirClient) -> None:
    with pytest.raises(ValueError, match="twice"):
        client.transaction([Entry(PLAN), Entry(PLAN, "3")])
    assert other.requests == []


def test_a_transaction_answered_with_fewer_entries_is_not_believed(other: OtherSystem, client: FhirClient) -> None:
    other.answers(Reply({"resourceType": "Bundle", "entry": []}))
    with pytest.raises(RemoteError, match="another number"):
        client.transaction([Entry(PLAN)])


GARBAGE = [
    {"entry": "x"}, {"entry": [1, None]}, {"link": {"relation": "next"}, "entry": [{"resource": []}]},
    {"entry": [{"search": 5, "request": "GET", "response": [], "resource": {"meta": 3, "id": 7}}]},
    {"link": [{"relation": "next", "url": 5}], "entry": [{"resource": {"resourceType": "Goal", "meta": []}}]},
]  # fmt: skip


@pytest.mark.parametrize("garbage", GARBAGE)
@pytest.mark.parametrize(
    "call", [lambda client: list(client.search("Goal", {})), lambda client: client.history("Goal")]
)
def test_a_bundle_of_a_shape_that_no_standard_knows_does_no_harm(
    other: OtherSystem, client: FhirClient, garbage: dict[str, Any], call: Callable[[FhirClient], list[Any]]
) -> None:
    other.answers(Reply({"resourceType": "Bundle"} | garbage))
    assert len(call(client)) <= 1


def test_an_answer_without_end_is_given_up() -> None:
    def drip() -> None:
        connection, _ = server.accept()
        with connection, contextlib.suppress(OSError):
            connection.recv(65536)
            connection.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
            while not hung_up.wait(0.002):
                connection.sendall(b"1\r\n \r\n")

    hung_up = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as server:
        thread = threading.Thread(target=drip)
        thread.start()
        client = FhirClient(f"http://127.0.0.1:{server.getsockname()[1]}", timeout=0.1, attempts=1)
        with pytest.raises(RemoteError, match="took longer"):
            client.capability()
        client.close()
        hung_up.set()
        thread.join()


NUMBER = ("urn:oid:1.2.752.129.2.1.3.1", PERSON_NUMBER)


def numbered(id_: str) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": id_, "identifier": [{"system": NUMBER[0], "value": NUMBER[1]}]}


def test_an_identifier_is_found_once_or_not_at_all(other: OtherSystem, client: FhirClient) -> None:
    other.answers(Reply(bundle(numbered("a"))), Reply(bundle()))
    unknown = (NUMBER[0], "unknown")
    assert find_by_identifiers(client, "Patient", [NUMBER, unknown]) == {NUMBER: numbered("a")}
    assert find_by_identifiers(client, "Patient", [unknown]) == {}
    asked = parse_qs(other.requests[0].body.decode())
    assert asked["identifier"] == [f"{NUMBER[0]}|{PERSON_NUMBER},{NUMBER[0]}|unknown"]


def test_two_with_the_same_identifier_are_never_guessed_between(other: OtherSystem, client: FhirClient) -> None:
    other.answers(Reply(bundle(numbered("a"), numbered("b"))))
    with pytest.raises(RemoteError) as caught:
        find_by_identifiers(client, "Patient", [NUMBER])
    assert caught.value.issues[0].code == "multiple-matches"
    assert PERSON_NUMBER not in str(caught.value)
    assert not caught.value.retry
