"""Converter pairs that any country can use, each built from the words after `|` in a rule.

A builder takes the rule's native field names, its words and the mapping's tables, and gives a Pair. Reports go to the
run, with the path of the sender's own field.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from fhir_adapter.fhir.paths import extension_url
from fhir_adapter.fhir.resources import CODES, Resource
from fhir_adapter.mapping.frames import copied
from fhir_adapter.mapping.model import Knowledge, Pair, Run, Table, folded

Builder = Callable[[Sequence[str], Sequence[str], Knowledge], Pair]

BUILDERS: dict[str, Builder] = {}
"""Every converter by the name that rules call it; a wrong word in a rule raises ValueError with the reason."""

DATA_ABSENT = "http://hl7.org/fhir/StructureDefinition/data-absent-reason"
PERTAINS_TO_GOAL = "http://hl7.org/fhir/StructureDefinition/resource-pertainsToGoal"


def converter(name: str) -> Callable[[Builder], Builder]:
    """Registers a builder under `name`."""

    def register(builder: Builder) -> Builder:
        BUILDERS[name] = builder
        return builder

    return register


# ---- words and codes


@converter("text")
def _text(_fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """Words <-> a CodeableConcept that holds them as text; a coded one is read as its display or code."""
    return Pair(lambda value, _run, _path: {"text": value}, lambda concept, _run: words_of(concept))


def words_of(concept: Any) -> str | None:
    """The words of a CodeableConcept: its text, else a display, else a code."""
    if not isinstance(concept, dict):
        return None
    if concept.get("text"):
        return str(concept["text"])
    for part in ("display", "code"):
        for coding in concept.get("coding") or ():
            if coding.get(part):
                return str(coding[part])
    return None


def table_named(words: Sequence[str], knowledge: Knowledge) -> Table:
    """The code table that a rule names. Raises ValueError."""
    if not words:
        raise ValueError("no code table is named")
    table = knowledge.tables.get(words[0])
    if table is None:
        raise ValueError(f"there is no code table {words[0]!r}")
    return table


@converter("code")
def _code(_fields: Sequence[str], words: Sequence[str], knowledge: Knowledge) -> Pair:
    """A word <-> a code that FHIR requires. `silent=CODE`: the word is left out of the record for this code."""
    table = table_named(words, knowledge)
    silent = next((word.removeprefix("silent=") for word in words[1:] if word.startswith("silent=")), None)

    def to_fhir(value: str, run: Run, path: str) -> str | None:
        code = table.code_of(value)
        if code is None:
            run.error(path, "code-invalid", "this word is not in the code list", table.allowed)
        return code

    return Pair(to_fhir, lambda code, _run: None if code == silent else table.words.get(code))


@converter("concept")
def _concept(_fields: Sequence[str], words: Sequence[str], knowledge: Knowledge) -> Pair:
    """A word <-> a coded CodeableConcept; a word that the table does not know is kept as text, with a warning."""
    table = table_named(words, knowledge)

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        code = table.code_of(value)
        if code is None:
            run.warn(path, "code-invalid", "this word is not in the code list: it is kept as text", table.allowed)
            return {"text": value}
        return {"coding": [coding(table, code)]}

    def to_native(concept: Resource, _run: Run) -> str | None:
        for entry in concept.get("coding") or ():
            code = entry.get("code")
            if code is not None and entry.get("system") == table.system and code in table.words:
                return table.words[code]
        return words_of(concept)

    return Pair(to_fhir, to_native)


@converter("coding")
def _coding(_fields: Sequence[str], words: Sequence[str], knowledge: Knowledge) -> Pair:
    """A word <-> the table's Coding in a list of Codings; Codings of other systems are left alone."""
    table = table_named(words, knowledge)

    def to_fhir(value: str, run: Run, path: str) -> Resource | None:
        code = table.code_of(value)
        if code is None:
            run.error(path, "code-invalid", "this word is not in the code list", table.allowed)
            return None
        return coding(table, code)

    def to_native(entries: list[Resource], _run: Run) -> str | None:
        mine = (str(entry.get("code")) for entry in entries if entry.get("system") == table.system)
        return next((table.words[code] for code in mine if code in table.words), None)

    return Pair(to_fhir, to_native)


def coding(table: Table, code: str) -> Resource:
    """A Coding of a table's code, with its display where the table has one."""
    made: Resource = {"system": table.system, "code": code}
    if code in table.displays:
        made["display"] = table.displays[code]
    return made


# ---- dates and times

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?")
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(:\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:\d{2})?")
_ZONES: dict[str, ZoneInfo] = {}
DATE_FORM = "a date: 2025-02-24, 2025-02 or 2025"
TIME_FORM = "a date, or date and time: 2025-02-24 or 2025-02-24T13:00:00+01:00"
INSTANT_FORM = "date and time: 2025-02-24T13:00:00+01:00"


def is_date(value: str) -> bool:
    """Is it a date of the calendar, or a year or month alone?"""
    if len(value) == 10 and value[4] == value[7] == "-" and _is_day(value):  # the quick way: most dates are whole
        return True
    parts = _DATE.fullmatch(value)
    if parts is None:
        return False
    year, month, day = parts.groups()
    try:
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return False
    return True


def _is_day(value: str) -> bool:
    try:
        date.fromisoformat(value)
    except ValueError:
        return False
    return True


def instant_of(value: str, zone: str = "Europe/Stockholm") -> str | None:
    """A FHIR instant for `value` with its own zone, or with `zone`'s where it has none (in the hour that comes twice in
    autumn: the first one, summer time). None where it is no date and time of the calendar."""
    parts = _TIME.fullmatch(value)
    if parts is None:
        return None
    day, minutes, seconds, offset = parts.groups()
    text = f"{day}T{minutes}{seconds or ':00'}"
    try:
        moment = datetime.fromisoformat(text[:19])
        if offset is None:
            zone_info = _ZONES.get(zone) or _ZONES.setdefault(zone, ZoneInfo(zone))
            offset = moment.replace(tzinfo=zone_info).isoformat()[19:]
        elif offset != "Z" and (int(offset[1:3]) > 14 or int(offset[4:]) > 59):
            return None
    except ValueError:
        return None
    return text + offset


def check_date(value: str, run: Run, path: str) -> str | None:
    """`value` as a FHIR date of its own precision; an error where it is none."""
    if is_date(value):
        return value
    if (parts := _TIME.fullmatch(value)) is not None and is_date(parts.group(1)):
        run.error(path, "value", "a date without time is expected here", DATE_FORM)
        return None
    run.error(path, "value", "this is not a date of the calendar", DATE_FORM)
    return None


def check_datetime(value: str, run: Run, path: str) -> str | None:
    """`value` as a FHIR dateTime of its own precision; an error where it is none."""
    made = value if is_date(value) else instant_of(value)
    if made is None:
        run.error(path, "value", "this is not a date, or date and time, of the calendar", TIME_FORM)
    return made


@converter("day")
def _day(_fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """A date of any precision <-> FHIR date."""
    return Pair(check_date, lambda value, _run: value)


@converter("date")
@converter("datetime")
def _datetime(_fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """A date or a time of any precision <-> FHIR dateTime; a time without zone is one in Stockholm."""
    return Pair(check_datetime, lambda value, _run: value)


# ---- meetings

MEETING_STATUS = "meeting-status"
_PLANNED, _NEEDS_END = "booked", ("booked", "fulfilled", "noshow")


@converter("meeting")
def _meeting(fields: Sequence[str], words: Sequence[str], knowledge: Knowledge) -> Pair:
    """(time, minutes, status) <-> Appointment (start, end, minutesDuration, requestedPeriod, status, our own status).

    FHIR allows a start only with an end, and leaves both out only while the meeting is proposed or cancelled (app-2,
    app-3): a time without a length is the requested period of a proposed meeting, and a status that FHIR cannot say
    without an end goes beside it into an extension. `instant`: the time of day must be there; `silent`: that it is
    planned is left out of the record.
    """
    table = knowledge.tables["meeting-status"]
    planned = table.words[_PLANNED]
    needs_time, is_silent = "instant" in words, "silent" in words

    def to_fhir(values: tuple[Any, ...], run: Run, prefix: str) -> tuple[Any, ...]:
        when, minutes, word = values
        status = _PLANNED
        if word is not None and (status := table.code_of(word) or "") == "":
            run.error(prefix + fields[2], "code-invalid", "this word is not in the code list", table.allowed)
        instant = instant_of(when) if when is not None else None
        if when is not None and instant is None and (needs_time or not is_date(when)):
            form = INSTANT_FORM if needs_time else TIME_FORM
            run.error(prefix + fields[0], "value", "this is not what is expected here", form)
        end = plus_minutes(instant, minutes) if instant and minutes else None
        said = status if word is not None and end is None and status in _NEEDS_END[1:] else None
        if end is not None:
            return instant, end, minutes, None, status, said
        requested = [{"start": instant or when}] if when is not None else None
        return None, None, minutes, requested, "cancelled" if status == "cancelled" else "proposed", said

    def to_native(fragments: tuple[Any, ...], _run: Run) -> tuple[Any, ...]:
        start, end, minutes, requested, status, said = fragments
        when = start or ((requested or [{}])[0].get("start"))
        if start and end and minutes is None:
            minutes = minutes_between(start, end)
        word = table.words.get(status if status == "cancelled" else said or status)
        return when, minutes, None if is_silent and word == planned else word

    return Pair(to_fhir, to_native)


def plus_minutes(instant: str, minutes: int) -> str:
    """`minutes` after `instant`, with the same zone offset and precision."""
    later = datetime.fromisoformat(instant.replace("Z", "+00:00")) + timedelta(minutes=minutes)
    text = later.replace(tzinfo=None).isoformat()
    return text + ("Z" if instant.endswith("Z") else instant[-6:])


def minutes_between(start: str, end: str) -> int | None:
    """Whole minutes from one instant to another."""
    try:
        first, last = (datetime.fromisoformat(text.replace("Z", "+00:00")) for text in (start, end))
        return round((last - first).total_seconds() / 60) or None
    except (ValueError, TypeError):
        return None


@converter("place")
def _place(_fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
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


@converter("responsible")
def _responsible(_fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
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


@converter("invited")
def _invited(_fields: Sequence[str], _words: Sequence[str], knowledge: Knowledge) -> Pair:
    """[name, answer] <-> an Appointment participant; the person, the place and the performer are others' business."""
    table = knowledge.tables["answer"]

    def to_fhir(value: list[str], run: Run, path: str) -> Resource | None:
        answer = table.code_of(value[1]) if len(value) > 1 else "needs-action"
        if answer is None:
            run.error(f"{path}[1]", "code-invalid", "this word is not in the code list", table.allowed)
            return None
        return {"actor": named_reference(value[0], run, path, quiet=True, people=True), "status": answer}

    def to_native(participant: Resource, run: Run) -> list[str] | None:
        actor = participant.get("actor")
        if not isinstance(actor, dict) or _is_place(actor) or {"SBJ", "PPRF"} & set(_participation(participant)):
            return None
        name = name_of(actor, run)
        answer = table.words.get(participant.get("status", ""))
        return [name, answer] if name and answer else None

    return Pair(to_fhir, to_native)


@converter("stay")
def _stay(fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """(admitted, discharged) <-> Encounter (period.start, period.end, status)."""

    def to_fhir(values: tuple[Any, ...], run: Run, prefix: str) -> tuple[Any, ...]:
        start, end = (
            check_datetime(value, run, prefix + field) if value is not None else None
            for value, field in zip(values, fields, strict=True)
        )
        return start, end, "finished" if end else "in-progress"

    return Pair(to_fhir, lambda fragments, _run: fragments[:2])


# ---- people by name

_ASIDE = re.compile(r"\s*\([^()]*\)\s*$")


def bearer_of(value: str, run: Run) -> str | None:
    """The reference that a name in the record stands for, or None.

    Tried in turn: the whole text, the text without what stands in brackets at its end, and what stands before a comma.
    """
    found = run.names.get(folded(value))
    if found is None and "(" in value:
        found = run.names.get(folded(_ASIDE.sub("", value)))
    if found is None and "," in value:
        found = run.names.get(folded(value.partition(",")[0].strip()))
    return found


def named_reference(value: str, run: Run, path: str, *, quiet: bool, people: bool = False) -> Resource:
    """A Reference for a name in the record: to whom it names, and always with the name as sent.

    `people`: FHIR does not take an organisation here; its name is then kept as text.
    """
    reference = bearer_of(value, run)
    if reference is not None:
        return (
            {"display": value}
            if people and reference.startswith("Organization/")
            else {
                "reference": reference,
                "display": value,
            }
        )
    if not quiet:
        run.warn(path, "not-found", "nobody of this name takes part in the plan: the name is kept as text")
    return {"display": value}


def name_of(pointer: Resource, run: Run) -> str | None:
    """The name behind a Reference: as it was sent with it, else as the resource has it."""
    display = pointer.get("display")
    if display:
        return str(display)
    return name_of_resource(run.index.get(str(pointer.get("reference"))), run)


def name_of_resource(resource: Resource | None, run: Run) -> str | None:
    """The name of a person, a role's person or an organisation."""
    if resource is None:
        return None
    if resource.get("resourceType") == "PractitionerRole":
        pointer = resource.get("practitioner") or resource.get("organization")
        return name_of(pointer, run) if isinstance(pointer, dict) else None
    name = resource.get("name")
    return human_name(name[0]) if isinstance(name, list) and name else name if isinstance(name, str) else None


def human_name(name: Any) -> str | None:
    """A HumanName in one string."""
    if not isinstance(name, dict):
        return None
    return (
        name.get("text")
        or " ".join([*(name.get("given") or ()), *([name["family"]] if "family" in name else ())])
        or None
    )


@converter("human_name")
def _human_name(_fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """A whole name <-> HumanName.text; never split by guessing."""
    return Pair(lambda value, _run, _path: {"text": value}, lambda name, _run: human_name(name))


@converter("named")
def _named(_fields: Sequence[str], words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """A name <-> a Reference to whom it names. `quiet`: a name of nobody in the plan is no matter for a warning;
    `people`: never an organisation."""
    quiet, people = "quiet" in words, "people" in words
    return Pair(lambda value, run, path: named_reference(value, run, path, quiet=quiet, people=people), name_of)


@converter("member_name")
def _member_name(_fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """A participant's name <-> the display beside the reference to the member (written elsewhere)."""
    return Pair(lambda value, _run, _path: {"display": value}, name_of)


@converter("expressed_by")
def _expressed_by(_fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """`den enskilde` or a name <-> Goal.expressedBy."""

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        if folded(value) in ("den enskilde", "patient", "patienten"):
            patient = next((reference for reference in run.index if reference.startswith("Patient/")), None)
            if patient is not None:
                return {"reference": patient, "display": value}
        return named_reference(value, run, path, quiet=False, people=True)

    def to_native(pointer: Resource, run: Run) -> str | None:
        if not pointer.get("display") and str(pointer.get("reference", "")).startswith("Patient/"):
            return "den enskilde"
        return name_of(pointer, run)

    return Pair(to_fhir, to_native)


@converter("signatory")
def _signatory(_fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """(name, HSA-id) <-> a Reference with display and identifier."""

    def to_fhir(values: tuple[Any, ...], run: Run, path: str) -> Resource:
        name, number = values
        made = named_reference(name, run, path, quiet=True)
        return made | ({"identifier": {"system": "urn:oid:1.2.752.29.4.19", "value": number}} if number else {})

    return Pair(to_fhir, lambda who, run: (name_of(who, run), (who.get("identifier") or {}).get("value")))


@converter("team_function")
def _team_function(_fields: Sequence[str], words: Sequence[str], knowledge: Knowledge) -> Pair:
    """A name <-> the CareTeam participant with this function."""
    if len(words) != 1:
        raise ValueError("team_function needs the code of the function")
    table = knowledge.tables["marks"]
    system, code = f"{CODES}/sip-team-function", words[0]
    role = {"system": system, "code": code, "display": table.displays[f"sip-team-function#{code}"]}

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        return {"role": [{"coding": [dict(role)]}], "member": named_reference(value, run, path, quiet=True)}

    def to_native(participants: list[Resource], run: Run) -> str | None:
        mine = (p for p in participants if _has_role(p, system, code) and isinstance(p.get("member"), dict))
        return next((name for p in mine if (name := name_of(p["member"], run))), None)

    return Pair(to_fhir, to_native)


def _has_role(participant: Resource, system: str, code: str) -> bool:
    return any(
        entry.get("system") == system and entry.get("code") == code
        for concept in participant.get("role") or ()
        for entry in concept.get("coding") or ()
    )


# ---- consent


@converter("excluded_topic")
def _excluded_topic(_fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """A topic in words <-> a nested provision that denies what is about it."""

    def to_native(provision: Resource, _run: Run) -> str | None:
        codes = provision.get("code") or []
        if provision.get("type") != "deny" or provision.get("actor") or len(codes) != 1:
            return None
        return words_of(codes[0])

    return Pair(lambda value, _run, _path: {"type": "deny", "code": [{"text": value}]}, to_native)


# ---- goals and what refers to them


@converter("part_of_goal")
def _part_of_goal(_fields: Sequence[str], words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """The id of the goal above <-> the core extension goal-relationship (type: part of; target: that goal)."""
    part_of = {"coding": [{"system": f"{CODES}/sip-goal-relation", "code": "del-av", "display": "Del av"}]}

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        target = reference_by_key(words[0], value, run, path)
        return {
            "extension": [
                {"url": "type", "valueCodeableConcept": copied(part_of)},
                {"url": "target", "valueReference": target},
            ]
        }

    def to_native(extension: Resource, run: Run) -> str | None:
        parts = extension.get("extension") or ()
        target = next((part.get("valueReference") for part in parts if part.get("url") == "target"), None)
        return key_of(target, run) if isinstance(target, dict) else None

    return Pair(to_fhir, to_native)


@converter("pertains_to_goal")
def _pertains_to_goal(_fields: Sequence[str], words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """A goal's id <-> the core extension resource-pertainsToGoal, among other extensions."""

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        return {"url": PERTAINS_TO_GOAL, "valueReference": reference_by_key(words[0], value, run, path)}

    def to_native(extension: Resource, run: Run) -> str | None:
        if extension.get("url") != PERTAINS_TO_GOAL or not isinstance(extension.get("valueReference"), dict):
            return None
        return key_of(extension["valueReference"], run)

    return Pair(to_fhir, to_native)


@converter("goal_of")
def _goal_of(_fields: Sequence[str], words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """A goal's id <-> a Reference to it."""
    return Pair(lambda value, run, path: reference_by_key(words[0], value, run, path), key_of)


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


@converter("due_or_time_frame")
def _due_or_time_frame(fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
    """(due, time frame) <-> (target.dueDate, extension time-frame).

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


@converter("goal_measure")
def _goal_measure(fields: Sequence[str], _words: Sequence[str], _knowledge: Knowledge) -> Pair:
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


@converter("component_text")
def _component_text(_fields: Sequence[str], words: Sequence[str], knowledge: Knowledge) -> Pair:
    """Words <-> an Observation component of this code."""
    if len(words) != 1:
        raise ValueError("component_text needs the code of the component")
    display = knowledge.tables["marks"].displays[f"sip-observation#{words[0]}"]
    code = {"system": f"{CODES}/sip-observation", "code": words[0], "display": display}

    def to_native(component: Resource, _run: Run) -> str | None:
        entries = (component.get("code") or {}).get("coding") or ()
        mine = any(entry.get("system") == code["system"] and entry.get("code") == words[0] for entry in entries)
        value = component.get("valueString")
        return value if mine and isinstance(value, str) else None

    return Pair(lambda value, _run, _path: {"code": {"coding": [dict(code)]}, "valueString": value}, to_native)


# ---- language


@converter("language_and_interpreter")
def _language(_fields: Sequence[str], _words: Sequence[str], knowledge: Knowledge) -> Pair:
    """(language, interpreter's language) <-> (communication[], core extension patient-interpreterRequired)."""
    table = knowledge.tables["language"]

    def concept(word: str) -> Resource:
        code = table.code_of(word)
        return {"coding": [{"system": table.system, "code": code}], "text": word} if code else {"text": word}

    def to_fhir(values: tuple[Any, ...], _run: Run, _prefix: str) -> tuple[Any, ...]:
        language, interpreter = values
        spoken = [{"language": concept(language), "preferred": True}] if language is not None else []
        if interpreter is not None:
            spoken.append({"language": concept(interpreter)})
        return spoken or None, True if interpreter is not None else None

    def to_native(fragments: tuple[Any, ...], _run: Run) -> tuple[Any, ...]:
        spoken, needs = fragments[0] or [], fragments[1]
        mine = next((entry for entry in spoken if entry.get("preferred")), None)
        other = next((entry for entry in spoken if entry is not mine), None) if needs else None
        if mine is None and not needs and spoken:
            mine = spoken[0]
        return (words_of((mine or {}).get("language")), words_of((other or {}).get("language")))

    return Pair(to_fhir, to_native)
