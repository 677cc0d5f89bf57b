"""What a region deletes: a question stands until somebody decides, `sync` and `--verify` agree, and nothing is lost."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
import requests
from typer.testing import CliRunner

from fhir_adapter.cli import app
from fhir_adapter.errors import Conflict
from fhir_adapter.flows import deciding, sync
from fhir_adapter.flows.conflicts import list_conflicts
from fhir_adapter.flows.push import Delivery
from fhir_adapter.flows.verify import verify
from tests.flows.conftest import Town

REGION = "region-stockholm"
WHOLE = ("CarePlan", "CareTeam", "Goal", "Patient")
TYPES = [("Patient",), ("CarePlan",), ("Goal",), ("CareTeam",), WHOLE]


@pytest.fixture
def plan(town: Town, sip: dict[str, Any]) -> str:
    """A plan that the region has."""
    receipt = town.push(sip).json()
    town.sync()
    return str(receipt["plan"]["id"])


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize("types", TYPES, ids="+".join)
def test_what_a_region_deleted_is_asked_about_and_both_commands_say_so(town: Town, types: Sequence[str]) -> None:
    gone = _delete(town, types)
    turn = _settled(town)
    assert (turn.undecided, turn.is_settled) == (len(gone), False)
    asked = {one["element"].removesuffix("#"): one for one in list_conflicts(town.service.hub, None)}
    assert asked.keys() == gone
    assert {one["kind"] for one in asked.values()} == {"edit-against-delete"}
    assert _differences(town) == {
        reference: f"deleted there: Task/{one['id']} asks whether it stays" for reference, one in asked.items()
    }


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize("types", TYPES, ids="+".join)
def test_what_is_to_stay_is_given_again_with_what_points_to_it(
    town: Town, sip: dict[str, Any], types: Sequence[str]
) -> None:
    _delete(town, types)
    _settled(town)
    sip["mal"][1]["text"] = "Jag ringer när rösterna kommer."
    town.push(sip)
    _settled(town)  # what points there went without its pointer meanwhile
    _decide(town, "keep")
    assert _settled(town).is_settled
    assert _differences(town) == {}


def test_what_is_to_end_ends_and_stays_deleted_there(town: Town, plan: str) -> None:
    gone = _delete(town, ["Goal"])
    _settled(town)
    _decide(town, "take")
    assert _settled(town).is_settled
    assert _differences(town) == {}
    assert {town.get(f"/fhir/{ref}").json()["lifecycleStatus"] for ref in gone} == {"cancelled"}
    assert _at_region(town, "Goal") == []
    assert len(town.at_region(f"CarePlan/{plan}")["goal"]) == len(gone), "the pointers stay what they were"


@pytest.mark.usefixtures("plan")
def test_a_person_cannot_be_taken_out_of_a_plan(town: Town) -> None:
    _delete(town, ["Patient"])
    _settled(town)
    hub = town.service.hub
    (asked,) = list_conflicts(hub, hub.parties["sodertalje"])
    assert asked["mayDecide"] == ["keep", "write", "later"]


@pytest.mark.usefixtures("plan")
@pytest.mark.parametrize("types", TYPES, ids="+".join)
def test_what_was_deleted_and_made_again_in_other_words_is_merged(town: Town, types: Sequence[str]) -> None:
    words = {
        "Patient": {"gender": "other"},
        "CarePlan": {"title": "Regionens titel"},
        "CareTeam": {"name": "Regionens namn"},
        "Goal": {"description": {"text": "Regionens mål"}},
    }
    before = {f"{type_}/{one['id']}": one for type_ in types for one in _at_region(town, type_)}
    _delete(town, types)
    for one in before.values():
        del one["meta"]
        town.put_at_region(one | words[one["resourceType"]])
    assert _settled(town).is_settled
    assert _differences(town) == {}
    said = [*list_conflicts(town.service.hub, None), *(town.get(f"/fhir/{ref}").json() for ref in before)]
    for type_ in types:
        (value,) = words[type_].values()
        assert str(value) in str(said), f"lost: what the region said in its {type_}"


@pytest.mark.parametrize("changed", [0, 1])
def test_a_person_with_two_plans_is_asked_about_once_and_neither_plan_brings_her_back_before(
    town: Town, sip: dict[str, Any], changed: int
) -> None:
    records = [sip, sip | {"id": "SIP-1b"}]
    for record in records:
        assert town.push(record).json()["state"] == "accepted"
    _settled(town)
    (gone,) = _delete(town, ["Patient"])
    _settled(town)
    town.push(records[changed] | {"title_local": "Annat"})
    assert _settled(town).undecided == 1
    assert requests.get(f"{town.region}/{gone}", timeout=30).status_code == 410
    _decide(town, "keep")
    assert _settled(town).is_settled
    assert _differences(town) == {}
    assert {one["subject"].get("reference") for one in _at_region(town, "CarePlan")} == {gone}


@pytest.mark.usefixtures("plan")
def test_the_commands_agree_until_somebody_has_decided_and_after(
    town: Town, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    region = 'name = "region-stockholm"\ntitle = "Region"\nidentifiers = [["urn:oid:2.5.4.97", "2321000016"]]'
    settings = f'consents_judged_on = 2025-11-01\n[[parties]]\n{region}\nfhir = "{town.region}"\n'
    (tmp_path / "settings.toml").write_text(settings, "utf-8")
    monkeypatch.setenv("FHIR_ADAPTER_SETTINGS", str(tmp_path / "settings.toml"))

    def run(*words: str) -> tuple[int, str]:
        said = CliRunner().invoke(app, ["sync", *words, "--data", str(tmp_path)])
        return said.exit_code, said.stdout

    _delete(town, ["CareTeam"])
    (code, table), (verified, told) = run(), run("--verify")
    assert (code, verified) == (1, 1)
    assert "undecided" in table
    (asked,) = list_conflicts(town.service.hub, None)
    assert f"deleted there: Task/{asked['id']} asks whether it stays" in told
    _decide(town, "keep")
    assert (run()[0], run("--verify")) == (0, (0, f"{REGION}: the same\n"))


@pytest.mark.usefixtures("plan")
def test_the_task_of_a_question_that_is_deleted_there_asks_nothing_more(town: Town) -> None:
    _delete(town, ["CareTeam"])
    _settled(town)
    (asked,) = list_conflicts(town.service.hub, None)
    requests.delete(f"{town.region}/Task/{asked['id']}", timeout=30).raise_for_status()
    assert _settled(town).undecided == 1
    assert [one["id"] for one in list_conflicts(town.service.hub, None)] == [asked["id"]]
    assert len(_differences(town)) == 1


@pytest.mark.usefixtures("plan")
def test_what_had_ended_in_the_plan_may_go(town: Town, sip: dict[str, Any]) -> None:
    del sip["vad_ar_viktigt"]
    town.push(sip)
    town.sync()
    (ended,) = (one for one in _at_region(town, "Goal") if one["lifecycleStatus"] == "cancelled")
    requests.delete(f"{town.region}/Goal/{ended['id']}", timeout=30).raise_for_status()
    assert _settled(town).is_settled
    assert _differences(town) == {}
    assert list_conflicts(town.service.hub, None) == []


@pytest.mark.usefixtures("plan")
def test_a_region_where_all_was_deleted_is_told_all_again_when_that_is_asked_for(town: Town) -> None:
    hub, party = town.service.hub, town.service.hub.parties[REGION]
    before = {reference: town.get(f"/fhir/{reference}").content for reference in _delete(town, EVERYTHING)}
    assert "deleted there at once" in str(sync.cycle(hub, party).stopped)
    with pytest.raises(Conflict, match="--restore brings them, --accept takes that as meant"):
        sync.resume(hub, party)
    assert sync.standing(hub, party).stopped
    assert sync.resume(hub, party, restore=True) == len(before)
    assert _settled(town).is_settled
    assert _differences(town) == {}
    assert {reference: town.get(f"/fhir/{reference}").content for reference in before} == before
    assert list_conflicts(hub, None) == []


@pytest.mark.usefixtures("plan")
def test_what_was_saved_anew_before_all_was_told_again_is_merged(town: Town) -> None:
    hub, party = town.service.hub, town.service.hub.parties[REGION]
    goal = _at_region(town, "Goal")[0]
    _delete(town, EVERYTHING)
    del goal["meta"]
    town.put_at_region(goal | {"description": {"text": "Regionens mål"}})
    sync.cycle(hub, party)
    sync.resume(hub, party, restore=True)
    assert _settled(town).is_settled
    assert _differences(town) == {}
    (asked,) = list_conflicts(hub, None)
    assert (asked["kept"], asked["keptFrom"]) == ({"text": "Regionens mål"}, REGION)


def test_a_person_of_the_regions_own_that_it_deletes_is_asked_about_and_given_again_under_that_name(
    town: Town, sip: dict[str, Any]
) -> None:
    number = {"system": "http://electronichealth.se/identifier/personnummer", "value": sip["person"]["personnummer"]}
    town.put_at_region({"resourceType": "Patient", "id": "4711", "identifier": [number], "birthDate": "1985-07-14"})
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    assert town.at_region(f"CarePlan/{plan}")["subject"]["reference"] == "Patient/4711"
    requests.delete(f"{town.region}/Patient/4711", timeout=30).raise_for_status()
    assert _settled(town).undecided == 1
    assert [why.partition(":")[0] for why in _differences(town).values()] == ["deleted there"]
    _decide(town, "keep")
    assert _settled(town).is_settled
    assert _differences(town) == {}
    assert [one["id"] for one in _at_region(town, "Patient")] == ["4711"]


@pytest.mark.usefixtures("plan")
def test_what_is_asked_about_a_plan_that_the_region_may_not_see_any_more_is_nothing_to_wait_for(
    town: Town, sip: dict[str, Any]
) -> None:
    sip["samtycke"]["status"] = "återkallat"
    town.push(sip)
    _delete(town, ["CareTeam"])
    assert _settled(town).is_settled
    assert _differences(town) == {}
    assert len(list_conflicts(town.service.hub, None)) == 1


EVERYTHING = (*WHOLE, "ServiceRequest", "Task", "Appointment", "Consent", "Organization", "Practitioner")


def _at_region(town: Town, type_: str) -> list[dict[str, Any]]:
    return [entry["resource"] for entry in town.at_region(type_, _count=100).get("entry", ())]


def _delete(town: Town, types: Sequence[str]) -> set[str]:
    """Deleted at the region is all that it has of these types."""
    gone = {f"{type_}/{one['id']}" for type_ in types for one in _at_region(town, type_)}
    for reference in gone:
        requests.delete(f"{town.region}/{reference}", timeout=30).raise_for_status()
    return gone


def _settled(town: Town) -> sync.Cycle:
    """How it stands with the region when there is nothing more to take in or to bring."""
    hub = town.service.hub
    for _ in range(5):
        turn = sync.cycle(hub, hub.parties[REGION])
        if not (turn.taken or turn.delivered):
            return turn
    raise AssertionError(f"there is no end to it: {turn}")


def _differences(town: Town) -> dict[str, str]:
    hub = town.service.hub
    return {one.reference: one.why for one in verify(hub, hub.parties[REGION])}


def _decide(town: Town, word: str) -> None:
    hub, party = town.service.hub, town.service.hub.parties["sodertalje"]
    for one in list_conflicts(hub, party):
        body = deciding.body_of(word, seen=one["seen"])
        answer = deciding.decide(hub, party, one["id"], Delivery(one["id"], "application/json", body))
        assert answer.status == 200, answer.receipt
