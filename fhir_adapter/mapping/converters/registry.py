"""How a converter is registered: its name, the words that a rule may give it, and what it loses."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fhir_adapter.mapping.model import Knowledge, Pair

_WORD = re.compile(r"(?P<optional>\[)?(?:(?P<option>[a-z_]+)=[A-Z_]+|(?P<flag>[a-z_]+)|(?P<plain>[A-Z_]+))\]?(?:\s+|$)")


@dataclass(frozen=True, slots=True)
class Words:
    """The words behind a converter's name in a rule, told apart by the converter's usage."""

    plain: tuple[str, ...]
    flags: frozenset[str]
    options: dict[str, str]

    def option(self, name: str, otherwise: str = "") -> str:
        """The value of `name=VALUE`."""
        return self.options.get(name, otherwise)


Builder = Callable[[Sequence[str], Words, Knowledge], Pair]
"""The rule's native field names, its words and the mapping's tables -> a pair. Raises ValueError with the reason."""


@dataclass(frozen=True, slots=True)
class Converter:
    """A kind of converter pair.

    `usage`: its words, as `TABLE [silent=CODE] [quiet]`: capitals stand for a value, brackets for what may be left out.
    `loses`: what does not come back when a record is made from FHIR alone; empty where everything does. `whole`: it
    finds its own part in the whole list that a path leads to; any other converter is asked about each part alone.
    """

    name: str
    usage: str
    loses: str
    build: Builder
    whole: bool = False

    @property
    def meaning(self) -> str:
        """What it does, for documentation: the first paragraph of its builder's words."""
        return " ".join((self.build.__doc__ or "").strip().partition("\n\n")[0].split())

    def table_in(self, told: Words) -> str | None:
        """The name of the code table that these words name, where there is one."""
        plain = [found["plain"] for found in _WORD.finditer(self.usage) if found["plain"]]
        return next((word for name, word in zip(plain, told.plain, strict=False) if name == "TABLE"), None)

    def words(self, given: Sequence[str]) -> Words:
        """`given`, told apart. Raises ValueError for a word that the converter does not know or misses."""
        plain: list[str] = []
        options: dict[str, str] = {}
        flags: set[str] = set()
        known = [found.groupdict() for found in _WORD.finditer(self.usage)]
        for word in given:
            name, equals, value = word.partition("=")
            if equals and any(one["option"] == name for one in known):
                options[name] = value
            elif any(one["flag"] == word for one in known):
                flags.add(word)
            elif len(plain) < sum(one["plain"] is not None for one in known):
                plain.append(word)
            else:
                raise ValueError(f"it does not know the word {word!r}; its words are: {self.usage or 'none'}")
        needed = sum(one["plain"] is not None and not one["optional"] for one in known)
        wanted = {one["option"] for one in known if one["option"] and not one["optional"]}
        if len(plain) < needed or wanted - options.keys():
            raise ValueError(f"a word is missing; its words are: {self.usage}")
        return Words(tuple(plain), frozenset(flags), options)


CONVERTERS: dict[str, Converter] = {}
"""Every converter by the name that rules call it."""


def converter(name: str, usage: str = "", *, loses: str = "", whole: bool = False) -> Callable[[Builder], Builder]:
    """Registers a builder under `name`; its docstring tells what goes where, as `fields <-> FHIR`."""

    def register(builder: Builder) -> Builder:
        assert name not in CONVERTERS, name
        CONVERTERS[name] = Converter(name, usage, loses, builder, whole)
        return builder

    return register
