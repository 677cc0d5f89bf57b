"""Write the generated part of docs/mapping-language.md, the converters, from what the code registers."""

from __future__ import annotations

import re
from pathlib import Path

from fhir_adapter.mapping.converters import CONVERTERS

DOCUMENT = Path(__file__).parents[1] / "docs" / "mapping-language.md"


def with_current_parts(text: str) -> str:
    """The document with everything between `<!-- generated: x -->` and `<!-- end -->` made anew."""
    for name, body in {"converters": converters()}.items():
        pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = pattern.subn(lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise SystemExit(f"{DOCUMENT.name} has {count} places for the generated part {name!r}")
    return text


def converters() -> str:
    """Every converter with its words, what goes where, and what it loses."""
    lines = ["| converter | words | fields <-> FHIR | loses |", "|---|---|---|---|"]
    for name, one in sorted(CONVERTERS.items()):
        usage = f"`{one.usage}`" if one.usage else ""
        lines.append(f"| `{name}` | {usage} | {one.meaning.replace('|', chr(92) + '|')} | {one.loses} |")
    return "\n".join(lines)


if __name__ == "__main__":
    DOCUMENT.write_text(with_current_parts(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
