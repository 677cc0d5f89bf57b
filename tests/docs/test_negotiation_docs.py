"""docs/negotiation.md says what the tables in the code say, and the tables say something about every state."""

from __future__ import annotations

from fhir_adapter.plan.lifecycle import TASK
from fhir_adapter.plan.negotiation import LEFT, MEMBER, STEPS
from scripts.describe_negotiation import DOCUMENT, with_current_parts


def test_the_document_is_current():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert with_current_parts(text) == text, "run .venv/bin/python -m scripts.describe_negotiation"


def test_every_state_of_a_task_is_in_the_table_and_every_step_leads_to_one():
    assert set(STEPS) == set(TASK)
    assert {after for following in STEPS.values() for after in following} <= set(TASK)


def test_every_step_is_one_that_the_lifecycle_knows():
    unknown = [(state, after) for state, following in STEPS.items() for after in following if after not in TASK[state]]
    assert unknown in ([], [("accepted", "rejected")])


def test_no_state_both_keeps_and_ends_a_membership():
    assert not MEMBER & LEFT
