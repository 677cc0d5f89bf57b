"""The report of one run: for each FHIR element where it came from, for each field of the record what became of it."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any
from uuid import UUID

from fhir_adapter.errors import Issue
from fhir_adapter.fhir.resources import reference_of
from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Mapped
from fhir_adapter.mapping.rules import Rule
from fhir_adapter.mapping.schema import written_path
from fhir_adapter.mapping.sources import Source, Sources, leaves, sources_of

FILE = "mapping.yaml"


@dataclass(frozen=True, slots=True)
class Origin:
    """One source of an element. `kind` is rule, constant, code, id or reference.

    `fields`: the record's own; `rule` with the file and line that it stands in; `row` of the code table, the same way.
    """

    kind: str
    fields: tuple[str, ...] = ()
    rule: str = ""
    at: str = ""
    row: str = ""


@dataclass(frozen=True, slots=True)
class ElementReport:
    """One element: its resource (`Goal/1`), its path in there (`description.text`), its value and its origins."""

    resource: str
    element: str
    value: Any
    origins: tuple[Origin, ...]


@dataclass(frozen=True, slots=True)
class FieldReport:
    """One field that was sent. `became`: mapped, identity, constant, refused, unknown, or kept (no rule took it)."""

    path: str
    became: str
    elements: tuple[str, ...] = ()
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Explanation:
    """What became of one record."""

    record: str
    elements: tuple[ElementReport, ...]
    fields: tuple[FieldReport, ...]
    issues: tuple[Issue, ...]


def explain(mapping: Mapping, native: Any, *, source: str, namespace: UUID) -> Explanation:
    """Maps a record and tells where everything came from and went. Raises Refused like `Mapping.get`."""
    mapped = mapping.get(native, source=source, namespace=namespace)
    opened, run, spelled = mapping.walked(native, source=source, namespace=namespace)
    sources = sources_of(opened, run)
    elements = tuple(
        ElementReport(reference, written_path(list(path)), value, origins)
        for reference, resource in run.index.items()
        for path, value in leaves(resource)
        if path != ("resourceType",)
        for origins in [_origins(sources, reference, path, value, mapping.knowledge, spelled)]
    )
    fields = tuple(_fields(mapping, native, elements, sources, mapped))
    return Explanation(mapped.record_id, elements, fields, tuple(mapped.issues))


def _origins(
    sources: Sources, reference: str, path: tuple[str | int, ...], value: Any, known: Knowledge, spelled: dict[str, str]
) -> tuple[Origin, ...]:
    return tuple(dict.fromkeys(_origin(each, value, known, spelled) for each in sources.of(reference, path)))


def _origin(source: Source, value: Any, known: Knowledge, spelled: dict[str, str]) -> Origin:
    fields = tuple(spelled.get(path, path) for path in source.fields)
    if source.rule is None:
        return Origin(source.kind, fields, f"anchor {source.anchor}", FILE)
    at = f"{FILE}:{source.rule.line}"
    return Origin(source.kind, fields, source.rule.text, at, row_of(source.rule, value, known))


def tables_named(rule: Rule, known: Knowledge) -> list[str]:
    """The code tables that a rule's converter looks things up in."""
    words = " ".join(part for part in rule.text.split("|")[1:]).replace("=", " ").split()
    return [word for word in words if word in known.tables and word != "marks"]


def row_of(rule: Rule, value: Any, known: Knowledge) -> str:
    """The row of a code table behind a code: `status: pågår = active (codes.yaml:12)`; empty where there is none."""
    for name in tables_named(rule, known):
        table = known.tables[name]
        if isinstance(value, str) and value in table.words:
            row = next((each for each in table.rows if value in each.codes), None)
            line = f" (line {row.line})" if row is not None and row.line else ""
            return f"{name}: {table.words[value] or '-'} = {value}{line}"
    return ""


def _fields(
    mapping: Mapping,
    native: dict[str, Any],
    elements: Sequence[ElementReport],
    sources: Sources,
    mapped: Mapped,
) -> Iterator[FieldReport]:
    """What became of each value of the record."""
    of_field: dict[str, dict[str, str]] = {}
    for element in elements:
        for origin in element.origins:
            for path in origin.fields:
                of_field.setdefault(path, {})[f"{element.resource}#{element.element}"] = origin.kind
    for path, resource, place in sources.echoes:
        of_field.setdefault(path, {}).setdefault(f"{resource}#{written_path(list(place))}", "rule")
    refusals = {one.path: one for one in mapped.unmapped}
    ids = {resource["id"]: reference_of(resource) for resource in mapped.resources}
    for steps, value in leaves(native):
        if value is None:
            continue
        path = written_path(list(steps))
        around = _around(path)
        found = {place: kind for each in around for place, kind in of_field.get(each, {}).items()}
        by_rule = tuple(place for place, kind in found.items() if kind == "rule")
        refusal = next((refusals[each] for each in around if each in refusals), None)
        if refusal is not None:
            yield FieldReport(path, refusal.kind, by_rule, refusal.reason)
        elif by_rule:
            yield FieldReport(path, "mapped", by_rule)
        elif mapping.is_an_id(path):
            yield FieldReport(path, "identity", tuple(found) or tuple(filter(None, [ids.get(str(value))])))
        elif any(each in mapping.constants for each in around):
            new = f"; a new record has {mapping.constants[path]!r}" if path in mapping.constants else ""
            yield FieldReport(path, "constant", reason=f"it stays as it was sent{new}")
        else:
            yield FieldReport(path, "kept", reason="no rule wrote it for this record; it stays with the sender")


def _around(path: str) -> list[str]:
    """The path and every field or item around it: `mal[0].text`, `mal[0]`, `mal`."""
    found = [path]
    while cut := max(path.rfind("."), path.rfind("[")):
        if cut < 0:
            break
        path = path[:cut]
        found.append(path)
    return found
