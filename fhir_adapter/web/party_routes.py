"""The municipal side: /parties/{party}/… — deliver a record, get a receipt, fetch records and what changed."""

from __future__ import annotations

import re
from collections.abc import Callable
from typing import Annotated, Any

from fastapi import APIRouter, FastAPI, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from fhir_adapter.errors import BadRequest, Issue, NotFound, UnsupportedMedia
from fhir_adapter.fhir.resources import dump_json
from fhir_adapter.flows.batch import as_content, as_document, deliver, encoding_of, receipt_of
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.pull import Shown, show_changes, show_record
from fhir_adapter.flows.push import Answer, Delivery
from fhir_adapter.flows.rest import is_among
from fhir_adapter.web.bodies import body_within

JSON = "application/json"
LONGEST_KEY = 200
CHARSETS = {
    "utf-8": ("utf-8", "utf8"),
    "latin-1": ("iso-8859-1", "latin-1", "latin1"),
    "cp1252": ("windows-1252", "cp1252"),
}
"""What senders call an encoding."""

RECEIPT_DOC: dict[int | str, dict[str, Any]] = {
    200: {"description": "Receipt: the record was merged into an existing plan, or changed nothing"},
    201: {"description": "Receipt: a new plan"},
    409: {"description": "The Idempotency-Key was used before with another body"},
    413: {"description": "The body is larger than the limit"},
    415: {"description": "The body is not in the party's format"},
    422: {"description": "Receipt: refused or parked; each issue names the record's own field"},
}


def party_routes(hub: Hub, *, body_limit: int) -> APIRouter:
    """The routes of one hub."""
    routes = APIRouter(prefix="/parties", tags=["parties"])

    @routes.get("", summary="Who takes part, and how each is reached")
    def list_parties() -> list[dict[str, Any]]:
        return [
            {
                "name": party.name,
                "title": party.title,
                "kind": "fhir" if party.fhir else "native",
                "mapping": party.mapping,
                "fhir": party.fhir,
            }
            for party in hub.parties.values()
        ]

    @routes.post(
        "/{party}/records",
        summary="Deliver a record in the party's own format",
        responses=RECEIPT_DOC,
        openapi_extra={"requestBody": {"required": True, "content": {JSON: {"schema": {"type": "object"}}}}},
    )
    async def deliver_records(
        party: str,
        request: Request,
        idempotency_key: Annotated[str | None, Header(description="One per record and state; a repeat is safe")] = None,
        if_match: Annotated[str | None, Header(description='The version last fetched, W/"3"')] = None,
    ) -> Response:
        sender = hub.party(party)
        media_type = media_type_of(request, lambda kind: encoding_of(hub, sender, kind))
        delivery = Delivery(
            checked_key(idempotency_key), media_type, await body_within(request, body_limit), _version_in(if_match)
        )
        return _receipt(await run_in_threadpool(deliver, hub, sender, delivery))

    @routes.get("/{party}/receipts/{key:path}", summary="The receipt that was given under an Idempotency-Key")
    def fetch_receipt(party: str, key: str) -> Response:
        answer = receipt_of(hub, hub.party(party), key)
        if answer is None:
            raise NotFound("nothing was delivered under this key")
        return Response(answer.receipt, media_type=JSON)

    @routes.get("/{party}/records", summary="What changed since a cursor, in the party's own format")
    def list_changes(
        party: str,
        since: Annotated[str, Query(description="The cursor of the previous answer; left out: from the start")] = "0",
        count: Annotated[int, Query(ge=1, le=200)] = 50,
    ) -> Response:
        sender = hub.party(party)
        hub.mapping_of(sender)
        changes = show_changes(hub, sender, _cursor(since), count)
        page = {
            "cursor": str(changes.cursor),
            "more": changes.more,
            "records": [_listed(shown, as_content(hub, sender, shown)) for shown in changes.shown],
            "failed": changes.failed,
        }
        return Response(dump_json(page), media_type=JSON)

    @routes.get("/{party}/records/{record:path}", summary="One record with everybody's changes")
    def fetch_record(
        party: str,
        record: str,
        if_none_match: Annotated[str | None, Header()] = None,
        accept: Annotated[str, Header(description="application/json: as JSON, whatever the format")] = "*/*",
    ) -> Response:
        reader = hub.party(party)
        shown = show_record(hub, reader, record)
        headers = {"ETag": f'W/"{shown.version}"', "Cache-Control": "private, no-cache"}
        if if_none_match and is_among(shown.version, if_none_match):
            return Response(status_code=304, headers=headers)
        document, media_type = as_document(hub, reader, shown, accept)
        return Response(document, media_type=media_type, headers=headers)

    return routes


def add_health(app: FastAPI, hub: Hub) -> None:
    """`GET /health`: 200 while the store answers."""

    @app.get("/health", tags=["health"])
    def health() -> dict[str, str]:
        hub.database.read().execute("SELECT 1").fetchone()
        return {"status": "ok"}


def media_type_of(request: Request, encoding_of_kind: Callable[[str], str]) -> str:
    """The content type, one of the party's own format or JSON. Raises UnsupportedMedia."""
    kind, _, parameters = request.headers.get("content-type", "").partition(";")
    media_type = kind.strip().lower()
    encoding = encoding_of_kind(media_type)
    if (request.headers.get("content-encoding") or "identity").lower() != "identity":
        message = "a compressed body is not understood: send it as it is"
        raise UnsupportedMedia("encoded", [Issue("error", "not-supported", "Content-Encoding", message, "identity")])
    charset = re.search(r'charset="?([\w-]+)', parameters, re.IGNORECASE)
    if charset and charset[1].lower() not in CHARSETS[encoding]:
        raise UnsupportedMedia(
            "charset",
            [Issue("error", "not-supported", "Content-Type", f"{media_type} is delivered in {encoding}", encoding)],
        )
    return media_type


def checked_key(key: str | None) -> str:
    """The Idempotency-Key, in UTF-8 as it is in a URL. Raises BadRequest where there is none that can be used."""
    try:
        key = (key or "").encode("latin-1").decode()  # the framework reads the bytes of a header as Latin-1
    except UnicodeDecodeError:
        key = ""
    if not key or len(key) > LONGEST_KEY or not key.isprintable():
        raise BadRequest(
            "no Idempotency-Key",
            [
                Issue(
                    "error",
                    "required",
                    "Idempotency-Key",
                    "the header is missing or cannot be used",
                    f"1 to {LONGEST_KEY} printable characters, new for each record that is delivered",
                )
            ],
        )
    return key


def _version_in(if_match: str | None) -> int | None:
    if if_match is None:
        return None
    found = re.fullmatch(r'(?:W/)?"([0-9]{1,18})"', if_match.strip())
    if not found:
        raise BadRequest(
            "If-Match",
            [Issue("error", "value", "If-Match", "not a version of a record", 'the ETag of the record, like W/"3"')],
        )
    return int(found[1])


def _cursor(since: str) -> int:
    if not re.fullmatch(r"[0-9]{1,18}", since):
        raise BadRequest(
            "since", [Issue("error", "value", "since", "not a cursor of ours", "the `cursor` of the previous answer")]
        )
    return int(since)


def _receipt(answer: Answer) -> Response:
    return Response(
        answer.receipt,
        answer.status,
        media_type=JSON,
        headers={"Idempotent-Replayed": "true"} if answer.replayed else None,
    )


def _listed(shown: Shown, content: Any) -> dict[str, Any]:
    return {
        "record": shown.record,
        "plan": {"id": shown.plan, "version": shown.version},
        "changed": shown.updated,
        "changedBy": shown.changed_by,
        "content": content,
        "conflicts": shown.conflicts,
        "untold": shown.untold,
    }
