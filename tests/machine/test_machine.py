"""The state machine in the ordinary run: a few hundred steps, the same each time. `make deep` goes further."""

from __future__ import annotations

import os

from hypothesis import HealthCheck, settings

from tests.machine.machine import Machine

DEEP = bool(os.environ.get("FHIR_ADAPTER_DEEP"))

TestTheMachine = Machine.TestCase
TestTheMachine.settings = settings(
    max_examples=200 if DEEP else 25,
    stateful_step_count=30 if DEEP else 20,
    deadline=None,
    suppress_health_check=list(HealthCheck),
)
