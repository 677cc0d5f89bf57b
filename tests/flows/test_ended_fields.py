"""A field that its owner takes away ends what it stood for; formats without a word for that tell it no more."""

from __future__ import annotations

from typing import Any

import pytest

from tests.flows.conftest import Town
from tests.flows.test_conflicts import decide, listed

WORDS = "Jag vill bo kvar"
CRISIS = {"text": "Ring Anna"}


@pytest.fixture
def sip(sip: dict[str, Any]) -> dict[str, Any]:
    """A plan that Nykvarn takes part in, too, with a field and an item for whose end the format has no word."""
    sip |= {"vad_ar_viktigt": WORDS, "krisplan": CRISIS, "behov": [{"id": "B1", "text": "Boende"}, {"text": "Sömn"}]}
    sip["deltagare"].append({"namn": "Kim Test", "roll": "handläggare", "org": "Nykvarns kommun"})
    sip["samtycke"]["omfattning"].append("Nykvarns kommun")
    return sip


def without(record: dict[str, Any], field: str = "vad_ar_viktigt") -> dict[str, Any]:
    return {name: value for name, value in record.items() if name != field}


def state(town: Town) -> str:
    """How it stands with the goal that `vad_ar_viktigt` is."""
    goals = (one["resource"] for one in town.get("/fhir/Goal", _count="100").json()["entry"])
    (found,) = [goal["lifecycleStatus"] for goal in goals if "viktigt" in str(goal.get("category"))]
    return str(found)


@pytest.fixture
def neighbour(town: Town, sip: dict[str, Any]) -> dict[str, Any]:
    """Nykvarn's own copy of the plan, with the field, as it delivered it before Södertälje took the field away."""
    plan = town.push(sip).json()["plan"]["id"]
    copy = town.record(plan, party="nykvarn")
    town.push(copy, party="nykvarn")
    assert town.push(without(sip)).json()["state"] == "accepted"
    return copy


@pytest.mark.parametrize("field", ["vad_ar_viktigt", "krisplan"])
def test_a_field_that_was_taken_away_is_told_no_more(town: Town, sip: dict[str, Any], field: str) -> None:
    town.push(sip)
    assert town.push(without(sip, field)).json()["state"] == "accepted"
    assert field not in town.record()


def test_so_it_is_with_an_item_whose_format_has_no_status_and_one_with_a_status_says_so(
    town: Town, sip: dict[str, Any]
) -> None:
    town.push(sip)
    ended = sip["mal"].pop(2)
    sip["behov"].pop(0)
    town.push(sip)
    record = town.record()
    assert [need["text"] for need in record["behov"]] == ["Sömn"]
    assert {goal["text"]: goal.get("status") for goal in record["mal"]}[ended["text"]] == "avbrutet"


def test_what_was_shown_brings_nothing_back(town: Town, sip: dict[str, Any]) -> None:
    town.push(sip)
    town.push(without(sip))
    receipt = town.push(town.record()).json()
    assert (receipt["issues"], receipt["conflicts"], state(town)) == ([], [], "cancelled")
    assert "vad_ar_viktigt" not in town.record()


def test_another_party_of_the_same_format_is_told_it_no_more_either(town: Town, neighbour: dict[str, Any]) -> None:
    shown = town.record(party="nykvarn")
    assert WORDS not in str(shown)
    assert shown["mal"] == neighbour["mal"]
    assert town.push(shown, party="nykvarn").json()["conflicts"] == []
    assert state(town) == "cancelled"


def test_who_never_took_that_up_brings_nothing_back_and_is_told(town: Town, neighbour: dict[str, Any]) -> None:
    town.record(party="nykvarn")
    receipt = town.push(neighbour | {"gloss": "Annat"}, party="nykvarn").json()
    assert [issue["path"] for issue in receipt["issues"]] == ["vad_ar_viktigt"]
    assert (receipt["conflicts"], state(town)) == ([], "cancelled")
    assert "vad_ar_viktigt" not in town.record(party="nykvarn")


def test_an_edit_of_what_another_took_away_is_asked_about_in_own_words_and_can_be_taken(
    town: Town, neighbour: dict[str, Any]
) -> None:
    town.push(neighbour | {"vad_ar_viktigt": "Jag vill flytta"}, party="nykvarn")
    assert "vad_ar_viktigt" not in town.record() | town.record(party="nykvarn")
    (asked,) = [one for one in listed(town, "nykvarn") if one["kind"] == "edit-against-delete"]
    assert (asked["path"], asked["words"]) == ("vad_ar_viktigt", "native")
    assert (asked["base"], asked["live"], asked["kept"]) == (WORDS, None, "Jag vill flytta")
    decide(town, asked["id"], "take")
    assert state(town) == "active"
    assert town.record()["vad_ar_viktigt"] == town.record(party="nykvarn")["vad_ar_viktigt"] == "Jag vill flytta"


def test_added_again_in_other_words_it_lives_again(town: Town, sip: dict[str, Any]) -> None:
    town.push(sip)
    town.push(without(sip))
    receipt = town.push(town.record() | {"vad_ar_viktigt": "Jag vill flytta"}).json()
    assert receipt["conflicts"] == []
    assert [issue["path"] for issue in receipt["issues"]] == ["vad_ar_viktigt"]
    assert (state(town), town.record()["vad_ar_viktigt"]) == ("active", "Jag vill flytta")


def test_so_does_what_the_plan_had_only_beside_it(town: Town, sip: dict[str, Any]) -> None:
    town.push(sip)
    town.push(without(sip, "krisplan"))
    receipt = town.push(town.record() | {"krisplan": {"text": "Ring Bo"}}).json()
    assert (receipt["conflicts"], town.record()["krisplan"]) == ([], {"text": "Ring Bo"})
    town.push(without(sip, "krisplan"))
    receipt = town.push(town.record() | {"krisplan": {"text": "Ring Bo"}}).json()
    assert {(one["path"], one["kind"]) for one in receipt["conflicts"]} == {("krisplan", "edit-against-delete")}
    assert "krisplan" not in town.record()


def test_added_again_word_for_word_it_is_a_question_unless_the_version_is_named(
    town: Town, sip: dict[str, Any]
) -> None:
    town.push(sip)
    town.push(without(sip))
    answer = town.get("/parties/sodertalje/records/SIP-1")
    (conflict,) = town.push(sip).json()["conflicts"]
    assert (conflict["path"], conflict["kind"], state(town)) == ("vad_ar_viktigt", "edit-against-delete", "cancelled")
    assert "vad_ar_viktigt" not in town.record()
    town.push(sip, **{"If-Match": answer.headers["ETag"]})
    assert (state(town), town.record()["vad_ar_viktigt"]) == ("active", WORDS)


@pytest.mark.parametrize(("word", "is_told"), [("cancelled", False), ("completed", True)])
def test_what_a_region_calls_off_is_told_no_more_and_what_was_reached_is(
    town: Town, sip: dict[str, Any], word: str, is_told: bool
) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    town.put_at_region(town.goal_at_region(plan, WORDS) | {"lifecycleStatus": word})
    town.sync()
    assert ("vad_ar_viktigt" in town.record()) is is_told
    assert town.push(town.record()).json()["conflicts"] == []
    assert state(town) == word


INITIATIVE = {"datum": "2025-01-15", "orsak": "Utskrivning"}


@pytest.fixture
def stated(town: Town, sip: dict[str, Any]) -> dict[str, Any]:
    """A plan with what was done from the start, and that taken back again."""
    town.push(sip | {"behov_initiativ": INITIATIVE})
    assert town.record()["behov_initiativ"] == INITIATIVE
    town.sync()
    assert town.push(without(sip, "behov_initiativ")).json()["state"] == "accepted"
    town.sync()
    return sip


def initiative(town: Town) -> str:
    tasks = [one["resource"] for one in town.get("/fhir/Task", _count="100").json()["entry"]]
    (found,) = [task["status"] for task in tasks if "initiativ" in str(task.get("code"))]
    return str(found)


def test_what_was_done_from_the_start_was_said_in_error_once_it_is_taken_back(
    town: Town, stated: dict[str, Any]
) -> None:
    assert initiative(town) == "entered-in-error"
    assert "behov_initiativ" not in town.record()
    at_region = [entry["resource"] for entry in town.at_region("Task", _count=100)["entry"]]
    assert "entered-in-error" in [task["status"] for task in at_region if "initiativ" in str(task.get("code"))]
    receipt = town.push(town.record()).json()
    assert (receipt["issues"], receipt["conflicts"], initiative(town)) == ([], [], "entered-in-error")
    assert town.push(stated | {"behov_initiativ": INITIATIVE | {"orsak": "Annat"}}).json()["conflicts"] == []
    assert (initiative(town), town.record()["behov_initiativ"]["orsak"]) == ("completed", "Annat")


@pytest.mark.usefixtures("stated")
def test_word_for_word_it_is_a_question_as_well(town: Town, sip: dict[str, Any]) -> None:
    (conflict,) = town.push(sip | {"behov_initiativ": INITIATIVE}).json()["conflicts"]
    assert (conflict["path"], conflict["kind"]) == ("behov_initiativ", "edit-against-delete")
    assert "behov_initiativ" not in town.record()
    decide(town, conflict["task"], "take")
    assert (initiative(town), town.record()["behov_initiativ"]) == ("completed", INITIATIVE)


@pytest.mark.parametrize("field", ["vad_ar_viktigt", "behov"])
def test_so_it_is_for_who_was_shown_it_before_it_took_it_away(town: Town, sip: dict[str, Any], field: str) -> None:
    town.push(sip)
    town.record()
    town.push(without(sip, field))
    receipt = town.push(sip).json()
    assert {one["kind"] for one in receipt["conflicts"]} == {"edit-against-delete"}
    assert {one["path"].partition("[")[0] for one in receipt["conflicts"]} == {field}


def test_what_was_done_meanwhile_may_still_leave_a_record(town: Town, sip: dict[str, Any]) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    town.put_at_region(town.goal_at_region(plan, WORDS) | {"lifecycleStatus": "completed"})
    town.sync()
    town.push(without(sip))
    assert state(town) == "completed"


def test_who_is_in_a_care_team_that_a_region_ended_is_told_for_the_record_alone_could_bring_nobody_back(
    town: Town, sip: dict[str, Any]
) -> None:
    town.push(sip)
    town.sync()
    (there,) = [entry["resource"] for entry in town.at_region("CareTeam")["entry"]]
    town.put_at_region(there | {"status": "inactive"})
    town.sync()
    assert town.record()["deltagare"] == sip["deltagare"]
    assert town.push(town.record()).json()["state"] == "unchanged"
    town.sync()
    (now,) = [entry["resource"] for entry in town.at_region("CareTeam")["entry"]]
    assert (now["status"], now["participant"]) == ("inactive", there["participant"])
