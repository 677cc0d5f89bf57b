"""What not everybody changes: who leads a plan, the statute that it is shared by, whom an organisation stands for."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from fhir_adapter.fhir.resources import STATUTORY_BASIS
from fhir_adapter.plan.lead import hold_back_what_is_not_its
from fhir_adapter.plan.merge import merge
from fhir_adapter.plan.owners import Owners

NOW = datetime(2025, 6, 2, 8, tzinfo=UTC)


def led_by(author):
    return Owners("kommun", lambda _: "kommun", names=lambda one: one["reference"].split("/")[1], author=author)


MARK = {"url": "https://x.example/mark", "valueString": "red"}


def basis(code="dk-psykiatriloven-13c"):
    return {"url": STATUTORY_BASIS, "valueCodeableConcept": {"coding": [{"code": code}]}}


def plan(**more):
    return {
        "resourceType": "CarePlan",
        "id": "1",
        "status": "active",
        "author": {"reference": "Organization/kommun"},
    } | more


def said(before, after, party="region", owners=None):
    """What the plan is after a party, having seen it, says `after`; and what was held back."""
    ours = {"CarePlan/1": before} if before else {}
    owners = owners or led_by((before or {}).get("author"))
    merged = merge([ours], ours, {"CarePlan/1": after}, party=party, owners=owners, partial=True, now=NOW)
    hold_back_what_is_not_its(merged, ours, party, owners)
    held = [(one.path, one.live, one.other) for one in merged.conflicts if one.kind == "not-allowed"]
    return merged.changed.get("CarePlan/1", before), held


def test_another_than_the_lead_names_no_statute():
    live, held = said(plan(), plan(extension=[basis(), MARK], title="x"))
    assert live == plan(extension=[MARK], title="x")
    assert held == [(f"extension[{STATUTORY_BASIS}]", None, basis())]


@pytest.mark.parametrize("extension", [[basis("other")], [], [basis(), basis("other")]])
def test_another_than_the_lead_changes_no_statute(extension):
    before = plan(extension=[MARK, basis()])
    live, held = said(before, plan(extension=[MARK, *extension]))
    assert live == before
    assert len(held) == (1 if extension else 0)  # left out, it was kept as another's extension already


def test_another_than_the_lead_does_not_make_itself_the_lead():
    live, held = said(plan(), plan(author={"reference": "Organization/region"}))
    assert live == plan()
    assert held == [("author", {"reference": "Organization/kommun"}, {"reference": "Organization/region"})]


def test_the_lead_names_a_statute_and_hands_the_plan_over():
    after = plan(extension=[basis()], author={"reference": "Organization/region"})
    assert said(plan(), after, party="kommun") == (after, [])


def test_who_brought_the_plan_and_handed_it_over_may_correct_that():
    handed_over = plan(author={"reference": "Organization/region"})
    assert said(handed_over, plan(), party="kommun") == (plan(), [])
    assert said(handed_over, plan(), party="region") == (plan(), [])


def test_a_plan_that_nobody_leads_is_taken_as_it_comes():
    nobody = Owners(None, lambda _: None)
    after = plan(extension=[basis()])
    assert said(plan(), after, owners=nobody) == (after, [])


def test_a_plan_that_is_new_is_taken_as_it_comes():
    assert said(None, plan(extension=[basis()])) == (plan(extension=[basis()]), [])


NUMBER, OTHERS = ({"system": "urn:oid:2.5.4.97", "value": value} for value in ("212", "232"))


def organisation(**more):
    return {"resourceType": "Organization", "id": "unit", "name": "Enhet", "identifier": [NUMBER]} | more


def said_of_it(after, party):
    """The same for an organisation that `kommun` brought, and that stands for `unit`."""
    before, reference = organisation(), "Organization/unit"
    ours, owners = {reference: before}, led_by(None)
    merged = merge([ours], ours, {reference: after}, party=party, owners=owners, partial=True, now=NOW)
    hold_back_what_is_not_its(merged, ours, party, owners)
    held = [(one.path, one.live, one.other) for one in merged.conflicts if one.kind == "not-allowed"]
    return merged.changed.get(reference, before), held


def test_nobody_makes_an_organisation_its_own():
    below = {"reference": "Organization/region"}
    live, held = said_of_it(organisation(name="Enheten", identifier=[NUMBER, OTHERS], partOf=below), "region")
    assert live == organisation(name="Enheten"), "the name is nobody's"
    assert held == [("identifier", [NUMBER], [NUMBER, OTHERS]), ("partOf", None, below)]


@pytest.mark.parametrize("party", ["kommun", "unit"])
def test_who_brought_an_organisation_and_who_is_it_say_what_it_is(party):
    after = organisation(identifier=[NUMBER, OTHERS])
    assert said_of_it(after, party) == (after, [])
