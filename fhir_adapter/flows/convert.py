"""The functions behind `fhir-adapter map` and `unmap`: bytes in, bytes and issues out, no store and no network."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from uuid import UUID

from fhir_adapter.errors import AdapterError, BadRequest, Issue, Refused
from fhir_adapter.fhir.differences import Untold
from fhir_adapter.fhir.resources import (
    BASE,
    Resource,
    asks_for_a_decision,
    reference_of,
)
from fhir_adapter.flows.fhir_parts import check_what_is_fhir, faults_in
from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.inputs.declared import JSON, read_any
from fhir_adapter.mapping.inputs.formats import Contents, Entry, Format, without_copied_id
from fhir_adapter.mapping.load import find
from fhir_adapter.mapping.recognising import Earlier
from fhir_adapter.plan.called import with_the_plans_tasks
from fhir_adapter.plan.untold import untold, whatever_the_place

NAMESPACE = UUID("5f2ad1a2-6f0b-5d54-9d53-6b0f0a3f7c11")
"""Ids made on the command line: public and fixed, so that the same file gives the same ids everywhere."""

RECORD_FILES = (".json", ".ndjson", ".jsonl", ".csv", ".txt", ".xml")
"""How the names of files with records end."""


@dataclass(frozen=True, slots=True)
class Converted:
    """What goes to standard output and to standard error. `ok` is false where a record was refused.

    `issues` are as JSON: severity, code, path, message, expected, and `record`: its number in the file, from 1; 0 is
    the file itself.
    """

    output: bytes
    issues: list[dict[str, Any]]
    ok: bool


def source_of(name: str) -> str:
    """The system of business identifiers that are made on the command line."""
    return f"{BASE}/sources/{name}"


def files_in(folder: Path) -> list[Path]:
    """The files of records in a folder, by their names; expected FHIR beside them (NAME.fhir.json) is none."""
    files = (file for file in sorted(folder.iterdir()) if file.suffix in RECORD_FILES and file.is_file())
    return [file for file in files if not file.name.startswith(".") and ".fhir." not in file.name]


Watch = Callable[[Sequence[Entry]], Iterable[Entry]]
"""looks on while records are gone through: a progress bar"""


def map_file(
    mapping_name: str, raw: bytes, *, folder: Path | None = None, one_a_line: bool = False, watch: Watch = iter
) -> Converted:
    """Native records to FHIR: a file that is one record gives one indented transaction Bundle, others one a line.

    A record that is refused is left out and its issues tell why. Raises BadDeclaration for an unknown mapping.
    """
    mapping = find(mapping_name, folder)
    _, contents = read_file(mapping, raw)

    def convert(record: Any, issues: list[Issue]) -> Resource:
        check_what_is_fhir(mapping, record)
        mapped = mapping.get(record, source=source_of(mapping.name), namespace=NAMESPACE)
        issues += mapped.issues
        issues += [
            Issue("information", "not-supported" if lost.kind == "refused" else "structure", lost.path, lost.reason)
            for lost in mapped.unmapped
        ]
        return transaction(mapped.resources)

    bundles, told, ok = _convert_each(watch(contents.entries), convert)
    told += [{"record": 0, **remark.as_dict()} for remark in contents.remarks]
    return Converted(JSON.write(bundles, single=contents.single and not one_a_line), told, ok)


def unmap_file(
    mapping_name: str, raw: bytes, *, before: bytes | None = None, folder: Path | None = None, one_a_line: bool = False
) -> Converted:
    """FHIR Bundles (one, a line each, or a list) to native records in the mapping's own format.

    `before`: the records as they were, found by their business id; what the Bundle does not say differently stays. What
    the format asks for and FHIR does not say is told; the record is written all the same.
    """
    mapping = find(mapping_name, folder)
    format_, earlier = _records_before(mapping, before)

    def convert(bundle: Any, issues: list[Issue]) -> dict[str, Any]:
        resources = [resource for resource in resources_of(bundle) if not asks_for_a_decision(resource)]
        roots = mapping.root_types()
        if not any(resource["resourceType"] in roots for resource in resources):
            raise BadRequest(
                "nothing for a record",
                [Issue("error", "required", "Bundle.entry", f"the Bundle holds no {' and no '.join(roots)}")],
            )
        source = source_of(mapping.name)
        known = _record_before(resources, earlier, mapping)
        edited: list[Untold] = []
        written = mapping.put_named(resources, Earlier(known or {}), source=source, namespace=NAMESPACE, untold=edited)
        record = written.record
        places = {reference_of(entry["resource"]): index for index, entry in enumerate(bundle["entry"])}
        issues += [*_untold(places, edited), *_without_a_field(places, resources, mapping, written, edited)]
        issues += [*mapping.schema.errors(record), *mapping.demands.issues(mapping.shorthand.expanded(record))]
        return record

    contents = JSON.read(raw)
    records, told, ok = _convert_each(contents.entries, convert)
    if one_a_line:
        path = format_.id_path
        own = records if path is None else [without_copied_id(record, path) for record in records]
        return Converted(JSON.write(own), told, ok)
    return Converted(format_.write(records, single=contents.single), told, ok)


def _untold(places: dict[str, int], untold: Collection[Untold]) -> Iterator[Issue]:
    """What was taken away and is in the record no more, and what its fields tell from another element. `places`: where
    each resource stands in the Bundle."""
    known = [one for one in untold if one.reference in places]
    for one in sorted(known, key=lambda one: (places[one.reference], one.path)):
        place = f"Bundle.entry[{places[one.reference]}].resource" + (f".{one.path}" if one.path else "")
        gone = "this was taken away, and the format has no word for that: it is left out"
        message = "this says something else than the element that its field is told from" if one.path else gone
        yield Issue("information", "not-supported", place, message)


def _without_a_field(
    places: dict[str, int],
    resources: Sequence[Resource],
    mapping: Mapping,
    written: Earlier,
    edited: Collection[Untold],
) -> Iterator[Issue]:
    """What else the record does not tell of the Bundle; nothing where it cannot be read back."""
    try:
        mapped = mapping.get(
            written.record,
            source=source_of(mapping.name),
            namespace=NAMESPACE,
            names=written.names,
            shown=lambda: (written.record,),
        )
    except Refused:
        return
    over = {one.reference for one in edited if not one.path}
    told = {(one.reference, whatever_the_place(one.path)) for one in edited}
    plan = {reference_of(one): one for one in resources if reference_of(one) not in over}
    for one in untold(plan, with_the_plans_tasks(mapped.resources, plan), over):
        if (one.reference, one.path) not in told:
            place = f"Bundle.entry[{places[one.reference]}].resource{one.path and '.'}{one.path}"
            yield Issue("information", "not-supported", place, "the format has no field for this: it is left out")


def transaction(resources: Sequence[Resource]) -> Resource:
    """A transaction Bundle that puts every resource under its own id."""
    entries = [
        {
            "fullUrl": f"{BASE}/fhir/{reference_of(resource)}",
            "resource": resource,
            "request": {"method": "PUT", "url": reference_of(resource)},
        }
        for resource in resources
    ]
    return {"resourceType": "Bundle", "type": "transaction", "entry": entries}


def resources_of(bundle: Any) -> list[Resource]:
    """The resources of a Bundle, each R4 by its structure. Raises BadRequest with every fault."""
    if not isinstance(bundle, dict) or bundle.get("resourceType") != "Bundle":
        raise BadRequest("expected a FHIR Bundle")
    entries = bundle.get("entry")
    faults: list[Issue] = []
    resources: list[Resource] = []
    for index, entry in enumerate(entries if isinstance(entries, list) else ()):
        resource = entry.get("resource") if isinstance(entry, dict) else None
        faults += structure_faults(resource, f"Bundle.entry[{index}].resource")
        if isinstance(resource, dict):
            resources.append(resource)
    if faults:
        raise BadRequest("the Bundle cannot be read", faults)
    return resources


def structure_faults(resource: Any, place: str) -> list[Issue]:
    """Where a resource of a Bundle is not R4: its place, then the element's path within it."""
    if not isinstance(resource, dict) or not isinstance(resource.get("resourceType"), str):
        return [Issue("error", "structure", place, "expected a FHIR resource")]
    if not isinstance(resource.get("id"), str):
        return [Issue("error", "required", f"{place}.id", "the resource has no id")]
    return faults_in(resource, place)


def _record_before(resources: list[Resource], earlier: dict[str, Any], mapping: Mapping) -> dict[str, Any] | None:
    record_id = mapping.record_id_in(resources, source_of(mapping.name))
    if record_id in earlier:
        return earlier[record_id]  # type: ignore[no-any-return]
    return next(iter(earlier.values())) if len(earlier) == 1 and record_id is None else None


def _records_before(mapping: Mapping, raw: bytes | None) -> tuple[Format, dict[str, dict[str, Any]]]:
    """The records as they were by their id, and the format that they are in."""
    if raw is None:
        return mapping.format, {}
    format_, contents = read_file(mapping, raw)
    found = [entry.taken() for entry in contents.entries]
    if not all(isinstance(record, dict) for record in found):
        raise BadRequest("--before: expected records, each a JSON object")
    return format_, {str(record.get("id")): record for record in found}


def read_file(mapping: Mapping, raw: bytes) -> tuple[Format, Contents]:
    """The records of a file; one that cannot be read as a whole counts as one wrong record."""
    try:
        return read_any(mapping.format, raw)
    except BadRequest as fault:
        return mapping.format, Contents([Entry(1, fault, raw)])


def _convert_each(
    entries: Iterable[Entry], convert: Callable[[Any, list[Issue]], Any]
) -> tuple[list[Any], list[dict[str, Any]], bool]:
    """What came of each record, what there is to say, and whether all went well."""
    converted: list[Any] = []
    told: list[dict[str, Any]] = []
    ok = True
    for entry in entries:
        issues: list[Issue] = []
        try:
            converted.append(convert(entry.taken(), issues))
        except AdapterError as fault:
            ok, issues = False, list(fault.issues)
        ok = ok and not any(issue.severity == "error" for issue in issues)
        told += [{"record": entry.number, **replace(issue, path=entry.place(issue.path)).as_dict()} for issue in issues]
    return converted, told, ok
