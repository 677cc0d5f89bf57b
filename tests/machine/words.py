"""Where the words of an edit stand in a resource, and what a resource says beside when and by which write it came."""

from __future__ import annotations

import json
from collections.abc import Collection
from typing import Any

from fhir_adapter.fhir.resources import WRITE_ID, Resource

SPOKEN = ("CarePlan", "Goal", "ServiceRequest")
"""Types with words that people write."""


def words_of(resource: Resource) -> str | None:
    """The words of a plan, a goal or an intervention; None for anything else."""
    type_ = resource["resourceType"]
    if type_ not in SPOKEN:
        return None
    said = resource.get("description" if type_ == "Goal" else "code", {})
    found = resource.get("title") if type_ == "CarePlan" else said.get("text")
    return found if isinstance(found, str) else None


def matters(resource: Resource) -> bool:
    """Is it the goal for which a record has a single field, without a status: what matters to the person?"""
    return resource["resourceType"] == "Goal" and "viktigt" in str(resource.get("category"))


def with_words(resource: Resource, words: str) -> Resource:
    """The same with other words."""
    type_ = resource["resourceType"]
    if type_ == "CarePlan":
        return resource | {"title": words}
    return resource | {"description" if type_ == "Goal" else "code": {"text": words}}


def words_in(value: str) -> str:
    """The words of one side of a conflict, which is JSON of an element or of a resource."""
    found = json.loads(value)
    return str(found.get("text", "") if isinstance(found, dict) else found)


def content(resource: Resource, deleted: Collection[str] = ()) -> Resource:
    """What a resource says, without when and by which write it got there, and without pointers to what is deleted."""
    rest = {name: value for name, value in resource.items() if name not in ("meta", "extension")}
    meta = {k: v for k, v in resource.get("meta", {}).items() if k not in ("versionId", "lastUpdated", "source")}
    extensions = [each for each in resource.get("extension", []) if each.get("url") != WRITE_ID]
    said = rest | ({"meta": meta} if meta else {}) | ({"extension": extensions} if extensions else {})
    found: Resource = _without_pointers(said, deleted) if deleted else said
    return found


def _without_pointers(value: Any, deleted: Collection[str]) -> Any:
    """A pointer to what is deleted there may stand as it was, or say that it is deleted."""
    if isinstance(value, list):
        return [_without_pointers(each, deleted) for each in value]
    if not isinstance(value, dict):
        return value
    if str(value.get("reference")) in deleted or str(value.get("display")).endswith(" (not here)"):
        return "deleted"
    return {name: _without_pointers(part, deleted) for name, part in value.items()}
