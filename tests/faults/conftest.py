"""What the tests of single requests share."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.faults.roads import Road, a_road


@pytest.fixture
def road(tmp_path: Path) -> Iterator[Road]:
    with a_road(tmp_path) as road:
        yield road
