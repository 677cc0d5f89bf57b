"""Where two resources differ, element by element, and what is told of one and not of the other."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, NamedTuple


@dataclass(frozen=True, slots=True)
class Difference:
    """`path` is a FHIR path with positions (`target[0].due`); a value that is not there is None."""

    path: str
    ours: Any
    theirs: Any


class Untold(NamedTuple):
    """What a record does not tell of a resource: an element and its value in FHIR, or all of it (`path` is empty)."""

    reference: str
    path: str = ""
    value: Any = None


def differences(ours: Any, theirs: Any, path: str = "") -> Iterator[Difference]:
    """Each element that one of the two has otherwise or not at all; lists are compared by position."""
    if ours == theirs:
        return
    if isinstance(ours, dict) and isinstance(theirs, dict):
        for name in sorted({*ours, *theirs}):
            yield from differences(ours.get(name), theirs.get(name), f"{path}.{name}" if path else name)
    elif isinstance(ours, list) and isinstance(theirs, list) and len(ours) == len(theirs):
        for index, pair in enumerate(zip(ours, theirs, strict=True)):
            yield from differences(*pair, f"{path}[{index}]")
    else:
        yield Difference(path, ours, theirs)
