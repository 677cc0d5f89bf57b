"""Only by this machine's own names: callers are not authenticated, and a browser is on this machine, too."""

from __future__ import annotations

from functools import lru_cache
from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from fhir_adapter.errors import Misdirected
from fhir_adapter.web.failures import as_issues, as_outcome

HERE = frozenset({"127.0.0.1", "localhost", "::1"})


@lru_cache(maxsize=256)
def is_here(host: str) -> bool:
    """Whether a Host header, or the authority of an origin, is a name of this machine."""
    try:
        return urlsplit(f"//{host}").hostname in HERE
    except ValueError:
        return False


def only_here(asgi: ASGIApp) -> ASGIApp:
    """The application, for requests that name this machine (decision 24). Without a Host header no browser sent it."""

    async def guarded(scope: Scope, receive: Receive, send: Send) -> None:
        host = next((value for name, value in scope.get("headers", ()) if name == b"host"), None)
        if host is None or is_here(host.decode("latin-1")):
            await asgi(scope, receive, send)
            return
        fault = Misdirected(f"this server answers by the names {', '.join(sorted(HERE))} only")
        answer = as_outcome(fault) if "fhir" in scope["path"].split("/") else as_issues(fault)
        await answer(scope, receive, send)

    return guarded
