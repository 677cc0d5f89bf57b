"""JSON: one object, a list of records, or one record a line (NDJSON)."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

from fhir_adapter.errors import BadRequest
from fhir_adapter.fhir.resources import (
    dump_json,
    indented,
    names_that_stand_twice,
    parse_input,
    parse_nested,
    stands_twice,
)
from fhir_adapter.mapping.inputs.formats import Contents, Entry, Format, value_at, without_copied_id, wrong
from fhir_adapter.mapping.inputs.text import decode, encode, letters_fault

_SUSPECT = (b"\xc3\x83", b"\xc3\xa2\xe2", b"\xc3\x82\xc2", b"\\u00")
"""Ã, â€ and Â before a sign, in UTF-8, or an escaped sign: only then is it worth looking at every field."""


class JsonText(Format):
    """JSON in UTF-8, or in the encoding that the declaration names."""

    name = "json"
    media_types: tuple[str, ...] = ("application/json", "application/x-ndjson", "application/ndjson")

    def __init__(
        self, encoding: str = "utf-8", id_path: str | None = None, other: Format | None = None, items: str = ""
    ) -> None:
        self.encoding = encoding
        self.id_path = id_path
        """the field that is copied to the record's `id`, where it has none of its own"""
        self.other = other
        """the form of files that do not begin like JSON, where the same records come in two forms"""
        self.items = items
        """the field of a page that holds a list of records, where they may come in pages"""

    def read(self, raw: bytes) -> Contents:
        raw = self._in_utf8(raw.removeprefix(b"\xef\xbb\xbf"))
        try:
            whole = parse_nested(raw)
        except BadRequest as fault:
            if len(raw.split(b"\n", 1)) == 1 or not _is_json(raw.lstrip().split(b"\n", 1)[0]):
                return Contents([Entry(1, _told(raw, fault), raw)], single=True)
            return Contents(list(self._lines(raw)))
        twice = names_that_stand_twice(raw, whole)
        is_page = isinstance(whole, dict) and isinstance(whole.get(self.items), list)
        if is_page or isinstance(whole, list):
            place, values = (self.items, whole[self.items]) if is_page else ("", whole)
            return Contents([self._item(number, one, place, twice) for number, one in enumerate(values, start=1)])
        return Contents([Entry(1, stands_twice(twice), raw) if twice else self._entry(1, whole, raw)], single=True)

    def write(self, records: Sequence[dict[str, Any]], *, single: bool = False) -> bytes:
        written = [dump_json(self.value(record)) for record in records]
        lines = [indented(record) for record in written] if single else written
        raw = b"".join(line + b"\n" for line in lines)
        return raw if self.encoding == "utf-8" else encode(raw.decode(), self.encoding)

    def one(self, raw: bytes) -> Any:
        raw = self._in_utf8(raw)
        try:
            value = parse_input(raw)
        except BadRequest as fault:
            raise _told(raw, fault) from None
        if any(sign in raw for sign in _SUSPECT) and (wrong_letters := letters_fault(value)):
            raise wrong_letters
        return self.record(value)

    def document(self, record: dict[str, Any]) -> bytes:
        return dump_json(self.value(record))

    def shown(self, record: dict[str, Any]) -> Any:
        return self.value(record)

    def record(self, value: Any) -> Any:
        """The record in a JSON value. Raises BadRequest."""
        if self.id_path is None or not isinstance(value, dict):
            return value
        found = value_at(value, self.id_path)
        is_id = isinstance(found, str | int) and not isinstance(found, bool)
        return {"id": str(found), **value} if is_id else value

    def value(self, record: dict[str, Any]) -> Any:
        """The JSON value of a record."""
        return record if self.id_path is None else without_copied_id(record, self.id_path)

    def _in_utf8(self, raw: bytes) -> bytes:
        return raw if self.encoding == "utf-8" else decode(raw, self.encoding).encode()

    def _item(self, number: int, value: Any, around: str, twice: list[str]) -> Entry:
        """One record of a list; of the names that stand twice in the file those within it are its fault."""
        raw, place = dump_json(value), f"{around}[{number - 1}]"
        own = [path.removeprefix(place).removeprefix(".") for path in twice if path.startswith(place)]
        return Entry(number, stands_twice(own), raw) if own else self._entry(number, value, raw)

    def _entry(self, number: int, value: Any, raw: bytes) -> Entry:
        try:
            record = self.record(value)
        except BadRequest as fault:
            return Entry(number, fault, raw)
        garbled = letters_fault(record) if any(sign in raw for sign in _SUSPECT) else None
        return Entry(number, garbled or record, raw)

    def _lines(self, raw: bytes) -> Iterator[Entry]:
        number = 0
        for line in raw.split(b"\n"):
            if line.strip():
                number += 1
                try:
                    yield self._entry(number, parse_input(line), line)
                except BadRequest as fault:
                    yield Entry(number, _told(line, fault), line)


def _is_json(line: bytes) -> bool:
    try:
        parse_nested(line)
    except BadRequest:
        return False
    return True


def _told(raw: bytes, fault: BadRequest) -> BadRequest:
    """`fault`, with the field where that can be told: text that is not UTF-8."""
    try:
        raw.decode()
    except UnicodeDecodeError:
        path = _field_in_latin(raw)
        if path:
            return wrong(path, "this is not UTF-8, which JSON is written in", "text in UTF-8")
    return fault


def _field_in_latin(raw: bytes) -> str:
    """The first field whose letters are not UTF-8, found by reading the bytes as Latin-1."""
    try:
        value = parse_input(raw.decode("latin-1").encode())
    except BadRequest:
        return ""
    return next(_not_utf8(value, ""), "")


def _not_utf8(value: Any, path: str) -> Iterator[str]:
    if isinstance(value, dict):
        for name, child in value.items():
            yield from _not_utf8(child, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _not_utf8(child, f"{path}[{index}]")
    elif isinstance(value, str):
        try:
            value.encode("latin-1").decode()
        except UnicodeError:
            yield path
