"""What a mapping covers, as a table for readers; `make docs` writes it for every mapping."""

from __future__ import annotations

import re
import sys
from collections import defaultdict
from collections.abc import Mapping as Dict
from pathlib import Path

from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.frames import schema_path
from fhir_adapter.mapping.load import FOLDER, find
from fhir_adapter.mapping.scopes import Scope

DOCS = Path(__file__).resolve().parents[2] / "docs" / "mappings"


def table_of(mapping: Mapping) -> str:
    """The mapping as a Markdown page: every field with its term, its meaning, its place in FHIR and its owner."""
    places: defaultdict[str, dict[str, None]] = defaultdict(dict)
    owners: defaultdict[str, dict[str, None]] = defaultdict(dict)
    for path, rule in mapping.coverage():
        field = schema_path(path)
        places[field].update({f"`{target.type}.{target.text}`": None for target in rule.targets})
        owners[field].update({rule.owner: None} if rule.owner else {})
    lines = [
        f"# {mapping.name} {mapping.version}: term, meaning, FHIR",
        "",
        f"Made from `mappings/{mapping.name}` by `make docs`; do not edit. Owner: whose value goes live when two were",
        "changed at once, where the mapping says so; else it is as in [merge.md](../merge.md).",
        "",
        "| field | term | meaning | FHIR | owner |",
        "|---|---|---|---|---|",
    ]  # fmt: skip
    for path, described in mapping.schema.fields():
        target = (
            "<br>".join(places[path] or places[path.removesuffix("[]")])
            or _without_rule(mapping, path)
            or _with_its_holder(path, places)
        )
        term, meaning = _cell(described.get("title", "")), _cell(described.get("description", ""))
        lines.append(f"| `{path}` | {term} | {meaning} | {target} | {', '.join(owners[path])} |")
    return "\n".join(lines) + "\n"


def _without_rule(mapping: Mapping, path: str) -> str:
    """Where a field goes that no rule names: nowhere with a reason; or it is a list, or an id."""
    name = path.removesuffix("[]")
    for refused, reason in mapping.refused.items():
        if name == refused.text or path.startswith((f"{refused.text}.", f"{refused.text}[]")):
            return f"not carried: {reason}"
    if path in mapping.constants:
        return f"always `{mapping.constants[path]}`"
    for scope in mapping.scopes():
        if path == scope.name:
            return f"`{_type_of_primary(scope)}`"
        if path == (f"{scope.name}.id" if scope.name else "id") or (not scope.name and path == mapping.format.id_path):
            kinds = [anchor.type for anchor in scope.anchors if anchor.identifier]
            told = "<br>".join(f"`{kind}.identifier`, or `{kind}.id` where it is a UUID" for kind in kinds)
            return told or f"`{scope.primary.type}.id` is made from it, or from a public number"
    return "by its fields" if path.endswith("[]") else ""


def _with_its_holder(path: str, places: Dict[str, object]) -> str:
    """A field that is converted together with what it is in."""
    holders = (path[: found.start()] for found in re.finditer(r"\.", path))
    own = next((each for each in holders if each.removesuffix("[]") in places), None)
    return f"with `{own}`" if own is not None else ""


def _type_of_primary(scope: Scope) -> str:
    """What an item of a list becomes: a resource, or an element like `CareTeam.participant`."""
    types = {target.anchor: target.type for field in scope.fields for rule in field.rules for target in rule.targets}
    primary = scope.primary
    return primary.type or types.get(primary.name) or (primary.element.text if primary.element else "")


def _cell(text: str) -> str:
    return text.replace("|", "\\|").replace("\n", " ")


def main(names: list[str]) -> None:
    """Writes the tables of these mappings, or of all."""
    for name in names or sorted(path.parent.name for path in FOLDER.glob("*/mapping.yaml")):
        (DOCS / f"{name}.md").write_text(table_of(find(name)), encoding="utf-8")


if __name__ == "__main__":
    main(sys.argv[1:])
