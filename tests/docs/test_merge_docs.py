"""docs/merge.md says what the tables in the code say."""

from __future__ import annotations

from fhir_adapter.plan.ownership import RULES
from scripts.describe_merge import DOCUMENT, with_current_parts


def test_the_merges_document_is_current():
    text = DOCUMENT.read_text(encoding="utf-8")
    assert with_current_parts(text) == text, "run .venv/bin/python -m scripts.describe_merge"


def test_every_rule_is_in_the_document():
    text = DOCUMENT.read_text(encoding="utf-8")
    missing = [
        f"{type_}: `{path}`" for type_, rules in RULES.items() for path in rules if f"{type_}: `{path}`" not in text
    ]
    assert not missing
