"""The CapabilityStatement, made from the table of routes and the table of search parameters."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from fhir_adapter.fhir.parameters import PARAMETERS, Parameter
from fhir_adapter.fhir.resources import BASE, Resource

COMMON = (
    ("_id", "token", "http://hl7.org/fhir/SearchParameter/Resource-id"),
    ("_lastUpdated", "date", "http://hl7.org/fhir/SearchParameter/Resource-lastUpdated"),
)


def capability_statement(
    *, base: str, version: str, date: str, interactions: Mapping[str, Sequence[str]], software: str
) -> Resource:
    """What the server at `base` does.

    `interactions` are the codes that it answers, by level: "instance", "type" and "system". What is not in there is
    not claimed. `date` is the day of this version of the statement (YYYY-MM-DD).
    """
    by_type = [*interactions["instance"], *interactions["type"]]
    return {
        "resourceType": "CapabilityStatement",
        "url": f"{BASE}/fhir/CapabilityStatement/{'sandbox' if 'update' in by_type else 'shared-plans'}",
        "name": "SharedPlans",
        "title": "Shared care plans",
        "status": "active",
        "date": date,
        "kind": "instance",
        "software": {"name": software, "version": version},
        "implementation": {"description": "Shared care plans as FHIR R4", "url": base},
        "fhirVersion": "4.0.1",
        "format": ["application/fhir+json", "json"],
        "rest": [
            {
                "mode": "server",
                "resource": [_resource(type_, by_type) for type_ in PARAMETERS],
                "interaction": [{"code": code} for code in interactions["system"]],
            }
        ],
    }


def _resource(type_: str, interactions: Sequence[str]) -> Resource:
    parameters = PARAMETERS[type_].values()
    claimed: Resource = {
        "type": type_,
        "profile": f"http://hl7.org/fhir/StructureDefinition/{type_}",
        "interaction": [{"code": code} for code in interactions],
        "versioning": "versioned-update" if "update" in interactions else "versioned",
        "readHistory": True,
        "conditionalRead": "not-match",
        "searchInclude": ["*", f"{type_}:*", *(f"{type_}:{each.code}" for each in _references(parameters))],
        "searchParam": [
            *({"name": name, "definition": url, "type": kind} for name, kind, url in COMMON),
            *(_search_parameter(each) for each in parameters),
        ],
    }
    if pointing := sorted(_pointing_at(type_)):
        claimed["searchRevInclude"] = pointing
    if "update" in interactions:
        claimed |= {"updateCreate": True, "conditionalCreate": True, "conditionalUpdate": False}
    return claimed


def _search_parameter(parameter: Parameter) -> Resource:
    return {"name": parameter.code, "definition": parameter.url, "type": parameter.kind, "documentation": parameter.doc}


def _references(parameters: Iterable[Parameter]) -> list[Parameter]:
    return [parameter for parameter in parameters if parameter.kind == "reference"]


def _pointing_at(type_: str) -> set[str]:
    return {
        f"{source}:{parameter.code}"
        for source, parameters in PARAMETERS.items()
        for parameter in _references(parameters.values())
        if type_ in parameter.targets
    }
