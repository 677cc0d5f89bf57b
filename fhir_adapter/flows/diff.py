"""`fhir-adapter diff`: what changes in FHIR when a mapping changes, record by record, with the field and the rule."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhir_adapter.errors import AdapterError
from fhir_adapter.flows.convert import NAMESPACE, read_file, source_of
from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.explain import ElementReport, explain
from fhir_adapter.mapping.inputs.formats import Entry
from fhir_adapter.mapping.load import find

REFUSED = "(refused)"
NOTHING = "-"


@dataclass(frozen=True, slots=True)
class Change:
    """One element that is not what it was; `field` and `rule` are those of the new mapping, else of the old one."""

    element: str
    before: str
    after: str
    field: str
    rule: str


@dataclass(frozen=True, slots=True)
class Difference:
    """One record under two mappings."""

    file: str
    record: str
    changes: tuple[Change, ...]

    @property
    def same(self) -> bool:
        """Does the record give the same FHIR as before?"""
        return not self.changes

    def as_dict(self) -> dict[str, Any]:
        """The difference as JSON."""
        changes = [
            {name: getattr(change, name) for name in ("element", "before", "after", "field", "rule")}
            for change in self.changes
        ]
        return {"file": self.file, "record": self.record, "same": self.same, "changes": changes}


def differences(old: str, new: str, file: Path) -> Iterator[Difference]:
    """Each record of a file under both mappings. Raises BadDeclaration where a mapping is wrong."""
    before, after = find(old), find(new)
    raw = file.read_bytes()
    olds, news = read_file(before, raw)[1].entries, read_file(after, raw)[1].entries
    for one, other in zip(olds, news, strict=False):
        changes = () if _is_same(before, one, after, other) else _changes_of(before, one, after, other)
        yield Difference(file.name, _name_of(other), tuple(changes))
    for place in range(min(len(olds), len(news)), max(len(olds), len(news))):
        gone = Change("(record)", *(("read", NOTHING) if place < len(olds) else (NOTHING, "read")), "", "input")
        yield Difference(file.name, str(place + 1), (gone,))


def _name_of(entry: Entry) -> str:
    own = entry.record.get("id") if isinstance(entry.record, dict) else None
    return str(own if own is not None else entry.number)


def _is_same(before: Mapping, one: Entry, after: Mapping, other: Entry) -> bool:
    """Does a record give the same FHIR? Most do when a mapping changes, and need no account of their elements."""
    place: dict[str, Any] = {"source": source_of(after.name), "namespace": NAMESPACE}
    try:
        return before.get(one.taken(), **place).resources == after.get(other.taken(), **place).resources
    except AdapterError:
        return False


def _changes_of(before: Mapping, one: Entry, after: Mapping, other: Entry) -> Iterator[Change]:
    return _changes(_elements(before, one, after.name), _elements(after, other, after.name))


def _elements(mapping: Mapping, entry: Entry, source: str) -> dict[str, ElementReport]:
    """Every element by its place. Both mappings get one source, so that what is the same keeps its id."""
    try:
        explained = explain(mapping, entry.taken(), source=source_of(source), namespace=NAMESPACE)
    except AdapterError as fault:
        told = "; ".join(f"{entry.place(issue.path)}: {issue.message}" for issue in fault.issues)
        return {REFUSED: ElementReport("", REFUSED, told, ())}
    return {f"{each.resource}#{each.element}": each for each in explained.elements}


def _changes(left: dict[str, ElementReport], right: dict[str, ElementReport]) -> Iterator[Change]:
    for place in dict.fromkeys([*left, *right]):
        one, other = left.get(place), right.get(place)
        if one is not None and other is not None and one.value == other.value:
            continue
        told = other or one
        assert told is not None
        rule = next((origin for origin in told.origins), None)
        yield Change(
            place,
            NOTHING if one is None else str(one.value),
            NOTHING if other is None else str(other.value),
            ", ".join(rule.fields) if rule else "",
            f"{rule.at}  {rule.rule}" if rule else "",
        )
