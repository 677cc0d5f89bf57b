"""Persons' numbers: kinds of numbers as data of the declaration; a wrong check digit warns and never rejects."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.frames import copied
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair, Run
from fhir_adapter.mapping.words import folded


def luhn(number: str) -> bool:
    """Luhn over the last ten digits (Sweden)."""
    last = number[-10:]
    return (sum(_DOUBLED[int(digit)] for digit in last[::2]) + sum(map(int, last[1::2]))) % 10 == 0


_DOUBLED = (0, 2, 4, 6, 8, 1, 3, 5, 7, 9)
"""the digit sum of twice a digit"""


def _weighted(number: str, weights: Sequence[int]) -> int:
    return sum(int(digit) * weight for digit, weight in zip(number, weights, strict=False))


def mod11(number: str) -> bool:
    """Modulus 11 of the Danish CPR number; numbers given out since 2007 need not hold it, so prefer `none`."""
    return _weighted(number, (4, 3, 2, 7, 6, 5, 4, 3, 2, 1)) % 11 == 0


def svnr(number: str) -> bool:
    """The fourth digit of an Austrian Versicherungsnummer."""
    return _weighted(number, (3, 7, 9, 0, 5, 8, 4, 2, 1, 6)) % 11 == int(number[3])


def kvnr(number: str) -> bool:
    """The last digit of a German Krankenversichertennummer: a letter as two digits, weights 1 and 2, digit sums."""
    digits = f"{ord(number[0].upper()) - 64:02}{number[1:9]}"
    total = sum(sum(divmod(int(digit) * (1 + place % 2), 10)) for place, digit in enumerate(digits))
    return total % 10 == int(number[9])


CHECKS: dict[str, Callable[[str], bool]] = {
    "luhn": luhn,
    "mod11": mod11,
    "svnr": svnr,
    "kvnr": kvnr,
    "none": lambda _number: True,
}
"""What a kind of number may name as its check."""


@dataclass(frozen=True, slots=True)
class NumberKind:
    """One kind of number: the field that it stands in, its identifier system, and how it looks.

    `like` tells a number of this kind from one of another kind with the same form; `series` is the field that names
    another series of such numbers by its OID, which then is the system; `named`: the identifier carries the kind's
    name as its type.
    """

    field: str
    system: str
    form: re.Pattern[str]
    expected: str
    check: Callable[[str], bool]
    aliases: tuple[str, ...] = ()
    like: re.Pattern[str] | None = None
    series: str | None = None
    named: bool = False
    extra: Resource | None = None
    """elements that every identifier of this kind has: type, assigner, a use other than `official`"""

    def is_like(self, number: str) -> bool:
        """Is a number of the form, by its looks, of this kind?"""
        return self.like is None or self.like.fullmatch(number) is not None

    def looks_right(self, number: str) -> bool:
        """Is it of the form, and by its looks of this kind?"""
        return self.is_like(number) and self.form.fullmatch(number) is not None

    def identifier(self, number: str, series: str | None, use: str) -> Resource:
        """The Identifier of a number of this kind."""
        system = f"urn:oid:{series}" if series else self.system
        if not self.named and not self.extra:
            return {"use": use, "system": system, "value": number}
        own = copied(self.extra or {}) | ({"type": {"text": self.field}} if self.named else {})
        own["use"] = use if use == "old" else own.get("use", use)
        return {"use": "", **own, "system": system, "value": number}

    def owns(self, identifier: Resource) -> bool:
        """Is it an Identifier of this kind?"""
        if identifier.get("system") in (self.system, *self.aliases):
            return True
        return self.named and (identifier.get("type") or {}).get("text") == self.field


def _kind(field: str, declared: dict[str, Any]) -> NumberKind:
    return NumberKind(
        field,
        declared["system"],
        re.compile(declared["form"]),
        declared["expected"],
        CHECKS[declared.get("check", "none")],
        tuple(declared.get("aliases") or ()),
        re.compile(declared["like"]) if "like" in declared else None,
        declared.get("series"),
        bool(declared.get("named")),
        declared.get("identifier"),
    )


@converter("person_numbers", whole=True, fields=20, least=1, kinds="string string/array")
def _person_numbers(fields: Sequence[str], _words: Words, knowledge: Knowledge) -> Pair:
    """(numbers of several kinds, earlier numbers, the word for the kind) <-> Patient.identifier, by the declaration's
    `converters: person_numbers`, which says for each field what it is."""
    declared = knowledge.settings.get("person_numbers")
    if declared is None:
        raise ValueError("the declaration has no `converters: person_numbers: kinds:`")
    names = [field.rpartition(".")[2] for field in fields]
    kinds = {field: _kind(field, kind) for field, kind in declared["kinds"].items()}
    numbers = _PersonNumbers(tuple(fields), tuple(names), kinds, declared.get("earlier"), declared.get("kind"))
    for name in (*kinds, *(kind.series for kind in kinds.values()), numbers.earlier, numbers.word):
        if name is not None and name not in names:
            raise ValueError(f"`converters: person_numbers` speaks of {name!r}, which is none of the rule's fields")
    return Pair(numbers.to_fhir, numbers.to_native)


@dataclass(frozen=True, slots=True)
class _PersonNumbers:
    fields: tuple[str, ...]
    names: tuple[str, ...]
    kinds: dict[str, NumberKind]
    earlier: str | None
    """the field with the numbers that the person had before"""
    word: str | None
    """the field that says which kind of number the person has"""

    def to_fhir(self, values: Any, run: Run, prefix: str) -> list[Resource] | None:
        value = dict(zip(self.names, values if len(self.names) > 1 else (values,), strict=True))
        found = []
        for field, kind in self.kinds.items():
            number = value[field]
            if number and self._check(number, kind, run, self._path(field, prefix)):
                found.append(kind.identifier(number, value[kind.series] if kind.series else None, "official"))
        for index, number in enumerate((value[self.earlier] if self.earlier else None) or ()):
            place = f"{self._path(str(self.earlier), prefix)}[{index}]"
            old = next((kind for kind in self.kinds.values() if kind.looks_right(number)), None)
            if self._check(number, old or next(iter(self.kinds.values())), run, place) and old is not None:
                found.append(old.identifier(number, None, "old"))
        if self.word and value[self.word] is not None:
            self._check_word(value, run, self._path(self.word, prefix))
        return found or None

    def _path(self, name: str, prefix: str) -> str:
        """A field of the record, for messages: the rule's own, where it has one alone."""
        return prefix if len(self.names) == 1 else prefix + self.fields[self.names.index(name)]

    def _check(self, number: str, kind: NumberKind, run: Run, path: str) -> bool:
        if kind.form.fullmatch(number) is None:
            run.error(path, "value", f"this is not a {kind.field}", kind.expected)
            return False
        if not kind.check(number):
            run.warn(path, "value", "the check digit does not agree: please look at the number again")
        if not kind.is_like(number):
            other = next((one.field for one in self.kinds.values() if one.looks_right(number)), "another number")
            run.warn(path, "value", f"this looks like a {other}, not like a {kind.field}")
        return True

    def _check_word(self, value: dict[str, Any], run: Run, path: str) -> None:
        given = [field for field in self.kinds if value[field]]
        if folded(value[str(self.word)]) not in given:
            expected = ", ".join(given)
            run.warn(path, "value", "says another kind of number than the one that was sent", expected)

    def to_native(self, identifiers: list[Resource], _run: Run) -> Any:
        value: dict[str, Any] = dict.fromkeys(self.names)
        for identifier in identifiers:
            kind = next((kind for kind in self.kinds.values() if kind.owns(identifier)), None)
            number = identifier.get("value")
            if kind is None or not number:
                continue
            if identifier.get("use") == "old":
                if self.earlier:
                    value[self.earlier] = [*(value[self.earlier] or ()), number]
                continue
            value[kind.field] = number
            system = str(identifier.get("system"))
            if kind.series and system not in (kind.system, *kind.aliases):
                value[kind.series] = system.removeprefix("urn:oid:")
        if self.word:
            value[self.word] = next((field for field in self.kinds if value[field]), None)
        return tuple(value.values()) if len(self.names) > 1 else value[self.names[0]]
