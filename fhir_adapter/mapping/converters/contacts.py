"""Telephone numbers with what is said about them, and names of things that FHIR wants as URIs."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any
from urllib.parse import quote, unquote

from fhir_adapter.fhir.paths import extension_url
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.codes import table_named
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair, Run

EXTENSION = "http://hl7.org/fhir/StructureDefinition/contactpoint-extension"
"""of a telephone number: what is dialled after it"""

_URI = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:\S+")


@converter("telephone", "TABLE number=PART [type=PART] [extension=PART] [note=PART]", kinds="object")
def _telephone(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """An object that holds a number in this field (and its type, extension and a remark in those) <-> a ContactPoint
    that is neither an e-mail nor a web address. The table has the words for the systems phone, fax, pager, sms and
    other, and for `mobile`."""
    table = table_named(words.plain[0], knowledge)
    named = {part: words.option(part) for part in ("number", "type", "extension", "note")}

    def to_fhir(value: dict[str, Any], run: Run, path: str) -> Resource | None:
        said = {part: value.get(field) for part, field in named.items()}
        if not said["number"]:
            return None
        kind = table.code_of(said["type"]) if said["type"] else "phone"
        if kind is None:
            run.warn(f"{path}.{named['type']}", "code-invalid", "this word is not in the code list", table.allowed)
        parts = [(EXTENSION, said["extension"]), (extension_url("telecom-note"), said["note"])]
        extensions = [{"url": url, "valueString": str(text)} for url, text in parts if text is not None]
        made: Resource = {"extension": extensions} if extensions else {}
        made |= {"system": "phone", "use": "mobile"} if kind == "mobile" else {"system": kind or "other"}
        return made | {"value": said["number"]}

    def to_native(point: Resource, _run: Run) -> dict[str, Any] | None:
        if point.get("system") in ("email", "url") or not point.get("value"):
            return None
        texts = {one.get("url"): one.get("valueString") for one in point.get("extension") or ()}
        kind = "mobile" if point.get("use") == "mobile" and "mobile" in table.words else point.get("system", "phone")
        extension = texts.get(EXTENSION)
        said = {
            "number": point["value"],
            "type": table.words.get(kind),
            "extension": int(extension) if extension is not None and extension.isdecimal() else extension,
            "note": texts.get(extension_url("telecom-note")),
        }
        return {field: said[part] for part, field in named.items() if field and said[part] is not None}

    return Pair(to_fhir, to_native)


@converter("uri", "PREFIX")
def _uri(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """A URI <-> the same; words that are none <-> these, behind this prefix."""
    prefix = words.plain[0]

    def to_fhir(value: str, _run: Run, _path: str) -> str:
        return value if _URI.fullmatch(value) else prefix + quote(value, safe="")

    def to_native(uri: str, _run: Run) -> str:
        return unquote(uri.removeprefix(prefix)) if uri.startswith(prefix) else uri

    return Pair(to_fhir, to_native)
