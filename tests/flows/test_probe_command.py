"""`fhir-adapter parties probe` against a sandbox, and against whatever else may stand behind a URL."""

from __future__ import annotations

import json
import shutil
import socket
import ssl
import subprocess
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from fhir_adapter.cli import app
from tests.flows.conftest import Town


def probe(url: str) -> Result:
    return CliRunner().invoke(app, ["parties", "probe", url, "--json"])


def words(result: Result) -> str:
    """What is said about the one thing that was tried: whether it answers."""
    (check,) = [each for each in json.loads(result.stdout)["checks"] if each["needed"] and not each["works"]]
    return str(check["words"])


@contextmanager
def something_else(status: int, kind: str, body: bytes, tls: Path | None = None) -> Iterator[str]:
    """A server that says the same whatever it is asked; yields its URL."""

    class Handler(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(status)
            self.send_header("Content-Type", kind)
            self.send_header("Content-Length", str(len(body)))
            self.send_header("Location", "https://elsewhere.example/fhir/metadata")
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_what: object) -> None:
            """Quietly."""

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    if tls:
        context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        context.load_cert_chain(tls / "cert", tls / "key")
        server.socket = context.wrap_socket(server.socket, server_side=True)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    try:
        yield f"{'https' if tls else 'http'}://127.0.0.1:{server.server_port}/fhir"
    finally:
        server.shutdown()
        server.server_close()


def test_a_sandbox_is_usable_and_keeps_nothing(town: Town) -> None:
    result = probe(town.region)
    found = json.loads(result.stdout)
    assert (result.exit_code, found["usable"]) == (0, True)
    assert next(each for each in found["checks"] if each["name"] == "cleaned up")["works"]
    assert town.at_region("Patient")["total"] == 0


@pytest.mark.parametrize(
    ("status", "kind", "body", "said"),
    [
        (200, "text/html", b"<html>Welcome</html>", "is this the base URL"),
        (200, "application/fhir+json", b'{"resourceType": "Patient"}', "Patient instead of a CapabilityStatement"),
        (200, "application/fhir+json", b'{"resourceType": "CapabilityStatement", "fhirVersion": "5.0.0"}', "5.0.0"),
        (200, "application/fhir+json", b'{"resourceType": "CapabilityStatement", "rest": 7}', "it speaks nothing"),
        (302, "text/html", b"", "leads elsewhere"),
        (401, "application/json", b"{}", "asks who calls"),
        (403, "application/json", b"{}", "may not"),
        (404, "text/plain", b"no", "often ends in /fhir"),
        (501, "text/plain", b"oops", "answered 501"),
    ],
)
def test_what_is_no_usable_server_is_told_in_words(status: int, kind: str, body: bytes, said: str) -> None:
    with something_else(status, kind, body) as url:
        result = probe(url)
    assert result.exit_code == 1
    assert said in words(result)


def test_nobody_there_is_told_in_words() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        result = probe(f"http://127.0.0.1:{free.getsockname()[1]}/fhir")
    assert (result.exit_code, "nobody listens there" in words(result)) == (1, True)


def test_a_certificate_that_nobody_vouches_for_is_told_in_words(tmp_path: Path) -> None:
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("openssl, which makes the certificate, is not installed")
    made = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-keyout", tmp_path / "key", "-out",
            tmp_path / "cert", "-days", "1", "-subj", "/CN=127.0.0.1"]  # fmt: skip
    subprocess.run(made, check=True, capture_output=True)
    with something_else(200, "application/json", b"{}", tmp_path) as url:
        result = probe(url)
        wrong_scheme = probe(url.replace("https:", "http:"))
    assert result.exit_code == 1
    assert "certificate is not trusted here" in words(result)
    assert "REQUESTS_CA_BUNDLE" in words(result)
    assert wrong_scheme.exit_code == 1


@pytest.mark.parametrize("url", ["http://", "http://[::1", "ftp://x/fhir", "http://user:secret@host/fhir", "nobody"])
def test_what_is_no_url_is_wrong_usage(url: str) -> None:
    result = probe(url)
    assert result.exit_code == 2
    assert "secret" not in result.output
