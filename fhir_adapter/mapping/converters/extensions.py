"""Values that stand in a list of extensions, or of typed parts, beside those of other rules."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_adapter.fhir.paths import extension_url
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.codes import has_code, marked
from fhir_adapter.mapping.converters.registry import CONVERTERS, Words, converter
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair, Run


@converter("in_extension", "URL ELEMENT [CONVERTER] [WORD]", kinds="any")
def _in_extension(fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A value <-> one extension among others: its url (a word is one of ours), the element that holds the value, and
    the converter of the value with its word, where it has one."""
    url, element, *called = words.plain
    inner = _inner(fields, called, knowledge)

    def to_fhir(value: Any, run: Run, path: str) -> Resource | None:
        made = inner.to_fhir(value, run, path)
        return None if made is None else {"url": extension_url(url), element: made}

    def to_native(extension: Resource, run: Run) -> Any:
        if extension.get("url") != extension_url(url) or element not in extension:
            return None
        return inner.to_native(extension[element], run)

    return Pair(to_fhir, to_native)


@converter("typed_part", "MARK ELEMENT [CONVERTER] [WORD]", kinds="any")
def _typed_part(fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A value <-> one part of a Task's input or output: its type, a `system#code` among the marks, the element that
    holds the value, and the converter of the value with its word, where it has one."""
    short, element, *called = words.plain
    mark, inner = marked(short, knowledge), _inner(fields, called, knowledge)

    def to_fhir(value: Any, run: Run, path: str) -> Resource | None:
        made = inner.to_fhir(value, run, path)
        return None if made is None else {"type": {"coding": [dict(mark)]}, element: made}

    def to_native(part: Resource, run: Run) -> Any:
        is_mine = has_code((part.get("type") or {}).get("coding"), mark) and element in part
        return inner.to_native(part[element], run) if is_mine else None

    return Pair(to_fhir, to_native)


def _inner(fields: Sequence[str], called: Sequence[str], knowledge: Knowledge) -> Pair:
    if not called:
        return Pair(lambda value, _run, _path: value, lambda value, _run: value)
    name, *words = called
    if name not in CONVERTERS:
        raise ValueError(f"there is no converter {name!r}")
    return CONVERTERS[name].build(fields, CONVERTERS[name].words(words), knowledge)
