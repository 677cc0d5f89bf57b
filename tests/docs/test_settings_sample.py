"""The commented settings file names every setting and shows the defaults."""

from __future__ import annotations

from pathlib import Path

import pytest

from fhir_adapter.errors import BadDeclaration
from fhir_adapter.settings import Settings, read_settings

SAMPLE = Path(__file__).parents[2] / "examples" / "settings.toml"


def test_the_sample_is_valid_and_shows_the_defaults() -> None:
    shown = read_settings(SAMPLE)
    assert [party.name for party in shown.parties] == ["sodertalje", "region-stockholm"]
    assert shown.model_copy(update={"parties": ()}) == Settings()


def test_the_sample_names_every_setting() -> None:
    text = SAMPLE.read_text("utf-8")
    assert [name for name in Settings.model_fields if f"{name} =" not in text and f"[[{name}]]" not in text] == []


@pytest.mark.parametrize(
    ("given", "named"),
    [
        ({"host": "0.0.0.0"}, "loopback"),
        ({"port": 70000}, "port"),
        ({"nonsense": 1}, "nonsense"),
        ({"parties": [{"name": "a", "title": "A"}]}, "mapping"),
        ({"parties": [{"name": "a", "title": "A", "mapping": "m"}] * 2}, "same name"),
    ],
)
def test_a_wrong_setting_is_named(given: dict[str, object], named: str) -> None:
    with pytest.raises(BadDeclaration, match=named):
        read_settings(None, **given)
