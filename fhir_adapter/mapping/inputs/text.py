"""Bytes to text and back, refusing what was read in the wrong encoding before it reached us."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fhir_adapter.errors import BadRequest, Issue
from fhir_adapter.mapping.inputs.formats import wrong

ENCODINGS = ("utf-8", "latin-1", "cp1252")

_BOM = b"\xef\xbb\xbf"
_SECOND = "\x80-\xbf" + bytes(range(0x80, 0xA0)).decode("cp1252", "ignore")
"""The second byte of a two-byte UTF-8 sequence, as Latin-1 or as Windows reads it."""

GARBLED = re.compile(f"Ã[{_SECOND}]|â€[{_SECOND}]|Â[\xa0-\xbf]")
"""UTF-8 that somebody read as Latin-1 or cp1252: `Ã¸` for ø, `â€™` for a quote, `Â§` for §."""

CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
"""Signs that a FHIR string may not hold: all below a space but tab, line feed and carriage return."""


def decode(raw: bytes, encoding: str = "utf-8") -> str:
    """The text of `raw`, without a byte order mark. Raises BadRequest with the line that is not in this encoding."""
    if raw.startswith(_BOM):
        raw, encoding = raw[len(_BOM) :], "utf-8"
    if raw[:2] in (b"\xff\xfe", b"\xfe\xff"):
        raise wrong("", "this is UTF-16", f"text in {encoding}")
    if raw[:2] == b"\x1f\x8b":
        raise wrong("", "this is compressed", f"text in {encoding}")
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError as fault:
        line = raw.count(b"\n", 0, fault.start) + 1
        raise wrong(
            f"line {line}", f"this is not {encoding}: byte 0x{raw[fault.start]:02x} is none of its letters",
            f"text in {encoding}, or the declaration's `encoding` says what it is",
        ) from None  # fmt: skip


def encode(text: str, encoding: str, path: str = "") -> bytes:
    """The bytes of `text`. Raises BadRequest where the encoding lacks a letter."""
    try:
        return text.encode(encoding)
    except UnicodeEncodeError as fault:
        letter = f"U+{ord(text[fault.start]):04X}"
        raise wrong(path, f"the letter {letter} does not exist in {encoding}", f"letters of {encoding}") from None


def letters_fault(record: Any) -> BadRequest | None:
    """What to answer where fields hold text that was read in the wrong encoding before it came here, or that FHIR
    cannot hold."""
    issues = [Issue("error", "structure", path, *told) for path, text in _texts(record, "") if (told := _told_of(text))]
    return BadRequest("the letters are garbled", issues) if issues else None


def _told_of(text: str) -> tuple[str, str] | None:
    if GARBLED.search(text):
        return "reads like UTF-8 that was taken for another encoding", "letters like ø and å"
    if found := CONTROL.search(text):
        return (
            f"holds the control sign U+{ord(found[0]):04X}, which FHIR has no place for",
            "text, tabs and line breaks",
        )
    return None


def _texts(value: Any, path: str) -> Iterator[tuple[str, str]]:
    if isinstance(value, str):
        yield path, value
    elif isinstance(value, dict):
        for name, child in value.items():
            yield from _texts(child, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for index, child in enumerate(value):
            yield from _texts(child, f"{path}[{index}]")
