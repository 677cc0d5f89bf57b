"""What a format asks of a whole record beyond its schema: dates within a time, parties that must be named, and so on.

Demands are data. They stand in the declaration (`demands`), or with one of its `variants`: sets of demands among which
a field of the record chooses. A demand that is not met is a warning, or an error where it says so, on the sender's own
field; the record's meaning is never changed.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, timedelta
from typing import Any, Literal

from fhir_adapter.errors import Issue
from fhir_adapter.mapping.frames import native_path, says_something
from fhir_adapter.mapping.words import folded

Item = dict[str, Any]
Condition = Callable[[Item], bool]
Read = Callable[[str, str], Condition]
"""the words of a condition, and the list whose items it asks (empty: the record) -> the condition"""

KINDS = {"need", "never", "at_least", "like", "within", "same"}
WORDS = KINDS | {"of", "from", "to", "in", "as", "each", "when", "say", "expected", "severity"}
"""Every word that a demand may have; docs/mapping-language.md explains them."""

_SPAN = re.compile(r"(\d+) (days|working days|months)")


@dataclass(frozen=True, slots=True)
class Demand:
    """One demand. `each`: the list whose items are asked one by one; `field`: where the issue points."""

    each: str | None
    when: Condition
    is_met: Condition
    field: str
    say: str
    expected: str | None
    severity: Literal["warning", "error"]

    def issues(self, record: Item) -> Iterator[Issue]:
        """What is not as demanded, by the sender's own field."""
        for place, item in self._items(record):
            if self.when(item) and not self.is_met(item):
                yield Issue(self.severity, "business-rule", place + self.field, self.say, self.expected)

    def _items(self, record: Item) -> Iterator[tuple[str, Item]]:
        if self.each is None:
            yield "", record
            return
        for place, item in enumerate(native_path(self.each).read(record) or ()):
            if isinstance(item, dict):
                yield f"{self.each}[{place}].", item


@dataclass(frozen=True, slots=True)
class Variant:
    """A set of demands with a name; `match` is searched in the field that chooses."""

    name: str
    match: re.Pattern[str]
    demands: tuple[Demand, ...]
    about: Mapping[str, Any]
    """what else the configuration says of it, for readers and documents"""


@dataclass(frozen=True, slots=True)
class Demands:
    """All that a declaration asks of a record."""

    always: tuple[Demand, ...] = ()
    variants: tuple[Variant, ...] = ()
    by: str = ""
    """the field that chooses the variant"""

    def issues(self, record: Item) -> list[Issue]:
        """What a record (its schema holds) does not do. A variant that is not known is an error."""
        asked = list(self.always)
        found: list[Issue] = []
        if self.variants:
            variant = self.variant_of(record)
            if variant is None:
                known = ", ".join(one.name for one in self.variants)
                found.append(Issue("error", "code-invalid", self.by, "this variant of the format is not known", known))
            else:
                asked += variant.demands
        return found + [issue for demand in asked for issue in demand.issues(record)]

    def variant_of(self, record: Item) -> Variant | None:
        """The variant that the record's own words choose."""
        words = folded(str(native_path(self.by).read(record) or ""))
        return next((one for one in self.variants if one.match.search(words)), None)


# ---- from the declaration


def read_demands(declared: Sequence[Any], condition: Read) -> tuple[Demand, ...]:
    """The demands of a list in YAML. Raises ValueError with what is wrong."""
    return tuple(_demand(one, condition) for one in declared)


def read_variants(declared: Mapping[str, Any], condition: Read) -> tuple[Variant, ...]:
    """The variants of a file by name. Raises ValueError with what is wrong."""
    return tuple(_variant(name, one, condition) for name, one in declared.items())


def _variant(name: str, declared: Any, condition: Read) -> Variant:
    if not isinstance(declared, dict) or set(declared) - {"match", "about", "demands"} or "match" not in declared:
        raise ValueError(f"the variant {name!r} is not match, about and demands")
    try:
        match = re.compile(declared["match"])
    except re.error as fault:
        raise ValueError(f"the variant {name!r} has a pattern that cannot be read: {fault}") from None
    return Variant(name, match, read_demands(declared.get("demands") or (), condition), declared.get("about") or {})


def _demand(declared: Any, condition: Read) -> Demand:
    if not isinstance(declared, dict):
        raise ValueError(f"{declared!r} is not a demand")
    if unknown := set(declared) - WORDS:
        raise ValueError(f"the demand {declared!r} has unknown words: {', '.join(sorted(unknown))}")
    kinds = KINDS & set(declared)
    if len(kinds) != 1 or "say" not in declared:
        raise ValueError(f"the demand {declared!r} is not exactly one of {', '.join(sorted(KINDS))}, with `say`")
    severity = declared.get("severity", "warning")
    if severity not in ("warning", "error"):
        raise ValueError(f"the severity {severity!r} is neither warning nor error")
    (kind,) = kinds
    each = declared.get("each")
    when = condition(declared["when"], each or "") if "when" in declared else (lambda _item: True)
    if kind == "need":
        field = _word(declared, "need")
        is_met = condition(field, each or "")
    else:
        field, is_met = _READERS[kind](declared)
    return Demand(each, when, is_met, field, declared["say"], declared.get("expected"), severity)


def _word(declared: Item, word: str) -> str:
    value = declared.get(word)
    if not isinstance(value, str):
        raise ValueError(f"the demand {declared!r} lacks {word!r}")
    return value


def _never(declared: Item) -> tuple[str, Condition]:
    field = _word(declared, "never")
    read = native_path(field).read
    return field, lambda item: not says_something(read(item))


def _at_least(declared: Item) -> tuple[str, Condition]:
    field, least = _word(declared, "of"), declared["at_least"]
    read = native_path(field).read
    return field, lambda item: len(_as_list(read(item))) >= least


def _like(declared: Item) -> tuple[str, Condition]:
    """Somewhere in the field (a text, a list, objects in it) there are words like these."""
    field, search = _word(declared, "in"), re.compile(_word(declared, "like")).search
    read = native_path(field).read
    return field, lambda item: any(search(folded(words)) is not None for words in _texts(read(item)))


def _same(declared: Item) -> tuple[str, Condition]:
    """Two fields say the same, where both say something; `as` names the second one, or gives the value in quotes."""
    field, other = _word(declared, "same"), _word(declared, "as")
    read = native_path(field).read
    read_other = (lambda _item: other[1:-1]) if other[:1] == "'" else native_path(other).read
    return field, lambda item: None in (mine := read(item), yours := read_other(item)) or str(yours) in str(mine)


def _within(declared: Item) -> tuple[str, Condition]:
    """The second date is not before the first, and at most so much later."""
    span = _SPAN.fullmatch(_word(declared, "within"))
    if span is None:
        raise ValueError(f"{declared['within']!r} is not a number of days, working days or months")
    amount, unit = int(span[1]), span[2]
    first, field = native_path(_word(declared, "from")).read, _word(declared, "to")
    last = native_path(field).read

    def is_met(item: Item) -> bool:
        begin, end = _day(first(item)), _day(last(item))
        return begin is None or end is None or begin <= end <= _later(begin, amount, unit)

    return field, is_met


_READERS: dict[str, Callable[[Item], tuple[str, Condition]]] = {
    "never": _never, "at_least": _at_least, "like": _like, "within": _within, "same": _same,
}  # fmt: skip


def _as_list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else [] if value is None else [value]


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, list | dict):
        for child in value.values() if isinstance(value, dict) else value:
            yield from _texts(child)


def _day(value: Any) -> date | None:
    """The day of a date or a date and time; None for anything less exact."""
    try:
        return date.fromisoformat(str(value)[:10])
    except ValueError:
        return None


def _later(day: date, amount: int, unit: str) -> date:
    if unit == "months":
        month = day.month - 1 + amount
        first = date(day.year + month // 12, month % 12 + 1, 1)
        return min(first + timedelta(days=day.day - 1), _last_of_month(first))
    if unit == "days":
        return day + timedelta(days=amount)
    while amount:
        day += timedelta(days=1)
        amount -= day.weekday() < 5  # public holidays are not known here: a late one is warned of, not refused
    return day


def _last_of_month(first: date) -> date:
    return (first + timedelta(days=31)).replace(day=1) - timedelta(days=1)
