"""A declaration as it is written: read, checked against its published schema, with the line of every part."""

from __future__ import annotations

import difflib
from functools import lru_cache
from pathlib import Path
from typing import Any

import jsonschema_rs

from fhir_adapter.fhir.resources import parse_json
from fhir_adapter.mapping.files import Files, Place

SCHEMA_FILE = Path(__file__).parent / "declaration.schema.json"


@lru_cache(maxsize=1)
def declaration_schema() -> dict[str, Any]:
    """The published JSON Schema of declarations, by which an editor completes them."""
    schema: dict[str, Any] = parse_json(SCHEMA_FILE.read_bytes())
    return schema


@lru_cache(maxsize=1)
def _validator() -> Any:
    return jsonschema_rs.Draft202012Validator(declaration_schema())


def read_declaration(files: Files) -> tuple[dict[str, Any], dict[Place, int]]:
    """mapping.yaml and the line of each of its parts. Raises BadDeclaration for the first that breaks the schema."""
    declared, lines = files.yaml("mapping.yaml")
    if not isinstance(declared, dict):
        files.fail("holds no declaration: it begins with `name: `, `version: `, `schema: ` and `lists:`")
    for error in _validator().iter_errors(declared):
        path = tuple(error.instance_path)
        files.at("mapping.yaml", _place(declared, path), _line(lines, path))
        if "rules" in path and isinstance(error.instance, str):
            files.place = f"rule `{error.instance}`"
            files.fail("is not `native <-> anchor:path | converter`")
        files.fail(_reason(error))
    return declared, lines


def _line(lines: dict[Place, int], path: Place) -> int | None:
    return lines.get(path) if path else None


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


def _reason(error: Any) -> str:
    keyword = str(error.schema_path[-1]) if error.schema_path else ""
    if keyword == "additionalProperties":
        return _unknown(error)
    if keyword == "required":
        return f"{error.kind.property!r} is missing"
    if keyword in ("anyOf", "pattern"):
        return f"is not what is expected here: {_described(error)}"
    return str(error.message).replace("is not of type", "is not a")


def _unknown(error: Any) -> str:
    word = error.kind.unexpected[0]
    known = sorted(_rule_of(error)[-2].get("properties", {}))
    near = difflib.get_close_matches(word, known, n=1)
    return f"unknown word {word!r}; " + (f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(known)}")


def _described(error: Any) -> str:
    told = [node["description"] for node in _rule_of(error) if isinstance(node, dict) and "description" in node]
    return str(told[-1])


def _rule_of(error: Any) -> list[Any]:
    """What the schema says where the error is: from the whole schema down to the broken rule."""
    nodes: list[Any] = [declaration_schema()]
    for step in error.schema_path:
        nodes.append(nodes[-1][step])
    return nodes
