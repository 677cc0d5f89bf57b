"""Turns what SUSHI generated into a FHIR package: package.py GENERATED PACKAGE (https://confluence.hl7.org/x/pwbzAw)."""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any


def write(file: Path, content: dict[str, Any]) -> None:
    """JSON that gives small differences: indented, in the order it came."""
    file.write_text(json.dumps(content, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def main(generated: Path, package: Path) -> None:
    """One file for each definition, and the manifest that lists what the package is."""
    package.mkdir(parents=True)
    for file in sorted(generated.glob("*.json")):
        write(package / file.name, json.loads(file.read_text(encoding="utf-8")))
    write(
        package / "package.json",
        {
            "name": "fhir-adapter.profiles",
            "version": "0.1.0",
            "title": "Shared care plan",
            "canonical": "https://fhir-adapter.example/fhir",
            "fhirVersions": ["4.0.1"],
            "type": "fhir.ig",
            "license": "Apache-2.0",
            "author": "fhir-adapter",
            "description": "Extensions, code systems and profiles of the shared care plan",
            "dependencies": {"hl7.fhir.r4.core": "4.0.1"},
        },
    )


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
