"""Make fhir_adapter/fhir/elements.json: every element of R4 (4.0.1) with its cardinality and types.

usage: python -m scripts.build_elements FOLDER

definitions.py says what FOLDER holds. One object for each type and for each element that has elements of its own
(`Goal.target`): name -> "min..max type"; behind Reference stand the resource types that it may lead to, where R4 names
some. A choice is there under each of its names: `startDate`.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "fhir_adapter" / "fhir" / "elements.json"
_STRING = "http://hl7.org/fhirpath/System.String"


def main(folder: Path) -> None:
    """Write the table."""
    table: dict[str, dict[str, str]] = {}
    for file in ("profiles-resources.json", "profiles-types.json"):
        for entry in json.loads((folder / file).read_text("utf-8"))["entry"]:
            definition = entry["resource"]
            if definition["resourceType"] == "StructureDefinition" and definition.get("derivation") != "constraint":
                for element in definition.get("snapshot", {}).get("element", ()):
                    _add(table, element)
    lines = (f" {json.dumps(name)}: {json.dumps(table[name])}" for name in sorted(table) if table[name])
    TARGET.write_text("{\n" + ",\n".join(lines) + "\n}\n", "utf-8")
    print(f"{len(table)} types in {TARGET.name}")


def _add(table: dict[str, dict[str, str]], element: dict[str, Any]) -> None:
    holder, _, name = element["path"].rpartition(".")
    if not holder:
        return
    bounds = f"{element['min']}..{'1' if element['max'] in ('0', '1') else '*'}"
    kinds = [_kind(kind) for kind in element.get("type", ())]
    below = table.setdefault(holder, {})
    if name.endswith("[x]"):
        for kind in kinds:
            below[name[:-3] + kind[0].upper() + kind[1:].partition(" ")[0]] = f"0..1 {kind}"
    elif "contentReference" in element:
        below[name] = f"{bounds} {element['contentReference'].rpartition('#')[2]}"
    else:
        is_own = kinds[0] in ("BackboneElement", "Element")
        below[name] = f"{bounds} {element['path'] if is_own else kinds[0]}"


def _kind(declared: dict[str, Any]) -> str:
    """`string`, `CodeableConcept`, `Reference Patient|Group`."""
    if declared["code"] != "Reference":
        return "string" if declared["code"] == _STRING else str(declared["code"])
    targets = [profile.rpartition("/")[2] for profile in declared.get("targetProfile", ())]
    return "Reference" if not targets or "Resource" in targets else f"Reference {'|'.join(targets)}"


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
