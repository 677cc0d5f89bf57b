"""The server as a process of its own: one line, health, push with curl's means, kill -9, restart."""

from __future__ import annotations

import http.client
import json
import re
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest
import requests

ROOT = Path(__file__).parents[2]
SIP = ROOT / "mappings" / "se-sip" / "samples" / "SIP-1.json"
COMMAND = [sys.executable, "-m", "fhir_adapter.cli"]


@contextmanager
def serving(*arguments: str) -> Iterator[tuple[subprocess.Popen[str], str]]:
    process = subprocess.Popen(
        [*COMMAND, *arguments, "--port", "0"], cwd=ROOT, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    )
    try:
        assert process.stdout
        line = process.stdout.readline()
        found = re.search(r"http://\S+", line)
        assert found, line
        yield process, found[0]
    finally:
        process.kill()
        process.communicate()


def push(address: str, key: str = "k") -> requests.Response:
    return requests.post(
        f"{address}/parties/sodertalje/records", data=SIP.read_bytes(), timeout=30,
        headers={"Content-Type": "application/json", "Idempotency-Key": key},
    )  # fmt: skip


def at_region(address: str, plan: str) -> requests.Response:
    return requests.get(f"{address}/sandbox/fhir/CarePlan/{plan}", timeout=30)


def until(answers: Any) -> None:
    deadline = time.monotonic() + 30
    while not answers():
        assert time.monotonic() < deadline, "it did not happen within 30 seconds"
        time.sleep(0.05)


def test_a_newcomer_pushes_at_once_and_the_region_has_the_plan() -> None:
    with serving("serve", "--demo") as (process, address):
        assert requests.get(f"{address}/health", timeout=30).json() == {"status": "ok"}
        assert requests.get(f"{address}/parties/sodertalje/records", timeout=30).json()["records"] == []
        names = [party["name"] for party in requests.get(f"{address}/parties", timeout=30).json()]
        assert names == ["sodertalje", "nykvarn", "salem", "region-stockholm"]
        plan = push(address).json()["plan"]["id"]
        until(lambda: at_region(address, plan).status_code == 200)
        page = requests.get(f"{address}/plans/{plan}", timeout=30)
        assert "Jag åker buss till Järna" in page.text
        process.terminate()
        assert process.wait(30) == 0


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT], ids=["terminate", "interrupt"])
def test_a_server_that_is_told_to_stop_closes_what_it_opened(tmp_path: Path, told: signal.Signals) -> None:
    with serving("serve", "--demo", "--data", str(tmp_path)) as (process, address):
        for number in range(10):
            assert push(address, f"k{number}").ok
        process.send_signal(told)
        assert process.wait(30) == 0
        assert process.stderr
        assert process.stderr.read() == ""  # the sandbox answered until the worker had ended
    assert sorted(file.name for file in tmp_path.glob("*.sqlite*")) == ["plans.sqlite", "sandbox.sqlite"]


@pytest.mark.parametrize("told", [signal.SIGTERM, signal.SIGINT], ids=["terminate", "interrupt"])
def test_a_sandbox_with_faults_that_is_told_to_stop_ends_well(tmp_path: Path, told: signal.Signals) -> None:
    with serving("sandbox", "--data", str(tmp_path), "--faults", "half-open") as (process, address):
        with pytest.raises(requests.ReadTimeout):
            requests.get(f"{address}/metadata", timeout=0.5)
        process.send_signal(told)
        assert process.wait(30) == 0
        assert process.stderr
        assert process.stderr.read() == ""
    assert [file.name for file in tmp_path.glob("*.sqlite*")] == ["sandbox.sqlite"]


def test_half_a_request_does_not_keep_a_server_from_stopping() -> None:
    with serving("serve", "--demo") as (process, address):
        host, port = address.removeprefix("http://").split(":")
        with socket.create_connection((host, int(port))) as half:
            half.sendall(b"POST /parties/sodertalje/records HTTP/1.1\r\nHost: localhost\r\n"
                         b"Content-Type: application/json\r\n"
                         b"Idempotency-Key: k\r\nContent-Length: 100\r\n\r\n{")  # fmt: skip
            assert requests.get(f"{address}/health", timeout=30).ok
            process.terminate()
            assert process.wait(30) == 0


@pytest.mark.parametrize(
    ("path", "media_type", "status"),
    [
        ("/parties/sodertalje/records", "application/json", 413),
        ("/parties/nobody/records", "application/json", 404),
        ("/parties/sodertalje/records", "image/png", 415),
        ("/sandbox/fhir/Goal", "application/fhir+json", 413),
        ("/fhir/Goal/1", "application/fhir+json", 405),
    ],
)
def test_who_sends_too_much_and_closes_reads_why_it_was_refused(
    refusing: str, path: str, media_type: str, status: int
) -> None:
    """A connection that is closed with unread bytes in it is reset, and the client sees no answer."""
    headers = {"Connection": "close", "Content-Type": media_type, "Idempotency-Key": "k"}
    with closing(http.client.HTTPConnection(refusing, timeout=30)) as connection:
        connection.request("POST", path, b" " * 10_500_000, headers)
        answer = connection.getresponse()
        assert answer.status == status
        assert json.loads(answer.read())


@pytest.fixture(scope="module")
def refusing() -> Iterator[str]:
    with serving("serve", "--demo") as (_, address):
        yield address.removeprefix("http://")


def test_who_asks_before_it_sends_too_much_is_told_at_once(refusing: str) -> None:
    host, port = refusing.split(":")
    with socket.create_connection((host, int(port)), timeout=30) as asking:
        asking.sendall(b"POST /parties/sodertalje/records HTTP/1.1\r\nHost: localhost\r\n"
                       b"Content-Type: application/json\r\nIdempotency-Key: k\r\n"
                       b"Content-Length: 10000000\r\nExpect: 100-continue\r\n\r\n")  # fmt: skip
        assert asking.recv(1000).startswith(b"HTTP/1.1 413")


def test_an_acknowledged_push_survives_kill_9(tmp_path: Path) -> None:
    with serving("serve", "--demo", "--data", str(tmp_path)) as (process, address):
        receipt = push(address)
        assert receipt.status_code == 201
        process.send_signal(signal.SIGKILL)
        process.wait()
    with serving("serve", "--demo", "--data", str(tmp_path)) as (_, address):
        plan = receipt.json()["plan"]["id"]
        assert push(address).content == receipt.content
        until(lambda: at_region(address, plan).status_code == 200)
        assert at_region(address, plan).json()["meta"]["versionId"] == "1"
        record = requests.get(f"{address}/parties/sodertalje/records/SIP-1", timeout=30).json()
        assert record == json.loads(SIP.read_text("utf-8"))


def test_a_sandbox_of_its_own_takes_what_map_makes(tmp_path: Path) -> None:
    bundle = subprocess.run([*COMMAND, "map", "se-sip", str(SIP)], cwd=ROOT, capture_output=True, check=True).stdout
    with serving("sandbox", "--data", str(tmp_path)) as (_, address):
        answer = requests.post(address, data=bundle, headers={"Content-Type": "application/fhir+json"}, timeout=30)
        assert answer.status_code == 200, answer.text
        assert requests.get(f"{address}/CarePlan", timeout=30).json()["entry"]


def test_it_does_not_listen_for_strangers() -> None:
    refused = subprocess.run([*COMMAND, "serve", "--host", "0.0.0.0"], cwd=ROOT, capture_output=True, text=True,
                             check=False)  # fmt: skip
    assert refused.returncode == 2
    assert refused.stderr.startswith("settings: host 0.0.0.0: ")
    assert "loopback" in refused.stderr


def test_two_processes_do_not_serve_the_same_data(tmp_path: Path) -> None:
    with serving("serve", "--demo", "--data", str(tmp_path)):
        second = subprocess.run([*COMMAND, "serve", "--port", "0", "--data", str(tmp_path)], cwd=ROOT,
                                capture_output=True, text=True, check=False)  # fmt: skip
        assert second.returncode == 2
        assert "another process" in second.stderr


@pytest.mark.parametrize(
    ("arguments", "fed", "code"),
    [
        (["map", "se-sip", str(SIP)], "", 0),
        (["map", "se-sip", "-"], SIP.read_text("utf-8"), 0),
        (["map", "se-sip", "-"], '{"id": "x", "person": {}}', 1),
        (["map", "se-sip", "-"], "not json", 1),
        (["map", "no-such-mapping", "-"], "{}", 2),
        (["map", "se-sip", "/no/such/file"], "", 2),
        (["map"], "", 2),
        (["unmap", "se-sip", "-"], "{}", 1),
        (["no-such-command"], "", 2),
    ],
)
def test_exit_codes_say_done_refused_or_wrong_usage(arguments: list[str], fed: str, code: int) -> None:
    run = subprocess.run([*COMMAND, *arguments], cwd=ROOT, input=fed, capture_output=True, text=True, check=False)
    assert run.returncode == code, run.stderr
    if code == 1:
        assert {issue["severity"] for issue in json.loads(run.stderr)} >= {"error"}


def test_ndjson_maps_line_by_line_and_back() -> None:
    records = [json.loads(SIP.read_text("utf-8")) | {"id": f"SIP-{number}"} for number in (1, 2)]
    lines = "".join(json.dumps(record) + "\n" for record in records)
    bundles = subprocess.run([*COMMAND, "map", "se-sip", "-"], cwd=ROOT, input=lines, capture_output=True, text=True,
                             check=True).stdout  # fmt: skip
    assert len(bundles.splitlines()) == 2
    back = subprocess.run([*COMMAND, "unmap", "se-sip", "-"], cwd=ROOT, input=bundles, capture_output=True, text=True,
                          check=True).stdout  # fmt: skip
    said = [{name: value for name, value in record.items() if value is not None} for record in records]
    assert [json.loads(line) for line in back.splitlines()] == said  # FHIR has no null


def test_unmap_keeps_what_fhir_does_not_say(tmp_path: Path) -> None:
    record = json.loads(SIP.read_text("utf-8")) | {"egetFalt": 1}
    before = tmp_path / "before.json"
    before.write_text(json.dumps(record))
    bundle = subprocess.run([*COMMAND, "map", "se-sip", str(before)], cwd=ROOT, capture_output=True, check=True).stdout
    back = subprocess.run([*COMMAND, "unmap", "se-sip", "-", "--before", str(before)], cwd=ROOT, input=bundle,
                          capture_output=True, check=True).stdout  # fmt: skip
    assert json.loads(back) == record


def demo(data: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run([*COMMAND, "demo", "--data", str(data), *arguments], cwd=ROOT, capture_output=True,
                          stdin=subprocess.DEVNULL, text=True, check=False)  # fmt: skip


def test_the_demo_takes_away_nothing_but_an_earlier_demo(tmp_path: Path) -> None:
    letter = tmp_path / "letter.txt"
    letter.write_text("mine")
    for _ in range(2):
        told = demo(tmp_path)
        assert told.returncode == 0, told.stderr
        assert f"serve --demo --data {tmp_path}" in told.stdout
    assert letter.read_text() == "mine"


def test_the_demo_leaves_plans_alone_that_are_not_a_demos(tmp_path: Path) -> None:
    (tmp_path / "plans.sqlite").write_bytes(b"")
    for refused in (
        demo(tmp_path),
        subprocess.run([*COMMAND, "serve", "--demo", "--port", "0", "--data", str(tmp_path)], cwd=ROOT,
                       capture_output=True, text=True, check=False, timeout=60),
    ):  # fmt: skip
        assert (refused.returncode, refused.stdout) == (2, "")
        assert "not a demo's" in refused.stderr


def test_the_demo_leaves_a_folder_alone_that_somebody_serves(tmp_path: Path) -> None:
    with serving("serve", "--demo", "--data", str(tmp_path)) as (_, address):
        assert push(address).status_code == 201
        refused = demo(tmp_path)
        assert refused.returncode == 2
        assert "another process" in refused.stderr
    with serving("serve", "--demo", "--data", str(tmp_path)) as (_, address):
        assert requests.get(f"{address}/parties/sodertalje/records/SIP-1", timeout=30).status_code == 200


@pytest.mark.parametrize("command", [["serve"], ["serve", "--demo"], ["sandbox"], ["demo"]], ids=" ".join)
def test_a_data_folder_that_cannot_be_is_wrong_usage(command: list[str], tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    folder = tmp_path / "file" / "data"
    run = subprocess.run([*COMMAND, *command, "--data", str(folder)], cwd=ROOT, capture_output=True, text=True,
                         check=False, stdin=subprocess.DEVNULL, timeout=60)  # fmt: skip
    assert (run.returncode, run.stderr) == (2, f"{folder}: Not a directory\n")


def test_a_region_that_is_no_address_is_wrong_usage(tmp_path: Path) -> None:
    refused = demo(tmp_path, "--region", "region-stockholm")
    assert refused.returncode == 2
    assert "http://" in refused.stderr
