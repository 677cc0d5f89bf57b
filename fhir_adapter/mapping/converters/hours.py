"""Opening hours, written by people or as recurrence rules: what FHIR cannot say exactly stays as it was sent."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping.converters.codes import table_named
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair, Run

WEEK = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_RULE_DAYS = dict(zip(("MO", "TU", "WE", "TH", "FR", "SA", "SU"), WEEK, strict=True))
_HOURS = re.compile(r"(\S+) (\d{1,2})(?::(\d{2}))?-(\d{1,2})(?::(\d{2}))?", re.ASCII)
_TIME = re.compile(r"([01]\d|2[0-3]):[0-5]\d(:[0-5]\d)?", re.ASCII)


@converter("opening_hours", "TABLE", targets=2)
def _opening_hours(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """`Mi 14-17; Mo-Fr 9-12:30` <-> (availableTime, availabilityExceptions). The table holds the words for the days.
    Hours that would not be written back the same stay in words, in availabilityExceptions."""
    table = table_named(words.plain[0], knowledge)

    def to_fhir(value: str, _run: Run, _path: str) -> tuple[Any, ...]:
        times = [_time_in(part, table.codes) for part in value.split("; ")]
        known = [time for time in times if time is not None]
        return (known, None) if _written(known, table.words) == value else (None, value)

    def to_native(fragments: tuple[Any, ...], _run: Run) -> str | None:
        times, said = fragments
        return said or _written(times or [], table.words)

    return Pair(to_fhir, to_native)


def _time_in(text: str, codes: Mapping[str, str]) -> Resource | None:
    """`Mo-Fr 9-12:30` as an availableTime; None where it cannot be read."""
    found = _HOURS.fullmatch(text)
    days = _days_in(found[1], codes) if found else []
    if found is None or not days or int(found[2]) > 23 or int(found[4]) > 23:
        return None
    start, end = (f"{int(found[hour]):02}:{found[hour + 1] or '00'}:00" for hour in (2, 4))
    is_time = _TIME.fullmatch(start) and _TIME.fullmatch(end)
    return {"daysOfWeek": days, "availableStartTime": start, "availableEndTime": end} if is_time else None


def _days_in(text: str, codes: Mapping[str, str]) -> list[str]:
    """`Mo-Fr` or `Mo,Mi` as FHIR's days; empty where a day is not known."""
    first, dash, last = text.partition("-")
    if dash:
        ends = [codes.get(first), codes.get(last)]
        places = [WEEK.index(day) for day in ends if day in WEEK]
        return list(WEEK[places[0] : places[1] + 1]) if len(places) == 2 else []
    days = [codes.get(word, "") for word in text.split(",")]
    return days if all(day in WEEK for day in days) else []


def _written(times: Sequence[Resource], names: Mapping[str, str | None]) -> str | None:
    """The hours as people write them; None where there is anything that they would not say."""
    parts = [_one_written(time, names) for time in times]
    return "; ".join(part for part in parts if part) if parts and all(parts) else None


def _one_written(time: Resource, names: Mapping[str, str | None]) -> str | None:
    days, start, end = time.get("daysOfWeek") or [], time.get("availableStartTime"), time.get("availableEndTime")
    if not days or not start or not end or any(not names.get(day) for day in days):
        return None
    places = [WEEK.index(day) for day in days]
    is_run = len(days) > 2 and places == list(range(places[0], places[-1] + 1))
    said = f"{names[days[0]]}-{names[days[-1]]}" if is_run else ",".join(str(names[day]) for day in days)
    return f"{said} {_clock(start)}-{_clock(end)}"


def _clock(time: str) -> str:
    hour, minute = time[:2].removeprefix("0"), time[3:5]
    return hour if minute == "00" else f"{hour}:{minute}"


@converter(
    "weekly_times",
    loses="a time without seconds comes back with them",
    fields=20,
    least=5,
    targets=5,
    kinds="string integer string string string string/integer",
)
def _weekly_times(fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """(frequency, interval, days, opens, closes) of RFC 5545 <-> (daysOfWeek, allDay, availableStartTime,
    availableEndTime, the rule as an extension). Further fields are parts of the rule by their names: until, count,
    byweekno. Every week on named days without an end is exact; any other rule stays a rule."""
    further = [field.rpartition(".")[2].upper() for field in fields[5:]]

    def to_fhir(values: tuple[Any, ...], run: Run, prefix: str) -> tuple[Any, ...]:
        freq, interval, byday, opens, closes, *more = values
        days = [_RULE_DAYS.get(day.strip()) for day in byday.split(",")] if byday else []
        hours = [_full_time(value, run, prefix + field) for value, field in zip(values[3:5], fields[3:5], strict=True)]
        rule = {"FREQ": freq, "INTERVAL": interval, "BYDAY": byday, **dict(zip(further, more, strict=True))}
        is_bounded = any(rule.get(name) is not None for name in further if name != "WKST")
        if freq in (None, "WEEKLY") and interval in (None, 1) and days and None not in days and not is_bounded:
            return days, None, *hours, _rule_text(rule)
        return None, None, None, None, _rule_text(rule | {"OPENS": opens, "CLOSES": closes})

    def to_native(fragments: tuple[Any, ...], _run: Run) -> tuple[Any, ...]:
        days, _, start, end, text = fragments
        rule = dict(part.partition("=")[::2] for part in (text or "").split(";") if "=" in part)
        byday = rule.get("BYDAY")
        if days and [_RULE_DAYS.get(day.strip()) for day in (byday or "").split(",")] != days:
            byday = ",".join(code for day in days for code, name in _RULE_DAYS.items() if name == day)
        numbers = {name: int(rule[name]) for name in ("INTERVAL", "COUNT") if rule.get(name, "").isdecimal()}
        known = [numbers.get(name) if name in ("INTERVAL", "COUNT") else rule.get(name) for name in further]
        hours = start or rule.get("OPENS"), end or rule.get("CLOSES")
        return rule.get("FREQ"), numbers.get("INTERVAL"), byday, *hours, *known

    return Pair(to_fhir, to_native)


def _full_time(value: str | None, run: Run, path: str) -> str | None:
    if value is None:
        return None
    if _TIME.fullmatch(value) is None:
        run.error(path, "value", "this is not a time of the day", "10:00 or 10:00:00")
        return None
    return value if len(value) == 8 else f"{value}:00"


def _rule_text(rule: Mapping[str, Any]) -> str | None:
    return ";".join(f"{name}={value}" for name, value in rule.items() if value is not None) or None
