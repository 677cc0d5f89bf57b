"""`fhir-adapter parked`: what came and was neither applied nor dropped, and what to do about it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhir_adapter.commands.options import LARGEST_NUMBER, AsJson, Data, plans_in
from fhir_adapter.errors import BadUsage

if TYPE_CHECKING:
    from fhir_adapter.flows.parked import ParkedChange

app = typer.Typer(help="Changes that were parked when they came: see them, apply them, or drop them with a reason.")

Number = Annotated[int, typer.Argument(max=LARGEST_NUMBER, help="The change's number, as `parked list` shows it.")]
Values = Annotated[bool, typer.Option("--values", help="Also what came, whole (personal data).")]
All = Annotated[bool, typer.Option("--all", help="Also what was applied or dropped since.")]


@app.callback(invoke_without_command=True)
def parked(context: typer.Context, data: Data = None, as_json: AsJson = False) -> None:
    """Without a further word: the list."""
    if context.invoked_subcommand is None:
        _list(data, as_json, also_decided=False)


@app.command(name="list")
def list_(data: Data = None, as_json: AsJson = False, all_: All = False) -> None:
    """What waits for somebody to look, oldest first."""
    _list(data, as_json, also_decided=all_)


@app.command()
def show(number: Number, values: Values = False, data: Data = None, as_json: AsJson = False) -> None:
    """One parked change: whose, about what, why, since when, and the names of the elements that differ."""
    from fhir_adapter.flows import parked as changes

    with plans_in(data) as hub:
        _tell(changes.show(hub, number, values=values), as_json)


@app.command()
def apply(
    number: Number,
    reason: Annotated[str | None, typer.Option(help="Why; it is kept and audited.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Merge it after all, as what its party says. Exit code 1: it still cannot be, or something newer came since."""
    from fhir_adapter.flows import parked as changes

    with plans_in(data) as hub:
        _tell(changes.apply(hub, number, reason), as_json)


@app.command()
def drop(
    number: Number,
    reason: Annotated[str, typer.Option(help="Why it is not to be applied; it is kept and audited.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Leave it aside for good: the plan's own word is delivered over it. It stays in the list of all."""
    from fhir_adapter.flows import parked as changes

    if not reason.strip():
        raise BadUsage("--reason: a reason is needed")
    with plans_in(data) as hub:
        _tell(changes.drop(hub, number, reason.strip()), as_json)


def _list(data: Path | None, as_json: bool, *, also_decided: bool) -> None:
    from fhir_adapter.flows import parked as changes

    with plans_in(data) as hub:
        found = changes.listed(hub, also_decided=also_decided)
    if as_json:
        typer.echo(_json([_as_dict(one) for one in found]))
        return
    if not found:
        typer.echo("nothing is parked")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("number", "party", "about", "received", "why", "")
    for one in found:
        decided = f"{one.decision}: {one.reason}" if one.reason else one.decision or ""
        table.add_row(str(one.id), one.party, one.about, one.received, one.why, decided)
    Console(width=None if Console().is_terminal else 200, highlight=False, markup=False).print(table)


def _tell(one: ParkedChange, as_json: bool) -> None:
    said = _as_dict(one)
    lines = (f"{name}: {_plain(value)}" for name, value in said.items())
    typer.echo(_json(said) if as_json else "\n".join(lines))


def _as_dict(one: ParkedChange) -> dict[str, Any]:
    return {name: value for name, value in dataclasses.asdict(one).items() if value not in (None, ())}


def _plain(value: Any) -> str:
    if isinstance(value, tuple):
        return ", ".join(value)
    return str(value) if isinstance(value, str | int) else _json(value)


def _json(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False, indent=2, default=str)  # str: decimals keep their digits
