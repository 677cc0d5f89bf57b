"""Listening: a socket before the application exists (its address is part of the settings), and running it there."""

from __future__ import annotations

import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from types import FrameType

import uvicorn
from starlette.concurrency import run_in_threadpool
from starlette.types import ASGIApp

from fhir_adapter.web.bodies import taken_in_whole
from fhir_adapter.web.hosts import only_here


def listen(host: str, port: int) -> socket.socket:
    """A bound socket; port 0 takes a free one. Raises OSError."""
    listening = socket.socket(socket.AF_INET6 if ":" in host else socket.AF_INET)
    try:
        listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listening.bind((host, port))
    except OSError:
        listening.close()
        raise
    return listening


def address_of(listening: socket.socket) -> str:
    """The http address of a bound socket."""
    host, port = listening.getsockname()[:2]
    return f"http://{f'[{host}]' if ':' in host else host}:{port}"


GRACE = 5
"""Seconds that requests and workers that are under way get when the server is told to stop."""


class Server(uvicorn.Server):
    """uvicorn that calls `ready` once it answers, and `stopping` when it is told to stop, while it still answers."""

    def __init__(self, asgi: ASGIApp, ready: Callable[[], None], stopping: Callable[[], object] = lambda: None) -> None:
        super().__init__(
            uvicorn.Config(
                taken_in_whole(only_here(asgi)),
                log_level="error",
                access_log=False,
                server_header=False,
                timeout_graceful_shutdown=GRACE,
            )
        )
        self._ready, self._stopping = ready, stopping

    async def startup(self, sockets: list[socket.socket] | None = None) -> None:
        await super().startup(sockets)
        if self.started:
            self._ready()

    async def shutdown(self, sockets: list[socket.socket] | None = None) -> None:
        await run_in_threadpool(self._stopping)
        await super().shutdown(sockets)

    def handle_exit(self, sig: int, frame: FrameType | None) -> None:
        """Stop; at once when told twice. uvicorn itself would end by raising the signal again: nothing that is open
        would be closed, and a stop that was asked for would look like a failure."""
        self.force_exit, self.should_exit = self.should_exit, True


@contextmanager
def answering_in_a_thread(asgi: ASGIApp, listening: socket.socket) -> Iterator[None]:
    """Serve while the block runs; it starts when the server answers."""
    server = Server(asgi, lambda: None)
    thread = threading.Thread(target=server.run, args=([listening],), daemon=True)
    thread.start()
    while not server.started and thread.is_alive():
        time.sleep(0.01)
    try:
        yield
    finally:
        server.should_exit = True
        thread.join()
        listening.close()
