"""XML as plain dicts and back: no document type, hence no entities; a limit to size and depth; nothing is fetched."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any
from xml.parsers import expat
from xml.sax.saxutils import escape, quoteattr

from fhir_adapter.errors import BadRequest, Issue
from fhir_adapter.fhir.resources import DEEPEST
from fhir_adapter.mapping.inputs.formats import Contents, Entry, Format, value_at, without_copied_id, wrong
from fhir_adapter.mapping.inputs.text import decode, encode, letters_fault
from fhir_adapter.mapping.inputs.values import Words, type_in
from fhir_adapter.mapping.schema import RecordSchema

LARGEST = 50_000_000
"""Bytes of a document."""

TEXT = "$"
"""The key of an element's text where it has attributes or children as well."""

_FOREIGN = re.compile(r"[^\t\n\r\x20-\ud7ff\ue000-\ufffd\U00010000-\U0010ffff]")
_KEY = re.compile(r"(?:(?P<prefix>[\w.-]+):|\{(?P<uri>[^}]*)\})?(?P<name>[^\W\d][\w.-]*)")
_XSI = "http://www.w3.org/2001/XMLSchema-instance"


@dataclass(slots=True)
class _Element:
    key: str
    attributes: list[tuple[str, str]]
    children: list[_Element] = field(default_factory=list)
    text: list[str] = field(default_factory=list)


class XmlTree(Format):
    """An element is a key, `@name` an attribute, `$` text beside them; what the schema calls a list is one.

    `namespaces`: prefix -> URI; "" is that of keys without prefix. `record`: the elements from the root down to one
    record. `after`: what follows the last record. `only_if`: what the document says beside the records where all is
    well, path -> the words; a document that says something else is refused. `id`: the field that is copied to the
    record's `id`.
    """

    name = "xml"
    media_types = ("application/xml", "text/xml", "application/soap+xml")

    def __init__(
        self,
        schema: RecordSchema,
        *,
        namespaces: dict[str, str],
        record: str,
        after: dict[str, Any] | None = None,
        only_if: dict[str, list[str]] | None = None,
        id_path: str | None = None,
        encoding: str = "utf-8",
    ) -> None:
        self.schema = schema
        self.encoding = encoding
        self.path = record.split("/")
        self.after = after or {}
        self.only_if = only_if or {}
        self.id_path = id_path
        self._uris = {"xsi": _XSI, **namespaces}
        self._prefixes = {uri: prefix for prefix, uri in self._uris.items()}
        self._words = Words()

    # ---- reading

    def read(self, raw: bytes) -> Contents:
        root = self._parsed(raw)
        if root.key == self.path[-1]:
            return Contents([self._entry(1, root)], single=True)
        around = _below(root, self.path[:-1]) if len(self.path) > 1 else [root]
        found = [record for one in around for record in _below(one, self.path[-2:])]
        if not (found if len(self.path) == 1 else around):
            message = f"there is no {self.path[0]} in this document: it begins with {root.key}"
            raise wrong("", message, "/".join(self.path))
        self._check_what_is_beside(around)
        entries = [self._entry(number, element) for number, element in enumerate(found, start=1)]
        return Contents(entries, remarks=list(self._beside(around)))

    def _check_what_is_beside(self, around: Sequence[_Element]) -> None:
        """Raises BadRequest where a document says of itself that not all is well."""
        for path, words in self.only_if.items():
            said = ["".join(each.text).strip() for one in around for each in _below(one, [one.key, *path.split("/")])]
            if any(each not in words for each in said):
                raise wrong("/".join([*self.path[:-1], path]), f"the document says {said[0][:64]}", " or ".join(words))

    def _beside(self, around: Sequence[_Element]) -> Iterator[Issue]:
        """What stands beside the records, and no format has a word for."""
        known = {self.path[-1], *self.after}
        for key in dict.fromkeys(child.key for one in around for child in one.children if child.key not in known):
            path = "/".join([*self.path[:-1], key])
            yield Issue("information", "structure", path, "stands beside the records, and is no field of this format")

    def _parsed(self, raw: bytes) -> _Element:
        """The document. Raises BadRequest for what is no XML, has a document type, or is too large or deep."""
        if len(raw) > LARGEST:
            raise wrong("", f"the document is larger than {LARGEST} bytes", f"at most {LARGEST} bytes", "too-long")
        declared = re.match(rb"\s*<\?xml[^>]*encoding", raw.removeprefix(b"\xef\xbb\xbf"))
        text = raw if declared or raw[:2] in (b"\xff\xfe", b"\xfe\xff") else decode(raw, self.encoding)
        reader = _Reader(self)
        try:
            return reader.parse(text)
        except expat.ExpatError as fault:
            reason = expat.ErrorString(fault.code)
            raise wrong(f"line {fault.lineno}", f"this is not XML: {reason} (column {fault.offset + 1})") from None
        except (ValueError, LookupError) as fault:
            raise wrong("", f"this is not XML: {fault}") from None

    def _entry(self, number: int, element: _Element) -> Entry:
        own = b""
        try:
            own = self._document([self._element(element.key, self._value(element, {}), 0)])
            record = self._value(element, self.schema.schema)
            if not isinstance(record, dict):
                raise wrong("", "the record is empty", "elements")
        except BadRequest as fault:
            return Entry(number, fault, own)
        if self.id_path is not None and isinstance(found := value_at(record, self.id_path), str):
            record = {"id": found, **record}
        return Entry(number, letters_fault(record) or record, own)

    def _value(self, element: _Element, node: dict[str, Any]) -> Any:
        """The value of an element, which the schema describes by `node`; one that it does not know stays text."""
        node = self.schema.resolved(node)
        properties = node.get("properties", {})
        text = "".join(element.text)
        if not element.children and not element.attributes and not properties:
            return self._words.value(text, type_in(node, self.schema))
        value: dict[str, Any] = {f"@{name}": said for name, said in element.attributes}
        for child in element.children:
            self._add(value, child, properties.get(child.key, {}))
        if element.children and text.strip():
            raise wrong(element.key, "text between elements cannot be kept in its place", "text or elements")
        if not element.children and (text.strip() or (text and TEXT in properties)):
            value[TEXT] = self._words.value(text, type_in(properties.get(TEXT, {}), self.schema))
        return value

    def _add(self, value: dict[str, Any], child: _Element, node: dict[str, Any]) -> None:
        node = self.schema.resolved(node)
        is_list = type_in(node, self.schema) == "array" or "items" in node
        made = self._value(child, node.get("items", {}) if is_list else node)
        if child.key not in value:
            value[child.key] = [made] if is_list else made
        elif isinstance(value[child.key], list):
            value[child.key].append(made)
        else:
            value[child.key] = [value[child.key], made]

    def key_of(self, name: str, *, is_attribute: bool = False) -> str:
        """The key of an element or attribute from `uri name` as the parser gives it."""
        uri, _, local = name.rpartition(" ")
        if uri == ("" if is_attribute else self._uris.get("", "")):
            return local
        prefix = self._prefixes.get(uri)
        return f"{prefix}:{local}" if prefix else f"{{{uri}}}{local}"

    # ---- writing

    def write(self, records: Sequence[dict[str, Any]], *, single: bool = False) -> bytes:
        around = self.path[:-1]
        depth = len(around)
        parts = [self._element(self.path[-1], self._own(record), depth) for record in records]
        parts += [self._element(key, value, depth) for key, value in self.after.items()]
        for level, key in reversed(list(enumerate(around))):
            inside = "".join(parts)
            space = "  " * level
            parts = [f"{space}<{self._tag(key)}>\n{inside}{space}</{self._tag(key)}>\n"]
        return self._document(parts)

    def _own(self, record: dict[str, Any]) -> dict[str, Any]:
        """The record in the schema's order, which is that of the elements; without the `id` that was a copy."""
        return self.schema.ordered(record if self.id_path is None else without_copied_id(record, self.id_path))

    def _document(self, parts: Sequence[str]) -> bytes:
        """The parts as a document; its first tag gets the declarations of all namespaces that occur."""
        body = "".join(parts)
        used = [
            (prefix, uri)
            for prefix, uri in self._uris.items()
            if uri and (not prefix or re.search(rf"[</\s]{re.escape(prefix)}:", body))
        ]
        spaces = "".join(f" xmlns{':' + prefix if prefix else ''}={quoteattr(uri)}" for prefix, uri in used)
        body = re.sub(r"^(\s*<[^\s/>]+)", lambda found: f"{found[1]}{spaces}", body, count=1)
        shown = {"latin-1": "ISO-8859-1", "cp1252": "windows-1252"}.get(self.encoding, "UTF-8")
        return encode(f'<?xml version="1.0" encoding="{shown}"?>\n{body}', self.encoding)

    def _element(self, key: str, value: Any, depth: int, path: str = "") -> str:
        """An element with what is in it, indented; a list is an element for each item."""
        if isinstance(value, list):
            return "".join(self._element(key, one, depth, f"{path}[{index}]") for index, one in enumerate(value))
        if value is None:
            return ""
        space, tag = "  " * depth, self._tag(key, path)
        if not isinstance(value, dict):
            return f"{space}<{tag}>{self._text(value, path)}</{_name(tag)}>\n"
        attributes = "".join(
            f" {self._attribute(name[1:], number, path)}={quoteattr(self._text(said, path, raw=True))}"
            for number, (name, said) in enumerate(value.items())
            if name.startswith("@") and said is not None
        )
        if TEXT in value:
            return f"{space}<{tag}{attributes}>{self._text(value[TEXT], path)}</{_name(tag)}>\n"
        inside = "".join(
            self._element(name, child, depth + 1, f"{path}.{name}" if path else name)
            for name, child in value.items()
            if not name.startswith("@")
        )
        if not inside:
            return f"{space}<{tag}{attributes}/>\n"
        return f"{space}<{tag}{attributes}>\n{inside}{space}</{_name(tag)}>\n"

    def _tag(self, key: str, path: str = "") -> str:
        """What stands in an element's first tag; one of a namespace that was not declared brings it along."""
        prefix, uri, name = self._split(key, path)
        if uri is None:
            return f"{prefix}:{name}" if prefix else name
        return f"u:{name} xmlns:u={quoteattr(uri)}" if uri else f'{name} xmlns=""'

    def _attribute(self, key: str, number: int, path: str) -> str:
        prefix, uri, name = self._split(key, path)
        if uri:
            return f"xmlns:a{number}={quoteattr(uri)} a{number}:{name}"
        return f"{prefix}:{name}" if prefix else name

    def _split(self, key: str, path: str) -> tuple[str | None, str | None, str]:
        found = _KEY.fullmatch(key)
        if found is None or (found["prefix"] and found["prefix"] not in self._uris):
            raise wrong(path, "this field's name cannot be the name of an XML element", "letters, digits, . and -")
        return found["prefix"], found["uri"], found["name"]

    def _text(self, value: Any, path: str, *, raw: bool = False) -> str:
        text = self._words.text(value)
        if foreign := _FOREIGN.search(text):
            raise wrong(path, f"the sign U+{ord(foreign[0]):04X} cannot be written in XML", "text without it", "value")
        return text if raw else escape(text, {"\r": "&#13;"})


class _Reader:
    """One pass of the parser over one document."""

    def __init__(self, format_: XmlTree) -> None:
        self._format = format_
        self._open: list[_Element] = []
        self._root: _Element | None = None

    def parse(self, text: str | bytes) -> _Element:
        parser = expat.ParserCreate(namespace_separator=" ")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = self._refuse_doctype
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._data
        parser.Parse(text, True)
        assert self._root is not None
        return self._root

    def _refuse_doctype(self, *_told: object) -> None:
        raise wrong("", "the document declares a type or entities (<!DOCTYPE), which is not read", "XML without a DTD")

    def _start(self, name: str, attributes: dict[str, str]) -> None:
        if len(self._open) >= DEEPEST:
            raise wrong("", f"nested deeper than {DEEPEST} levels", f"at most {DEEPEST} levels")
        key = self._format.key_of
        element = _Element(key(name), [(key(each, is_attribute=True), said) for each, said in attributes.items()])
        if self._open:
            self._open[-1].children.append(element)
        else:
            self._root = element
        self._open.append(element)

    def _end(self, _name: str) -> None:
        self._open.pop()

    def _data(self, text: str) -> None:
        self._open[-1].text.append(text)


def _below(element: _Element, path: Sequence[str]) -> list[_Element]:
    """The elements at the end of `path`, which may begin further down (inside a SOAP envelope)."""
    if element.key == path[0]:
        found = [element]
        for key in path[1:]:
            found = [child for one in found for child in one.children if child.key == key]
        return found
    return [found for child in element.children for found in _below(child, path)]


def _name(tag: str) -> str:
    return tag.partition(" ")[0]


@dataclass(frozen=True, slots=True)
class Names:
    """The names (URI, local name) of a document: of every element, and those from the root down to a likely record."""

    every: list[tuple[str, str]]
    record: list[tuple[str, str]]


def names_in(raw: bytes) -> Names:
    """What a document that nobody has described holds. Raises BadRequest where it cannot be read."""
    root = XmlTree(RecordSchema({}), namespaces={}, record="record")._parsed(raw)
    way = [root]
    while way[-1].children and len({child.key for child in way[-1].children}) == 1 and way[-1].children[0].children:
        way.append(way[-1].children[0])
        if len(way[-2].children) > 1:
            break
    return Names([_split_key(one.key) for one in _all(root)], [_split_key(one.key) for one in way])


def _all(element: _Element) -> list[_Element]:
    return [element, *(below for child in element.children for below in _all(child))]


def _split_key(key: str) -> tuple[str, str]:
    uri, _, local = key.removeprefix("{").rpartition("}")
    return uri, local
