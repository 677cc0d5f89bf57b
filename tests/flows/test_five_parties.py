"""Two regions and three municipalities on one plan, with two sandboxes as the regions."""

from __future__ import annotations

from pathlib import Path

from tests.flows.five_parties import all_edit_and_it_settles, five_parties


def test_two_regions_and_three_municipalities_settle_to_the_same_plan_and_stop_writing(tmp_path: Path) -> None:
    with five_parties(tmp_path) as five:
        all_edit_and_it_settles(five, "198507142381")
