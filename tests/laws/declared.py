"""What the words of a declaration say that its compiled form no longer tells."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

import yaml

from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.frames import schema_path


def deciding_fields(mapping: Mapping) -> set[str]:
    """The fields that decide which resources there are: in conditions and ids, keys, and names that others call."""
    text = (mapping.folder / "mapping.yaml").read_text("utf-8")
    declared = yaml.safe_load(text)
    found = {*re.findall(r"\bby=([\w.]+)", text), *filter(None, [(declared.get("variants") or {}).get("by")])}
    return found | {schema_path(path) for one in declared["lists"] for path in _of_list(one, "")}


def _of_list(one: dict[str, Any], prefix: str) -> Iterator[str]:
    here = "" if one["native"] == "." else f"{prefix}{one['native']}."
    words = [one.get("key"), one.get("where")]
    for anchor in one["anchors"].values():
        words += [anchor.get(word) for word in ("when", "by", "call")]
        words += re.findall(r"\{([^}]+)\}", str(anchor.get("id", "")))
    for text in filter(None, words):
        for condition in text.split(" and "):
            for path in re.split(r" [=!]~ .*| / ", condition):
                if path:
                    yield here + path.strip()
    for inner in one.get("lists") or ():
        yield from _of_list(inner, here)
