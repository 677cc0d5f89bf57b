"""FHIR dates as ranges: a partial date means every instant in it (http://hl7.org/fhir/R4/search.html#date)."""

from __future__ import annotations

import re
from calendar import monthrange
from datetime import date, datetime
from functools import lru_cache

TICKS = 10_000_000
"""Ticks a second: 100 ns, the finest step that still holds the years 1-9999 in 64 bits."""

DAY = 86_400 * TICKS
FIRST = -(2**62)
"""Stands for 'since ever' in a Period without start."""
LAST = 2**62

_FORM = re.compile(
    r"(\d{4})(?:-(\d\d)(?:-(\d\d)(?:[T ](\d\d):(\d\d)(?::(\d\d)(?:\.(\d{1,9}))?)?(Z|[+-]\d\d:\d\d)?)?)?)?",
    re.ASCII,
)


@lru_cache(maxsize=8192)
def range_of(text: str) -> tuple[int, int]:
    """First and last tick of a FHIR date, dateTime or instant; a time with fractions is one point.

    Dates and times without a zone are read as UTC. Raises ValueError for what is no date.
    """
    found = _FORM.fullmatch(text)
    if found is None:
        raise ValueError(f"not a FHIR date: {text[:40]!r}")
    year, month, day, hour, minute, second, fraction, zone = found.groups()
    if month is None:
        return _first_tick(int(year), 1, 1), _first_tick(int(year), 12, 31) + DAY - 1
    if day is None:
        low = _first_tick(int(year), int(month), 1)
        return low, low + monthrange(int(year), int(month))[1] * DAY - 1
    low = _first_tick(int(year), int(month), int(day))
    if hour is None:
        return low, low + DAY - 1
    low += _ticks_into_day(int(hour), int(minute), int(second or 0)) - _offset(zone)
    if second is None:
        return low, low + 60 * TICKS - 1
    if fraction is None:
        return low, low + TICKS - 1
    low += int(fraction.ljust(9, "0")) // 100
    return low, low


def _first_tick(year: int, month: int, day: int) -> int:
    return date(year, month, day).toordinal() * DAY


def _ticks_into_day(hour: int, minute: int, second: int) -> int:
    if hour > 23 or minute > 59 or second > 60:  # a leap second is allowed, and counts as the next minute's first
        raise ValueError("no such time of day")
    return ((hour * 60 + minute) * 60 + second) * TICKS


def _offset(zone: str | None) -> int:
    if zone is None or zone == "Z":
        return 0
    seconds = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
    if seconds > 14 * 3600:
        raise ValueError("no such time zone")
    return seconds * (-TICKS if zone[0] == "-" else TICKS)


def instant(moment: datetime) -> str:
    """A FHIR instant in UTC with milliseconds: 2025-02-19T12:00:00.000Z. Such texts sort by time."""
    return moment.isoformat(timespec="milliseconds").replace("+00:00", "Z")
