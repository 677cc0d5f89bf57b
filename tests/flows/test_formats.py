"""Municipalities that deliver CSV, XML or NDJSON: receipts in their own places, and their format back."""

from __future__ import annotations

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest
import requests
import yaml

from fhir_adapter.app import Service, build
from fhir_adapter.mapping.load import FOLDER
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.settings import PartySettings, Settings
from tests.flows.conftest import SAMPLES

COLUMNS = {"Nr": "id", "Person": "person.personnummer", "Start": "upprattad", "Mål-id": "mal[].id", "Mål": "mal[].text"}
INPUTS: dict[str, dict[str, Any]] = {
    "csv": {"format": "csv", "encoding": "latin-1", "delimiter": ";", "key": "id", "columns": COLUMNS},
    "xml": {"format": "xml", "record": "planer/sip"},
    "json": {"format": "json"},
}


def mapping_that_reads(folder: Path, name: str, declared: dict[str, Any]) -> None:
    """The SIP mapping under another name, for another file format."""
    shutil.copytree(FOLDER / "se-sip", folder / name)
    file = folder / name / "mapping.yaml"
    text = file.read_text("utf-8").replace("name: se-sip", f"name: {name}", 1)
    file.write_text(f"{text}\n{yaml.safe_dump({'input': declared}, allow_unicode=True, sort_keys=False)}", "utf-8")


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """A server with one municipality for each format."""
    folder = tmp_path_factory.mktemp("mappings")
    for name, declared in INPUTS.items():
        mapping_that_reads(folder, f"sip-{name}", declared)
    parties = tuple(PartySettings(name=name, title=name, mapping=f"sip-{name}") for name in INPUTS)
    service: Service = build(Settings(data=tmp_path_factory.mktemp("data"), mappings=folder, parties=parties))
    listening = listen("127.0.0.1", 0)
    with answering_in_a_thread(service.asgi, listening):
        yield address_of(listening)
    service.close()


def push(address: str, party: str, body: bytes, media_type: str, key: str = "", **headers: str) -> requests.Response:
    sent = {"Content-Type": media_type, "Idempotency-Key": key or str(uuid4()), **headers}
    return requests.post(f"{address}/parties/{party}/records", data=body, headers=sent, timeout=30)


def record(address: str, party: str, name: str, accept: str = "*/*") -> requests.Response:
    return requests.get(f"{address}/parties/{party}/records/{name}", headers={"Accept": accept}, timeout=30)


CSV = """Nr;Person;Start;Mål-id;Mål;Eget
K1;196101182803;2025-01-02;M1;Gå ut;x
K1;;;M2;Laga mat;
K2;200001252386;2025-02-02;M1
K3;196109732393;i går;;;
K4;200001252386;;M1;;
K5;200001252386;2025-03-03;M1;Åka buss;
""".encode("latin-1")


def test_a_table_gives_a_receipt_for_each_record_and_a_bad_one_holds_up_no_other(address: str) -> None:
    answer = push(address, "csv", CSV, "text/csv; charset=ISO-8859-1", "file-1")
    assert answer.status_code == 207
    receipts = answer.json()["receipts"]
    assert [receipt["state"] for receipt in receipts] == ["accepted", "refused", "refused", "refused", "accepted"]
    assert [receipt["issues"][0]["path"] for receipt in receipts[1:4]] == [
        "row 4, column Mål", "row 5, column Start", "row 6, column Mål",
    ]  # fmt: skip
    assert receipts[0]["unmapped"] == [
        {"path": "row 2, column Eget", "kind": "unknown", "reason": "not a field of this format"}
    ]
    again = push(address, "csv", CSV, "text/csv", "file-1")
    assert (again.status_code, again.json()) == (207, answer.json())
    assert requests.get(f"{address}/parties/csv/receipts/file-1%231", timeout=30).json() == receipts[0]
    whole = requests.get(f"{address}/parties/csv/receipts/file-1", timeout=30)
    assert (whole.status_code, whole.json()) == (200, answer.json())


def test_a_table_comes_back_as_a_table_and_as_json_where_only_that_is_accepted(address: str) -> None:
    raw = "Nr;Person;Start;Mål-id;Mål\r\nT1;196101182803;2025-01-02;M1;=Gå ut\r\nT1;;;M2;Hem\r\n".encode("latin-1")
    assert push(address, "csv", raw, "text/csv").json()["receipts"][0]["state"] == "accepted"
    answer = record(address, "csv", "T1")
    assert answer.headers["content-type"].startswith("text/csv")
    assert answer.content == raw.replace(b";=", b";'=")
    assert record(address, "csv", "T1", "application/json").json()["mal"][0] == {"id": "M1", "text": "=Gå ut"}
    listed = requests.get(f"{address}/parties/csv/records", timeout=30).json()["records"]
    assert answer.content.decode("latin-1") in [one["content"] for one in listed]
    assert push(address, "csv", answer.content, "text/csv").json()["receipts"][0]["state"] == "unchanged"


def test_a_party_with_a_table_may_also_send_json(address: str) -> None:
    sip = {"id": "J1", "person": {"personnummer": "196101182803"}, "mal": [{"id": "M1", "text": "Å"}]}
    answer = push(address, "csv", json.dumps(sip).encode(), "application/json")
    assert (answer.status_code, answer.json()["state"]) == (201, "accepted")
    assert record(address, "csv", "J1").content.splitlines()[1] == "J1;196101182803;;M1;Å".encode("latin-1")


def test_xml_is_taken_and_comes_back_as_xml(address: str) -> None:
    raw = (
        "<planer><sip><id>X1</id><person><personnummer>196101182803</personnummer></person>"
        "<mal><id>M1</id><text>Gå ut</text></mal></sip><sip><id>X2</id><mal/></sip></planer>"
    ).encode()
    receipts = push(address, "xml", raw, "application/xml").json()["receipts"]
    assert [receipt["state"] for receipt in receipts] == ["accepted", "refused"]
    assert {issue["path"] for issue in receipts[1]["issues"]} == {"person", "mal[0].text"}
    answer = record(address, "xml", "X1")
    assert answer.headers["content-type"].startswith("application/xml")
    assert "<text>Gå ut</text>" in answer.text
    assert push(address, "xml", answer.content, "text/xml").json()["receipts"][0]["state"] == "unchanged"


BOMB = b'<!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;">]><planer><sip><id>&b;</id></sip></planer>'


@pytest.mark.parametrize(
    ("party", "raw", "media_type", "message"),
    [
        ("xml", BOMB, "application/xml", "declares a type or entities"),
        ("xml", b"<a>" * 10_000, "application/xml", "nested deeper than 64 levels"),
        ("json", b"[" * 10_000, "application/json", "nested"),
        ("json", '{"id": "å"}'.encode("latin-1"), "application/json", "not UTF-8"),
        ("json", b'\xef\xbb\xbf{"id": "1"}', "application/json", "byte order mark"),
        ("csv", "Nr;Namn\n1;Å\n".encode("utf-16"), "text/csv", "this is UTF-16"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_and_kept(
    address: str, party: str, raw: bytes, media_type: str, message: str
) -> None:
    answer = push(address, party, raw, media_type, key := str(uuid4()))
    assert (answer.status_code, answer.json()["state"]) == (400, "refused")
    assert message in answer.json()["issues"][0]["message"]
    assert push(address, party, raw, media_type, key).headers["Idempotent-Replayed"] == "true"


def test_ndjson_is_a_file_of_records(address: str) -> None:
    sip = json.loads((SAMPLES / "SIP-1.json").read_bytes())
    body = json.dumps(sip).encode() + b"\n" + json.dumps({"id": "2", "person": 1}).encode() + b'\n{"id": "3"'
    answer = push(address, "json", body, "application/x-ndjson", "lines")
    assert answer.status_code == 207
    receipts = answer.json()["receipts"]
    assert [receipt["state"] for receipt in receipts] == ["accepted", "refused", "refused"]
    assert receipts[1]["issues"][0]["path"] == "person"
    changed = push(address, "json", b'{"id": "other"}\n{"id": "4"}', "application/x-ndjson", "lines").json()["receipts"]
    assert changed[0]["issues"][0]["path"] == "Idempotency-Key"


def test_records_of_a_file_are_taken_in_their_order_and_one_that_is_refused_holds_up_no_other(address: str) -> None:
    sip = json.loads((SAMPLES / "SIP-1.json").read_bytes())
    records = [sip | {"id": f"F-{number}"} for number in range(20)]
    newer = records[3] | {"gloss": "Det här skrevs sist."}
    lines = [*records[:10], {"id": "F-no", "person": 1}, *records[10:], newer]
    body = b"\n".join(json.dumps(line).encode() for line in lines)
    answer = push(address, "json", body, "application/x-ndjson", "many")
    states = [receipt["state"] for receipt in answer.json()["receipts"]]
    assert (answer.status_code, states) == (207, ["accepted"] * 10 + ["refused"] + ["accepted"] * 11)
    assert answer.json()["receipts"][-1]["plan"]["version"] == 2
    assert record(address, "json", "F-3").json()["gloss"] == newer["gloss"]
    assert push(address, "json", body, "application/x-ndjson", "many").content == answer.content


@pytest.mark.parametrize(
    ("party", "media_type"),
    [("json", "text/csv"), ("csv", "application/xml"), ("csv", "text/csv; charset=utf-8"), ("xml", "")],
)
def test_a_content_type_that_is_not_the_partys_is_refused_with_those_that_are(
    address: str, party: str, media_type: str
) -> None:
    answer = push(address, party, CSV, media_type)
    assert answer.status_code == 415
    assert answer.json()["issues"][0]["path"] == "Content-Type"


def test_a_file_has_no_version_and_an_empty_one_is_told(address: str) -> None:
    answer = push(address, "csv", CSV, "text/csv", **{"If-Match": 'W/"1"'})
    assert (answer.status_code, answer.json()["issues"][0]["path"]) == (400, "If-Match")
    empty = push(address, "csv", CSV.splitlines()[0], "text/csv")
    assert empty.json()["issues"][0]["message"] == "the file holds no record"
