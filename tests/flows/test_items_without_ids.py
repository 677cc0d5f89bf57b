"""Items that have no id of their own: who says what about one finds it there again, wherever in its list it stands."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from fhir_adapter.fhir.resources import Resource
from tests.flows.conftest import Town
from tests.flows.test_danish_road import a_danish_town, sample, turn

PARTY = "holstebro"
NOTE = "Ringer først"
OFFERS = ["opsøgende team (OP)", "bostøtte", "ungekontakt"]


@pytest.fixture
def town(tmp_path: Path) -> Iterator[Town]:
    yield from a_danish_town(tmp_path, "Region Midtjylland")


@pytest.fixture
def record() -> dict[str, Any]:
    found = sample("dk-integrerede-forloeb", "DK-HOL")
    assert found["koordinationsplan"]["tilbud"] == OFFERS
    return found


class Story:
    """A coordination plan whose region has written a note on the second of three offers of help."""

    def __init__(self, town: Town, record: dict[str, Any]) -> None:
        self.town, self.record = town, record
        self.plan = town.push(record, party=PARTY).json()["plan"]["id"]
        turn(town)
        self.before = self.ids()
        town.put_at_region(self.request("bostøtte") | {"note": [{"text": NOTE}]})
        turn(town)

    def requests(self) -> list[Resource]:
        """What the region holds of the offers, in the order of the plan."""
        plan = self.town.at_region(f"CarePlan/{self.plan}")
        names = [each["reference"]["reference"] for each in plan["activity"]]
        return [self.town.at_region(name) for name in names if name.startswith("ServiceRequest/")]

    def request(self, words: str) -> Resource:
        (found,) = [one for one in self.requests() if one["code"]["text"] == words]
        return found

    def states(self) -> dict[str, str]:
        """The state of each offer, by the words that it has now."""
        found = self.requests()
        assert len({one["code"]["text"] for one in found}) == len(found)
        return {one["code"]["text"]: one["status"] for one in found}

    def noted(self) -> list[str]:
        """The words of the offers on which the note stands."""
        return [one["code"]["text"] for one in self.requests() if one.get("note", [{}])[0].get("text") == NOTE]

    def ids(self) -> dict[str, str]:
        return {one["code"]["text"]: one["id"] for one in self.requests()}

    def push(self, offers: list[Any], **headers: str) -> dict[str, Any]:
        changed = self.record | {"koordinationsplan": self.record["koordinationsplan"] | {"tilbud": offers}}
        answer = self.town.push(changed, party=PARTY, **headers)
        assert answer.status_code == 200, answer.text
        turn(self.town)
        found: dict[str, Any] = answer.json()
        return found

    def shown(self) -> list[Any]:
        """The offers in the municipality's record as it is given back."""
        offers: list[Any] = self.town.record("DK-HOL", party=PARTY)["koordinationsplan"]["tilbud"]
        return offers


@pytest.fixture
def story(town: Town, record: dict[str, Any]) -> Story:
    return Story(town, record)


def test_who_stood_behind_one_that_is_left_out_keeps_its_note(story: Story) -> None:
    assert story.push(OFFERS[1:])["conflicts"] == []
    assert story.noted() == ["bostøtte"]
    assert story.ids() == story.before
    assert story.states() == {"opsøgende team (OP)": "revoked", "bostøtte": "active", "ungekontakt": "active"}
    for _ in range(2):  # whether it was shown the outcome or not
        assert story.push(OFFERS[1:])["state"] == "unchanged"
        texts = [one if isinstance(one, str) else one["text"] for one in story.shown()]
        assert texts == ["bostøtte", "ungekontakt", "opsøgende team (OP)"]


def test_a_new_one_at_the_front_is_new(story: Story) -> None:
    story.push(["mentor", *OFFERS])
    assert story.noted() == ["bostøtte"]
    assert story.ids() == story.before | {"mentor": story.ids()["mentor"]}
    assert set(story.states().values()) == {"active"}
    story.push(["en anden mentor", *OFFERS])  # between the same two: edited
    assert story.ids() == story.before | {"en anden mentor": story.ids()["en anden mentor"]}


def test_whatever_order_they_come_in_each_is_who_it_was(story: Story) -> None:
    story.push(OFFERS[::-1])
    assert (story.noted(), story.ids()) == (["bostøtte"], story.before)
    story.push([OFFERS[1], OFFERS[2]])
    story.push([OFFERS[2], OFFERS[1], "mentor"])
    assert (story.noted(), set(story.ids())) == (["bostøtte"], {*OFFERS, "mentor"})
    assert story.ids().items() >= story.before.items()
    assert story.states() == dict.fromkeys([*OFFERS, "mentor"], "active") | {OFFERS[0]: "revoked"}


def test_one_that_is_edited_in_its_place_is_the_same(story: Story) -> None:
    story.push([OFFERS[0], "hjemmevejledning", OFFERS[2]])
    assert story.noted() == ["hjemmevejledning"]
    assert story.ids()["hjemmevejledning"] == story.before["bostøtte"]
    story.push(["hjemmevejledning", OFFERS[2]])
    assert story.noted() == ["hjemmevejledning"]


def test_a_new_one_never_takes_the_place_of_one_that_is_no_more(story: Story) -> None:
    story.shown()
    story.push([OFFERS[0], OFFERS[2]])
    story.push([OFFERS[0], OFFERS[2], "mentor"])
    assert (story.noted(), story.states()["bostøtte"]) == (["bostøtte"], "revoked")
    assert story.ids()["mentor"] not in story.before.values()


def test_what_was_pushed_before_names_were_kept_is_known_all_the_same(story: Story) -> None:
    story.push(OFFERS[:2])

    def forget(connection: Any) -> None:
        connection.execute("UPDATE record SET names = NULL")

    story.town.service.hub.database.write(forget)
    story.push([OFFERS[1], "mentor"])
    assert story.noted() == ["bostøtte"]
    assert story.ids().items() >= story.before.items()
    assert story.states() == {OFFERS[0]: "revoked", OFFERS[1]: "active", OFFERS[2]: "revoked", "mentor": "active"}


def test_what_was_left_out_and_comes_back_word_for_word_is_asked_about(story: Story) -> None:
    story.push(OFFERS[1:])
    story.push([OFFERS[1], OFFERS[2], "mentor"])
    receipt = story.push(["mentor", *OFFERS])
    assert {one["path"].partition(".status")[0] for one in receipt["conflicts"]} == {"koordinationsplan.tilbud[1]"}
    assert (story.ids().items() >= story.before.items(), story.states()[OFFERS[0]]) == (True, "revoked")


def test_what_the_region_edited_and_the_record_took_up_is_known_wherever_it_stands(story: Story) -> None:
    second = story.request("bostøtte")
    story.town.put_at_region(second | {"code": {"text": "hjemmevejledning"}})
    turn(story.town)
    assert story.shown() == [OFFERS[0], "hjemmevejledning", OFFERS[2]]
    story.push(["hjemmevejledning", OFFERS[2]])
    assert story.noted() == ["hjemmevejledning"]
    assert story.ids()["hjemmevejledning"] == story.before["bostøtte"]
    assert story.states()[OFFERS[0]] == "revoked"


def test_what_the_region_added_is_known_although_the_record_keeps_no_ids_of_others(story: Story) -> None:
    born = {"resourceType": "ServiceRequest", "id": str(uuid4()), "status": "active", "intent": "plan"}
    plan = story.town.at_region(f"CarePlan/{story.plan}")
    like = {name: story.request("bostøtte")[name] for name in ("category", "subject")}
    story.town.put_at_region(born | like | {"code": {"text": "samtaler"}})
    plan["activity"].append({"reference": {"reference": f"ServiceRequest/{born['id']}"}})
    story.town.put_at_region(plan)
    turn(story.town)
    assert story.shown()[-1]["text"] == "samtaler"
    before = story.ids()
    assert before["samtaler"] == born["id"]
    story.push(["samtaler", *OFFERS])
    assert (story.ids(), set(story.states().values())) == (before, {"active"})
    story.push(OFFERS)
    assert (story.ids(), story.states()["samtaler"]) == (before, "active")


def test_of_two_that_read_the_same_each_stays(town: Town, record: dict[str, Any]) -> None:
    twins = ["bostøtte", "bostøtte", "ungekontakt"]
    record["koordinationsplan"]["tilbud"] = twins
    town.push(record, party=PARTY)
    story = Story.__new__(Story)
    story.town, story.record, story.plan = town, record, town.get("/fhir/CarePlan").json()["entry"][0]["resource"]["id"]
    turn(town)
    first, second, third = story.requests()
    town.put_at_region(second | {"note": [{"text": NOTE}]})
    turn(town)
    story.push(["ungekontakt", *twins[:2]])
    assert {one["id"] for one in story.requests() if one["status"] == "active"} == {
        first["id"],
        second["id"],
        third["id"],
    }
    story.push(["ungekontakt", "bostøtte fredag", "bostøtte"])
    now = {one["id"]: one for one in story.requests()}
    assert (now[first["id"]]["code"]["text"], now[second["id"]]["note"][0]["text"]) == ("bostøtte fredag", NOTE)
