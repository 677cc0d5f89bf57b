"""The search parameters that this service knows: a table made from the standard's definitions, read once."""

from __future__ import annotations

import json
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path as File
from typing import Any, Literal

from fhir_adapter.errors import BadDeclaration

Kind = Literal["token", "reference", "date", "string", "uri", "quantity", "number"]

_RAW = File(__file__).with_name("search_parameters.json").read_bytes()


@dataclass(frozen=True, slots=True)
class Source:
    """One place where values come from: JSON property names, the FHIR type found there, and a condition on it.

    `system` keeps only ContactPoints of that system; `target` keeps only references to that type, which the index
    need not know: it writes the type of every target down.
    """

    names: tuple[str, ...]
    fhir_type: str
    system: str | None = None
    target: str | None = None

    @property
    def key(self) -> str:
        """What the index depends on."""
        return f"{'.'.join(self.names)}:{self.fhir_type}:{self.system or ''}"


@dataclass(frozen=True, slots=True)
class Parameter:
    """One search parameter of one resource type.

    `number` names its rows in the index. Parameters that read the same places (patient and subject) share it.
    `targets` are the types held here that a reference may point at; `only_target` the one type that counts as a match.
    `code_system` is what `system|code` may name for an element that holds a bare code.
    """

    resource_type: str
    code: str
    kind: Kind
    url: str
    doc: str
    sources: tuple[Source, ...]
    targets: tuple[str, ...]
    number: int
    code_system: str | None = None

    @property
    def only_target(self) -> str | None:
        """Patient for `patient` on CarePlan.subject, which may also be a Group."""
        return self.sources[0].target


def _parameter(type_: str, code: str, raw: Mapping[str, Any]) -> Parameter:
    sources = tuple(
        Source(tuple(path.split(".")), fhir_type, **(condition[0] if condition else {}))
        for path, fhir_type, *condition in raw["paths"]
    )
    number = zlib.crc32(f"{type_}|{raw['type']}|{sorted(source.key for source in sources)}".encode())
    return Parameter(type_, code, raw["type"], raw["url"], raw["doc"], sources, tuple(raw.get("target", ())), number,
                     raw.get("code_system"))  # fmt: skip


def _check_numbers(table: Mapping[str, Mapping[str, Parameter]]) -> None:
    """A number is a checksum, so that an index outlives a new table; two places with one number would mix."""
    seen: dict[int, object] = {}
    for type_, parameters in table.items():
        for parameter in parameters.values():
            place = (type_, parameter.kind, {source.key for source in parameter.sources})
            if seen.setdefault(parameter.number, place) != place:
                raise BadDeclaration(f"search_parameters.json: {type_}.{parameter.code} has another one's number")


def _table() -> dict[str, dict[str, Parameter]]:
    own = json.loads(_RAW)
    common = own.pop("Resource")
    return {
        type_: {code: _parameter(type_, code, raw) for code, raw in (common | parameters).items()}
        for type_, parameters in own.items()
    }


PARAMETERS: Mapping[str, Mapping[str, Parameter]] = _table()
"""Resource type → code → parameter; `_id` and `_lastUpdated` are not here, they are columns.

Every type of R4 is here, for whatever a plan points to can come into it and must be readable then. Those of which
plans are not made have only what all types are found by.
"""

TYPES = tuple(PARAMETERS)
"""The resource types that this service holds."""

INDEX_FORM = 2
"""Raised when index.py writes other rows than before for the same resource."""

FINGERPRINT = f"{INDEX_FORM}-{sha256(_RAW).hexdigest()[:16]}"
"""Changes when an index made before must be made again."""

_check_numbers(PARAMETERS)
