"""The page of one conflict: base, live and other side by side, and a form to decide."""

from __future__ import annotations

from typing import Any
from uuid import uuid4

from fastapi import FastAPI, Request
from fastapi.concurrency import run_in_threadpool
from starlette.responses import RedirectResponse, Response

from fhir_adapter.errors import AdapterError, Issue, NotFound
from fhir_adapter.fhir.resources import dump_json, parse_json
from fhir_adapter.flows.conflict_page import ConflictPage, show_page, typed
from fhir_adapter.flows.deciding import decide
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.push import Answer, Delivery
from fhir_adapter.web.forms import form_of, mark_for, with_mark
from fhir_adapter.web.pages import page

PATH = "/plans/{plan}/conflicts/{conflict}"


def add_conflict_pages(app: FastAPI, hub: Hub) -> None:
    """`/plans/{plan}/conflicts/{id}`: to read, and to decide as one party."""

    @app.get(PATH, include_in_schema=False)
    def show(request: Request, plan: str, conflict: str, by: str | None = None) -> Response:
        return _page(request, show_page(hub, plan, conflict, by))

    @app.post(PATH, include_in_schema=False)
    async def decide_(request: Request, plan: str, conflict: str) -> Response:
        form = await form_of(request)
        return await run_in_threadpool(_decide, hub, request, plan, conflict, form)


def _decide(hub: Hub, request: Request, plan: str, conflict: str, form: dict[str, str]) -> Response:
    shown = show_page(hub, plan, conflict, form.get("by"))
    if not shown.by:
        raise NotFound("nobody here may decide this")
    delivery = Delivery(form.get("key") or str(uuid4()), "application/json", dump_json(_said(form, shown)))
    try:
        answer = decide(hub, hub.party(shown.by), conflict, delivery)
    except AdapterError as fault:
        return _page(request, shown, fault.issues, status=fault.status, form=form)
    if answer.status >= 400:
        shown = show_page(hub, plan, conflict, shown.by)
        return _page(request, shown, _issues_in(answer), status=answer.status, form=form)
    return RedirectResponse(f"/plans/{plan}", 303)


def _said(form: dict[str, str], shown: ConflictPage) -> dict[str, Any]:
    word = form.get("decision", "")
    said: dict[str, Any] = {"decision": word, "seen": form.get("seen", "")}
    if word == "write":
        said["value"] = typed(form.get("value", "").replace("\r\n", "\n"), shown)
    if word == "later" and form.get("until"):
        said["until"] = form["until"]
    return said | ({"reason": form["reason"]} if form.get("reason") else {})


def _issues_in(answer: Answer) -> list[Issue]:
    return [
        Issue(one["severity"], one["code"], one["path"], one["message"], one.get("expected"))
        for one in parse_json(answer.receipt)["issues"]
    ]


def _page(
    request: Request,
    shown: ConflictPage,
    issues: Any = (),
    *,
    status: int = 200,
    form: dict[str, str] | None = None,
) -> Response:
    mark = mark_for(request)
    made = page(
        "conflict.html", status=status, conflict=shown, issues=issues, form=form or {}, mark=mark, key=str(uuid4())
    )
    return with_mark(made, mark)
