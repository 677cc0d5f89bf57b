"""`fhir-adapter explain`: for each record, where its FHIR elements came from and what became of its fields."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from fhir_adapter.errors import AdapterError, Issue
from fhir_adapter.flows.convert import NAMESPACE, read_file, source_of
from fhir_adapter.mapping.explain import ElementReport, FieldReport, explain
from fhir_adapter.mapping.inputs.formats import Entry
from fhir_adapter.mapping.load import find


@dataclass(frozen=True, slots=True)
class Explained:
    """What became of one record; a refused one has issues alone. `number`: its place in the file, from 1."""

    number: int
    record: str | None
    elements: Sequence[ElementReport] = ()
    fields: Sequence[FieldReport] = ()
    issues: Sequence[Issue] = field(default_factory=tuple)

    @property
    def refused(self) -> bool:
        """Was the record refused?"""
        return any(issue.severity == "error" for issue in self.issues)

    def as_dict(self) -> dict[str, Any]:
        """The report as JSON."""
        return {
            "number": self.number,
            "record": self.record,
            "elements": [_element(each) for each in self.elements],
            "fields": [
                {"path": each.path, "became": each.became, "elements": each.elements}
                | ({"reason": each.reason} if each.reason else {})
                for each in self.fields
            ],
            "issues": [issue.as_dict() for issue in self.issues],
        }


def explain_file(
    mapping_name: str, raw: bytes, *, element: str | None = None, folder: Path | None = None
) -> list[Explained]:
    """A report for each record. `element`: only those elements, `Goal/1#description`, `Goal#target` or `#status`.

    Raises BadDeclaration for an unknown mapping.
    """
    mapping = find(mapping_name, folder)

    def told(entry: Entry) -> Explained:
        try:
            explained = explain(mapping, entry.taken(), source=source_of(mapping.name), namespace=NAMESPACE)
        except AdapterError as fault:
            return Explained(entry.number, None, issues=_placed(fault.issues, entry))
        elements = [each for each in explained.elements if element is None or _is_asked(each, element)]
        return Explained(entry.number, explained.record, elements, explained.fields, _placed(explained.issues, entry))

    return [told(entry) for entry in read_file(mapping, raw)[1].entries]


def _placed(issues: Sequence[Issue], entry: Entry) -> list[Issue]:
    return [replace(issue, path=entry.place(issue.path)) for issue in issues]


def _is_asked(each: ElementReport, wanted: str) -> bool:
    resource, _, path = wanted.partition("#")
    here = resource in ("", each.resource, each.resource.partition("/")[0])
    within = not path or each.element == path or each.element.startswith((f"{path}.", f"{path}["))
    return (here or (resource.endswith("…") and each.resource.startswith(resource[:-1]))) and within


def _element(each: ElementReport) -> dict[str, Any]:
    origins = [
        {name: value for name in ("kind", "fields", "rule", "at", "row") if (value := getattr(origin, name))}
        for origin in each.origins
    ]
    return {"resource": each.resource, "element": each.element, "value": each.value, "origins": origins}
