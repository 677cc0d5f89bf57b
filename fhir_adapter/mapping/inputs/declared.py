"""The `input` part of a declaration: which format, and how it is written."""

from __future__ import annotations

from typing import Any

from fhir_adapter.mapping.inputs.bundles import FhirBundle
from fhir_adapter.mapping.inputs.formats import Contents, Format
from fhir_adapter.mapping.inputs.json_text import JsonText
from fhir_adapter.mapping.inputs.rows import Rows
from fhir_adapter.mapping.inputs.text import ENCODINGS
from fhir_adapter.mapping.inputs.values import words_of
from fhir_adapter.mapping.inputs.xml_tree import XmlTree
from fhir_adapter.mapping.schema import RecordSchema

JSON = JsonText()
NDJSON = JSON.media_types[1:]

_WORDS = {
    "json": {"format", "encoding", "id", "items", "or"},
    "fhir": {"format", "id", "parts"},
    "csv": {"format", "encoding", "delimiter", "quote", "key", "columns", "separator", "decimal", "words"},
    "xml": {"format", "encoding", "namespaces", "record", "after", "only_if", "id"},
}


def declared_format(declared: dict[str, Any] | None, schema: RecordSchema) -> Format:
    """The format of a declaration's `input`; JSON where it has none. Raises ValueError with what is wrong."""
    declared = declared or {"format": "json"}
    name = declared.get("format")
    if name not in _WORDS:
        raise ValueError(f"format {name!r} is none of {', '.join(_WORDS)}")
    if unknown := set(declared) - _WORDS[name]:
        raise ValueError(
            f"unknown word {sorted(unknown)[0]!r}; for {name} there are: {', '.join(sorted(_WORDS[name]))}"
        )
    encoding = declared.get("encoding", "utf-8")
    if encoding not in ENCODINGS:
        raise ValueError(f"encoding {encoding!r} is none of {', '.join(ENCODINGS)}")
    if name == "json":
        other = declared_format(declared["or"], schema) if "or" in declared else None
        return JsonText(encoding, declared.get("id"), other, declared.get("items", ""))
    if name == "fhir":
        ids = declared.get("id") or ()
        parts = {part: (one["type"], one.get("without")) for part, one in (declared.get("parts") or {}).items()}
        return FhirBundle((ids,) if isinstance(ids, str) else tuple(ids), parts)
    return _csv(declared, schema, encoding) if name == "csv" else _xml(declared, schema, encoding)


def _csv(declared: dict[str, Any], schema: RecordSchema, encoding: str) -> Rows:
    for word in ("delimiter", "quote"):
        if word in declared and len(str(declared[word])) != 1:
            raise ValueError(f"{word} {declared[word]!r} is not one sign")
    return Rows(
        schema,
        encoding=encoding,
        delimiter=declared.get("delimiter"),
        quote=declared.get("quote", '"'),
        key=declared.get("key"),
        columns=declared.get("columns"),
        separator=declared.get("separator"),
        words=words_of(declared),
    )


def _xml(declared: dict[str, Any], schema: RecordSchema, encoding: str) -> XmlTree:
    if "record" not in declared:
        raise ValueError("`record` is missing: the elements from the root to one record, like `plans/plan`")
    return XmlTree(
        schema,
        namespaces=declared.get("namespaces") or {},
        record=declared["record"],
        after=declared.get("after"),
        only_if={path: as_words(words) for path, words in (declared.get("only_if") or {}).items()},
        id_path=declared.get("id"),
        encoding=encoding,
    )


def as_words(value: Any) -> list[str]:
    """One word or several."""
    return [str(word) for word in value] if isinstance(value, list) else [str(value)]


def read_any(declared: Format, raw: bytes) -> tuple[Format, Contents]:
    """The records of a file in the declared format, or in JSON where it begins like JSON; and which it was."""
    format_ = _form_of(declared, raw)
    return format_, format_.read(raw)


def one_of_any(declared: Format, raw: bytes) -> Any:
    """The one record of a body in the declared format, or in JSON where it begins so. Raises BadRequest."""
    return _form_of(declared, raw).one(raw)


def _form_of(declared: Format, raw: bytes) -> Format:
    """The format of a file, told by how it begins, where a declaration has two forms."""
    if declared.name in ("csv", "xml") and is_json(raw):
        return JSON
    other = declared.other if isinstance(declared, JsonText) else None
    return other if other is not None and not is_json(raw) else declared


def is_json(raw: bytes) -> bool:
    """Does a file begin like JSON, whatever its name?"""
    return raw.removeprefix(b"\xef\xbb\xbf").lstrip()[:1] in (b"{", b"[")
