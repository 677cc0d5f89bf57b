"""Reading a request's body: no further than a limit, and not for ever."""

from __future__ import annotations

import asyncio

from starlette.requests import Request

from fhir_adapter.errors import Issue, TooLarge, TooSlow

PATIENCE = 60.0
"""Seconds in which a body must be here: who sends a byte now and then does not keep a connection."""


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
