"""Words as they are, and the words of a coded concept."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair


@converter("text")
def _text(_fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """Words <-> a CodeableConcept that holds them as text; a coded one is read as its display or code."""
    return Pair(lambda value, _run, _path: {"text": value}, lambda concept, _run: words_of(concept))


def words_of(concept: Any) -> str | None:
    """The words of a CodeableConcept: its text, else a display, else a code."""
    if not isinstance(concept, dict):
        return None
    if concept.get("text"):
        return str(concept["text"])
    for part in ("display", "code"):
        for coding in concept.get("coding") or ():
            if coding.get(part):
                return str(coding[part])
    return None
