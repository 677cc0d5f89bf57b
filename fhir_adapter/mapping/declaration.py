"""A declaration as it is written: read, checked against its published schema, with the line of every part."""

from __future__ import annotations

import difflib
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from fhir_adapter.fhir.resources import parse_json
from fhir_adapter.mapping.files import Files, Place

DECLARATION, ORGANISATIONS = "declaration", "organisations"


@lru_cache(maxsize=2)
def published_schema(name: str) -> dict[str, Any]:
    """The JSON Schema of declarations, or of organisations files, by which an editor completes them."""
    schema: dict[str, Any] = parse_json(schema_file(name).read_bytes())
    return schema


def schema_file(name: str) -> Path:
    """Where an editor finds it."""
    return Path(__file__).parent / f"{name}.schema.json"


@lru_cache(maxsize=2)
def _validator(name: str) -> Any:
    return jsonschema_rs.Draft202012Validator(published_schema(name))


def read_declaration(files: Files) -> tuple[dict[str, Any], dict[Place, int]]:
    """mapping.yaml and the line of each of its parts. Raises BadDeclaration for the first that breaks the schema."""
    declared, lines = files.yaml("mapping.yaml")
    if not isinstance(declared, dict):
        files.fail("holds no declaration: it begins with `name: `, `version: `, `schema: ` and `lists:`")
    for error in _validator(DECLARATION).iter_errors(declared):
        path = _path_of(error, declared)
        files.at("mapping.yaml", _place(declared, path), _line(error, path, lines))
        if "rules" in path and isinstance(error.instance, str):
            files.place = f"rule `{error.instance}`"
            files.fail("is not `native <-> anchor:path | converter`")
        files.fail(_reason(error, published_schema(DECLARATION)))
    return declared, lines


def read_organisations(files: Files, name: str) -> tuple[dict[str, Any], dict[Place, int]]:
    """The same of an organisations file."""
    declared, lines = files.yaml(name)
    for error in _validator(ORGANISATIONS).iter_errors(declared):
        path = _path_of(error, declared)
        files.at(name, " ".join(map(str, path)), _line(error, path, lines))
        files.fail(_reason(error, published_schema(ORGANISATIONS)))
    return declared, lines


def _path_of(error: Any, declared: Any) -> Place:
    """The way to what is wrong. The validator takes a word of digits, such as 0607, for a number."""
    path: list[str | int] = []
    for step in error.instance_path:
        if isinstance(step, int) and isinstance(declared, dict):
            step = next(word for word in declared if word.isdecimal() and int(word) == step)
        path.append(step)
        declared = declared[step]
    return tuple(path)


def _line(error: Any, path: Place, lines: dict[Place, int]) -> int | None:
    """The line of what is wrong: of an unknown word itself, or of what it is about."""
    unknown = getattr(error.kind, "unexpected", [])[:1]
    return lines.get((*path, *unknown)) if path or unknown else None


def _place(declared: Any, path: Place) -> str:
    """`list mal[], anchor 'goal'` for a way into the declaration."""
    words: list[str] = []
    node = declared
    for step in path:
        if isinstance(node, dict) and step == "rules":
            words.append("rules")
        node = node[step]
        if isinstance(node, dict) and "native" in node:
            words = [*words, f"list {node['native']}"]
        elif words and isinstance(step, str) and path[list(path).index(step) - 1] == "anchors":
            words.append(f"anchor {step!r}")
    return ", ".join(words) or ".".join(map(str, path))


def _reason(error: Any, schema: dict[str, Any]) -> str:
    keyword = str(error.evaluation_path[-1])
    nodes = _nodes_of(error, schema)
    if keyword == "additionalProperties":
        return _unknown(error, nodes)
    if keyword == "required":
        return f"{error.kind.property!r} is missing"
    told = [node["description"] for node in nodes[1:] if isinstance(node, dict) and "description" in node]
    expected = told[-1] if told else None
    if keyword in ("anyOf", "pattern") and expected is not None:
        return f"is not what is expected here: {expected}"
    reason = str(error.message).replace("is not of type", "is not a")
    return f"{reason}; expected: {expected}" if expected is not None else reason


def _unknown(error: Any, nodes: list[Any]) -> str:
    word = error.kind.unexpected[0]
    known = sorted(nodes[-2].get("properties", {}))
    near = difflib.get_close_matches(word, known, n=1)
    return f"unknown word {word!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}")


def _nodes_of(error: Any, schema: dict[str, Any]) -> list[Any]:
    """What the schema says where the error is: from the whole schema down to the broken rule, by way of what refers to
    it."""
    nodes: list[Any] = [schema]
    for step in error.evaluation_path:
        found = nodes[-1][step]
        nodes.append(schema["$defs"][found.rpartition("/")[2]] if step == "$ref" else found)
    return nodes
