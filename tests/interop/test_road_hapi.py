"""The road of tests/flows, with a real HAPI FHIR server as the region."""

from __future__ import annotations

import itertools
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.flows.conftest import SAMPLES, Town, a_town
from tests.flows.test_road import (
    test_a_new_intervention_given_as_activity_detail_comes_back_too,
    test_a_person_the_region_knows_already_is_not_made_twice,
    test_a_pushed_sip_is_at_the_region_with_team_goals_and_interventions,
    test_a_value_set_back_with_if_match_is_taken,
    test_an_old_copy_does_not_undo_what_the_region_did_and_the_receipt_says_so,
    test_both_edit_the_same_goal_text_and_both_values_are_kept,
    test_different_fields_of_one_goal_edited_on_both_sides_come_together,
    test_the_list_of_changes_names_what_the_region_changed,
    test_the_rest_of_the_regions_records_stays_where_it_is,
    test_what_the_region_edits_shows_in_the_municipalitys_own_record,
    test_without_edits_the_writes_stop,
)

pytestmark = pytest.mark.hapi

__all__ = [
    "test_a_new_intervention_given_as_activity_detail_comes_back_too",
    "test_a_person_the_region_knows_already_is_not_made_twice",
    "test_a_pushed_sip_is_at_the_region_with_team_goals_and_interventions",
    "test_a_value_set_back_with_if_match_is_taken",
    "test_an_old_copy_does_not_undo_what_the_region_did_and_the_receipt_says_so",
    "test_both_edit_the_same_goal_text_and_both_values_are_kept",
    "test_different_fields_of_one_goal_edited_on_both_sides_come_together",
    "test_the_list_of_changes_names_what_the_region_changed",
    "test_the_rest_of_the_regions_records_stays_where_it_is",
    "test_what_the_region_edits_shows_in_the_municipalitys_own_record",
    "test_without_edits_the_writes_stop",
]

_PERSONS = itertools.count(100)


@pytest.fixture
def sip() -> dict[str, Any]:
    """SIP-1 about somebody whom this HAPI has not seen yet."""
    record: dict[str, Any] = json.loads((SAMPLES / "SIP-1.json").read_text("utf-8"))
    record["person"]["personnummer"] = f"19850714{next(_PERSONS)}0"
    return record


@pytest.fixture
def town(tmp_path: Path, hapi: str) -> Iterator[Town]:
    yield from a_town(tmp_path, hapi)
