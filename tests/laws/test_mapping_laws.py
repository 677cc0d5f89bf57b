"""The lens laws of every mapping, on records generated from its schema and its code tables."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any
from uuid import UUID

import pytest
from fhir.resources.R4B import get_fhir_model_class
from hypothesis import HealthCheck, Phase, assume, given, settings
from hypothesis import strategies as st

from fhir_adapter.errors import Refused
from fhir_adapter.fhir.resources import Resource, dump_json, reference_of, references_in
from fhir_adapter.mapping.engine import copied
from fhir_adapter.mapping.load import find

Record = dict[str, Any]
MAPPING = find("se-sip")
PLACE: dict[str, Any] = {"source": "https://sip.kommun.example", "namespace": UUID(int=7)}
LAW = settings(
    max_examples=25,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.explicit, Phase.reuse, Phase.generate],  # the records are large: shrinking them takes minutes
)

TEXT = st.text(st.characters(exclude_categories=["Cs", "Cc", "Cn"]), min_size=1, max_size=20).filter(str.strip)
DATE = st.sampled_from(["1992", "1992-05", "2025-02-28", "2024-02-29", "2026-12-31"])
INSTANT = st.sampled_from(["2025-02-19T13:00:00+01:00", "2025-07-01T00:00:00Z", "2025-10-26T02:30:00"])
NAME = (
    st.sampled_from(["Elin Åkerström", "Karin Ödman", "Mehmet Yıldız", "Åsa Blixt (läkare)", "Södertälje kommun"])
    | TEXT
)
GOAL_IDS = ["M1", "M1.1", "M 2", "3f2b8f0e-64f5-4b59-9a3f-0d8a0f5a1c11"]


def words(table: str) -> st.SearchStrategy[str]:
    return st.sampled_from(MAPPING.knowledge.tables[table].allowed.split(", "))


BY_NAME: dict[str, st.SearchStrategy[Any]] = {
    "id": TEXT.map(lambda text: " ".join(text.split())).filter(lambda text: text not in (".", "..")),
    "system": st.just("sip"),
    "personnummer": st.sampled_from(["196101182803", "198507142381", "200001252386"]),
    "samordningsnummer": st.sampled_from(["196109732393", "198901712391"]),
    "reservnummer": st.sampled_from(["98240301AA06", "20210325K069"]),
    "reservnummer_kalla": st.just("1.2.752.97.3.1.3"),
    "tidigare_nummer": st.lists(st.sampled_from(["200001252386", "196109732393"]), max_size=2),
    "orgnr": st.sampled_from(["2120000159", "2321000016", "5560360793", "212000-2874"]),
    "hsaid": st.integers(0, 10**9).map(lambda number: f"SE2321000016-{number:09}"),
    "kommun": st.sampled_from(["Södertälje (0181)", "0128", "Salem", "Kiruna (2584)"]),
    "address": st.sampled_from(["Storgatan 12, 151 72 Södertälje", "c/o A, B 1, 144 40 Rönninge", "151 72 X", ", , "]),
    "gender": words("gender"),
    "skyddade_personuppgifter": words("protected-identity"),
    "typeOfCarePlan": words("care-plan-type") | st.lists(words("care-plan-type"), min_size=1, max_size=2, unique=True),
    "orsak": words("closure-reason"),
    "resultat": words("goal-achievement"),
    "roll": st.sampled_from(["den enskilde", "närstående (mamma)", "god man", "läkare", "Boendestödjare"]) | TEXT,
    "org": st.sampled_from(["Södertälje kommun", "Region Stockholm, Psykiatri Söder", "Wasa vårdcentral"]),
    "overmal": st.sampled_from([*GOAL_IDS, "M9"]),
    "uttryckt_av": st.just("den enskilde") | NAME,
    "huvudman": words("principal"),
    "mal_varde": st.integers(-5, 10**12) | TEXT | st.decimals(-10, 10, places=2),
    "langd_min": st.integers(1, 600),
    "mote": INSTANT,
    "datum": DATE,
    "namn": NAME,
    "ansvarig": NAME,
    "samordnare": NAME,
    "kallade": st.lists(st.tuples(NAME, words("answer")).map(list), max_size=3),
    "omfattning": st.lists(NAME, max_size=3),
}  # fmt: skip
BY_PATH: dict[str, st.SearchStrategy[Any]] = {
    "status": words("plan-status"),
    "behov_initiativ.orsak": TEXT,
    "samtycke.status": words("consent-status"),
    "samtycke.vardnadshavare[].status": words("consent-status"),
    "kallelse.status": words("meeting-status"),
    "uppfoljning[].status": words("meeting-status"),
    "uppfoljning[].datum": DATE | INSTANT,
    "mal[].status": words("goal-status"),
    "mal[].prioritet": words("goal-priority"),
    "mal[].typ": words("goal-type"),
    "insatser[].status": words("task-status"),
    "insatser[].mal": st.lists(st.sampled_from(GOAL_IDS), max_size=3, unique=True),
    "insatser[].prioritet": words("request-priority"),
    "atgarder_av_annan[].status": words("task-status"),
    "atgarder_av_annan[].mal": st.lists(st.sampled_from(GOAL_IDS), max_size=3, unique=True),
    "atgarder_av_annan[].prioritet": words("request-priority"),
    "uppfoljning[].resultat[].mal": st.sampled_from(GOAL_IDS),
}  # fmt: skip


def strategy(node: dict[str, Any], path: str = "") -> st.SearchStrategy[Any]:
    """Values of a schema node: by its path, by its name, or by what the schema says."""
    name = path.rpartition(".")[2]
    is_object = "properties" in node or "properties" in MAPPING.schema.resolved(node.get("items", {}))
    if not is_object and (path in BY_PATH or name in BY_NAME):
        return BY_PATH[path] if path in BY_PATH else BY_NAME[name]
    if node.get("$ref") == "#/$defs/date":
        return DATE
    node = MAPPING.schema.resolved(node)
    if "properties" in node:
        return objects(node, path)
    if "items" in node:
        items = strategy(node["items"], f"{path}[]")
        unique = "properties" in MAPPING.schema.resolved(node["items"])
        return st.lists(items, max_size=2, unique_by=(lambda one: one.get("id") or object()) if unique else str)
    kinds = node.get("type", "string")
    return st.booleans() if "boolean" in kinds else TEXT


def objects(node: dict[str, Any], path: str) -> st.SearchStrategy[Record]:
    parts = {
        name: strategy(child, f"{path}.{name}" if path else name) for name, child in node["properties"].items()
    }  # fmt: skip
    if path == "mal[]":
        parts["id"] = st.sampled_from(GOAL_IDS)
    required = {name: part for name, part in parts.items() if name in node.get("required", ())}
    optional = {name: part for name, part in parts.items() if name not in required}
    if not optional:
        return st.fixed_dictionaries(required)
    some = st.lists(st.sampled_from(sorted(optional)), min_size=min(2, len(optional)), max_size=8, unique=True)
    return some.flatmap(lambda names: st.fixed_dictionaries(required | {name: optional[name] for name in names}))


def with_number(record: Record) -> Record:
    record["person"].setdefault("personnummer", "196101182803")
    return record


def names_each_number_once(record: Record) -> bool:
    """One HSA-id is one person: a record that gives it two names contradicts itself."""
    numbers = [one.get("hsaid") or object() for one in record.get("deltagare", ())]
    return len(numbers) == len(set(numbers))


RECORDS = strategy(MAPPING.schema.schema).map(with_number).filter(names_each_number_once)


def fhir_of(record: Record) -> list[Resource]:
    try:
        return MAPPING.get(record, **PLACE).resources
    except Refused as refusal:
        raise AssertionError([issue.as_dict() for issue in refusal.issues]) from None


def by_reference(resources: list[Resource]) -> dict[str, Resource]:
    return {reference_of(resource): resource for resource in resources}


@LAW
@given(RECORDS)
def test_unchanged_fhir_gives_the_record_back_to_the_letter(record: Record) -> None:
    before = copied(record)
    assert MAPPING.put(fhir_of(record), record, **PLACE) == before
    assert record == before


@LAW
@given(RECORDS, st.randoms(use_true_random=False))
def test_the_order_in_which_resources_come_says_nothing(record: Record, random: Any) -> None:
    resources = fhir_of(record)
    random.shuffle(resources)
    assert MAPPING.put(resources, record, **PLACE) == record


@LAW
@given(RECORDS)
def test_a_record_made_from_fhir_alone_says_the_same_in_fhir(record: Record) -> None:
    resources = fhir_of(record)
    assert by_reference(fhir_of(MAPPING.create(resources, **PLACE))) == by_reference(resources)


@LAW
@given(RECORDS)
def test_making_a_record_twice_makes_the_same_record(record: Record) -> None:
    made = MAPPING.create(fhir_of(record), **PLACE)
    assert MAPPING.create(fhir_of(made), **PLACE) == made


@LAW
@given(RECORDS)
def test_every_literal_reference_leads_to_a_resource_of_the_record(record: Record) -> None:
    resources = fhir_of(record)
    pointed = {pointer["reference"] for resource in resources for _, pointer in references_in(resource)}
    assert pointed <= set(by_reference(resources))
    assert resources[0]["resourceType"] == "CarePlan"


@settings(LAW, max_examples=10)
@given(RECORDS)
def test_every_resource_is_r4(record: Record) -> None:
    for resource in fhir_of(record):
        get_fhir_model_class(resource["resourceType"]).model_validate_json(dump_json(resource))


@LAW
@given(RECORDS)
def test_appointments_keep_the_rules_about_start_and_end(record: Record) -> None:
    """http://hl7.org/fhir/R4/appointment.html, invariants app-1, app-2 and app-3."""
    for one in fhir_of(record):
        if one["resourceType"] == "Appointment":
            assert ("start" in one) is ("end" in one)
            assert "start" in one or one["status"] in ("proposed", "cancelled")
            assert all("actor" in participant or "type" in participant for participant in one["participant"])


# ---- get(put(edited, n)) == edited


def goals(resources: list[Resource]) -> list[Resource]:
    return [one for one in resources if one["resourceType"] == "Goal" and "identifier" in one]


def requests(resources: list[Resource]) -> list[Resource]:
    return [one for one in resources if one["resourceType"] == "ServiceRequest"]


def set_goal_status(resources: list[Resource]) -> None:
    goals(resources)[0]["lifecycleStatus"] = "on-hold"


def set_goal_result(resources: list[Resource]) -> None:
    concept = {"system": "http://terminology.hl7.org/CodeSystem/goal-achievement", "code": "achieved"}
    goals(resources)[0]["achievementStatus"] = {"coding": [concept | {"display": "Achieved"}]}


def set_goal_text(resources: list[Resource]) -> None:
    goals(resources)[0]["description"] = {"text": "Nya ord"}


def set_title(resources: list[Resource]) -> None:
    resources[0]["title"] = "Ny titel"


def add_note(resources: list[Resource]) -> None:
    resources[0].setdefault("note", []).append({"text": "Ny anteckning", "authorString": "Region"})


def set_request_text(resources: list[Resource]) -> None:
    requests(resources)[0]["code"] = {"text": "Nya ord"}


def set_request_end(resources: list[Resource]) -> None:
    requests(resources)[0].setdefault("occurrencePeriod", {})["end"] = "2027-01-01"


def cancel(resources: list[Resource]) -> None:
    request = requests(resources)[0]
    request["status"] = "revoked"
    focus = reference_of(request)
    next(one for one in resources if one.get("focus", {}).get("reference") == focus)["status"] = "cancelled"


def add_goal(resources: list[Resource]) -> None:
    born = {
        "resourceType": "Goal",
        "id": str(UUID(int=99)),
        "lifecycleStatus": "active",
        "description": {"text": "Nytt"},
    }
    resources.append(born | {"subject": resources[0]["subject"], "description": {"text": "Nytt"}})
    resources[0].setdefault("goal", []).append({"reference": reference_of(born)})


@pytest.mark.parametrize(
    "edit",
    [
        set_goal_status, set_goal_result, set_goal_text, set_title, add_note, set_request_text, set_request_end, cancel,
        add_goal,
    ],
)  # fmt: skip
@settings(LAW, max_examples=10)
@given(record=RECORDS)
def test_after_an_edit_the_record_says_what_the_edited_fhir_says(
    edit: Callable[[list[Resource]], None], record: Record
) -> None:
    resources = fhir_of(record)
    try:
        edit(resources)
    except IndexError:
        assume(False)
    after = MAPPING.put(resources, record, **PLACE)
    assert by_reference(fhir_of(after)) == by_reference(resources)
    untouched = {name for name in record if record[name] == after.get(name)}
    assert len(record.keys() - untouched) <= 1
