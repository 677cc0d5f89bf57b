"""Forms of our own pages: read within a limit, and only when our own page sent them."""

from __future__ import annotations

import hmac
import secrets
from urllib.parse import parse_qsl, urlsplit

from starlette.requests import Request
from starlette.responses import Response

from fhir_adapter.errors import BadRequest, Forbidden, UnsupportedMedia
from fhir_adapter.web.bodies import body_within
from fhir_adapter.web.hosts import is_here

FORM = "application/x-www-form-urlencoded"
COOKIE = "form"
LIMIT = 200_000
"""Bytes of a form."""


def mark_for(request: Request) -> str:
    """The mark that a form carries: the browser's own, made when it has none."""
    return request.cookies.get(COOKIE) or secrets.token_urlsafe(24)


def with_mark(response: Response, mark: str) -> Response:
    """The page with the mark as a cookie, which no other site's form can send or read."""
    response.set_cookie(COOKIE, mark, httponly=True, samesite="strict", path="/plans")
    return response


async def form_of(request: Request) -> dict[str, str]:
    """The fields of a form that a page of ours sent. Raises Forbidden for anybody else's, BadRequest, UnsupportedMedia.

    Callers are not signed in, so a page of another site, or another name for this machine, must not decide for them:
    the host must be this machine, the origin this server, and the form must carry the mark of the browser's cookie.
    """
    if request.headers.get("content-type", "").partition(";")[0].strip().lower() != FORM:
        raise UnsupportedMedia(f"a form is sent as {FORM}")
    body = await body_within(request, LIMIT)
    try:
        fields = dict(parse_qsl(body.decode(), keep_blank_values=True, errors="strict", max_num_fields=50))
    except ValueError:
        raise BadRequest("not a form in UTF-8") from None
    mark = request.cookies.get(COOKIE, "")
    is_marked = bool(mark) and hmac.compare_digest(mark.encode(), fields.pop("mark", "").encode())
    origin = request.headers.get("origin") or request.headers.get("referer") or ""
    host = request.headers.get("host", "")
    is_ours = is_here(host) and urlsplit(origin).netloc in ("", host)
    if not (is_marked and is_ours):
        raise Forbidden("this form was not sent by a page of this server: open the page and send it from there")
    return fields
