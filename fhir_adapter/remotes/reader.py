"""Somebody who asks a server many things and can use none of the answers before all are there."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import NamedTuple, Protocol

from fhir_adapter.errors import RemoteError


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: the HTTP status, the headers (names without regard to case) and the whole body."""

    status: int
    headers: Mapping[str, str]
    body: bytes


class Question(NamedTuple):
    """A request that may be repeated without harm. `about`: type and id of the one resource that it is about."""

    method: str
    url: str
    parameters: str
    about: tuple[str, str] | None


class Reader(Protocol):
    """What a client does for a reader goes by way of it."""

    def answer_to(self, question: Question, ask: Callable[[], Answer]) -> Answer:
        """What the server says, or has said before. Raises what `ask` raises."""

    def is_patient(self, tried: int, fault: RemoteError) -> bool:
        """Whether to ask once more what was `tried` so often in a row, which is as often as for anybody."""
