"""Scores on a scale: the figure, its scale and what it is a score of."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.codes import coding, table_named
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.converters.texts import words_of
from fhir_adapter.mapping.knowledge import Knowledge, Table
from fhir_adapter.mapping.model import Pair, Run
from fhir_adapter.mapping.words import folded

_SCALE = re.compile(r"\s*(-?[0-9]+)\s*[-–]\s*(-?[0-9]+)\s*")
_PLACE = re.compile(r"([^.\[\]]+)\[([0-9]+)\]")

Range = tuple[int, int]


@converter("scored", "TABLE", fields=3, targets=3, kinds="string integer string")
def _scored(fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """(dimension, score, scale) <-> (a concept of the table, an integer, a reference range). The declaration's
    `converters: scored` holds the scale of each dimension (`scales`) and of any other (`otherwise`): [lowest, highest].

    The dimension may stand with what holds the item. A scale that the record names (`1-10`) wins; a score outside its
    scale is taken with a warning.
    """
    scales = _Scales.declared(knowledge.settings.get("scored"))
    table = table_named(words.plain[0], knowledge)
    name = fields[0].rpartition(".")[2]

    def to_fhir(values: tuple[Any, ...], run: Run, prefix: str) -> tuple[Any, ...]:
        dimension, score, scale = values
        limits = _limits(scale) or scales.of(dimension or _held_by(run.record, prefix, name))
        if score is not None and not limits[0] <= score <= limits[1]:
            run.warn(prefix + fields[1], "value", "the score is outside its scale", f"{limits[0]} to {limits[1]}")
        made = None if score is None and scale is None else _range(limits, scale)
        return _concept(dimension, table) if dimension is not None else None, score, made

    def to_native(fragments: tuple[Any, ...], _run: Run) -> tuple[Any, ...]:
        concept, score, limits = fragments
        return words_of(concept), score, (limits or {}).get("text")

    return Pair(to_fhir, to_native)


@dataclass(frozen=True, slots=True)
class _Scales:
    by_dimension: Mapping[str, Range]
    otherwise: Range

    @classmethod
    def declared(cls, settings: Any) -> _Scales:
        """From the declaration. Raises ValueError."""
        if settings is None:
            raise ValueError("the declaration has no `converters: scored: otherwise:`")
        low, high = settings["otherwise"]
        return cls(
            {folded(name): (least, most) for name, (least, most) in settings.get("scales", {}).items()}, (low, high)
        )

    def of(self, dimension: str | None) -> Range:
        return self.by_dimension.get(folded(dimension or ""), self.otherwise)


def _concept(dimension: str, table: Table) -> Resource:
    code = table.code_of(dimension)
    return {"text": dimension} | ({} if code is None else {"coding": [coding(table, code)]})


def _limits(scale: Any) -> Range | None:
    found = _SCALE.fullmatch(scale) if isinstance(scale, str) else None
    return (int(found[1]), int(found[2])) if found is not None else None


def _range(limits: Range, scale: str | None) -> Resource:
    made: Resource = {"low": {"value": limits[0]}, "high": {"value": limits[1]}}
    return made | ({"text": scale} if scale is not None else {})


def _held_by(record: Any, prefix: str, name: str) -> str | None:
    """The field of the innermost object around an item that has it: `maal[1].dimension` for `maal[1].fremdrift[0].`."""
    found, node = None, record
    for list_name, place in _PLACE.findall(prefix):
        node = node[list_name][int(place)] if isinstance(node, dict) and list_name in node else None
        value = node.get(name) if isinstance(node, dict) else None
        found = value if isinstance(value, str) else found
    return found
