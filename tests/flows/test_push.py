"""Pushing a record: receipts, repeats and refusals, in the sender's words."""

from __future__ import annotations

import gzip
import json
import socket
import time
import unicodedata
from collections.abc import Iterator
from typing import Any
from urllib.parse import quote

import pytest
import requests

from fhir_adapter.web import bodies
from tests.flows.conftest import Town


def test_the_receipt_names_plan_and_version(town: Town, sip: dict[str, Any]) -> None:
    answer = town.push(sip)
    assert answer.status_code == 201
    receipt = answer.json()
    assert receipt["state"] == "accepted"
    assert receipt["plan"]["version"] == 1
    assert receipt["record"] == "SIP-1"
    assert receipt["conflicts"] == []


def test_the_same_key_and_body_get_the_same_receipt_and_change_nothing(town: Town, sip: dict[str, Any]) -> None:
    first, second = town.push(sip, key="k"), town.push(sip, key="k")
    assert (second.status_code, second.content) == (first.status_code, first.content)
    assert second.headers["Idempotent-Replayed"] == "true"
    assert town.get("/parties/sodertalje/receipts/k").json() == first.json()


def test_the_same_key_with_another_body_is_a_conflict(town: Town, sip: dict[str, Any]) -> None:
    town.push(sip, key="k")
    answer = town.push(sip | {"title_local": "en annan"}, key="k")
    assert answer.status_code == 409
    assert answer.json()["issues"][0]["path"] == "Idempotency-Key"
    assert town.record()["title_local"] == sip["title_local"]


def test_the_same_record_again_makes_no_new_version(town: Town, sip: dict[str, Any]) -> None:
    town.push(sip)
    again = town.push(sip)
    assert again.status_code == 200
    assert again.json()["state"] == "unchanged"
    assert again.json()["plan"]["version"] == 1


def test_a_changed_record_makes_the_next_version(town: Town, sip: dict[str, Any]) -> None:
    town.push(sip)
    sip["insatser"][0]["status"] = "klar"
    receipt = town.push(sip).json()
    assert receipt["plan"]["version"] == 2
    assert town.record() == sip


def test_an_intervention_that_is_left_out_is_ended_not_deleted(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    gone = sip["insatser"].pop(1)
    town.push(sip)
    care_plan = town.get(f"/fhir/CarePlan/{plan}").json()
    requests_ = [town.get(f"/fhir/{each['reference']['reference']}").json() for each in care_plan["activity"]]
    ended = next(request for request in requests_ if request.get("code", {}).get("text") == gone["text"])
    assert ended["status"] in ("revoked", "entered-in-error")


def test_a_record_that_lost_everything_is_parked(town: Town, sip: dict[str, Any]) -> None:
    town.push(sip)
    answer = town.push(sip | {"insatser": [], "mal": []})
    assert answer.status_code == 422
    assert answer.json()["state"] == "parked"
    assert len(town.record()["insatser"]) == len(sip["insatser"])


def test_unknown_fields_survive_and_are_reported(town: Town, sip: dict[str, Any]) -> None:
    sip["egetFalt"] = {"a": [1, 2.50]}
    receipt = town.push(sip).json()
    assert [field["path"] for field in receipt["unmapped"] if field["kind"] == "unknown"] == ["egetFalt"]
    assert town.record()["egetFalt"] == {"a": [1, 2.5]}


def test_another_person_under_the_same_record_is_refused(town: Town, sip: dict[str, Any]) -> None:
    town.push(sip)
    sip["person"]["personnummer"] = "196101182803"
    answer = town.push(sip)
    assert answer.status_code == 422
    assert answer.json()["issues"][0]["path"] == "person"


def test_five_thousand_words_and_decomposed_letters_come_back_as_sent(town: Town, sip: dict[str, Any]) -> None:
    sip["insatser"][0]["text"] = "ord\n\t<b>å</b> " * 5000
    sip["person"]["name"] = unicodedata.normalize("NFD", "Åsa Öström")
    assert town.push(sip).status_code == 201
    assert town.record() == sip


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"person": {"name": "Elin"}}, "person.personnummer"),
        ({"person": {"personnummer": "12"}}, "person.personnummer"),
        ({"insatser": [{"id": "I1", "text": 3}]}, "insatser[0].text"),
        ({"insatser": [{"id": "I1", "text": "x", "status": "kanske"}]}, "insatser[0].status"),
        ({"mal": [{"id": "M1", "text": "x", "senast": "2025-02-30"}]}, "mal[0].senast"),
        ({"id": None}, "id"),
    ],
)
def test_a_wrong_field_is_named_as_the_sender_calls_it(
    town: Town, sip: dict[str, Any], change: dict[str, Any], path: str
) -> None:
    answer = town.push(sip | change)
    assert answer.status_code == 422
    errors = [issue for issue in answer.json()["issues"] if issue["severity"] == "error"]
    assert path in [issue["path"] for issue in errors]
    assert town.get("/parties/sodertalje/records").json()["records"] == []


def test_a_wrong_check_digit_is_a_warning(town: Town, sip: dict[str, Any]) -> None:
    sip["person"]["personnummer"] = "198507142382"
    answer = town.push(sip)
    assert answer.status_code == 201
    assert [issue["severity"] for issue in answer.json()["issues"] if issue["path"] == "person.personnummer"] == [
        "warning"
    ]


def test_a_year_is_kept_as_a_year(town: Town, sip: dict[str, Any]) -> None:
    sip["mal"][1]["senast"] = "2025"
    town.push(sip)
    assert town.record()["mal"][1]["senast"] == "2025"


def test_what_is_not_a_record_gets_a_clear_answer(town: Town, sip: dict[str, Any]) -> None:
    assert town.push(b"{not json").status_code == 400
    assert town.push(b"[]").status_code == 422
    in_latin = town.push(json.dumps({"id": "S", "person": {"name": "Åsa"}}, ensure_ascii=False).encode("latin-1"))
    assert (in_latin.status_code, in_latin.json()["issues"][0]["path"]) == (400, "person.name")
    assert town.push(b'{"id": "S", "id": "T", "person": {}}').json()["issues"][0]["path"] == "id"
    assert town.push(b'{"id": "S", "person": {}, "number": 1e99999999999999999999}').status_code == 400
    assert town.push(sip, party="atlantis").status_code == 404
    assert town.push(b" " * 10_000_000).status_code == 413
    assert town.push(sip, **{"Content-Type": "text/csv"}).status_code == 415
    assert requests.put(f"{town.address}/parties/sodertalje/records", json=sip, timeout=30).status_code == 405
    keyless = requests.post(f"{town.address}/parties/sodertalje/records", json=sip, timeout=30)
    assert keyless.status_code == 400
    for answer in (town.push(b"{not json"), town.push(sip, party="atlantis"), keyless):
        issue = answer.json()["issues"][0]
        assert issue["severity"] == "error"
        assert issue["message"]


def test_a_refused_record_gets_the_same_refusal_again(town: Town) -> None:
    first, second = town.push(b"{}", key="k"), town.push(b"{}", key="k")
    assert first.status_code == second.status_code == 422
    assert second.content == first.content


def test_going_back_to_an_earlier_state_is_an_edit(town: Town, sip: dict[str, Any]) -> None:
    town.push(sip)
    town.record()
    earlier = sip["title_local"]
    town.push(sip | {"title_local": "en ny rubrik"})
    assert town.push(sip).json()["state"] == "accepted"
    assert town.record()["title_local"] == earlier


def test_a_note_that_is_sent_back_and_forth_stays_one_note(town: Town, sip: dict[str, Any]) -> None:
    sip["anteckningar"] = [{"text": "Elin ringde.", "av": "Karin Ödman", "tid": "2025-03-01T10:00:00+01:00"}]
    town.push(sip)
    for _ in range(3):
        assert town.push(town.record()).json()["state"] == "unchanged"
    assert town.record()["anteckningar"] == sip["anteckningar"]


@pytest.mark.parametrize("name", ["n\x00l", ".", "..", " x", "a\nb", "x" * 201])
def test_a_record_id_that_no_url_can_name_is_refused(town: Town, sip: dict[str, Any], name: str) -> None:
    answer = town.push(sip | {"id": name})
    assert answer.status_code == (400 if "\x00" in name else 422)  # such a sign is a matter of the file, not the record
    assert answer.json()["issues"][0]["path"] == "id"


@pytest.mark.parametrize("name", ["a/b", "2016-0329990", "åäö 1", "x?y#z%20"])
def test_an_odd_record_id_is_found_again(town: Town, sip: dict[str, Any], name: str) -> None:
    assert town.push(sip | {"id": name}).status_code == 201
    assert town.record(quote(name, safe=""))["id"] == name


def test_the_same_bytes_again_get_the_answer_that_the_same_content_gets(town: Town, sip: dict[str, Any]) -> None:
    sip["okant_falt"] = "not mapped"
    body = json.dumps(sip).encode()
    first = town.push(body).json()
    again, other_bytes = town.push(body).json(), town.push(json.dumps(sip, indent=1).encode()).json()
    assert again["state"] == other_bytes["state"] == "unchanged"
    assert again["plan"] == first["plan"] == other_bytes["plan"]
    for field in ("issues", "unmapped", "conflicts", "shared", "record"):
        assert again[field] == other_bytes[field], field
    assert again["unmapped"]
    assert again["shared"]


def test_the_same_bytes_again_are_an_old_value_where_the_party_was_shown_a_newer_one(
    town: Town, sip: dict[str, Any]
) -> None:
    body = json.dumps(sip).encode()
    town.push(body)
    town.record()
    changed = sip | {"title_local": "en ny rubrik"}
    town.push(changed)
    assert town.push(body).json()["state"] == "accepted", "the bytes of an earlier push are not the last ones"


def test_if_match_about_a_record_that_is_not_here_creates_none(town: Town, sip: dict[str, Any]) -> None:
    refused = town.push(sip, **{"If-Match": 'W/"1"'})
    assert (refused.status_code, refused.json()["state"]) == (412, "refused")
    assert refused.json()["issues"][0]["path"] == "If-Match"
    assert town.get("/parties/sodertalje/records/SIP-1").status_code == 404
    assert town.push(sip).status_code == 201


def test_a_compressed_body_is_refused(town: Town, sip: dict[str, Any]) -> None:
    for body in (gzip.compress(json.dumps(sip).encode()), sip):
        refused = town.push(body, **{"Content-Encoding": "gzip"})
        assert refused.status_code == 415
        assert refused.json()["issues"][0]["path"] == "Content-Encoding"


def test_a_body_that_does_not_come_is_not_waited_for(town: Town, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bodies, "PATIENCE", 0.05)

    def slowly() -> Iterator[bytes]:
        yield b"{"
        time.sleep(0.5)
        yield b"}"

    for path in (f"{town.address}/parties/sodertalje/records", f"{town.region}/Goal"):
        headers = {"Content-Type": "application/json", "Idempotency-Key": "k"}
        refused = requests.post(path, data=slowly(), headers=headers, timeout=30)
        assert refused.status_code == 408
        issues = refused.json()
        assert (issues.get("issues") or issues["issue"])[0]["code"] == "timeout"
    assert town.get("/parties/sodertalje/receipts/k").status_code == 404


def test_who_hangs_up_while_sending_is_no_error(town: Town, capfd: pytest.CaptureFixture[str]) -> None:
    host, port = town.address.removeprefix("http://").split(":")
    with socket.create_connection((host, int(port))) as half:
        half.sendall(b"POST /parties/sodertalje/records HTTP/1.1\r\nHost: localhost\r\n"
                     b"Content-Type: application/json\r\n"
                     b"Idempotency-Key: k\r\nContent-Length: 100\r\n\r\n{")  # fmt: skip
    assert town.get("/health").status_code == 200
    assert capfd.readouterr() == ("", "")
