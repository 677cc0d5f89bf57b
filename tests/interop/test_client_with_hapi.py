"""The FHIR client against a real HAPI: what the standard leaves open shows only there."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any
from uuid import uuid4

import pytest

from fhir_adapter.errors import RemoteConflict, RemoteError
from fhir_adapter.fhir.resources import WRITE_ID
from fhir_adapter.remotes.client import Entry, FhirClient
from fhir_adapter.remotes.directory import find_by_identifiers

pytestmark = pytest.mark.hapi


@pytest.fixture
def client(hapi: str) -> Iterator[FhirClient]:
    client = FhirClient(hapi)
    yield client
    client.close()


def patient(**elements: Any) -> dict[str, Any]:
    return {"resourceType": "Patient", "id": str(uuid4()), **elements}


def goal_of(person: dict[str, Any], text: str = "sova bättre", **elements: Any) -> dict[str, Any]:
    return {
        "resourceType": "Goal",
        "id": str(uuid4()),
        "lifecycleStatus": "active",
        "description": {"text": text},
        "subject": {"reference": f"Patient/{person['id']}"},
        **elements,
    }


def delete(client: FhirClient, reference: str) -> None:
    """Delete; HAPI just started has answered 409 to a first delete that nobody else stood in the way of."""
    for _ in range(3):
        with contextlib.suppress(RemoteConflict):
            client.send("DELETE", reference)
            return
    client.send("DELETE", reference)


def test_it_says_that_it_speaks_r4(client: FhirClient) -> None:
    assert client.capability()["fhirVersion"] == "4.0.1"


def test_a_transaction_creates_under_our_ids_and_reads_back_the_same(client: FhirClient) -> None:
    person = patient(name=[{"family": "Åström"}])
    goal = goal_of(person, extension=[{"url": WRITE_ID, "valueString": "w-1"}])
    written = client.transaction([Entry(person), Entry(goal)])
    assert [(version.type, version.id, version.version) for version in written] == [
        ("Patient", person["id"], "1"),
        ("Goal", goal["id"], "1"),
    ]
    assert all(version.resource and version.updated for version in written)
    found = client.read("Goal", goal["id"])
    assert found is not None
    assert found.version == "1"
    assert found.resource is not None
    assert {name: found.resource[name] for name in goal} == goal


def test_a_write_against_a_version_seen_is_taken_and_a_stale_one_is_a_conflict(client: FhirClient) -> None:
    person = patient()
    goal = goal_of(person)
    client.transaction([Entry(person), Entry(goal)])
    (second,) = client.transaction([Entry(goal | {"description": {"text": "two"}}, if_match="1")])
    assert second.version == "2"
    with pytest.raises(RemoteConflict):
        client.transaction([Entry(goal | {"description": {"text": "three"}}, if_match="1")])
    current = client.read("Goal", goal["id"])
    assert current is not None
    assert current.resource is not None
    assert current.resource["description"] == {"text": "two"}


def test_one_stale_entry_keeps_the_whole_transaction_out(client: FhirClient) -> None:
    person = patient()
    goal = goal_of(person)
    client.transaction([Entry(person), Entry(goal)])
    client.transaction([Entry(goal | {"description": {"text": "two"}}, if_match="1")])
    newcomer = goal_of(person)
    with pytest.raises(RemoteConflict):
        client.transaction([Entry(newcomer), Entry(goal, if_match="1")])
    assert client.read("Goal", newcomer["id"]) is None


def test_history_since_gives_every_version_oldest_first_and_tells_of_a_deletion(client: FhirClient) -> None:
    person = patient()
    goal = goal_of(person)
    client.transaction([Entry(person)])
    (first,) = client.transaction([Entry(goal)])
    client.transaction([Entry(goal | {"description": {"text": "two"}}, if_match="1")])
    delete(client, f"Goal/{goal['id']}")
    versions = client.history("Goal", goal["id"])
    assert [(version.version, version.deleted) for version in versions] == [("1", False), ("2", False), ("3", True)]
    first_time, second_time, _ = (version.updated for version in versions)  # HAPI does not say when it deleted
    assert "" < first_time < second_time
    of_type = [version for version in client.history("Goal", since=first.updated) if version.id == goal["id"]]
    assert [version.version for version in of_type] == ["1", "2", "3"]
    everything = client.history(since=first.updated)
    assert [version.version for version in everything if version.id == goal["id"]] == ["1", "2", "3"]


def test_what_was_deleted_reads_as_deleted_and_what_never_was_as_nothing(client: FhirClient) -> None:
    person = patient()
    client.transaction([Entry(person)])
    delete(client, f"Patient/{person['id']}")
    gone = client.read("Patient", person["id"])
    assert gone is not None
    assert gone.deleted
    assert client.read("Patient", str(uuid4())) is None


def test_search_and_history_follow_the_pages(client: FhirClient) -> None:
    person = patient()
    goals = [goal_of(person, f"goal {number}") for number in range(7)]
    (written, *_) = client.transaction([Entry(person), *(Entry(goal) for goal in goals)])
    ids = {goal["id"] for goal in goals}
    found = list(client.search("Goal", {"subject": f"Patient/{person['id']}", "_count": "3"}))
    assert len(found) == 7
    assert {goal["id"] for goal in found} == ids
    assert ids <= {version.id for version in client.history("Goal", since=written.updated)}


def test_an_identifier_is_found(client: FhirClient) -> None:
    value = str(uuid4())
    person = patient(identifier=[{"system": "http://electronichealth.se/identifier/personnummer", "value": value}])
    client.transaction([Entry(person)])
    system = "http://electronichealth.se/identifier/personnummer"
    found = find_by_identifiers(client, "Patient", [(system, value), (system, "unknown")])
    assert {name: match["id"] for name, match in found.items()} == {(system, value): person["id"]}


def test_what_it_refuses_is_an_error_that_names_its_number(client: FhirClient) -> None:
    with pytest.raises(RemoteError) as caught:
        client.transaction([Entry(goal_of(patient()))])  # refers to a patient that is not there
    assert caught.value.answered == 400
    assert not caught.value.retry
    assert "HAPI-" in caught.value.issues[0].message
