"""A municipality that is denied a plan after it was shown: what it sends is not lost, and it is told nothing."""

from __future__ import annotations

import copy
from typing import Any

import pytest

from fhir_adapter.flows.parked import apply, listed
from tests.flows.conftest import Town


def with_nykvarn(sip: dict[str, Any]) -> None:
    """Nykvarn takes part in it, and answers for an intervention."""
    sip["deltagare"].append({"namn": "Nina Ny", "roll": "samordnare", "org": "Nykvarns kommun", "orgnr": "2120002999"})
    sip["insatser"].append({"id": "N0", "text": "Ledsagning", "huvudman": "kommun", "ansvarig": "Nina Ny"})


@pytest.fixture
def shown(town: Town, sip: dict[str, Any]) -> dict[str, Any]:
    """The record as nykvarn has it, of a plan that it was denied after it had been shown."""
    with_nykvarn(sip)
    town.push(sip)
    (told,) = town.get("/parties/nykvarn/records").json()["records"]
    denied = copy.deepcopy(sip)
    denied["samtycke"]["nekat"] = ["Nykvarns kommun"]
    denied["mal"][2]["text"] = "Jag åker buss med Lars."
    denied["mal"][1]["status"] = "avslutat"
    town.push(denied)
    content: dict[str, Any] = told["content"]
    return content


def test_the_receipt_tells_nothing_of_a_plan_that_is_denied(town: Town, shown: dict[str, Any]) -> None:
    shown["mal"][2]["text"] = "Jag tar bussen."
    answer = town.push(shown, party="nykvarn", key="denied")
    receipt = answer.json()
    assert (answer.status_code, receipt["state"], receipt["plan"]) == (200, "accepted", None)
    assert (receipt["conflicts"], receipt["shared"], receipt["issues"]) == ([], [], [])
    assert "Lars" not in answer.text
    assert town.get("/parties/nykvarn/receipts/denied").content == answer.content


def test_whether_a_guess_is_right_is_not_told(town: Town, shown: dict[str, Any]) -> None:
    receipts = []
    for text in ("Jag åker buss med Lars.", "Jag åker buss med Per."):
        shown["mal"][2]["text"] = text
        receipts.append(town.push(shown, party="nykvarn").json() | {"key": ""})
    assert receipts[0] == receipts[1]


def test_how_often_a_plan_that_is_denied_has_changed_is_not_told(town: Town, shown: dict[str, Any]) -> None:
    answer = town.push(shown, party="nykvarn", **{"If-Match": 'W/"99"'})
    assert answer.status_code == 412
    assert 'W/"' not in str(answer.json())


def test_what_who_is_denied_sends_is_not_lost(town: Town, shown: dict[str, Any]) -> None:
    shown["mal"][2]["text"] = "Jag tar bussen."
    shown["insatser"][4]["text"] = "Ledsagning, två gånger"
    town.push(shown, party="nykvarn")
    assert town.record()["insatser"][4]["text"] == "Ledsagning, två gånger"
    (question,) = town.get("/parties/sodertalje/conflicts").json()["conflicts"]
    assert (question["live"], question["kept"]) == ("Jag åker buss med Lars.", "Jag tar bussen.")


def test_who_takes_no_part_any_more_cannot_let_itself_in(town: Town, sip: dict[str, Any]) -> None:
    with_nykvarn(sip)
    town.push(sip)
    record = town.get("/parties/nykvarn/records").json()["records"][0]["content"]
    sip["insatser"][4]["status"] = "avbruten"
    assert town.push(sip).status_code == 200
    own = {"id": "N9", "text": "Jag bjuder in mig", "huvudman": "kommun", "ansvarig": "Nina Ny", "status": "planerad"}
    record["insatser"].append(own)
    answer = town.push(record, party="nykvarn")
    assert (answer.status_code, answer.json()["state"]) == (422, "refused")
    assert town.get("/parties/nykvarn/records/SIP-1").status_code == 404
    assert "Jag bjuder in mig" not in str(town.record())
    sip["insatser"][4]["status"] = "planerad"
    town.push(sip)
    assert town.push(record, party="nykvarn").status_code == 200, "who leads the plan let it in"


def test_a_region_that_takes_no_part_any_more_cannot_let_itself_in(town: Town, sip: dict[str, Any]) -> None:
    sip["samtycke"]["omfattning"] = ["Södertälje kommun socialtjänst"]
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    own = [one for one in sip["insatser"] if one["huvudman"] == "region"]
    for one in own:
        one["status"] = "avbruten"
    sip["mal"][2]["text"] = "Jag åker buss med Lars."
    assert [each["permit"] for each in town.push(sip).json()["shared"]] == [False]
    town.sync()
    ended = [entry["resource"] for entry in town.at_region("ServiceRequest")["entry"]]
    like = next(one for one in ended if one["code"]["text"] == own[0]["text"])
    more = {name: value for name, value in like.items() if name not in ("identifier", "meta", "extension")}
    town.put_at_region(more | {"id": "invited", "status": "active", "code": {"text": "Jag bjuder in mig"}})
    care_plan = town.at_region(f"CarePlan/{plan}")
    activity = [*care_plan["activity"], {"reference": {"reference": "ServiceRequest/invited"}}]
    town.put_at_region(care_plan | {"activity": activity})
    for _ in range(2):
        town.sync()
    assert "Lars" not in str(town.at_region("Goal"))
    (parked,) = listed(town.service.hub)
    assert parked.about == "ServiceRequest/invited"
    apply(town.service.hub, parked.id, "the lead agreed")
    town.sync()
    assert "Lars" in str(town.at_region("Goal"))
