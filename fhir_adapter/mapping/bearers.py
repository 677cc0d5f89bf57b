"""Who in a record has which name: what a name in one field leads to, wherever the record says who is called so.

A name can be looked up before the field was read that names its bearer. So a pass over the record notes what was looked
up, and found; where that is something else once everything was read, the record is read again, and the names are looked
up among those of the pass before.
"""

from __future__ import annotations

import re
from collections.abc import Container

from fhir_adapter.mapping.words import folded

_ASIDE = re.compile(r"\s*\([^()]*\)\s*$")


class Bearers:
    """The names in one pass over a record. `before`: those of an earlier pass, which knew the record whole."""

    __slots__ = ("_asked", "_given", "_known", "_mentioned")

    def __init__(self, before: Bearers | None = None) -> None:
        self._given: dict[str, str] = {}
        """folded name -> reference, of those that the record gives this name"""
        self._mentioned: dict[str, str] = {}
        """the same of organisations that it only mentions, and that the organisations file knows"""
        self._known = before or self
        """where names are looked up"""
        self._asked: set[tuple[str, str | None]] = set()
        """the names that were looked up, and that nobody was given until then, with what was found"""

    def among(self, references: Container[str]) -> Bearers:
        """The names that the record gives to these alone."""
        some = Bearers()
        some._given.update((name, one) for name, one in self._given.items() if one in references)
        return some

    def call(self, name: str, reference: str) -> None:
        """Lets other fields refer to `reference` by name; the first bearer of a name keeps it."""
        self._given.setdefault(folded(name), reference)

    def mention(self, name: str, reference: str) -> None:
        """The same for an organisation that the record only mentions: who is given the name goes before it."""
        self._mentioned.setdefault(folded(name), reference)

    def tell(self, words: str, reference: str) -> None:
        """The same for the words that the record mentions it by, which are more than the name of a unit."""
        words = folded(words)
        self._mentioned[words] = reference
        self._asked.add((words, reference))

    def of(self, text: str) -> str | None:
        """The reference to whom a text names, or None; in a first pass, as far as the record was read.

        Tried in turn: the whole text, the text without what stands in brackets at its end, and what is before a comma.
        """
        found = self._known._given.get(folded(text)) or self._mentioned_as(text)  # _bearer, without a call: a hot path
        if found is None and "(" in text:
            found = self._bearer(_ASIDE.sub("", text))
        if found is None and "," in text:
            found = self._bearer(text.partition(",")[0].strip())
        return found

    def _bearer(self, name: str) -> str | None:
        return self._known._given.get(folded(name)) or self._mentioned_as(name)

    def _mentioned_as(self, name: str) -> str | None:
        name = folded(name)
        found = self._known._mentioned.get(name)
        self._asked.add((name, found))
        return found

    def is_given(self, name: str) -> bool:
        """Does the record itself give somebody this name? As for `of`."""
        return folded(name) in self._known._given

    def are_elsewhere(self) -> bool:
        """Does a name that was looked up lead elsewhere, now that the whole record was read?"""
        return any((self._given.get(name) or self._mentioned.get(name)) != found for name, found in self._asked)

    def __contains__(self, name: str) -> bool:
        return folded(name) in self._given or folded(name) in self._mentioned
