"""`fhir-adapter work`: a worker process beside `serve`, or several."""

from __future__ import annotations

import signal
import sys

import typer

from fhir_adapter.commands.options import Data, settings_of_plans


def work(data: Data = None) -> None:
    """Deliver to the FHIR servers of the settings and take in what changed there, until stopped.

    Any number may run on one data folder, beside `serve` or without it: each delivery is leased to one of them, and
    one that is killed or stalls loses its lease to another.
    """
    from fhir_adapter.app import open_hub
    from fhir_adapter.flows.worker import Worker
    from fhir_adapter.logs import set_up_logs

    set_up_logs()
    settings = settings_of_plans(data)
    worker = Worker(settings.sync_interval)
    ends = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, ends)  # before any thread is there, so that they reach this one
    with open_hub(settings, worker.wake) as hub:
        worker.hub = hub
        worker.start()
        names = ", ".join(party.name for party in hub.fhir_parties) or "no FHIR party in the settings"
        typer.echo(f"fhir-adapter works on {settings.data} ({names})")
        sys.stdout.flush()
        signal.sigwait(ends)
        worker.stop()
