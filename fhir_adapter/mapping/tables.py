"""What a declaration's other files tell: code tables, and the organisations and municipalities of a country."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from fhir_adapter.mapping.declaration import read_organisations
from fhir_adapter.mapping.files import Files, Place
from fhir_adapter.mapping.knowledge import (
    KnownOrganisation,
    Municipality,
    Register,
    Row,
    Table,
    pattern_of_names,
    plain_number,
)
from fhir_adapter.mapping.words import folded


def tables_of(files: Files, names: Sequence[str]) -> dict[str, Table]:
    """The code tables in these files, and `marks`: the displays of the codes by which resources are known."""
    tables: dict[str, Table] = {}
    marks: dict[str, str] = {}
    for name in names:
        declared, lines = files.yaml(name)
        if not isinstance(declared, dict):
            files.fail("is not a set of named code tables")
        if not isinstance(declared.get("marks") or {}, dict):
            files.fail("marks: is not a set of `system#code: display`")
        marks |= declared.pop("marks", None) or {}
        tables |= {table: _table(files, name, table, rows, lines) for table, rows in declared.items()}
    return tables | {"marks": Table("marks", None, {}, {}, marks, "")}


def _table(files: Files, file: str, name: str, declared: Any, lines: dict[Place, int]) -> Table:
    files.at(file, f"table {name!r}", lines[name,])
    if not isinstance(declared, dict) or not declared.get("rows") or not isinstance(declared["rows"], list):
        files.fail("has no rows: a list, each row of it [word, code] or [word, code, display]")
    if unknown := set(declared) - {"system", "aliases", "rows", "title"}:
        files.fail(f"unknown word {sorted(unknown)[0]!r}; there are: system, aliases, title, rows")
    rows = []
    for place, row in enumerate(declared["rows"]):
        files.at(file, f"table {name!r}", lines[name, "rows", place])
        rows.append(_row(files, row, lines[name, "rows", place]))
    codes: dict[str, str] = {}
    words: dict[str, str | None] = {}
    displays: dict[str, str] = {}
    for row in rows:
        files.at(file, f"table {name!r}", row.line)
        _enter(files, row, codes, words)
        if row.display is not None:
            displays[row.codes[0]] = row.display
    allowed = ", ".join(dict.fromkeys(word for row in rows for word in row.words))
    aliases = frozenset(declared.get("aliases") or ())
    return Table(name, declared.get("system"), codes, words, displays, allowed, aliases, tuple(rows))


def _row(files: Files, declared: Any, line: int) -> Row:
    """[word, code, display], where several words, or several codes, may stand for one: the first is the one written."""
    if not isinstance(declared, list) or len(declared) not in (2, 3) or declared[1] in (None, []):
        files.fail(f"the row {declared!r} is not [word, code] or [word, code, display]")
    words, codes = (tuple(part) if isinstance(part, list) else (part,) for part in declared[:2])
    words = () if words == (None,) else words
    for part in (*words, *codes):
        if not isinstance(part, str):
            said = str(part).lower() if isinstance(part, bool) else part
            files.fail(f"the word {said!r} is not text: put it in quotes")
    return Row(words, codes, declared[2] if len(declared) == 3 else None, line)


def _enter(files: Files, row: Row, codes: dict[str, str], words: dict[str, str | None]) -> None:
    """Takes a row in; a word or a code that stands in two rows would have two ways back."""
    own: set[str] = set()
    for word in row.words:
        if word in own or folded(word) in own:
            continue
        if word in codes or folded(word) in codes:
            code = codes.get(word) or codes[folded(word)]
            files.fail(
                f"the word {word!r} has two codes, {code!r} and {row.codes[0]!r}: which one is meant? Codes that"
                " are read as the same word go into one row, the one to write first:"
                f" [{word}, [{code}, {row.codes[0]}]]"
            )
        own |= {word, folded(word)}
    codes.update(dict.fromkeys(own, row.codes[0]))
    for code in row.codes:
        if code in words:
            first, second = words[code], row.words[0] if row.words else None
            files.fail(
                f"the code {code!r} has two ways back, {first!r} and {second!r}: which one is meant? Words for the same"
                f" code go into one row, the one to write first: [[{first}, {second}], {code}]"
            )
        words[code] = row.words[0] if row.words else None


def register_of(files: Files, name: str, tables: dict[str, Table]) -> Register:
    """The organisations and municipalities in a file; its schema explains the words."""
    declared, lines = read_organisations(files, name)
    numbers, places = declared.get("numbers") or {}, declared.get("municipality") or {}
    kinds = _kinds_of_organisations(files, name, declared, tables, lines)
    _check_numbers(files, name, declared, lines)
    organisations = {
        _in_register(number): KnownOrganisation(_in_register(number), *row)
        for number, row in _rows(declared, "organisations")
    }
    columns = places.get("columns") or []
    municipalities = {
        code: _municipality(files, name, code, row, columns, lines) for code, row in _rows(declared, "municipalities")
    }
    units = [(unit, _in_register(number)) for number, names in _rows(declared, "units") for unit in names]
    return Register(
        numbers.get("system", ""),
        organisations,
        municipalities,
        (*organisations, *(number for _, number in units)),
        pattern_of_names([*(one.name for one in organisations.values()), *(unit for unit, _ in units)]),
        kinds,
        numbers.get("kind_by_beginning") or {},
        numbers.get("kind_otherwise"),
        _pattern_of_codes(files, name, places.get("code") or "[0-9]+", lines),
    )


def _pattern_of_codes(files: Files, file: str, pattern: str, lines: dict[Place, int]) -> re.Pattern[str]:
    try:
        return re.compile(pattern)
    except re.error as fault:
        files.at(file, "municipality code", lines["municipality", "code"])
        files.fail(f"cannot read the pattern {pattern!r}: {fault}")


def _kinds_of_organisations(
    files: Files, file: str, declared: dict[str, Any], tables: dict[str, Table], lines: dict[Place, int]
) -> Table | None:
    """The table of what an organisation is; every kind in the file is one of its codes."""
    numbers = declared.get("numbers") or {}
    if "kinds" not in numbers:
        return None
    files.at(file, "numbers", lines["numbers", "kinds"])
    if (kinds := tables.get(numbers["kinds"])) is None:
        files.fail(f"kinds: {numbers['kinds']!r} is not a code table")
    told: list[tuple[Place, str]] = [
        (("organisations", one), kind) for one, (_, *some) in _rows(declared, "organisations") for kind in some
    ]
    told += [(("numbers", "kind_by_beginning", first), kind) for first, kind in _rows(numbers, "kind_by_beginning")]
    told += [(("numbers", "kind_otherwise"), numbers["kind_otherwise"])] if "kind_otherwise" in numbers else []
    for place, kind in told:
        if kind not in kinds.words:
            files.at(file, " ".join(map(str, place)), lines[place])
            files.fail(f"{kind!r} is not a code of the table {kinds.name!r}; there are: {', '.join(kinds.words)}")
    return kinds


def _check_numbers(files: Files, file: str, declared: dict[str, Any], lines: dict[Place, int]) -> None:
    """A number is in a system, and a unit is one of an organisation in the file."""
    known = {_in_register(number) for number, _ in _rows(declared, "organisations")}
    told = [(part, number) for part in ("organisations", "units") for number, _ in _rows(declared, part)]
    for part, number in told:
        files.at(file, f"{part} {number}", lines[part, number])
        if "|" not in number and "numbers" not in declared:
            files.fail("in which system is the number? `numbers: {system: URI}` says it for all, `URI|number` for one")
        if _in_register(number) not in known:
            files.fail("no organisation of the file has this number")


def _rows(declared: dict[str, Any], part: str) -> Any:
    return (declared.get(part) or {}).items()


def _in_register(number: str) -> str:
    """A number as records' numbers are compared with it; one with its own system is that system's matter."""
    return plain_number(number) if "|" not in number else number


def _municipality(
    files: Files, file: str, code: str, row: list[Any], columns: list[str], lines: dict[Place, int]
) -> Municipality:
    files.at(file, f"municipality {code}", lines["municipalities", code])
    if len(row) != 1 + len(columns):
        files.fail(f"the row has too few or too many columns: [{', '.join(['name', *columns])}]")
    numbers = zip(columns, row[1:], strict=True)
    return Municipality(row[0], {kind: _in_register(number) for kind, number in numbers if number is not None})
