"""The wire between the adapter and one region's FHIR server: no network, but all that a network does to a request.

It stands in the place of a requests.Session and gives what it is asked straight to the server's application, which is
the sandbox of the product. It loses, repeats and delays requests; histories come late, in another order or with
entries twice, as caches and replicas give them.
"""

from __future__ import annotations

import asyncio
import json
import random
from collections import Counter
from collections.abc import Callable, Coroutine, Iterator, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from typing import Any, TypeVar
from unittest.mock import patch
from urllib.parse import urlencode, urlsplit

import requests
from requests.structures import CaseInsensitiveDict
from starlette.types import ASGIApp

from fhir_adapter.fhir.resources import WRITE_ID
from fhir_adapter.web import fhir_routes

T = TypeVar("T")

TROUBLES = ("lost request", "lost answer", "twice", "late request", "crash before call", "crash after call")
"""What befalls a request."""

READING_TROUBLES = ("in another order", "lagging")
"""What befalls a history on its way; anything else is left as it is."""

_STATEMENTS: dict[str, Response] = {}
"""CapabilityStatements: the same for every region of every run."""


class Crash(BaseException):
    """The process died here."""


@dataclass(frozen=True, slots=True)
class Request:
    """What leaves the adapter."""

    method: str
    url: str
    headers: Mapping[str, str]
    body: bytes

    @property
    def is_write(self) -> bool:
        """Whether it is a transaction: the adapter writes in no other way."""
        return self.method == "POST" and urlsplit(self.url).path == "/fhir"

    @property
    def write_id(self) -> str:
        """The mark of a transaction."""
        marks = json.loads(self.body)["entry"][0]["resource"]["extension"]
        return str([each["valueId"] for each in marks if each["url"] == WRITE_ID][-1])


@dataclass(slots=True)
class Response:
    """As much of a requests.Response as the client looks at."""

    status_code: int
    headers: Mapping[str, str]
    content: bytes

    def __enter__(self) -> Response:
        return self

    def __exit__(self, *_fault: object) -> None:
        """Nothing is held open."""

    def iter_content(self, _size: int) -> Iterator[bytes]:
        """All at once."""
        yield self.content


@dataclass(slots=True)
class Wire:
    """From the adapter to one region. `trouble` is used up by the next requests, `at_write` by the next transaction.

    `arrived` holds the write ids of the transactions that were carried out; `conflict` is how this server says that
    a version is not the current one.
    """

    app: ASGIApp
    conflict: int = 412
    trouble: list[str] = field(default_factory=list)
    at_write: str = ""
    late: list[Request] = field(default_factory=list)
    sent: int = 0
    arrived: set[str] = field(default_factory=set)
    befell: Counter[str] = field(default_factory=Counter)
    random: random.Random = field(default_factory=lambda: random.Random(0))

    def request(
        self,
        method: str,
        url: str,
        *,
        data: Any,
        headers: Mapping[str, str],
        params: Mapping[str, str] | None,
        **_: Any,
    ) -> Response:
        """What the client calls."""
        body = urlencode(data).encode() if isinstance(data, dict) else data or b""
        form = {"Content-Type": "application/x-www-form-urlencoded"} if isinstance(data, dict) else {}
        return self._send(Request(method, f"{url}?{urlencode(params)}" if params else url, {**form, **headers}, body))

    def _send(self, request: Request) -> Response:
        self.sent += request.is_write
        what = self.trouble.pop(0) if self.trouble else ""
        if request.is_write and self.at_write:
            what, self.at_write = self.at_write, ""
        if what:
            self.befell[what] += 1
        if what == "lost request":
            raise requests.ConnectionError(what)
        if what == "late request":
            if request.is_write:
                self.late.append(request)
            raise requests.ConnectionError(what)
        if what == "crash before call":
            raise Crash
        answer = self._ask(request)
        if what == "twice":
            answer = self._ask(request)
        if what == "lost answer":
            raise requests.ConnectionError(what)
        if what == "crash after call":
            raise Crash
        return _troubled(answer, what, self.random) if what in READING_TROUBLES else answer

    def close(self) -> None:
        """Nothing is held open."""

    def calm(self) -> None:
        """No more trouble; what is late is still on its way."""
        self.trouble.clear()
        self.at_write = ""

    def arrive(self) -> None:
        """What the network carried for so long arrives after all; nobody waits for the answer any more."""
        if self.late:
            self._ask(self.late.pop(0))

    def _ask(self, request: Request) -> Response:
        answer = answer_of(self.app, request)
        if request.is_write and answer.status_code == 200:
            self.arrived.add(request.write_id)
        if answer.status_code == 412:
            answer.status_code = self.conflict
        return answer


def _troubled(answer: Response, what: str, chance: random.Random) -> Response:
    """A history in another order and with entries twice, though each resource's versions stay in theirs; or one that
    does not know the newest yet."""
    bundle = json.loads(answer.content)
    entries = bundle.get("entry")
    if bundle.get("type") != "history" or not entries:
        return answer
    if what == "lagging":
        bundle["entry"] = entries[1 + chance.randrange(len(entries)) :]
    else:
        places = [urlsplit(each["fullUrl"]).path for each in entries]
        order = {place: chance.random() for place in places}
        bundle["entry"] = [each for _, each in sorted(zip(places, entries, strict=True), key=lambda one: order[one[0]])]
        bundle["entry"] += bundle["entry"][:1]
    answer.content = json.dumps(bundle).encode()
    return answer


def answer_of(app: ASGIApp, request: Request) -> Response:
    """One request through an ASGI application that never waits for anything."""
    parts = urlsplit(request.url)
    if parts.path == "/fhir/metadata" and parts.netloc in _STATEMENTS:
        return _STATEMENTS[parts.netloc]
    scope = {
        "type": "http",
        "asgi": {"version": "3.0"},
        "http_version": "1.1",
        "method": request.method,
        "scheme": parts.scheme,
        "path": parts.path.removeprefix("/fhir") or "/",
        "root_path": "/fhir",
        "query_string": parts.query.encode(),
        "headers": [(k.lower().encode(), v.encode()) for k, v in request.headers.items()]
        + [(b"host", parts.netloc.encode())],
    }
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        return {"type": "http.request", "body": request.body, "more_body": False}

    async def send(message: Any) -> None:
        sent.append(message)

    with patch.object(fhir_routes, "run_in_threadpool", _at_once), patch.object(asyncio, "timeout", nullcontext):
        _run(app(scope, receive, send))  # type: ignore[arg-type]
    headers = CaseInsensitiveDict({name.decode(): value.decode() for name, value in sent[0]["headers"]})
    answer = Response(sent[0]["status"], headers, b"".join(message.get("body", b"") for message in sent[1:]))
    if parts.path == "/fhir/metadata":
        _STATEMENTS[parts.netloc] = answer
    return answer


async def _at_once(work: Callable[..., T], *args: Any) -> T:
    """Instead of another thread: here nobody else is to be served meanwhile."""
    return work(*args)


def _run(coroutine: Coroutine[Any, Any, None]) -> None:
    try:
        coroutine.send(None)
    except StopIteration:
        return
    raise RuntimeError("the application waits for something")
