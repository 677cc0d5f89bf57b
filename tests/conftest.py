"""What several kinds of tests need: a real HAPI, and the promise that nothing which needs it is skipped unnoticed."""

from __future__ import annotations

import os
from collections.abc import Generator, Iterator

import pytest
import structlog
from hypothesis import settings

from scripts.with_hapi import AS_IT_COMES, NO_ENGINE, HapiMissingError, running_hapi

# The laws try the same records in every run, so that a run says something about the change and not about its luck;
# FHIR_ADAPTER_DEEP=1 tries others each time.
settings.register_profile("same records", derandomize=True)
if not os.environ.get("FHIR_ADAPTER_DEEP"):
    settings.load_profile("same records")


@pytest.fixture(autouse=True)
def _logs_as_before() -> Iterator[None]:
    """A command that runs in this process sets up logs to a stream that is closed after it."""
    yield
    structlog.reset_defaults()


@pytest.fixture(scope="session")
def hapi() -> Iterator[str]:
    """The base URL of a real HAPI FHIR R4 server, one for the whole run: use ids of your own in it."""
    yield from _a_hapi({})


@pytest.fixture(scope="module")
def hapi_as_it_comes() -> Iterator[str]:
    """The same for one that counts histories as others' do: for a minute it does not see newer versions."""
    yield from _a_hapi(AS_IT_COMES)


def _a_hapi(settings: dict[str, str]) -> Iterator[str]:
    try:
        server = running_hapi(settings=settings)
        url = server.__enter__()
    except HapiMissingError as missing:
        pytest.skip(str(missing))
    try:
        yield url
    finally:
        server.__exit__(None, None, None)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Whatever asks for a HAPI is marked `hapi`: `-m 'not hapi'` leaves it out, and CI knows it."""
    for item in items:
        if {"hapi", "hapi_as_it_comes"} & set(getattr(item, "fixturenames", ())):
            item.add_marker("hapi")


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    """With FHIR_ADAPTER_NO_SKIP=1 (continuous integration) a test that needs a container and skips has failed."""
    report = yield
    if os.environ.get("FHIR_ADAPTER_NO_SKIP") != "1" or not report.skipped or hasattr(report, "wasxfail"):
        return report
    reason = str(report.longrepr)
    if item.get_closest_marker("hapi") or NO_ENGINE in reason:
        report.outcome = "failed"
        report.longrepr = f"{item.nodeid} may not skip here: {reason}"
    return report
