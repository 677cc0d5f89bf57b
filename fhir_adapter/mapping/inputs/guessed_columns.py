"""Which column of a table is which field: the record's own, or of the items of a list."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from io import StringIO

from fhir_adapter.mapping.guessing import ends_like_id, is_id, is_list_name
from fhir_adapter.mapping.words import folded

_ROWS = 2000
"""so many rows are looked at"""


def columns_of(text: str, delimiter: str) -> dict[str, str]:
    """The path of each column.

    One that begins with the name of a list (`Tiltak status`) is of its items; one that differs between the rows of a
    record is of the list before it.
    """
    reader = csv.reader(StringIO(text), delimiter=delimiter)
    header = [name.strip() for name in next(reader, [])]
    rows = [row for row, _ in zip(reader, range(_ROWS), strict=False)]
    own = _key_column(header, rows)
    varies = _varying(header, rows, own)
    return dict(_paths(header, own, varies))


def _key_column(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """The column with the number of the record: by its name; else the first."""
    named = [name for name in header if name and not is_list_name(_first_word(name))]
    ids = [name for name in named if is_id(name)] or [name for name in named if ends_like_id(name)]
    filled = [name for name in ids if all(_cell(row, header.index(name)) for row in rows)]
    return next(iter([*filled, *named, *header]), "")


def _varying(header: Sequence[str], rows: Sequence[Sequence[str]], own: str) -> set[str]:
    """The columns that say different things in rows of one record."""
    key = header.index(own) if own in header else 0
    said: dict[tuple[str, int], set[str]] = {}
    for row in rows:
        for place, cell in enumerate(row[: len(header)]):
            if cell.strip():
                said.setdefault((_cell(row, key), place), set()).add(cell)
    return {header[place] for (_, place), cells in said.items() if len(cells) > 1}


def _cell(row: Sequence[str], place: int) -> str:
    return row[place].strip() if place < len(row) else ""


def _paths(header: Sequence[str], own: str, varies: set[str]) -> Iterator[tuple[str, str]]:
    used: set[str] = set()
    current = ""
    for name in (name for name in header if name):
        first, rest = _first_word(name), _rest(name)
        if name != own and is_list_name(first):
            current = _slug(first)
            path = f"{current}[].{'id' if rest and is_id(rest) else _slug(rest) if rest else 'tekst'}"
        elif name != own and name in varies:
            current = current or _slug(first)
            path = f"{current}[].{_slug(name)}"
        else:
            path = "id" if name == own else _slug(name)
        while path in used:
            path += "_"
        used.add(path)
        yield name, path


def _first_word(name: str) -> str:
    return re.sub(r"[\s_.-]+", " ", name).partition(" ")[0]


def _rest(name: str) -> str:
    return re.sub(r"[\s_.-]+", " ", name).partition(" ")[2]


def _slug(name: str) -> str:
    return re.sub(r"\W+", "_", folded(name)).strip("_") or "felt"
