"""Nothing undeclared leaves the house: every extension and code of ours is in profiles/, as it is used."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import yaml

from fhir_adapter.fhir.resources import BASE, CODES, EXTENSIONS

ROOT = Path(__file__).resolve().parent.parent.parent
PACKAGE = {
    f"{definition['url']}": definition
    for definition in (
        json.loads(file.read_text()) for file in sorted((ROOT / "profiles" / "package").glob("*-*.json"))
    )
}
TEXTS = ("*.py", "*.yaml", "*.json", "*.sql", "*.html", "*.toml")

IN_FULL = re.compile(rf"{re.escape(BASE)}/fhir/(?:StructureDefinition|CodeSystem|ValueSet|SearchParameter)/[\w-]+")
BY_CONSTANT = re.compile(r"\{(EXTENSIONS|CODES)\}/([\w-]+)")
BY_MARK = re.compile(r"= ([a-z][\w-]*)#[\w-]+$|^\s*skip: .* = ([a-z][\w-]*)$|^\s+([a-z][\w-]*)#[\w-]+:", re.MULTILINE)
BY_WORD = re.compile(
    r"extension\[([A-Za-z][\w-]*)\]|^\s*extension: ([A-Za-z][\w-]*)\s*$|\| in_extension ([A-Za-z][\w-]*) ", re.MULTILINE
)
DECLARED_IN_FSH = re.compile(
    r"^(?:Extension|CodeSystem|ValueSet|Profile): \w+(?:\n(?:Parent|Title|Description): .*)*\nId: ([\w-]+)"
    r"|^Instance: ([\w-]+)\nInstanceOf: SearchParameter",
    re.MULTILINE,
)


def canonicals_in(text: str, *, mapping: bool = False) -> set[str]:
    """Every canonical URL of ours that a text names, in full, through our constants or by a mapping's short word."""
    constants = {"EXTENSIONS": EXTENSIONS, "CODES": CODES}
    found = set(IN_FULL.findall(text))
    found |= {f"{constants[constant]}/{name}" for constant, name in BY_CONSTANT.findall(text)}
    if mapping:
        found |= {f"{EXTENSIONS}/{''.join(either)}" for either in BY_WORD.findall(text)}
        found |= {f"{CODES}/{''.join(either)}" for either in BY_MARK.findall(text)}
    return found


def texts(*folders: str) -> list[Path]:
    return sorted(file for folder in folders for pattern in TEXTS for file in (ROOT / folder).rglob(pattern))


def name_of(file: Path) -> str:
    return str(file.relative_to(ROOT))


@pytest.mark.parametrize("file", texts("fhir_adapter", "mappings", "examples", "tests/scenarios"), ids=name_of)
def test_every_canonical_of_ours_is_declared(file: Path) -> None:
    mapping = file.suffix == ".yaml" and file.is_relative_to(ROOT / "mappings")
    assert canonicals_in(file.read_text(), mapping=mapping) - PACKAGE.keys() == set()


@pytest.mark.parametrize("file", sorted(ROOT.glob("mappings/*/codes.yaml")), ids=name_of)
def test_every_code_of_ours_in_a_table_is_declared(file: Path) -> None:
    tables = yaml.safe_load(file.read_text())
    marks = (mark.rpartition("#") for mark in tables.pop("marks", {}))
    used = {(f"{CODES}/{system}", code) for system, _, code in marks if ":" not in system}
    for table in tables.values():
        if table.get("system", "").startswith(CODES):
            codes = (row[1] if isinstance(row[1], list) else [row[1]] for row in table["rows"])
            used |= {(table["system"], code) for several in codes for code in several}
    declared = {(url, concept["code"]) for url, found in PACKAGE.items() for concept in found.get("concept", [])}
    assert used - declared == set()


def test_the_scan_sees_every_way_of_naming_one() -> None:
    text = f"""a = "{CODES}/one"; b = f"{{EXTENSIONS}}/two"
          - x <-> plan:extension[three].valueCode
            extension: four
            mark: code = five#a
            skip: role[] = six
      seven#b: B
    """
    ours = {f"{CODES}/{name}" for name in ("one", "five", "six", "seven")}
    ours |= {f"{EXTENSIONS}/{name}" for name in ("two", "three", "four")}
    assert canonicals_in(text, mapping=True) == ours
    assert canonicals_in("plan:extension[http://hl7.org/x], signature:extension[#who]", mapping=True) == set()


def test_the_built_package_holds_what_the_sources_declare() -> None:
    sources = "\n".join(file.read_text() for file in sorted((ROOT / "profiles" / "input" / "fsh").glob("*.fsh")))
    declared = ["".join(either) for either in DECLARED_IN_FSH.findall(sources)]
    assert len(declared) == len(set(declared)) == len(re.findall(r"^(?:Id|Instance):", sources, re.MULTILINE))
    assert {definition["id"] for definition in PACKAGE.values()} == set(declared), "run `make profiles` and commit it"


# ---------------------------------------------------------------- as used in FHIR samples


def fhir_samples() -> list[Path]:
    return [
        file for file in texts("mappings", "examples", "tests/scenarios")
        if file.suffix == ".json" and list(resources_in(json.loads(file.read_text())))
    ]  # fmt: skip


def resources_in(value: Any) -> Iterator[dict[str, Any]]:
    if isinstance(value, dict) and isinstance(value.get("resourceType"), str) and value["resourceType"] != "Bundle":
        yield value
    elif isinstance(value, dict | list):
        for child in value.values() if isinstance(value, dict) else value:
            yield from resources_in(child)


def faults_in(value: Any, path: str) -> Iterator[str]:
    """What is used otherwise than declared, with its place."""
    if isinstance(value, list):
        for child in value:
            yield from faults_in(child, path)
    elif isinstance(value, dict):
        if path.endswith("xtension") and str(value.get("url", "")).startswith(f"{BASE}/"):
            yield from faults_of_extension(value, path.rpartition(".")[0])
        if str(value.get("system", "")).startswith(f"{CODES}/") and "code" in value:
            yield from faults_of_code(value, path)
        for name, child in value.items():
            yield from faults_in(child, f"{path}.{name.removeprefix('_')}")


def faults_of_extension(extension: dict[str, Any], place: str) -> Iterator[str]:
    definition = PACKAGE.get(extension["url"])
    if definition is None:
        yield f"{place}: {extension['url']} is not declared"
        return
    contexts = {context["expression"] for context in definition["context"]}
    if place not in contexts and not contexts & {"Element", "Resource", "DomainResource"}:
        yield f"{place}: {extension['url']} is declared for {sorted(contexts)}"
    elements = {element["id"]: element for element in definition["differential"]["element"]}
    yield from faults_of_value(extension, elements, "Extension", place)
    for part in extension.get("extension", []):
        if f"Extension.extension:{part['url']}" not in elements and not part["url"].startswith("http"):
            yield f"{place}: {extension['url']} has no part {part['url']}"
        yield from faults_of_value(part, elements, f"Extension.extension:{part['url']}", place)


def faults_of_value(
    extension: dict[str, Any], elements: dict[str, dict[str, Any]], element: str, place: str
) -> Iterator[str]:
    types = [kind["code"] for kind in elements.get(f"{element}.value[x]", {}).get("type", [])]
    allowed = {f"value{kind[0].upper()}{kind[1:]}" for kind in types}
    used = {name for name in extension if name.startswith("value")}
    if types and not used <= allowed:
        yield f"{place}: {extension['url']} has {sorted(used)}, declared {sorted(allowed)}"


def faults_of_code(coding: dict[str, Any], place: str) -> Iterator[str]:
    definition = PACKAGE.get(coding["system"])
    if definition is None:
        yield f"{place}: {coding['system']} is not declared"
    elif coding["code"] not in {concept["code"] for concept in definition.get("concept", [])}:
        yield f"{place}: {coding['system']} has no code {coding['code']}"


@pytest.mark.parametrize("file", fhir_samples(), ids=name_of)
def test_samples_use_extensions_and_codes_as_declared(file: Path) -> None:
    resources = resources_in(json.loads(file.read_text()))
    assert [fault for resource in resources for fault in faults_in(resource, resource["resourceType"])] == []


@pytest.mark.parametrize(
    "wrong",
    [
        {"extension": [{"url": f"{EXTENSIONS}/no-such", "valueString": "x"}]},
        {"extension": [{"url": f"{EXTENSIONS}/write-id", "valueCode": "x"}]},
        {"target": [{"extension": [{"url": f"{EXTENSIONS}/write-id", "valueId": "x"}]}]},
        {"_status": {"extension": [{"url": f"{EXTENSIONS}/no-such", "valueString": "x"}]}},
        {"code": {"coding": [{"system": f"{CODES}/conflict", "code": "no-such"}]}},
        {"code": {"coding": [{"system": f"{CODES}/no-such", "code": "x"}]}},
        {"extension": [{"url": f"{EXTENSIONS}/write-id", "extension": [{"url": "part", "valueString": "x"}]}]},
    ],
)
def test_a_use_that_is_not_declared_is_seen(wrong: dict[str, Any]) -> None:
    assert len(list(faults_in(wrong, "Goal"))) == 1


def test_a_use_that_is_declared_passes() -> None:
    right = {
        "extension": [{"url": f"{EXTENSIONS}/write-id", "valueId": "x"}],
        "code": {"coding": [{"system": f"{CODES}/conflict", "code": "resolve-conflict"}]},
    }
    assert list(faults_in(right, "Goal")) == []
