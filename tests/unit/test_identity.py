"""Two records of one person become one, and can be parted again."""

from __future__ import annotations

import pytest

from fhir_adapter.errors import Refused
from fhir_adapter.plan.identity import (
    are_born_apart,
    is_protected,
    is_replaced,
    join,
    part,
    pointers_to,
    repointed,
    with_what_was_said_before,
    with_words_kept,
)

CPR = "urn:oid:1.2.208.176.1.2"


def patient(id_, number, **more):
    return {"resourceType": "Patient", "id": id_, "identifier": [{"system": CPR, "value": number}]} | more


OLD, NEW = patient("old", "0201919990"), patient("new", "0201919991")


def team(*members):
    return {"resourceType": "CareTeam", "id": "c", "participant": [{"member": {"reference": one}} for one in members]}


def a_plan(*more):
    plan = {"resourceType": "CarePlan", "id": "p", "subject": {"reference": "Patient/old"}}
    goal = {"resourceType": "Goal", "id": "g", "subject": {"reference": "Patient/old"}}
    found = [OLD, plan, goal, team("Patient/new", "Patient/old"), *more]
    return {f"{one['resourceType']}/{one['id']}": one for one in found}


def test_whatever_pointed_to_the_old_record_points_to_the_new_one():
    plan = a_plan()
    changed = repointed(plan, "Patient/old", "Patient/new")
    assert changed["CarePlan/p"]["subject"] == changed["Goal/g"]["subject"] == {"reference": "Patient/new"}
    assert changed["CareTeam/c"] == team("Patient/new", "Patient/new")
    assert plan == a_plan(), "no argument is changed"


def test_both_records_stay_linked_and_the_old_number_is_kept_as_old():
    given_up, remaining, _ = join(OLD, NEW)
    assert remaining["identifier"] == [
        {"system": CPR, "value": "0201919991"},
        {"system": CPR, "value": "0201919990", "use": "old"},
    ]
    assert remaining["link"] == [{"other": {"reference": "Patient/old"}, "type": "replaces"}]
    assert given_up["link"] == [{"other": {"reference": "Patient/new"}, "type": "replaced-by"}]
    assert given_up["active"] is False
    assert [is_replaced(one) for one in (given_up, remaining, OLD)] == [True, False, False]


def test_what_is_undone_leaves_no_trace():
    plan = a_plan()
    before = pointers_to(plan, "Patient/new")
    joined = plan | repointed(plan, "Patient/old", "Patient/new")
    assert joined | repointed(joined, "Patient/new", "Patient/old", but=before) == plan
    given_up, remaining, done = join(OLD, NEW)
    assert part(given_up, remaining, done) == (OLD, NEW)


def test_what_the_plan_was_told_since_goes_back_with_it_and_what_a_person_was_told_stays():
    plan = a_plan()
    before = pointers_to(plan, "Patient/new")
    new = {"resourceType": "Goal", "id": "h", "subject": {"reference": "Patient/new"}}
    since = plan | repointed(plan, "Patient/old", "Patient/new") | {"Goal/h": new}
    parted = since | repointed(since, "Patient/new", "Patient/old", but=before)
    assert parted["Goal/h"]["subject"] == {"reference": "Patient/old"}, "a plan is about one person"
    given_up, remaining, done = join(OLD, NEW)
    phone = [{"system": "phone", "value": "070"}]
    assert part(given_up | {"telecom": phone}, remaining, done)[0] == OLD | {"telecom": phone}


@pytest.mark.parametrize("label", ["R", "V", "sekretessmarkering", "skyddadFolkbokforing"])
def test_a_protected_identity_is_never_linked(label):
    hidden = NEW | {"meta": {"security": [{"code": label}]}}
    assert is_protected(hidden)
    for pair in ((OLD, hidden), (hidden, OLD)):
        with pytest.raises(Refused, match="protected"):
            join(*pair)


def test_one_record_cannot_be_joined_with_itself():
    with pytest.raises(Refused, match="one record already"):
        join(NEW, NEW)


@pytest.mark.parametrize(
    ("one", "other", "apart"),
    [
        ("1985-07-14", "1985-07-15", True),
        ("1985-07-14", "1991", True),
        ("1985-07-14", "1985", False),
        ("1985-07", "1985-07-14", False),
        ("1985-07-14", "1985-07-14", False),
        ("1985-07-14", "", False),
    ],
)
def test_days_of_birth_that_cannot_be_one(one, other, apart):
    def born(day):
        return {"birthDate": day} if day else {}

    assert are_born_apart(OLD | born(one), NEW | born(other)) is apart
    assert are_born_apart(NEW | born(other), OLD | born(one)) is apart


def test_words_beside_a_reference_to_a_person_are_kept_where_the_reference_was_written_anew():
    """HAPI's $merge puts a bare Reference in the place of one with a display."""

    def team(*members):
        return {"participant": [{"member": member} for member in members]}

    elin, karin = {"reference": "Patient/a", "display": "Elin"}, {"reference": "Practitioner/k", "display": "Karin"}
    bare = {"reference": "Patient/a"}
    assert with_words_kept(team(bare, karin), team(elin, karin), {"Patient/a"}) == team(elin, karin)
    for said in (
        team(bare, karin),  # joined with nobody: taken away on purpose
        team(elin | {"display": "Elin Å."}, karin),
        team({"reference": "Patient/b"}, karin),
        team(elin, {"reference": "Practitioner/k"}),
        team(bare),
    ):
        joined = set() if said == team(bare, karin) else {"Patient/a"}
        assert with_words_kept(said, team(elin, karin), joined) == said


STREET = {"line": ["Storgatan 12"], "postalCode": "151 72", "district": "Södertälje", "extension": [{"url": "k"}]}


@pytest.mark.parametrize(
    ("said", "after"),
    [
        ([{"district": "Södertälje"}], [STREET]),
        ([{"district": "Södertälje", "extension": [{"url": "k"}]}], [STREET]),
        ([{"district": "Nykvarn"}], [{"district": "Nykvarn"}]),
        ([STREET | {"line": ["Ågatan 1"]}], [STREET | {"line": ["Ågatan 1"]}]),
        ([], []),
    ],
)
def test_a_value_that_only_says_less_is_the_one_that_said_it_before(said, after):
    earlier = [patient("a", "1", address=[STREET | {"line": ["Storgatan 1"]}]), patient("a", "1", address=[STREET])]
    assert with_what_was_said_before(patient("a", "1", address=said), earlier) == patient("a", "1", address=after)
