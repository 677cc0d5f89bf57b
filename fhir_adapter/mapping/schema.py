"""A native format's JSON Schema: every error at once in clear words, and properties that the format does not know."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, replace
from typing import Any

import jsonschema_rs

from fhir_adapter.errors import Issue
from fhir_adapter.mapping.model import Unmapped

_DEFS = "#/$defs/"

_TYPES = {
    "string": "text",
    "number": "a number",
    "integer": "a whole number",
    "boolean": "true or false",
    "array": "a list",
    "object": "an object",
    "null": "nothing",
}


_BOUNDS = {
    "minLength": ("value", "is empty", "at least {} characters"),
    "maxLength": ("too-long", "is too long", "at most {} characters"),
    "minItems": ("value", "has a size outside what is allowed", "at least {} items"),
    "maxItems": ("value", "has a size outside what is allowed", "at most {} items"),
    "minProperties": ("value", "is empty", "something in it"),
    "minimum": ("value", "has a size outside what is allowed", "at least {}"),
    "maximum": ("value", "has a size outside what is allowed", "at most {}"),
}
"""Keyword -> (issue code, message, what is expected, with the limit)."""


_Fault = tuple[tuple[str, ...], tuple[str, ...], str]
"""A field whatever the places in lists, what the format says of it, and the value as JSON."""


@dataclass(frozen=True, slots=True)
class _Known:
    """The names that an object may have, and those of them below which there are objects again."""

    names: frozenset[str]
    deeper: tuple[tuple[str, _Known], ...]


@dataclass(frozen=True, slots=True)
class _Required:
    """The objects and lists that an object must have, and the names below which there are such objects."""

    holders: dict[str, type]
    deeper: dict[str, _Required]


class RecordSchema:
    """A compiled JSON Schema 2020-12. Raises ValueError where it is none, or where a `$ref` leads elsewhere than to
    `$defs` of its own."""

    def __init__(self, schema: dict[str, Any]) -> None:
        self.schema = schema
        _check_references(schema, set((schema.get("$defs") or {}) if isinstance(schema, dict) else ()), "")
        try:
            self._validator = jsonschema_rs.Draft202012Validator(schema, offline=True)
        except jsonschema_rs.ValidationError as fault:
            raise ValueError(_wrong_schema(fault)) from None
        self._known = self._known_below(schema)
        self._required = self._required_below(schema)

    def holds_for(self, record: Any) -> bool:
        """Is `record` as the format says?"""
        return bool(self._validator.is_valid(record))

    def errors(self, record: Any, shown: Callable[[], Iterable[Any]] = tuple) -> list[Issue]:
        """What in `record` is not as the format says; empty when all is well.

        A fault that stands in one of the records `shown` as well, the same value in the same field, is a warning:
        others wrote that, whom the format does not bind, and who gives it back is not at fault.
        """
        if self.holds_for(record):
            return [] if record.get("id") is not None else [self._without_id()]
        known = {fault for one in shown() for fault, _ in self._faults(one)}
        return [
            replace(issue, severity="warning") if fault in known else issue for fault, issue in self._faults(record)
        ]

    def _faults(self, record: Any) -> Iterator[tuple[_Fault, Issue]]:
        for error in self._validator.iter_errors(record):
            for each in _meant(error):
                field = tuple(step for step in each.instance_path if isinstance(step, str))
                value = json.dumps(each.instance, sort_keys=True, default=str)
                yield (field, tuple(map(str, each.schema_path)), value), self._issue(each)

    def _without_id(self) -> Issue:
        """Whatever the format says: nothing that came without an id would be found again."""
        return Issue("error", "required", "id", "id is required", self.describe([], "id"))

    def _issue(self, error: Any) -> Issue:
        path = list(error.instance_path)
        keyword = str(error.schema_path[-1]) if error.schema_path else ""
        if keyword == "required":
            missing = written_path([*path, error.kind.property])
            return Issue(
                "error", "required", missing, f"{missing} is required", self.describe(path, error.kind.property)
            )
        return Issue("error", *self._judge(keyword, error, written_path(path)))

    def _judge(self, keyword: str, error: Any, path: str) -> tuple[str, str, str, str | None]:
        got = type_of(error.instance)
        if keyword in ("type", "anyOf", "oneOf"):
            wanted = _wanted(error.kind.types if keyword == "type" else _types_of_alternatives(error))
            return "structure", path, f"expected {wanted}, got {got}", wanted
        if keyword in ("const", "enum"):
            allowed = [error.kind.expected_value] if keyword == "const" else error.kind.options
            return "code-invalid", path, "expected another value", ", ".join(map(str, allowed))
        if keyword in _BOUNDS:
            code, message, expected = _BOUNDS[keyword]
            return code, path, message, expected.format(error.kind.limit)
        if keyword == "pattern":
            return "value", path, "has characters or a form that is not allowed here", f"to match {error.kind.pattern}"
        return "invalid", path, f"breaks the format's rule {keyword!r}", None

    def describe(self, path: list[str | int], name: str) -> str | None:
        """What the format says about a property, for messages."""
        node: dict[str, Any] = self.schema
        for step in [*path, name]:
            node = self._child(node, step)
        description = node.get("description")
        return str(description) if description else None

    def _child(self, node: dict[str, Any], step: str | int) -> dict[str, Any]:
        node = self.resolved(node)
        child = node.get("items", {}) if isinstance(step, int) else node.get("properties", {}).get(step, {})
        return child if isinstance(child, dict) else {}

    def resolved(self, node: dict[str, Any]) -> dict[str, Any]:
        """A schema node with its `$ref` (always into `$defs`) followed; its own words win.

        Raises RecursionError where it leads back to itself.
        """
        if not isinstance(node, dict):
            return {}  # `true`: anything goes
        name = node.get("$ref")
        if name is None:
            return node
        target = self.resolved(self.schema["$defs"][name.removeprefix(_DEFS)])
        return {**target, **{key: value for key, value in node.items() if key != "$ref"}}

    def unknown(self, record: dict[str, Any]) -> list[Unmapped]:
        """The properties that the format does not name, wherever they are."""
        if self._known is None or _is_known(record, self._known):
            return []
        return [Unmapped(path, "not a field of this format", "unknown") for path in _unknown(record, self._known, "")]

    def complete(self, record: dict[str, Any]) -> None:
        """Puts the objects and lists that the format requires, and lets be empty, back where they were taken away with
        all in them."""
        if self._required is not None:
            _complete(record, self._required)

    def _required_below(self, node: dict[str, Any]) -> _Required | None:
        node = self.resolved(node)
        if "items" in node:
            return self._required_below(node["items"])
        below = {name: self._required_below(child) for name, child in node.get("properties", {}).items()}
        made, deeper = self._required_holders(node), {name: each for name, each in below.items() if each is not None}
        return _Required(made, deeper) if made or deeper else None

    def _known_below(self, node: dict[str, Any]) -> _Known | None:
        node = self.resolved(node)
        if "items" in node:
            return self._known_below(node["items"])
        if "properties" not in node:
            return None
        below = {name: self._known_below(child) for name, child in node["properties"].items()}
        deeper = tuple((name, known) for name, known in below.items() if known is not None)
        return _Known(frozenset(below), deeper)

    def fields(self) -> Iterator[tuple[str, dict[str, Any]]]:
        """Every property by its path (`mal[].anteckningar[].text`), with its title and description."""
        yield from self._fields(self.schema, "")

    def _fields(self, node: dict[str, Any], prefix: str) -> Iterator[tuple[str, dict[str, Any]]]:
        for name, child in node.get("properties", {}).items():
            child = self.resolved(child)
            path = f"{prefix}{name}"
            items = self.resolved(child["items"]) if "items" in child else {}
            if "properties" in items:
                yield f"{path}[]", child
                yield from self._fields(items, f"{path}[].")
            else:
                yield path, {**child, "items": items} if items else child
                yield from self._fields(child, f"{path}.")

    def required_fields(self) -> set[str]:
        """The paths of the properties that the objects around them must have."""
        found = {f"{path}.{name}" for path, node in self.fields() for name in self._required_in(node)}
        return found | set(self.schema.get("required", ()))

    def _required_in(self, node: dict[str, Any]) -> list[str]:
        inner = self.resolved(node["items"]) if "items" in node else node
        return list(inner.get("required", ()))

    def ordered(self, record: dict[str, Any]) -> dict[str, Any]:
        """`record` with its properties in the format's order, for readers' sake, and with the objects and lists that
        the format wants to be there even where they are empty; an id that the format writes as a number is one."""
        self.complete(record)
        ordered = self._ordered(record, self.schema)
        assert isinstance(ordered, dict)
        return ordered

    def _ordered(self, value: Any, node: dict[str, Any]) -> Any:
        node = self.resolved(node)
        if isinstance(value, list):
            return [self._ordered(child, node.get("items", {})) for child in value]
        if not isinstance(value, dict):
            return _as_declared(value, node)
        properties = node.get("properties", {})
        names = [name for name in properties if name in value] + [name for name in value if name not in properties]
        return {name: self._ordered(value[name], properties.get(name, {})) for name in names}

    def _required_holders(self, node: dict[str, Any]) -> dict[str, type]:
        """The objects and lists that a node requires, empty if need be."""
        properties = node.get("properties", {})
        required = {name: self.resolved(properties.get(name, {})) for name in node.get("required", ())}
        kinds = {name: one.get("type", "") for name, one in required.items()}
        objects = {name for name, kind in kinds.items() if "object" in kind and not required[name].get("minProperties")}
        lists = {name for name, kind in kinds.items() if "array" in kind and not required[name].get("minItems")}
        return {**dict.fromkeys(lists - objects, list), **dict.fromkeys(objects, dict)}


def _complete(value: Any, required: _Required) -> None:
    if isinstance(value, list):
        for child in value:
            _complete(child, required)
    if isinstance(value, dict):
        for name, kind in required.holders.items():
            if name not in value:
                value[name] = kind()
        for name, below in required.deeper.items():
            _complete(value.get(name), below)


def _meant(error: Any) -> list[Any]:
    """Where a schema offers alternatives, what is wrong by the one that is of the value's own kind, if one alone is."""
    alternatives: list[list[Any]] = getattr(error.kind, "context", [])
    of_its_kind = [one for one in alternatives if not any(_is_of_another_kind(error, each) for each in one)]
    return of_its_kind[0] if len(of_its_kind) == 1 else [error]


def _is_of_another_kind(error: Any, inner: Any) -> bool:
    return list(inner.schema_path)[-1] == "type" and len(inner.instance_path) == len(error.instance_path)


def _types_of_alternatives(error: Any) -> list[str]:
    inner = (each for one in error.kind.context for each in one if _is_of_another_kind(error, each))
    return [name for each in inner for name in each.kind.types]


def _is_known(value: Any, known: _Known) -> bool:
    """The quick way for nearly all records: is nothing unknown in it?"""
    if value.__class__ is list:
        return all(_is_known(child, known) for child in value)
    if value.__class__ is not dict:
        return True
    if not known.names.issuperset(value):
        return False
    for name, below in known.deeper:
        child = value.get(name)
        if child and not _is_known(child, below):
            return False
    return True


def _check_references(node: Any, definitions: set[str], path: str) -> None:
    """Raises ValueError for a `$ref` that is not one of `definitions`: nothing is fetched, or read from other files."""
    if isinstance(node, list):
        for index, child in enumerate(node):
            _check_references(child, definitions, f"{path}[{index}]")
    if not isinstance(node, dict):
        return
    target = node.get("$ref")
    if isinstance(target, str) and target.removeprefix(_DEFS) not in definitions:
        where = path or "the schema"
        raise ValueError(
            f"{where}: `$ref: {target}` leads nowhere: write #/$defs/NAME, with NAME under $defs of this file"
        )
    for name, child in node.items():
        _check_references(child, definitions, f"{path}.{name}" if path else name)


def _wrong_schema(fault: Any) -> str:
    """Where a schema is none and why, in one line."""
    path = written_path(list(fault.instance_path))
    if path.rpartition(".")[2] == "type":
        return f"{path}: {fault.instance!r} is no type; there are: {', '.join(_TYPES)}"
    return f"{path}: {fault.message}" if path else str(fault.message)


def _as_declared(value: Any, node: dict[str, Any]) -> Any:
    """A whole number where the format has no text here, and the words are one."""
    is_number = node.get("type") in ("integer", ["integer", "null"])
    if not is_number or not isinstance(value, str) or not value.isdecimal():
        return value
    return int(value) if str(int(value)) == value else value


def _unknown(value: Any, known: _Known | None, path: str) -> list[str]:
    if known is None:
        return []
    if value.__class__ is list:
        return [found for index, child in enumerate(value) for found in _unknown(child, known, f"{path}[{index}]")]
    if value.__class__ is not dict:
        return []
    prefix = f"{path}." if path else ""
    found = [] if known.names.issuperset(value) else [f"{prefix}{name}" for name in value if name not in known.names]
    for name, below in known.deeper:
        child = value.get(name)
        if child:
            found += _unknown(child, below, prefix + name)
    return found


def written_path(path: list[Any]) -> str:
    """`insatser[2].ansvarig` for ['insatser', 2, 'ansvarig']."""
    text = ""
    for step in path:
        text += f"[{step}]" if isinstance(step, int) else f".{step}" if text else str(step)
    return text


def type_of(value: Any) -> str:
    """The JSON type of a value in plain words; never the value itself."""
    if value is None:
        return "nothing (null)"
    for kind, word in ((bool, "true/false"), (str, "text"), (list, "a list"), (dict, "an object")):
        if isinstance(value, kind):
            return word
    return "number"


def _wanted(types: list[str]) -> str:
    return " or ".join(_TYPES.get(name, name) for name in sorted(types, reverse=True) if name != "null")
