"""The tables in docs/mappings are what the declarations say."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_adapter.mapping.load import FOLDER, find
from fhir_adapter.mapping.report import table_of

DOCS = Path(__file__).parents[2] / "docs" / "mappings"
NAMES = sorted(path.parent.name for path in FOLDER.glob("*/mapping.yaml"))


@pytest.mark.parametrize("name", NAMES)
def test_the_table_of_a_mapping_is_current(name: str) -> None:
    written = (DOCS / f"{name}.md").read_text(encoding="utf-8")
    assert written == table_of(find(name)), "run: make docs"


@pytest.mark.parametrize("name", NAMES)
def test_every_field_has_a_term_a_meaning_and_a_place(name: str) -> None:
    mapping = find(name)
    objects = {path for path, field in mapping.schema.fields() if "properties" in field}
    for line in table_of(mapping).splitlines()[7:]:
        _, field, term, meaning, place, _, _ = line.replace("\\|", "").split("|")
        assert term.strip(), field
        assert meaning.strip(), field
        assert place.strip() or field.strip(" `") in objects, field
