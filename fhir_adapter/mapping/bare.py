"""Items that say nothing in a system's format: what others wrote need not have what the format has fields for."""

from __future__ import annotations

import re
from typing import Any

from fhir_adapter.mapping.schema import RecordSchema


def without_bare_items(native: dict[str, Any], schema: RecordSchema) -> dict[str, Any]:
    """The record without list items that say nothing but their id and lack what the format demands of an item.

    A need without words, a member without a name: with them the system could not send its record back.
    """
    lacking = {issue.path.rpartition(".")[0] for issue in schema.errors(native) if issue.code == "required"}
    bare = []
    for path in lacking:
        holder, index = _list_at(native, path)
        if holder is not None and not holder[index].keys() - {"id"}:
            bare.append((holder, holder[index]))
    for holder, item in bare:
        holder[:] = [one for one in holder if one is not item]
    return native


def _list_at(native: dict[str, Any], path: str) -> tuple[list[Any] | None, int]:
    """The list that the item at `mal[2].anteckningar[0]` stands in, and its place there; None where it is no item."""
    if not path.endswith("]"):
        return None, 0
    node: Any = native
    steps = [int(part) if part.isdecimal() else part for part in re.findall(r"[^.\[\]]+", path)]
    for step in steps[:-1]:
        node = node[step]
    return node, int(steps[-1])
