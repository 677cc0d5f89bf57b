"""The independent judge: who wrote which words having seen which. It knows nothing of merges, versions or stores.

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
    """All edits of a run, by their words."""

    edits: dict[str, Edit] = field(default_factory=dict)
    excused: set[str] = field(default_factory=set)

    def wrote(self, party: str, words: str, seen: Iterable[str]) -> None:
        """A party wrote these words where it saw `seen`."""
        self.edits[words] = Edit(words, party, frozenset(seen))

    def new_words(self) -> str:
        """Words that nobody has written yet."""
        return f"ord <{len(self.edits) + 1}>"

    def lost(self, live: str, kept: str) -> list[Edit]:
        """Edits whose words are neither in `live` nor in `kept`, and that nobody who had seen them replaced."""
        seen = {words for edit in self.edits.values() for words in edit.seen}
        return [
            edit
            for edit in self.edits.values()
            if edit.words not in live
            and edit.words not in kept
            and edit.words not in seen
            and edit.words not in self.excused
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
