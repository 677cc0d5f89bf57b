"""The languages that a person speaks."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.codes import table_named
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.converters.texts import words_of
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair, Run


@converter("language_and_interpreter", "[table=TABLE]", fields=2, targets=2)
def _language(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """(language, interpreter's language) <-> (communication[], core extension patient-interpreterRequired). `table`: of
    the languages, else language."""
    table = table_named(words.option("table", "language"), knowledge)

    def concept(word: str) -> Resource:
        code = table.code_of(word)
        return {"coding": [{"system": table.system, "code": code}], "text": word} if code else {"text": word}

    def to_fhir(values: tuple[Any, ...], _run: Run, _prefix: str) -> tuple[Any, ...]:
        language, interpreter = values
        spoken = [{"language": concept(language), "preferred": True}] if language is not None else []
        if interpreter is not None:
            spoken.append({"language": concept(interpreter)})
        return spoken or None, True if interpreter is not None else None

    def to_native(fragments: tuple[Any, ...], _run: Run) -> tuple[Any, ...]:
        spoken, needs = fragments[0] or [], fragments[1]
        mine = next((entry for entry in spoken if entry.get("preferred")), None)
        other = next((entry for entry in spoken if entry is not mine), None) if needs else None
        if mine is None and not needs and spoken:
            mine = spoken[0]
        return (words_of((mine or {}).get("language")), words_of((other or {}).get("language")))

    return Pair(to_fhir, to_native, table)
