"""Every error as HTTP: an OperationOutcome for FHIR, issues for parties, and no text of what nobody foresaw."""

from __future__ import annotations

import json
from collections.abc import Iterator

import httpx
import pytest
from fastapi import FastAPI, Query
from starlette.exceptions import HTTPException

from fhir_adapter import errors
from fhir_adapter.errors import AdapterError, Issue, RemoteError
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.web.failures import answer_with_issues, as_issues, as_outcome

KINDS = [kind for kind in vars(errors).values() if isinstance(kind, type) and issubclass(kind, AdapterError)]
ISSUES = [
    Issue("error", "value", "insatser[2].ansvarig", "unknown", "a name of deltagare"),
    Issue("warning", "business-rule", "", "check digit"),
]


@pytest.mark.parametrize("kind", KINDS)
def test_error_is_told_to_fhir_clients_as_an_outcome(kind: type[AdapterError]) -> None:
    answer = as_outcome(kind("two things", issues=ISSUES))
    assert (answer.status_code, answer.headers["content-type"]) == (kind.status, "application/fhir+json; charset=utf-8")
    assert json.loads(bytes(answer.body)) == {
        "resourceType": "OperationOutcome",
        "issue": [
            {
                "severity": "error",
                "code": "value",
                "diagnostics": "unknown (expected: a name of deltagare)",
                "expression": ["insatser[2].ansvarig"],
            },
            {"severity": "warning", "code": "business-rule", "diagnostics": "check digit"},
        ],
    }


@pytest.mark.parametrize("kind", KINDS)
def test_error_is_told_to_parties_as_issues(kind: type[AdapterError]) -> None:
    answer = as_issues(kind("two things", issues=ISSUES))
    assert (answer.status_code, answer.headers["content-type"]) == (kind.status, "application/json; charset=utf-8")
    assert json.loads(bytes(answer.body)) == {"issues": [issue.as_dict() for issue in ISSUES]}


def test_system_that_asks_for_patience_has_it_passed_on() -> None:
    assert as_issues(RemoteError("busy", answered=429, retry_after=7.4)).headers["retry-after"] == "7"


def test_what_nobody_foresaw_tells_and_logs_no_text(capsys: pytest.CaptureFixture[str]) -> None:
    try:
        raise KeyError("198507142381")
    except KeyError as fault:
        answers = [as_outcome(fault), as_issues(fault)]
    shown = capsys.readouterr()
    for answer in answers:
        assert answer.status_code == 500
        assert b"198507142381" not in bytes(answer.body)
    assert "198507142381" not in shown.out + shown.err
    assert "KeyError" in shown.out + shown.err


def test_framework_s_own_refusals_keep_their_status() -> None:
    answer = as_outcome(HTTPException(405, "no", {"allow": "GET"}))
    assert (answer.status_code, answer.headers["allow"]) == (405, "GET")
    assert json.loads(bytes(answer.body))["issue"][0]["code"] == "not-supported"


@pytest.fixture(scope="module")
def party_side() -> Iterator[httpx.Client]:
    """A small app whose every error is answered with issues."""
    app = FastAPI()
    answer_with_issues(app)

    @app.get("/bug")
    def bug() -> None:
        raise KeyError("198507142381")

    @app.get("/refused")
    def refused() -> None:
        raise errors.Refused("no", ISSUES)

    @app.get("/count")
    def count(count: int = Query(ge=1)) -> int:
        return count

    listening = listen("127.0.0.1", 0)
    address = address_of(listening)
    with answering_in_a_thread(app, listening), httpx.Client(base_url=address) as client:
        yield client


@pytest.mark.parametrize(
    ("method", "path", "status", "code", "field"),
    [
        ("GET", "/refused", 422, "value", "insatser[2].ansvarig"),
        ("GET", "/nothing", 404, "not-found", ""),
        ("POST", "/count", 405, "not-supported", ""),
        ("GET", "/count?count=0", 400, "value", "count"),
        ("GET", "/bug", 500, "exception", ""),
    ],
)
def test_party_is_answered_with_issues(
    party_side: httpx.Client, method: str, path: str, status: int, code: str, field: str
) -> None:
    answer = party_side.request(method, path)
    issue = answer.json()["issues"][0]
    assert (answer.status_code, issue["code"], issue["path"]) == (status, code, field)


def test_fault_in_our_code_leaves_no_text_in_the_servers_log(
    party_side: httpx.Client, capfd: pytest.CaptureFixture[str]
) -> None:
    party_side.get("/bug")
    shown = capfd.readouterr()
    assert "198507142381" not in shown.out + shown.err
    assert "KeyError" in shown.out + shown.err
