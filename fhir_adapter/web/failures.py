"""The one place where an error becomes HTTP: an OperationOutcome on the FHIR side, {"issues": [...]} on the other."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

import structlog
from fastapi import FastAPI, Request
from fastapi.exceptions import RequestValidationError
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect
from starlette.responses import Response
from starlette.routing import Match
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from fhir_adapter.errors import AdapterError, Issue, MethodNotAllowed, RemoteError, Unavailable
from fhir_adapter.fhir.outcomes import outcome_body
from fhir_adapter.fhir.resources import dump_json

FHIR_JSON = "application/fhir+json; charset=utf-8"

NOT_KEPT = b"no-store"
"""Cache-Control of what says nothing else: answers are about persons, and no cache on the way is to have them."""

RETRY_AFTER = "60"
"""Seconds that who cannot be served may wait: somebody has to look at the disk first."""

log = structlog.get_logger()

_CODES = {404: "not-found", 405: "not-supported", 406: "not-supported", 413: "too-long", 415: "not-supported"}
"""FHIR issue types for what the web framework refuses on its own."""


def as_outcome(fault: Exception) -> Response:
    """The answer of the FHIR side."""
    status, issues, headers = explained(fault)
    return Response(outcome_body(issues), status, {"content-type": FHIR_JSON, **headers})


def as_issues(fault: Exception) -> Response:
    """The answer of the party side."""
    status, issues, headers = explained(fault)
    body = dump_json({"issues": [issue.as_dict() for issue in issues]})
    return Response(body, status, {"content-type": "application/json; charset=utf-8", **headers})


def answer_with_issues(app: FastAPI) -> None:
    """Have the app answer every error as_issues."""

    def answer(request: Request, fault: Exception) -> Response:
        if isinstance(fault, HTTPException) and fault.status_code == 405:
            fault = MethodNotAllowed(f"{request.method} is not offered here", allowed=_methods_at(app, request.scope))
        return as_issues(fault)

    for kind in (AdapterError, HTTPException, RequestValidationError):
        app.add_exception_handler(kind, answer)
    app.add_middleware(_Outermost)


def _methods_at(app: FastAPI, scope: Scope) -> list[str]:
    """All methods that the routes of this address answer; the framework names those of the first route alone."""
    offered = [
        method
        for method in ("GET", "POST", "PUT", "PATCH", "DELETE")
        if any(route.matches({**scope, "method": method})[0] is Match.FULL for route in app.routes)
    ]
    return [*offered, "HEAD"] if "GET" in offered else offered


class _Outermost:
    """Answers HEAD as GET without its body, and what nobody foresaw; keeps answers out of caches.

    A handler for Exception would do the latter too, but then the framework raises it again and the server logs its
    text, which may hold personal data.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        has_started, is_head = False, scope.get("method") == "HEAD"

        async def sending(message: Message) -> None:
            nonlocal has_started
            has_started = True
            if "headers" in message and all(name.lower() != b"cache-control" for name, _ in message["headers"]):
                message = {**message, "headers": [*message["headers"], (b"cache-control", NOT_KEPT)]}
            await send({**message, "body": b""} if is_head and "body" in message else message)

        try:
            await self._app({**scope, "method": "GET"} if is_head else scope, receive, sending)
        except ClientDisconnect:
            return  # nobody is there to be answered
        except Exception as fault:
            if has_started or scope["type"] != "http":
                raise
            await as_issues(fault)(scope, receive, sending)


def explained(fault: Exception) -> tuple[int, Sequence[Issue], Mapping[str, str]]:
    """HTTP status, issues and headers. What nobody foresaw is logged by kind alone: its text may hold personal data."""
    match fault:
        case RemoteError(retry_after=float(seconds)):
            return fault.status, fault.issues, {"retry-after": str(round(seconds))}
        case MethodNotAllowed():
            return fault.status, fault.issues, {"allow": ", ".join(fault.allowed)}
        case Unavailable():
            log.error("the store is not available", reason=fault.reason)
            return fault.status, fault.issues, {"retry-after": RETRY_AFTER}
        case AdapterError():
            return fault.status, fault.issues, {}
        case HTTPException():
            code = _CODES.get(fault.status_code, "processing")
            return fault.status_code, [Issue("error", code, "", str(fault.detail))], fault.headers or {}
        case RequestValidationError():
            return 400, [_issue_of(error["loc"], error["msg"]) for error in fault.errors()], {}
    log.error("a request failed", error=type(fault).__name__, place=_place_of(fault))
    return 500, [Issue("error", "exception", "", "something went wrong here; it was noted")], {}


def _issue_of(location: Sequence[str | int], message: str) -> Issue:
    return Issue("error", "value", ".".join(str(part) for part in location[1:]), message)


def _place_of(fault: Exception) -> str:
    """File and line where it was raised."""
    trace = fault.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}" if trace else ""
