"""What sample records of a format that nobody has described hold: their schema, fields, objects and lists."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

Record = dict[str, Any]

_NAME = re.compile(r"[\w@$-]+")


@dataclass(frozen=True, slots=True)
class Found:
    """A field of the samples with all its values; `is_plain`: its name can stand in a rule."""

    path: str
    values: list[Any]
    is_plain: bool = True

    @property
    def name(self) -> str:
        """The last part of its path."""
        return self.path.rpartition(".")[2]

    @property
    def holder(self) -> str:
        """The path of the object that it stands in; empty in the record or item itself."""
        return self.path.rpartition(".")[0]

    def kinds(self) -> set[str]:
        """What its values are, as JSON Schema calls them; of a list of plain values, those in it."""
        return {kind_of(item) for value in self.values for item in (value if isinstance(value, list) else [value])}

    def is_list(self) -> bool:
        """Is it a list of plain values?"""
        return any(isinstance(value, list) for value in self.values)


def schema_of(values: Iterable[Any], name: str = "") -> Record:
    """A JSON Schema that these values follow. Only `id` is required: one sample does not show what may be missing."""
    every = list(values)
    values = [value for value in every if value is not None]
    if values and all(isinstance(value, dict) for value in values):
        properties = {
            key: {
                "title": key,
                "description": f"{key}, as in the sample.",
                **schema_of((one[key] for one in values if key in one), key),
            }
            for key in _names(values)
        }
        required = {"required": ["id"]} if not name and "id" in properties else {}
        return {"type": _or_null("object", every), **required, "properties": properties}
    if values and all(isinstance(value, list) for value in values):
        items = schema_of([item for value in values for item in value], name)
        return {"type": _or_null("array", every), "items": items}
    kinds = {kind_of(value) for value in values}
    kinds -= {"integer"} if "number" in kinds else set()
    return {"type": _or_null(kinds.pop() if kinds else "string", every)} if len(kinds) < 2 else {}


def _or_null(kind: str, values: Sequence[Any]) -> str | list[str]:
    return [kind, "null"] if None in values else kind


def is_name(name: str) -> bool:
    """Can it stand in a rule: letters, digits, _ - and what attributes and text are called in XML?"""
    return _NAME.fullmatch(name) is not None


def kind_of(value: Any) -> str:
    """What JSON Schema calls a value."""
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | Decimal):
        return "integer" if isinstance(value, int) else "number"
    return "object" if isinstance(value, dict) else "array" if isinstance(value, list) else "string"


def plain_fields(records: Sequence[Record], prefix: str = "", *, is_plain: bool = True) -> Iterator[Found]:
    """Every field that is neither an object nor a list of objects."""
    for name in _names(records):
        values = _values(records, name)
        here = is_plain and is_name(name)
        objects = _objects(values)
        if _names(objects):
            yield from plain_fields(objects, f"{prefix}{name}.", is_plain=here)
        elif not _items(values):
            yield Found(f"{prefix}{name}", values, here)


def objects_in(records: Sequence[Record]) -> Iterator[tuple[str, list[Record]]]:
    """Every object of the records with all that it is in them; not what is in an object."""
    for name in _names(records):
        if is_name(name) and (objects := _objects(_values(records, name))):
            yield name, objects


def lists_in(records: Sequence[Record], prefix: str = "") -> Iterator[tuple[str, list[Record]]]:
    """Every list of objects with all its items; lists inside them belong to their items."""
    for name in _names(records):
        values = _values(records, name)
        if objects := _objects(values):
            yield from lists_in(objects, f"{prefix}{name}.")
        if items := _items(values):
            yield f"{prefix}{name}", items


def _names(records: Sequence[Record]) -> list[str]:
    """The fields that a path can name; any other is none that a declaration could speak of."""
    names = dict.fromkeys(key for record in records for key in record)
    return [name for name in names if name and not set(name) & set(".[]")]


def _values(records: Sequence[Record], name: str) -> list[Any]:
    return [record[name] for record in records if record.get(name) is not None]


def _objects(values: Sequence[Any]) -> list[Record]:
    """The objects, where all values are."""
    return list(values) if all(isinstance(value, dict) for value in values) else []


def _items(values: Sequence[Any]) -> list[Record]:
    """The items, where all values are lists of objects."""
    if not all(isinstance(value, list) for value in values):
        return []
    items = [item for value in values for item in value]
    return items if all(isinstance(item, dict) for item in items) else []
