"""Fetching as a municipal system does: what changed since a cursor, its records and its receipts."""

from __future__ import annotations

import copy
from typing import Any
from urllib.parse import quote
from uuid import uuid4

import pytest
import requests

from fhir_adapter.flows import pull
from fhir_adapter.store import plans
from tests.flows.conftest import Town
from tests.flows.five_parties import a_plan_of_five


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


@pytest.mark.parametrize("one_read_in_full", [0, 50], ids=["through what changed", "through what it knows"])
def test_the_feed_tells_of_what_a_party_joins_and_of_nothing_that_it_may_not_see(
    town: Town, monkeypatch: pytest.MonkeyPatch, one_read_in_full: int
) -> None:
    """Whether those that could concern it are looked through or whatever changed: the answers are the same."""
    monkeypatch.setattr(plans, "ONE_READ_IN_FULL", one_read_in_full)
    sip = a_plan_of_five("198507142381")
    alone = sip | {"deltagare": sip["deltagare"][:-3], "insatser": sip["insatser"][:-3]}
    cursor = "0"

    def told(record: dict[str, Any]) -> list[str]:
        nonlocal cursor
        assert town.push(record).status_code in (200, 201)
        assert (
            town.push(sip | {"id": f"S-{uuid4()}", "deltagare": alone["deltagare"], "insatser": []}).status_code == 201
        )
        page = town.get("/parties/nykvarn/records", since=cursor).json()
        cursor = page["cursor"]
        assert not page["more"]
        return [each["record"] for each in page["records"]]

    assert told(alone) == []
    assert told(sip) == [sip["id"]]
    assert told(sip | {"samtycke": sip["samtycke"] | {"status": "återkallat"}}) == []
    assert town.get("/parties/nykvarn/records").json()["records"] == []
    assert told(sip) == [sip["id"]]
    assert told(sip) == []
    assert len(town.get("/parties/nykvarn/records").json()["records"]) == 1


def test_a_cursor_that_was_never_given_out_is_refused(town: Town, sip: dict[str, Any]) -> None:
    cursor = town.push(sip).json() and town.get("/parties/sodertalje/records").json()["cursor"]
    assert town.get("/parties/sodertalje/records", since=cursor).json()["records"] == []
    for wrong in ("", "-1", " 1", "1e3", "\u0661"):  # the last is a digit, and one of ours would never be written so
        assert town.get("/parties/sodertalje/records", since=wrong).status_code == 400, wrong
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


def test_two_municipalities_may_use_the_same_record_ids(town: Town, sip: dict[str, Any]) -> None:
    """What others brought is shown under their id only while that is nobody else's: it would stand in the place of the
    party's own record, which may be about another person."""
    theirs, own = about(sip, "196101182803"), about(sip, "200001252386")
    assert town.push(theirs, party="nykvarn").status_code == 201
    assert persons_shown(town) == {sip["id"]: "196101182803"}
    plan = town.get("/parties/sodertalje/records").json()["records"][0]["plan"]["id"]
    assert town.push(own).status_code == 201, "it was refused as about another person than Nykvarn's record"
    assert persons_shown(town) == {sip["id"]: "200001252386", plan: "196101182803"}
    own["mal"][0]["text"] = "Jag har en egen hund."
    assert town.push(own).json()["state"] == "accepted"
    assert town.record()["mal"][0]["text"] == "Jag har en egen hund."
    assert town.record(party="nykvarn") == theirs


def test_what_goes_by_the_plans_id_is_changed_under_it(town: Town, sip: dict[str, Any]) -> None:
    assert town.push(about(sip, "200001252386")).status_code == 201
    plan = town.push(about(sip, "196101182803"), party="nykvarn").json()["plan"]["id"]
    shown = town.record(plan)
    assert shown["id"] == plan
    goals = {goal["id"] for goal in town.record("SIP-1", party="nykvarn")["mal"]}
    assert town.push(shown).json()["state"] == "unchanged"
    shown["anteckningar"] = [{"text": "Vi ses på torsdag.", "av": "Karin Ödman"}]
    answer = town.push(shown).json()
    assert (answer["state"], answer["conflicts"], answer["plan"]["id"]) == ("accepted", [], plan)
    found = town.record("SIP-1", party="nykvarn")
    assert [note["text"] for note in found["anteckningar"]] == ["Vi ses på torsdag."]
    assert {goal["id"] for goal in found["mal"]} == goals
    assert "anteckningar" not in town.record("SIP-1")


def about(sip: dict[str, Any], number: str) -> dict[str, Any]:
    return copy.deepcopy(sip) | {"person": sip["person"] | {"personnummer": number}}


def persons_shown(town: Town) -> dict[str, str]:
    records = town.get("/parties/sodertalje/records").json()["records"]
    assert all(one["content"]["id"] == one["record"] for one in records)
    return {one["record"]: one["content"]["person"]["personnummer"] for one in records}


def test_who_sends_back_an_earlier_answer_does_not_put_back_what_changed_until_the_next(
    town: Town, sip: dict[str, Any]
) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    there = town.at_region(f"CarePlan/{plan}")
    goal = {"resourceType": "Goal", "id": "g88", "lifecycleStatus": "active", "subject": there["subject"]}
    town.put_at_region(goal | {"description": {"text": "Sova bättre"}})
    town.put_at_region(there | {"goal": [*there["goal"], {"reference": "Goal/g88"}]})
    town.sync()
    taken_up = town.record("SIP-1")
    goals = [one["text"] for one in taken_up["mal"]]
    town.put_at_region(town.at_region("Goal/g88") | {"description": {"text": "Sova hela natten"}})
    town.sync()
    assert town.record("SIP-1")["mal"] != taken_up["mal"]
    answer = town.push(taken_up | {"title_local": "Nytt namn"}).json()
    now = [one["text"] for one in town.record("SIP-1")["mal"]]
    assert now == ["Sova hela natten" if text == "Sova bättre" else text for text in goals]
    told = [(each["path"], each["message"]) for each in answer["issues"]]
    assert told == [(f"mal[{goals.index('Sova bättre')}].text", told[0][1])]
    assert "the newer value was kept" in told[0][1]
    assert town.record("SIP-1")["title_local"] == "Nytt namn"


def test_no_cache_on_the_way_keeps_what_is_about_a_person(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    kept_by_the_reader = (f"/fhir/CarePlan/{plan}", "/parties/sodertalje/records/SIP-1")
    for path in kept_by_the_reader:
        assert town.get(path).headers["cache-control"] == "private, no-cache", path
    kept_by_nobody = ("/fhir/CarePlan", "/fhir/_history", "/fhir/CarePlan/unknown", "/parties/sodertalje/records",
                      "/parties/sodertalje/conflicts", "/parties/unknown/records", f"/plans/{plan}")  # fmt: skip
    for path in kept_by_nobody:
        assert town.get(path).headers["cache-control"] == "no-store", path
