"""Several workers on one store, killed and stopped at random: the short form; `make deep` runs a thousand kills."""

from __future__ import annotations

import os

import pytest

from tests.system.workers import run


@pytest.mark.parametrize("workers", [2, 6])
def test_workers_that_die_or_come_back_late_lose_double_and_disorder_nothing(workers: int) -> None:
    is_deep = bool(os.environ.get("FHIR_ADAPTER_DEEP"))
    kills, seconds = (1000, 3600.0) if is_deep else (100, 6.0)
    figures = run(workers, kills=kills, seconds=seconds, loud=is_deep)
    print(f"{workers} workers: {figures}")
    assert figures.kills > 3
    assert figures.deliveries > 0
    assert figures.is_clean, str(figures)
