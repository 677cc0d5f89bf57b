"""Components of observations."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.codes import coding, has_code, marked, table_named
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair, Run


@converter("component_text", "MARK")
def _component_text(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """Words <-> an Observation component of this code, a `system#code` among the marks (each, or the first one)."""
    code = marked(words.plain[0], knowledge)

    def words_in(component: Resource) -> str | None:
        value = component.get("valueString")
        is_mine = has_code((component.get("code") or {}).get("coding"), code)
        return value if is_mine and isinstance(value, str) else None

    def to_native(found: Any, _run: Run) -> str | None:
        components = found if isinstance(found, list) else [found]
        return next((text for component in components if (text := words_in(component)) is not None), None)

    return Pair(lambda value, _run, _path: {"code": {"coding": [dict(code)]}, "valueString": value}, to_native)


@converter("component_flag", "TABLE")
def _component_flag(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A word that applies <-> a component with the table's code and the value true; components that are false, or of
    another code system, are not this field's."""
    table = table_named(words.plain[0], knowledge)

    def to_fhir(value: str, run: Run, path: str) -> Resource | None:
        code = table.code_of(value)
        if code is None:
            run.error(path, "code-invalid", "this word is not in the code list", table.allowed)
            return None
        return {"code": {"coding": [coding(table, code)]}, "valueBoolean": True}

    def to_native(component: Resource, _run: Run) -> str | None:
        entries = (component.get("code") or {}).get("coding") or ()
        mine = (str(entry.get("code")) for entry in entries if table.has_system(entry.get("system")))
        word = next((table.words[code] for code in mine if code in table.words), None)
        return word if component.get("valueBoolean") is True else None

    return Pair(to_fhir, to_native)
