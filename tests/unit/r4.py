"""Is it R4? The published models as a judge for what the pure packages make."""

from __future__ import annotations

from typing import Any

from fhir.resources.R4B import get_fhir_model_class


def is_valid_r4(resource: dict[str, Any]) -> bool:
    """Whether the models accept the resource; raises their own error, which tells more, where they do not."""
    get_fhir_model_class(resource["resourceType"]).model_validate(resource)
    return True
