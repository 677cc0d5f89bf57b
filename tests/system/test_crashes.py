"""kill -9 before and after every commit and every remote call of the road: nothing is lost, nothing is doubled."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.app import build_sandbox
from fhir_adapter.serving import address_of, answering_in_a_thread, listen

ROOT = Path(__file__).parents[2]


@contextmanager
def a_region(folder: Path) -> Iterator[str]:
    """A sandbox that survives whatever happens to the adapter."""
    asgi, database = build_sandbox(folder)
    listening = listen("127.0.0.1", 0)
    with answering_in_a_thread(asgi, listening):
        yield f"{address_of(listening)}/fhir"
    database.close()


class Travellers:
    """A process that forks one traveller after the other."""

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "tests.system.road"],
            cwd=ROOT,
            text=True,
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
        )

    def travel(self, data: Path, region: str, point: int, when: str) -> int:
        """Exit status of one run; negative: the signal that ended it."""
        assert self._process.stdin
        assert self._process.stdout
        self._process.stdin.write(f"{data} {region} {point} {when}\n")
        self._process.stdin.flush()
        return int(self._process.stdout.readline())

    def arrive(self, data: Path, region: str, how: str = "never") -> dict[str, Any]:
        """Run to the end and say what was reached."""
        assert self.travel(data, region, 0, how) == 0
        reached: dict[str, Any] = json.loads(data.with_suffix(".state").read_text())
        return reached

    def close(self) -> None:
        self._process.communicate()


@pytest.fixture(scope="module")
def travellers() -> Iterator[Travellers]:
    travellers = Travellers()
    yield travellers
    travellers.close()


@pytest.fixture(scope="module")
def undisturbed(travellers: Travellers, tmp_path_factory: pytest.TempPathFactory) -> tuple[dict[str, Any], list[str]]:
    """What is reached without any crash, and the points that were passed on the way."""
    folder = tmp_path_factory.mktemp("undisturbed")
    with a_region(folder / "region") as region:
        reached = travellers.arrive(folder / "data", region)
    return reached, (folder / "data.points").read_text().splitlines()


def test_the_road_passes_commits_and_remote_calls(undisturbed: tuple[dict[str, Any], list[str]]) -> None:
    _, points = undisturbed
    assert sum("commit" in point for point in points) >= 10
    assert sum("remote call" in point for point in points) >= 10


def test_every_write_may_be_undone_and_done_once_more(
    travellers: Travellers, undisturbed: tuple[dict[str, Any], list[str]], tmp_path: Path
) -> None:
    with a_region(tmp_path / "region") as region:
        reached = travellers.arrive(tmp_path / "data", region, "twice")
    assert differences(undisturbed[0], reached) == []


@pytest.mark.parametrize("when", ["before", "after"])
def test_death_at_any_point_loses_and_doubles_nothing(
    travellers: Travellers, undisturbed: tuple[dict[str, Any], list[str]], tmp_path: Path, when: str
) -> None:
    expected, points = undisturbed
    wrong = []
    for number, point in enumerate(points, start=1):
        folder = tmp_path / str(number)
        with a_region(folder / "region") as region:
            died = travellers.travel(folder / "data", region, number, when)
            assert died == -signal.SIGKILL, f"{when} {point}"
            reached = travellers.arrive(folder / "data", region)
        if differing := differences(expected, reached):
            wrong.append(f"{when} {point}: {differing[:3]}")
    assert not wrong


def differences(expected: Any, reached: Any, path: str = "") -> list[str]:
    """Where two states differ, as paths."""
    if isinstance(expected, dict) and isinstance(reached, dict):
        return [
            each
            for name in sorted({*expected, *reached})
            for each in differences(expected.get(name), reached.get(name), f"{path}/{name}")
        ]
    if isinstance(expected, list) and isinstance(reached, list) and len(expected) == len(reached):
        return [
            each
            for index, pair in enumerate(zip(expected, reached, strict=True))
            for each in differences(*pair, f"{path}/{index}")
        ]
    return [] if expected == reached else [f"{path}: {expected!r} is now {reached!r}"]
