"""`fhir-adapter sync`: one turn with the FHIR servers; compare contents; go on with one that was stopped."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Annotated

import typer

from fhir_adapter.commands.options import AsJson, Data, plans_in
from fhir_adapter.errors import RemoteError

if TYPE_CHECKING:
    from fhir_adapter.access.identity import Party
    from fhir_adapter.flows.hub import Hub
    from fhir_adapter.flows.sync import Cycle
    from fhir_adapter.flows.verify import Deviation


def sync(
    data: Data = None,
    party: Annotated[str | None, typer.Option(help="Only this party; left out: all FHIR servers.")] = None,
    verify: Annotated[bool, typer.Option("--verify", help="Change nothing: compare what both sides have.")] = False,
    values: Annotated[bool, typer.Option("--values", help="With --verify: also the values (personal data).")] = False,
    resume: Annotated[str | None, typer.Option(help="Go on with a party that was stopped.")] = None,
    restore: Annotated[bool, typer.Option("--restore", help="With --resume: give it again what it lost.")] = False,
    accept: Annotated[bool, typer.Option("--accept", help="With --resume: its deletions were meant.")] = False,
    as_json: AsJson = False,
) -> None:
    """Take in what is new at each FHIR server, then bring it up to date. Exit code 0: all is the same, 1: it is not."""
    if (restore or accept) and not resume:
        raise typer.BadParameter("--restore and --accept go with --resume NAME")
    if values and not verify:
        raise typer.BadParameter("--values goes with --verify")
    with plans_in(data) as hub:
        parties = _chosen(hub, resume or party)
        if resume:
            _resume(hub, parties[0], restore, accept)
        if verify:
            _verify(hub, parties, values, as_json)
        else:
            _turn(hub, parties, as_json)


def _chosen(hub: Hub, name: str | None) -> list[Party]:
    known = {party.name: party for party in hub.fhir_parties}
    if name is not None and name not in known:
        raise typer.BadParameter(f"{name}: no FHIR server of this name in the settings; there are: {', '.join(known)}")
    if not known:
        raise typer.BadParameter("no FHIR server in the settings; FHIR_ADAPTER_SETTINGS names the file")
    return [known[name]] if name is not None else list(known.values())


def _resume(hub: Hub, party: Party, restore: bool, accept: bool) -> None:
    from fhir_adapter.flows import sync as flow

    again = flow.resume(hub, party, restore=restore, accept=accept)
    typer.echo(f"{party.name} goes on" + (f"; {again} resources are brought again" if again else ""), err=True)


def _turn(hub: Hub, parties: Sequence[Party], as_json: bool) -> None:
    from fhir_adapter.flows.sync import cycle

    turns = [cycle(hub, party) for party in parties]
    if as_json:
        typer.echo(json.dumps([dataclasses.asdict(turn) for turn in turns], ensure_ascii=False, indent=2))
    else:
        _print_turns(turns)
    raise typer.Exit(0 if all(turn.is_settled for turn in turns) else 1)


def _print_turns(turns: Sequence[Cycle]) -> None:
    from rich.console import Console
    from rich.table import Table

    table = Table("party", "taken in", "delivered", "waiting", "parked", "undecided", "")
    for turn in turns:
        figures = (str(number) for number in (turn.taken, turn.delivered, turn.waiting, turn.parked, turn.undecided))
        table.add_row(turn.party, *figures, f"stopped: {turn.stopped}" if turn.stopped else turn.problem or "")
    Console().print(table)


def _verify(hub: Hub, parties: Sequence[Party], values: bool, as_json: bool) -> None:
    found = {party.name: _compared(hub, party) for party in parties}
    if as_json:
        said = {
            name: None if some is None else [each.as_dict(values=values) for each in some]
            for name, some in found.items()
        }
        typer.echo(json.dumps(said, ensure_ascii=False, indent=2, default=str))
    else:
        for name, some in found.items():
            if some is not None:
                _print_deviations(name, some, values)
    raise typer.Exit(0 if all(some == [] for some in found.values()) else 1)


def _compared(hub: Hub, party: Party) -> list[Deviation] | None:
    """What differs there; None where the server does not answer, which does not keep the others from being compared."""
    from fhir_adapter.flows.circuit import problem
    from fhir_adapter.flows.verify import verify

    try:
        return list(verify(hub, party))
    except RemoteError as fault:
        typer.echo(f"{party.name}: not compared: {problem(fault)}", err=True)
        return None


def _print_deviations(party: str, found: Sequence[Deviation], values: bool) -> None:
    typer.echo(f"{party}: {len(found)} resources differ" if found else f"{party}: the same")
    for deviation in found:
        typer.echo(f"  {deviation.reference} of plan {deviation.plan}: {deviation.why}")
        for one in deviation.found:
            typer.echo(f"    {one.path}" + (f": ours {one.ours!r}, theirs {one.theirs!r}" if values else ""))
