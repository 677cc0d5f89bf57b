"""The files of a mapping's folder: read with the line of every part, so that a fault can say where it is."""

from __future__ import annotations

from pathlib import Path
from typing import Any, NoReturn

import yaml

from fhir_adapter.errors import BadDeclaration, BadRequest
from fhir_adapter.fhir.resources import parse_json

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: a tenth of the time."""

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
        try:
            return parse_json((self.folder / name).read_bytes())
        except (OSError, BadRequest) as fault:
            self.fail(f"cannot be read: {_reason(fault)}")

    def yaml(self, name: str) -> tuple[Any, dict[Place, int]]:
        """A YAML file and the line of everything in it. Raises BadDeclaration."""
        self.at(name)
        try:
            loader = _LOADER((self.folder / name).read_text(encoding="utf-8"))
            node = loader.get_single_node()
            lines: dict[Place, int] = {}
            _note_lines(node, (), lines, set())
            return loader.construct_document(node) if node is not None else None, lines
        except (OSError, ValueError, yaml.YAMLError) as fault:
            self.fail(f"cannot be read: {_reason(fault)}")


def _reason(fault: Exception) -> str:
    return "there is no such file" if isinstance(fault, FileNotFoundError) else " ".join(str(fault).split())


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
        for key, child in node.value:
            _note_lines(child, (*place, key.value), lines, above | {id(node)})
            lines[*place, key.value] = key.start_mark.line + 1
