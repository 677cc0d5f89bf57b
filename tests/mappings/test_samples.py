"""Every sample of every mapping, in both directions, against the FHIR that is committed beside it."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
from fhir.resources.R4B import get_fhir_model_class

from fhir_adapter.fhir.resources import dump_json, parse_json, reference_of, references_in
from fhir_adapter.flows.convert import NAMESPACE, map_file, resources_of, source_of, unmap_file
from fhir_adapter.mapping.load import FOLDER, find

SAMPLES = sorted(path for path in FOLDER.glob("*/samples/*.*") if not path.name.endswith(".fhir.json"))


def record_in(sample: Path, raw: bytes) -> Any:
    """The record in some bytes, in the sample's own format."""
    return find(sample.parent.parent.name).record_in(raw)


def fhir_of(sample: Path) -> Path:
    return sample.with_name(f"{sample.stem}.fhir.json")


def without_nulls(record: Any) -> Any:
    """null and a missing property say the same in the native format; a new record leaves it out."""
    if isinstance(record, list):
        return [without_nulls(item) for item in record]
    if isinstance(record, dict):
        return {name: without_nulls(value) for name, value in record.items() if value is not None}
    return record


@pytest.fixture(params=SAMPLES, ids=lambda path: f"{path.parent.parent.name}/{path.stem}")
def sample(request: pytest.FixtureRequest) -> Path:
    path: Path = request.param
    return path


def test_there_are_samples() -> None:
    assert {"SIP-1", "SIP-3", "full"} <= {path.stem for path in SAMPLES}


def test_a_sample_gives_the_fhir_beside_it(sample: Path) -> None:
    converted = map_file(sample.parent.parent.name, sample.read_bytes())
    assert converted.ok
    assert parse_json(converted.output) == parse_json(fhir_of(sample).read_bytes())
    if sample.suffix == ".json":  # a file that may hold several records gives one line for each
        assert converted.output == fhir_of(sample).read_bytes()


def test_the_fhir_alone_gives_the_whole_sample_again(sample: Path) -> None:
    converted = unmap_file(sample.parent.parent.name, fhir_of(sample).read_bytes())
    assert converted.ok
    assert record_in(sample, converted.output) == without_nulls(record_in(sample, sample.read_bytes()))


def test_unchanged_fhir_leaves_the_sample_exactly_as_it_was(sample: Path) -> None:
    before = sample.read_bytes()
    converted = unmap_file(sample.parent.parent.name, fhir_of(sample).read_bytes(), before=before)
    assert dump_json(record_in(sample, converted.output)) == dump_json(record_in(sample, before))


def test_every_resource_of_a_sample_is_r4(sample: Path) -> None:
    for resource in resources_of(parse_json(fhir_of(sample).read_bytes())):
        get_fhir_model_class(resource["resourceType"]).model_validate_json(dump_json(resource))


def test_every_reference_of_a_sample_leads_to_a_resource_beside_it(sample: Path) -> None:
    resources = resources_of(parse_json(fhir_of(sample).read_bytes()))
    known = {reference_of(resource) for resource in resources}
    pointed = {pointer["reference"] for resource in resources for _, pointer in references_in(resource)}
    assert pointed <= known
    assert resources[0]["resourceType"] in find(sample.parent.parent.name).root_types()


@pytest.mark.parametrize("name", sorted({sample.parent.parent.name for sample in SAMPLES}))
def test_the_samples_called_full_use_every_field_of_their_format(name: str) -> None:
    mapping = find(name)
    full = [path for path in SAMPLES if path.parent.parent.name == name and path.stem.startswith("full")]
    records = [record_in(path, path.read_bytes()) for path in full]
    refused = tuple(f"{path.text}{end}" for path in mapping.refused for end in (".", "[]"))
    fields = {path for path, _ in mapping.schema.fields() if not f"{path}.".startswith(refused)}
    used = {path for record in records for path in paths_in(mapping.shorthand.expanded(record))}
    assert fields - used == set()
    for record in records:
        mapped = mapping.get(record, source=source_of(name), namespace=NAMESPACE)
        assert mapped.unmapped == []
        assert mapped.issues == []


def paths_in(value: Any, path: str = "") -> list[str]:
    found = [path] if path else []
    if isinstance(value, dict):
        for name, child in value.items():
            found += paths_in(child, f"{path}.{name}" if path else name)
    elif isinstance(value, list):
        for child in value:
            if isinstance(child, dict):
                found += paths_in(child, f"{path}[]")
    return found
