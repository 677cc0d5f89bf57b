"""One case per seed: a record, half of the time with fields that no format has, and the same record after a change."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

from fhir_adapter.mapping.load import FOLDER, find
from tests.laws.changes import changed
from tests.laws.lens import Case
from tests.laws.marks import marked
from tests.laws.records import Records

EXAMPLE = Path(__file__).parents[2] / "examples" / "fjordbyen"
MAPPINGS = [*sorted(path.parent.name for path in FOLDER.glob("*/mapping.yaml")), f"{EXAMPLE}/"]
"""every mapping of the project, by its name or folder"""


@cache
def records_of(name: str) -> Records:
    """The records of a mapping; what its fields take is found out once."""
    return Records(find(name))


def case_of(records: Records, seed: int) -> Case | None:
    """The case of a seed, or None where no record could be made that the mapping takes."""
    random = Random(seed)
    record = records.record(random)
    if record is None:
        return None
    if random.random() < 0.5:
        record = marked(records.pools, record)
    return Case(records.mapping, record, changed(records, record, random), random)
