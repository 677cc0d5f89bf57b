"""A plan's values in one party's own format: which field of its record an element is, and what would stand there."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, cast

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import Issue, Refused
from fhir_adapter.flows import change
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.pull import source_of, what_a_record_tells
from fhir_adapter.flows.said import Lens, by_reference, record_said
from fhir_adapter.mapping.engine import Mapped, copied
from fhir_adapter.mapping.recognising import Earlier
from fhir_adapter.plan import decisions
from fhir_adapter.plan.elements import Conflict
from fhir_adapter.plan.merge import Refs
from fhir_adapter.store import plans
from fhir_adapter.store.plans import Plan

if TYPE_CHECKING:
    import sqlite3

_STEP = re.compile(r"([^.\[\]]+)|\[(\d+)\]")


@dataclass(frozen=True, slots=True)
class NativeWords:
    """A plan as one party writes it; `before` is the record as it last sent it, `visible` what it may see."""

    lens: Lens
    before: Earlier
    visible: Refs

    @staticmethod
    def of(connection: sqlite3.Connection, hub: Hub, party: Party, plan: Plan, visible: Refs) -> NativeWords:
        """The words of a party that has a format of its own."""
        record = plans.record_of(connection, party.name, plan.id)
        mapping = hub.mapping_of(party)
        before = record_said(connection, mapping, record) or Earlier({})
        source = source_of(party, plan, record.record if record else plan.record)
        return NativeWords(Lens(mapping, source, hub.namespace, plan.source), before, visible)

    def path(self, conflict: Conflict) -> str:
        """The field that the conflict is about; empty where the record has none, or no single one. What was taken away
        may be in no record as it is now, but would be there again with the other value."""
        path = self._path_in(self.visible, conflict)
        return path or (self._path_in(self._with(conflict, conflict.other), conflict) if conflict.other else "")

    def _path_in(self, told: Refs, conflict: Conflict) -> str:
        mapped = self._mapped(self._record(told))
        return change.field_of(mapped, told, conflict.reference, conflict.path) if mapped else ""

    def _with(self, conflict: Conflict, value: Any) -> Refs:
        """The plan with this value in the place that the conflict is about."""
        changed = decisions.with_value(conflict, self.visible[conflict.reference], value)
        return self.visible | {conflict.reference: changed}

    def values(self, conflict: Conflict, values: Sequence[Any]) -> list[Any]:
        """What would stand in that field if each of these FHIR values were live; None where nothing would."""
        path = self.path(conflict)
        told = (None if value is None else self._record(self._with(conflict, value)) for value in values)
        return [None if record is None else _read(record.record, path) for record in told]

    def in_fhir(self, conflict: Conflict, value: Any) -> Any:
        """The FHIR value that the field stands for when it says `value`. Raises Refused in the record's own paths."""
        path = self.path(conflict)
        written = self._record(self.visible)
        record = copied(written.record)
        _write(record, path, value)
        mapped = self.lens.get(record, written.names, lambda: (written.record,))
        resource = by_reference(self.lens, mapped.resources, self.visible).get(conflict.reference)
        said = decisions.said_in(conflict, resource) if resource else None
        if said is None:
            raise Refused("no value", [Issue("error", "value", path, "this says nothing in the plan", "a value")])
        return said

    def _record(self, resources: Refs) -> Earlier:
        return self.lens.put(what_a_record_tells(resources), self.before)

    def _mapped(self, written: Earlier) -> Mapped | None:
        try:
            return self.lens.get_again(*written)
        except Refused:  # what others wrote need not be a valid record of this format
            return None


def _steps(path: str) -> list[str | int]:
    return [int(match[2]) if match[2] else match[1] for match in _STEP.finditer(path)]


def _read(record: Any, path: str) -> Any:
    """What stands at `mal[2].text`; None where nothing does."""
    node = record
    for step in _steps(path):
        try:
            node = node[step]
        except (KeyError, IndexError, TypeError):
            return None
    return node


def _write(record: dict[str, Any], path: str, value: Any) -> None:
    *above, last = _steps(path)
    node = cast(Any, record)
    for step in above:
        node = node.setdefault(step, {}) if isinstance(step, str) else node[step]
    node[last] = value
