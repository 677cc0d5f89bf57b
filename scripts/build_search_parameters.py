"""Make fhir_adapter/fhir/search_parameters.json from the standard's own definitions of R4 (4.0.1).

usage: python -m scripts.build_search_parameters FOLDER     (definitions.py says what FOLDER holds)

Every expression is turned into plain JSON paths, so that nothing evaluates FHIRPath later.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from scripts.definitions import TYPES, Codes, Elements, bindings_of

TARGET = Path(__file__).parent.parent / "fhir_adapter" / "fhir" / "search_parameters.json"

KINDS = frozenset({"token", "reference", "date", "string", "uri", "quantity", "number"})
"""Composite and special parameters are left out: nothing that a plan is made of needs them yet."""

INDEXED = {
    "token": {"code", "Coding", "CodeableConcept", "Identifier", "boolean", "ContactPoint", "string", "id", "uri",
              "exists"},
    "reference": {"Reference", "canonical", "uri"},
    "date": {"date", "dateTime", "instant", "Period", "Timing"},
    "string": {"string", "markdown", "HumanName", "Address", "code"},
    "uri": {"uri", "url", "canonical", "oid", "uuid"},
    "quantity": {"Quantity", "Age", "Duration", "SimpleQuantity", "Range", "Money"},
    "number": {"decimal", "integer", "positiveInt", "unsignedInt"},
}  # fmt: skip
"""Which FHIR types the index can take values from, by kind of parameter."""

OURS = {
    "CareTeam": {
        "role": {
            "type": "token",
            "url": "http://hl7.org/fhir/us/core/SearchParameter/us-core-careteam-role",
            "doc": "What a member does in the team",
            "paths": [["participant.role", "CodeableConcept"]],
        }
    },
    "Goal": {
        "description": {
            "type": "token",
            "url": "https://fhir-adapter.example/fhir/SearchParameter/Goal-description",
            "doc": "Code of the goal, or its words with :text",
            "paths": [["description", "CodeableConcept"]],
        }
    },
}
"""Parameters that R4 lacks and US Core asks for."""

COMMON = {
    "_tag": ("token", "meta.tag", "Coding", "Tags applied to this resource"),
    "_security": ("token", "meta.security", "Coding", "Security labels applied to this resource"),
    "_profile": ("uri", "meta.profile", "canonical", "Profiles this resource claims to conform to"),
    "_source": ("uri", "meta.source", "uri", "Identifies where the resource comes from"),
}
"""Of the parameters of all types those read from an index; _id and _lastUpdated are columns of their own."""


def paths_of(elements: Elements, type_: str, expression: str) -> Iterator[list[Any]]:
    """What of one branch of an expression the index reads: [path, FHIR type] or [path, FHIR type, condition]."""
    if expression == "Patient.deceased.exists() and Patient.deceased != false":
        yield from (["deceasedBoolean", "boolean"], ["deceasedDateTime", "exists"])
        return
    plain, condition = expression, None
    if found := re.fullmatch(r"(.+)\.where\(resolve\(\) is (\w+)\)", plain):
        plain, condition = found[1], {"target": found[2]}
    elif found := re.fullmatch(r"(.+)\.where\(system='(\w+)'\)", plain):
        plain, condition = found[1], {"system": found[2]}
    plain = re.sub(r"\.as\((\w+)\)|\(?(?<=\w) as (\w+)\)", lambda found: f"@{found[1] or found[2]}", plain)
    owner, *names = plain.lstrip("(").split(".")
    if owner != type_ or not all(re.fullmatch(r"[\w@]+", name) for name in names):
        raise ValueError(f"{type_}: cannot read {expression!r}")
    for path, fhir_type in elements.follow(type_, names):
        yield [".".join(path), fhir_type, *([condition] if condition else [])]


def branches_for(type_: str, expression: str) -> list[str]:
    """The branches of a union that start at this type."""
    return [branch for branch in expression.split(" | ") if branch.strip("( ").split(".")[0] == type_]


def words_for(type_: str, description: str) -> str:
    """The one line of a description that speaks of this type."""
    found = re.search(rf"\[{type_}\]\([^)]*\): ([^\n]*)", description)
    return (found[1] if found else description).strip()


def code_systems_of(type_: str, elements: Elements, codes: Codes) -> dict[str, str]:
    """JSON path → code system, for elements that hold a bare code of one system."""
    found = {
        path: codes.of(value_set) for path, fhir_type, value_set in bindings_of(elements, type_) if fhir_type == "code"
    }
    return {path: next(iter(systems)) for path, systems in found.items() if systems and len(systems) == 1}


def parameters_of(
    type_: str, definitions: list[dict[str, Any]], elements: Elements, code_systems: dict[str, str]
) -> dict[str, Any]:
    """code → parameter, for one type, without those of all types."""
    table: dict[str, Any] = {}
    for definition in definitions:
        kind = definition["type"]
        if type_ not in definition["base"] or kind not in KINDS or definition["code"] == "phonetic":
            continue  # nothing here compares by sound
        found = [
            path
            for branch in branches_for(type_, definition["expression"])
            for path in paths_of(elements, type_, branch)
            if path[1] in INDEXED[kind]
        ]
        if not found:
            print(f"left out: {type_}.{definition['code']} ({kind}): {definition['expression']}")
            continue
        table[definition["code"]] = {
            "type": kind, "url": definition["url"], "doc": words_for(type_, definition["description"]), "paths": found
        }  # fmt: skip
        if kind == "reference":
            table[definition["code"]]["target"] = targets_of(definition)
        if kind == "token" and len(found) == 1 and found[0][0] in code_systems:
            table[definition["code"]]["code_system"] = code_systems[found[0][0]]
    return dict(sorted((table | OURS.get(type_, {})).items()))


def common_parameters() -> dict[str, Any]:
    """code → parameter, for every type."""
    return {
        code: {"type": kind, "url": f"http://hl7.org/fhir/SearchParameter/Resource-{code[1:]}", "doc": doc,
               "paths": [[path, fhir_type]]}
        for code, (kind, path, fhir_type, doc) in sorted(COMMON.items())
    }  # fmt: skip


def targets_of(definition: dict[str, Any]) -> list[str]:
    """Types of a plan that the reference may point at."""
    return sorted(set(definition.get("target", TYPES)) & set(TYPES))


def main(folder: Path) -> None:
    """Write the table."""
    bundle = json.loads((folder / "search-parameters.json").read_text("utf-8"))
    definitions = [entry["resource"] for entry in bundle["entry"]]
    elements, codes = Elements(folder), Codes(folder)
    table = {"Resource": common_parameters()} | {
        type_: parameters_of(type_, definitions, elements, code_systems_of(type_, elements, codes))
        if type_ in TYPES
        else {}
        for type_ in elements.resource_types()
    }
    TARGET.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"{sum(map(len, table.values()))} parameters of {len(table)} types in {TARGET.name}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
