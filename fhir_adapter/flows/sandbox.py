"""What only the sandbox allows: create, update, delete, batch and transaction (http://hl7.org/fhir/R4/http.html)."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

from fhir_adapter.checks.validate import errors_in
from fhir_adapter.errors import (
    AdapterError,
    BadRequest,
    Gone,
    Issue,
    NotFound,
    PreconditionFailed,
    Refused,
)
from fhir_adapter.fhir import bundles, outcomes
from fhir_adapter.fhir.bundles import etag
from fhir_adapter.fhir.resources import Resource, parse_input, parse_json, references_in, rewrite_references
from fhir_adapter.fhir.search import parse_search
from fhir_adapter.flows.rest import Answer, Server, check_type, is_among, pairs_of, version_headers
from fhir_adapter.store import resources
from fhir_adapter.store.resources import Stored
from fhir_adapter.store.search import search as search_in

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class Conditions:
    """If-Match, If-None-Match and If-None-Exist, as they came."""

    match: str | None = None
    none_match: str | None = None
    none_exist: str | None = None


@dataclass(frozen=True, slots=True)
class Done:
    """What became of one write; `stored` None: there was nothing to delete."""

    status: HTTPStatus
    stored: Stored | None


@dataclass(frozen=True, slots=True)
class Entry:
    """One entry of a batch or transaction; `place` names it in issues. `id` is set once it is known."""

    place: str
    method: str
    type: str
    id: str | None
    query: str | None
    resource: Resource | None
    full_url: str | None
    conditions: Conditions


def create(server: Server, base: str, type_: str, body: bytes, conditions: Conditions, prefer: str) -> Answer:
    """POST Type: a new id, or the one resource that If-None-Exist finds."""
    resource = _checked(_resource_in(body), type_)

    def work(connection: sqlite3.Connection) -> Done:
        found = _found_by(server, base, connection, type_, conditions.none_exist)
        return Done(HTTPStatus.OK, found) if found else _store(server, connection, resource, str(server.new_id()))

    return _answer(server.database.write(work), base, prefer)


def update(server: Server, base: str, type_: str, id_: str, body: bytes, conditions: Conditions, prefer: str) -> Answer:
    """PUT Type/id: the next version, or the first under the client's own id; what was deleted is brought back by it."""
    resource = _resource_in(body)
    _check_identity(resource, type_, id_)
    _checked(resource, type_)

    def work(connection: sqlite3.Connection) -> Done:
        return _put(server, connection, resource, id_, conditions)

    return _answer(server.database.write(work), base, prefer)


def delete(server: Server, base: str, type_: str, id_: str, conditions: Conditions) -> Answer:
    """DELETE Type/id; of what is not there too, so that a repeated request is answered alike."""
    check_type(type_)

    def work(connection: sqlite3.Connection) -> Done:
        return _remove(server, connection, type_, id_, conditions)

    return _answer(server.database.write(work), base, "return=minimal")


def bundle(server: Server, base: str, body: bytes, prefer: str) -> Answer:
    """POST of a batch or a transaction Bundle."""
    sent = _resource_in(body)
    kind = sent.get("type")
    if sent.get("resourceType") != "Bundle" or kind not in ("batch", "transaction"):
        raise BadRequest("not a batch or transaction", [_issue("value", "Bundle.type", "a batch or a transaction")])
    entries = _entries_of(sent, base)
    do = _transaction if kind == "transaction" else _batch
    return Answer(200, bundles.answers(f"{kind}-response", do(server, base, entries, prefer)))


def _resource_in(body: bytes) -> Resource:
    value = parse_input(body)
    if not isinstance(value, dict) or not isinstance(value.get("resourceType"), str):
        raise BadRequest("not a FHIR resource: a JSON object with a resourceType is expected")
    return value


def _check_identity(resource: Resource, type_: str, id_: str, place: str = "") -> None:
    path = f"{place}{type_}.id" if not place else f"{place}.id"
    if resource.get("id") != id_:
        raise BadRequest("the id does not agree with the URL", [_issue("value", path, "the id of the URL is expected")])


def _checked(resource: Resource, type_: str, place: str | None = None) -> Resource:
    """The resource, if it is of the type and nothing is wrong with it. Raises NotFound, BadRequest or Refused."""
    check_type(type_)
    if resource.get("resourceType") != type_:
        at = f"{place}.resourceType" if place else "resourceType"
        raise BadRequest(f"not a {type_}", [_issue("value", at, f"{type_} is expected, as the URL says")])
    issues = errors_in(resource)
    if issues:
        raise Refused(f"the {type_} is not valid", [_placed(issue, place) for issue in issues])
    return resource


def _placed(issue: Issue, place: str | None) -> Issue:
    """The issue under the entry's path: CarePlan.status becomes Bundle.entry[2].resource.status."""
    if place is None:
        return issue
    inner = issue.path.partition(".")[2]
    path = f"{place}.{inner}" if inner else place
    return Issue(issue.severity, issue.code, path, issue.message, issue.expected)


def _issue(code: str, path: str, message: str) -> Issue:
    return Issue("error", code, path, message)


def _check_conditions(current: Stored | None, conditions: Conditions) -> None:
    """Raises PreconditionFailed when the current version is not the one the client counts on."""
    exists = current is not None and not current.deleted
    if conditions.none_match is not None and exists and current and is_among(current.version, conditions.none_match):
        raise PreconditionFailed("it exists already")
    if conditions.match is not None and not (exists and current and is_among(current.version, conditions.match)):
        now = f"version {current.version}" if exists and current else "nothing"
        raise PreconditionFailed(f"If-Match does not name the current version: there is {now}")


def _found_by(
    server: Server, base: str, connection: sqlite3.Connection, type_: str, query: str | None
) -> Stored | None:
    """The one resource that If-None-Exist finds. Raises PreconditionFailed when there are several."""
    if query is None:
        return None
    pairs = pairs_of(query.partition("?")[2] or query)
    if not pairs:
        raise BadRequest("If-None-Exist holds no search")
    matches = search_in(connection, parse_search(type_, pairs, base=base, now=server.now())).matches
    if len(matches) > 1:
        raise PreconditionFailed("If-None-Exist finds more than one")
    return resources.read(connection, type_, matches[0][1]) if matches else None


def _put(server: Server, connection: sqlite3.Connection, resource: Resource, id_: str, conditions: Conditions) -> Done:
    current = resources.read(connection, resource["resourceType"], id_)
    _check_conditions(current, conditions)
    return _store(server, connection, resource, id_, is_new=current is None or current.deleted)


def _store(
    server: Server, connection: sqlite3.Connection, resource: Resource, id_: str, *, is_new: bool = True
) -> Done:
    """201 also for what is brought back after it was deleted (http://hl7.org/fhir/R4/http.html#update)."""
    stored = resources.save(connection, {**resource, "id": id_}, now=server.now())
    return Done(HTTPStatus.CREATED if is_new else HTTPStatus.OK, stored)


def _remove(server: Server, connection: sqlite3.Connection, type_: str, id_: str, conditions: Conditions) -> Done:
    current = resources.read(connection, type_, id_)
    _check_conditions(current, conditions)
    removed = resources.remove(connection, type_, id_, now=server.now()) if current else None
    return Done(HTTPStatus.NO_CONTENT, removed)


def _answer(done: Done, base: str, prefer: str) -> Answer:
    stored = done.stored
    if stored is None:
        return Answer(done.status)
    headers = version_headers(stored)
    if not stored.deleted:
        headers["location"] = f"{base}/{_location(stored)}"
    if stored.deleted or "return=minimal" in prefer:
        return Answer(done.status, b"", headers)
    if "return=OperationOutcome" in prefer:
        return Answer(done.status, outcomes.outcome_body([_stored_well(stored)]), headers)
    return Answer(done.status, stored.body, headers)


def _stored_well(stored: Stored) -> Issue:
    return Issue("information", "informational", "", f"stored as {_location(stored)}")


def _location(stored: Stored) -> str:
    return f"{stored.reference}/_history/{stored.version}"


_URL = re.compile(r"/?([A-Z][A-Za-z]+)(?:/([A-Za-z0-9\-.]{1,64}))?(?:\?(.*))?", re.DOTALL)
_FORMS = {"POST": (False,), "PUT": (True,), "DELETE": (True,), "GET": (True, False)}
"""Whether the URL of an entry names an id, for each method."""


def _entries_of(sent: Resource, base: str) -> list[Entry]:
    """The entries, or BadRequest with everything that is wrong about their requests."""
    raw = sent.get("entry", [])
    if not isinstance(raw, list) or not all(isinstance(entry, dict) for entry in raw):
        raise BadRequest("Bundle.entry is no list of objects", [_issue("structure", "Bundle.entry", "a list")])
    entries: list[Entry] = []
    issues: list[Issue] = []
    for index, entry in enumerate(raw):
        try:
            entries.append(_entry_of(entry, f"Bundle.entry[{index}]", base))
        except BadRequest as fault:
            issues += fault.issues
    if issues:
        raise BadRequest("the requests of the bundle were not understood", issues)
    return entries


def _entry_of(entry: Resource, place: str, base: str) -> Entry:
    request = entry.get("request")
    if not isinstance(request, dict):
        raise BadRequest("no request", [_issue("required", f"{place}.request", "each entry needs a request")])
    method, resource = str(request.get("method")), entry.get("resource")
    found = _URL.fullmatch(str(request.get("url", "")).removeprefix(f"{base}/"))
    if found is None or (found[2] is not None) not in _FORMS.get(method, ()):
        message = f"{method} of this URL is not supported: use POST Type, PUT Type/id, DELETE Type/id or GET"
        raise BadRequest(message, [_issue("not-supported", f"{place}.request", message)])
    if method in ("POST", "PUT") and not (isinstance(resource, dict) and "resourceType" in resource):
        raise BadRequest("no resource", [_issue("required", f"{place}.resource", "POST and PUT need a resource")])
    given = {f"{place}.request.{name}": request.get(name) for name in ("ifMatch", "ifNoneMatch", "ifNoneExist")}
    given[f"{place}.fullUrl"] = entry.get("fullUrl")
    for path, value in given.items():
        if not (value is None or isinstance(value, str)):
            raise BadRequest("not a string", [_issue("value", path, "a string is expected")])
    *conditions, full_url = given.values()
    return Entry(place, method, found[1], found[2], found[3], resource, full_url or None, Conditions(*conditions))


Answers = list[Resource]
_ORDER = {"DELETE": 0, "POST": 1, "PUT": 2, "GET": 3}
"""http://hl7.org/fhir/R4/http.html#trules: reads see what the writes of the same transaction did."""


def _transaction(server: Server, base: str, entries: Sequence[Entry], prefer: str) -> Answers:
    """All entries or none; the first fault is the answer."""
    for entry in entries:
        with _issues_at(entry.place):
            _check_entry(entry)

    def work(connection: sqlite3.Connection) -> Answers:
        known = [_identified(server, base, connection, entry) for entry in entries]
        names = _names_of(known)
        answers: dict[int, Resource] = {}
        for index in sorted(range(len(known)), key=lambda index: _ORDER[known[index][0].method]):
            entry, found = known[index]
            with _issues_at(entry.place):
                answers[index] = _done_in_transaction(server, base, connection, entry, found, names, prefer)
        return [answers[index] for index in range(len(known))]

    return server.database.write(work)


def _batch(server: Server, base: str, entries: Sequence[Entry], prefer: str) -> Answers:
    """Each entry on its own: a fault is the answer to that entry alone."""
    answers: dict[int, Resource] = {}
    for index in sorted(range(len(entries)), key=lambda index: _ORDER[entries[index].method]):
        try:
            answers[index] = _transaction(server, base, [entries[index]], prefer)[0]
        except AdapterError as fault:
            answers[index] = {
                "response": {"status": _status(HTTPStatus(fault.status)), "outcome": outcomes.outcome(fault.issues)}
            }
    return [answers[index] for index in range(len(entries))]


@contextmanager
def _issues_at(place: str) -> Iterator[None]:
    """Whatever is refused inside names the entry, unless it does already."""
    try:
        yield
    except AdapterError as fault:
        if all(issue.path.startswith(place) for issue in fault.issues):
            raise
        raise type(fault)(str(fault), [_issue(issue.code, place, issue.message) for issue in fault.issues]) from fault


def _check_entry(entry: Entry) -> None:
    check_type(entry.type)
    if entry.resource is None or entry.method not in ("POST", "PUT"):
        return
    if entry.method == "PUT" and entry.id is not None:
        _check_identity(entry.resource, entry.type, entry.id, f"{entry.place}.resource")
    _checked(entry.resource, entry.type, f"{entry.place}.resource")


def _identified(server: Server, base: str, connection: sqlite3.Connection, entry: Entry) -> tuple[Entry, Stored | None]:
    """The entry with its id; for a conditional create, what exists already."""
    if entry.method != "POST":
        return entry, None
    with _issues_at(entry.place):
        found = _found_by(server, base, connection, entry.type, entry.conditions.none_exist)
    id_ = found.id if found else str(server.new_id())
    return replace(entry, id=id_), found


def _names_of(known: Sequence[tuple[Entry, Stored | None]]) -> Mapping[str, str]:
    """fullUrl → Type/id. Raises BadRequest for two entries of one identity: their order would decide what stays."""
    names: dict[str, str] = {}
    seen: set[tuple[str, ...]] = set()
    for entry, _ in known:
        if entry.method == "GET":
            continue
        for identity in _identities(entry):
            if identity in seen:
                message = "another entry of this transaction has the same identity"
                raise BadRequest(message, [_issue("duplicate", entry.place, message)])
            seen.add(identity)
        if entry.full_url:
            names[entry.full_url] = f"{entry.type}/{entry.id}"
    return names


def _identities(entry: Entry) -> list[tuple[str, ...]]:
    own = [(entry.type, entry.id or "")]
    full = [("fullUrl", entry.full_url)] if entry.full_url and entry.method != "DELETE" else []
    exist = entry.conditions.none_exist
    return [*own, *full, *([(entry.type, "ifNoneExist", exist)] if exist and entry.method == "POST" else [])]


def _done_in_transaction(
    server: Server,
    base: str,
    connection: sqlite3.Connection,
    entry: Entry,
    found: Stored | None,
    names: Mapping[str, str],
    prefer: str,
) -> Resource:
    """Carry out one entry and say what became of it."""
    if entry.method == "GET":
        return _read_in_transaction(server, base, connection, entry)
    if entry.method == "DELETE":
        return _told(_remove(server, connection, entry.type, entry.id or "", entry.conditions), prefer)
    if found:
        return _told(Done(HTTPStatus.OK, found), prefer)
    resource, id_ = _linked(entry, names), entry.id or ""
    if entry.method == "PUT":
        return _told(_put(server, connection, resource, id_, entry.conditions), prefer)
    return _told(_store(server, connection, resource, id_), prefer)


def _linked(entry: Entry, names: Mapping[str, str]) -> Resource:
    """The resource with the references to other entries resolved. Raises BadRequest for one that leads nowhere."""
    linked: Resource = rewrite_references(entry.resource, lambda reference: names.get(reference, reference))
    issues = [
        _issue("not-found", f"{entry.place}.resource.{path}.reference", "no entry of this transaction has this fullUrl")
        for path, reference in references_in(linked)
        if reference["reference"].startswith("urn:uuid:") or "?" in reference["reference"]
    ]
    if issues:
        raise BadRequest("references that cannot be resolved", issues)
    return linked


def _read_in_transaction(server: Server, base: str, connection: sqlite3.Connection, entry: Entry) -> Resource:
    if entry.id is None:
        request = parse_search(entry.type, pairs_of(entry.query or ""), base=base, now=server.now())
        page = search_in(connection, request)
        body = bundles.searchset(base, [], page.total, page.matches, page.included)
        return {"response": {"status": _status(HTTPStatus.OK)}, "resource": parse_json(body)}
    stored = resources.read(connection, entry.type, entry.id)
    if stored is None:
        raise NotFound(f"there is no {entry.type}/{entry.id} here")
    if stored.deleted:
        raise Gone(f"{entry.type}/{entry.id} was deleted")
    return _told(Done(HTTPStatus.OK, stored), "return=representation")


def _told(done: Done, prefer: str) -> Resource:
    """An entry of the response."""
    response: dict[str, Any] = {"status": _status(done.status)}
    if done.stored is None:
        return {"response": response}
    response |= {"etag": etag(done.stored.version), "lastModified": done.stored.updated}
    if done.stored.deleted:
        return {"response": response}
    response["location"] = _location(done.stored)
    body = {"resource": parse_json(done.stored.body)} if "return=representation" in prefer else {}
    return {**body, "response": response}


def _status(status: HTTPStatus) -> str:
    return f"{status.value} {status.phrase}"
