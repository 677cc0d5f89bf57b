"""The `input` of a file that nobody has described yet, guessed from its bytes, and the records in it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

from fhir_adapter.errors import BadRequest
from fhir_adapter.mapping.inputs.declared import declared_format, is_json
from fhir_adapter.mapping.inputs.formats import value_at, wrong
from fhir_adapter.mapping.inputs.paths import leaves
from fhir_adapter.mapping.inputs.rows import delimiter_of
from fhir_adapter.mapping.inputs.xml_tree import names_in
from fhir_adapter.mapping.model import folded
from fhir_adapter.mapping.scaffold import guesses, is_id, plain
from fhir_adapter.mapping.schema import RecordSchema

_OPEN = RecordSchema({"type": "object"})


@dataclass(frozen=True, slots=True)
class GuessedInput:
    """The records of a sample, and the lines of `input` with which they are read."""

    records: list[dict[str, Any]]
    lines: list[str]


def guessed_input(raw: bytes) -> GuessedInput:
    """Reads a sample as JSON, XML or CSV. Raises BadRequest where it is none of them, or holds no record."""
    if is_json(raw):
        guessed = _json(raw)
    elif raw.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] == b"<":
        guessed = _xml(raw)
    else:
        guessed = _csv(raw)
    if not guessed.records:
        raise BadRequest("the sample holds no record")
    return guessed


def _read(declared: dict[str, Any], raw: bytes) -> list[dict[str, Any]]:
    records = [entry.taken() for entry in declared_format(declared, _OPEN).read(raw).entries]
    if not all(isinstance(record, dict) for record in records):
        raise BadRequest("the sample holds something else than records: a record is an object with fields")
    return records


def _id_in(record: dict[str, Any]) -> str | None:
    """The field that tells records apart where none is called `id`."""
    return next((path for path, value in leaves(record) if is_id(path) and isinstance(value, str)), None)


def _json(raw: bytes) -> GuessedInput:
    records = _read({"format": "json"}, raw)
    if records and records[0].get("resourceType") == "Bundle":
        raise wrong("", "this is FHIR already", "a record of a system's own format")
    if not records or "id" in records[0]:
        return GuessedInput(records, [])
    path = _id_in(records[0])
    if path is None:
        raise wrong("id", "no field tells the records apart", "a field `id`, or one called number or case number")
    lines = ["input:", "  format: json", f"  id: {path}  # guess: what tells records apart"]
    return GuessedInput(_read({"format": "json", "id": path}, raw), lines)


def _csv(raw: bytes) -> GuessedInput:
    encoding = "utf-8" if _is_utf8(raw) else "cp1252"
    text = raw.decode(encoding, "replace").removeprefix("\ufeff")
    delimiter = delimiter_of(text)
    header = [name.strip().strip('"') for name in text.split("\n", 1)[0].rstrip("\r").split(delimiter)]
    columns = dict(_columns(header))
    declared = {"format": "csv", "encoding": encoding, "delimiter": delimiter, "key": "id", "columns": columns}
    lines = ["input:", "  format: csv", f"  encoding: {encoding}", f'  delimiter: "{_escaped(delimiter)}"', "  key: id"]
    lines.append("  columns:  # guess: which column is which field, and which belong to the items of a list")
    lines += [f'    "{_escaped(name)}": {path}' for name, path in columns.items()]
    return GuessedInput(_read(declared, raw), lines)


def _columns(header: list[str]) -> Iterator[tuple[str, str]]:
    """A field for each column; those that begin with the name of a list (`Tiltak status`) belong to its items."""
    names = [name for name in header if name]
    own = next((name for name in names if is_id(name)), names[0] if names else "")
    used: set[str] = set()
    for name in names:
        path = "id" if name == own else _column_path(name)
        while path in used:
            path += "_"
        used.add(path)
        yield name, path


def _column_path(name: str) -> str:
    first, _, rest = re.sub(r"[\s_.-]+", " ", name).partition(" ")
    if any(plain(first) in known["names"] for known in guesses()["lists"].values()):
        return f"{_slug(first)}[].{'id' if rest and is_id(rest) else _slug(rest) or 'tekst'}"
    return _slug(name)


def _slug(name: str) -> str:
    return re.sub(r"\W+", "_", folded(name)).strip("_") or ("felt" if name else "")


def _xml(raw: bytes) -> GuessedInput:
    names = names_in(raw)
    uris = Counter(uri for uri, _ in names.every if uri)
    spaces = {uri: "" if place == 0 else f"n{place}" for place, (uri, _) in enumerate(uris.most_common())}

    def key(name: tuple[str, str]) -> str:
        uri, local = name
        return f"{spaces[uri]}:{local}" if uri and spaces[uri] else local

    record = "/".join(key(name) for name in names.record)
    namespaces = {prefix: uri for uri, prefix in spaces.items()}
    declared: dict[str, Any] = {"format": "xml", "record": record, "namespaces": namespaces}
    records = _read(declared, raw)
    lines = ["input:", "  format: xml", f"  record: {record}  # guess: what repeats below the root, else the root"]
    lines += ["  namespaces:", *(f'    "{prefix}": {uri}' for prefix, uri in namespaces.items())] if namespaces else []
    path = _id_in(records[0]) if records and "id" not in records[0] else "id"
    if path is None:
        raise wrong("id", "no element tells the records apart", "an element `id`, or one called number or case number")
    if path != "id":
        lines.append(f"  id: {path}  # guess: what tells records apart")
        records = [{"id": str(value_at(one, path)), **one} for one in records]
    return GuessedInput(records, lines)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True


def _escaped(text: str) -> str:
    return text.replace("\\", "\\\\").replace('"', '\\"').replace("\t", "\\t")
