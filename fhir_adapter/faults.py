"""A proxy that does to HTTP what networks and busy servers do: loses, delays, repeats, cuts off, refuses.

It stands in front of any HTTP/1.1 server (the sandbox, a real HAPI), so clients are tried against the very same faults.
"""

from __future__ import annotations

import asyncio
import random
import re
import signal
import socket
import threading
from collections.abc import AsyncIterator, Callable, Coroutine, Iterator, Mapping, Sequence
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from typing import Any

from starlette.types import ASGIApp

from fhir_adapter.errors import BadDeclaration
from fhir_adapter.serving import address_of, answering_in_a_thread, listen

KINDS: Mapping[str, str] = {
    "drop-request": "the connection is closed, the server never sees the request",
    "drop-answer": "the server does what was asked, the connection is closed instead of an answer",
    "reorder": "the connection is closed, and the server gets the request after the next one",
    "duplicate": "the server gets the request twice; the second answer is given",
    "delay": "the answer is held back for the given time (delay:200ms, delay:200ms:0.5)",
    "reset": "the connection breaks in the middle of the answer",
    "half-open": "the connection stays open and nothing is ever answered",
    "429": "429 Too Many Requests with Retry-After: 1, the server does not see the request",
    "503": "503 Service Unavailable",
    "413": "413 Content Too Large, for requests with a body",
    "502": "502 Bad Gateway with a page of HTML",
    "stale": "answers to GET .../_history are kept and given again for the given time (stale:60s)",
}
"""Every fault by name. `reorder` is how one connection's requests get out of order."""

TIMES = ("delay", "stale")
LONGEST_SILENCE = 60.0
_REFUSALS = {
    "429": (b"429 Too Many Requests", b"Retry-After: 1\r\n", b""),
    "503": (b"503 Service Unavailable", b"", b""),
    "413": (b"413 Content Too Large", b"", b""),
    "502": (b"502 Bad Gateway", b"Content-Type: text/html\r\n", b"<html><body><h1>502 Bad Gateway</h1></body></html>"),
}


@dataclass(frozen=True, slots=True)
class Fault:
    """One kind of fault, how often it happens (0 to 1), and for `delay` and `stale` how many seconds it takes."""

    kind: str
    probability: float
    seconds: float = 0.0


def faults_in(spec: str) -> tuple[Fault, ...]:
    """`drop-answer:0.1,429:0.05,delay:200ms`. Raises BadDeclaration with the part that was not understood."""
    return tuple(_fault(part.strip()) for part in spec.split(",") if part.strip())


def _fault(part: str) -> Fault:
    kind, *values = part.split(":")
    if kind not in KINDS:
        raise BadDeclaration(f"faults: {part}: there is no fault {kind!r}; there are {', '.join(KINDS)}")
    try:
        seconds = _seconds(values.pop(0)) if kind in TIMES else 0.0
        probability = float(values.pop(0)) if values else 1.0
    except (ValueError, IndexError):
        probability, seconds, values = -1.0, 0.0, []
    if values or not 0 <= probability <= 1:
        form = f"{kind}:TIME[:PROBABILITY], such as {kind}:200ms:0.5" if kind in TIMES else f"{kind}:0.1"
        raise BadDeclaration(f"faults: {part}: expected {form}")
    return Fault(kind, probability, seconds)


def _seconds(text: str) -> float:
    for ending, factor in (("ms", 0.001), ("s", 1.0)):
        if text.endswith(ending):
            seconds = float(text.removesuffix(ending)) * factor
            if 0 <= seconds < float("inf"):
                return seconds
    raise ValueError(text)


@dataclass(slots=True)
class Message:
    """A request or an answer as it went over the wire."""

    head: bytes
    body: bytes

    @property
    def raw(self) -> bytes:
        return self.head + self.body

    @property
    def first_line(self) -> str:
        return self.head.split(b"\r\n", 1)[0].decode("latin-1")


class Proxy:
    """The faults between one listening socket and one server. `counts` says how often each happened."""

    def __init__(self, upstream: tuple[str, int], faults: Sequence[Fault], seed: int) -> None:
        self.faults = tuple(faults)
        self.counts: dict[str, int] = {}
        self._upstream = upstream
        self._chance = random.Random(seed)  # noqa: S311 - for trying things out, and the same each time
        self._late: list[Message] = []
        self._kept: dict[bytes, tuple[float, Message]] = {}
        self._running: set[asyncio.Task[None]] = set()

    async def serve(self, listening: socket.socket) -> None:
        """Answer until cancelled."""
        server = await asyncio.start_server(self._connected, sock=listening, limit=1 << 20)
        try:
            await asyncio.Event().wait()
        finally:
            server.close()
            for task in self._running:
                task.cancel()
            await asyncio.gather(*self._running, return_exceptions=True)

    async def _connected(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._running.add(task)
        try:
            with suppress(ConnectionError, asyncio.IncompleteReadError, asyncio.CancelledError):
                while (request := await _read(reader)) and await self._answer(request, writer):
                    pass
        finally:
            self._running.discard(task)
            await _closed(writer)

    async def _answer(self, request: Message, writer: asyncio.StreamWriter) -> bool:
        """Whether the connection can be used further."""
        kinds = {fault.kind: fault for fault in self.faults if self._happens(fault, request)}
        held, self._late = self._late, []
        if kinds.keys() & {"drop-request", "reorder", "half-open"}:
            if "reorder" in kinds:
                self._late.append(request)
            if "half-open" in kinds:
                await asyncio.sleep(LONGEST_SILENCE)
            self._late += held
            return False
        refusal = next((kind for kind in _REFUSALS if kind in kinds), None)
        answer = _refusal(refusal) if refusal else await self._asked(request, kinds)
        for late in held:
            await self._forward(late)
        if "delay" in kinds:
            await asyncio.sleep(kinds["delay"].seconds)
        if "drop-answer" in kinds:
            return False
        return await _send(writer, answer, broken="reset" in kinds)

    def _happens(self, fault: Fault, request: Message) -> bool:
        if fault.kind == "413" and not request.body:
            return False
        if fault.kind == "stale" and not _asks_for_history(request):
            return False
        happens = self._chance.random() < fault.probability
        if happens:
            self.counts[fault.kind] = self.counts.get(fault.kind, 0) + 1
        return happens

    async def _asked(self, request: Message, kinds: Mapping[str, Fault]) -> Message:
        now = asyncio.get_running_loop().time()
        if "stale" in kinds:
            key = re.sub(rb"_since=[^&]*", b"", request.head.split(b" ", 2)[1])
            if key in self._kept and self._kept[key][0] > now:
                return self._kept[key][1]
            self._kept[key] = (now + kinds["stale"].seconds, await self._forward(request))
            return self._kept[key][1]
        if "duplicate" in kinds:
            await self._forward(request)
        return await self._forward(request)

    async def _forward(self, request: Message) -> Message:
        """The server's answer; 502 where it gives none."""
        try:
            reader, writer = await asyncio.open_connection(*self._upstream, limit=1 << 20)
        except OSError:
            return _refusal("502")
        try:
            writer.write(_closing(request).raw)
            await writer.drain()
            return await _read(reader, until_end=True) or _refusal("502")
        except (ConnectionError, asyncio.IncompleteReadError):
            return _refusal("502")
        finally:
            await _closed(writer)


async def _closed(writer: asyncio.StreamWriter) -> None:
    writer.close()
    with suppress(ConnectionError):
        await writer.wait_closed()


def _asks_for_history(request: Message) -> bool:
    return request.first_line.startswith("GET ") and "/_history" in request.first_line


def _refusal(kind: str) -> Message:
    status, headers, body = _REFUSALS[kind]
    return Message(b"HTTP/1.1 %b\r\n%bContent-Length: %d\r\n\r\n" % (status, headers, len(body)), body)


def _closing(request: Message) -> Message:
    """The request for a connection of its own."""
    lines = [line for line in request.head.split(b"\r\n") if not line.lower().startswith(b"connection:")]
    return Message(b"\r\n".join([*lines[:-2], b"Connection: close", b"", b""]), request.body)


async def _send(writer: asyncio.StreamWriter, answer: Message, *, broken: bool) -> bool:
    if not broken:
        writer.write(answer.raw)
        await writer.drain()
        return True
    writer.write(answer.raw[: len(answer.head) + len(answer.body) // 2])
    await writer.drain()
    connection = writer.get_extra_info("socket")
    if connection is not None:  # no polite end: whoever reads gets a reset
        connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, b"\x01\x00\x00\x00\x00\x00\x00\x00")
    writer.transport.abort()
    return False


async def _read(reader: asyncio.StreamReader, *, until_end: bool = False) -> Message | None:
    """One message with its whole body, given a length; None at the end of the connection."""
    try:
        head = await reader.readuntil(b"\r\n\r\n")
    except asyncio.IncompleteReadError:
        return None
    headers = dict(_headers(head))
    if b"chunked" in headers.get(b"transfer-encoding", b""):
        return _with_length(head, b"".join([chunk async for chunk in _chunks(reader)]))
    if b"content-length" in headers:
        return Message(head, await reader.readexactly(int(headers[b"content-length"])))
    return _with_length(head, await reader.read()) if until_end and not _has_no_body(head) else Message(head, b"")


def _has_no_body(head: bytes) -> bool:
    return head.split(b" ", 2)[1][:3] in (b"204", b"304")


def _headers(head: bytes) -> Iterator[tuple[bytes, bytes]]:
    for line in head.split(b"\r\n")[1:-2]:
        name, _, value = line.partition(b":")
        yield name.strip().lower(), value.strip().lower()


async def _chunks(reader: asyncio.StreamReader) -> AsyncIterator[bytes]:
    while size := int((await reader.readuntil(b"\r\n")).split(b";")[0], 16):
        yield await reader.readexactly(size)
        await reader.readexactly(2)
    await reader.readuntil(b"\r\n")


def _with_length(head: bytes, body: bytes) -> Message:
    kept = [line for line in head.split(b"\r\n")[:-2] if not line.lower().startswith(b"transfer-encoding:")]
    return Message(b"\r\n".join([*kept, b"Content-Length: %d" % len(body), b"", b""]), body)


def serve_with_faults(
    asgi: ASGIApp, listening: socket.socket, faults: Sequence[Fault], seed: int, ready: Callable[[], None]
) -> None:
    """Serve an application through the proxy until the process is told to stop."""
    behind = listen("127.0.0.1", 0)
    listening.listen()  # whoever connects on the word of `ready` is heard
    with answering_in_a_thread(asgi, behind):
        ready()
        asyncio.run(_until_told(Proxy(behind.getsockname()[:2], faults, seed).serve(listening)))


async def _until_told(serving: Coroutine[Any, Any, None]) -> None:
    """Ended by a signal as an ordinary server is: what is open is closed, and the exit code is 0."""
    task = asyncio.ensure_future(serving)
    for told in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(told, task.cancel)
    with suppress(asyncio.CancelledError):
        await task


@contextmanager
def faults_before(host: str, port: int, faults: Sequence[Fault], *, seed: int = 0) -> Iterator[tuple[str, Proxy]]:
    """The proxy in a thread while the block runs; gives its http address. `proxy.faults` may be changed meanwhile."""
    listening = listen("127.0.0.1", 0)
    listening.listen()  # whoever connects before the thread is ready waits
    proxy = Proxy((host, port), faults, seed)
    loop = asyncio.new_event_loop()
    serving = loop.create_task(proxy.serve(listening))

    def run() -> None:
        with suppress(asyncio.CancelledError):
            loop.run_until_complete(serving)
        loop.close()

    thread = threading.Thread(target=run, name="faults", daemon=True)
    thread.start()
    try:
        yield address_of(listening), proxy
    finally:
        loop.call_soon_threadsafe(serving.cancel)
        thread.join()
        listening.close()
