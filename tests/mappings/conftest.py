"""What the mapping tests share: the mapping, its samples, and the place that ids are made in."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from fhir_adapter.fhir.resources import parse_json
from fhir_adapter.flows.convert import NAMESPACE, source_of
from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.load import find

SAMPLES = Path(__file__).parents[2] / "mappings" / "se-sip" / "samples"


@pytest.fixture
def se_sip() -> Mapping:
    return find("se-sip")


@pytest.fixture
def place() -> dict[str, Any]:
    return {"source": source_of("se-sip"), "namespace": NAMESPACE}


@pytest.fixture
def elin() -> dict[str, Any]:
    """SIP-1 as it was sent."""
    record: dict[str, Any] = parse_json((SAMPLES / "SIP-1.json").read_bytes())
    return record


@pytest.fixture
def omar() -> dict[str, Any]:
    """SIP-3 as it was sent."""
    record: dict[str, Any] = parse_json((SAMPLES / "SIP-3.json").read_bytes())
    return record
