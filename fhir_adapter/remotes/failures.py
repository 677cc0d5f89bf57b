"""What went wrong at another system, as RemoteError: enough to act on, nothing about a person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from email.utils import parsedate_to_datetime
from typing import Any

import requests

from fhir_adapter.errors import BadRequest, Issue, RemoteConflict, RemoteError, Severity
from fhir_adapter.fhir.resources import parse_json

_ELEMENT = re.compile(r"[A-Za-z][A-Za-z0-9]*(\[\d{1,4}\]|\.[A-Za-z][A-Za-z0-9]*)*")
_CODE = re.compile(r"[a-z][a-z-]{1,31}")
_ERROR_NUMBER = re.compile(r"[A-Z]{2,10}-\d{1,5}\b")
_SEVERITIES: dict[str, Severity] = {
    "fatal": "error",
    "error": "error",
    "warning": "warning",
    "information": "information",
}


def no_answer(what: str, fault: requests.RequestException) -> RemoteError:
    """Nothing, or only half an answer, came back. The fault's own text is left out: it holds the whole URL."""
    return RemoteError(f"{what}: no answer, {_why_not(fault)} ({type(fault).__name__})")


def _why_not(fault: requests.RequestException) -> str:
    """In words; most kinds of failure come as one class, with the kind in its text alone."""
    text = str(fault)
    if isinstance(fault, requests.exceptions.SSLError):
        is_untrusted = "CERTIFICATE_VERIFY_FAILED" in text
        return "its certificate is not trusted here" if is_untrusted else "it does not speak TLS (https) there"
    if isinstance(fault, requests.Timeout):
        return "it took too long"
    if "Name or service not known" in text or "NameResolutionError" in text:
        return "nobody knows this host name"
    if "Connection refused" in text:
        return "nobody listens there"
    return "the connection broke"


def unusable(what: str, reason: str, status: int = 200) -> RemoteError:
    """An answer came, and it says that all is well, but nothing can be made of it. The same again will not help."""
    return RemoteError(f"{what}: answered {reason}", answered=status)


def failure_of(what: str, status: int, headers: Mapping[str, str], body: bytes) -> RemoteError:
    """An answer that is not a success. 409 and 412 both mean the same: servers disagree on which (HAPI says 409)."""
    kind = RemoteConflict if status in (409, 412) else RemoteError
    return kind(
        f"{what}: answered {status}" + (", redirects are not followed" if 300 <= status < 400 else ""),
        answered=status,
        retry_after=seconds_to_wait(headers),
        issues=issues_in(body),
    )


def seconds_to_wait(headers: Mapping[str, str]) -> float | None:
    """Retry-After in seconds (RFC 9110 10.2.3); a date there is read by the server's own clock, never by ours."""
    asked = headers.get("Retry-After", "").strip()
    if asked.isascii() and asked.isdigit():
        return float(asked)
    try:
        until, now = parsedate_to_datetime(asked), parsedate_to_datetime(headers.get("Date", ""))
        return max(0.0, (until - now).total_seconds())
    except (ValueError, TypeError):
        return None


def issues_in(body: bytes) -> list[Issue]:
    """The issues of an OperationOutcome without its free text, which may quote the person's data back to us."""
    try:
        outcome = parse_json(body)
    except BadRequest:
        return []
    found = outcome.get("issue") if isinstance(outcome, dict) else None
    return [_issue(issue) for issue in found if isinstance(issue, dict)] if isinstance(found, list) else []


def _issue(issue: Mapping[str, Any]) -> Issue:
    severity = _SEVERITIES.get(str(issue.get("severity")), "error")
    code = _matching(_CODE, issue.get("code")) or "exception"
    number = _ERROR_NUMBER.match(str(issue.get("diagnostics", "")))  # HAPI-0550: enough to look it up
    message = f"the other system reports {code}" + (f" ({number.group()})" if number else "")
    return Issue(severity, code, _first_element(issue), message)


def _first_element(issue: Mapping[str, Any]) -> str:
    """Where it is, if that is a plain element path: an expression may also hold the value that was looked for."""
    for name in ("expression", "location"):
        paths = issue.get(name)
        if isinstance(paths, list) and paths and _matching(_ELEMENT, paths[0]):
            return str(paths[0])
    return ""


def _matching(pattern: re.Pattern[str], value: Any) -> str | None:
    return value if isinstance(value, str) and pattern.fullmatch(value) else None
