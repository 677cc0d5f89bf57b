"""What a mapping looks things up in: its code tables, and the organisations and municipalities of its country."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

from fhir_adapter.mapping.words import composed, folded


@dataclass(frozen=True, slots=True)
class Row:
    """A row of a code table: words and codes that stand for each other, the first of each being the one written.

    Without a word it is a code that the native format stays silent about. `line`: in the codes file.
    """

    words: tuple[str, ...]
    codes: tuple[str, ...]
    display: str | None
    line: int


@dataclass(frozen=True, slots=True)
class Table:
    """A code table: the sender's words and the codes they stand for; every word and every code is in one row."""

    name: str
    system: str | None
    codes: Mapping[str, str]
    words: Mapping[str, str | None]
    displays: Mapping[str, str]
    allowed: str
    """the words that it knows, for messages"""
    aliases: frozenset[str] = frozenset()
    """other spellings of the system, understood and never written"""
    rows: tuple[Row, ...] = ()

    def has_system(self, system: Any) -> bool:
        """Is it this table's code system, by any of its spellings?"""
        return system == self.system or system in self.aliases

    def code_of(self, word: str) -> str | None:
        """The code of a word (compared without case and Unicode form), or None."""
        return self.codes.get(word) or self.codes.get(folded(word))


@dataclass(frozen=True, slots=True)
class KnownOrganisation:
    """An organisation with a public number; `kind` is a code of the register's kinds, or None."""

    number: str
    name: str
    kind: str | None = None


@dataclass(frozen=True, slots=True)
class Municipality:
    """A municipality code's name, and the numbers of the organisations that answer for its people, by their kind."""

    name: str
    organisations: Mapping[str, str]


@dataclass(frozen=True, slots=True)
class Register:
    """The organisations and municipalities that a country's records name by number, code or words."""

    system: str = ""
    """identifier system of organisation numbers"""
    organisations: Mapping[str, KnownOrganisation] = field(default_factory=dict)
    municipalities: Mapping[str, Municipality] = field(default_factory=dict)
    places: tuple[str, ...] = ()
    """the numbers of the organisations in their order, then for each known unit the number of its organisation"""
    names: re.Pattern[str] = re.compile("(?!)")
    """matches a folded text that begins with a known name; its group is called after the organisation's place: n7"""
    kinds: Table | None = None
    beginnings: Mapping[str, str] = field(default_factory=dict)
    """what an organisation is by the first digits of its number"""
    otherwise: str | None = None
    municipality_code: re.Pattern[str] = re.compile("[0-9]+")

    def identity_of(self, number: str) -> str:
        """`system|value` of an organisation number; one of another system is written so in the table already."""
        return number if "|" in number else f"{self.system}|{number}"

    def kind_of(self, number: str) -> str | None:
        """The kind of the organisation with this number: the table's word for it, else by its beginning."""
        known = self.organisations.get(number)
        if known is not None and known.kind is not None:
            return known.kind
        return next((kind for first, kind in self.beginnings.items() if number.startswith(first)), self.otherwise)

    def named(self, text: str) -> tuple[str, str] | None:
        """(number, unit) where `text` begins with the name of a known organisation or unit; unit may be empty."""
        found = self.names.match(folded(text))
        if found is None or found.lastgroup is None:
            return None
        place, text = int(found.lastgroup[1:]), composed(text)
        unit = text[found.end() :].lstrip(" ,") if place < len(self.organisations) else text
        return self.places[place], unit

    def municipality_in(self, text: str) -> tuple[str | None, str | None]:
        """Name and code of `Södertälje (0181)`; either may be missing."""
        name, opened, rest = text.rpartition(" (")
        if opened and rest.endswith(")") and self.municipality_code.fullmatch(rest[:-1]):
            return name, rest[:-1]
        return (None, text) if self.municipality_code.fullmatch(text) else (text, None)

    def organisation_of(self, text: Any, kind: str) -> str | None:
        """The number of the organisation of a kind that answers for people of the first municipality code in a text."""
        codes = self.municipality_code.findall(text) if isinstance(text, str) else ()
        municipality = next((self.municipalities[code] for code in codes if code in self.municipalities), None)
        return municipality.organisations.get(kind) if municipality is not None else None


@dataclass(frozen=True, slots=True)
class Knowledge:
    """What a mapping's converters look things up in; read at start-up."""

    tables: Mapping[str, Table] = field(default_factory=dict)
    register: Register = field(default_factory=Register)
    zone: str = ""
    """of times that the record writes without one"""
    settings: Mapping[str, Any] = field(default_factory=dict)
    """the declaration's `converters:`, by converter"""


def plain_number(number: str) -> str:
    """An organisation's number without the hyphens and blanks that make it easier to read: `556036-0793` and
    `5560360793` are one number, as the registers have it (eight digits of a CVR, nine of an IK, ten in Sweden)."""
    return number.replace("-", "").replace(" ", "") or number


def pattern_of_names(known: Iterable[str]) -> re.Pattern[str]:
    """One pattern for all known names, the longest first, each ending where a word does; groups are their places."""
    by_length = sorted(enumerate(known), key=lambda one: -len(one[1]))
    names = "|".join(f"(?P<n{place}>{re.escape(folded(name))})" for place, name in by_length)
    return re.compile(f"(?:{names})(?=[ ,]|$)") if names else re.compile("(?!)")
