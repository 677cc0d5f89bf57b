"""How much, how often, and from when to when."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.converters.times import WALL_CLOCK, check_datetime, spelling_of
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair, Run


@converter("quantity", "unit=UNIT", kinds="number")
def _quantity(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """A number <-> a Quantity of this unit; a Quantity of another unit is not this field's."""
    unit = words.option("unit")

    def to_native(quantity: Resource, _run: Run) -> Any:
        return quantity.get("value") if quantity.get("unit", unit) == unit else None

    return Pair(lambda value, _run, _path: {"value": value, "unit": unit}, to_native)


@converter(
    "period_or_times_a_week",
    "[local] [form=FORM]",
    loses=WALL_CLOCK,
    fields=3,
    targets=2,
    kinds="string string integer",
)
def _period_or_times_a_week(fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """(from, until, times a week) <-> (occurrencePeriod, occurrenceTiming): FHIR takes one of the two, and only a
    Timing says how often. `local`, `form=FORM`: as for date."""
    spelling = spelling_of(words, knowledge)

    def to_fhir(values: tuple[Any, ...], run: Run, prefix: str) -> tuple[Any, ...]:
        names = ("start", "end")
        given = zip(names, values[:2], fields, strict=False)
        checked = {
            name: spelling.datetime(value, run, prefix + field) for name, value, field in given if value is not None
        }
        period = {name: value for name, value in checked.items() if value is not None}
        if values[2] is None:
            return period or None, None
        bounds = {"boundsPeriod": period} if period else {}
        return None, {"repeat": {**bounds, "frequency": values[2], "period": 1, "periodUnit": "wk"}}

    def to_native(fragments: tuple[Any, ...], run: Run) -> tuple[Any, ...]:
        period, timing = fragments
        repeat = (timing or {}).get("repeat") or {}
        period = period or repeat.get("boundsPeriod") or {}
        is_weekly = repeat.get("period") == 1 and repeat.get("periodUnit") == "wk"
        start, end = (spelling.write(period[name], run) if name in period else None for name in ("start", "end"))
        return start, end, repeat.get("frequency") if is_weekly else None

    return Pair(to_fhir, to_native)


@converter("interval")
def _interval(_fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """`2025-03-10/2025-04-15`, or a day alone <-> a Period; a day alone is its start."""

    def to_fhir(value: str, run: Run, path: str) -> Resource | None:
        start, slash, end = value.partition("/")
        parts = {"start": start, "end": end} if slash else {"start": start}
        checked = {name: check_datetime(part, run, path) for name, part in parts.items() if part}
        return {name: part for name, part in checked.items() if part is not None} or None

    def to_native(period: Resource, _run: Run) -> str | None:
        start, end = period.get("start", ""), period.get("end")
        return f"{start}/{end}" if end else start or None

    return Pair(to_fhir, to_native)
