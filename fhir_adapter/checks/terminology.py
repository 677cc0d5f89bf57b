"""The codes that R4 allows where it leaves no choice, as data: element path → code system → codes."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from fhir_adapter.errors import Issue
from fhir_adapter.fhir.resources import Resource

Allowed = Mapping[str, frozenset[str]]
"""Code system → codes."""


def _read() -> dict[str, dict[tuple[str, ...], Allowed]]:
    raw = json.loads(Path(__file__).with_name("required_codes.json").read_text("utf-8"))
    sets = {
        name: {system: frozenset(codes) for system, codes in systems.items()} for name, systems in raw["sets"].items()
    }
    return {
        type_: {tuple(path.split(".")): sets[name] for path, name in elements.items()}
        for type_, elements in raw["elements"].items()
    }


REQUIRED = _read()
"""Resource type → path below it → what may stand there (http://hl7.org/fhir/R4/terminologies.html#required)."""


def codes_allowed_at(type_: str, names: Sequence[str], system: str | None) -> frozenset[str] | None:
    """The codes of a system (None: of a plain `code`) that may stand at a path; None where R4 leaves the choice."""
    allowed = REQUIRED.get(type_, {}).get(tuple(names))
    if allowed is None:
        return None
    return allowed.get(system) if system is not None else frozenset().union(*allowed.values())


def check_codes(resource: Resource) -> Iterator[Issue]:
    """An issue for each code that the standard does not know where only its own codes may stand."""
    type_ = resource["resourceType"]
    for names, allowed in REQUIRED.get(type_, {}).items():
        for path, value in found_at(resource, names, type_):
            yield from _check_value(path, value, allowed)


def found_at(value: Any, names: tuple[str, ...], path: str) -> Iterator[tuple[str, Any]]:
    """Every value at `names` below `value`, with its path: lists are opened, CarePlan.activity[1].detail.status."""
    if isinstance(value, list):
        for index, item in enumerate(value):
            yield from found_at(item, names, f"{path}[{index}]")
    elif not names:
        yield path, value
    elif isinstance(value, dict) and names[0] in value:
        yield from found_at(value[names[0]], names[1:], f"{path}.{names[0]}")


def _check_value(path: str, value: Any, allowed: Allowed) -> Iterator[Issue]:
    if isinstance(value, str):
        if not any(value in codes for codes in allowed.values()):
            yield _unknown(path, value, frozenset().union(*allowed.values()))
    elif isinstance(value, dict):
        for coding_path, coding in found_at(value, ("coding",), path):
            system, code = (coding.get("system"), coding.get("code")) if isinstance(coding, dict) else (None, None)
            codes = allowed.get(system or "") if system is None or isinstance(system, str) else None
            if codes is not None and not (isinstance(code, str) and code in codes):
                yield _unknown(f"{coding_path}.code", code, codes)


def _unknown(path: str, code: Any, codes: frozenset[str]) -> Issue:
    return Issue("error", "code-invalid", path, f"{str(code)[:64]!r} is not allowed here", " | ".join(sorted(codes)))
