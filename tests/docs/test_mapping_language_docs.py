"""docs/mapping-language.md names every converter with its words."""

from __future__ import annotations

from fhir_adapter.mapping.converters import CONVERTERS
from scripts.describe_mapping_language import DOCUMENT, with_current_parts


def test_the_converters_are_those_of_the_code() -> None:
    text = DOCUMENT.read_text(encoding="utf-8")
    assert with_current_parts(text) == text, "run .venv/bin/python -m scripts.describe_mapping_language"


def test_every_converter_says_what_goes_where_and_reads_its_own_usage() -> None:
    for converter in CONVERTERS.values():
        assert "<->" in converter.meaning, converter.name
        given = [word.strip("[]") for word in converter.usage.split()]
        converter.words([word.partition("=")[0] + "=x" if "=" in word else word for word in given])
