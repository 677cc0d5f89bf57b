"""What a mapping covers, as a table for readers; made by `python -m fhir_adapter.mapping.report NAME`."""

from __future__ import annotations

import sys
from collections import defaultdict
from pathlib import Path

from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.load import find
from fhir_adapter.mapping.rules import Rule


def table_of(mapping: Mapping) -> str:
    """The mapping as a Markdown page: every field of the format with its term, its meaning and its place in FHIR."""
    places: defaultdict[str, list[str]] = defaultdict(list)
    types = types_of(mapping)
    for path, rule in mapping.coverage():
        for place in places_of(path, rule, types):
            if place not in places[path]:
                places[path].append(place)
    lines = [
        f"# {mapping.name} {mapping.version}: term, meaning, FHIR",
        "",
        f"Made from `mappings/{mapping.name}` by `python -m fhir_adapter.mapping.report {mapping.name}`; do not edit.",
        "",
        "| field | term | meaning | FHIR |",
        "|---|---|---|---|",
    ]
    refused = {path.text: reason for path, reason in mapping.refused.items()}
    for path, field in mapping.schema.fields():
        target = "<br>".join(places[path]) or _without_rule(mapping, path, refused, types)
        lines.append(f"| `{path}` | {field.get('title', '')} | {_cell(field.get('description', ''))} | {target} |")
    return "\n".join(lines) + "\n"


def types_of(mapping: Mapping) -> dict[tuple[str, str], str]:
    """(list, anchor) -> what to call it in a path: the resource type, with the element where it is one."""
    types: dict[tuple[str, str], str] = {}
    for scope in mapping.scopes():
        outer = [(name, called) for (_, name), called in types.items() if (scope.name, name) not in types]
        for name, called in outer:
            types.setdefault((scope.name, name), called)
        for anchor in scope.anchors:
            called = anchor.type or types.get((scope.name, anchor.same or ""), "")
            if anchor.element is not None:
                called = f"{types[scope.name, anchor.element.parent]}.{anchor.element.text}"
            if anchor.of is not None:
                called = next(s.primary.type or "" for s in mapping.scopes() if s.native.text == anchor.of[0])
            types[scope.name, anchor.name] = called
    return types


def places_of(path: str, rule: Rule, types: dict[tuple[str, str], str]) -> list[str]:
    """The FHIR paths of a rule."""
    scope = next(
        name for name in (*_lists_above(path), "") if (name, rule.targets[0].anchor) in types
    )  # the innermost list that the field is in
    return [f"`{types[scope, target.anchor]}.{target.text}`" for target in rule.targets]


def _lists_above(path: str) -> list[str]:
    steps = path.split(".")
    above = [".".join(steps[:length]) for length in range(len(steps), 0, -1)]
    return [name for name in above if name.endswith("[]")]


def _without_rule(mapping: Mapping, path: str, refused: dict[str, str], types: dict[tuple[str, str], str]) -> str:
    if path in refused:
        return f"not carried: {refused[path]}"
    if path in mapping.constants:
        return f"always `{mapping.constants[path]}`"
    for scope in mapping.scopes():
        if path == scope.name:
            return f"`{types[scope.name, scope.primary.name]}`"
        if path == (f"{scope.name}.id" if scope.name else "id"):
            kinds = [anchor.type for anchor in scope.anchors if anchor.identifier]
            return "<br>".join(f"`{kind}.identifier`, or `{kind}.id` where it is a UUID" for kind in kinds)
    return ""


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main(name: str, target: Path) -> None:
    """Writes the table of one mapping."""
    target.write_text(table_of(find(name)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1], Path("docs/mappings") / f"{sys.argv[1]}.md")
