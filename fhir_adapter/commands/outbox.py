"""`fhir-adapter outbox`: what is still to be delivered, what was parked, and what to do about it."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhir_adapter.commands.options import LARGEST_NUMBER, AsJson, Data, plans_in

if TYPE_CHECKING:
    from fhir_adapter.store.outbox import Letter

app = typer.Typer(help="Deliveries to FHIR servers: see what waits or is parked, retry it, or drop it with a reason.")

Number = Annotated[int, typer.Argument(max=LARGEST_NUMBER, help="The delivery's number, as `outbox list` shows it.")]
All = Annotated[bool, typer.Option("--all", help="Also what is done or dropped, newest first.")]


@app.callback(invoke_without_command=True)
def outbox(context: typer.Context, data: Data = None, as_json: AsJson = False) -> None:
    """Without a further word: the list."""
    if context.invoked_subcommand is None:
        _list(data, as_json, also_settled=False)


@app.command(name="list")
def list_(data: Data = None, as_json: AsJson = False, all_: All = False) -> None:
    """What waits and what is parked, oldest first."""
    _list(data, as_json, also_settled=all_)


@app.command()
def show(number: Number, data: Data = None, as_json: AsJson = False) -> None:
    """One delivery."""
    from fhir_adapter.flows import letters

    with plans_in(data) as hub:
        _tell(letters.show(hub, number), as_json)


@app.command()
def retry(number: Number, data: Data = None, as_json: AsJson = False) -> None:
    """Have a parked delivery tried anew, or a waiting one at once; a worker or `fhir-adapter sync` does it."""
    from fhir_adapter.flows import letters

    with plans_in(data) as hub:
        _tell(letters.retry(hub, number), as_json)


@app.command()
def drop(
    number: Number,
    reason: Annotated[str, typer.Option(help="Why it need not be delivered; it is kept and audited.")],
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Take a delivery out of the line. It stays in the list of all deliveries."""
    from fhir_adapter.flows import letters

    if not reason.strip():
        raise typer.BadParameter("a reason is needed", param_hint="--reason")
    with plans_in(data) as hub:
        _tell(letters.drop(hub, number, reason.strip()), as_json)


def _list(data: Path | None, as_json: bool, *, also_settled: bool) -> None:
    from fhir_adapter.flows import letters

    with plans_in(data) as hub:
        found = letters.listed(hub, also_settled=also_settled)
    if as_json:
        typer.echo(json.dumps([_as_dict(letter) for letter in found], ensure_ascii=False, indent=2))
        return
    if not found:
        typer.echo("nothing waits and nothing is parked")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("number", "party", "plan", "state", "attempts", "since", "problem")
    for letter in found:
        state = "under way" if letter.claimed else letter.state
        words = letter.reason or letter.problem or ""
        table.add_row(str(letter.id), letter.party, letter.plan, state, str(letter.attempts), letter.created, words)
    Console().print(table)


def _tell(letter: Letter, as_json: bool) -> None:
    said = _as_dict(letter)
    lines = (f"{name}: {value}" for name, value in said.items() if value is not None)
    typer.echo(json.dumps(said, ensure_ascii=False, indent=2) if as_json else "\n".join(lines))


def _as_dict(letter: Letter) -> dict[str, Any]:
    return dataclasses.asdict(letter)
