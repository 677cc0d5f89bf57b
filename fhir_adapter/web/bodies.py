"""Reading a request's body: no further than a limit, not for ever, and to its end before it is answered."""

from __future__ import annotations

import asyncio
from contextlib import suppress

from starlette.requests import Request
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fhir_adapter.errors import Issue, TooLarge, TooSlow

PATIENCE = 60.0
"""Seconds in which a body must be here: who sends a byte now and then does not keep a connection."""

LEFT_OVER = 50_000_000
"""Bytes that are taken in and thrown away after a request was refused."""

LINGERING = 5.0
"""Seconds for them."""


async def body_within(request: Request, limit: int) -> bytes:
    """The whole body. Raises TooLarge as soon as it grows past `limit` bytes, whatever Content-Length says; TooSlow."""
    message = f"the body is larger than {limit} bytes"
    too_large = TooLarge(message, [Issue("error", "too-long", "", message, f"at most {limit} bytes")])
    announced = request.headers.get("content-length", "")
    if announced.isdecimal() and int(announced) > limit:
        raise too_large
    body = bytearray()
    try:
        async with asyncio.timeout(PATIENCE):
            async for chunk in request.stream():
                body += chunk
                if len(body) > limit:
                    raise too_large
    except TimeoutError:
        raise TooSlow(f"the body was not here within {PATIENCE:.0f} seconds") from None
    return bytes(body)


def taken_in_whole(asgi: ASGIApp) -> ASGIApp:
    """The application; what it leaves of a body is thrown away before its answer goes out. A connection that is closed
    with unread bytes in it is reset: the client would not see why it was refused, and try again."""

    async def whole(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["method"] in ("GET", "HEAD"):
            await asgi(scope, receive, send)
            return
        is_left = all(name != b"expect" for name, _ in scope["headers"])  # who waits to be asked for it sends nothing

        async def receiving() -> Message:
            nonlocal is_left
            message = await receive()
            is_left = message.get("more_body", False)
            return message

        async def sending(message: Message) -> None:
            if is_left and message["type"] == "http.response.start":
                await _throw_away(receiving)
            await send(message)

        await asgi(scope, receiving, sending)

    return whole


async def _throw_away(receive: Receive) -> None:
    left, more = LEFT_OVER, True
    with suppress(TimeoutError):
        async with asyncio.timeout(LINGERING):
            while more and left > 0:
                message = await receive()
                left, more = left - len(message.get("body", b"")), message.get("more_body", False)
