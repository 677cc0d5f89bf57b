"""What a record holds as FHIR already: it must be FHIR, because it goes into the plan as it stands."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

from fhir_adapter.checks.validate import EMPTY_LIST, EMPTY_OBJECT, errors_in
from fhir_adapter.errors import Issue, Refused
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.blanks import what_is_said
from fhir_adapter.mapping.engine import Mapping


def check_what_is_fhir(mapping: Mapping, record: Any) -> None:
    """Raises Refused with each place of the record where one of its resources is no R4.

    What the format's own schema has to say comes first, in the format's words: `mapping.get` tells that. An element
    that is there and says nothing harms nobody: systems write those, and a record of ours may have one.
    """
    if not any(mapping.format.resources(record)) or mapping.schema.errors(record):
        return
    parts = mapping.format.resources(what_is_said(record))
    faults = [fault for place, resource in parts for fault in faults_in(resource, place)]
    faults = [fault for fault in faults if fault.message not in (EMPTY_LIST, EMPTY_OBJECT)]
    if faults:
        raise Refused("what the record holds as FHIR is none", faults)


def faults_in(resource: Resource, place: str) -> list[Issue]:
    """Where a resource is not R4: its place, then the element's path within it."""
    type_ = str(resource.get("resourceType"))
    return [replace(issue, path=place + issue.path.removeprefix(type_)) for issue in errors_in(resource)]
