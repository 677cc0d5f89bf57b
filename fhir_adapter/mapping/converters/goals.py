"""Goals: their due dates and measures, and what refers to them by the record's own ids."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

from fhir_adapter.fhir.paths import extension_url
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.codes import marked
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.converters.texts import words_of
from fhir_adapter.mapping.converters.times import Spelling, check_date, is_date
from fhir_adapter.mapping.frames import copied
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair, Run

DATA_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
PERTAINS_TO_GOAL = "http://hl7.org/fhir/StructureDefinition/resource-pertainsToGoal"


@converter("part_of_goal", "LIST MARK")
def _part_of_goal(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """The id of the goal above, in this list <-> the core extension goal-relationship (target: that goal; type: the
    mark, a `system#code`)."""
    part_of = marked(words.plain[1], knowledge)

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        target = reference_by_key(words.plain[0], value, run, path)
        return {
            "extension": [
                {"url": "type", "valueCodeableConcept": {"coding": [dict(part_of)]}},
                {"url": "target", "valueReference": target},
            ]
        }

    def to_native(extension: Resource, run: Run) -> str | None:
        parts = extension.get("extension") or ()
        target = next((part.get("valueReference") for part in parts if part.get("url") == "target"), None)
        return key_of(target, run) if isinstance(target, dict) else None

    return Pair(to_fhir, to_native)


@converter("pertains_to_goal", "LIST")
def _pertains_to_goal(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """A goal's id, in this list <-> the core extension resource-pertainsToGoal, among other extensions."""

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        return {"url": PERTAINS_TO_GOAL, "valueReference": reference_by_key(words.plain[0], value, run, path)}

    def to_native(extension: Resource, run: Run) -> str | None:
        if extension.get("url") != PERTAINS_TO_GOAL or not isinstance(extension.get("valueReference"), dict):
            return None
        return key_of(extension["valueReference"], run)

    return Pair(to_fhir, to_native)


@converter("item_of", "LIST [known]")
def _item_of(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """The id of an item of this list of the record <-> a Reference to its resource; any other id is kept as text.
    `known`: any other id is another rule's business."""
    name, known = words.plain[0], "known" in words.flags

    def to_fhir(value: str, run: Run, path: str) -> Resource | None:
        return None if known and (name, value) not in run.places else reference_by_key(name, value, run, path)

    return Pair(to_fhir, key_of)


def reference_by_key(name: str, key: str, run: Run, path: str) -> Resource:
    """A Reference to the item of a list with this id; where there is none the id is kept as display, with a warning."""
    resource = run.places.get((name, key))
    if resource is None:
        run.warn(path, "not-found", f"no item of {name} has this id: it is kept as text")
        return {"display": key}
    return {"reference": f"{resource['resourceType']}/{resource['id']}"}


def key_of(pointer: Resource, run: Run) -> str | None:
    """The id in the record of what a Reference points at."""
    reference = pointer.get("reference")
    if isinstance(reference, str):
        return run.keys.get(reference) or reference.rpartition("/")[2]
    display = pointer.get("display")
    return str(display) if display else None


@converter("due_or_time_frame", fields=2, targets=2)
def _due_or_time_frame(fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """(due, time frame) <-> (target.dueDate, our extension time-frame).

    A time frame that is a date is the due date, and the extension says true: it was meant as a frame. Words are kept in
    the extension.
    """

    def to_fhir(values: tuple[Any, ...], run: Run, prefix: str) -> tuple[Any, ...]:
        due, frame = values
        checked = check_date(due, run, prefix + fields[0]) if due is not None else None
        if frame is None:
            return checked, None
        url = extension_url("time-frame")
        if due is None and is_date(frame):
            return frame, {"url": url, "valueBoolean": True}
        return checked, {"url": url, "valueString": frame}

    def to_native(fragments: tuple[Any, ...], _run: Run) -> tuple[Any, ...]:
        due, frame = fragments
        if frame is not None and frame.get("valueBoolean"):
            return None, due
        return due, (frame or {}).get("valueString")

    return Pair(to_fhir, to_native)


@converter(
    "goal_measure",
    loses="a unit that stands beside words instead of a number",
    fields=3,
    targets=4,
    kinds="string string/number string",
)
def _goal_measure(fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """(measure, value, unit) <-> (target.measure, detailInteger, detailQuantity, detailString).

    FHIR wants a measure beside every detail (gol-1): where the record names none, its absence is stated.
    """
    unknown = {"extension": [{"url": DATA_ABSENT, "valueCode": "unknown"}]}

    def to_fhir(values: tuple[Any, ...], run: Run, prefix: str) -> tuple[Any, ...]:
        measure, value, unit = values
        concept = {"text": measure} if measure is not None else copied(unknown) if value is not None else None
        if unit is not None and not is_number(value):
            run.warn(prefix + fields[2], "value", "a unit without a number is not carried")
        if value is None or value == "":
            return (concept if measure is not None else None), None, None, None
        if isinstance(value, str):
            return concept, None, None, value
        if unit is None and isinstance(value, int) and abs(value) < 2**31:
            return concept, value, None, None
        return concept, None, {"value": value} | ({"unit": unit} if unit is not None else {}), None

    def to_native(fragments: tuple[Any, ...], _run: Run) -> tuple[Any, ...]:
        measure, whole, quantity, words = fragments
        amount = (quantity or {}).get("value")
        value = next((found for found in (whole, amount, words) if found is not None), None)
        return words_of(measure), value, (quantity or {}).get("unit") or (quantity or {}).get("code")

    return Pair(to_fhir, to_native)


def is_number(value: Any) -> bool:
    """Is it a JSON number?"""
    return isinstance(value, int | float | Decimal) and not isinstance(value, bool)


@converter("due", "[form=FORM]", whole=True)
def _due(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """A date <-> the dueDate of a goal's targets: one of its own when written, the first there is when read.
    `form=DD.MM.YYYY`: how the record writes it."""
    spelling = Spelling(words.option("form"))

    def to_fhir(value: str, run: Run, path: str) -> Resource | None:
        checked = spelling.date(value, run, path)
        return {"dueDate": checked} if checked is not None else None

    def to_native(targets: list[Resource], run: Run) -> str | None:
        return next((spelling.write(one["dueDate"], run) for one in targets if "dueDate" in one), None)

    return Pair(to_fhir, to_native)
