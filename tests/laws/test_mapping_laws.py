"""The lens laws of every mapping, on records generated from schema, samples and code tables.

`make laws` tries ten thousand of each.
"""

from __future__ import annotations

import os
from pathlib import Path

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from fhir_adapter.fhir.resources import dump_json
from tests.laws.cases import MAPPINGS, case_of
from tests.laws.lens import LAWS

EXAMPLES = 10_000 if os.environ.get("FHIR_ADAPTER_DEEP") else 500
LAW = settings(
    max_examples=EXAMPLES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # one seed is one record: there is nothing to shrink
)
each_mapping = pytest.mark.parametrize("name", MAPPINGS, ids=lambda name: Path(name).name)


@each_mapping
@LAW
@given(seed=st.integers(0, 2**64))
def test_the_laws_hold(name: str, seed: int) -> None:
    case = case_of(name, seed)
    for law in LAWS if case is not None else ():
        law(case)


@each_mapping
@settings(LAW, max_examples=EXAMPLES // 20)
@given(seed=st.integers(0, 2**64))
def test_every_resource_is_r4(name: str, seed: int) -> None:
    case = case_of(name, seed)
    for resource in case.said if case is not None else ():
        get_fhir_model_class(resource["resourceType"]).model_validate_json(dump_json(resource))


@each_mapping
def test_nearly_all_generated_records_are_taken_and_changed(name: str) -> None:
    cases = [case_of(name, seed) for seed in range(40)]
    assert sum(case is not None for case in cases) >= 38
    assert sum(case is not None and case.after is not None for case in cases) >= 30
