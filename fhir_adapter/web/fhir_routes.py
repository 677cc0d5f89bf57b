"""FHIR R4 over HTTP: a table of routes, from which the CapabilityStatement is made too.

A handler reads the request, makes one call into flows and replies. Reads run where they are asked for: a lookup in
SQLite is shorter than the way to another thread. Writes wait for a disk, so they go to a thread.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from importlib.metadata import version
from typing import Literal
from uuid import UUID, uuid4

from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route
from starlette.types import Receive, Scope, Send

from fhir_adapter.errors import BadRequest, MethodNotAllowed, NotAcceptable, TooLarge, UnsupportedMedia
from fhir_adapter.fhir.capability import capability_statement
from fhir_adapter.fhir.resources import dump_json
from fhir_adapter.flows import rest, sandbox
from fhir_adapter.flows.rest import Answer, Server
from fhir_adapter.flows.sandbox import Conditions
from fhir_adapter.store.database import Database
from fhir_adapter.store.resources import keep_index_current
from fhir_adapter.web.failures import FHIR_JSON, as_outcome

BODY_LIMIT = 10_000_000
"""Bytes. More than any plan needs; a larger one is refused before it is read to its end."""

STATEMENT_DATE = "2026-11-22"

JSON_TYPES = frozenset({"application/fhir+json", "application/json", "text/json", "json"})
FORM = "application/x-www-form-urlencoded"


class _Type(StringConvertor):
    regex = "[A-Z][A-Za-z]{1,63}"


class _Id(StringConvertor):
    regex = "[A-Za-z0-9\\-.]{1,64}"


register_url_convertor("fhir_type", _Type())
register_url_convertor("fhir_id", _Id())

Handler = Callable[["Call"], Awaitable[Answer]]
Level = Literal["instance", "type", "system", ""]


@dataclass(frozen=True, slots=True)
class Interaction:
    """One line of the table: a FHIR interaction, where it is found, and what answers. `code` '' is not claimed."""

    code: str
    level: Level
    method: str
    path: str
    handler: Handler
    writes: bool = False


class Call:
    """One request to one server."""

    __slots__ = ("base", "request", "server")

    def __init__(self, request: Request, server: Server, base: str) -> None:
        self.request, self.server, self.base = request, server, base

    @property
    def type(self) -> str:
        found: str = self.request.path_params["type"]
        return found

    @property
    def id(self) -> str:
        found: str = self.request.path_params["id"]
        return found

    @property
    def pairs(self) -> Sequence[tuple[str, str]]:
        return _pairs_in(self.request.scope["query_string"])

    @property
    def prefer(self) -> str:
        return self.request.headers.get("prefer", "")

    @property
    def unless(self) -> str | None:
        return self.request.headers.get("if-none-match")

    @property
    def conditions(self) -> Conditions:
        headers = self.request.headers
        return Conditions(headers.get("if-match"), headers.get("if-none-match"), headers.get("if-none-exist"))

    async def body(self, *media_types: str) -> bytes:
        """The body, if it is of one of these types and within the limit. Raises UnsupportedMedia or TooLarge."""
        given = self.request.headers.get("content-type", "").partition(";")[0].strip().lower()
        if given not in media_types:
            raise UnsupportedMedia(
                f"{given or 'no media type'} is not understood here: send {' or '.join(media_types)}"
            )
        announced = self.request.headers.get("content-length", "")
        if announced.isdecimal() and int(announced) > BODY_LIMIT:
            raise _too_large()
        parts, size = [], 0
        async for part in self.request.stream():
            size += len(part)
            if size > BODY_LIMIT:
                raise _too_large()
            parts.append(part)
        return b"".join(parts)

    async def json_body(self) -> bytes:
        return await self.body("application/fhir+json", "application/json")


def _too_large() -> TooLarge:
    return TooLarge(f"the body is larger than {BODY_LIMIT} bytes")


async def read(call: Call) -> Answer:
    _check_whole_is_asked(call)
    return rest.read(call.server, call.type, call.id, unless=call.unless)


async def vread(call: Call) -> Answer:
    _check_whole_is_asked(call)
    return rest.vread(call.server, call.type, call.id, call.request.path_params["version"], unless=call.unless)


def _check_whole_is_asked(call: Call) -> None:
    """A client that asks for a summary must not take the whole for one. Raises BadRequest."""
    if call.request.scope["query_string"]:
        rest.check_names(call.pairs, {"_format", "_pretty"})


async def history_of_instance(call: Call) -> Answer:
    return rest.history(call.server, call.base, call.type, call.id, call.pairs)


async def history_of_type(call: Call) -> Answer:
    return rest.history(call.server, call.base, call.type, None, call.pairs)


async def history_of_system(call: Call) -> Answer:
    return rest.history(call.server, call.base, None, None, call.pairs)


async def search(call: Call) -> Answer:
    return rest.search(call.server, call.base, call.type, call.pairs, lenient=_is_lenient(call.prefer), posted=False)


async def search_by_post(call: Call) -> Answer:
    body = await call.body(FORM)
    pairs = [*call.pairs, *rest.pairs_of(body.decode("latin-1"))]
    return rest.search(call.server, call.base, call.type, pairs, lenient=_is_lenient(call.prefer), posted=True)


def _is_lenient(prefer: str) -> bool:
    return "handling=lenient" in prefer


async def create(call: Call) -> Answer:
    body = await call.json_body()
    return await run_in_threadpool(
        sandbox.create, call.server, call.base, call.type, body, call.conditions, call.prefer
    )


async def update(call: Call) -> Answer:
    body = await call.json_body()
    return await run_in_threadpool(
        sandbox.update, call.server, call.base, call.type, call.id, body, call.conditions, call.prefer
    )


async def delete(call: Call) -> Answer:
    return await run_in_threadpool(sandbox.delete, call.server, call.base, call.type, call.id, call.conditions)


async def bundle(call: Call) -> Answer:
    body = await call.json_body()
    return await run_in_threadpool(sandbox.bundle, call.server, call.base, body, call.prefer)


async def metadata(call: Call) -> Answer:
    statement = capability_statement(
        base=call.base,
        version=version("fhir-adapter"),
        date=STATEMENT_DATE,
        interactions=interactions_claimed(call.server.writable),
        software="fhir-adapter",
    )
    return Answer(200, dump_json(statement))


INSTANCE = "/{type:fhir_type}/{id:fhir_id}"
TYPE = "/{type:fhir_type}"

INTERACTIONS = (
    Interaction("read", "instance", "GET", INSTANCE, read),
    Interaction("update", "instance", "PUT", INSTANCE, update, writes=True),
    Interaction("delete", "instance", "DELETE", INSTANCE, delete, writes=True),
    Interaction("search-type", "type", "GET", TYPE, search),
    Interaction("create", "type", "POST", TYPE, create, writes=True),
    Interaction("", "", "POST", f"{TYPE}/_search", search_by_post),
    Interaction("vread", "instance", "GET", f"{INSTANCE}/_history/{{version}}", vread),
    Interaction("history-instance", "instance", "GET", f"{INSTANCE}/_history", history_of_instance),
    Interaction("history-type", "type", "GET", f"{TYPE}/_history", history_of_type),
    Interaction("history-system", "system", "GET", "/_history", history_of_system),
    Interaction("", "", "GET", "/metadata", metadata),
    Interaction("batch", "system", "POST", "/", bundle, writes=True),
    Interaction("transaction", "system", "POST", "/", bundle, writes=True),
)
"""Everything that is answered; the most asked for first, because routes are tried in this order."""


def interactions_claimed(writable: bool) -> dict[str, list[str]]:
    """Codes by level, as the CapabilityStatement lists them."""
    return {
        level: [each.code for each in INTERACTIONS if each.level == level and (writable or not each.writes)]
        for level in ("instance", "type", "system")
    }


def fhir_app(
    database: Database,
    *,
    base_path: str,
    writable: bool,
    now: Callable[[], datetime] = lambda: datetime.now(UTC),
    new_id: Callable[[], UUID] = uuid4,
) -> Starlette:
    """A FHIR server over `database`, to be mounted at `base_path` ("/fhir"). `writable` makes it a sandbox."""
    keep_index_current(database)
    server = Server(database, writable, now, new_id)
    paths: dict[str, dict[str, Handler]] = {}
    for each in INTERACTIONS:
        methods = paths.setdefault(each.path, {})
        if writable or not each.writes:
            methods[each.method] = each.handler
    routes = [Route(path, _Endpoint(server, base_path, methods)) for path, methods in paths.items()]
    app = Starlette(routes=routes, exception_handlers={404: _no_such_address})
    app.router.redirect_slashes = False
    return app


async def _no_such_address(request: Request, fault: Exception) -> Response:
    return as_outcome(HTTPException(404, "there is nothing at this address: see /metadata for what there is"))


class _Endpoint:
    """All methods of one path, as an ASGI application; the one place where requests become calls and errors answers."""

    def __init__(self, server: Server, base_path: str, methods: dict[str, Handler]) -> None:
        self._server, self._base_path = server, base_path
        self._methods = methods | ({"HEAD": methods["GET"]} if "GET" in methods else {})
        self._allowed = {"allow": ", ".join(sorted(self._methods))}

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        request = Request(scope, receive)
        try:
            response = await self._response(request)
        except Exception as fault:  # noqa: BLE001 - whatever goes wrong, a FHIR client is told so in FHIR
            response = as_outcome(fault)
            if isinstance(fault, MethodNotAllowed):
                response.headers.update(self._allowed)
        if scope["method"] == "HEAD":
            response.body = b""  # the length of what GET would send stays in the headers
        await response(scope, receive, send)

    async def _response(self, request: Request) -> Response:
        handler = self._methods.get(request.method)
        if handler is None:
            raise MethodNotAllowed(f"{request.method} is not offered here: the CapabilityStatement says what is")
        check_accepted(request.headers.get("accept"), request.scope["query_string"])
        answer = await handler(Call(request, self._server, self._base_of(request)))
        headers = answer.headers if not answer.body else {**answer.headers, "content-type": FHIR_JSON}
        return Response(answer.body, answer.status, headers)

    def _base_of(self, request: Request) -> str:
        return f"{request.scope['scheme']}://{_host(request)}{self._base_path}"


_HOST = re.compile(r"[A-Za-z0-9.\-]{1,253}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")


def _host(request: Request) -> str:
    host = request.headers.get("host", "")
    if not _HOST.fullmatch(host):
        raise BadRequest("the Host header is no host name")
    return host


def check_accepted(accept: str | None, query: bytes) -> None:
    """Raises NotAcceptable when the client takes anything but JSON. `_format` counts for more than Accept."""
    asked = [value for name, value in _pairs_in(query) if name == "_format"] if b"_format" in query else []
    for format_ in asked:
        if format_.partition(";")[0].strip().lower().replace(" ", "+") not in JSON_TYPES:
            raise NotAcceptable(f"{format_} is not offered: this server speaks application/fhir+json")
    if accept and not asked and not _includes_json(accept):
        raise NotAcceptable("this server speaks application/fhir+json only")


def _pairs_in(query: bytes) -> Sequence[tuple[str, str]]:
    return rest.pairs_of(query.decode("latin-1"))


@lru_cache(maxsize=256)
def _includes_json(accept: str) -> bool:
    return any(_takes_json(part) for part in accept.split(","))


def _takes_json(part: str) -> bool:
    kind, *parameters = (each.strip().lower() for each in part.split(";"))
    return (kind in JSON_TYPES or kind in ("*/*", "application/*")) and not any(
        re.fullmatch(r"q=0(\.0*)?", each) for each in parameters
    )
