"""The `input` of a file that nobody has described yet, guessed from its bytes, and the records in it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from fhir_adapter.errors import BadRequest
from fhir_adapter.mapping.guessing import ends_like_id, is_id, kind_called
from fhir_adapter.mapping.inputs.declared import declared_format, is_json
from fhir_adapter.mapping.inputs.formats import value_at, wrong
from fhir_adapter.mapping.inputs.guessed_columns import columns_of
from fhir_adapter.mapping.inputs.rows import delimiter_of
from fhir_adapter.mapping.inputs.xml_tree import names_in
from fhir_adapter.mapping.samples import plain_fields
from fhir_adapter.mapping.scaffold_text import quoted
from fhir_adapter.mapping.schema import RecordSchema

_OPEN = RecordSchema({"type": "object"})


@dataclass(frozen=True, slots=True)
class GuessedInput:
    """The records of a sample, the lines of `input` with which they are read, and the field that is their id."""

    records: list[dict[str, Any]]
    lines: list[str]
    id_path: str = "id"


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


def _id_in(records: Sequence[dict[str, Any]]) -> str | None:
    """The field that tells records apart where none is called `id`: of text, and another one in each record. What
    stands in the record itself comes before what stands in an object of it."""
    fields = [found for found in plain_fields(records) if found.is_plain and found.kinds() <= {"string", "integer"}]
    telling = [each for each in fields if not each.is_list() and len(set(each.values)) == len(records)]
    telling.sort(key=lambda found: bool(found.holder))
    named = [found.path for found in telling if is_id(found.path)]
    return next(iter([*named, *(found.path for found in telling if ends_like_id(found.name))]), None)


def _json(raw: bytes) -> GuessedInput:
    records = _read({"format": "json"}, raw)
    if records and records[0].get("resourceType") == "Bundle":
        raise wrong("", "this is FHIR already", "a record of a system's own format")
    if not records or "id" in records[0]:
        return GuessedInput(records, [])
    path = _id_in(records)
    if path is None:
        raise wrong("id", "no field tells the records apart", "a field `id`, or one called number or case number")
    lines = ["input:", "  format: json", f"  id: {quoted(path)}  # guess: what tells records apart"]
    return GuessedInput(_read({"format": "json", "id": path}, raw), lines, path)


def _csv(raw: bytes) -> GuessedInput:
    encoding = "utf-8" if _is_utf8(raw) else "cp1252"
    text = raw.decode(encoding, "replace").removeprefix("\ufeff")
    delimiter = delimiter_of(text)
    columns = columns_of(text, delimiter)
    declared = {"format": "csv", "encoding": encoding, "delimiter": delimiter, "key": "id", "columns": columns}
    lines = ["input:", "  format: csv", f"  encoding: {encoding}", f"  delimiter: {quoted(delimiter)}", "  key: id"]
    lines.append("  columns:  # guess: which column is which field, and which belong to the items of a list")
    lines += [f"    {quoted(name)}: {quoted(path)}" for name, path in columns.items()]
    return GuessedInput(_read(declared, raw), lines)


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
    records = _with_lists(_read(declared, raw), "plan")
    lines = ["input:", "  format: xml", f"  record: {record}  # guess: what repeats below the root, else the root"]
    lines += ["  namespaces:", *(f'    "{prefix}": {uri}' for prefix, uri in namespaces.items())] if namespaces else []
    path = _id_in(records) if records and "id" not in records[0] else "id"
    if path is None:
        raise wrong("id", "no element tells the records apart", "an element `id`, or one called number or case number")
    if path != "id":
        lines.append(f"  id: {quoted(path)}  # guess: what tells records apart")
        records = [{"id": str(value_at(one, path)), **one} for one in records]
    return GuessedInput(records, lines, path)


def _with_lists(objects: Sequence[dict[str, Any]], place: str) -> list[dict[str, Any]]:
    """Objects in which what comes several times somewhere, or is called like a list, is a list everywhere."""
    names = dict.fromkeys(key for one in objects for key in one)
    made = [dict(one) for one in objects]
    for name in names:
        values = [one[name] for one in objects if name in one]
        below = [item for value in values for item in (value if isinstance(value, list) else [value])]
        if not all(isinstance(item, dict) for item in below):
            continue
        kind = kind_called(name, place)
        is_list = any(isinstance(value, list) for value in values) or (kind is not None and not _holds_lists(below))
        known = iter(_with_lists(below, kind or place if is_list else place))
        for one in (one for one in made if name in one):
            items = [next(known) for _ in (one[name] if isinstance(one[name], list) else [one[name]])]
            one[name] = items if is_list else items[0]
    return made


def _holds_lists(objects: Sequence[dict[str, Any]]) -> bool:
    """Is it an element around items alone, as `<goals><goal/><goal/></goals>`?"""
    return all(len(one) == 1 and isinstance(next(iter(one.values())), dict | list) for one in objects)


def _is_utf8(raw: bytes) -> bool:
    try:
        raw.decode()
    except UnicodeDecodeError:
        return False
    return True
