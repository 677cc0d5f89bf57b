"""The files of a mapping's folder: read with the line of every part, so that a fault can say where it is."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any, NoReturn

import yaml

from fhir_adapter.errors import BadDeclaration, BadRequest
from fhir_adapter.fhir.resources import parse_input

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: a tenth of the time."""

_HINTS = {
    "cannot start any token": " (a tab? YAML is indented by spaces; words that begin with @ ` or % stand in quotes)",
    "did not find expected ','": " (inside { } or [ ] words that hold brackets or commas stand in quotes)",
}
"""what is usually the matter where YAML says this"""

_YAML_WORDS = {
    "bool": "true or false",
    "null": "nothing",
    "int": "a number",
    "float": "a number",
    "timestamp": "a time",
}

Place = tuple[str | int, ...]
"""a way into a file: ("lists", 0, "rules", 3)"""


class Files:
    """One folder; `file`, `line` and `place` say where in it the loader is, for messages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = ""
        self.line: int | None = None
        self.place = ""

    def fail(self, reason: str) -> NoReturn:
        """Raises BadDeclaration with file, line, place and reason."""
        line = f", line {self.line}" if self.line is not None else ""
        where = f", {self.place}" if self.place else ""
        raise BadDeclaration(f"{self.file} in {self.folder.name}{line}{where}: {reason}")

    def at(self, file: str, place: str = "", line: int | None = None) -> None:
        """Says where the loader is now."""
        self.file, self.place, self.line = file, place, line

    def json(self, name: str) -> Any:
        """A JSON file. Raises BadDeclaration."""
        self.at(name)
        raw = b""
        try:
            raw = (self.folder / name).read_bytes()
            return parse_input(raw)
        except (OSError, BadRequest) as fault:
            if (at := re.search(r"\(byte (\d+)\)$", str(fault))) is not None:
                self.line = raw.count(b"\n", 0, int(at[1])) + 1
            self.fail(f"cannot be read: {_reason(fault)}")

    def yaml(self, name: str) -> tuple[Any, dict[Place, int]]:
        """A YAML file and the line of everything in it. Raises BadDeclaration."""
        self.at(name)
        try:
            loader = _LOADER(_text(self.folder / name))
            node = loader.get_single_node()
            lines: dict[Place, int] = {}
            _note_lines(node, (), lines, set())
            return loader.construct_document(node) if node is not None else None, lines
        except (OSError, ValueError, yaml.YAMLError) as fault:
            self.fail(f"cannot be read: {_reason(fault)}")


def _text(path: Path) -> str:
    raw = path.read_bytes()
    try:
        return raw.decode()
    except UnicodeDecodeError as fault:
        line = raw.count(b"\n", 0, fault.start) + 1
        raise ValueError(f"line {line} is not UTF-8 (byte 0x{raw[fault.start]:02x}): save the file as UTF-8") from None


def _reason(fault: Exception) -> str:
    if isinstance(fault, FileNotFoundError):
        return "there is no such file"
    if isinstance(fault, BadRequest) and fault.issues and fault.issues[0].path:
        return f"{fault.issues[0].path}: {fault.issues[0].message}"
    if isinstance(fault, yaml.MarkedYAMLError) and fault.problem_mark is not None:
        hint = next((hint for said, hint in _HINTS.items() if said in str(fault.problem)), "")
        return f"line {fault.problem_mark.line + 1}, column {fault.problem_mark.column + 1}: {fault.problem}{hint}"
    return " ".join(str(fault).split())


def _note_lines(node: Any, place: Place, lines: dict[Place, int], above: set[int]) -> None:
    if node is None:
        return
    if id(node) in above:
        raise ValueError(f"line {node.start_mark.line + 1}: an alias stands inside what it stands for")
    lines[place] = node.start_mark.line + 1
    if isinstance(node, yaml.SequenceNode):
        for index, child in enumerate(node.value):
            _note_lines(child, (*place, index), lines, above | {id(node)})
    elif isinstance(node, yaml.MappingNode):
        _check_keys(node)
        for key, child in node.value:
            _note_lines(child, (*place, key.value), lines, above | {id(node)})
            lines[*place, key.value] = key.start_mark.line + 1


def _check_keys(node: yaml.MappingNode) -> None:
    """Raises ValueError for a word that stands twice in one mapping, which YAML would forget in silence, and for what
    is no word."""
    seen: dict[str, int] = {}
    for key, _ in node.value:
        line = key.start_mark.line + 1
        if not isinstance(key, yaml.ScalarNode):
            raise ValueError(f"line {line}: a word stands before a colon; one that begins with a brace is quoted")
        if (taken_for := _YAML_WORDS.get(key.tag.rpartition(":")[2])) is not None:
            raise ValueError(f"line {line}: YAML takes {key.value!r} for {taken_for}: put it in quotes")
        if key.value in seen:
            raise ValueError(f"line {line}: {key.value!r} stands in line {seen[key.value]} already: which is meant?")
        seen[key.value] = line
