"""A region that was restored from a backup: its history went back, its version numbers begin anew from there."""

from __future__ import annotations

import json
import sqlite3
from typing import Any
from uuid import uuid4

import pytest
import requests

from fhir_adapter.errors import Conflict
from fhir_adapter.flows import sync
from fhir_adapter.flows.verify import verify
from tests import backups
from tests.flows.conftest import Town

REGION = "region-stockholm"
OURS, THEIRS = "Jag åker buss varje dag.", "Elin åker buss med stöd."


@pytest.fixture
def plan(town: Town, sip: dict[str, Any]) -> str:
    """A plan that is at the region."""
    found: str = town.push(sip).json()["plan"]["id"]
    town.sync()
    town.sync()
    return found


def backup(town: Town) -> sqlite3.Connection:
    return backups.take(town.service.databases[1])


def restore(town: Town, kept: sqlite3.Connection) -> None:
    backups.restore(town.service.databases[1], kept)


def settle(town: Town) -> None:
    for _ in range(3):
        town.sync()


def edit_here(town: Town, sip: dict[str, Any], words: str) -> None:
    sip["mal"][2]["text"] = words
    assert town.push(sip).status_code == 200
    settle(town)


def edit_there(town: Town, plan: str, word: str = "buss", **elements: Any) -> None:
    town.put_at_region(town.goal_at_region(plan, word) | elements)


def texts(town: Town) -> list[str]:
    return [mal["text"] for mal in town.record()["mal"]]


def is_the_same(town: Town) -> bool:
    return list(verify(town.service.hub, town.service.hub.parties[REGION])) == []


def parked(town: Town) -> list[str]:
    rows = town.service.hub.database.read().execute("SELECT body FROM journal WHERE state = 'parked'")
    return [bytes(body).decode() for (body,) in rows]


def test_what_a_restored_region_has_forgotten_it_is_told_again(town: Town, sip: dict[str, Any], plan: str) -> None:
    kept = backup(town)
    edit_there(town, plan, "ringer", description={"text": THEIRS})
    settle(town)
    edit_here(town, sip, OURS)
    restore(town, kept)
    settle(town)
    assert {OURS, THEIRS} <= set(texts(town))
    assert town.goal_at_region(plan, OURS)["lifecycleStatus"]
    assert town.goal_at_region(plan, THEIRS)["lifecycleStatus"]
    assert is_the_same(town)


def test_an_edit_on_an_old_state_undoes_nothing_and_is_not_lost(town: Town, sip: dict[str, Any], plan: str) -> None:
    kept = backup(town)
    edit_here(town, sip, OURS)
    restore(town, kept)
    edit_there(town, plan, lifecycleStatus="on-hold")
    settle(town)
    goal = town.goal_at_region(plan, "buss")
    assert (goal["description"]["text"], goal["lifecycleStatus"]) == (OURS, "on-hold")
    assert OURS in texts(town)
    assert is_the_same(town)


def test_a_number_that_stands_for_another_version_now_is_not_taken_for_the_one_we_know(
    town: Town, sip: dict[str, Any], plan: str
) -> None:
    kept = backup(town)
    edit_here(town, sip, OURS)
    known = town.goal_at_region(plan, "buss")["meta"]["versionId"]
    restore(town, kept)
    edit_there(town, plan, note=[{"text": THEIRS}])
    assert town.goal_at_region(plan, "buss")["meta"]["versionId"] == known
    settle(town)
    goal = town.goal_at_region(plan, "buss")
    assert goal["description"]["text"] == OURS
    assert [note["text"] for note in goal["note"]] == [THEIRS]
    assert is_the_same(town)


def test_what_was_written_over_because_the_number_fitted_is_taken_in_all_the_same(
    town: Town, sip: dict[str, Any], plan: str
) -> None:
    hub, party = town.service.hub, town.service.hub.parties[REGION]
    kept = backup(town)
    edit_here(town, sip, OURS)
    restore(town, kept)
    edit_there(town, plan, note=[{"text": THEIRS}])
    sip["mal"][2]["text"] = "Ett nytt mål"
    town.push(sip)
    sync.deliver(hub, party)  # If-Match names the right number, and the wrong version
    assert "note" not in town.goal_at_region(plan, "nytt")
    settle(town)
    goal = town.goal_at_region(plan, "nytt")
    assert [note["text"] for note in goal["note"]] == [THEIRS]
    assert is_the_same(town)


def test_what_came_after_the_backup_is_given_again_under_its_name(town: Town, sip: dict[str, Any], plan: str) -> None:
    kept = backup(town)
    sip["mal"].append({"id": "M9", "text": "Jag sover gott"})
    town.push(sip)
    settle(town)
    goal = town.goal_at_region(plan, "sover")
    restore(town, kept)
    settle(town)
    assert town.goal_at_region(plan, "sover")["id"] == goal["id"]
    found = town.at_region("Goal", _count=50)["entry"]
    assert len([one for one in found if "sover" in json.dumps(one)]) == 1
    assert is_the_same(town)


def test_what_was_deleted_after_the_backup_is_back_and_hears_the_plans_word(
    town: Town, sip: dict[str, Any], plan: str
) -> None:
    kept = backup(town)
    goal = town.goal_at_region(plan, "buss")
    requests.delete(f"{town.region}/Goal/{goal['id']}", timeout=30).raise_for_status()
    settle(town)
    sip["mal"][2]["text"] = OURS
    town.push(sip)
    settle(town)
    restore(town, kept)
    settle(town)
    assert town.at_region(f"Goal/{goal['id']}")["description"]["text"] == OURS
    assert is_the_same(town)


def test_what_came_and_was_deleted_after_the_backup_is_given_again(town: Town, sip: dict[str, Any], plan: str) -> None:
    kept = backup(town)
    sip["mal"].append({"id": "M9", "text": "Jag sover gott"})
    town.push(sip)
    settle(town)
    goal = town.goal_at_region(plan, "sover")
    requests.delete(f"{town.region}/Goal/{goal['id']}", timeout=30).raise_for_status()
    settle(town)
    restore(town, kept)
    settle(town)
    assert town.goal_at_region(plan, "sover")["id"] == goal["id"]
    assert is_the_same(town)


def test_a_region_that_went_far_back_is_stopped_and_told_all_when_asked(
    town: Town, sip: dict[str, Any], plan: str
) -> None:
    hub, party = town.service.hub, town.service.hub.parties[REGION]
    kept = backup(town)
    for mal in sip["mal"]:
        mal["text"] += " (ändrat)"
    for insats in sip["insatser"]:
        insats |= {"text": insats["text"] + " (ändrad)", "status": "klar"}
    town.push(sip)
    settle(town)
    restore(town, kept)
    assert any("earlier state" in each.why for each in verify(hub, party))
    before = town.record()
    turn = sync.cycle(hub, party)
    assert "earlier state" in str(turn.stopped)
    assert town.record() == before
    with pytest.raises(Conflict, match="--restore"):
        sync.resume(hub, party)
    assert sync.resume(hub, party, restore=True) > 5
    settle(town)
    assert town.goal_at_region(plan, "buss")["description"]["text"].endswith("(ändrat)")
    assert town.record() == before
    assert is_the_same(town)


def test_one_thing_forgotten_without_a_trace_is_missed_and_given_again(town: Town, plan: str) -> None:
    hub, party = town.service.hub, town.service.hub.parties[REGION]
    goal = town.goal_at_region(plan, "buss")
    backups.forget(town.service.databases[1], "Goal", goal["id"])
    sync.cycle(hub, party)
    assert town.at_region(f"Goal/{goal['id']}")["description"] == goal["description"]
    assert is_the_same(town)


def test_a_write_to_what_is_not_there_any_more_makes_it_anew(town: Town, sip: dict[str, Any], plan: str) -> None:
    goal = town.goal_at_region(plan, "buss")
    backups.forget(town.service.databases[1], "Goal", goal["id"])
    edit_here(town, sip, OURS)
    assert town.at_region(f"Goal/{goal['id']}")["description"]["text"] == OURS
    assert is_the_same(town)


def test_what_somebody_else_put_in_its_place_is_parked_and_not_written_over(
    town: Town, sip: dict[str, Any], plan: str
) -> None:
    goal = town.goal_at_region(plan, "buss")
    backups.forget(town.service.databases[1], "Goal", goal["id"])
    town.put_at_region({name: goal[name] for name in ("resourceType", "id", "lifecycleStatus", "subject")}
                       | {"description": {"text": THEIRS}})  # fmt: skip
    edit_here(town, sip, OURS)
    assert town.at_region(f"Goal/{goal['id']}")["description"]["text"] == THEIRS
    assert OURS in texts(town)
    assert THEIRS not in texts(town)
    assert any(THEIRS in body for body in parked(town))


def test_after_a_withdrawn_consent_a_restored_region_is_told_nothing(
    town: Town, sip: dict[str, Any], plan: str
) -> None:
    kept = backup(town)
    edit_here(town, sip, OURS)
    sip["samtycke"]["status"] = "inactive"
    town.push(sip)
    settle(town)
    restore(town, kept)
    settle(town)
    assert town.goal_at_region(plan, "buss")["description"]["text"] != OURS


def test_a_region_restored_twice_loses_nothing(town: Town, sip: dict[str, Any], plan: str) -> None:
    kept = backup(town)
    edit_here(town, sip, OURS)
    restore(town, kept)
    edit_there(town, plan, note=[{"text": "ett"}])
    settle(town)
    restore(town, kept)
    edit_there(town, plan, note=[{"text": "två"}])
    settle(town)
    goal = town.goal_at_region(plan, "buss")
    assert goal["description"]["text"] == OURS
    assert {note["text"] for note in goal["note"]} == {"ett", "två"}
    assert is_the_same(town)


def test_a_history_that_begins_late_is_no_restore(town: Town, sip: dict[str, Any], plan: str) -> None:
    """A server that keeps only the newest versions says nothing about the older ones."""
    goal = town.goal_at_region(plan, "buss")
    edit_there(town, plan, note=[{"text": THEIRS}])
    town.service.databases[1].write(
        lambda connection: connection.execute(
            "DELETE FROM version WHERE type = 'Goal' AND id = ? AND version < 2", (goal["id"],)
        )
    )
    edit_here(town, sip, OURS)
    assert [note["text"] for note in town.goal_at_region(plan, "buss")["note"]] == [THEIRS]
    assert parked(town) == []
    assert is_the_same(town)


def test_a_new_person_at_the_region_is_not_mixed_up(town: Town, sip: dict[str, Any], plan: str) -> None:
    """What was never shared stays where it is, whatever became of the rest."""
    kept = backup(town)
    edit_here(town, sip, OURS)
    restore(town, kept)
    subject = town.at_region(f"CarePlan/{plan}")["subject"]
    secret = {"resourceType": "Condition", "id": str(uuid4()), "subject": subject, "code": {"text": "annat"}}
    town.put_at_region(secret)
    settle(town)
    assert town.get(f"/fhir/Condition/{secret['id']}").status_code == 404


def test_a_person_who_was_registered_after_the_backup_is_looked_for_again(town: Town, sip: dict[str, Any]) -> None:
    kept = backup(town)
    number = {"system": "http://electronichealth.se/identifier/personnummer", "value": sip["person"]["personnummer"]}
    known = {"resourceType": "Patient", "id": f"known-{uuid4()}", "identifier": [number]}
    town.put_at_region(known)
    plan = town.push(sip).json()["plan"]["id"]
    settle(town)
    restore(town, kept)
    town.put_at_region(known | {"id": "registered-anew"})
    assert sync.cycle(town.service.hub, town.service.hub.parties[REGION]).stopped
    sync.resume(town.service.hub, town.service.hub.parties[REGION], restore=True)
    settle(town)
    assert town.at_region(f"CarePlan/{plan}")["subject"]["reference"] == "Patient/registered-anew"
    assert is_the_same(town)
