"""What several command groups ask for in the same words, and where they find settings and plans."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

if TYPE_CHECKING:
    from fhir_adapter.flows.hub import Hub
    from fhir_adapter.settings import Settings

SETTINGS = "FHIR_ADAPTER_SETTINGS"
"""Environment variable that names the settings file (examples/settings.toml shows one)."""

Data = Annotated[Path | None, typer.Option(help="Folder of the databases; left out: as the settings say.")]
LARGEST_NUMBER = 2**63 - 1
"""The largest number that the store can give to a row."""

AsJson = Annotated[bool, typer.Option("--json", help="JSON instead of a table.")]


def settings_for(data: Path | None = None, **given: Any) -> Settings:
    """The settings file that the environment names, with what the command line says. Raises BadDeclaration."""
    from fhir_adapter.settings import demo_marked, read_settings

    file = os.environ.get(SETTINGS)
    return demo_marked(read_settings(Path(file) if file else None, data=data, **given))


def settings_of_plans(data: Path | None) -> Settings:
    """The same, where there are plans already: only `serve` begins a data folder. Raises BadParameter."""
    from fhir_adapter.settings import PLANS

    settings = settings_for(data)
    if not (settings.data / PLANS).is_file():
        raise typer.BadParameter(
            f"{settings.data}: there are no plans in this folder; `fhir-adapter serve` begins one, --data names another"
        )
    return settings


@contextmanager
def plans_in(data: Path | None) -> Iterator[Hub]:
    """The shared plans of a data folder that is there; a server and workers may be at work on it."""
    from fhir_adapter.app import open_hub
    from fhir_adapter.logs import set_up_logs

    set_up_logs()
    with open_hub(settings_of_plans(data)) as hub:
        yield hub
