"""The command line. Exit code 0: done, 1: the input was refused (issues as JSON on standard error), 2: wrong usage.

A command imports what it needs itself: `map` is called once per file and waits for no server.
"""

from __future__ import annotations

import os
import socket
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from fhir_adapter.commands import conflicts, mapping, outbox, parked, parties, persons
from fhir_adapter.commands.merge import merge
from fhir_adapter.commands.options import SETTINGS
from fhir_adapter.commands.sync import sync
from fhir_adapter.commands.work import work
from fhir_adapter.errors import AdapterError, BadDeclaration, BadUsage

app = typer.Typer(
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    help="One shared care plan: FHIR R4 for health records, their own format for social services.",
)

app.command()(work)
app.command()(sync)
app.add_typer(outbox.app, name="outbox")
app.add_typer(parked.app, name="parked")
app.add_typer(conflicts.app, name="conflicts")
app.add_typer(parties.app, name="parties")
app.add_typer(persons.app, name="persons")


def _tell_version(is_asked: bool) -> None:
    if is_asked:
        from importlib.metadata import version

        typer.echo(f"fhir-adapter {version('fhir-adapter')}")
        raise typer.Exit


@app.callback()
def options(
    version: Annotated[  # told before anything else is looked at
        bool, typer.Option("--version", callback=_tell_version, is_eager=True, help="Tell the version and end.")
    ] = False,
) -> None:
    """What may stand before a command."""


Host = Annotated[str | None, typer.Option(help="Address to listen on; only loopback, callers are not authenticated.")]
Port = Annotated[int | None, typer.Option(help="Port to listen on; 0 takes a free one.")]
Data = Annotated[Path | None, typer.Option(help="Folder of the databases; made if missing.")]


@app.command()
def serve(
    host: Host = None,
    port: Port = None,
    data: Data = None,
    demo: Annotated[
        bool, typer.Option("--demo", help="Empty store, three municipalities, a sandbox as the region.")
    ] = False,
) -> None:
    """Serve the shared plans until stopped; prints one line with the address when it answers."""
    from fhir_adapter.app import SANDBOX, build
    from fhir_adapter.logs import set_up_logs
    from fhir_adapter.serving import Server, address_of
    from fhir_adapter.settings import as_demo, claim_for_demo, mark_demo, read_settings

    set_up_logs()
    file = os.environ.get(SETTINGS)
    settings = read_settings(Path(file) if file and not demo else None, host=host, port=port, data=data)
    listening = _listen(settings.host, settings.port)
    address = address_of(listening)
    if demo:
        import tempfile

        # an empty store each time, unless the caller says where to keep it
        folder = data or Path(tempfile.mkdtemp(prefix="fhir-adapter-demo-"))
        claim_for_demo(folder)
        settings = as_demo(settings.model_copy(update={"data": folder}), f"{address}{SANDBOX}")
    service = build(settings, sandbox=demo)
    try:
        if demo:
            mark_demo(settings.data, f"{address}{SANDBOX}")
        Server(service.asgi, lambda: _ready(address, service.worker.start), service.worker.stop).run([listening])
    finally:
        service.close()


@app.command()
def sandbox(
    host: Host = None,
    port: Port = None,
    data: Data = None,
    faults: Annotated[
        str,
        typer.Option(help="What goes wrong how often, e.g. drop-answer:0.1,429:0.05,delay:200ms (docs/sandbox.md)."),
    ] = "",
    seed: Annotated[int, typer.Option(help="The same number: the same faults in the same order.")] = 0,
) -> None:
    """Run a FHIR R4 server of its own to try mappings and clients against; prints its base address."""
    import tempfile

    from fhir_adapter.app import build_sandbox
    from fhir_adapter.faults import faults_in, serve_with_faults
    from fhir_adapter.logs import set_up_logs
    from fhir_adapter.serving import Server, address_of
    from fhir_adapter.settings import read_settings

    set_up_logs()
    troubles = faults_in(faults)
    settings = read_settings(None, host=host, port=port)
    listening = _listen(settings.host, settings.port)
    asgi, database = build_sandbox(data or Path(tempfile.mkdtemp(prefix="fhir-adapter-sandbox-")))
    address = f"{address_of(listening)}/fhir"
    try:
        if troubles:
            serve_with_faults(asgi, listening, troubles, seed, lambda: _ready(address, lambda: None))
        else:
            Server(asgi, lambda: _ready(address, lambda: None)).run([listening])
    finally:
        database.close()


@app.command()
def demo(
    region: Annotated[str | None, typer.Option(help="Base URL of a FHIR server to use as the region.")] = None,
    data: Data = None,
) -> None:
    """Show the whole road with one person's SIP: push, pull, both ways of sync, a conflict."""
    from fhir_adapter.demo import run_demo
    from fhir_adapter.logs import set_up_logs

    set_up_logs(level=40)
    if region is not None and not region.startswith(("http://", "https://")):
        raise typer.BadParameter(f"{region} is no base URL of a FHIR server: it begins with http:// or https://")
    run_demo(region, data or Path(".demo"))


mapping.register(app)
app.command()(merge)


def main() -> None:
    """Entry point: the error tree becomes exit codes here and nowhere else."""
    try:
        app()
    except (BadDeclaration, BadUsage) as fault:
        typer.echo(str(fault), err=True)
        sys.exit(2)
    except UnicodeEncodeError:
        if all(map(_is_text, sys.argv)):
            raise
        typer.echo("an argument holds bytes that are no text in UTF-8", err=True)
        sys.exit(2)
    except AdapterError as fault:
        mapping.print_issues([issue.as_dict() for issue in fault.issues])
        sys.exit(1)


def _is_text(argument: str) -> bool:
    """Whether it came as UTF-8: other bytes stand in it as lone surrogates, which only names of files may hold."""
    try:
        argument.encode()
    except UnicodeEncodeError:
        return False
    return True


def _listen(host: str, port: int) -> socket.socket:
    from fhir_adapter.serving import listen

    try:
        return listen(host, port)
    except OSError as fault:
        raise typer.BadParameter(f"cannot listen on {host}:{port}: {fault.strerror}") from None


def _ready(address: str, then: Callable[[], None]) -> None:
    then()
    typer.echo(f"fhir-adapter answers at {address} (loopback only: callers are not authenticated)")
    sys.stdout.flush()


if __name__ == "__main__":
    main()
