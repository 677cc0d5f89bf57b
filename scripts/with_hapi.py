"""Runs a command while a real HAPI FHIR server runs in a container: `with_hapi.py COMMAND ...` (nothing: until Ctrl-C).

The server's address is printed and given to the command as FHIR_ADAPTER_REGION_URL; `{url}` in an argument becomes
that address. The tests start theirs with the same `running_hapi`. Which image: HAPI_IMAGE if set; with
FHIR_ADAPTER_HAPI=build our own one, built from docker/hapi; else HAPI's public image.
"""

from __future__ import annotations

import contextlib
import gc
import os
import signal
import subprocess
import sys
import time
import warnings
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import requests

PUBLIC_IMAGE = "hapiproject/hapi:v8.8.0-1"
BUILD = Path(__file__).resolve().parent.parent / "docker" / "hapi" / "build"
PORT = 8080
SECONDS_TO_START = 240  # 15 on two free cores, a minute or two on one that is busy

NO_ENGINE = "no container engine"
"""How the sentence starts that says that nothing can run here; continuous integration does not accept it."""

ENVIRONMENT = {
    # starts in 15 s instead of 21; the heap is enough for a test run
    "JAVA_TOOL_OPTIONS": "-XX:TieredStopAtLevel=1 -XX:+UseSerialGC -Xmx768m",
    # the public image made to behave as ours: any id from the client, no answers from a cache
    "hapi.fhir.fhir_version": "R4",
    "hapi.fhir.client_id_strategy": "ANY",
    "hapi.fhir.server_id_strategy": "UUID",
    "hapi.fhir.reuse_cached_search_results_millis": "-1",
    "hapi.fhir.allow_external_references": "true",
}


class HapiMissingError(Exception):
    """There can be no HAPI here; the sentence says what is missing."""


AS_IT_COMES = {
    "hapi.history": "CACHED_ONLY_WITHOUT_OFFSET",
    "hapi.reuse": "60000",
    "hapi.fhir.reuse_cached_search_results_millis": "60000",
}
"""HAPI's own defaults for the counts of histories and the answers to searches, as other people's servers have them."""


@contextlib.contextmanager
def running_hapi(
    environment: Mapping[str, str] = os.environ, settings: Mapping[str, str] | None = None
) -> Iterator[str]:
    """A fresh, empty HAPI FHIR R4 server; yields its base URL. Raises HapiMissingError where none can run.

    `settings`: environment of the server beside ENVIRONMENT.
    """
    _check_engine()
    container = _started(_image(environment), ENVIRONMENT | dict(settings or {}))
    try:
        host, port = container.get_container_host_ip(), container.get_exposed_port(PORT)
        url = f"http://{host}:{port}/fhir"
        _wait_until_it_answers(url, container)
        yield url
    finally:
        _stop(container)


def _check_engine() -> None:
    try:
        from testcontainers.core.docker_client import DockerClient
    except ImportError:
        raise HapiMissingError("the package testcontainers is not installed: make .venv installs it") from None
    fault = ""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", ResourceWarning)  # the engine's client forgets the socket that found nobody
        try:
            with contextlib.closing(DockerClient().client) as engine:
                engine.ping()
        except Exception as whatever:  # noqa: BLE001  whatever it raises means the same here
            fault = type(whatever).__name__
        gc.collect()
    if fault:
        raise HapiMissingError(f"{NO_ENGINE} answers ({fault}): start Docker, or set DOCKER_HOST, to run HAPI")


def _image(environment: Mapping[str, str]) -> str:
    if image := environment.get("HAPI_IMAGE"):
        return image
    if environment.get("FHIR_ADAPTER_HAPI") != "build":
        return PUBLIC_IMAGE
    built = subprocess.run([BUILD], stdout=subprocess.PIPE, text=True, check=False)
    if built.returncode != 0:
        raise HapiMissingError("the image could not be built: docker/hapi/build says above what is missing")
    return built.stdout.strip()


def _started(image: str, settings: Mapping[str, str]) -> Any:
    from testcontainers.core.container import DockerContainer

    container = DockerContainer(image).with_exposed_ports(PORT)
    for name, value in settings.items():
        container.with_env(name, value)
    try:
        return container.start()
    except Exception as fault:
        _stop(container)
        if "pull" in str(fault) or "not found" in str(fault).lower() or "lookup" in str(fault):
            raise HapiMissingError(
                f"the image {image} cannot be had here; FHIR_ADAPTER_HAPI=build builds one of our own (Maven, JDK 17)"
            ) from None
        raise


def _stop(container: Any) -> None:
    container.stop()
    container.get_docker_client().client.close()  # testcontainers leaves its connection to the engine open


def _wait_until_it_answers(url: str, container: Any) -> None:
    deadline = time.monotonic() + SECONDS_TO_START
    while time.monotonic() < deadline:
        with contextlib.suppress(requests.RequestException):
            if requests.get(f"{url}/metadata", timeout=10).status_code == 200:
                return
        wrapped = container.get_wrapped_container()
        wrapped.reload()
        if wrapped.status == "exited":
            break
        time.sleep(0.3)
    raise RuntimeError(f"HAPI did not start:\n{wrapped.logs(tail=40).decode(errors='replace')}")


def main(command: list[str]) -> int:
    """Runs `command` beside HAPI and gives back its exit code."""
    if command[:1] in (["-h"], ["--help"]):
        print(__doc__)
        return 0
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # the container is stopped on the way out
    print("starting HAPI FHIR in a container (about 20 seconds) ...", file=sys.stderr, flush=True)
    try:
        with running_hapi() as url:
            print(f"HAPI FHIR answers at {url}", file=sys.stderr, flush=True)
            if not command:
                signal.sigwait({signal.SIGINT, signal.SIGTERM})
                return 0
            words = [word.replace("{url}", url) for word in command]
            return subprocess.run(words, env=os.environ | {"FHIR_ADAPTER_REGION_URL": url}, check=False).returncode
    except HapiMissingError as missing:
        print(missing, file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
