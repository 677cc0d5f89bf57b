"""The one error tree. Web turns it into HTTP and the CLI into exit codes, each in one place.

AdapterError
├── BadRequest        400  the bytes or the request cannot be understood
├── Forbidden         403  understood and right, but not this party's to do
├── NotFound          404
├── MethodNotAllowed  405
├── NotAcceptable     406
├── TooSlow           408
├── Conflict          409  the same key with another body; a version that is not current
├── Gone              410
├── PreconditionFailed 412
├── TooLarge          413
├── UnsupportedMedia  415
├── Misdirected       421  meant for a server of another name
├── Refused           422  understood, but wrong: the issues name the sender's own fields
├── Unavailable       503  nothing can be kept just now: the disk is full, or fails
├── BadDeclaration         a mapping, settings or definition file is wrong: refused at start-up
├── BadUsage               a command was given what it cannot work with; told in one line
└── RemoteError            another system failed; `retry` says whether trying again can help
    └── RemoteConflict     it has a newer version than the one we wrote against: read again, merge again
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

Severity = Literal["error", "warning", "information"]


@dataclass(frozen=True, slots=True)
class Issue:
    """One thing to tell a sender.

    `path` is the sender's own field path (`insatser[2].ansvarig`) or a FHIR path (`Goal.target[0].dueDate`);
    `code` is a FHIR issue type (http://hl7.org/fhir/R4/valueset-issue-type.html); `message` never quotes
    personal data other than what the same sender sent.
    """

    severity: Severity
    code: str
    path: str
    message: str
    expected: str | None = None

    def as_dict(self) -> dict[str, str]:
        """The issue as JSON: severity, code, path, message and, where known, expected."""
        fields = {"severity": self.severity, "code": self.code, "path": self.path, "message": self.message}
        return fields | ({"expected": self.expected} if self.expected else {})


class AdapterError(Exception):
    """Anything that this service refuses or cannot do; `status` is HTTP's, `code` a FHIR issue type."""

    status = 500
    code = "exception"

    def __init__(self, message: str, issues: Sequence[Issue] = ()) -> None:
        super().__init__(message)
        self.issues = tuple(issues) or (Issue("error", self.code, "", message),)


class BadRequest(AdapterError):
    status = 400
    code = "structure"


class Forbidden(AdapterError):
    status = 403
    code = "forbidden"


class NotFound(AdapterError):
    status = 404
    code = "not-found"


class MethodNotAllowed(AdapterError):
    """`allowed` are the methods that there are at this address; none where it is not for this party."""

    status = 405
    code = "not-supported"

    def __init__(self, message: str, issues: Sequence[Issue] = (), allowed: Sequence[str] = ()) -> None:
        super().__init__(message, issues or [Issue("error", self.code, "", message, ", ".join(allowed) or None)])
        self.allowed = tuple(allowed)


class NotAcceptable(AdapterError):
    status = 406
    code = "not-supported"


class TooSlow(AdapterError):
    status = 408
    code = "timeout"


class Conflict(AdapterError):
    status = 409
    code = "conflict"


class Gone(AdapterError):
    status = 410
    code = "deleted"


class PreconditionFailed(AdapterError):
    status = 412
    code = "conflict"


class TooLarge(AdapterError):
    status = 413
    code = "too-long"


class UnsupportedMedia(AdapterError):
    status = 415
    code = "not-supported"


class Misdirected(AdapterError):
    status = 421
    code = "forbidden"


class Refused(AdapterError):
    status = 422
    code = "invalid"


class Unavailable(AdapterError):
    """The store cannot keep anything just now; `reason` is SQLite's name for why, such as SQLITE_FULL."""

    status = 503
    code = "no-store"

    def __init__(self, reason: str, issues: Sequence[Issue] = ()) -> None:
        words = "nothing can be kept here just now, and nothing of this was"
        super().__init__(words, issues or [Issue("error", self.code, "", words, "the same once more, later")])
        self.reason = reason


class BadDeclaration(AdapterError):
    """A file of ours or of the operator's is wrong; the message gives file, rule and reason."""

    code = "invalid"


class BadUsage(AdapterError):
    """A command line names what is not there or cannot be read; the message gives the option or file and the reason."""

    code = "invalid"


class RemoteError(AdapterError):
    """Another system answered with an error or not at all.

    `answered` is its HTTP status, or None when no answer came; `retry_after` are the seconds it asked for.
    """

    status = 502
    code = "transient"

    def __init__(
        self, message: str, answered: int | None = None, retry_after: float | None = None, issues: Sequence[Issue] = ()
    ) -> None:
        super().__init__(message, issues)
        self.answered = answered
        self.retry_after = retry_after

    @property
    def retry(self) -> bool:
        """Whether the same request may succeed later: no answer, too many requests, or a fault of the server's own."""
        return self.answered is None or self.answered in (408, 425, 429, 500, 502, 503, 504)


class RemoteConflict(RemoteError):
    """409 or 412: what we wrote was made against a version that is no longer current there."""

    code = "conflict"
