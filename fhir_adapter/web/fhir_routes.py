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

from starlette.concurrency import run_in_threadpool
from starlette.convertors import StringConvertor, register_url_convertor
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect, Request
from starlette.routing import Route, Router
from starlette.types import ASGIApp, Receive, Scope, Send

from fhir_adapter.errors import BadRequest, MethodNotAllowed, NotAcceptable, UnsupportedMedia
from fhir_adapter.fhir.capability import capability_statement
from fhir_adapter.fhir.outcomes import outcome_body
from fhir_adapter.fhir.resources import dump_json
from fhir_adapter.flows import rest, sandbox
from fhir_adapter.flows.rest import Answer, Server
from fhir_adapter.flows.sandbox import Conditions
from fhir_adapter.store.database import Database
from fhir_adapter.store.index import keep_index_current
from fhir_adapter.web.bodies import body_within
from fhir_adapter.web.failures import FHIR_JSON, NOT_KEPT, as_outcome, explained

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
    """One request to one server. Headers are kept as ASGI brings them: a dict of bytes is quicker than a multidict."""

    __slots__ = ("_headers", "_receive", "_scope", "base", "server")

    def __init__(self, scope: Scope, receive: Receive, server: Server, base_path: str) -> None:
        self._scope, self._receive, self._headers = scope, receive, dict(scope["headers"])
        self.server = server
        self.base = _base_of(scope["scheme"], self._headers.get(b"host", b""), base_path)

    def path(self, name: str) -> str:
        """A part of the path: type, id or version."""
        found: str = self._scope["path_params"][name]
        return found

    def header(self, name: bytes) -> str | None:
        """A header by its name in lower case."""
        value = self._headers.get(name)
        return None if value is None else value.decode("latin-1")

    @property
    def query(self) -> bytes:
        """The query string as it came."""
        query: bytes = self._scope["query_string"]
        return query

    @property
    def pairs(self) -> Sequence[tuple[str, str]]:
        """Names and values of the query."""
        return _pairs_in(self.query)

    @property
    def prefer(self) -> str:
        """What the client would rather have."""
        return self.header(b"prefer") or ""

    @property
    def conditions(self) -> Conditions:
        """Under which conditions a write is to be done."""
        return Conditions(self.header(b"if-match"), self.header(b"if-none-match"), self.header(b"if-none-exist"))

    async def body(self, *media_types: str) -> bytes:
        """The body, if it is of one of these types and within the limit. Raises UnsupportedMedia, TooLarge, TooSlow."""
        given, *parameters = (part.strip().lower() for part in (self.header(b"content-type") or "").split(";"))
        if given not in media_types:
            raise UnsupportedMedia(f"{given or 'no media type'} is not understood: send {' or '.join(media_types)}")
        if not _is_r4(parameters):
            raise UnsupportedMedia("another version of FHIR is not understood: send FHIR R4 (fhirVersion=4.0)")
        if (self.header(b"content-encoding") or "identity").lower() != "identity":
            raise UnsupportedMedia("compressed bodies are not understood: send it as it is")
        return await body_within(Request(self._scope, self._receive), BODY_LIMIT)

    async def json_body(self) -> bytes:
        """A body that is to be parsed as a resource."""
        return await self.body("application/fhir+json", "application/json")


async def read(call: Call) -> Answer:
    _check_whole_is_asked(call)
    return rest.read(call.server, call.path("type"), call.path("id"), unless=call.header(b"if-none-match"))


async def vread(call: Call) -> Answer:
    _check_whole_is_asked(call)
    return rest.vread(
        call.server, call.path("type"), call.path("id"), call.path("version"), unless=call.header(b"if-none-match")
    )


def _check_whole_is_asked(call: Call) -> None:
    """A client that asks for a summary must not take the whole for one. Raises BadRequest."""
    if call.query:
        rest.check_names(call.pairs, {"_format", "_pretty"})


async def history_of_instance(call: Call) -> Answer:
    return rest.history(call.server, call.base, call.path("type"), call.path("id"), call.pairs)


async def history_of_type(call: Call) -> Answer:
    return rest.history(call.server, call.base, call.path("type"), None, call.pairs)


async def history_of_system(call: Call) -> Answer:
    return rest.history(call.server, call.base, None, None, call.pairs)


async def search(call: Call) -> Answer:
    return rest.search(
        call.server, call.base, call.path("type"), call.pairs, lenient=_is_lenient(call.prefer), posted=False
    )


async def search_by_post(call: Call) -> Answer:
    body = await call.body(FORM)
    pairs = [*call.pairs, *rest.pairs_of(body.decode("latin-1"))]
    return rest.search(call.server, call.base, call.path("type"), pairs, lenient=_is_lenient(call.prefer), posted=True)


def _is_lenient(prefer: str) -> bool:
    return "handling=lenient" in prefer.lower()


async def create(call: Call) -> Answer:
    body = await call.json_body()
    return await run_in_threadpool(
        sandbox.create, call.server, call.base, call.path("type"), body, call.conditions, call.prefer
    )


async def update(call: Call) -> Answer:
    body = await call.json_body()
    return await run_in_threadpool(
        sandbox.update, call.server, call.base, call.path("type"), call.path("id"), body, call.conditions, call.prefer
    )


async def delete(call: Call) -> Answer:
    return await run_in_threadpool(
        sandbox.delete, call.server, call.base, call.path("type"), call.path("id"), call.conditions
    )


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
) -> ASGIApp:
    """A FHIR server over `database`, to be mounted at `base_path` ("/fhir"). `writable` makes it a sandbox."""
    keep_index_current(database)
    server = Server(database, writable, now, new_id)
    paths: dict[str, dict[str, Handler]] = {}
    for each in INTERACTIONS:
        methods = paths.setdefault(each.path, {})
        if writable or not each.writes:
            methods[each.method] = each.handler
    routes = [Route(path, _Endpoint(server, base_path, methods)) for path, methods in paths.items()]
    return Router(routes, redirect_slashes=False, default=_no_such_address)


async def _no_such_address(scope: Scope, receive: Receive, send: Send) -> None:
    fault = HTTPException(404, "there is nothing at this address: see /metadata for what there is")
    await as_outcome(fault)(scope, receive, send)


class _Endpoint:
    """All methods of one path, as an ASGI application; the one place where requests become calls and errors answers."""

    def __init__(self, server: Server, base_path: str, methods: dict[str, Handler]) -> None:
        self._server, self._base_path = server, base_path
        self._methods = methods | ({"HEAD": methods["GET"]} if "GET" in methods else {})

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        try:
            answer = await self._answer(scope, receive)
        except ClientDisconnect:
            return
        except Exception as fault:  # noqa: BLE001 - whatever goes wrong, a FHIR client is told so in FHIR
            status, issues, headers = explained(fault)
            answer = Answer(status, outcome_body(issues), dict(headers))
        await _send(answer, send, with_body=scope["method"] != "HEAD")

    async def _answer(self, scope: Scope, receive: Receive) -> Answer:
        handler = self._methods.get(scope["method"])
        if handler is None:
            message = f"{scope['method']} is not offered here: the CapabilityStatement says what is"
            raise MethodNotAllowed(message, allowed=sorted(self._methods))
        call = Call(scope, receive, self._server, self._base_path)
        check_accepted(call.header(b"accept"), call.query)
        return await handler(call)


async def _send(answer: Answer, send: Send, *, with_body: bool) -> None:
    """HEAD gets the headers that GET would, its length among them."""
    headers = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in answer.headers.items()]
    if "cache-control" not in answer.headers:
        headers.append((b"cache-control", NOT_KEPT))
    if answer.body:
        headers.append((b"content-type", FHIR_JSON.encode()))
    if answer.status not in (204, 304):
        headers.append((b"content-length", b"%d" % len(answer.body)))
    await send({"type": "http.response.start", "status": answer.status, "headers": headers})
    await send({"type": "http.response.body", "body": answer.body if with_body else b""})


_HOST = re.compile(rb"[A-Za-z0-9.\-]{1,253}(?::\d{1,5})?|\[[0-9A-Fa-f:.]{2,45}\](?::\d{1,5})?")


@lru_cache(maxsize=256)
def _base_of(scheme: str, host: bytes, base_path: str) -> str:
    """The server's base URL as this client knows it. Raises BadRequest: a host that is none must not get into links."""
    if not _HOST.fullmatch(host):
        raise BadRequest("the Host header is no host name")
    return f"{scheme}://{host.decode('latin-1')}{base_path}"


def check_accepted(accept: str | None, query: bytes) -> None:
    """Raises NotAcceptable when the client takes anything but JSON. `_format` counts for more than Accept, if it says
    anything."""
    asked = [value for name, value in _pairs_in(query) if name == "_format" and value] if b"_format" in query else []
    for format_ in asked:
        if format_.partition(";")[0].strip().lower().replace(" ", "+") not in JSON_TYPES:
            raise NotAcceptable(f"{format_} is not offered: this server speaks application/fhir+json")
    if accept and not asked and not _includes_json(accept):
        raise NotAcceptable("this server speaks application/fhir+json only, FHIR R4")


def _pairs_in(query: bytes) -> Sequence[tuple[str, str]]:
    return rest.pairs_of(query.decode("latin-1"))


@lru_cache(maxsize=256)
def _includes_json(accept: str) -> bool:
    return any(_takes_json(part) for part in accept.split(","))


def _takes_json(part: str) -> bool:
    kind, *parameters = (each.strip().lower() for each in part.split(";"))
    is_refused = any(re.fullmatch(r"q=0(\.0*)?", each) for each in parameters)
    return (kind in JSON_TYPES or kind in ("*/*", "application/*")) and not is_refused and _is_r4(parameters)


def _is_r4(parameters: Sequence[str]) -> bool:
    """Whether a media type's parameters leave FHIR's version open or name ours (http://hl7.org/fhir/R4/versioning.html)."""
    named = [each.partition("=")[2].strip('"') for each in parameters if each.startswith("fhirversion=")]
    return all(version in ("4.0", "4.0.1") for version in named)
