"""One case per seed: a record, half of the time with fields that no format has, and the same record after a change."""

from __future__ import annotations

from functools import cache
from pathlib import Path
from random import Random

from fhir_adapter.mapping.load import FOLDER, find
from fhir_adapter.mapping.recognising import Earlier
from tests.laws.changes import changed
from tests.laws.edits import Edits
from tests.laws.lens import Case
from tests.laws.marks import marked
from tests.laws.moves import moved
from tests.laws.pools import PLACE
from tests.laws.records import Records

EXAMPLE = Path(__file__).parents[2] / "examples" / "fjordbyen"
MAPPINGS = [*sorted(path.parent.name for path in FOLDER.glob("*/mapping.yaml")), f"{EXAMPLE}/"]
"""every mapping of the project, by its name or folder"""

KNOWN = 100
"""so many records know the values that an edit may take from another one"""


@cache
def records_of(name: str) -> Records:
    """The records of a mapping; what its fields take is found out once."""
    return Records(find(name))


@cache
def edits_of(name: str) -> Edits:
    """The edits of a mapping's FHIR."""
    known = (records_of(name).record(Random(seed)) for seed in range(KNOWN))
    return Edits(find(name), [record for record in known if record is not None])


def case_of(name: str, seed: int) -> Case | None:
    """The case of a seed, or None where no record could be made that the mapping takes."""
    records, random = records_of(name), Random(seed)
    record = records.record(random)
    if record is None:
        return None
    first = record
    if random.random() < 0.5:
        record = moved(records, record, random) or record
    if random.random() < 0.5:
        with_more = marked(records.pools, record)
        record = record if records.pools.faults(with_more) else with_more  # even an unknown field can be one too many
    names = records.mapping.names_in(record, [Earlier(first)], **PLACE)
    change = random.choice([changed, changed, moved])
    after, edit = change(records, record, random), edits_of(name).edited(record, random, names)
    return Case(records.mapping, record, after, random, edit, names)
