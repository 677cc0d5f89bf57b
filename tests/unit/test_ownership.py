"""The rules' table, the keys of lists and what the docs say of them."""

from __future__ import annotations

import pytest

from fhir_adapter.errors import BadDeclaration
from fhir_adapter.plan.keys import KEYS, assign_keys, fingerprint, label
from fhir_adapter.plan.owners import Owners, lead_of, organisations_behind
from fhir_adapter.plan.ownership import ANY, RULES, Rules, choice_stem

EVERY_RULE = [(type_, path, rule) for type_, rules in {**RULES, "*": ANY}.items() for path, rule in rules.items()]


@pytest.mark.parametrize(("type_", "path", "rule"), EVERY_RULE)
def test_every_rule_names_keys_that_exist(type_, path, rule):
    assert set(rule.keys) <= KEYS.keys(), f"{type_}.{path}"


@pytest.mark.parametrize(("type_", "path", "rule"), EVERY_RULE)
def test_a_removal_that_is_not_a_drop_has_a_key_to_find_the_item(type_, path, rule):
    assert rule.removal == "dropped" or rule.keys, f"{type_}.{path}"


def test_a_type_without_rules_belongs_to_who_brought_it():
    assert Rules.default().rule_for("Location", "status").owner == "setter"


def test_the_types_own_rule_comes_before_the_one_of_every_type():
    assert Rules.default().rule_for("Goal", "addresses").owner == "adder"
    assert Rules.default().rule_for("Goal", "note").removal == "kept"


def test_periods_of_any_name_merge_field_by_field():
    assert Rules.default().rule_for("ServiceRequest", "occurrencePeriod").fields
    assert Rules.default().rule_for("CareTeam", "participant.period").fields
    assert not Rules.default().rule_for("ServiceRequest", "occurrenceTiming").fields


def test_what_is_inside_a_listed_element_has_its_owner():
    assert Rules.default().rule_for("CareTeam", "participant.period.end").owner == "member"


def test_extensions_are_matched_by_url_at_any_depth():
    assert Rules.default().rule_for("Goal", "target.extension").keys == ("url",)


def test_forms_of_a_choice_share_one_name():
    assert choice_stem("ServiceRequest", "", "occurrencePeriod") == "occurrence"
    assert choice_stem("ServiceRequest", "", "_occurrenceDateTime") == "occurrence"
    assert choice_stem("Goal", "target", "dueDate") == "due"
    assert choice_stem("Goal", "", "statusDate") == "statusDate"
    assert choice_stem("CarePlan", "activity.detail", "scheduledString") == "scheduled"
    assert choice_stem("MedicationStatement", "", "medicationReference") == "medication"


def test_what_only_looks_like_forms_of_one_element_is_several():
    assert choice_stem("Task", "", "instantiatesUri") == "instantiatesUri"
    assert choice_stem("Observation", "", "valueless") == "valueless"
    assert choice_stem("Nothing", "not.there", "valueDate") == "valueDate"


def test_what_was_asked_for_is_the_requesters_and_how_far_it_is_the_performers():
    asked, told = ("description", "code", "owner", "input"), ("status", "businessStatus", "executionPeriod", "output")
    assert {Rules.default().rule_for("Task", path).owner for path in asked} == {"requester"}
    assert {Rules.default().rule_for("Task", path).owner for path in told} == {"performer"}
    assert Rules.default().rule_for("CarePlan", "activity.detail.status").owner == "performer"
    assert Rules.default().rule_for("CarePlan", "activity.detail.description").owner == "requester"


def test_what_names_nobody_and_nobody_brought_is_the_leads():
    owners = Owners("kommun", lambda reference: {"Goal/g2": "region"}.get(reference))
    assert owners.owner_of("Goal/g2", "lead", {}) == "kommun"
    assert owners.owner_of("Goal/g2", "setter", {}) == "region"
    assert owners.owner_of("Goal/unknown", "setter", {}) == "kommun"
    assert owners.owner_of("Goal/g2", "shared", {}) is None


def keys(names, *versions, bases):
    return assign_keys(names, versions, bases)


def test_a_coarse_key_holds_for_what_was_there_before():
    before = [{"member": {"reference": "PractitionerRole/a"}, "role": [{"text": "x"}]}]
    after = [{"member": {"reference": "PractitionerRole/a"}, "role": [{"text": "y"}]}]
    base, ours, theirs = keys(("member", "member and role"), before, before, after, bases=1)
    assert base == ours == theirs


def test_two_new_items_with_one_coarse_key_are_two():
    one = [{"member": {"reference": "PractitionerRole/a"}, "role": [{"text": "x"}]}]
    two = [{"member": {"reference": "PractitionerRole/a"}, "role": [{"text": "y"}]}]
    _, ours, theirs = keys(("member", "member and role"), [], one, two, bases=1)
    assert ours != theirs


def test_a_key_that_occurs_twice_is_refined_by_content():
    twice = [{"url": "u", "valueString": "1"}, {"url": "u", "valueString": "2"}]
    base, _, theirs = keys(("url",), twice, twice, [twice[1]], bases=1)
    assert theirs == [base[1]]


def test_equal_items_are_told_apart_by_counting():
    base, _, theirs = keys((), ["a", "a"], [], ["a"], bases=1)
    assert len(set(base)) == 2
    assert theirs == base[:1]


def test_unlisted_references_are_known_by_what_they_point_to():
    base, _, theirs = keys((), [{"reference": "Goal/1"}], [], [{"reference": "Goal/1", "display": "x"}], bases=1)
    assert base == theirs


def test_a_path_holds_no_words_of_a_person():
    assert label(("reference", "Goal/g1")) == "Goal/g1"
    assert label(("url", "https://x.example/a")) == "https://x.example/a"
    assert "Karin" not in label(("reference", "Karin Ödman/boendestöd"))


def test_a_fingerprint_does_not_depend_on_the_order_of_fields():
    (first,), (second,) = keys((), [{"a": 1, "b": [2]}], [{"b": [2], "a": 1}], bases=1)
    assert fingerprint(first) == fingerprint(second)


def test_a_declaration_gives_elements_other_owners_and_what_is_inside_them():
    rules = Rules.default().overridden(
        {"Goal.target": "shared", "Task": "lead", "ServiceRequest.occurrencePeriod": "performer"}
    )
    assert rules.rule_for("Goal", "target.dueDate").owner == "shared"
    assert rules.rule_for("Goal", "target").keys == ("measure", "measure and due")
    assert rules.rule_for("Goal", "description").owner == "setter"
    assert rules.rule_for("Task", "description").owner == "lead"
    assert rules.whole("Task") == "lead"
    assert rules.rule_for("ServiceRequest", "occurrenceDateTime").owner == "performer"
    assert rules.rule_for("Task", "status").owner == "performer"  # the nearest that is named counts


def test_no_other_owners_are_the_same_rules_and_a_word_that_is_none_is_refused():
    assert Rules.default().overridden({}) is Rules.default()
    with pytest.raises(BadDeclaration, match="no owner is called 'nobody'"):
        Rules.default().overridden({"Goal": "nobody"})


PLAN = {
    "Organization/ward": {"resourceType": "Organization", "id": "ward", "partOf": {"reference": "Organization/region"}},
    "PractitionerRole/r": {
        "resourceType": "PractitionerRole",
        "id": "r",
        "practitioner": {"reference": "Practitioner/lena"},
        "organization": {"reference": "Organization/ward"},
    },
    "HealthcareService/h": {"resourceType": "HealthcareService", "providedBy": {"reference": "Organization/ward"}},
    "Organization/loop": {"resourceType": "Organization", "partOf": {"reference": "Organization/loop"}},
}


@pytest.mark.parametrize(
    "name", ["Organization/ward", "PractitionerRole/r", "HealthcareService/h", "Practitioner/lena"]
)
def test_units_staff_and_services_stand_for_their_organisation(name):
    assert list(organisations_behind({"reference": name}, PLAN)) == ["Organization/ward", "Organization/region"]


def test_who_is_nobodys_stands_for_itself_and_a_loop_ends():
    assert list(organisations_behind({"reference": "RelatedPerson/mor"}, PLAN)) == ["RelatedPerson/mor"]
    assert list(organisations_behind({"display": "mamma"}, PLAN)) == []
    assert set(organisations_behind({"reference": "Organization/loop"}, PLAN)) == {"Organization/loop"}


def test_the_lead_is_the_author_of_the_plan_that_is_no_part_of_another():
    part = {
        "resourceType": "CarePlan",
        "basedOn": [{"reference": "CarePlan/p"}],
        "author": {"reference": "Organization/b"},
    }
    plan = {"resourceType": "CarePlan", "author": {"reference": "Organization/a"}}
    assert lead_of({"CarePlan/part": part, "CarePlan/p": plan}) == {"reference": "Organization/a"}
    assert lead_of({}) is None
