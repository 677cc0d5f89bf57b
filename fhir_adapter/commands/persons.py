"""`fhir-adapter persons`: records that may be of one person — see them, join them, undo that, or keep them apart."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from fhir_adapter.commands.options import AsJson, Data, plans_in

if TYPE_CHECKING:
    from fhir_adapter.flows.persons import Listed

app = typer.Typer(help="Records that may be of one person: list them, join two, undo that, or keep them apart.")

Old = Annotated[str, typer.Argument(help="The record that is given up, Patient/ID as the list shows it.")]
New = Annotated[str, typer.Argument(help="The record that remains, Patient/ID.")]
By = Annotated[str, typer.Option(help="The party that says so; Provenance and audit name it.")]
Reason = Annotated[str, typer.Option(help="Why; it stays with the decision. No personal data.")]
All = Annotated[bool, typer.Option("--all", help="Also those that were joined, or are known to be two persons.")]
Values = Annotated[bool, typer.Option("--values", help="Also name, birth date and numbers (personal data).")]

WORDS = {
    "another-number": "a record of one came with the other's number",
    "two-birth-dates": "one number, two birth dates",
    "joined-there": "the party has joined them",
    "moved-there": "the party pointed a plan of one to the other",
    "one-number": "they have a number in common",
    "asked by hand": "",
}
"""Why two records are asked about, for people."""


@app.callback(invoke_without_command=True)
def persons(
    context: typer.Context, values: Values = False, all_: All = False, data: Data = None, as_json: AsJson = False
) -> None:
    """Without a further word: the list."""
    if context.invoked_subcommand is None:
        _list(data, values, all_, as_json)


@app.command(name="list")
def list_(values: Values = False, all_: All = False, data: Data = None, as_json: AsJson = False) -> None:
    """Pairs of records that somebody has to look at. Whose identity is protected is never listed."""
    _list(data, values, all_, as_json)


@app.command()
def join(old: Old, new: New, by: By, reason: Reason, data: Data = None) -> None:
    """They are one person: the old number stays with the new one, and all plans are about the new one."""
    from fhir_adapter.flows.persons import join as join_

    with plans_in(data) as hub:
        join_(hub, old, new, hub.party(by), reason)
    typer.echo(f"{old} is {new} from now on")


@app.command()
def undo(old: Old, new: New, by: By, reason: Reason, data: Data = None) -> None:
    """They are two persons after all: each has the plans back that were about it, with what was said since."""
    from fhir_adapter.flows.persons import undo as undo_

    with plans_in(data) as hub:
        undo_(hub, old, new, hub.party(by), reason)
    typer.echo(f"{old} and {new} are two persons again")


@app.command()
def move(
    plan: Annotated[str, typer.Argument(help="The plan that came under somebody else's number, CarePlan/ID.")],
    by: By,
    reason: Reason,
    person: Annotated[str | None, typer.Argument(help="Whom it is about, Patient/ID as the list shows it.")] = None,
    delivery: Annotated[str | None, typer.Option(help="Instead: the key of the record that names the person.")] = None,
    data: Data = None,
) -> None:
    """The plan is about another person; nothing that it said stays with the one whom it was thought to be about."""
    from fhir_adapter.flows.wrong_person import as_delivered
    from fhir_adapter.flows.wrong_person import move as move_

    if (person is None) is (delivery is None):
        raise typer.BadParameter("either Patient/ID or --delivery KEY")
    id_ = plan.removeprefix("CarePlan/")
    with plans_in(data) as hub:
        old = move_(hub, id_, person or as_delivered(hub, id_, delivery or ""), hub.party(by), reason)
    typer.echo(f"{plan} is not about {old} any more; what was refused may be sent again")


@app.command()
def apart(old: Old, new: New, by: By, reason: Reason, data: Data = None) -> None:
    """They are two persons: nobody is asked about them again."""
    from fhir_adapter.flows.persons import keep_apart

    with plans_in(data) as hub:
        keep_apart(hub, old, new, hub.party(by), reason)
    typer.echo(f"{old} and {new} are two persons")


def _list(data: Path | None, values: bool, also_decided: bool, as_json: bool) -> None:
    from fhir_adapter.flows.persons import listed

    with plans_in(data) as hub:
        found = [_told(one, values) for one in listed(hub, also_decided=also_decided)]
    if as_json:
        typer.echo(json.dumps(found, ensure_ascii=False, indent=2))
    elif not found:
        typer.echo("nobody is asked about")
    for one in found if not as_json else []:
        typer.echo("\n".join(f"{name}: {_plain(value)}" for name, value in one.items()) + "\n")


def _told(one: Listed, values: bool) -> dict[str, Any]:
    pair = one.pair
    told: dict[str, Any] = {
        "old": pair.old,
        "new": pair.new,
        "state": pair.state,
        "why": WORDS.get(pair.why, pair.why),
        "by": pair.party,
        "at": pair.at,
        "reason": pair.reason,
        "born apart": one.are_born_apart,
        "plans of old": list(one.plans_of_old),
        "plans of new": list(one.plans_of_new),
    }
    if values:
        told |= {"old person": _values(one.old), "new person": _values(one.new)}
    return {name: value for name, value in told.items() if value not in (None, "", [], False)}


def _values(person: dict[str, Any]) -> dict[str, Any]:
    return {name: person[name] for name in ("name", "birthDate", "identifier") if name in person}


def _plain(value: Any) -> str:
    if isinstance(value, list):
        return ", ".join(value)
    if isinstance(value, dict):
        return json.dumps(value, ensure_ascii=False)
    return "yes" if value is True else str(value)
