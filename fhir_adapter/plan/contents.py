"""What a resource says, without what a store or a delivery wrote on it."""

from __future__ import annotations

from fhir_adapter.fhir.resources import WRITE_ID, Resource

STORED_META = frozenset({"versionId", "lastUpdated", "source"})
"""What a store writes about a version; it never takes part in a merge (meta.security, tag and profile do)."""


def content_of(resource: Resource) -> Resource:
    """The resource without what a store or a delivery wrote on it: version, time and source in meta, the write id."""
    if "meta" in resource and STORED_META & resource["meta"].keys():
        meta = {name: value for name, value in resource["meta"].items() if name not in STORED_META}
        resource = {name: value for name, value in resource.items() if name != "meta"} | (
            {"meta": meta} if meta else {}
        )
    if "extension" in resource and any(one.get("url") == WRITE_ID for one in resource["extension"]):
        rest = [one for one in resource["extension"] if one.get("url") != WRITE_ID]
        resource = {name: value for name, value in resource.items() if name != "extension"}
        resource = resource | ({"extension": rest} if rest else {})
    return resource
