"""Who may see a plan: denied unless everything that must hold does, and why."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path

import pytest

from fhir_adapter.access.identity import Party
from fhir_adapter.access.organisations import may_mean
from fhir_adapter.access.policies import may_see
from fhir_adapter.fhir.organisations import digits_of, organisations_named
from fhir_adapter.fhir.resources import CODES, EXTENSIONS

ORGANISATION_NUMBER = "urn:oid:2.5.4.97"
KOMMUN = Party("salem", "Salems kommun", frozenset({(ORGANISATION_NUMBER, "2120002874")}))
REGION = Party("region-stockholm", "Region Stockholm", frozenset({(ORGANISATION_NUMBER, "2321000016")}))
AGENCY = Party("forsakringskassan", "Försäkringskassan", frozenset({(ORGANISATION_NUMBER, "2021005521")}))
NOW = datetime(2025, 11, 1, 12, tzinfo=UTC)
SAMPLES = Path(__file__).parents[2] / "mappings" / "se-sip" / "samples"


def organisation(id_, number, **more):
    identifier = [{"system": ORGANISATION_NUMBER, "value": number}] if number else []
    return {"resourceType": "Organization", "id": id_, "identifier": identifier} | more


def actor(**reference):
    return {"reference": reference}


def consent(id_="k1", *, status="active", provision=None, **more):
    scope = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/consentscope", "code": "patient-privacy"}]}
    return {
        "resourceType": "Consent",
        "id": id_,
        "status": status,
        "scope": scope,
        "patient": {"reference": "Patient/omar"},
        "provision": {"type": "permit"} if provision is None else provision,
    } | more


def plan(*more, consents=None, principal="region"):
    """A plan of Salem's in which the region answers for one intervention and the agency sits in the team."""
    kind = {"coding": [{"system": f"{CODES}/huvudman", "code": principal}]}
    found = [
        {
            "resourceType": "CarePlan",
            "id": "p1",
            "status": "active",
            "subject": {"reference": "Patient/omar"},
            "author": {"reference": "Organization/kommun"},
        },
        organisation("kommun", "2120002874"),
        organisation("region", "2321000016"),
        organisation("agency", "2021005521"),
        {
            "resourceType": "ServiceRequest",
            "id": "s1",
            "status": "active",
            "performerType": kind,
            "performer": [{"display": "Psykiatrisk öppenvård"}],
        },
        {
            "resourceType": "Task",
            "id": "t1",
            "status": "in-progress",
            "focus": {"reference": "ServiceRequest/s1"},
            "owner": {"reference": "Organization/region"},
        },
        {
            "resourceType": "CareTeam",
            "id": "c1",
            "status": "active",
            "participant": [{"member": {"reference": "Organization/agency"}, "period": {"start": "2025-10"}}],
        },
        *([consent()] if consents is None else consents),
        *more,
    ]
    return {f"{one['resourceType']}/{one['id']}": one for one in found}


def decide(resources, party=REGION, now=NOW, **more):
    return may_see(resources, party, home="salem", now=now, **more)


def permits(*consents, party=REGION, now=NOW):
    return decide(plan(consents=consents), party, now).permit


def test_the_party_that_brought_the_plan_sees_it_without_any_consent():
    assert decide(plan(consents=()), KOMMUN).permit


def test_another_plan_among_the_resources_decides_nothing():
    """Who may see the plan could else put one beside it that lets others in, or makes it part of that one."""
    other = {"resourceType": "CarePlan", "id": "0", "status": "active", "subject": {"reference": "Patient/omar"},
             "author": {"reference": "Organization/agency"}}  # fmt: skip
    resources = {"CarePlan/0": other, **plan()}
    resources["CarePlan/p1"] |= {"partOf": [{"reference": "CarePlan/0"}]}
    assert decide(resources, AGENCY).permit
    assert not decide(resources, AGENCY, main="CarePlan/p1").permit
    assert decide(resources, REGION, main="CarePlan/p1").permit


def test_a_plan_without_consent_is_shared_with_nobody_else():
    decision = decide(plan(consents=()))
    assert not decision.permit
    assert decision.reasons == ("there is no consent",)


def test_no_legal_basis_other_than_consent_permits_anything_yet():
    decision = decide(plan(consents=()), bases=["dk-13c"])
    assert not decision.permit
    assert "the legal basis dk-13c is not understood" in decision.reasons


STATUTE = {
    "url": f"{EXTENSIONS}/statutory-basis",
    "valueCodeableConcept": {"coding": [{"system": f"{CODES}/disclosure-basis", "code": "dk-psykiatriloven-13c"}]},
}
COORDINATION_PLAN = [{"coding": [{"system": f"{CODES}/dk-plan-category", "code": "koordinationsplan"}]}]


def coordination_plan(**changes):
    found = plan(consents=[consent(status="rejected")])
    key = next(reference for reference in found if reference.startswith("CarePlan/"))
    found[key] = found[key] | {"extension": [STATUTE], "category": COORDINATION_PLAN} | changes
    return found


def test_a_plan_by_statute_is_shared_with_its_team_against_a_refusal_and_with_nobody_else():
    assert decide(coordination_plan(), AGENCY).permit
    assert "the statute dk-psykiatriloven-13c permits it" in decide(coordination_plan(), AGENCY).reasons
    assert not decide(coordination_plan(), REGION).permit, "it owns a task, and is not one of the plan's parties"


@pytest.mark.parametrize(
    "changes",
    [
        {"category": []},
        {"extension": []},
        {"extension": [{"url": STATUTE["url"], "valueCodeableConcept": {"text": "§ 13 c"}}]},
        {"extension": [{"url": STATUTE["url"], "valueCodeableConcept": {"coding": [{"system": "x", "code": "y"}]}}]},
    ],
)
def test_a_statute_that_is_not_understood_or_not_meant_for_such_a_plan_permits_nothing(changes):
    assert not decide(coordination_plan(**changes), AGENCY).permit


def test_a_statute_permits_from_its_own_day_on():
    before = datetime(2009, 12, 31, 12, tzinfo=UTC)
    assert not decide(coordination_plan(), AGENCY, before).permit


def test_a_principal_shares_the_plan_although_the_consent_names_only_the_other():
    decision = decide(plan(consents=[consent(provision={"type": "permit", "actor": [actor(display="Salems kommun")]})]))
    assert decision.permit
    assert "the party is a principal of the plan" in decision.reasons
    assert "takes part: Task.owner" in decision.reasons


def test_who_takes_part_by_invitation_must_be_named_by_identifier():
    by_words = {"type": "permit", "actor": [actor(display="Försäkringskassan")]}
    by_number = {"type": "permit", "actor": [actor(reference="Organization/agency")]}
    assert not permits(consent(), party=AGENCY)
    assert not permits(consent(provision=by_words), party=AGENCY)
    assert permits(consent(provision=by_number), party=AGENCY)


def test_a_reference_by_identifier_alone_names_too():
    named = actor(identifier={"system": ORGANISATION_NUMBER, "value": "SE202100-5521"})
    assert permits(consent(provision={"type": "permit", "actor": [named]}), party=AGENCY)


def test_who_answers_for_an_intervention_is_a_principal_only_as_municipality_or_region():
    assert not decide(plan(principal="annan")).permit


def test_an_organisation_that_takes_no_part_sees_nothing_even_if_named():
    stranger = Party("wasa", "Wasa vårdcentral", frozenset({(ORGANISATION_NUMBER, "5560000000")}))
    named = actor(identifier={"system": ORGANISATION_NUMBER, "value": "5560000000"})
    decision = decide(plan(consents=[consent(provision={"actor": [named]})]), stranger)
    assert decision.reasons == ("the party's organisation takes no part in the plan",)


def test_a_party_without_identifiers_or_a_plan_without_plan_is_denied():
    assert not decide(plan(), Party("nobody", "Region Stockholm")).permit
    assert not decide({"Consent/k1": consent()}).permit


@pytest.mark.parametrize(
    "status", ["draft", "proposed", "rejected", "inactive", "entered-in-error", "unheard-of", None]
)
def test_only_an_active_consent_counts(status):
    assert not permits(consent(status=status))


def test_a_denied_party_sees_nothing_by_identifier_or_by_words():
    for denied in (
        actor(reference="Organization/region"),
        actor(display="Region Stockholm Psykiatri Södertälje"),
        actor(display="region  STOCKHOLM"),
    ):
        decision = decide(plan(consents=[consent(provision={"provision": [{"type": "deny", "actor": [denied]}]})]))
        assert not decision.permit
        assert "denies this party" in decision.reasons[0]


def test_others_who_are_denied_do_not_matter():
    unit = {"resourceType": "RelatedPerson", "id": "bror"}
    denied = [
        actor(display="Arbetsförmedlingen"),
        actor(reference="RelatedPerson/bror"),
        actor(reference="Organization/agency"),
    ]
    voice = consent(provision={"provision": [{"type": "deny", "actor": [one]} for one in denied]})
    assert decide(plan(unit, consents=[voice])).permit


@pytest.mark.parametrize("unclear", [{}, {"reference": "Organization/gone"}, {"display": "  "}])
def test_a_denied_actor_that_nobody_can_identify_stops_everybody(unclear):
    assert not permits(consent(provision={"provision": [{"type": "deny", "actor": [{"reference": unclear}]}]}))


def test_a_denial_deep_inside_counts():
    deep = {"type": "permit", "provision": [{"type": "deny", "actor": [actor(reference="Organization/region")]}]}
    assert not permits(consent(provision={"type": "permit", "provision": [deep]}))


def test_a_denial_that_has_expired_does_not_count():
    old = {"type": "deny", "period": {"end": "2025-01"}, "actor": [actor(reference="Organization/region")]}
    unclear = old | {"period": {"end": "i våras"}}
    assert permits(consent(provision={"provision": [old]}))
    assert not permits(consent(provision={"provision": [unclear]}))


def test_a_denial_of_everybody_stops_everybody_and_one_of_a_topic_is_told():
    assert not permits(consent(provision={"provision": [{"type": "deny"}]}))
    topic = consent(provision={"provision": [{"type": "deny", "code": [{"text": "tidigare våldsutsatthet"}]}]})
    decision = decide(plan(consents=[topic]))
    assert decision.permit
    assert decision.reasons[-1] == "Consent/k1 leaves out topics or kinds of data; these are not told apart here"


def test_a_general_denial_is_lifted_only_for_whom_it_names():
    root = {"type": "deny", "provision": [{"type": "permit", "actor": [actor(reference="Organization/region")]}]}
    assert permits(consent(provision=root))
    assert not permits(consent(provision={"type": "deny"}))
    assert not permits(consent(provision=root), party=AGENCY)


def test_an_opt_out_policy_permits_only_whom_it_names():
    opt_out = {"coding": [{"system": "http://terminology.hl7.org/CodeSystem/v3-ActCode", "code": "OPTOUT"}]}
    named = {"provision": [{"type": "permit", "actor": [actor(reference="Organization/region")]}]}
    assert not permits(consent(provision={"code": [{"text": "mål"}]}, policyRule=opt_out))
    assert permits(consent(provision=named, policyRule=opt_out))


@pytest.mark.parametrize(
    "wrong",
    [
        consent(provision={"type": "perhaps"}),
        consent(provision={"provision": [{"type": "maybe"}]}),
        consent(provision={"modifierExtension": [{"url": "https://x.example/not"}]}),
        consent(modifierExtension=[{"url": "https://x.example/not"}]),
        consent(scope={"coding": [{"system": "https://x.example", "code": "everything"}]}),
        consent(scope={"text": "delning"}),
        consent(provision={"period": {"end": "snart"}}),
        consent(provision={"period": {"end": 2026}}),
        consent(provision={"action": [{"coding": [{"code": "collect"}]}]}),
    ],
)
def test_what_is_not_understood_denies(wrong):
    assert not permits(wrong)


def test_a_consent_to_research_or_by_another_person_is_no_consent_to_share():
    research = {"coding": [{"code": "research"}]}
    assert not permits(consent(scope=research))
    assert permits(consent(), consent("k2", scope=research, status="rejected"))
    assert not permits(consent(patient={"reference": "Patient/else"}))


@pytest.mark.parametrize(
    ("end", "last", "first_after"),
    [
        ("2025-11-01", "2025-11-01T22:59:59+00:00", "2025-11-01T23:00:00+00:00"),
        ("2025-07-01", "2025-07-01T21:59:59+00:00", "2025-07-01T22:00:00+00:00"),
        ("2025-11", "2025-11-30T22:59:59+00:00", "2025-11-30T23:00:00+00:00"),
        ("2025", "2025-12-31T22:59:59+00:00", "2025-12-31T23:00:00+00:00"),
        ("2025-11-01T12:00:00+01:00", "2025-11-01T11:00:00+00:00", "2025-11-01T11:00:01+00:00"),
        ("2025-11-01T12:00:00", "2025-11-01T11:00:00+00:00", "2025-11-01T11:00:01+00:00"),
    ],
)
def test_a_consent_ends_with_its_last_day_in_the_countrys_own_time(end, last, first_after):
    voice = consent(provision={"period": {"end": end}})
    on_the_last_day = decide(plan(consents=[voice]), now=datetime.fromisoformat(last))
    afterwards = decide(plan(consents=[voice]), now=datetime.fromisoformat(first_after))
    assert "has expired" not in " ".join(on_the_last_day.reasons)
    assert afterwards.reasons == ("Consent/k1: it has expired",)


def test_a_consent_that_begins_tomorrow_is_not_in_force():
    assert not permits(consent(provision={"period": {"start": "2025-11-02"}}))
    assert permits(consent(provision={"period": {"start": "2025-11-01"}}))


def test_of_one_voice_the_newest_decision_counts():
    old, new = {"dateTime": "2025-01-01"}, {"dateTime": "2025-10-01"}
    assert permits(consent("a", status="inactive", **old), consent("b", **new))
    assert not permits(consent("a", **old), consent("b", status="inactive", **new))
    assert not permits(consent("a", **new), consent("b", status="rejected", **new))


def test_a_new_proposal_takes_nothing_back():
    assert permits(consent("a", dateTime="2025-01-01"), consent("b", status="proposed", dateTime="2025-10-01"))


def test_every_voice_counts():
    mother, father = ({"performer": [{"reference": f"RelatedPerson/{who}"}]} for who in ("mother", "father"))
    assert permits(consent("a", **mother), consent("b", **father))
    assert not permits(consent("a", **mother), consent("b", status="proposed", **father))
    assert not permits(consent("a", **mother), consent("b", status="rejected", **father))


def test_a_region_takes_part_through_its_unit_and_who_works_there():
    unit = organisation("unit", None, partOf={"reference": "Organization/region"})
    role = {"resourceType": "PractitionerRole", "id": "r1", "organization": {"reference": "Organization/unit"}}
    team = {"resourceType": "CareTeam", "id": "c2", "participant": [{"member": {"reference": "PractitionerRole/r1"}}]}
    named = consent(provision={"actor": [actor(reference="Organization/unit")]})
    resources = plan(unit, role, team, consents=[named])
    del resources["Task/t1"]
    decision = decide(resources)
    assert decision.permit
    assert "takes part: CareTeam.participant.member" in decision.reasons


def test_units_in_a_circle_end_somewhere():
    one = organisation("a", None, partOf={"reference": "Organization/b"})
    two = organisation("b", None, partOf={"reference": "Organization/a"})
    team = {"resourceType": "CareTeam", "id": "c2", "participant": [{"member": {"reference": "Organization/a"}}]}
    assert decide(plan(one, two, team)).permit


def test_one_hsa_id_under_two_oids_is_one_organisation():
    party = Party("unit", "Psykiatri", frozenset({("urn:oid:1.2.752.129.2.1.4.1", "SE2321000016-A")}))
    unit = {
        "resourceType": "Organization",
        "id": "u",
        "identifier": [{"system": "urn:oid:1.2.752.29.4.19", "value": "SE2321000016-A"}],
    }
    named = consent(provision={"actor": [actor(reference="Organization/u")]})
    contributed = {"contributor": [{"reference": "Organization/u"}]}
    resources = plan(unit, consents=[named])
    resources["CarePlan/p1"] |= contributed
    assert decide(resources, party).permit


def test_who_left_the_team_or_came_to_nothing_takes_no_part():
    named = consent(
        provision={"actor": [actor(reference="Organization/agency"), actor(reference="Organization/region")]}
    )
    resources = plan(consents=[named])
    resources["CareTeam/c1"]["participant"][0]["period"]["end"] = "2025-10-31"
    assert not decide(resources, AGENCY).permit
    resources["ServiceRequest/s1"]["status"] = "revoked"
    assert not decide(resources, REGION).permit


@pytest.mark.parametrize(
    ("words", "means"),
    [
        ("Region Stockholm", True),
        ("Psykiatrin i Region Stockholm", True),
        ("region", True),
        ("Stockholms stad", False),
        ("", False),
    ],
)
def test_words_may_mean_a_party_if_one_name_stands_in_the_other(words, means):
    assert may_mean(REGION, words) is means


@pytest.mark.parametrize(
    ("sample", "home", "moment", "permit"),
    [
        ("SIP-1", "sodertalje", "2025-06-01T12:00:00+00:00", True),
        ("SIP-1", "sodertalje", "2026-02-03T12:00:00+00:00", False),
        ("SIP-3", "salem", "2025-11-01T12:00:00+00:00", True),
        ("SIP-3", "salem", "2026-04-15T12:00:00+00:00", False),
    ],
)
def test_a_real_record_reaches_its_region_while_the_consent_lasts_and_nobody_else(sample, home, moment, permit):
    bundle = json.loads((SAMPLES / f"{sample}.fhir.json").read_text(encoding="utf-8"))
    found = [entry["resource"] for entry in bundle["entry"]] if isinstance(bundle, dict) else bundle
    resources = {f"{one['resourceType']}/{one['id']}": one for one in found}
    now = datetime.fromisoformat(moment)
    assert may_see(resources, REGION, home=home, now=now).permit is permit
    assert not may_see(resources, AGENCY, home=home, now=now).permit


NUMBERS = ("2021005521", "202100-5521", "SE2021005521", "SE202100-5521")
HOLDERS = {
    "CarePlan.author": {"resourceType": "CarePlan", "id": "p1", "author": ...},
    "CarePlan.contributor": {"resourceType": "CarePlan", "id": "p1", "contributor": [...]},
    "CareTeam.participant.member": {"resourceType": "CareTeam", "id": "n", "participant": [{"member": ...}]},
    "CareTeam.participant.onBehalfOf": {"resourceType": "CareTeam", "id": "n", "participant": [{"onBehalfOf": ...}]},
    "ServiceRequest.performer": {"resourceType": "ServiceRequest", "id": "s1", "performer": [...]},
    "Task.owner": {"resourceType": "Task", "id": "n", "focus": {"reference": "ServiceRequest/s1"}, "owner": ...},
}


def ways_to_name(number):
    """Every way in which a Reference can lead to the organisation of this number, with the resources that it takes."""
    logical = {"identifier": {"system": ORGANISATION_NUMBER, "value": number}}
    for behind, more in ((logical, []), ({"reference": "Organization/o"}, [organisation("o", number)])):
        yield behind, more
        for type_, element in (("Organization", "partOf"), ("PractitionerRole", "organization"),
                               ("HealthcareService", "providedBy")):  # fmt: skip
            yield {"reference": f"{type_}/x"}, [*more, {"resourceType": type_, "id": "x", element: behind}]


def filled(value, reference):
    """The value with the reference in the place of the dots."""
    if isinstance(value, dict):
        return {name: filled(one, reference) for name, one in value.items()}
    if isinstance(value, list):
        return [filled(one, reference) for one in value]
    return reference if value is ... else value


@pytest.mark.parametrize("number", NUMBERS)
@pytest.mark.parametrize("place", HOLDERS)
def test_whoever_takes_part_is_found_by_the_digits_of_its_number(place, number):
    """The store looks for a party's plans by them before anybody decides: what it does not find is never shown."""
    for reference, more in ways_to_name(number):
        resources = plan(filled(HOLDERS[place], reference), *more)
        del resources["CareTeam/c1"], resources["Organization/agency"]
        decision = decide(resources, AGENCY, main="CarePlan/p1")
        assert decision.reasons != ("the party's organisation takes no part in the plan",)
        assert digits_of(NUMBERS[0]) in {digits for one in resources.values() for digits in organisations_named(one)}
