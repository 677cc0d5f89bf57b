"""`fhir-adapter parties`: who takes part, how it stands with them, and what a new FHIR server can do."""

from __future__ import annotations

import dataclasses
import json
import re
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_adapter.commands.options import SETTINGS, AsJson, settings_for

if TYPE_CHECKING:
    from fhir_adapter.flows.probe import Probe

app = typer.Typer(help="Who takes part, and what a new FHIR server can do.", no_args_is_help=True)


@app.command(name="list")
def list_(as_json: AsJson = False) -> None:
    """The parties of the settings."""
    parties = settings_for().parties
    if as_json:
        said = [
            {"name": each.name, "title": each.title, "mapping": each.mapping, "fhir": each.fhir} for each in parties
        ]
        typer.echo(json.dumps(said, ensure_ascii=False, indent=2))
        return
    if not parties:
        typer.echo(f"nobody takes part: there are no parties in the settings, whose file {SETTINGS} names")
    for each in parties:
        typer.echo(f"{each.name}: {each.title} ({each.fhir or f'its own format, mapping {each.mapping}'})")


@app.command()
def probe(
    server: Annotated[str, typer.Argument(metavar="URL|NAME", help="Base URL of a FHIR server, or a party's name.")],
    as_json: AsJson = False,
) -> None:
    """Try out what a FHIR server can do, with test resources that are deleted again. Exit code 1: not usable."""
    from fhir_adapter.flows.probe import probe_at

    found = probe_at(_address_of(server))
    if as_json:
        checks = [dataclasses.asdict(check) for check in found.checks]
        typer.echo(json.dumps({"usable": found.is_usable, "checks": checks}, ensure_ascii=False, indent=2))
    else:
        _print(found)
    raise typer.Exit(0 if found.is_usable else 1)


def _address_of(server: str) -> str:
    from fhir_adapter.settings import BASE_URL

    if re.match(BASE_URL, server):
        return server
    if "://" in server:
        raise typer.BadParameter("not the base URL of a FHIR server; one looks like https://fhir.region.example/fhir")
    known = {each.name: each.fhir for each in settings_for().parties if each.fhir}
    if server not in known:
        raise typer.BadParameter(f"{server}: neither a URL nor a FHIR party of the settings ({', '.join(known)})")
    return str(known[server])


def _print(found: Probe) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("", "what", "needed", "")
    for check in found.checks:
        table.add_row("yes" if check.works else "no", check.name, "needed" if check.needed else "", check.words)
    console = Console(highlight=False)
    console.print(table)
    lacking = ", ".join(check.name for check in found.checks if check.needed and not check.works)
    console.print("usable" if found.is_usable else f"not usable: {lacking}")
