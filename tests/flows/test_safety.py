"""A side that loses much is stopped and asked about; contents are compared on demand; deliveries are steered."""

from __future__ import annotations

import json
import threading
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fhir_adapter.cli import app
from fhir_adapter.errors import Conflict
from fhir_adapter.flows import letters, sync
from fhir_adapter.flows.verify import verify
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.store import outbox, resources, sides
from tests.flows.conftest import Town

REGION = "region-stockholm"


def test_a_side_that_is_suddenly_empty_is_stopped_and_given_all_again_when_asked(
    town: Town, sip: dict[str, Any]
) -> None:
    hub, party = town.service.hub, town.service.hub.parties[REGION]
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    _empty(town)
    turn = sync.cycle(hub, party)
    assert "resources that were looked for are not there" in str(turn.stopped)
    sip["mal"][2]["text"] = "Jag åker buss varje dag."
    town.push(sip)
    assert sync.cycle(hub, party).delivered == 0
    (task,) = [each for each in _tasks(town) if each["status"] == "requested"]
    assert task["code"]["coding"][0]["code"] == "party-stopped"
    with pytest.raises(Conflict, match="--restore"):
        sync.resume(hub, party, restore=False)
    assert sync.resume(hub, party, restore=True) > 10
    assert sync.cycle(hub, party).is_settled
    assert "varje dag" in town.goal_at_region(plan, "buss")["description"]["text"]
    assert list(verify(hub, party)) == []
    assert [each["status"] for each in _tasks(town)] == ["completed"]


def test_a_worker_beside_it_does_not_stop_again_what_somebody_lets_go_on(town: Town, sip: dict[str, Any]) -> None:
    """Workers look at once at a party that goes on: what it lost must be known by then."""
    hub, party = town.service.hub, town.service.hub.parties[REGION]
    town.push(sip)
    town.sync()
    _empty(town)
    _look_for_a_sample(town)
    assert sides.get(hub.database.read(), REGION).stopped
    done = threading.Event()

    def work() -> None:
        while not done.is_set():
            _look_for_a_sample(town)

    worker = threading.Thread(target=work)
    worker.start()
    try:
        assert sync.resume(hub, party, restore=True) > 10
    finally:
        done.set()
        worker.join()
    assert sides.get(hub.database.read(), REGION).stopped is None
    town.sync()
    assert list(verify(hub, party)) == []


def test_many_deletions_at_once_are_taken_in_only_when_somebody_says_that_they_were_meant(
    town: Town, sip: dict[str, Any]
) -> None:
    hub, party = town.service.hub, town.service.hub.parties[REGION]
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    for type_ in ("Goal", "Task", "ServiceRequest"):
        for entry in town.at_region(type_, _count=50)["entry"]:
            FhirClient(town.region).send("DELETE", f"{type_}/{entry['resource']['id']}")
    before = town.get(f"/fhir/CarePlan/{plan}").content
    assert sync.cycle(hub, party).taken == 0
    assert "deleted there at once" in str(sync.standing(hub, party).stopped)
    assert town.get(f"/fhir/CarePlan/{plan}").content == before
    assert sync.collect(hub, party) == 0
    assert sync.resume(hub, party, accept=True) == 0
    assert "buss" not in str(town.get(f"/fhir/CarePlan/{plan}").json()["goal"])


def test_differences_are_explained_element_by_element(town: Town, sip: dict[str, Any]) -> None:
    hub, party = town.service.hub, town.service.hub.parties[REGION]
    plan = town.push(sip).json()["plan"]["id"]
    assert {each.why for each in verify(hub, party)} == {"on its way"}
    town.sync()
    assert list(verify(hub, party)) == []
    goal = town.goal_at_region(plan, "buss")
    town.put_at_region(goal | {"description": {"text": "Regionens ord"}})
    (found,) = verify(hub, party)
    assert found.reference == f"Goal/{goal['id']}"
    assert found.why == "changed there, not taken in yet"
    assert [one.path for one in found.found] == ["description.text"]
    assert "Regionens" not in str(found.as_dict(values=False))
    assert "Regionens" in str(found.as_dict(values=True))


def test_a_server_that_does_not_answer_keeps_no_other_from_being_compared(
    town: Town, sip: dict[str, Any], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    town.push(sip)
    town.sync()
    party = '[[parties]]\nname = "{}"\ntitle = "{}"\nidentifiers = [["urn:oid:2.5.4.97", "{}"]]\nfhir = "{}"\n'
    away = party.format(REGION, "Region Stockholm", "2321000016", "http://127.0.0.1:9/fhir")
    here = party.format("region-uppsala", "Region Uppsala", "2321000024", town.region)
    (tmp_path / "settings.toml").write_text(f"consents_judged_on = 2025-11-01\n{away}{here}", "utf-8")
    monkeypatch.setenv("FHIR_ADAPTER_SETTINGS", str(tmp_path / "settings.toml"))
    compared = CliRunner().invoke(app, ["sync", "--verify", "--data", str(tmp_path)])
    assert (compared.exit_code, compared.stdout) == (1, "region-uppsala: the same\n")
    assert f"{REGION}: not compared: " in compared.stderr
    as_json = CliRunner().invoke(app, ["sync", "--verify", "--json", "--data", str(tmp_path)])
    assert (as_json.exit_code, json.loads(as_json.stdout)) == (1, {REGION: None, "region-uppsala": []})


def test_a_parked_delivery_asks_to_look_and_is_settled_by_a_later_one(town: Town, sip: dict[str, Any]) -> None:
    hub, party = town.service.hub, town.service.hub.parties[REGION]
    town.push(sip)
    number = _park(town)
    (task,) = _tasks(town)
    assert task["code"]["coding"][0]["code"] == "delivery-parked"
    assert "Elin" not in json.dumps(task)
    sip["mal"][2]["text"] = "Jag åker buss varje dag."
    town.push(sip)
    assert sync.deliver(hub, party) == 1
    assert letters.show(hub, number).state == "done"
    assert [each["status"] for each in _tasks(town)] == ["completed"]


def test_a_delivery_is_listed_retried_and_dropped_with_a_reason_from_the_command_line(
    town: Town, sip: dict[str, Any]
) -> None:
    town.push(sip)
    number = _park(town)
    data = str(Path(town.service.locks[1].name).parent)
    run = CliRunner().invoke
    (listed,) = json.loads(run(app, ["outbox", "list", "--data", data, "--json"]).stdout)
    assert (listed["id"], listed["state"], listed["problem"]) == (number, "parked", "answered 422")
    assert json.loads(run(app, ["outbox", "retry", str(number), "--data", data, "--json"]).stdout)["state"] == "waiting"
    assert run(app, ["outbox", "drop", str(number), "--data", data]).exit_code == 2
    dropped = run(app, ["outbox", "drop", str(number), "--reason", "sent by hand", "--data", data, "--json"])
    assert json.loads(dropped.stdout) | {"state": "dropped", "reason": "sent by hand"} == json.loads(dropped.stdout)
    assert "nothing waits" in run(app, ["outbox", "--data", data]).stdout
    (kept,) = json.loads(run(app, ["outbox", "list", "--all", "--data", data, "--json"]).stdout)
    assert kept["state"] == "dropped"
    events = town.service.hub.database.read().execute("SELECT body FROM version WHERE type = 'AuditEvent'").fetchall()
    assert any(b"sent by hand" in body for (body,) in events)
    with pytest.raises(Conflict):
        letters.retry(town.service.hub, number)


def test_a_party_that_does_not_answer_rests_and_the_message_is_not_blamed(town: Town, sip: dict[str, Any]) -> None:
    hub, party = town.service.hub, town.service.hub.parties[REGION]
    town.push(sip)
    hub.clients[REGION] = FhirClient("http://127.0.0.1:9/fhir", attempts=1)  # type: ignore[index]
    for _ in range(hub.limits.circuit_failures):
        hub.database.write(lambda connection: connection.execute("UPDATE outbox SET due = 0"))
        sync.deliver(hub, party)
    (letter,) = letters.listed(hub)
    assert (letter.state, letter.attempts) == ("waiting", 0)
    assert sides.get(hub.database.read(), REGION).failures == hub.limits.circuit_failures
    hub.clients[REGION] = FhirClient(town.region)  # type: ignore[index]
    hub.database.write(lambda connection: connection.execute("UPDATE side SET rests_until = 0"))
    hub.database.write(lambda connection: connection.execute("UPDATE outbox SET due = 0"))
    assert sync.deliver(hub, party) == 1
    assert sides.get(hub.database.read(), REGION).failures == 0


def test_a_try_that_fails_puts_the_next_one_off_by_a_pause_and_not_by_the_lease(
    town: Town, sip: dict[str, Any]
) -> None:
    hub, party = town.service.hub, town.service.hub.parties[REGION]
    town.push(sip)
    hub.clients[REGION] = FhirClient("http://127.0.0.1:9/fhir", attempts=1)  # type: ignore[index]
    for _ in range(hub.limits.circuit_failures + 2):  # the last two are tries whether it is back
        hub.database.write(lambda connection: connection.execute("UPDATE outbox SET due = 0"))
        hub.database.write(lambda connection: connection.execute("UPDATE side SET rests_until = 0"))
        sync.deliver(hub, party)
    side = sides.get(hub.database.read(), REGION)
    assert side.failures == hub.limits.circuit_failures + 2
    longest = 0.5 * 2**side.failures
    assert longest < hub.limits.lease, "else this shows nothing"
    assert side.seconds <= longest


def test_who_starts_alone_asks_at_once_whether_a_party_is_back(town: Town) -> None:
    database = town.service.hub.database
    database.write(lambda connection: sides.fail(connection, REGION, seconds=0.0, problem="no answer"))
    assert database.write(lambda connection: sides.may_try_again(connection, REGION, seconds=120.0))
    assert sides.get(database.read(), REGION).rests
    database.write(sides.release)  # the process that tried was killed
    side = sides.get(database.read(), REGION)
    assert (side.rests, side.failures) == (False, 1)


def _park(town: Town) -> int:
    hub = town.service.hub
    claim = hub.database.write(lambda connection: outbox.claim(connection, REGION, seconds=60))
    assert claim
    letters.park(hub, claim, "answered 422")
    return claim.id


def _empty(town: Town) -> None:
    """Another, empty database behind the same address."""
    sandbox = town.service.databases[1]
    tables = ("version", "resource", "idx_token", "idx_string", "idx_date", "idx_reference", "idx_quantity", "idx_uri")
    known = {row[0] for row in sandbox.read().execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    for table in tables:
        if table in known:
            sandbox.write(lambda connection, table=table: connection.execute(f"DELETE FROM {table}"))  # type: ignore[misc]
    assert resources.read(sandbox.read(), "Patient", "x") is None


def _look_for_a_sample(town: Town) -> None:
    """What a worker does once in `check_interval`."""
    hub = town.service.hub
    hub.database.write(lambda connection: connection.execute("UPDATE side SET checked = 0"))
    sync.look(hub, hub.parties[REGION])


def _tasks(town: Town) -> list[dict[str, Any]]:
    rows = town.service.hub.database.read().execute(
        "SELECT v.body FROM resource r JOIN version v ON v.seq = r.seq WHERE r.type = 'Task'"
    )
    tasks = [json.loads(body) for (body,) in rows]
    return [task for task in tasks if "attention" in json.dumps(task.get("code", {}))]


def test_the_state_of_a_side_is_shared_by_all_workers(town: Town) -> None:
    hub = town.service.hub
    hub.database.write(lambda connection: sides.fail(connection, REGION, seconds=60, problem="answered 503"))
    assert sides.get(hub.database.read(), REGION).rests
    turn = sync.cycle(hub, hub.parties[REGION])
    assert turn.problem == "answered 503"


def test_a_version_that_breaks_something_here_is_parked_once_and_holds_up_nothing(
    town: Town, sip: dict[str, Any]
) -> None:
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    database = town.service.hub.database
    trigger = "BEFORE INSERT ON version WHEN NEW.type = 'Goal' BEGIN SELECT RAISE(ABORT, 'broken'); END"
    database.write(lambda connection: connection.execute(f"CREATE TRIGGER broken {trigger}"))
    goal = town.goal_at_region(plan, "buss")
    town.put_at_region(goal | {"lifecycleStatus": "on-hold"})
    for words in ("En anteckning", "En till"):
        care_plan = town.at_region(f"CarePlan/{plan}")
        town.put_at_region(care_plan | {"note": [*care_plan.get("note", []), {"text": words}]})
        town.sync()
        assert words in [note["text"] for note in town.record()["anteckningar"]]
    parked = "SELECT count(*) FROM journal WHERE state = 'parked'"
    assert database.read().execute(parked).fetchone() == (1,)
    database.write(lambda connection: connection.execute("DROP TRIGGER broken"))
    sip["title_local"] = "Ny titel"
    assert town.push(sip).json()["state"] == "accepted"
    town.sync()
    assert town.at_region(f"CarePlan/{plan}")["title"] == "Ny titel"
    assert town.at_region(f"Goal/{goal['id']}")["lifecycleStatus"] == "on-hold", "nobody has looked at it yet"
    town.put_at_region(town.at_region(f"Goal/{goal['id']}") | {"lifecycleStatus": "completed"})
    town.sync()
    assert town.record()["mal"][2]["status"] == "avslutat"


def test_two_equal_items_that_the_region_takes_away_are_one_question(town: Town, sip: dict[str, Any]) -> None:
    sip["kallelse"]["kallade"] = [["Arbetsförmedlingen", "accepted"], ["Arbetsförmedlingen", "accepted"]]
    town.push(sip)
    town.sync()
    calls = [each["resource"] for each in town.at_region("Appointment")["entry"]]
    (call,) = (each for each in calls if len(each["participant"]) == 4)
    left = [each for each in call["participant"] if each["actor"].get("display") != "Arbetsförmedlingen"]
    town.put_at_region(call | {"participant": left, "comment": "Två är borta"})
    town.sync()
    (asked,) = town.get("/parties/sodertalje/conflicts").json()["conflicts"]
    assert asked["kind"] == "edit-against-delete"
    assert town.get(f"/fhir/Appointment/{call['id']}").json()["comment"] == "Två är borta"
    assert town.record()["kallelse"]["kallade"] == sip["kallelse"]["kallade"]
