"""Make fhir_adapter/checks/required_codes.json: the codes that R4 (4.0.1) allows where it leaves no choice.

usage: python -m scripts.build_required_codes FOLDER

definitions.py says what FOLDER holds. Taken are the elements with a required binding, of every resource type and of the
data types inside them.
"""

from __future__ import annotations

import json
import sys
from pathlib import Path

from scripts.definitions import Codes, Elements, bindings_of

TARGET = Path(__file__).parent.parent / "fhir_adapter" / "checks" / "required_codes.json"


def main(folder: Path) -> None:
    """Write the table."""
    elements, codes = Elements(folder), Codes(folder)
    sets: dict[str, dict[str, list[str]]] = {}
    table: dict[str, dict[str, str]] = {}
    for type_ in elements.resource_types():
        for path, _, value_set in bindings_of(elements, type_):
            name = value_set.partition("|")[0]
            listed = codes.of(name)
            if listed is not None:
                sets[name] = listed
                table.setdefault(type_, {})[path] = name
    TARGET.write_text(json.dumps({"sets": sets, "elements": table}, indent=1) + "\n", "utf-8")
    print(f"{sum(map(len, table.values()))} elements, {len(sets)} value sets in {TARGET.name}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
