"""What every input format offers, and which one a declaration asks for."""

from __future__ import annotations

import re
from abc import ABC, abstractmethod
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_adapter.errors import AdapterError, BadRequest, Issue
from fhir_adapter.fhir.resources import Resource


@dataclass(frozen=True, slots=True)
class Entry:
    """One record of a file, or what is wrong with it; `raw` is this record alone in the same format.

    `places` names the sender's own places (`row 7, column Mål`) for paths of the record (`mal[1].text`).
    """

    number: int
    record: Any
    raw: bytes
    places: Mapping[str, str] = field(default_factory=dict)

    def place(self, path: str) -> str:
        """Where the sender finds `path`: as its file says it, else the path itself."""
        return self.places.get(path) or self.places.get(pattern_of(path)) or path

    def taken(self) -> Any:
        """The record. Raises what is wrong with it."""
        if isinstance(self.record, AdapterError):
            raise self.record
        return self.record


@dataclass(frozen=True, slots=True)
class Contents:
    """The records of a file in their order; `single`: the file is one record by its form, not a list of them.

    `remarks`: what there is to say of the file beside its records.
    """

    entries: Sequence[Entry]
    single: bool = False
    remarks: Sequence[Issue] = ()


class Format(ABC):
    """One way in which records stand in bytes: `read` and `write` undo each other.

    `read(write(r)) == r`, and `write(read(x))` means the same as x.
    """

    name: str
    encoding: str = "utf-8"
    media_types: tuple[str, ...]
    """what is accepted as Content-Type; the first is answered"""
    id_path: str | None = None
    """the field of the format whose value is copied to the record's `id`"""

    @abstractmethod
    def read(self, raw: bytes) -> Contents:
        """The records in `raw`; a record that cannot be read stands as the BadRequest that says why.

        Raises BadRequest where the bytes as a whole cannot be read.
        """

    @abstractmethod
    def write(self, records: Sequence[dict[str, Any]], *, single: bool = False) -> bytes:
        """The bytes of a file with these records; `single`: as one record's file where the format knows that.

        Raises BadRequest, with the record's field, where the format cannot carry a value.
        """

    def resources(self, _record: Any) -> Iterable[tuple[str, Resource]]:
        """What a record of this format holds as FHIR already, each with its place in the record."""
        return ()

    def document(self, record: dict[str, Any]) -> bytes:
        """One record as compact bytes."""
        return self.write([record], single=True)

    def shown(self, record: dict[str, Any]) -> Any:
        """The record as it stands inside a JSON answer: text, unless the format is JSON itself."""
        return self.document(record).decode(self.encoding)

    def one(self, raw: bytes) -> Any:
        """The only record in `raw`. Raises BadRequest where it is wrong, or where there is another number of them."""
        entries = self.read(raw).entries
        if len(entries) != 1:
            raise BadRequest(f"expected one record, got {len(entries)}")
        return entries[0].taken()


_INDEX = re.compile(r"\[\d+\]")


def pattern_of(path: str) -> str:
    """`mal[].text` for `mal[1].text`: the field in the format, whichever item it is in."""
    return _INDEX.sub("[]", path)


def wrong(path: str, message: str, expected: str | None = None, code: str = "structure") -> BadRequest:
    """What is wrong with a record, at one place of it."""
    return BadRequest(message, [Issue("error", code, path, message, expected)])


def without_copied_id(record: dict[str, Any], path: str) -> dict[str, Any]:
    """The record without the `id` that was copied from `path`; a record that has nothing there gets it there."""
    own = {name: part for name, part in record.items() if name != "id"}
    if value_at(own, path) is None and "id" in record:
        *above, last = path.split(".")
        holder = own
        for name in above:
            holder[name] = dict(holder.get(name) or {})
            holder = holder[name]
        holder[last] = record["id"]
    return own


def value_at(record: Any, path: str) -> Any:
    """The value at a path with positions (`CarePlan[0].id`), or None."""
    for name, index in re.findall(r"([^.\[\]]+)|\[(\d+)\]", path):
        if name:
            record = record.get(name) if isinstance(record, dict) else None
        else:
            record = record[int(index)] if isinstance(record, list) and int(index) < len(record) else None
    return record
