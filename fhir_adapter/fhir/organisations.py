"""By what the plans are found in which an organisation is named: the digits of the identifiers that could be its own.

Which spellings of a number are one organisation's is for access/organisations.py to say; whatever that takes for the
same has the same digits. So what is found here may be too much, and is never too little.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from fhir_adapter.fhir.resources import Resource

ABOVE = {"Organization": "partOf", "PractitionerRole": "organization", "HealthcareService": "providedBy"}
"""The element that leads from a resource to the organisation that it belongs to."""

_NAMING: dict[str, tuple[tuple[str, ...], ...]] = {
    "CarePlan": (("author",), ("contributor",)),
    "CareTeam": (("participant", "member"), ("participant", "onBehalfOf")),
    "ServiceRequest": (("performer",),),
    "Task": (("owner",),),
    **{type_: ((element,),) for type_, element in ABOVE.items()},
    "Organization": ((), (ABOVE["Organization"],)),
}
"""Where a plan names those who take part in it, or whom they belong to: paths to what has an `identifier`."""


def digits_of(value: str) -> str:
    """Of `212000-0159` and `SE2120000159` the same."""
    return re.sub(r"\D", "", value)


def organisations_named(resource: Resource) -> set[str]:
    """The digits of the identifiers that the resource has or refers by. What has a wrong JSON type is passed over."""
    found = set()
    for path in _NAMING.get(resource["resourceType"], ()):
        for holder in _at(resource, path):
            for identifier in _at(holder, ("identifier",)):
                value = identifier.get("value") if isinstance(identifier, dict) else None
                if isinstance(value, str):
                    found.add(digits_of(value))
    return found


def _at(value: Any, path: tuple[str, ...]) -> Iterator[Any]:
    """Everything along the path, lists opened."""
    for one in value if isinstance(value, list) else (value,):
        if not path:
            yield one
        elif isinstance(one, dict) and path[0] in one:
            yield from _at(one[path[0]], path[1:])
