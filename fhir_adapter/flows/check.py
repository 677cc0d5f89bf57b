"""`fhir-adapter check`: what a mapping covers, what it loses, and whether its samples and its laws hold."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from fhir_adapter.checks.terminology import check_codes, codes_allowed_at
from fhir_adapter.checks.validate import errors_in
from fhir_adapter.errors import AdapterError, BadDeclaration, BadRequest
from fhir_adapter.fhir.resources import BASE, dump_json, parse_json, reference_of
from fhir_adapter.flows.convert import NAMESPACE, files_in, map_file, read_file, source_of
from fhir_adapter.mapping.ends import wordless
from fhir_adapter.mapping.engine import Mapping, copied
from fhir_adapter.mapping.frames import schema_path
from fhir_adapter.mapping.inputs.formats import pattern_of
from fhir_adapter.mapping.inputs.paths import leaves
from fhir_adapter.mapping.knowledge import Table
from fhir_adapter.mapping.load import FOLDER, find
from fhir_adapter.mapping.model import Run
from fhir_adapter.mapping.required import unfilled

_OWN = re.compile(rf"{re.escape(BASE)}/fhir/(StructureDefinition|CodeSystem)/([^\"|]+)")

PROFILES = Path(__file__).resolve().parents[2] / "profiles" / "package"
"""The profiles that a declaration may name, in a checkout."""


@dataclass(frozen=True, slots=True)
class Finding:
    """Something to know about a mapping: a `problem` makes the check fail, a `note` does not."""

    severity: str
    about: str
    message: str


@dataclass(frozen=True, slots=True)
class Checked:
    """One mapping's result. `coverage`: how many of the format's fields are mapped, refused, constant."""

    name: str
    coverage: dict[str, int]
    samples: int
    findings: tuple[Finding, ...]

    @property
    def ok(self) -> bool:
        """Is there no problem?"""
        return not any(finding.severity == "problem" for finding in self.findings)

    @property
    def loads(self) -> bool:
        """Can the declaration be loaded?"""
        return bool(self.coverage)

    def as_dict(self) -> dict[str, Any]:
        """The result as JSON."""
        found = [{"severity": each.severity, "about": each.about, "message": each.message} for each in self.findings]
        return {
            "mapping": self.name, "ok": self.ok, "coverage": self.coverage, "samples": self.samples, "findings": found,
        }  # fmt: skip


def check_mapping(name: str) -> Checked:
    """Checks one mapping by its name or folder. A declaration that cannot be loaded is a problem of its own."""
    try:
        mapping = find(name)
    except BadDeclaration as fault:
        return Checked(name, {}, 0, (Finding("problem", "declaration", str(fault)),))
    samples = samples_of(mapping)
    about = (_of_required, _of_tables, _of_codes, _of_constants, _of_converters, _of_ends)
    findings = [finding for each in about for finding in each(mapping)]
    if not samples:
        findings.append(Finding("problem", "samples", "there is no sample in samples/"))
    for sample in samples:
        findings += _of_sample(mapping, sample)
    return Checked(mapping.name, coverage_of(mapping), len(samples), tuple(findings))


def mappings_in(names: Sequence[str]) -> list[str]:
    """The mappings that were named; of what a pattern like `mappings/*` found, the folders with a declaration.

    Raises BadDeclaration where none is left, or where a name is neither a file nor a mapping.
    """
    for name in names:
        if not Path(name).exists():
            _check_is_known(name)
    found = [name for name in names if not Path(name).exists() or (Path(name) / "mapping.yaml").is_file()]
    if not found:
        raise BadDeclaration(f"no mapping among: {', '.join(names)}; a mapping is a folder with a mapping.yaml")
    return [f"{name}/" if "/" not in name and (Path(name) / "mapping.yaml").is_file() else name for name in found]


def _check_is_known(name: str) -> None:
    if not (FOLDER / name / "mapping.yaml").is_file():
        raise BadDeclaration(f"there is no mapping {name!r}, and no folder of this name")


def samples_of(mapping: Mapping) -> list[Path]:
    """The sample files of a mapping; beside each stands the expected FHIR."""
    folder = mapping.folder / "samples"
    return files_in(folder) if folder.is_dir() else []


def expected_of(sample: Path) -> Path:
    """The file of the FHIR that a sample gives: NAME.fhir.json, or NAME.fhir.ndjson with a Bundle a line."""
    lines = sample.with_name(f"{sample.stem}.fhir.ndjson")
    return lines if lines.is_file() else sample.with_name(f"{sample.stem}.fhir.json")


def coverage_of(mapping: Mapping) -> dict[str, int]:
    """How many fields the format has, and how many are mapped, refused with a reason, constant, or an item's id."""
    ruled = {schema_path(path).rstrip("[]") for path, _ in mapping.coverage()}
    paths = [path.rstrip("[]") for path, _ in mapping.schema.fields()]
    holders = {path.rpartition(".")[0].rstrip("[]") for path in paths}
    fields = [path for path in paths if path in ruled or path not in holders]
    refused = {path.text for path in mapping.refused}
    told = [_dealt_with(path, ruled, refused, mapping) for path in fields]
    return {"fields": len(fields)} | {word: told.count(word) for word in ("mapped", "refused", "constant", "identity")}


def _dealt_with(path: str, ruled: set[str], refused: set[str], mapping: Mapping) -> str:
    """What becomes of a field, itself or with what it is in."""
    around = [each.rstrip("[]") for each in _around(path)]
    if any(each in ruled for each in around):
        return "mapped"
    if any(each in refused for each in _around(path)):
        return "refused"
    if path in mapping.constants:
        return "constant"
    return "identity" if mapping.is_an_id(path) else ""


def _of_required(mapping: Mapping) -> Iterator[Finding]:
    for element in unfilled(mapping, _beyond_r4(mapping.profiles)):
        yield Finding("problem", "required", f"{element} is required, and no rule, constant or link fills it")


def _beyond_r4(profiles: dict[str, str]) -> dict[str, list[str]]:
    """The elements that the declaration's profiles require. Raises BadDeclaration for one that is not there."""
    required: dict[str, list[str]] = {}
    for type_, name in profiles.items():
        file = PROFILES / f"StructureDefinition-{name}.json"
        if not file.is_file():
            raise BadDeclaration(f"profiles: {type_}: there is no profile {name!r} in {PROFILES.name}")
        elements = parse_json(file.read_bytes())["differential"]["element"]
        required[type_] = [each["path"] for each in elements if each.get("min", 0) > 0 and "sliceName" not in each]
    return required


def _of_tables(mapping: Mapping) -> Iterator[Finding]:
    for name, table in mapping.knowledge.tables.items():
        for row in table.rows:
            where = f"table {name}, line {row.line}"
            back = table.words.get(row.codes[0])
            others = [repr(word) for word in row.words if word != back]
            if others:
                yield Finding("note", where, f"read as well: {', '.join(others)}; a new record says {back!r}")
            if not row.words:
                yield Finding("note", where, f"the code {row.codes[0]!r} has no word: the format stays silent about it")


def _of_codes(mapping: Mapping) -> Iterator[Finding]:
    """Rows whose code may not stand where a rule writes the table."""
    tables = [(rule, rule.pair.table) for _, rule in mapping.coverage() if rule.pair is not None]
    found = (_wrong_codes(table, each) for rule, table in tables if table is not None for each in rule.elements())
    yield from dict.fromkeys(finding for each in found for finding in each)


def _of_constants(mapping: Mapping) -> Iterator[Finding]:
    """Constants of anchors that R4 does not know where only its own codes may stand."""
    for scope in mapping.root.with_all_inside():
        for anchor in (each for each in scope.anchors if each.type is not None):
            where = f"anchor {anchor.name} of {scope.name or 'the record'}"
            for issue in check_codes({"resourceType": anchor.type, **anchor.constants}):
                yield Finding("problem", where, f"set: {issue.path} {issue.message}: {issue.expected}")


def _wrong_codes(table: Table, element: str) -> Iterator[Finding]:
    type_, *names = element.split(".")
    allowed = codes_allowed_at(type_, names, table.system)
    for row in table.rows if allowed is not None else ():
        if wrong := [repr(code) for code in row.codes if code not in (allowed or ())]:
            message = f"{element} knows no {', '.join(wrong)}; its codes are: {', '.join(sorted(allowed or ()))}"
            yield Finding("problem", f"table {table.name}, line {row.line}", message)


def _of_converters(mapping: Mapping) -> Iterator[Finding]:
    told = {
        rule.converter.name: rule.converter.loses
        for _, rule in mapping.coverage()
        if rule.converter is not None and rule.converter.loses
    }
    for name, loses in sorted(told.items()):
        accepted = mapping.lossy.get(name)
        yield Finding("note", f"converter {name}", f"loses {loses}" + (f"; accepted: {accepted}" if accepted else ""))


def _of_ends(mapping: Mapping) -> Iterator[Finding]:
    """What says in FHIR that it was taken away, where the format has no word for that."""
    run = Run({}, "", "", NAMESPACE, mapping.knowledge)
    for scope in mapping.scopes():
        for anchor in wordless(scope.ends, scope.anchors, run):
            where = f"anchor {anchor.name} of {scope.name or 'the record'}"
            message = f"no word says that this {anchor.type} was taken away: it is left out of the record then"
            yield Finding("note", where, message)


def _of_sample(mapping: Mapping, sample: Path) -> Iterator[Finding]:
    raw = sample.read_bytes()
    expected = expected_of(sample)
    converted = map_file(str(mapping.folder), raw)
    if not converted.ok:
        refused = [issue for issue in converted.issues if issue["severity"] == "error"]
        yield Finding("problem", sample.name, f"is refused: {refused[0]['path']}: {refused[0]['message']}")
        return
    if not expected.is_file():
        yield Finding("problem", sample.name, f"has no expected FHIR beside it: {expected.name}")
    elif _lines(converted.output) != _lines(expected.read_bytes()):
        yield Finding("problem", sample.name, f"gives other FHIR than {expected.name}")
    for entry in read_file(mapping, raw)[1].entries:
        for message in _broken_laws(mapping, entry.taken()):
            yield Finding("problem", sample.name, message)
        for path, comes in _lost(mapping, entry.taken()):
            reason = next((mapping.lossy[each] for each in _around(path) if each in mapping.lossy), None)
            told = f"{path} {'comes back otherwise' if comes else 'does not come back'} from FHIR alone"
            yield Finding(
                "note" if reason else "problem", sample.name, f"{told}; accepted: {reason}" if reason else told
            )


def _lines(raw: bytes) -> list[Any]:
    """The Bundles of a file, however it is laid out."""
    try:
        return [parse_json(raw)]
    except BadRequest:
        return [parse_json(line) for line in raw.splitlines() if line.strip()]


def _broken_laws(mapping: Mapping, native: dict[str, Any]) -> Iterator[str]:
    """What of the laws does not hold for a record, and what of its FHIR is not R4."""
    place: dict[str, Any] = {"source": source_of(mapping.name), "namespace": NAMESPACE}
    try:
        resources = mapping.get(native, **place).resources
        if any(each.put(resources, native, **place) != native for each in (mapping, mapping.searching())):
            yield "unchanged FHIR does not leave the record as it was: put(get(n), n) is not n"
        marked = _marked(mapping, native)
        if mapping.put(resources, marked, **place) != marked:
            yield "a field that the format does not know is lost on the way back"
        again = mapping.get(mapping.create(resources, **place), **place).resources
        if _by_reference(again) != _by_reference(resources):
            yield f"FHIR does not come back from the record that it makes: {', '.join(_different(resources, again))}"
    except AdapterError as fault:
        yield f"the way back fails: {'; '.join(f'{issue.path}: {issue.message}' for issue in fault.issues)}"
        return
    for resource in resources:
        for issue in errors_in(resource):
            yield f"is not R4: {issue.path}: {issue.message}"
    yield from _undeclared(resources)


def _undeclared(resources: Sequence[dict[str, Any]]) -> Iterator[str]:
    """Extensions and code systems under this project's address that it does not have: words without a colon are taken
    for its own."""
    told = {found.groups() for one in resources for found in _OWN.finditer(dump_json(one).decode())}
    for kind, name in sorted(told) if PROFILES.is_dir() else ():
        if not (PROFILES / f"{kind}-{name}.json").is_file():
            what = "extension" if kind == "StructureDefinition" else "code system"
            yield f"{name!r} is no {what} of this project: write the whole URL of your own, such as https://my.town/{name}"


def _by_reference(resources: Sequence[dict[str, Any]]) -> dict[str, Any]:
    return {reference_of(resource): resource for resource in resources}


def _different(one: Sequence[dict[str, Any]], other: Sequence[dict[str, Any]]) -> list[str]:
    """The types of the resources that differ, without ids: those may be derived from personal data."""
    left, right = _by_reference(one), _by_reference(other)
    return sorted({name.partition("/")[0] for name in left.keys() | right.keys() if left.get(name) != right.get(name)})


def _marked(mapping: Mapping, value: Any, path: str = "") -> Any:
    """The record with a field that no format knows in every object, but in those that a rule converts as a whole."""
    if path and path in {schema_path(field).rstrip("[]*") for field, _ in mapping.coverage()}:
        return copied(value)
    if isinstance(value, dict):
        children = {name: _marked(mapping, child, f"{path}.{name}" if path else name) for name, child in value.items()}
        return {**children, "x-unknown": "kept"}
    return [_marked(mapping, child, f"{path}[]") for child in value] if isinstance(value, list) else copied(value)


def _lost(mapping: Mapping, native: dict[str, Any]) -> list[tuple[str, bool]]:
    """The fields of a record that do not come back as they were sent when it is made from its FHIR alone, and whether
    they come back with anything at all."""
    place: dict[str, Any] = {"source": source_of(mapping.name), "namespace": NAMESPACE}
    mapped = mapping.get(native, **place)
    created = dict(leaves(mapping.create(mapped.resources, **place)))
    away = {one.path for one in mapped.unmapped}
    return [
        (path, path in created)
        for path, value in leaves(native)
        if created.get(path) != value and not any(each in away for each in _around(path))
    ]


def _around(path: str) -> list[str]:
    """The path, those around it, and each without its positions: `mal[0].text`, `mal[0]`, `mal`, `mal[].text`, ..."""
    found = [path]
    while (cut := max(path.rfind("."), path.rfind("["))) > 0:
        path = path[:cut]
        found.append(path)
    return found + [pattern_of(each) for each in found]
