"""How a converter is registered: its name, the words that a rule may give it, and what it loses."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair

_WORD = re.compile(
    r"(?P<optional>\[)?(?:(?P<option>[a-z_]+)=(?P<value>[A-Z_]+)|(?P<flag>[a-z_]+)|(?P<plain>[A-Z_]+))\]?(?:\s+|$)"
)


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
    `fields`, `targets`: how many it takes of each, at least and at most; `kinds`: what the values of each field may be.
    """

    name: str
    usage: str
    loses: str
    build: Builder
    whole: bool = False
    fields: tuple[int, int] = (1, 1)
    targets: int = 1
    kinds: tuple[frozenset[str], ...] = ()

    def takes(self, place: int) -> frozenset[str]:
        """The kinds of values that the field at this place may have, as JSON Schema calls them."""
        return self.kinds[min(place, len(self.kinds) - 1)]

    @property
    def meaning(self) -> str:
        """What it does, for documentation: the first paragraph of its builder's words."""
        return " ".join((self.build.__doc__ or "").strip().partition("\n\n")[0].split())

    def named(self, given: Sequence[str]) -> list[tuple[str, str]]:
        """What each word is that a rule gives it, as the usage calls it, and the word: ("LIST", "mal")."""
        options = {found["option"]: found["value"] for found in _WORD.finditer(self.usage) if found["option"]}
        told = [word.partition("=") for word in given]
        return [(options[name], value) for name, _, value in told if name in options] + self._plain(given)

    def _plain(self, given: Sequence[str]) -> list[tuple[str, str]]:
        known = [found.groupdict() for found in _WORD.finditer(self.usage)]
        others = {one["option"] or one["flag"] for one in known}
        words = [word for word in given if word.partition("=")[0] not in others]
        return list(zip([one["plain"] for one in known if one["plain"]], words, strict=False))

    def table_in(self, given: Sequence[str]) -> str | None:
        """The name of the code table that these words name, where there is one."""
        return next((word for kind, word in self._plain(given) if kind == "TABLE"), None)

    def check_sides(self, fields: int, targets: int) -> None:
        """Raises ValueError where a rule has more or fewer fields or targets than this converter can tell apart."""
        least, most = self.fields
        if not least <= fields <= most or targets != self.targets:
            counts = f"{least} to {most}" if least < most else str(most)
            sides = self.meaning.partition(". ")[0]
            raise ValueError(
                f"it takes {counts} field(s) and {self.targets} target(s), not {fields} and {targets}: {sides}"
            )

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


KINDS = ("string", "boolean", "integer", "number", "array", "object")
"""of values, as JSON Schema calls them"""

CONVERTERS: dict[str, Converter] = {}
"""Every converter by the name that rules call it."""


def converter(
    name: str, usage: str = "", *, loses: str = "", whole: bool = False, fields: int = 1, least: int = 0,
    targets: int = 1, kinds: str = "string",
) -> Callable[[Builder], Builder]:  # fmt: skip
    """Registers a builder under `name`; its docstring tells what goes where, as `fields <-> FHIR`. `least`: where it
    takes fewer fields too; `kinds`: of the values of each field, the last of all that follow (`string number`)."""
    taken = tuple(_kinds(word) for word in kinds.split())

    def register(builder: Builder) -> Builder:
        assert name not in CONVERTERS, name
        CONVERTERS[name] = Converter(name, usage, loses, builder, whole, (least or fields, fields), targets, taken)
        return builder

    return register


def _kinds(word: str) -> frozenset[str]:
    found = set(KINDS if word == "any" else word.split("/"))
    assert found <= set(KINDS), word
    return frozenset(found | ({"integer"} if "number" in found else set()))
