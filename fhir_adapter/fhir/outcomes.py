"""OperationOutcome: our issues in FHIR's words, and FHIR's in ours."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_adapter.errors import Issue
from fhir_adapter.fhir.resources import Resource, dump_json


def outcome(issues: Sequence[Issue]) -> Resource:
    """An OperationOutcome with one issue for each of ours; `path` becomes `expression`."""
    return {"resourceType": "OperationOutcome", "issue": [_issue(issue) for issue in issues]}


def outcome_body(issues: Sequence[Issue]) -> bytes:
    """The same as JSON."""
    return dump_json(outcome(issues))


def all_well(message: str) -> Resource:
    """The OperationOutcome of something that succeeded."""
    return outcome([Issue("information", "informational", "", message)])


def _issue(issue: Issue) -> Resource:
    words = f"{issue.message} (expected: {issue.expected})" if issue.expected else issue.message
    told = {"severity": issue.severity, "code": issue.code, "diagnostics": words}
    return told | ({"expression": [issue.path]} if issue.path else {})
