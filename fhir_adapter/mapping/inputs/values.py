"""The words of CSV cells and XML elements as typed values, by the format's schema, and back."""

from __future__ import annotations

import re
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

from fhir_adapter.mapping.schema import RecordSchema

_INTEGER = re.compile(r"[+-]?\d{1,40}")
_NUMBER = re.compile(r"[+-]?\d{1,40}(\.\d{1,40})?([eE][+-]?\d{1,3})?")


@dataclass(frozen=True, slots=True)
class Words:
    """How a format writes what is not text. A word that does not fit is left as text: the schema then says so."""

    true: tuple[str, ...] = ("true", "1")
    false: tuple[str, ...] = ("false", "0")
    decimal: str = "."

    def value(self, text: str, type_: str) -> Any:
        """The value of `text` where the schema wants `type_` (JSON Schema's word; anything else is text)."""
        word = text.strip()
        if type_ == "boolean":
            folded = word.casefold()
            return True if folded in self.true else False if folded in self.false else text
        if type_ == "integer":
            return int(word) if _INTEGER.fullmatch(word) else text
        if type_ == "number":
            number = word.replace("\xa0", "").replace(" ", "")
            if self.decimal == ",":
                number = number.replace(".", "?").replace(",", ".")
            if not _NUMBER.fullmatch(number):
                return text
            return int(number) if _INTEGER.fullmatch(number) else Decimal(number)
        return text

    def text(self, value: Any) -> str:
        """A value as this format writes it."""
        if value is True:
            return self.true[0]
        if value is False:
            return self.false[0]
        if isinstance(value, Decimal | float):
            return format(value, "f" if abs(Decimal(value).adjusted()) < 30 else "").replace(".", self.decimal)
        return str(value)


def words_of(declared: dict[str, Any]) -> Words:
    """The words of a declaration: `words: {"true": [ja], "false": [nej]}`, `decimal: ","`."""
    said = {str(name).casefold(): value for name, value in (declared.get("words") or {}).items()}
    plain = Words(decimal=str(declared.get("decimal", ".")))
    return Words(
        tuple(str(word).casefold() for word in said.get("true", plain.true)),
        tuple(str(word).casefold() for word in said.get("false", plain.false)),
        plain.decimal,
    )


def type_in(node: dict[str, Any], schema: RecordSchema) -> str:
    """The one type that a schema node asks for; "string" where it would take text as well, or says nothing."""
    node = schema.resolved(node)
    types = node.get("type", "string")
    for kind in types if isinstance(types, list) else [types]:
        if kind != "null":
            return str(kind) if not isinstance(types, list) or "string" not in types else "string"
    return "string"
