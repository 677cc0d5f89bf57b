"""Edges of the merge that no story under tests/scenarios/merge tells."""

from __future__ import annotations

from datetime import UTC, datetime
from decimal import Decimal

import pytest

from fhir_adapter.fhir.resources import WRITE_ID
from fhir_adapter.plan.contents import content_of
from fhir_adapter.plan.merge import UNKNOWN_PARTY, Tombstone, looks_emptied, merge
from fhir_adapter.plan.owners import Owners

NOW = datetime(2025, 6, 2, 8, tzinfo=UTC)


def goal(id_="g1", **more):
    return {"resourceType": "Goal", "id": id_, "lifecycleStatus": "active", "description": {"text": "bor kvar"}} | more


def refs(*resources):
    return {f"{one['resourceType']}/{one['id']}": one for one in resources}


def run(bases, ours, theirs, party="region", owners=None, partial=True, **more):
    owners = owners or Owners("kommun", lambda _reference: "kommun")
    return merge(bases, ours, theirs, party=party, owners=owners, partial=partial, now=NOW, **more)


def test_the_first_snapshot_of_a_plan_is_taken_whole():
    result = run([], {}, refs(goal(meta={"versionId": "7", "profile": ["p"]})), partial=False)
    assert result.changed == refs(goal(meta={"profile": ["p"]}))
    assert not result.conflicts


def test_a_resource_that_is_equal_but_for_stored_marks_is_no_change():
    marked = goal(meta={"versionId": "2"}, extension=[{"url": WRITE_ID, "valueString": "w"}])
    assert run([refs(goal())], refs(goal()), refs(marked)).changed == {}


def test_what_takes_part_is_everything_but_version_time_source_and_write_id():
    resource = goal(
        meta={"versionId": "2", "lastUpdated": "x", "source": "y", "tag": [{"code": "t"}]},
        extension=[{"url": WRITE_ID, "valueString": "w"}, {"url": "u", "valueString": "v"}],
    )
    assert content_of(resource) == goal(meta={"tag": [{"code": "t"}]}, extension=[{"url": "u", "valueString": "v"}])
    plain = goal()
    assert content_of(plain) is plain


def test_a_number_with_other_digits_for_the_same_value_is_no_edit():
    ours = goal(target=[{"detailQuantity": {"value": Decimal("1.00")}}])
    theirs = goal(target=[{"detailQuantity": {"value": Decimal("1.0")}}])
    assert run([refs(ours)], refs(ours), refs(theirs)).changed == {}


def observation(**more):
    return {"resourceType": "Observation", "id": "o1", "status": "final", "focus": [{"reference": "Goal/g1"}]} | more


def test_what_an_observation_is_about_is_no_request_that_it_goes_with():
    said, shown = refs(goal()), refs(goal(), observation())
    result = run([said, shown], shown, said, party="kommun", partial=False)
    assert [one.reference for one in result.kept] == ["Observation/o1"]


def test_an_observation_that_was_taken_out_and_comes_again_is_asked_about():
    gone = observation(status="entered-in-error")
    buried = [Tombstone("Observation/o1", "", observation(), "kommun", NOW)]
    result = run([], refs(gone), refs(observation()), hidden=(), buried=lambda: buried)
    assert [(one.reference, one.kind) for one in result.conflicts] == [("Observation/o1", "edit-against-delete")]


def test_who_wrote_last_is_named_where_it_is_known():
    owners = Owners("kommun", lambda _reference: "kommun", lambda _reference: "salem")
    theirs = goal(description={"text": "tar bussen"})
    result = run([refs(goal())], refs(goal(description={"text": "ringer"})), refs(theirs), owners=owners)
    assert [(one.live_party, one.other_party) for one in result.conflicts] == [("salem", "region")]


def test_nobodys_element_stays_as_it_is_live_and_its_author_is_unknown():
    owners = Owners(None, lambda _reference: None)
    ours, theirs = goal(description={"text": "ringer"}), goal(description={"text": "tar bussen"})
    result = run([refs(goal())], refs(ours), refs(theirs), owners=owners)
    assert result.changed == {}
    assert result.conflicts[0].live_party is None
    mine = run([refs(goal())], refs(ours), refs(theirs), owners=Owners(None, lambda _reference: "region"))
    assert mine.conflicts[0].other_party == UNKNOWN_PARTY


def test_something_known_that_the_plan_lost_comes_back_only_by_an_edit():
    assert run([refs(goal())], {}, refs(goal())).changed == {}
    edited = goal(description={"text": "ringer"})
    result = run([refs(goal())], {}, refs(edited))
    assert result.changed == refs(edited)
    assert [one.kind for one in result.conflicts] == ["edit-against-delete"]


def test_without_being_told_what_is_hidden_everything_unknown_to_the_party_is():
    result = run([], refs(goal()), refs(goal(description={"text": "ringer"})))
    assert [one.kind for one in result.conflicts] == ["quarantined"]


def test_a_deletion_of_what_nobody_knows_the_party_had_is_a_question():
    result = run([{"Goal/g1": {}}], refs(goal()), {}, party="kommun", partial=False)
    assert result.changed == {}
    assert [one.kind for one in result.conflicts] == ["edit-against-delete"]


def test_a_partial_statement_removes_nothing_that_it_does_not_mention():
    result = run([refs(goal(), goal("g2"))], refs(goal(), goal("g2")), {}, party="kommun")
    assert (result.changed, result.removed, result.conflicts) == ({}, [], [])


def test_a_party_clears_an_element_that_it_has_seen():
    ours = goal(startDate="2025-02-01")
    assert run([refs(ours)], refs(ours), refs(goal())).changed == refs(goal())


def test_a_cleared_element_that_somebody_changed_meanwhile_stays_and_is_shown():
    base, ours = goal(startDate="2025-02-01"), goal(startDate="2025-03-01")
    result = run([refs(base)], refs(ours), refs(goal()))
    assert result.changed == {}
    assert [(one.path, one.kind, one.live, one.other) for one in result.conflicts] == [
        ("startDate", "edit-against-delete", "2025-03-01", None)
    ]


def test_conflict_tasks_are_not_taken_away_by_a_snapshot_that_cannot_hold_them():
    coding = {"system": "https://fhir-adapter.example/fhir/CodeSystem/conflict", "code": "resolve-conflict"}
    task = {"resourceType": "Task", "id": "q", "status": "requested", "intent": "order", "code": {"coding": [coding]}}
    result = run([refs(goal(), task)], refs(goal(), task), refs(goal()), party="kommun", partial=False)
    assert (result.changed, result.removed, result.conflicts) == ({}, [], [])


def test_own_words_taken_down_by_another_stay_the_persons_whoever_sends_them_again():
    spoken = goal(expressedBy={"reference": "Patient/elin"})
    new = spoken | {"description": {"text": "förbättrad mobilitet"}, "expressedBy": {"reference": "PractitionerRole/1"}}
    result = run([refs(spoken)], refs(spoken), refs(new))
    assert [(one.kind, one.path) for one in result.conflicts] == [
        ("own-words", "description"),
        ("own-words", "expressedBy"),
    ]


def test_a_goal_is_not_silently_taken_from_the_person_who_said_it():
    spoken = goal(expressedBy={"reference": "Patient/elin"})
    result = run([refs(spoken)], refs(spoken), refs(spoken | {"expressedBy": {"reference": "PractitionerRole/1"}}))
    assert [(one.kind, one.path, one.other) for one in result.conflicts] == [
        ("own-words", "expressedBy", {"reference": "Patient/elin"})
    ]


def test_a_goal_in_the_persons_words_that_another_drops_ends_and_its_words_are_kept():
    spoken = goal(expressedBy={"reference": "Patient/elin"})
    nobody_brought_it = Owners("kommun", lambda _: None)
    result = merge([refs(spoken)], refs(spoken), {}, party="kommun", owners=nobody_brought_it, partial=False, now=NOW)
    assert result.removed == ["Goal/g1"]
    assert [(one.kind, one.other) for one in result.conflicts] == [("own-words", spoken)]


def test_a_goal_that_loses_all_of_few_looks_emptied_only_from_two_on():
    one, two = refs(goal()), refs(goal(), goal("g2"))
    assert looks_emptied([one], {}) == ()
    assert looks_emptied([two], {}) == ("Goal",)
    assert looks_emptied([two], one) == ()
    assert looks_emptied([], {}) == ()


@pytest.mark.parametrize(
    ("had", "kept", "lost"), [(3, 1, ()), (4, 1, ("Goal",)), (4, 2, ()), (6, 2, ()), (6, 1, ("Goal",))]
)
def test_a_snapshot_that_loses_more_than_two_thirds_at_once_looks_emptied(had, kept, lost):
    before = refs(*(goal(f"g{number}") for number in range(had)))
    after = dict(list(before.items())[:kept])
    assert looks_emptied([before], after) == lost


def test_what_is_completed_may_leave_a_record():
    completed = refs(*(goal(f"g{number}", lifecycleStatus="completed") for number in range(3)))
    assert looks_emptied([completed], {}) == ()


def test_goals_that_ended_or_that_the_sender_never_said_do_not_count_as_lost():
    ended = refs(goal(), goal("g2", lifecycleStatus="cancelled"))
    assert looks_emptied([ended], {}) == ()
    assert looks_emptied([refs(goal()), refs(goal(), goal("g2"))], {}) == ()


def test_a_snapshot_without_its_plan_looks_emptied():
    plan = {"resourceType": "CarePlan", "id": "p", "status": "active"}
    assert looks_emptied([refs(plan)], refs(goal())) == ("CarePlan",)


def with_what_a_format_cannot_say(resource):
    return resource | {
        "statusDate": "2025-03-01",
        "note": [{"text": "n"}],
        "extension": [{"url": "u", "valueCode": "v"}],
    }


def test_what_the_senders_format_cannot_hold_is_neither_taken_away_nor_told():
    native, whole = refs(goal()), refs(with_what_a_format_cannot_say(goal()))
    for bases, how in (([native, whole, native], {}), ([whole, native], {"exact": True}), ([{}, whole, native], {})):
        result = run(bases, whole, refs(goal(priority={"text": "hög"})), party="kommun", partial=False, **how)
        assert result.changed == refs(with_what_a_format_cannot_say(goal(priority={"text": "hög"})))
        assert (result.removed, result.conflicts, result.kept) == ([], [], [])


def test_an_exact_sender_takes_away_what_both_forms_of_its_version_have():
    native, whole = refs(goal(), goal("g2")), refs(with_what_a_format_cannot_say(goal()), goal("g2"))
    result = run([whole, native], whole, refs(goal()), party="kommun", partial=False, exact=True)
    assert result.removed == ["Goal/g2"]
    assert result.kept == []


def test_what_was_shown_in_every_form_and_never_taken_up_is_told():
    said, shown = refs(goal()), refs(goal(lifecycleStatus="completed", startDate="2025-02"))
    result = run([said, shown, shown], shown, said, party="kommun", partial=False)
    assert {(one.path, one.sent, one.live) for one in result.kept} == {
        ("lifecycleStatus", "active", "completed"),
        ("startDate", None, "2025-02"),
    }


def test_an_old_turn_back_to_what_was_shown_is_told_where_the_order_is_not_known():
    said, shown = refs(goal(startDate="2025-03")), refs(goal(startDate="2025-02"))
    result = run([said, shown], said, shown, party="kommun", partial=False)
    assert result.changed == {}
    assert [(one.sent, one.live) for one in result.kept] == [("2025-02", "2025-03")]
    assert run([said, shown], said, shown, party="kommun", partial=False, said_last=True).changed == shown


def test_what_is_new_to_the_sender_is_merged_field_by_field_whatever_it_said_last():
    ours, theirs = goal(note=[{"text": "ours"}]), goal(note=[{"text": "theirs"}])
    result = run([{}, {}], refs(ours), refs(theirs), hidden=(), said_last=True, partial=False)
    assert result.changed == refs(goal(note=[{"text": "ours"}, {"text": "theirs"}]))


def test_a_statement_about_another_person_is_neither_applied_nor_dropped():
    ours = goal(subject={"reference": "Patient/elin"})
    said = ours | {"description": {"text": "x"}, "subject": {"reference": "Patient/other"}}
    result = run([refs(ours)], refs(ours), refs(said))
    assert result.changed == {}
    assert [(one.kind, one.path, one.live, one.other) for one in result.conflicts] == [
        ("quarantined", "subject", None, said)
    ]


def test_a_statement_about_the_same_person_under_another_id_is_merged():
    number = {"system": "urn:x", "value": "1"}
    ours = goal(subject={"reference": "Patient/1"})
    people = [{"resourceType": "Patient", "id": id_, "identifier": [number]} for id_ in ("1", "2")]
    result = run([refs(ours)], refs(ours, people[0]), refs(ours | {"subject": {"reference": "Patient/2"}}, people[1]))
    assert result.conflicts == []
    assert result.changed["Goal/g1"]["subject"] == {"reference": "Patient/2"}


def test_rules_that_the_plan_does_not_know_keep_a_statement_out():
    result = run([refs(goal())], refs(goal()), refs(goal(implicitRules="https://x.example/rules")))
    assert [(one.kind, one.path) for one in result.conflicts] == [("quarantined", "implicitRules")]
    known = goal(implicitRules="https://x.example/rules")
    assert run([refs(known)], refs(known), refs(known | {"startDate": "2025"})).conflicts == []


@pytest.mark.parametrize(
    ("more", "reason"),
    [
        ({"modifierExtension": [{"url": "https://x.example/not"}]}, "modifierExtension"),
        ({"target": [{"modifierExtension": [{"url": "https://x.example/not"}]}]}, "modifierExtension"),
        ({"implicitRules": "https://x.example/rules"}, "implicitRules"),
    ],
)
def test_of_a_new_plan_too_what_may_turn_it_around_is_kept_out(more, reason):
    result = run([], {}, refs(goal(**more), goal("g2")), partial=False)
    assert result.changed == refs(goal("g2"))
    assert [(one.kind, one.path, one.other) for one in result.conflicts] == [("quarantined", reason, goal(**more))]


def test_a_contained_resource_that_the_other_side_points_to_stays_and_is_shown():
    need = {"resourceType": "Condition", "id": "x", "subject": {"reference": "Patient/elin"}}
    alone, linked = goal(contained=[need]), goal(contained=[need], addresses=[{"reference": "#x"}])
    for ours, theirs in ((linked, goal()), (goal(), linked)):
        result = run([refs(alone)], refs(ours), refs(theirs), party="kommun")
        live = result.changed.get("Goal/g1", ours)
        assert (live["contained"], live["addresses"]) == ([need], [{"reference": "#x"}])
        assert [(one.kind, one.base, one.live) for one in result.conflicts] == [("edit-against-delete", need, need)]
        assert result.tombstones == []


@pytest.mark.parametrize(
    ("said", "live"),
    [("xab", "oxab"), ("axb", "oaxb"), ("abx", "oabx"), ("xyab", "oxyab"), ("x", "ox"), ("xb", "oxb"), ("ba", "oab")],
)
def test_what_is_added_stands_where_its_sender_put_it(said, live):
    """In the order of ours: behind what it followed, else before what it preceded, else last; o is not the sender's."""
    base, ours, theirs = (goal(category=[{"text": word} for word in words]) for words in ("ab", "oab", said))
    changed = run([refs(base)], refs(ours), refs(theirs)).changed
    assert "".join(one["text"] for one in changed.get("Goal/g1", ours)["category"]) == live


def person(phone=None, gender=None):
    telecom = {"telecom": [{"system": "phone", "value": phone}]} if phone else {}
    return {"resourceType": "Patient", "id": "p"} | telecom | ({"gender": gender} if gender else {})


@pytest.mark.parametrize(
    ("said", "after"),
    [
        (person("3", "other"), person("3", "other")),
        (person("1", "female"), person("2", "male")),
        (person(), person("2", "male")),
    ],
    ids=["changed", "unchanged", "left out"],
)
def test_where_a_partys_word_with_another_record_is_live_what_it_says_is_its_later_word(said, after):
    base, live = person("1", "female"), person("2", "male")
    result = run([refs(base)], refs(live), refs(said), party="kommun", beside=lambda _: [live])
    assert (result.changed.get("Patient/p", live), result.conflicts) == (after, [])


def test_what_a_party_did_not_say_with_any_record_is_asked_about_as_ever():
    base, live = person("1", "female"), person("9", "male")
    result = run([refs(base)], refs(live), refs(person("3")), party="kommun", beside=lambda _: [person("2", "other")])
    assert sorted(one.kind for one in result.conflicts) == ["both-changed", "edit-against-delete"]
