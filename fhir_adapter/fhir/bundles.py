"""Bundles put together from stored bytes: nothing is parsed to be sent."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass

from fhir_adapter.fhir.resources import Resource, dump_json

Found = tuple[str, str, bytes]
"""One resource of a search answer: type, id and its stored JSON."""


@dataclass(frozen=True, slots=True)
class Version:
    """One entry of a history: an empty body is a deletion."""

    type: str
    id: str
    version: int
    updated: str
    body: bytes


Links = Sequence[tuple[str, str]]
"""Relation and URL, e.g. ("next", "http://.../CarePlan?_page=x")."""


def searchset(
    base: str,
    links: Links,
    total: int | None,
    matches: Sequence[Found],
    included: Sequence[Found] = (),
    outcome: bytes = b"",
) -> bytes:
    """A searchset Bundle. `base` is the server's FHIR base URL without a slash at its end; `outcome` says more."""
    start = _start_of_entry(base)
    entries = [
        b'%b%b/%b","resource":%b,"search":{"mode":"%b"}}' % (start, type_.encode(), id_.encode(), body, mode)
        for mode, found in ((b"match", matches), (b"include", included))
        for type_, id_, body in found
    ]
    if outcome:  # it is not stored anywhere: no URL
        entries.append(b'{"resource":%b,"search":{"mode":"outcome"}}' % outcome)
    return _bundle(b"searchset", links, total, entries)


def history(base: str, links: Links, versions: Iterable[Version]) -> bytes:
    """A history Bundle: each version with the request that would repeat it and the answer it got."""
    return _bundle(b"history", links, None, [_history_entry(base, version) for version in versions])


def answers(type_: str, entries: Iterable[Resource]) -> bytes:
    """A transaction-response or batch-response Bundle."""
    return _bundle(type_.encode(), (), None, [dump_json(entry) for entry in entries])


def etag(version: int) -> str:
    """W/"3"."""
    return f'W/"{version}"'


def _bundle(type_: bytes, links: Links, total: int | None, entries: Sequence[bytes]) -> bytes:
    parts = [b'{"resourceType":"Bundle","type":"%b"' % type_]
    if total is not None:
        parts.append(b'"total":%d' % total)
    if links:
        parts.append(b'"link":' + dump_json([{"relation": relation, "url": url} for relation, url in links]))
    if entries:  # FHIR forbids an empty array
        parts.append(b'"entry":[' + b",".join(entries) + b"]")
    return b",".join(parts) + b"}"


def _start_of_entry(base: str) -> bytes:
    return b'{"fullUrl":' + dump_json(f"{base}/")[:-1]


def _history_entry(base: str, version: Version) -> bytes:
    url = f"{version.type}/{version.id}"
    method, status = ("DELETE", "204") if not version.body else ("PUT", "201" if version.version == 1 else "200")
    rest = dump_json(
        {
            "request": {"method": method, "url": url},
            "response": {"status": status, "etag": etag(version.version), "lastModified": version.updated},
        }
    )
    resource = b',"resource":' + version.body if version.body else b""
    return b'%b%b"%b,%b' % (_start_of_entry(base), url.encode(), resource, rest[1:])
