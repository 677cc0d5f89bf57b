"""Fetching as a municipal system does: what changed since a cursor, its records and its receipts."""

from __future__ import annotations

from typing import Any
from urllib.parse import quote

import pytest
import requests

from fhir_adapter.flows import pull
from tests.flows.conftest import Town


def test_a_page_of_changes_is_filled_with_the_partys_own(
    town: Town, sip: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pull, "BATCH", 2)
    for number in range(5):
        assert town.push(sip | {"id": f"S-{number}"}).status_code == 201
    for number in range(3):
        assert town.push(sip | {"id": f"N-{number}"}, party="nykvarn").status_code == 201
    page = town.get("/parties/nykvarn/records").json()
    assert ([each["record"] for each in page["records"]], page["more"]) == (["N-0", "N-1", "N-2"], False)
    seen, page = [], {"cursor": "0", "more": True}
    while page["more"]:
        page = town.get("/parties/nykvarn/records", since=page["cursor"], count=1).json()
        seen += [each["record"] for each in page["records"]]
    assert seen == ["N-0", "N-1", "N-2"]


def test_a_cursor_that_was_never_given_out_is_refused(town: Town, sip: dict[str, Any]) -> None:
    cursor = town.push(sip).json() and town.get("/parties/sodertalje/records").json()["cursor"]
    assert town.get("/parties/sodertalje/records", since=cursor).json()["records"] == []
    refused = town.get("/parties/sodertalje/records", since=str(int(cursor) + 1))
    assert refused.status_code == 400
    assert refused.json()["issues"][0]["path"] == "since"


@pytest.mark.parametrize("key", ["2025/0042", "nyckel-åäö", "a?b#c%2F", "K" * 200])
def test_a_receipt_is_found_again_under_whatever_key_it_was_given(town: Town, sip: dict[str, Any], key: str) -> None:
    headers = {"Content-Type": "application/json", "Idempotency-Key": key.encode()}
    given = requests.post(f"{town.address}/parties/sodertalje/records", json=sip, headers=headers, timeout=30)
    assert (given.status_code, given.json()["key"]) == (201, key)
    fetched = town.get(f"/parties/sodertalje/receipts/{quote(key, safe='')}")
    assert (fetched.status_code, fetched.json()) == (200, given.json())


def test_a_receipt_of_a_refusal_can_be_fetched_like_any_other(town: Town, sip: dict[str, Any]) -> None:
    refused = town.push(sip | {"status": "hittepå"}, key="k")
    assert refused.status_code == 422
    fetched = town.get("/parties/sodertalje/receipts/k")
    assert (fetched.status_code, fetched.json()) == (200, refused.json())


@pytest.mark.parametrize(
    ("path", "allowed"),
    [
        ("/parties/sodertalje/records", "GET, POST, HEAD"),
        ("/parties/sodertalje/records/SIP-1", "GET, HEAD"),
        ("/parties/sodertalje/receipts/k", "GET, HEAD"),
        ("/health", "GET, HEAD"),
        ("/", "GET, HEAD"),
    ],
)
def test_a_wrong_method_is_told_all_that_there_are(town: Town, path: str, allowed: str) -> None:
    refused = requests.put(f"{town.address}{path}", timeout=30)
    assert (refused.status_code, refused.headers["Allow"]) == (405, allowed)
    (issue,) = refused.json()["issues"]
    assert (issue["message"], issue["expected"]) == ("PUT is not offered here", allowed)


def test_records_of_a_fhir_server_are_offered_by_no_method(town: Town, sip: dict[str, Any]) -> None:
    refused = town.push(sip, party="region-stockholm")
    assert (refused.status_code, refused.headers["Allow"]) == (405, "")


@pytest.mark.parametrize("path", ["/health", "/parties", "/parties/sodertalje/records/SIP-1", "/parties/x/records"])
def test_head_says_what_get_would(town: Town, sip: dict[str, Any], path: str) -> None:
    town.push(sip)
    head, get = requests.head(f"{town.address}{path}", timeout=30), town.get(path)
    assert (head.status_code, head.content) == (get.status_code, b"")
    for name in ("Content-Length", "Content-Type", "ETag"):
        assert head.headers.get(name) == get.headers.get(name)


@pytest.mark.parametrize("tags", ['W/"1"', '"1"', '"7", W/"1"', "*"])
def test_a_record_that_is_known_already_is_not_sent_again(town: Town, sip: dict[str, Any], tags: str) -> None:
    town.push(sip)
    url = f"{town.address}/parties/sodertalje/records/SIP-1"
    assert requests.get(url, headers={"If-None-Match": tags}, timeout=30).status_code == 304
    assert requests.get(url, headers={"If-None-Match": '"7"'}, timeout=30).status_code == 200


@pytest.mark.parametrize("path", ["/", "/parties/sodertalje/records/SIP-1", "/fhir/CarePlan", "/sandbox/fhir/CarePlan"])
def test_a_page_whose_name_was_made_to_point_here_reads_nothing(town: Town, sip: dict[str, Any], path: str) -> None:
    town.push(sip)
    town.sync()
    port = town.address.rpartition(":")[2]
    for host in ("rebound.example", f"rebound.example:{port}", "127.0.0.1.rebound.example", "[::", "127.0.0.1@x"):
        refused = requests.get(f"{town.address}{path}", headers={"Host": host}, timeout=30)
        assert refused.status_code == 421
        assert "SIP" not in refused.text
    for host in ("localhost", f"LOCALHOST:{port}", f"127.0.0.1:{port}", f"[::1]:{port}"):
        assert requests.get(f"{town.address}{path}", headers={"Host": host}, timeout=30).status_code == 200
    assert "OperationOutcome" in requests.get(f"{town.address}/fhir/x", headers={"Host": "x"}, timeout=30).text
