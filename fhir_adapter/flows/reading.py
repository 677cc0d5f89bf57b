"""A look at a FHIR party that may take several turns: what was answered in one is not asked again in the next.

All that a look finds is taken in at once, for its parts belong together; so none of its requests may fail. A party that
answers half of them would never be read, were each look to begin with nothing.
"""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import RemoteError
from fhir_adapter.flows import circuit
from fhir_adapter.remotes.reader import Answer, Question
from fhir_adapter.store import copies, sides
from fhir_adapter.store.copies import Landmarks

if TYPE_CHECKING:
    from fhir_adapter.flows.hub import Hub

TRIES = 10
"""In a row of one request, at a party that answered others in this turn."""

KEPT_FOR = 1800.0
"""Seconds after which a look begins anew: servers forget the pages of a list in an hour or so."""


@dataclass(slots=True)
class Reading:
    """What a party told a look so far. It is a slow look, however many turns it takes: what is made there after its
    list of changes began is shown to the next one.

    `since`, `start`, `known`: the watermark, from when on the list tells, and what it must show. They are older than
    the list, and that is older than all other answers: what came later than those is in the next list. What a
    resource's history is compared with is older, too: an answer counts as long as the copy is the same.
    """

    hub: Hub
    party: Party
    since: str | None
    start: datetime | None
    known: Landmarks
    began: float
    answers: dict[Question, tuple[object, Answer | RemoteError]]
    has_answered: bool = False

    @property
    def asking(self) -> Hub:
        """The hub whose client of this party asks by way of this reading."""
        client = self.hub.clients[self.party.name].for_reader(self)
        return replace(self.hub, clients={**self.hub.clients, self.party.name: client})

    def answer_to(self, question: Question, ask: Callable[[], Answer]) -> Answer:
        """From memory, or from the party; "not there" is an answer, too."""
        copy = self._copy_of(question)
        kept = self.answers.get(question)
        if kept is None or kept[0] != copy:
            kept = self.answers[question] = copy, _answer_or_refusal(ask)
            self._is_heard()
        if isinstance(kept[1], RemoteError):
            raise kept[1].with_traceback(None)
        return kept[1]

    def _copy_of(self, question: Question) -> object:
        if question.about is None:
            return None
        return copies.by_remote(self.hub.database.read(), self.party.name, *question.about)

    def _is_heard(self) -> None:
        """A party that answers now and then does not rest for it: the failures before this turn were not in a row."""
        if not self.has_answered:
            self.has_answered = True
            circuit.succeeded(self.hub, self.party)

    def is_patient(self, tried: int, fault: RemoteError) -> bool:
        """With who answered others in this turn; not against its wish for a pause, nor while it rests."""
        asked_for_a_pause = fault.answered == 429 or fault.retry_after is not None
        if not self.has_answered or asked_for_a_pause or tried >= TRIES:
            return False
        return not sides.get(self.hub.database.read(), self.party.name).rests

    def keep(self) -> None:
        """It is to be gone on with. Not without a list of changes that was begun at one moment: where there is none, or
        one for each type, no later list need tell what came between its answers."""
        if self.start and self.hub.clients[self.party.name].abilities().history_of_all:
            self.hub.readings[self.party.name] = self


def forget(hub: Hub, party: Party) -> None:
    """What the party told so far counts no more."""
    hub.readings.pop(party.name, None)


def _answer_or_refusal(ask: Callable[[], Answer]) -> Answer | RemoteError:
    try:
        return ask()
    except RemoteError as fault:
        if fault.retry:
            raise
        return fault


def patiently(hub: Hub, party: Party) -> Hub:
    """The hub for somebody who asks as patiently and keeps nothing for another turn."""
    return Reading(hub, party, None, None, Landmarks(None, None), time.monotonic(), {}).asking


def take_up(hub: Hub, party: Party, overlap: timedelta) -> Reading:
    """The reading that was kept, if its list is still the one that is wanted: it begins at this watermark and goes back
    as far. Else a new one: an answer from before its list might lack what that list is the last to show."""
    connection = hub.database.read()
    since, known = copies.watermark(connection, party.name), copies.landmarks(connection, party.name)
    start = datetime.fromisoformat(since) - overlap if since else None
    kept = hub.readings.pop(party.name, None)  # whoever else begins meanwhile asks for himself
    is_wanted = kept and kept.since == since and kept.start and start and kept.start <= start
    if kept and is_wanted and time.monotonic() - kept.began <= KEPT_FOR:
        return replace(kept, hub=hub, has_answered=False)
    return Reading(hub, party, since, start, known, time.monotonic(), {})
