"""Data of an older version, opened by this one: what could not be done then is made good."""

from __future__ import annotations

from typing import Any

import requests

from fhir_adapter.flows import sync
from fhir_adapter.flows.verify import verify
from fhir_adapter.store.database import MIGRATIONS
from tests.flows.conftest import Town

REGION = "region-stockholm"


def test_what_was_deleted_before_it_was_asked_about_comes_back_without_waiting_for_the_next_edit(
    town: Town, sip: dict[str, Any]
) -> None:
    """Before decision 34 a deleted person was noted and nobody was asked, and what was to stay was not given again."""
    plan = town.push(sip).json()["plan"]["id"]
    town.sync()
    hub, person = town.service.hub, town.at_region(f"CarePlan/{plan}")["subject"]["reference"]
    requests.delete(f"{town.region}/{person}", timeout=30).raise_for_status()
    town.sync()
    (migration,) = MIGRATIONS.glob("0018_*.sql")

    def as_it_was_left(connection: Any) -> None:
        connection.execute("DELETE FROM conflict WHERE reference = ?", (person,))
        connection.execute("UPDATE outbox SET state = 'done'")
        for statement in migration.read_text("utf-8").split(";"):
            connection.execute(statement)

    hub.database.write(as_it_was_left)
    assert sync.cycle(hub, hub.parties[REGION]).delivered
    assert [*verify(hub, hub.parties[REGION])] == []
    assert town.at_region(person)["birthDate"] == sip["person"]["birthDate"]
