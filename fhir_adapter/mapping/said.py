"""Whether a record says something in an object or a list: in one of the fields that a rule carries to FHIR.

Conditions ask this (`when: person`). What FHIR gets nothing of must not bring a resource forth: an object with nothing
but a field that the format does not know, a flag that is false. It would be there on the way back without a word in it.
"""

from __future__ import annotations

from typing import Any

from fhir_adapter.mapping.frames import says_something, schema_path


class Said:
    """The fields that are carried at one place of the record, and below it; filled while the rules are compiled."""

    def __init__(self) -> None:
        self._below: dict[str, Said] = {}
        self._is_carried = False
        self._silent: tuple[Any, ...] = ()

    def at(self, path: str) -> Said:
        """What is known about a field or list: `person`, `mal[].text`; empty for this place itself."""
        here = self
        for name in filter(None, schema_path(path).replace("[]", "").split(".")):
            here = here._below.setdefault(name, Said())
        return here

    def carry(self, silent: tuple[Any, ...] = ()) -> None:
        """Notes that a rule carries this field; `silent`: its values that read like nothing said."""
        both = tuple(value for value in self._silent if any(value is other for other in silent))
        self._silent = both if self._is_carried else silent
        self._is_carried = True

    def says(self, value: Any) -> bool:
        """Does a value of this field say something? Of a field of which no rule knows, any value does."""
        if value.__class__ is list:
            return any(self.says(item) for item in value)
        if self._is_carried or not self._below:
            return says_something(value) and not any(value is silent for silent in self._silent)
        return isinstance(value, dict) and any(
            name in self._below and self._below[name].says(part) for name, part in value.items()
        )
