"""The walls of the house: who may import whom, which library lives in which package, what every module has."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent / "fhir_adapter"
PURE = ("fhir", "mapping", "plan", "access", "checks")

# part of fhir_adapter -> the parts that it may import; docs/architecture.md draws it
ALLOWED: dict[str, set[str]] = {
    "errors": set(),
    "fhir": {"errors"},
    "mapping": {"fhir", "errors"},
    "plan": {"fhir", "errors"},
    "access": {"fhir", "errors"},
    "checks": {"fhir", "errors"},
    "store": {"fhir", "errors"},
    "remotes": {"fhir", "errors"},
    "flows": {"mapping", "plan", "access", "checks", "store", "remotes", "fhir", "errors"},
    "web": {"flows", "store", "fhir", "errors"},
    "settings": {"access", "errors"},
    "logs": set(),
    "serving": {"web", "errors"},
    # the one place where everything is put together
    "app": {"web", "flows", "mapping", "access", "checks", "store", "remotes", "fhir", "errors", "settings", "logs"},
    "demo": {"app", "serving", "settings", "flows", "remotes", "fhir", "errors"},
    "commands": {"app", "access", "store", "settings", "logs", "flows", "errors"},
    "faults": {"serving", "errors"},
    "cli": {"commands", "faults", "app", "demo", "serving", "settings", "logs", "flows", "errors"},
    "__main__": {"cli"},
}

# library -> the parts that may import it; a library that is not here is the standard library's or refused
LIBRARIES: dict[str, set[str]] = {
    "sqlite3": {"store"},
    "requests": {"remotes"},
    "tenacity": {"remotes"},
    "fastapi": {"web", "app"},
    "starlette": {"web", "app", "serving", "faults"},
    "jinja2": {"web"},
    "uvicorn": {"serving"},
    "typer": {"cli", "commands"},
    "rich": {"commands", "demo"},
    "structlog": {"logs", "app", "web", "flows"},
    "pydantic": {"settings", "web", "checks"},
    "msgspec": {"fhir"},
    "jsonschema_rs": {"mapping"},
    "yaml": {"mapping"},
    "fhir.resources": {"checks"},
}

# what a pure package may not import although it is at hand: the world outside, clocks and dice
IMPURE = {
    *("asyncio", "concurrent", "ctypes", "ftplib", "http", "logging", "multiprocessing", "os", "random", "secrets"),
    *("select", "shutil", "signal", "smtplib", "socket", "sqlite3", "ssl", "subprocess", "tempfile", "threading"),
    *("time", "urllib.request"),
}
CLOCKS_AND_DICE = {"now", "utcnow", "today", "uuid1", "uuid4", "random", "urandom"}


@dataclass(frozen=True)
class Import:
    module: str
    line: int
    only_for_types: bool


def modules() -> list[Path]:
    return sorted(path for path in ROOT.rglob("*.py") if path.name != "__init__.py" or path.parent != ROOT)


def name_of(path: Path) -> str:
    return str(path.relative_to(ROOT))


def part_of(path: Path) -> str:
    return path.relative_to(ROOT).parts[0].removesuffix(".py")


def imports_in(source: str) -> list[Import]:
    """Every import, wherever it stands; those under `if TYPE_CHECKING` are marked."""
    return list(_imports(ast.parse(source), False))


def _imports(node: ast.AST, only_for_types: bool) -> Iterator[Import]:
    if isinstance(node, ast.Import):
        yield from (Import(alias.name, node.lineno, only_for_types) for alias in node.names)
    elif isinstance(node, ast.ImportFrom):
        start = "." * node.level + (node.module or "")
        yield from (Import(f"{start}.{alias.name}", node.lineno, only_for_types) for alias in node.names)
    elif isinstance(node, ast.If) and ast.unparse(node.test).endswith("TYPE_CHECKING"):
        for child in node.body:
            yield from _imports(child, True)
        for child in node.orelse:
            yield from _imports(child, only_for_types)
    else:
        for child in ast.iter_child_nodes(node):
            yield from _imports(child, only_for_types)


def library_of(module: str) -> str | None:
    """The entry of LIBRARIES that an import belongs to; the top name where it has none; None for what Python brings."""
    known = [name for name in LIBRARIES if module == name or module.startswith(f"{name}.")]
    top = module.split(".")[0]
    return known[0] if known else None if top in sys.stdlib_module_names or top == "__future__" else top


def forbidden_imports(part: str, source: str) -> list[str]:
    """What a module of `part` imports against the tables, one sentence each."""
    return [
        f"line {found.line}: {part} may not import {found.module}"
        for found in imports_in(source)
        if not _may_import(part, found)
    ]


def _may_import(part: str, found: Import) -> bool:
    if found.module.startswith("."):
        return False  # whole names only: they can be searched for
    if found.module.split(".")[0] == "fhir_adapter":
        wanted = found.module.split(".")[1]
        return wanted == part or wanted in ALLOWED[part]
    if part in PURE and any(found.module == name or found.module.startswith(f"{name}.") for name in IMPURE):
        return False
    library = library_of(found.module)
    if library is None or part in LIBRARIES.get(library, ()):
        return True
    return library == "sqlite3" and found.only_for_types and part in ("flows", "web")  # a connection is passed through


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_imports_go_only_downwards_and_libraries_stay_in_their_package(path: Path) -> None:
    assert part_of(path) in ALLOWED, f"{name_of(path)}: a new part of the house has no line in ALLOWED"
    assert forbidden_imports(part_of(path), path.read_text()) == []


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_every_module_says_in_its_first_line_what_it_is_for(path: Path) -> None:
    docstring = ast.get_docstring(ast.parse(path.read_text()))
    assert docstring, f"{name_of(path)} has no docstring"
    assert docstring.splitlines()[0].strip()


@pytest.mark.parametrize("path", modules(), ids=name_of)
def test_a_module_is_named_after_what_it_holds(path: Path) -> None:
    assert re.fullmatch(r"[a-z][a-z_]*[a-z]|__init__|__main__", path.stem)
    assert not re.search(r"(^|_)(common|utils?|helpers?|misc|stuff|tools?)(_|$)", path.stem)


@pytest.mark.parametrize("path", [path for path in modules() if part_of(path) in PURE], ids=name_of)
def test_pure_packages_take_time_ids_and_chance_as_arguments(path: Path) -> None:
    calls = [node for node in ast.walk(ast.parse(path.read_text())) if isinstance(node, ast.Call)]
    names = [(called_name(call), call.lineno) for call in calls]
    assert [f"line {line}: {name}()" for name, line in names if name in CLOCKS_AND_DICE] == []


def called_name(call: ast.Call) -> str:
    function = call.func
    return (
        function.attr if isinstance(function, ast.Attribute) else function.id if isinstance(function, ast.Name) else ""
    )


def test_a_command_for_files_waits_for_no_server() -> None:
    """`map` is called once per file; uvicorn, structlog and pydantic would make it wait twice as long."""
    loaded = "import sys, fhir_adapter.cli, fhir_adapter.flows.convert; print(*sys.modules)"
    found = subprocess.run([sys.executable, "-c", loaded], capture_output=True, text=True, check=True).stdout.split()
    assert "msgspec" in found
    assert not {"uvicorn", "fastapi", "structlog", "pydantic", "sqlite3", "requests"} & set(found)


def test_the_table_of_parts_has_no_circle_and_no_part_that_is_gone() -> None:
    list(TopologicalSorter(ALLOWED).static_order())
    here = {part_of(path) for path in modules()}
    assert set(ALLOWED) - here <= {"__main__"}, "a part in ALLOWED does not exist"


def test_mapping_plan_access_and_checks_never_meet_outside_flows() -> None:
    four = {"mapping", "plan", "access", "checks"}
    for part in four:
        assert not ALLOWED[part] & four
    assert not ALLOWED["web"] & four


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("plan", "from fhir_adapter.mapping.load import load"),
        ("plan", "def f():\n    import requests"),
        ("mapping", "from sqlite3 import connect"),
        ("checks", "if TYPE_CHECKING:\n    import sqlite3"),
        ("flows", "import sqlite3"),
        ("flows", "from fhir_adapter import web"),
        ("flows", "import requests"),
        ("web", "from fhir_adapter.plan import merge"),
        ("fhir", "from urllib.request import urlopen"),
        ("access", "from os import environ"),
        ("store", "from . import journal"),
        ("store", "import numpy"),
        ("errors", "import fhir_adapter.fhir.resources"),
    ],
)
def test_an_import_through_a_wall_is_seen(part: str, line: str) -> None:
    assert len(forbidden_imports(part, line)) == 1


@pytest.mark.parametrize(
    ("part", "line"),
    [
        ("store", "import sqlite3\nfrom fhir_adapter.errors import Conflict"),
        ("flows", "if TYPE_CHECKING:\n    import sqlite3"),
        ("fhir", "import json, msgspec\nfrom pathlib import Path\nfrom urllib.parse import urlsplit"),
        ("remotes", "from requests.adapters import HTTPAdapter"),
    ],
)
def test_what_the_tables_allow_passes(part: str, line: str) -> None:
    assert forbidden_imports(part, line) == []
