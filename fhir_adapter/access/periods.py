"""Is it now? Periods with partial dates, their ends included, judged in a country's own time."""

from __future__ import annotations

from datetime import datetime, tzinfo
from typing import Any

NOT_YET = "it is not in force yet"
EXPIRED = "it has expired"
UNCLEAR = "its period is not understood"


def why_outside(period: Any, now: datetime, zone: tzinfo) -> str | None:
    """NOT_YET, EXPIRED or UNCLEAR where now is not in the FHIR Period; None where it is. No period is always."""
    period = period or {}
    try:
        if "start" in period and _compare(now, period["start"], zone) < 0:
            return NOT_YET
        if "end" in period and _compare(now, period["end"], zone) > 0:
            return EXPIRED
    except (TypeError, ValueError):
        return UNCLEAR
    return None


def _compare(now: datetime, limit: str, zone: tzinfo) -> int:
    """-1, 0 or 1: now is before, in, or after the year, month, day or instant `limit`."""
    local = now.astimezone(zone)
    if "T" not in limit:
        if not limit.replace("-", "").isdigit() or len(limit) not in (4, 7, 10):
            raise ValueError(limit)
        today = local.date().isoformat()[: len(limit)]
        return (today > limit) - (today < limit)
    moment = datetime.fromisoformat(limit)
    moment = moment if moment.tzinfo else moment.replace(tzinfo=zone)
    return (local > moment) - (local < moment)
