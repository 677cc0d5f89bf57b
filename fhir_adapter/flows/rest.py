"""The FHIR REST story: read, vread, history and search for every server, writes for the sandbox.

Answers are plain values. What is read leaves as the bytes that are stored: nothing here parses a resource to show it.
"""

from __future__ import annotations

import base64
import secrets
import threading
from collections import OrderedDict
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from email.utils import format_datetime
from functools import lru_cache
from hashlib import blake2b
from urllib.parse import parse_qsl, urlencode
from uuid import UUID, uuid4

from fhir_adapter.errors import BadRequest, Gone, Issue, NotFound
from fhir_adapter.fhir import bundles, outcomes
from fhir_adapter.fhir.bundles import Version, etag
from fhir_adapter.fhir.parameters import TYPES
from fhir_adapter.fhir.search import Pairs, parse_search
from fhir_adapter.fhir.search_request import Cursor, SearchRequest
from fhir_adapter.fhir.times import TICKS, range_of
from fhir_adapter.store import resources
from fhir_adapter.store.database import Database
from fhir_adapter.store.resources import Stored
from fhir_adapter.store.search import search as search_in

DEFAULT_HISTORY = 50
MOST_HISTORY = 500
KEPT_PAGES = 20_000


@dataclass(frozen=True, slots=True)
class Answer:
    """An HTTP answer as a value."""

    status: int
    body: bytes = b""
    headers: dict[str, str] = field(default_factory=dict)


KeptPage = tuple[SearchRequest, Cursor | None]
"""A search, and after which match the page begins."""


class KeptSearches:
    """Searches that have a next page, by an opaque token.

    A next link must not repeat what was searched for: a person number in a URL ends up in every log on the way. The
    token is a keyed hash, so it tells nothing, and the same page asked for again has the same one.
    """

    def __init__(self) -> None:
        self._key = secrets.token_bytes(32)
        self._kept: OrderedDict[str, KeptPage] = OrderedDict()
        self._lock = threading.Lock()

    def keep(self, request: SearchRequest, after: Cursor | None) -> str:
        """The token that leads to this page."""
        page = repr((request.type, request.understood, after)).encode()
        digest = blake2b(page, key=self._key, digest_size=18).digest()
        token = base64.urlsafe_b64encode(digest).decode()
        with self._lock:
            self._kept[token] = (request, after)
            self._kept.move_to_end(token)
            if len(self._kept) > KEPT_PAGES:
                self._kept.popitem(last=False)
        return token

    def get(self, type_: str, token: str) -> KeptPage:
        """The page that the token leads to. Raises Gone when it is not kept any more."""
        kept = self._kept.get(token)
        if kept is None or kept[0].type != type_:
            raise Gone("this page is no longer kept: search again")
        return kept


@dataclass(frozen=True, slots=True)
class Server:
    """A FHIR server over one store. `writable` is the sandbox."""

    database: Database
    writable: bool
    now: Callable[[], datetime] = lambda: datetime.now(UTC)
    new_id: Callable[[], UUID] = uuid4
    searches: KeptSearches = field(default_factory=KeptSearches)


def read(server: Server, type_: str, id_: str, *, unless: str | None = None) -> Answer:
    """The current version; 304 when the client has it already (`unless` is its If-None-Match)."""
    return _shown(resources.read(server.database.read(), type_, id_), type_, id_, unless)


def vread(server: Server, type_: str, id_: str, version: str, *, unless: str | None = None) -> Answer:
    """One version."""
    number = int(version) if version.isdecimal() and len(version) < 18 else 0
    return _shown(resources.vread(server.database.read(), type_, id_, number), type_, id_, unless)


def check_names(pairs: Pairs, known: set[str]) -> None:
    """Raises BadRequest for every parameter that is not one of `known`."""
    unknown = [name for name, _ in pairs if name not in known]
    if unknown:
        message = "this parameter is not supported here"
        raise BadRequest(message, [Issue("error", "not-supported", name, message) for name in unknown])


def _shown(stored: Stored | None, type_: str, id_: str, unless: str | None) -> Answer:
    if stored is None:
        check_type(type_)
        raise NotFound(f"there is no {type_}/{id_} here, or not in this version")
    if stored.deleted:
        raise Gone(f"{type_}/{id_} was deleted")
    headers = version_headers(stored)
    if unless is not None and is_among(stored.version, unless):
        return Answer(304, b"", headers)
    return Answer(200, stored.body, headers)


def version_headers(stored: Stored) -> dict[str, str]:
    """ETag and Last-Modified. A proxy may keep the answer for nobody else, and has to ask each time."""
    return {
        "etag": etag(stored.version),
        "last-modified": http_date(stored.updated[:19]),
        "cache-control": "private, no-cache",
    }


@lru_cache(maxsize=4096)
def http_date(moment: str) -> str:
    """An HTTP date from the first 19 characters of an instant in UTC."""
    return format_datetime(datetime.fromisoformat(moment).replace(tzinfo=UTC), usegmt=True)


def is_among(version: int, tags: str) -> bool:
    """Whether an If-Match or If-None-Match names the version. W/ or not is the same here: versions are never equal."""
    return tags.strip() == "*" or str(version) in {tag.strip().removeprefix("W/").strip('"') for tag in tags.split(",")}


def check_type(type_: str) -> None:
    """Raises NotFound for a type that is not held here."""
    if type_ not in TYPES:
        raise NotFound(f"this server holds no {type_}")


def search(server: Server, base: str, type_: str, pairs: Pairs, *, lenient: bool, posted: bool) -> Answer:
    """One page of a search. A posted search was posted to keep it out of URLs: its links do not repeat it either."""
    check_type(type_)
    tokens = [value for name, value in pairs if name == "_page"]
    after = None
    if tokens:
        if len(pairs) > 1:
            raise BadRequest("a page is asked for by its link alone", [_bad("_page", "stands alone")])
        request, after = server.searches.get(type_, tokens[0])
        own_url = f"{base}/{type_}?_page={tokens[0]}"
    else:
        now = server.now() if any("ap" in value for _, value in pairs) else _ANY_TIME  # ap: about, seen from now
        request = _understood(type_, tuple(pairs), base, now, lenient)
        own_url = _page_url(server, base, request, None) if posted else _self_url(base, request)
    page = search_in(server.database.read(), request, after)
    links = [("self", own_url)]
    if page.cursor is not None:
        links.append(("next", _page_url(server, base, request, page.cursor)))
    warning = _TOO_MUCH if page.cut else b""
    return Answer(200, bundles.searchset(base, links, page.total, page.matches, page.included, warning))


_ANY_TIME = datetime(2000, 1, 1, tzinfo=UTC)


@lru_cache(maxsize=2048)
def _understood(
    type_: str, pairs: tuple[tuple[str, str], ...], base: str, now: datetime, lenient: bool
) -> SearchRequest:
    """A search that was asked before is not parsed again."""
    return parse_search(type_, pairs, base=base, now=now, lenient=lenient)


def _self_url(base: str, request: SearchRequest) -> str:
    query = urlencode(request.understood)
    return f"{base}/{request.type}?{query}" if query else f"{base}/{request.type}"


def _page_url(server: Server, base: str, request: SearchRequest, after: Cursor | None) -> str:
    return f"{base}/{request.type}?_page={server.searches.keep(request, after)}"


def _bad(path: str, message: str) -> Issue:
    return Issue("error", "value", path, message)


_TOO_MUCH = outcomes.outcome_body(
    [Issue("warning", "too-costly", "_include", "more is included than fits: ask for less")]
)


def history(server: Server, base: str, type_: str | None, id_: str | None, pairs: Pairs) -> Answer:
    """Versions of one resource, one type or everything, newest first, with a link to the next page."""
    if type_ is not None:
        check_type(type_)
    asked = _history_asked(pairs)
    connection = server.database.read()
    if id_ is not None and type_ is not None and resources.read(connection, type_, id_) is None:
        raise NotFound(f"there is no {type_}/{id_} here")
    versions = resources.history(connection, type_, id_, since=asked.since, before=asked.before, count=asked.count + 1)
    page = versions[: asked.count]
    own = "/".join(part for part in (base, type_, id_, "_history") if part)
    links = [("self", f"{own}?{urlencode(asked.understood)}" if asked.understood else own)]
    if len(versions) > len(page):
        links.append(("next", f"{own}?{urlencode([*asked.others, ('_page', str(page[-1].seq))])}"))
    entries = [Version(each.type, each.id, each.version, each.updated, each.body) for each in page]
    return Answer(200, bundles.history(base, links, entries))


@dataclass(slots=True)
class _HistoryAsked:
    since: datetime | None = None
    before: int | None = None
    count: int = DEFAULT_HISTORY
    understood: list[tuple[str, str]] = field(default_factory=list)

    @property
    def others(self) -> list[tuple[str, str]]:
        return [(name, value) for name, value in self.understood if name != "_page"]


def _history_asked(pairs: Pairs) -> _HistoryAsked:
    asked, issues = _HistoryAsked(), []
    for name, value in pairs:
        try:
            if name == "_since":
                asked.since = _moment(value)
            elif name == "_count":
                asked.count = min(max(_whole(value), 1), MOST_HISTORY)
            elif name == "_page":
                asked.before = _whole(value)
            elif name != "_format":
                issues.append(Issue("error", "not-supported", name, "histories do not have this parameter here"))
            asked.understood.append((name, value))
        except ValueError as fault:
            issues.append(_bad(name, str(fault)))
    if issues:
        raise BadRequest("the history was not understood", issues)
    return asked


def _moment(text: str) -> datetime:
    """The first instant of a date, rounded up to the milliseconds that versions are stamped with."""
    ticks = range_of(text.replace(" ", "+"))[0]
    milliseconds = -(-ticks // (TICKS // 1000))
    day, rest = divmod(milliseconds, 86_400_000)
    return datetime.fromtimestamp((day - datetime(1970, 1, 1).toordinal()) * 86_400 + rest / 1000, UTC)


def _whole(text: str) -> int:
    if not text.isdecimal() or len(text) > 18:
        raise ValueError("not a whole number")
    return int(text)


def pairs_of(query: str) -> Sequence[tuple[str, str]]:
    """Names and values of a query string, empty values too. Raises BadRequest for what is no UTF-8."""
    try:
        return parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=200)
    except ValueError:
        raise BadRequest("the query is not valid: percent signs hide no UTF-8, or it has over 200 parameters") from None
