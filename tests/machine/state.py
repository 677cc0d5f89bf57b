"""What every rule of a run has in its hands: the world, the municipality, and what the judge has to remember."""

from __future__ import annotations

import atexit
import copy
import shutil
import tempfile
from functools import cache
from pathlib import Path
from typing import Any

from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize

from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.flows.naming import write_id_of
from fhir_adapter.flows.push import Answer, Delivery
from fhir_adapter.store.tombstones import KeptTombstone
from tests.machine.ledger import Ledger
from tests.machine.words import content
from tests.machine.world import FIRST_RECORD, REGIONS, World, copied, prepared

SHM = Path("/dev/shm")

regions = st.sampled_from(REGIONS)
which = st.integers(0, 3)


@cache
def store() -> Path:
    """Where this process keeps its worlds: in memory where the system has such a place."""
    folder = Path(tempfile.mkdtemp(prefix="machine-", dir=SHM if SHM.is_dir() else None))
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    return folder


@cache
def prepared_once() -> Path:
    return prepared(store())


class Municipality:
    """A municipal system: its own copy of the record, what it was last shown, and what it could not deliver yet."""

    def __init__(self) -> None:
        self.record: dict[str, Any] = copy.deepcopy(FIRST_RECORD)
        self.shown: dict[str, Any] | None = None
        self.version: int | None = None
        self.waiting: Delivery | None = None
        self.consent = True
        self.count = 1

    def item_words(self, list_: str, id_: str) -> set[str]:
        """What it has before its eyes as the words of an item: its own copy's, and those it was shown."""
        records = [self.record, *([self.shown] if self.shown else [])]
        return {item["text"] for record in records for item in record.get(list_, []) if item["id"] == id_}


class State(RuleBasedStateMachine):
    """A run between its beginning and its end."""

    world: World

    @initialize(seed=st.integers(0, 2**16))
    def begin(self, seed: int) -> None:
        self.folder = Path(tempfile.mkdtemp(dir=store()))
        self.world = copied(prepared_once(), self.folder, seed)
        self.ledger = Ledger()
        self.town = Municipality()
        self.answered: list[tuple[Delivery, Answer]] = []
        self.blind: set[str] = set()
        self.blindly_written: set[tuple[str, str]] = set()
        self.sent_at_revocation: dict[str, int] | None = None
        self.live: dict[str, str] = {}
        self.buried: list[KeptTombstone] = []
        self.spoken_of: set[str] = set()
        self.trash: dict[tuple[str, str], Resource] = {}
        self.trashed: dict[str, set[str]] = {name: set() for name in REGIONS}
        self.fetched = (0, 0)
        self.unsure: set[str] = set()
        self.said_again: set[str] = set()
        self.restores = 0
        self.looked_at = 0
        self.untouched = {
            (name, reference_of(one)): content(one)
            for name, region in self.world.regions.items()
            for type_ in ("Patient", "Organization", "Practitioner", "PractitionerRole")
            for one in region.there(type_)
        }
        for region in self.world.regions.values():
            region.back_up()
            region.wire.arrived = {mark for one in region.there() if (mark := write_id_of(one))}

    def forget(self) -> None:
        """Nothing of this world is left."""
        self.world.close()
        shutil.rmtree(self.folder, ignore_errors=True)
