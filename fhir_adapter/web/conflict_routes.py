"""Conflicts for systems: /parties/{party}/conflicts — list, show, decide."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Header, Query, Request, Response
from fastapi.concurrency import run_in_threadpool

from fhir_adapter.errors import Issue, UnsupportedMedia
from fhir_adapter.fhir.resources import dump_json
from fhir_adapter.flows.conflicts import Which, list_conflicts, show_conflict
from fhir_adapter.flows.deciding import decide
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.push import Delivery
from fhir_adapter.web.bodies import body_within
from fhir_adapter.web.party_routes import JSON, checked_key, media_type_of

DECISION_SCHEMA: dict[str, Any] = {
    "type": "object",
    "required": ["decision"],
    "additionalProperties": False,
    "properties": {
        "decision": {
            "enum": ["keep", "take", "write", "later"],
            "description": "keep what is live, take the other value, write a third one, or decide later",
        },
        "value": {"description": "The third value, as the party's own field says it (FHIR for a FHIR party)"},
        "reason": {"type": "string", "maxLength": 2000},
        "until": {"type": "string", "format": "date", "description": "With later: the day to look at it again"},
        "seen": {"type": "string", "description": "The `seen` of the conflict that was looked at"},
    },
}

DECISION_DOC: dict[int | str, dict[str, Any]] = {
    200: {"description": "Decided (or put off); the same decision again gets the same answer"},
    400: {"description": "Not JSON, or no Idempotency-Key"},
    403: {"description": "Somebody else's to decide: the issue says whose"},
    404: {"description": "No such conflict, or none that this party may see"},
    409: {
        "description": "The live value is another than the one seen (`conflict` shows it), or it was decided otherwise"
    },
    422: {"description": "Not a decision; the issues name its fields, or the record's own field for a value"},
}


def conflict_routes(hub: Hub, *, body_limit: int) -> APIRouter:
    """The routes of one hub."""
    routes = APIRouter(prefix="/parties/{party}/conflicts", tags=["conflicts"])

    @routes.get("", summary="The conflicts that the party may see, in its own words")
    def list_(
        party: str,
        plan: Annotated[str | None, Query(description="Only those of this plan")] = None,
        state: Annotated[Which, Query(description="Those that are open, decided, or all")] = "open",
    ) -> Response:
        return _json({"conflicts": list_conflicts(hub, hub.party(party), plan, state)})

    @routes.get("/{conflict}", summary="One conflict: the value before, the live one, the one that was kept")
    def show(party: str, conflict: str) -> Response:
        return _json(show_conflict(hub, hub.party(party), conflict))

    @routes.post(
        "/{conflict}/decision",
        summary="Decide: keep, take, write a third, or later",
        responses=DECISION_DOC,
        openapi_extra={"requestBody": {"required": True, "content": {JSON: {"schema": DECISION_SCHEMA}}}},
    )
    async def decide_(
        party: str,
        conflict: str,
        request: Request,
        idempotency_key: Annotated[str | None, Header(description="One per decision; a repeat is safe")] = None,
    ) -> Response:
        media_type_of(request, _encoding_of)
        delivery = Delivery(checked_key(idempotency_key), JSON, await body_within(request, body_limit))
        answer = await run_in_threadpool(decide, hub, hub.party(party), conflict, delivery)
        headers = {"Idempotent-Replayed": "true"} if answer.replayed else None
        return Response(answer.receipt, answer.status, media_type=JSON, headers=headers)

    return routes


def _encoding_of(media_type: str) -> str:
    if media_type != JSON:
        raise UnsupportedMedia("not JSON", [Issue("error", "not-supported", "Content-Type", "not JSON", JSON)])
    return "utf-8"


def _json(value: Any) -> Response:
    return Response(dump_json(value), media_type=JSON)
