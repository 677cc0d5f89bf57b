"""The judge's own book: who wrote which words having seen which. It knows nothing of merges, versions or stores.

Every edit writes words that nobody wrote before. At the end each of them must be live, or kept in a conflict, or
somebody who had seen them wrote something else over them. Nothing else may have happened to them.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Edit:
    """Words that a party wrote, and the words that it had before its eyes in that place."""

    words: str
    party: str
    seen: frozenset[str]


@dataclass(slots=True)
class Ledger:
    """All edits of a run, by their words; `written` counts them, those that are forgotten too."""

    edits: dict[str, Edit] = field(default_factory=dict)
    written: int = 0
    given_up: set[str] = field(default_factory=set)

    def wrote(self, party: str, words: str, seen: Iterable[str]) -> None:
        """A party wrote these words where it saw `seen`."""
        self.edits[words] = Edit(words, party, frozenset(seen))

    def new_words(self) -> str:
        """Words that nobody has written yet."""
        self.written += 1
        return f"ord <{self.written}>"

    def forget(self, words: str) -> None:
        """The party lost these words itself, before anybody else had them: as if they had never been written."""
        self.edits.pop(words, None)

    def let_go(self, words: str) -> None:
        """Somebody who had these words before his eyes decided for other ones."""
        self.given_up.add(words)

    def lost(self, live: str, kept: str) -> list[Edit]:
        """Edits whose words are neither in `live` nor in `kept`, and that nobody who had seen them replaced."""
        seen = {words for edit in self.edits.values() for words in edit.seen} | self.given_up
        return [
            edit
            for edit in self.edits.values()
            if edit.words not in live and edit.words not in kept and edit.words not in seen
        ]

    def knew(self, later: str, earlier: str) -> bool:
        """Whether who wrote `later` had seen `earlier`, or had seen what replaced it."""
        waiting, known = [later], set()
        while waiting:
            edit = self.edits.get(waiting.pop())
            for words in edit.seen if edit else ():
                if words == earlier:
                    return True
                if words not in known:
                    known.add(words)
                    waiting.append(words)
        return False
