"""Components of observations."""

from __future__ import annotations

from collections.abc import Sequence

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.codes import has_code, marked
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.model import Knowledge, Pair, Run


@converter("component_text", "MARK")
def _component_text(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """Words <-> an Observation component of this code, a `system#code` among the marks."""
    code = marked(words.plain[0], knowledge)

    def to_native(component: Resource, _run: Run) -> str | None:
        value = component.get("valueString")
        is_mine = has_code((component.get("code") or {}).get("coding"), code)
        return value if is_mine and isinstance(value, str) else None

    return Pair(lambda value, _run, _path: {"code": {"coding": [dict(code)]}, "valueString": value}, to_native)
