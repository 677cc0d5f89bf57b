"""CSV: one row or several for a record, and back; what a spreadsheet would run as a formula is made harmless."""

from __future__ import annotations

import csv
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_adapter.errors import BadRequest, Issue
from fhir_adapter.mapping.inputs.formats import Contents, Entry, Format, pattern_of, wrong
from fhir_adapter.mapping.inputs.paths import FieldPath, field_path, leaves, put_at, without_gaps
from fhir_adapter.mapping.inputs.text import decode, encode, letters_fault
from fhir_adapter.mapping.inputs.values import Words, type_in
from fhir_adapter.mapping.schema import RecordSchema, written_path

_FORMULA = re.compile(r"'*[=+\-@\t\r]")
_HARMLESS = re.compile(r"[+-]?[\d ()./,-]*")
"""A number or a telephone number: nothing that a spreadsheet could run."""
_SHIELDED = re.compile(r"'+[=+\-@\t\r]")


@dataclass(frozen=True, slots=True)
class Row:
    """A row as a spreadsheet numbers it (the header is 1), its cells, and its own text."""

    number: int
    cells: list[str]
    text: str


@dataclass(slots=True)
class _Group:
    """The rows of one record, and the first thing that is wrong with them."""

    rows: list[Row] = field(default_factory=list)
    faults: list[Issue] = field(default_factory=list)


class Rows(Format):
    """A table with a header. Without `key` each row is a record; with it, rows with the same key are one.

    Columns are called like the fields (`person.namn`, `mal[].text`, `mal[1].text`) or as `columns` says.
    """

    name = "csv"
    media_types = ("text/csv",)

    def __init__(
        self,
        schema: RecordSchema,
        *,
        encoding: str = "utf-8",
        delimiter: str | None = None,
        quote: str = '"',
        key: str | None = None,
        columns: dict[str, str] | None = None,
        separator: str | None = None,
        words: Words | None = None,
    ) -> None:
        self.encoding = encoding
        self.delimiter = delimiter
        self.quote = quote
        self.key = key
        self.separator = separator
        self.words = words or Words()
        self.columns = {name: field_path(path) for name, path in (columns or {}).items()}
        self._names = {path.text: name for name, path in self.columns.items()}
        self._types = dict(_types_of(schema))
        self._order = {path: index for index, path in enumerate(self._types)}

    # ---- reading

    def read(self, raw: bytes) -> Contents:
        text = decode(raw, self.encoding)
        rows, fault = self._rows(text)
        if not rows:
            raise fault or wrong("row 1", "there is no header", "a first row that names the columns")
        header = self._header(rows[0])
        entries: list[Entry] = []
        for number, group in enumerate(self._groups(rows[1:], header), start=1):
            own = encode("".join([rows[0].text, *(row.text for row in group.rows)]), self.encoding)
            entries.append(self._entry(number, group, header, own))
        if fault:
            entries.append(Entry(len(entries) + 1, fault, b""))
        return Contents(entries)

    def _rows(self, text: str) -> tuple[list[Row], BadRequest | None]:
        """All rows that are not blank, and what ended the file before its end."""
        source = _Lines(text)
        delimiter = self.delimiter or delimiter_of(text)
        reader = csv.reader(source, delimiter=delimiter, quotechar=self.quote, strict=True)
        rows: list[Row] = []
        number = 0
        while True:
            number += 1
            try:
                cells = next(reader, None)
            except csv.Error as fault:
                return rows, wrong(f"row {number}", f"cannot be read: {fault}", f"cells in {self.quote}, rows that end")
            own = source.taken()
            if cells is None:
                return rows, None
            if any(cell.strip() for cell in cells):
                rows.append(Row(number, cells, own))

    def _header(self, row: Row) -> list[FieldPath | None]:
        """The field of each column, None for a column without a name. Raises BadRequest."""
        names = [name.strip() for name in row.cells]
        self._check_letters_and_delimiter(row, names)
        twice = [name for index, name in enumerate(names) if name and name in names[:index]]
        if twice:
            raise wrong(f"row 1, column {twice[0]}", "two columns have this name", "a name for each column")
        found = [self._field_of(name) for name in names]
        if self.key is not None and self.key not in [path.text for path in found if path]:
            name = self._names.get(self.key, self.key)
            raise wrong(f"row 1, column {name}", "this column is missing: it tells which rows are one record", name)
        return found

    def _check_letters_and_delimiter(self, row: Row, names: list[str]) -> None:
        """Raises BadRequest for a header in the wrong encoding, or one that is cut at another sign than the file's."""
        if fault := letters_fault(names):
            place = names[int(fault.issues[0].path.strip("[]"))]
            raise wrong(f"row 1, column {place}", fault.issues[0].message, fault.issues[0].expected)
        other = delimiter_of(row.text)
        if self.delimiter is not None and len(names) == 1 and other != self.delimiter and other in row.text:
            shown, seen = (repr(sign).replace("'\\t'", "tab") for sign in (self.delimiter, other))
            raise wrong(
                "row 1", f"the header is one cell when it is cut at {shown}", f"{shown} between cells, not {seen}"
            )

    def _field_of(self, name: str) -> FieldPath | None:
        if not name:
            return None
        if name in self.columns:
            return self.columns[name]
        try:
            path = field_path(name)
        except ValueError:
            path = None
        if path is None or " " in name:
            return FieldPath(name, (), (name,))  # a column of its own: kept, and reported as unknown
        return path

    def _groups(self, rows: Iterable[Row], header: list[FieldPath | None]) -> Iterator[_Group]:
        texts = [path.text if path else None for path in header]
        place = texts.index(self.key) if self.key is not None else None
        groups: dict[object, _Group] = {}
        for row in rows:
            said = _bare(row.cells[place]) if place is not None and place < len(row.cells) else ""
            fault = self._fault_of(row, header)
            if place is not None and not said.strip() and fault is None:
                name = self._column(texts[place] or "")
                fault = Issue("error", "required", f"row {row.number}, column {name}", "this cell is empty", "the key")
            group = groups.setdefault(said or row.number, _Group())
            group.rows.append(row)
            if fault:
                group.faults.append(fault)
        return iter(groups.values())

    def _fault_of(self, row: Row, header: list[FieldPath | None]) -> Issue | None:
        """What is wrong with the shape of a row: too few cells, or too many that say something."""
        if len(row.cells) < len(header):
            missing = header[len(row.cells)]
            column = self._column(missing.text) if missing else str(len(row.cells) + 1)
            return self._ragged(row, column, len(header))
        for index, cell in enumerate(row.cells):
            if cell.strip() and (index >= len(header) or header[index] is None):
                return self._ragged(row, str(index + 1), len(header))
        return None

    def _ragged(self, row: Row, column: str, width: int) -> Issue:
        message = f"this row has {len(row.cells)} cells, and the header names {width} columns"
        return Issue("error", "structure", f"row {row.number}, column {column}", message, f"{width} cells")

    def _column(self, path: str) -> str:
        return self._names.get(path, path)

    def _entry(self, number: int, group: _Group, header: list[FieldPath | None], raw: bytes) -> Entry:
        if group.faults:
            return Entry(number, BadRequest("the rows cannot be read", group.faults), raw)
        record = _Record(self)
        for row in group.rows:
            record.take(row, header)
        if record.faults:
            return Entry(number, BadRequest("the rows cannot be read", record.faults), raw)
        record.places.update((path, f"row {group.rows[0].number}, column {name}") for path, name in self._names.items())
        native = without_gaps(record.native)
        garbled = letters_fault(native)
        if garbled:
            issues = [
                Issue(one.severity, one.code, record.places.get(one.path, one.path), one.message, one.expected)
                for one in garbled.issues
            ]
            return Entry(number, BadRequest(str(garbled), issues), raw)
        return Entry(number, native, raw, record.places)

    def values_of(self, cell: str, path: FieldPath) -> list[Any]:
        """What a cell says: nothing, a value, or with a `separator` several of a list of plain values."""
        text = _bare(cell)
        is_list = not path.rest
        parts = text.split(self.separator) if is_list and self.separator else [text]
        type_ = self._types.get(pattern_of(path.text), "string")
        return [self.words.value(part, type_) for part in parts if part.strip()]

    # ---- writing

    def write(self, records: Sequence[dict[str, Any]], *, single: bool = False) -> bytes:
        laid = [self._laid_out(record) for record in records]
        used = {column for rows in laid for row in rows for column in row}
        known = list(self.columns) or [path for path in self._order if path in used]
        known = known or [self._column(self.key or next(iter(self._order), "id"))]
        header = [*known, *sorted(used.difference(known), key=self._rank)]
        out = io.StringIO()
        writer = csv.writer(out, delimiter=self.delimiter or ";", quotechar=self.quote, lineterminator="\r\n")
        writer.writerow(header)
        for rows in laid:
            writer.writerows([row.get(column, "") for column in header] for row in rows)
        return encode(out.getvalue(), self.encoding)

    def _rank(self, column: str) -> tuple[int, list[Any]]:
        """The format's order, items by their number; unknown columns last."""
        parts = [int(part) if part.isdigit() else part for part in re.split(r"\[(\d+)\]", column)]
        return self._order.get(pattern_of(column), len(self._order)), [str(part).zfill(6) for part in parts]

    def _laid_out(self, record: dict[str, Any]) -> list[dict[str, str]]:
        """The rows of a record, each cell under its column."""
        rows = self._rows_of(record, "", "") or [{}]
        if self.key is not None:
            column = self._column(self.key)
            rows = [{column: rows[0].get(column, ""), **row} for row in rows]
        elif len(rows) > 1:
            raise wrong(self._column("id"), "a record of several rows needs a key", "`key` in the declaration's input")
        return rows

    def _rows_of(self, item: Any, path: str, pattern: str) -> list[dict[str, str]]:
        """The rows that an item takes: its own cells in the first, beside those of the lists in it."""
        own: dict[str, str] = {}
        beside: list[list[dict[str, str]]] = []
        for name, value in _parts(item, pattern):
            if isinstance(value, list) and self._in_rows(name):
                beside.append([row for one in value for row in self._rows_of(one, path, f"{name}[]")])
            elif isinstance(value, list) and self.separator and not any(isinstance(one, dict | list) for one in value):
                own[self._column(f"{name}[]")] = self._joined(value)
            else:
                own.update((self._column(leaf), self._cell(said)) for leaf, said in leaves(value, name))
        height = max([1, *map(len, beside)])
        rows = [dict[str, str]() for _ in range(height)]
        rows[0].update(own)
        for block in beside:
            for row, cells in zip(rows, block, strict=False):
                row.update(cells)
        return rows if own or beside else []

    def _in_rows(self, name: str) -> bool:
        """Does a list take rows: as its columns say, or with a key where no column says otherwise?"""
        inside = f"{name}[]"
        if any(path.startswith(inside) for path in self._names):
            return not self.separator or inside not in self._names
        numbered = any(pattern_of(path).startswith(inside) for path in self._names)
        is_plain = inside in self._types
        return self.key is not None and not numbered and not (self.separator and is_plain)

    def _joined(self, values: list[Any]) -> str:
        assert self.separator is not None
        texts = [self.words.text(value) for value in values if value is not None]
        return _shielded(self.separator.join(texts))

    def _cell(self, value: Any) -> str:
        return _shielded(value) if isinstance(value, str) else self.words.text(value)


class _Record:
    """One record while its rows are read."""

    def __init__(self, format_: Rows) -> None:
        self.native: dict[str, Any] = {}
        self.faults: list[Issue] = []
        self.places: dict[str, str] = {}
        self._format = format_
        self._current: dict[tuple[str, ...], tuple[dict[str, Any], str]] = {(): (self.native, "")}
        self._first: dict[str, int] = {}

    def take(self, row: Row, header: list[FieldPath | None]) -> None:
        """Adds what a row says, the outer lists first."""
        told: dict[tuple[str, ...], list[tuple[FieldPath, list[Any]]]] = {}
        for path, cell in zip(header, row.cells, strict=False):
            if path is not None and (values := self._format.values_of(cell, path)):
                told.setdefault(path.lists, []).append((path, values))
        with_lists = {path.lists[:-1] for path in header if path is not None and path.lists}
        for lists in sorted(told, key=len):
            if lists and any(not path.rest for path, _ in told[lists]):
                self._append_plain(lists, told[lists], row)
            else:
                holder, prefix = self._item(lists, told[lists], lists in with_lists) if lists else self._current[()]
                self._set_all(holder, prefix, told[lists], row)

    def _holder(self, lists: tuple[str, ...]) -> tuple[list[Any], str]:
        """The list that an item of `lists` goes into, inside the item that is current there."""
        outer = lists[:-1]
        holder, prefix = self._current[outer] if outer in self._current else self._open(outer, {})
        steps = tuple(lists[-1].split("."))
        node: Any = holder
        for step in steps[:-1]:
            node = node.setdefault(step, {})
        return node.setdefault(steps[-1], []), f"{prefix}{lists[-1]}"

    def _open(self, lists: tuple[str, ...], item: dict[str, Any]) -> tuple[dict[str, Any], str]:
        items, path = self._holder(lists)
        items.append(item)
        return self._make_current(lists, item, f"{path}[{len(items) - 1}].")

    def _make_current(self, lists: tuple[str, ...], item: dict[str, Any], prefix: str) -> tuple[dict[str, Any], str]:
        for inner in [other for other in self._current if len(other) > len(lists) and other[: len(lists)] == lists]:
            del self._current[inner]
        self._current[lists] = item, prefix
        return self._current[lists]

    def _item(
        self, lists: tuple[str, ...], told: list[tuple[FieldPath, list[Any]]], goes_on: bool
    ) -> tuple[dict[str, Any], str]:
        """The item that a row speaks of: the one with its id, the one above if a list in it goes on, else a new one."""
        items, path = self._holder(lists)
        own = next((values[0] for field_, values in told if field_.rest == ("id",)), None)
        if own is not None:
            for index, item in enumerate(items):
                if item.get("id") == own:
                    return self._make_current(lists, item, f"{path}[{index}].")
        elif goes_on and lists in self._current:
            item, prefix = self._current[lists]
            wanted: dict[str, Any] = {}
            for field_, values in told:
                put_at(wanted, field_.rest, values[0])
            if all(item.get(name) == value for name, value in wanted.items()):
                return item, prefix
        return self._open(lists, {})

    def _append_plain(self, lists: tuple[str, ...], told: list[tuple[FieldPath, list[Any]]], row: Row) -> None:
        items, path = self._holder(lists)
        for field_, values in told:
            for value in values:
                self.places[f"{path}[{len(items)}]"] = self._place(row, field_)
                items.append(value)

    def _set_all(self, holder: dict[str, Any], prefix: str, told: list[tuple[FieldPath, list[Any]]], row: Row) -> None:
        for field_, values in told:
            path = f"{prefix}{written_path(list(field_.rest))}"
            place = self._place(row, field_)
            if path not in self.places:
                self.places[path] = place
                self._first[path] = row.number
                put_at(holder, field_.rest, values[0])
            elif _value_at(holder, field_.rest) != values[0]:
                message = f"says something else than row {self._first.get(path, row.number)} of the same record"
                self.faults.append(Issue("error", "structure", place, message, "the same value, or an empty cell"))

    def _place(self, row: Row, field_: FieldPath) -> str:
        return f"row {row.number}, column {self._format._column(field_.text)}"


class _Lines:
    """The lines of a text for the csv reader, which remembers those that made the newest row."""

    def __init__(self, text: str) -> None:
        self._source = iter(io.StringIO(text, newline=""))
        self._since: list[str] = []

    def __iter__(self) -> Iterator[str]:
        return self

    def __next__(self) -> str:
        line = next(self._source)
        self._since.append(line)
        return line

    def taken(self) -> str:
        """The text of the row just read, ending in a line end."""
        text = "".join(self._since)
        self._since.clear()
        return text if text.endswith(("\n", "\r")) else f"{text}\r\n"


def delimiter_of(text: str) -> str:
    """The sign that parts the columns of the header: the most frequent of ; , tab and |."""
    header = text.split("\n", 1)[0]
    return max(";,\t|", key=header.count)


def _shielded(text: str) -> str:
    """Text that a spreadsheet does not run: an apostrophe before what begins like a formula; reading takes it away."""
    return f"'{text}" if _FORMULA.match(text) and not _HARMLESS.fullmatch(text) else text


def _bare(cell: str) -> str:
    """What a cell says, without the apostrophe of `_shielded`."""
    return cell[1:] if _SHIELDED.match(cell) else cell


def _value_at(node: Any, steps: tuple[str | int, ...]) -> Any:
    for step in steps:
        node = node[step]
    return node


def _parts(item: Any, pattern: str) -> Iterator[tuple[str, Any]]:
    """The parts of an item that become cells: its properties, those of its objects, and a plain value itself."""
    if not isinstance(item, dict):
        yield pattern, item
        return
    for name, value in item.items():
        path = f"{pattern}.{name}" if pattern else name
        if isinstance(value, dict):
            yield from _parts(value, path)
        else:
            yield path, value


def _types_of(schema: RecordSchema) -> Iterator[tuple[str, str]]:
    """(field, its type) with `[]` for each list, lists of plain values included."""
    for path, node in schema.fields():
        type_ = type_in(node, schema)
        if type_ == "array" and not path.endswith("[]"):
            yield f"{path}[]", type_in(node.get("items", {}), schema)
        elif type_ not in ("array", "object"):
            yield path, type_
