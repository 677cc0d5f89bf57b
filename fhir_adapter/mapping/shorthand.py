"""Items that a record may write as a bare value: `"2025-04-14"` for `{"dato": "2025-04-14"}`, alone or in a list.

The mapping works on whole objects; what comes back is written the way the sender wrote it.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

Item = dict[str, Any]
Change = Callable[[Any, str, str], Any]


class Bare(dict[str, Any]):
    """An item that came as a bare value; `alone`: and without a list around it."""

    __slots__ = ("alone",)

    def __init__(self, field: str, value: Any, *, alone: bool) -> None:
        super().__init__({field: value})
        self.alone = alone


@dataclass(frozen=True, slots=True)
class Shorthand:
    """The lists (`opfoelgning`, `maal[].noter`) whose items may stand bare, each with the field that the value is.

    `alone`: those of them where a single item stands without a list, in a record that is made anew.
    """

    fields: Mapping[str, str]
    alone: frozenset[str] = frozenset()

    def expanded(self, record: Item) -> Item:
        """The record with an object for each item; what holds no bare item is shared, not copied."""
        for path, field in self.fields.items():
            record = _changed(record, path.split("."), "", field, _whole)
        return record

    def contracted(self, record: Item, *, is_new: bool) -> Item:
        """The record as its sender writes it: bare where it came so, or where a new record has nothing more to say."""
        for path, field in self.fields.items():
            bare = _bare_in_new if is_new else _bare_again
            record = _changed(record, path.split("."), "", field, bare)
            if is_new and path in self.alone:
                record = _changed(record, path.split("."), "", field, _unlisted)
        return record

    def spelled(self, record: Item) -> dict[str, str]:
        """The sender's own path for each field of a bare item: `opfoelgning[0].dato` -> `opfoelgning[0]`."""
        found: dict[str, str] = {}

        def note(value: Any, at: str, field: str) -> Any:
            for place, item in enumerate(value if isinstance(value, list) else ()):
                if isinstance(item, Bare):
                    found[f"{at}[{place}].{field}"] = at if item.alone else f"{at}[{place}]"
            return value

        for path, field in self.fields.items():
            _changed(record, path.split("."), "", field, note)
        return found


def _changed(node: Item, names: list[str], at: str, field: str, change: Change) -> Item:
    """A copy of `node` in which the value at the path is changed; what is not on the way is shared."""
    name, *rest = names
    key = name.removesuffix("[]")
    value = node.get(key)
    if value is None:
        return node
    here = f"{at}{key}"
    if not rest:
        return node | {key: change(value, here, field)}
    if isinstance(value, list):
        items = enumerate(value)
        below = [
            _changed(item, rest, f"{here}[{place}].", field, change) if isinstance(item, dict) else item
            for place, item in items
        ]
        return node | {key: below}
    return node | {key: _changed(value, rest, f"{here}.", field, change)} if isinstance(value, dict) else node


def _whole(value: Any, _at: str, field: str) -> Any:
    if isinstance(value, list):
        return [item if isinstance(item, dict) else Bare(field, item, alone=False) for item in value]
    return [value if isinstance(value, dict) else Bare(field, value, alone=True)]


def _bare_again(value: Any, _at: str, field: str) -> Any:
    made = [
        item[field]
        if isinstance(item, Bare) and list(item) == [field]
        else dict(item)
        if isinstance(item, Bare)
        else item
        for item in value
    ]
    was_alone = len(value) == 1 and isinstance(value[0], Bare) and value[0].alone
    return made[0] if was_alone and not isinstance(made[0], dict) else made


def _bare_in_new(value: Any, _at: str, field: str) -> Any:
    return [item[field] if list(item) == [field] else item for item in value]


def _unlisted(value: Any, _at: str, _field: str) -> Any:
    return value[0] if len(value) == 1 and not isinstance(value[0], dict) else value
