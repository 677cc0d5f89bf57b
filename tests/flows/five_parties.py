"""Two regions and three municipalities on one plan, all editing at once; interop runs it with HAPI, too."""

from __future__ import annotations

import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from fhir_adapter.app import build_sandbox, open_hub
from fhir_adapter.flows import sync
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.pull import show_changes, show_record
from fhir_adapter.flows.push import Delivery, push
from fhir_adapter.flows.verify import verify
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.settings import ORGNR, PartySettings, as_demo, demo_parties, read_settings
from fhir_adapter.store import conflicts
from tests.flows.conftest import SAMPLES

MUNICIPALITIES = ("sodertalje", "nykvarn", "salem")
REGIONS = ("region-stockholm", "region-uppsala")
OTHERS = {
    "nykvarn": ("Nina Nyqvist", "Nykvarns kommun", "2120002999", "kommun"),
    "salem": ("Sara Salén", "Salems kommun", "2120002874", "kommun"),
    "region-uppsala": ("Ulf Uppman", "Region Uppsala", "2321000024", "region"),
}


@dataclass(slots=True)
class Five:
    """The plans, and each region as a FHIR client that nobody disturbs."""

    hub: Hub
    regions: dict[str, FhirClient]
    plan: str = ""

    def push(self, party: str, record: dict[str, Any]) -> dict[str, Any]:
        body = json.dumps(record, ensure_ascii=False).encode()
        answer = push(self.hub, self.hub.parties[party], Delivery(str(uuid4()), "application/json", body))
        assert answer.status in (200, 201), answer.receipt
        receipt: dict[str, Any] = json.loads(answer.receipt)
        return receipt

    def record_of(self, party: str) -> dict[str, Any]:
        """The plan as the municipality gets it, under whatever id it goes by there."""
        shown = show_changes(self.hub, self.hub.parties[party], 0, 50).shown
        record: dict[str, Any] = show_record(self.hub, self.hub.parties[party], shown[0].record).native
        return record

    def turn(self) -> bool:
        """One turn with each region; whether anything happened."""
        turns = [sync.cycle(self.hub, self.hub.parties[name], overlap=sync.LONG_OVERLAP) for name in REGIONS]
        assert not any(turn.parked or turn.stopped or turn.problem for turn in turns), turns
        self.hub.database.write(lambda connection: connection.execute("UPDATE outbox SET due = 0"))
        return any(turn.taken or turn.delivered or turn.waiting for turn in turns)

    def settle(self) -> None:
        for _ in range(30):
            if not self.turn():
                return
        raise AssertionError("it does not come to rest")

    def at(self, region: str, type_: str, word: str) -> dict[str, Any]:
        """The resource of the plan in which this word stands, as the region has it."""
        client = self.regions[region]
        plan = client.read("CarePlan", self.plan)
        assert plan
        assert plan.resource
        named = [each["reference"] for each in plan.resource["goal"]]
        named += [each["reference"]["reference"] for each in plan.resource["activity"] if "reference" in each]
        found = [client.read(*name.split("/")) for name in named if name.startswith(type_)]
        return next(each.resource for each in found if each and each.resource and word in json.dumps(each.resource))

    def edit_at(self, region: str, type_: str, word: str, **elements: Any) -> None:
        """Change the resource of the plan in which this word stands, over there."""
        current = self.at(region, type_, word)
        condition = {"If-Match": f'W/"{current["meta"]["versionId"]}"'}
        self.regions[region].send("PUT", f"{type_}/{current['id']}", json=current | elements, headers=condition)

    def writes(self) -> int:
        row = self.hub.database.read().execute("SELECT count(*) FROM remote_write").fetchone()
        return int(row[0])


@contextmanager
def five_parties(folder: Path, second_region: str | None = None) -> Iterator[Five]:
    """`second_region`: the base URL of a FHIR server; left out: a second sandbox."""
    asgis = [build_sandbox(folder / name) for name in REGIONS]
    sockets = [listen("127.0.0.1", 0) for _ in REGIONS]
    urls = [f"{address_of(each)}/fhir" for each in sockets]
    with answering_in_a_thread(asgis[0][0], sockets[0]), answering_in_a_thread(asgis[1][0], sockets[1]):
        first, second = urls[0], second_region or urls[1]
        other = PartySettings(name="region-uppsala", title="Region Uppsala", identifiers=((ORGNR, "2321000024"),),
                              fhir=second)  # fmt: skip
        settings = as_demo(read_settings(None, data=folder / "data"), first)
        settings = settings.model_copy(update={"parties": (*demo_parties(first), other), "longest_pause": 0.01})
        with open_hub(settings) as hub:
            yield Five(hub, dict(zip(REGIONS, (FhirClient(first), FhirClient(second)), strict=True)))
    for _, database in asgis:
        database.close()


def a_plan_of_five(number: str) -> dict[str, Any]:
    """SIP-1, with a participant and an intervention of each of the others."""
    sip: dict[str, Any] = json.loads((SAMPLES / "SIP-1.json").read_text("utf-8"))
    sip["person"]["personnummer"] = number
    sip["id"] = f"SIP-{number}"
    for name, title, orgnr, kind in OTHERS.values():
        sip["deltagare"].append({"namn": name, "roll": "handläggare", "org": title, "orgnr": orgnr})
        sip["insatser"].append({"id": f"I-{orgnr}", "mal": ["M1"], "text": f"Insats av {title}", "huvudman": kind,
                                "ansvarig": name, "status": "pågående"})  # fmt: skip
    return sip


def all_edit_and_it_settles(five: Five, number: str) -> None:
    """Each changes something of its own and all change one text, unseen by the others; then all have the same, what was
    not live is kept, and nobody writes any more."""
    five.plan = five.push("sodertalje", a_plan_of_five(number))["plan"]["id"]
    five.settle()
    for round_ in (1, 2, 3):
        records = {party: five.record_of(party) for party in MUNICIPALITIES}
        note = {"time": f"2025-03-{round_:02d}T09:00:00Z", "text": f"stockholm {round_}"}
        five.edit_at("region-stockholm", "Goal", "ringer", note=[note])
        five.edit_at("region-uppsala", "ServiceRequest", "Region Uppsala", patientInstruction=f"uppsala {round_}")
        for party, record in records.items():
            record["insatser"][MUNICIPALITIES.index(party) + 1]["text"] += f" ({party} {round_})"
            record["mal"][2]["text"] = f"{party} skriver {round_}"
            five.push(party, record)
        five.turn()
    five.settle()
    assert {name: list(verify(five.hub, five.hub.parties[name])) for name in REGIONS} == {name: [] for name in REGIONS}
    _check_all_have_the_same(five)
    _check_nothing_is_lost(five)
    before = five.writes()
    for _ in range(3):
        assert not five.turn()
    assert five.writes() == before


def a_pointer_into_a_record_of_its_own_holds_up_no_other(five: Five, number: str) -> None:
    """A server that checks references refuses a pointer to what it does not have: it would hear no more of the plan."""
    five.plan = five.push("sodertalje", a_plan_of_five(number))["plan"]["id"]
    five.settle()
    samples = [{"reference": f"Specimen/{name}"} for name in (str(uuid4()), "17")]
    five.edit_at("region-stockholm", "ServiceRequest", "tas fram", specimen=samples)
    five.settle()
    there = five.at("region-uppsala", "ServiceRequest", "tas fram")["specimen"]
    assert [(one.keys(), "not here" in one["display"]) for one in there] == [({"display"}, True)] * 2
    note = [{"text": "Uppsala har också ringt"}]
    five.edit_at("region-uppsala", "ServiceRequest", "tas fram", note=note)
    five.settle()
    ours = five.at("region-stockholm", "ServiceRequest", "tas fram")
    assert (ours["specimen"], ours["note"]) == (samples, note)
    assert {name: list(verify(five.hub, five.hub.parties[name])) for name in REGIONS} == {name: [] for name in REGIONS}


def _check_all_have_the_same(five: Five) -> None:
    records = [five.record_of(party) for party in MUNICIPALITIES]
    for field in ("mal", "insatser"):
        texts = [sorted(each["text"] for each in record[field]) for record in records]
        assert texts[0] == texts[1] == texts[2]
    first, second = (_at(five, region) for region in REGIONS)
    assert first == second


def _check_nothing_is_lost(five: Five) -> None:
    """The lead's word is live, the others' words wait for a decision; what only one changed is everywhere, and so are
    the notes that the region wrote over."""
    words = {f"{party} skriver {round_}" for party in MUNICIPALITIES for round_ in (1, 2, 3)}
    kept = [each.other for each in conflicts.of_plan(five.hub.database.read(), five.plan) if each.other]
    assert sorted(json.loads(each)["text"] for each in kept) == sorted(
        word for word in words if "sodertalje" not in word
    )
    everything = json.dumps(_at(five, "region-uppsala"), ensure_ascii=False)
    own = [f"({party} 3)" for party in MUNICIPALITIES]
    for word in (*own, "sodertalje skriver 3", "stockholm 1", "stockholm 2", "stockholm 3", "uppsala 3"):
        assert everything.count(word) == 1, word


def _at(five: Five, region: str) -> list[Any]:
    """What a region has of the plan: its contents, without what only says where and when they were stored."""
    client = five.regions[region]
    plan = client.read("CarePlan", five.plan)
    assert plan
    assert plan.resource
    names = [each["reference"] for each in plan.resource["goal"]]
    names += [each["reference"]["reference"] for each in plan.resource["activity"]]
    found = [plan, *(client.read(*name.split("/")) for name in names)]
    whole = [each.resource for each in found if each and each.resource]
    assert len(whole) == len(names) + 1
    return [_content({name: one[name] for name in one if name not in ("id", "meta", "extension")}) for one in whole]


def _content(value: Any) -> Any:
    """Without the ids that a region has for persons and organisations that it knew before."""
    if isinstance(value, list):
        return [_content(each) for each in value]
    if not isinstance(value, dict):
        return value
    return {name: each.partition("/")[0] if name == "reference" and isinstance(each, str) else _content(each)
            for name, each in value.items()}  # fmt: skip
