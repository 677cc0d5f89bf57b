"""Meetings and stays: Appointment with its participants, Encounter."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.codes import table_named
from fhir_adapter.mapping.converters.people import name_of, named_reference
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.converters.times import (
    INSTANT_FORM,
    TIME_FORM,
    WALL_CLOCK,
    instant_of,
    is_date,
    spelling_of,
    warn_if_unclear,
)
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair, Run

_PLANNED, _NEEDS_END = "booked", ("booked", "fulfilled", "noshow")


@converter(
    "meeting",
    "[table=TABLE] [instant] [silent] [local] [form=FORM]",
    loses=WALL_CLOCK,
    fields=3,
    targets=6,
    kinds="string integer string",
)
def _meeting(fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """(time, minutes, status) <-> Appointment (start, end, minutesDuration, requestedPeriod, status, our own status).
    `table`: of the status (`booked` is planned, `fulfilled` held, then cancelled and noshow), else meeting-status;
    `instant`: the time of day must be there; `silent`: that it is planned is left out of the record, unless the sender
    said so; `local`, `form=DD.MM.YYYY hh:mm`: the record writes times without zone, in this form.

    FHIR allows a start only with an end, and leaves both out only while the meeting is proposed or cancelled (app-2,
    app-3): a time without a length is the requested period of a proposed meeting, and a status that FHIR cannot say
    without an end goes beside it into an extension.
    """
    table = table_named(words.option("table", "meeting-status"), knowledge)
    planned = table.words.get(_PLANNED)
    needs_time, is_silent = "instant" in words.flags, "silent" in words.flags
    spelling = spelling_of(words, knowledge)

    def moment_of(sent: str, run: Run, path: str) -> tuple[str | None, str | None]:
        """The time as a FHIR dateTime, and as an instant where it is one."""
        when = spelling.read(sent, run, path)
        instant = instant_of(when, knowledge.zone) if when is not None else None
        if when is not None and instant is None and (needs_time or not is_date(when)):
            form = spelling.text or (INSTANT_FORM if needs_time else TIME_FORM)
            run.error(path, "value", "this is not what is expected here", form)
        if when is not None and instant is not None:
            warn_if_unclear(when, run, path)
        return instant or when, instant

    def to_fhir(values: tuple[Any, ...], run: Run, prefix: str) -> tuple[Any, ...]:
        sent, minutes, word = values
        minutes = minutes if minutes is None else int(minutes)  # 60.0 is a whole number as well, and FHIR's is 60
        status = _PLANNED
        if word is not None and (status := table.code_of(word) or "") == "":
            run.error(prefix + fields[2], "code-invalid", "this word is not in the code list", table.allowed)
        when, instant = moment_of(sent, run, prefix + fields[0]) if sent is not None else (None, None)
        end = plus_minutes(instant, minutes) if instant and minutes else None
        if instant and minutes and end is None:
            run.error(prefix + fields[1], "value", "the meeting would end beyond the calendar", "minutes")
        is_unsaid = (end is None and status in _NEEDS_END[1:]) or (is_silent and status == _PLANNED)
        said = status if word is not None and is_unsaid else None
        if end is not None:
            return instant, end, minutes, None, status, said
        requested = [{"start": when}] if when is not None else None
        return None, None, minutes, requested, "cancelled" if status == "cancelled" else "proposed", said

    def to_native(fragments: tuple[Any, ...], run: Run) -> tuple[Any, ...]:
        start, end, minutes, requested, status, said = fragments
        when = start or ((requested or [{}])[0].get("start"))
        if start and end and minutes is None:
            minutes = minutes_between(start, end)
        word = table.words.get(status if status == "cancelled" else said or status)
        shown = spelling.write(when, run) if when is not None else None
        return shown, minutes, None if is_silent and said is None and word == planned else word

    return Pair(to_fhir, to_native, table)


def plus_minutes(instant: str, minutes: int) -> str | None:
    """`minutes` after `instant`, with the same zone offset and precision; None beyond the calendar."""
    try:
        later = datetime.fromisoformat(instant.replace("Z", "+00:00")) + timedelta(minutes=minutes)
    except OverflowError:
        return None
    text = later.replace(tzinfo=None).isoformat()
    return text + ("Z" if instant.endswith("Z") else instant[-6:])


def minutes_between(start: str, end: str) -> int | None:
    """Whole minutes from one instant to another."""
    try:
        first, last = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (start, end))
        return round((last - first).total_seconds() / 60) or None
    except (ValueError, TypeError):
        return None


@converter("place", whole=True)
def _place(_fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """Words <-> the Location among an Appointment's participants."""

    def to_native(participants: list[Resource], _run: Run) -> str | None:
        places = (participant["actor"] for participant in participants if _is_place(participant.get("actor")))
        return next((place["display"] for place in places if place.get("display")), None)

    return Pair(
        lambda value, _run, _path: {"actor": {"type": "Location", "display": value}, "status": "accepted"}, to_native
    )


def _is_place(actor: Any) -> bool:
    if not isinstance(actor, dict):
        return False
    return actor.get("type") == "Location" or str(actor.get("reference", "")).startswith("Location/")


_PERFORMER: Resource = {"system": "http://terminology.hl7.org/CodeSystem/v3-ParticipationType", "code": "PPRF"}


@converter("responsible", whole=True)
def _responsible(_fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """A name <-> the primary performer among an Appointment's participants."""

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        actor = named_reference(value, run, path, quiet=False, people=True)
        return {"type": [{"coding": [dict(_PERFORMER)]}], "actor": actor, "status": "needs-action"}

    def to_native(participants: list[Resource], run: Run) -> str | None:
        mine = (p["actor"] for p in participants if "PPRF" in _participation(p) and isinstance(p.get("actor"), dict))
        return next((name for actor in mine if (name := name_of(actor, run))), None)

    return Pair(to_fhir, to_native)


def _participation(participant: Resource) -> list[str]:
    return [entry.get("code") for concept in participant.get("type") or () for entry in concept.get("coding") or ()]


@converter("invited", "[table=TABLE]", kinds="array")
def _invited(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """[name, answer] <-> an Appointment participant; the person, the place and the performer are others' business.
    `table`: of the answers, else answer."""
    table = table_named(words.option("table", "answer"), knowledge)

    def to_fhir(value: list[str], run: Run, path: str) -> Resource | None:
        answer = table.code_of(value[1]) if len(value) > 1 else "needs-action"
        if answer is None:
            run.error(f"{path}[1]", "code-invalid", "this word is not in the code list", table.allowed)
            return None
        return {"actor": named_reference(value[0], run, path, quiet=True, people=True), "status": answer}

    def to_native(participant: Resource, run: Run) -> list[str] | None:
        name = _name_of_invited(participant, run)
        answer = table.words.get(participant.get("status", ""))
        return [name, answer] if name and answer else None

    return Pair(to_fhir, to_native, table)


@converter("attendee", loses="an answer to the invitation")
def _attendee(_fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """A name <-> an Appointment participant who takes part; the person, the place and the performer are others'
    business."""

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        return {"actor": named_reference(value, run, path, quiet=True, people=True), "status": "accepted"}

    return Pair(to_fhir, _name_of_invited)


def _name_of_invited(participant: Resource, run: Run) -> str | None:
    actor = participant.get("actor")
    if not isinstance(actor, dict) or _is_place(actor) or {"SBJ", "PPRF"} & set(_participation(participant)):
        return None
    return name_of(actor, run)


@converter("stay", "[local] [form=FORM]", loses=WALL_CLOCK, fields=2, targets=3)
def _stay(fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """(admitted, discharged) <-> Encounter (period.start, period.end, status). `local`, `form=FORM`: as for date."""
    spelling = spelling_of(words, knowledge)

    def to_fhir(values: tuple[Any, ...], run: Run, prefix: str) -> tuple[Any, ...]:
        start, end = (
            spelling.datetime(value, run, prefix + field) if value is not None else None
            for value, field in zip(values, fields, strict=True)
        )
        return start, end, "finished" if end else "in-progress"

    def to_native(fragments: tuple[Any, ...], run: Run) -> tuple[Any, ...]:
        return tuple(spelling.write(value, run) if value is not None else None for value in fragments[:2])

    return Pair(to_fhir, to_native)
