"""The lens laws of every mapping in mappings/, on records generated from schema, samples and code tables."""

from __future__ import annotations

import os
from functools import cache
from pathlib import Path
from random import Random

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fhir_adapter.fhir.resources import dump_json
from fhir_adapter.mapping.load import FOLDER, find
from tests.laws.changes import changed
from tests.laws.lens import LAWS, Case, fhir_of
from tests.laws.records import Records

MAPPINGS = sorted(path.parent.name for path in FOLDER.glob("*/mapping.yaml"))
EXAMPLES = 10_000 if os.environ.get("FHIR_ADAPTER_DEEP") else 500
LAW = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # one seed is one record: there is nothing to shrink
)


@cache
def records_of(name: str) -> Records:
    return Records(find(name))


@pytest.mark.parametrize("name", MAPPINGS)
@LAW
@given(seed=st.integers(0, 2**64))
def test_the_laws_hold(name: str, seed: int) -> None:
    records, random = records_of(name), Random(seed)
    record = records.record(random)
    if record is None:
        return
    case = Case(records.mapping, record, changed(records, record, random), random)
    for law in LAWS:
        law(case)


@pytest.mark.parametrize("name", MAPPINGS)
@settings(LAW, max_examples=EXAMPLES // 20)
@given(seed=st.integers(0, 2**64))
def test_every_resource_is_r4(name: str, seed: int) -> None:
    record = records_of(name).record(Random(seed))
    for resource in fhir_of(find(name), record) if record is not None else ():
        get_fhir_model_class(resource["resourceType"]).model_validate_json(dump_json(resource))


@pytest.mark.parametrize("name", MAPPINGS)
def test_nearly_all_generated_records_are_taken_and_changed(name: str) -> None:
    records = records_of(name)
    made = [records.record(Random(seed)) for seed in range(40)]
    afterwards = [changed(records, record, Random(seed)) for seed, record in enumerate(made) if record is not None]
    assert sum(record is not None for record in made) >= 38
    assert sum(record is not None for record in afterwards) >= 30


def test_there_are_mappings() -> None:
    assert Path(FOLDER, "se-sip").name in MAPPINGS
