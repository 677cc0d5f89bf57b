"""Dates and times: of any precision, with or without zone, in the form that the sender writes them."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import date, datetime
from functools import lru_cache
from typing import Any
from zoneinfo import ZoneInfo

from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair, Run

_DATE = re.compile(r"(\d{4})(?:-(\d{2})(?:-(\d{2}))?)?", re.ASCII)
_TIME = re.compile(r"(\d{4}-\d{2}-\d{2})[T ](\d{2}:\d{2})(:\d{2}(?:\.\d+)?)?(Z|[+-]\d{2}:\d{2})?", re.ASCII)
DATE_FORM = "a date: 2025-02-24, 2025-02 or 2025"
TIME_FORM = "a date, or date and time: 2025-02-24 or 2025-02-24T13:00:00+01:00"
INSTANT_FORM = "date and time: 2025-02-24T13:00:00+01:00"


def is_date(value: str) -> bool:
    """Is it a date of the calendar, or a year or month alone?"""
    try:
        if len(value) == 10 and value[4] == value[7] == "-":  # the quick way: most dates are whole
            date.fromisoformat(value)
            return True
        parts = _DATE.fullmatch(value)
        if parts is None:
            return False
        year, month, day = parts.groups()
        date(int(year), int(month or 1), int(day or 1))
    except ValueError:
        return False
    return True


@lru_cache(maxsize=64)
def zone_of(name: str) -> ZoneInfo:
    """The zone of this name in the IANA database. Raises ValueError."""
    try:
        return ZoneInfo(name)
    except (OSError, KeyError) as fault:
        raise ValueError(f"there is no time zone {name!r}, such as Europe/Copenhagen") from fault


def instant_of(value: str, zone: str) -> str | None:
    """A FHIR instant for `value` with its own zone, or with `zone`'s where it has none. None where it is no date and
    time of the calendar, or has no zone and `zone` is empty.

    In the hour that comes twice in autumn the first one is meant (summer time); one that spring leaves out is read by
    winter time, as clocks that nobody has set show it.
    """
    parts = _TIME.fullmatch(value)
    if parts is None:
        return None
    day, minutes, seconds, offset = parts.groups()
    text = f"{day}T{minutes}{seconds or ':00'}"
    try:
        moment = datetime.fromisoformat(text[:19])
        if offset is None:
            if not zone:
                return None
            offset = moment.replace(tzinfo=zone_of(zone)).isoformat()[19:]
        elif offset != "Z" and (int(offset[1:3]) > 14 or int(offset[4:]) > 59):
            return None
    except ValueError:
        return None
    return text + offset


def is_unclear(value: str, zone: str) -> bool:
    """Is it a time without zone that the clock shows twice, or not at all, on the day of a clock change?"""
    if len(value) < 16 or not zone or _has_offset(value):
        return False
    moment = datetime.fromisoformat(value[:16]).replace(tzinfo=zone_of(zone))
    return moment.utcoffset() != moment.replace(fold=1).utcoffset()


def _has_offset(value: str) -> bool:
    return value.endswith("Z") or value[-6] in "+-"


def check_date(value: str, run: Run, path: str, expected: str = DATE_FORM) -> str | None:
    """`value` as a FHIR date of its own precision; an error where it is none."""
    if is_date(value):
        return value
    if (parts := _TIME.fullmatch(value)) is not None and is_date(parts.group(1)):
        run.error(path, "value", "a date without time is expected here", expected)
        return None
    run.error(path, "value", "this is not a date of the calendar", expected)
    return None


def check_datetime(value: str, run: Run, path: str, expected: str = TIME_FORM) -> str | None:
    """`value` as a FHIR dateTime of its own precision; an error where it is none."""
    if is_date(value):
        return value
    made = instant_of(value, run.knowledge.zone)
    if made is None:
        run.error(path, "value", "this is not a date, or date and time, of the calendar", expected)
    else:
        warn_if_unclear(value, run, path)
    return made


def warn_if_unclear(value: str, run: Run, path: str) -> None:
    """Says so where the clock shows a time without zone twice, or not at all."""
    if is_unclear(value, run.knowledge.zone):
        run.warn(path, "value", "the clock was changed then: this time comes twice or not at all; please send the zone")


class Spelling:
    """How a record writes its dates and times: by default as FHIR does.

    `form`: such as DD.MM.YYYY hh:mm; `local`: without zone, by the country's clocks, as a form does too. Raises
    ValueError where there is no such form, or no zone.
    """

    def __init__(self, form: str = "", *, local: bool = False, zone: str = "") -> None:
        if local and not zone:
            raise ValueError("times without zone need the mapping's `zone:`, such as Europe/Copenhagen")
        self.text = form
        self._form = Form(form) if form else None
        self._local = local

    def read(self, value: str, run: Run, path: str) -> str | None:
        """`value` in FHIR's order, still without zone where it has none; an error where it is of another form."""
        if self._form is None:
            return value
        found = self._form.read(value)
        if found is None:
            run.error(path, "value", "this is not a date, or time, in the form that is expected", self.text)
        return found

    def write(self, value: str, run: Run) -> str:
        """A FHIR date or dateTime as the record writes it."""
        text = on_the_wall(value, run.knowledge.zone) if self._local else value
        return text if self._form is None else self._form.write(text)

    def date(self, value: str, run: Run, path: str) -> str | None:
        """`value` as a FHIR date; an error where it is none."""
        found = self.read(value, run, path)
        return check_date(found, run, path, self.text or DATE_FORM) if found is not None else None

    def datetime(self, value: str, run: Run, path: str) -> str | None:
        """`value` as a FHIR dateTime; an error where it is none."""
        found = self.read(value, run, path)
        return check_datetime(found, run, path, self.text or TIME_FORM) if found is not None else None


def spelling_of(words: Words, knowledge: Knowledge) -> Spelling:
    """The spelling of times that a rule names by `local` and `form=`. Raises ValueError."""
    form = words.option("form")
    return Spelling(form, local=bool(form) or "local" in words.flags, zone=knowledge.zone)


@converter("day", "[form=FORM]")
def _day(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """A date of any precision <-> FHIR date. `form=DD.MM.YYYY`: how the record writes it."""
    spelling = Spelling(words.option("form"))
    return Pair(spelling.date if spelling.text else check_date, spelling.write)


WALL_CLOCK = "a zone other than the country's, with `local` or `form`"


@converter("date", "[local] [form=FORM]", loses=WALL_CLOCK)
@converter("datetime", "[local] [form=FORM]", loses=WALL_CLOCK)
def _datetime(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A date or a time of any precision <-> FHIR dateTime; a time without zone is one of the mapping's `zone`.
    `local`: the record writes times without zone; `form=YYYYMMDDhhmmss`: how it writes them."""
    spelling = spelling_of(words, knowledge)
    return Pair(spelling.datetime if spelling.text else check_datetime, spelling.write)


def on_the_wall(value: str, zone: str) -> str:
    """A FHIR dateTime as a clock of `zone` shows it, without offset; with it in the second of two equal hours."""
    if len(value) < 16 or not _has_offset(value):
        return value
    try:
        moment = datetime.fromisoformat(value[:19] + value[-6:].lstrip("0123456789.:")).astimezone(zone_of(zone))
    except ValueError:
        return value
    shown = moment.isoformat()
    fraction = re.sub(r"[^.0-9].*", "", value[19:])
    text = shown[:19] + fraction
    return text + shown[19:] if moment.fold else text


_PARTS = {"YYYY": 4, "MM": 2, "DD": 2, "hh": 2, "mm": 2, "ss": 2}
_SHORT = {"M": "MM", "D": "DD", "h": "hh"}
_TOKEN = re.compile("|".join([*_PARTS, *_SHORT]))
_BETWEEN = {"YYYY": "", "MM": "-", "DD": "-", "hh": "T", "mm": ":", "ss": ":"}


class Form:
    """A written form of dates and times, such as YYYYMMDDhhmmss or DD.MM.YYYY; each part stands in it once at most.

    Where the form goes from the year down, a text may end early: 199205 is a month. D, M and h stand for a number that
    is written without its zero: 1.4.2025 is of the form D.M.YYYY.
    """

    def __init__(self, form: str) -> None:
        self._written = _TOKEN.findall(form)
        self.tokens = [_SHORT.get(token, token) for token in self._written]
        self._goes_down = self.tokens == list(_PARTS)[: len(self.tokens)]
        if len(set(self.tokens)) != len(self.tokens) or "YYYY" not in self.tokens:
            raise ValueError(f"the form {form!r} does not have each of YYYY MM DD hh mm ss once at most, and the year")
        self._between = _TOKEN.split(form)
        opened = ""
        for place, token in enumerate(self.tokens):
            opened += "(?:" if self._goes_down and place else ""
            digits = "1,2" if self._written[place] in _SHORT else _PARTS[token]
            opened += f"{re.escape(self._between[place])}(?P<{token}>[0-9]{{{digits}}})"
        closed = ")?" * (len(self.tokens) - 1) if self._goes_down else ""
        self._pattern = re.compile(opened + closed + re.escape(self._between[-1]))

    def read(self, text: str) -> str | None:
        """`text` as FHIR writes it (without zone), or None where it is of another form."""
        found = self._pattern.fullmatch(text)
        if found is None:
            return None
        parts = {token: value.zfill(2) for token, value in found.groupdict().items() if value is not None}
        return "".join(_BETWEEN[token] + parts[token] for token in _PARTS if token in parts)

    def write(self, text: str) -> str:
        """A FHIR date or dateTime in this form, as exactly as text and form both are."""
        parts = dict(zip(_PARTS, re.findall(r"[0-9]+", text), strict=False))
        written = self._between[0]
        for place, token in enumerate(self.tokens):
            if token not in parts and self._goes_down:
                return written.removesuffix(self._between[place])
            part = parts.get(token, "0" * _PARTS[token])
            written += (str(int(part)) if self._written[place] in _SHORT else part) + self._between[place + 1]
        return written


@converter("every_weeks", kinds="integer")
def _every_weeks(_fields: Sequence[str], _words: Words, _knowledge: Knowledge) -> Pair:
    """A number of weeks <-> a Timing that repeats once in so many weeks."""

    def to_native(timing: Any, _run: Run) -> int | None:
        repeat = timing.get("repeat") or {}
        is_mine = repeat.get("periodUnit") == "wk" and repeat.get("frequency", 1) == 1
        return repeat.get("period") if is_mine else None

    return Pair(lambda weeks, _run, _path: {"repeat": {"frequency": 1, "period": weeks, "periodUnit": "wk"}}, to_native)
