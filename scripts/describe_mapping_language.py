"""Write the generated parts of docs/mapping-language.md: the words of its files, and the converters."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

from fhir_adapter.mapping.converters import CONVERTERS
from fhir_adapter.mapping.declaration import DECLARATION, ORGANISATIONS, published_schema

DOCUMENT = Path(__file__).parents[1] / "docs" / "mapping-language.md"


def with_current_parts(text: str) -> str:
    """The document with everything between `<!-- generated: x -->` and `<!-- end -->` made anew."""
    parts = {"words": words(), "organisations": organisations(), "settings": settings(), "converters": converters()}
    for name, body in parts.items():
        pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = pattern.subn(lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise SystemExit(f"{DOCUMENT.name} has {count} places for the generated part {name!r}")
    return text


def words() -> str:
    """Every word of a declaration with its meaning, from the published schema."""
    schema = published_schema(DECLARATION)
    parts = {"the declaration": schema, "a list": schema["$defs"]["list"], "an anchor": schema["$defs"]["anchor"]}
    return _tables(parts, schema)


def settings() -> str:
    """Every word of what single converters need to know."""
    schema = published_schema(DECLARATION)
    known = schema["properties"]["converters"]["properties"]
    number = {"person_numbers: a kind of number": schema["$defs"]["number"]}
    return _tables({"person_numbers": known["person_numbers"], **number, "scored": known["scored"]}, schema)


def _tables(parts: dict[str, Any], schema: dict[str, Any]) -> str:
    return "\n\n".join(f"**{title}**\n\n{table_of(part, schema)}" for title, part in parts.items())


def organisations() -> str:
    """Every part of an organisations file."""
    schema = published_schema(ORGANISATIONS)
    return table_of(schema, schema)


def table_of(part: dict[str, Any], schema: dict[str, Any]) -> str:
    """The words of a part of a schema, each with its meaning."""
    lines = ["| word | meaning |", "|---|---|"]
    for word, node in part["properties"].items():
        described = node.get("description") or schema["$defs"][node["$ref"].rpartition("/")[2]].get("description", "")
        lines.append(f"| `{word}` | {described.replace('|', chr(92) + '|')} |")
    return "\n".join(lines)


def converters() -> str:
    """Every converter with its words, what goes where, and what it loses."""
    lines = ["| converter | words | fields <-> FHIR | loses |", "|---|---|---|---|"]
    for name, one in sorted(CONVERTERS.items()):
        usage = f"`{one.usage}`" if one.usage else ""
        lines.append(f"| `{name}` | {usage} | {one.meaning.replace('|', chr(92) + '|')} | {one.loses} |")
    return "\n".join(lines)


if __name__ == "__main__":
    DOCUMENT.write_text(with_current_parts(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
