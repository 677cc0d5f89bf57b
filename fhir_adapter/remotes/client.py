"""A FHIR R4 server seen from here: read, search, history and transaction, with every failure as one kind of error.

Spec: http://hl7.org/fhir/R4/http.html. What the client never does: follow a redirect or a page link to another host,
put search parameters (they may hold a person number) into a URL, or quote the other side's words in an error.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from copy import copy
from dataclasses import dataclass
from typing import Any, Self
from urllib.parse import urljoin, urlsplit

import requests
import tenacity

from fhir_adapter.errors import BadRequest, RemoteError
from fhir_adapter.fhir.resources import Resource, dump_json, parse_input, reference_of
from fhir_adapter.remotes.abilities import Abilities, abilities_in
from fhir_adapter.remotes.failures import failure_of, no_answer, unusable
from fhir_adapter.remotes.reader import Answer, Question, Reader

FHIR_JSON = "application/fhir+json"
PAGE = 100
BEGINNING = "1970-01-01T00:00:00Z"
"""Before everything that FHIR servers hold."""

LARGEST_ANSWER = 64 * 1024 * 1024
LONGEST_PATIENCE = 5.0
"""Seconds that a call waits before it tries again; who is asked to wait longer is told so and comes back by himself."""


@dataclass(frozen=True, slots=True)
class RemoteVersion:
    """One version of a resource over there. `resource` is None when it was deleted or the server did not return it.

    `updated` is a FHIR instant as that server wrote it; "" where it does not say (HAPI: when it deleted something).
    """

    type: str
    id: str
    version: str
    updated: str
    deleted: bool
    resource: Resource | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One write of a transaction: PUT of `resource` under its own id, if the current version there is `if_match`.

    `only_if_new`: if there is nothing under that id, or nothing since it was deleted there in version `if_match`.
    """

    resource: Resource
    if_match: str | None = None
    only_if_new: bool = False


class FhirClient:
    """One FHIR server under `base_url`. Any number of threads may use it: each has connections of its own.

    `timeout` are the seconds for connecting and for each silence in between; a whole answer may take six times that.
    Credentials are the session's affair; one that is given serves all threads. Calls that may be repeated without harm
    are tried `attempts` times.
    """

    def __init__(
        self,
        base_url: str,
        *,
        timeout: float = 10,
        session: requests.Session | None = None,
        attempts: int = 3,
        sleep: Callable[[float], None] = time.sleep,
    ) -> None:
        self.base_url = base_url.rstrip("/")
        self._origin = _origin(self.base_url)
        self._timeout = timeout
        self._sessions = _Sessions(session)
        self._abilities: list[Abilities] = []  # one, once asked for, and shared with who reads in this client's name
        self._reader: Reader | None = None
        self._retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception(_may_help_at_once),
            wait=_wait,
            stop=tenacity.stop_after_attempt(attempts),
            sleep=sleep,
            reraise=True,
        )

    def for_reader(self, reader: Reader) -> Self:
        """The same server for somebody who may know its answers already, and may be more patient."""
        client, usual = copy(self), self._retrying.stop
        client._reader = reader

        def is_enough(state: tenacity.RetryCallState) -> bool:
            fault = state.outcome.exception() if state.outcome else None
            return usual(state) and not (
                isinstance(fault, RemoteError) and reader.is_patient(state.attempt_number, fault)
            )

        client._retrying = self._retrying.copy(stop=is_enough)
        return client

    def close(self) -> None:
        """Give the connections back."""
        self._sessions.close()

    def send(
        self,
        method: str,
        path_or_url: str = "",
        *,
        json: Resource | None = None,
        form: Mapping[str, str | Sequence[str]] | None = None,
        headers: Mapping[str, str] | None = None,
        params: Mapping[str, str | Sequence[str]] | None = None,
    ) -> Answer:
        """One request, one answer, no second try: the only place where a request leaves this house.

        Raises RemoteError (RemoteConflict on 409 and 412) for everything that is not a 2xx.
        """
        url = self._on_this_host(path_or_url)
        what = _described(method, url, self.base_url)
        body = dump_json(json) if json is not None else form
        sent = {"Accept": FHIR_JSON} | ({"Content-Type": FHIR_JSON} if json is not None else {}) | dict(headers or {})
        try:
            with self._sessions.mine().request(
                method,
                url,
                data=body,
                headers=sent,
                params=params,
                timeout=self._timeout,
                allow_redirects=False,
                stream=True,
            ) as response:
                status, answered = response.status_code, response.headers
                content = self._whole_body(response, what)
        except requests.RequestException as fault:
            raise no_answer(what, fault) from None
        if not 200 <= status < 300:
            raise failure_of(what, status, answered, content)
        return Answer(status, answered, content)

    def capability(self) -> Resource:
        """The server's CapabilityStatement."""
        return self._ask("GET", "metadata")

    def abilities(self) -> Abilities:
        """What the server says that it can do; asked once."""
        if not self._abilities:
            self._abilities.append(abilities_in(self.capability()))
        return self._abilities[0]

    def why_it_does_not_answer(self) -> RemoteError | None:
        """One look, without patience, whether anybody is there; None: yes."""
        try:
            self.send("GET", "metadata")
        except RemoteError as fault:
            return fault
        return None

    def read(self, type_: str, id_: str) -> RemoteVersion | None:
        """The current version; None when the server never had it, `deleted` when it is gone (410)."""
        try:
            answer = self._again("GET", f"{type_}/{id_}")
        except RemoteError as fault:
            if fault.answered == 404:
                return None
            if fault.answered == 410:
                return RemoteVersion(type_, id_, "", "", True, None)
            raise
        return _version_in(_resource_in(answer), answer.headers.get("ETag"))

    def search(self, type_: str, params: Mapping[str, str | Sequence[str]]) -> Iterator[Resource]:
        """Every match of a search and what it includes, page by page as they are asked for.

        Sent as POST `_search`: parameters in a URL end up in logs (R4 http.html#search). Done anew each time: HAPI else
        gives the answer of up to a minute ago, and a person who was not there then would be made twice.
        """
        form, headers = {"_count": str(PAGE), **params}, {"Cache-Control": "no-cache"}
        for entry in self._entries(self._ask("POST", f"{type_}/_search", form=form, headers=headers)):
            resource = _object(entry.get("resource"))
            if resource and _object(entry.get("search")).get("mode") != "outcome":
                yield resource

    def history(
        self, type_: str | None = None, id_: str | None = None, since: str | None = None
    ) -> list[RemoteVersion]:
        """Every version since the instant `since` (inclusive), oldest first; each once, though pages may overlap.

        A beginning is always named: HAPI keeps the count of a history without one for a minute and gives only as many.
        """
        path = "/".join(part for part in (type_, id_, "_history") if part)
        params = {"_count": str(PAGE), "_since": since or BEGINNING}
        newest_first: dict[tuple[str, str, str], RemoteVersion] = {}
        for entry in self._entries(self._ask("GET", path, params=params)):
            version = _version_of(entry)
            newest_first.setdefault((version.type, version.id, version.version), version)
        return list(newest_first.values())[::-1]

    def transaction(self, entries: Sequence[Entry]) -> list[RemoteVersion]:
        """All or none of `entries` written; what the server made of each, in the same order.

        Tried once: a repetition of a write that did arrive would look like a conflict. Raises RemoteConflict when one
        of them is not current there, ValueError when a resource stands twice (HAPI would drop one without a word).
        """
        if not entries:
            return []
        if len({reference_of(entry.resource) for entry in entries}) != len(entries):
            raise ValueError("a resource stands twice in one transaction")
        bundle = {"resourceType": "Bundle", "type": "transaction", "entry": [self._put(entry) for entry in entries]}
        answer = self.send("POST", "", json=bundle, headers={"Prefer": "return=representation"})
        answered = _objects(_resource_in(answer).get("entry"))
        if len(answered) != len(entries):
            raise unusable("POST transaction", "another number of entries than were sent")
        return [_written(entry.resource, made) for entry, made in zip(entries, answered, strict=True)]

    def _put(self, entry: Entry) -> Resource:
        reference = reference_of(entry.resource)
        request = {"method": "PUT", "url": reference, **self._condition(entry)}
        return {"fullUrl": f"{self.base_url}/{reference}", "resource": entry.resource, "request": request}

    def _condition(self, entry: Entry) -> dict[str, str]:
        if entry.only_if_new:
            return self.abilities().condition_to_create(entry.if_match)
        return {} if entry.if_match is None else {"ifMatch": f'W/"{entry.if_match}"'}

    def _again(self, method: str, path_or_url: str, **how: Any) -> Answer:
        """`send`, a few times if need be: only for what may be repeated without harm."""

        def ask() -> Answer:
            answer: Answer = self._retrying(self.send, method, path_or_url, **how)
            return answer

        if self._reader is None:
            return ask()
        about = _one_named_in(_path_below(self.base_url, path_or_url))
        return self._reader.answer_to(Question(method, path_or_url, repr(how), about), ask)

    def _ask(self, method: str, path_or_url: str, **how: Any) -> Resource:
        return _resource_in(self._again(method, path_or_url, **how))

    def _entries(self, page: Resource) -> Iterator[dict[str, Any]]:
        """The entries of a Bundle and of all the pages after it."""
        seen = set()
        while True:
            yield from _objects(page.get("entry"))
            links = (_text(link.get("url")) for link in _objects(page.get("link")) if link.get("relation") == "next")
            link = next(links, "")
            if not link:
                return
            if link in seen:
                raise unusable("GET next page", "the same next link twice")
            seen.add(link)
            page = self._ask("GET", link)

    def _on_this_host(self, path_or_url: str) -> str:
        """The whole URL. A link to another host is refused: it would carry our credentials and questions there."""
        try:
            url = urljoin(f"{self.base_url}/", path_or_url) if path_or_url else self.base_url
            here = _origin(url) == self._origin
        except ValueError:  # not a URL at all
            here = False
        if not here:
            raise unusable("GET next page", "a link to another host")
        return url

    def _whole_body(self, response: requests.Response, what: str) -> bytes:
        """The body, but neither without end nor for ever."""
        deadline = time.monotonic() + 6 * self._timeout
        content = bytearray()
        for chunk in response.iter_content(65536):
            content += chunk
            if len(content) > LARGEST_ANSWER:
                raise unusable(what, f"more than {LARGEST_ANSWER} bytes")
            if time.monotonic() > deadline:
                raise RemoteError(f"{what}: the answer took longer than {6 * self._timeout:g} seconds")
        return bytes(content)


class _Sessions:
    """A session for each thread: requests does not promise that one may be shared."""

    def __init__(self, given: requests.Session | None) -> None:
        self._given = given
        self._of_thread = threading.local()
        self._opened: list[requests.Session] = [given] if given else []

    def mine(self) -> requests.Session:
        """The one that was given, else this thread's own."""
        if self._given is not None:
            return self._given
        session: requests.Session | None = getattr(self._of_thread, "session", None)
        if session is None:
            session = self._of_thread.session = requests.Session()
            self._opened.append(session)
        return session

    def close(self) -> None:
        for session in self._opened:
            session.close()


def _may_help_at_once(fault: BaseException) -> bool:
    return isinstance(fault, RemoteError) and fault.retry and (fault.retry_after or 0) <= LONGEST_PATIENCE


def _wait(state: tenacity.RetryCallState) -> float:
    """Full jitter, so that many clients do not come back together; at least what the server asked for."""
    fault = state.outcome.exception() if state.outcome else None
    asked = fault.retry_after if isinstance(fault, RemoteError) and fault.retry_after else 0.0
    return max(asked, tenacity.wait_random_exponential(multiplier=0.2, max=2)(state))


def _origin(url: str) -> tuple[str, str | None, int | None]:
    parts = urlsplit(url)
    port = parts.port or {"http": 80, "https": 443}.get(parts.scheme)
    return parts.scheme, parts.hostname, port


def _described(method: str, url: str, base_url: str) -> str:
    """What was asked, for messages: method, host and the type alone (an id or a parameter may tell who it is about)."""
    kind = _path_below(base_url, url).partition("/")[0]
    return f"{method} {kind if kind.isalpha() else 'request'} at {urlsplit(base_url).netloc}"


def _path_below(base_url: str, url: str) -> str:
    """`Type/id/_history` of a URL, which may be a whole one."""
    return urlsplit(url).path.removeprefix(urlsplit(base_url).path).strip("/")


def _one_named_in(path: str) -> tuple[str, str] | None:
    """Type and id, where the path names one resource."""
    type_, id_, *_ = [*path.split("/"), "", ""]
    return (type_, id_) if id_ and not id_.startswith("_") else None


def _resource_in(answer: Answer) -> Resource:
    try:
        value = parse_input(answer.body)
    except BadRequest:
        value = None
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise unusable("request", "something that is not a FHIR resource", answer.status)
    return value


def _version_in(resource: Resource, etag: Any = None, updated: Any = None) -> RemoteVersion:
    meta = _object(resource.get("meta"))
    version = _text(meta.get("versionId")) or _plain(etag)
    changed = _text(meta.get("lastUpdated")) or _text(updated)
    return RemoteVersion(resource["resourceType"], _text(resource.get("id")), version, changed, False, resource)


def _version_of(entry: Mapping[str, Any]) -> RemoteVersion:
    """One entry of a history: a deletion has no resource, only the request that made it (R4 http.html#history)."""
    request, response, resource = (_object(entry.get(name)) for name in ("request", "response", "resource"))
    if "resourceType" in resource and request.get("method") != "DELETE":
        return _version_in(resource, response.get("etag"), response.get("lastModified"))
    type_, id_, version = _named_in(_text(request.get("url")) or _text(entry.get("fullUrl")))
    number = version or _plain(response.get("etag"))
    return RemoteVersion(type_, id_, number, _text(response.get("lastModified")), True, None)


def _written(sent: Resource, entry: Mapping[str, Any]) -> RemoteVersion:
    """What became of one write; a server that returns no representation still says which version it made."""
    response, returned = _object(entry.get("response")), _object(entry.get("resource"))
    if returned.get("resourceType") == sent["resourceType"]:
        return _version_in(returned, response.get("etag"), response.get("lastModified"))
    version = _plain(response.get("etag")) or _named_in(_text(response.get("location")))[2]
    return RemoteVersion(sent["resourceType"], sent["id"], version, _text(response.get("lastModified")), False, None)


def _named_in(url: str) -> tuple[str, str, str]:
    """Type, id and version ("" where none) that `[base/]Type/id[/_history/version]` names."""
    path, _, version = urlsplit(url).path.strip("/").partition("/_history/")
    type_, id_ = ["", "", *path.split("/")][-2:]
    return type_, id_, version


def _plain(etag: Any) -> str:
    """The version that an ETag names: W/"3" is 3."""
    return _text(etag).removeprefix("W/").strip('"')


def _object(value: Any) -> dict[str, Any]:
    """`value` if it is a JSON object: what others send need not have the shape that the standard says."""
    return value if isinstance(value, dict) else {}


def _objects(value: Any) -> list[dict[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []


def _text(value: Any) -> str:
    return value if isinstance(value, str) else ""
