"""`fhir-adapter conflicts`: two values where one can be live — see them, and decide as one of the parties."""

from __future__ import annotations

import json
from decimal import Decimal
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any
from uuid import uuid4

import typer

from fhir_adapter.commands.options import AsJson, Data, plans_in

app = typer.Typer(help="Conflicts: list and show them, and decide: keep, take, write a third value, or later.")


class Word(StrEnum):
    """What may be decided."""

    keep = "keep"
    take = "take"
    write = "write"
    later = "later"


Id = Annotated[str, typer.Argument(help="The conflict's id, as the list shows it; its Task has the same.")]
Plan = Annotated[str | None, typer.Option(help="Only those of the plan with this id.")]
Reader = Annotated[str | None, typer.Option("--party", help="As this party sees them, in its own words.")]
All = Annotated[bool, typer.Option("--all", help="Also those that are decided.")]


@app.callback(invoke_without_command=True)
def conflicts(
    context: typer.Context, plan: Plan = None, party: Reader = None, data: Data = None, as_json: AsJson = False
) -> None:
    """Without a further word: the list."""
    if context.invoked_subcommand is None:
        _list(plan, party, data, as_json, also_decided=False)


@app.command(name="list")
def list_(
    plan: Plan = None, party: Reader = None, data: Data = None, as_json: AsJson = False, all_: All = False
) -> None:
    """The conflicts that nobody has decided yet, oldest first."""
    _list(plan, party, data, as_json, also_decided=all_)


@app.command()
def show(conflict: Id, party: Reader = None, data: Data = None, as_json: AsJson = False) -> None:
    """One conflict: the value before, the live one, and the one that was kept."""
    from fhir_adapter.flows.conflicts import show_conflict

    with plans_in(data) as hub:
        found = show_conflict(hub, hub.party(party) if party else None, conflict)
    _tell(found, as_json)


@app.command()
def decide(
    conflict: Id,
    decision: Annotated[Word, typer.Argument(help="What is to be live: this value, the other one, or a third.")],
    by: Annotated[str, typer.Option(help="The party that decides: the owner of the element or who leads the plan.")],
    value: Annotated[
        str | None, typer.Option(help="With write: the value as the party's field says it, as JSON or in plain words.")
    ] = None,
    reason: Annotated[str | None, typer.Option(help="Why; it stays with the decision.")] = None,
    until: Annotated[str | None, typer.Option(help="With later: the day to look at it again, YYYY-MM-DD.")] = None,
    seen: Annotated[str | None, typer.Option(help="`seen` of the conflict as it was shown, if it has changed.")] = None,
    data: Data = None,
    as_json: AsJson = False,
) -> None:
    """Decide a conflict as one party. Exit code 1: refused, or the live value has changed and must be seen first."""
    from fhir_adapter.flows.deciding import body_of
    from fhir_adapter.flows.deciding import decide as decide_
    from fhir_adapter.flows.push import Delivery

    body = body_of(decision.value, value, reason=reason, until=until, seen=seen)
    with plans_in(data) as hub:
        answer = decide_(hub, hub.party(by), conflict, Delivery(str(uuid4()), "application/json", body))
    told = json.loads(answer.receipt, parse_float=Decimal)
    if answer.status >= 400:
        typer.echo(_json(told), err=True)
        raise typer.Exit(1)
    _tell(told if as_json else told["conflict"], as_json)


def _list(plan: str | None, party: str | None, data: Path | None, as_json: bool, *, also_decided: bool) -> None:
    from fhir_adapter.flows.conflicts import list_conflicts

    with plans_in(data) as hub:
        reader = hub.party(party) if party else None
        found = list_conflicts(hub, reader, plan, "all" if also_decided else "open")
    if as_json:
        typer.echo(_json(found))
        return
    if not found:
        typer.echo("nothing waits for a decision")
        return
    from rich.console import Console
    from rich.table import Table

    table = Table("id", "about", "kind", "live, from", "kept, from", "state", box=None)
    for one in found:
        live, kept = f"{_short(one['live'])} ({one['liveFrom']})", f"{_short(one['kept'])} ({one['keptFrom']})"
        table.add_row(one["id"], one["path"] or one["element"], one["kind"], live, kept, _state(one))
    Console(width=None if Console().is_terminal else 200, highlight=False, markup=False).print(table)


def _tell(one: dict[str, Any], as_json: bool) -> None:
    if as_json:
        typer.echo(_json(one))
        return
    lines = {name: one[name] for name in ("id", "plan", "kind", "at")}
    lines |= {"about": one["path"] or one["element"], "base": _short(one["base"])}
    lines |= {"live": f"{_short(one['live'])} (from {one['liveFrom']})"}
    lines |= {"kept": f"{_short(one['kept'])} (from {one['keptFrom']})"}
    lines |= {"seen": one["seen"], "state": _state(one)}
    if one["mayDecide"]:
        lines["may decide"] = ", ".join(one["mayDecide"])
    typer.echo("\n".join(f"{name}: {value}" for name, value in lines.items()))


def _state(one: dict[str, Any]) -> str:
    said = one["decision"]
    if said is None:
        return "open"
    until = f" until {said['until']}" if "until" in said else ""
    reason = f": {said['reason']}" if "reason" in said else ""
    return f"{said['decision']}{until}, by {said['by']}{reason}"


def _short(value: Any) -> str:
    if isinstance(value, dict) and isinstance(value.get("text"), str):
        return str(value["text"])
    return value if isinstance(value, str) else "nothing" if value is None else _json(value, indent=None)


def _json(value: Any, indent: int | None = 2) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent, default=str)  # str: decimals keep their digits
