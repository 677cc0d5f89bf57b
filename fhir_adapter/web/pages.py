"""Pages for people: what this server is and the shared plans with their open questions, readable in a browser."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from fastapi import FastAPI
from fastapi.responses import HTMLResponse
from jinja2 import Environment, FileSystemLoader

from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.overview import list_plans, show_plan

_TEMPLATES = Environment(
    loader=FileSystemLoader(Path(__file__).parent / "templates"), autoescape=True, trim_blocks=True, lstrip_blocks=True
)


def add_pages(app: FastAPI, hub: Hub) -> None:
    """`/` and `/plans/{id}`."""

    @app.get("/", include_in_schema=False)
    def home() -> HTMLResponse:
        return page("home.html", parties=list(hub.parties.values()), plans=list_plans(hub))

    @app.get("/plans/{plan}", include_in_schema=False)
    def plan_page(plan: str) -> HTMLResponse:
        return page("plan.html", plan=show_plan(hub, plan))


def page(template: str, *, status: int = 200, **values: Any) -> HTMLResponse:
    """A page of ours: no scripts, nothing from elsewhere, forms to ourselves only, kept by nobody."""
    policy = (
        "default-src 'none'; style-src 'unsafe-inline'; img-src data:; form-action 'self'; frame-ancestors 'none'; "
        "base-uri 'none'"
    )
    return HTMLResponse(
        _TEMPLATES.get_template(template).render(**values),
        status,
        headers={"Content-Security-Policy": policy, "Cache-Control": "no-store"},
    )
