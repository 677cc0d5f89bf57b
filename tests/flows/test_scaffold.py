"""`new-mapping`: a first mapping from a sample loads, holds its laws, and marks what it guessed."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
from typer.testing import CliRunner

from fhir_adapter.cli import app
from fhir_adapter.flows.check import check_mapping
from fhir_adapter.flows.convert import map_file, unmap_file
from fhir_adapter.mapping.load import load

CSV = """Saksnr;Fødselsnr;Navn;Status;Startdato;Mål nr;Mål;Mål frist;Tiltak;Tiltak status;Kommune
17;01017012345;Kari Nordmann;aktiv;01.03.2026;1;Komme seg ut;01.06.2026;Støttekontakt;pågår;4601
17;;;;;2;Lage middag;;Hjemmehjelp;planlagt;
18;02028012345;Ola Nordmann;utkast;15.03.2026;1;Finne arbeid;;;;4601
""".encode("cp1252")

JSON = json.dumps(
    {
        "sagsnummer": "A-1",
        "borger": {"cpr": "2512489996", "navn": "Nancy Berggren", "odd, name": 1},
        "status": "igang",
        "start": "2026-01-05",
        "mål": [{"nr": "1", "tekst": "Komme ud", "status": "aktiv", "noter": [{"tekst": "x"}]}],
        "ydelser": [{"id": "Y1", "navn": "Bostøtte", "yes": True}],
        "andet": [{"a": 1}],
        "ord": ["a", "b"],
    }
).encode()

XML = (
    '<?xml version="1.0"?><ns:svar xmlns:ns="urn:svar" xmlns="urn:plan">'
    "<ns:plan><planId>1</planId><titel>Ut</titel><mal><text>Gå ut</text></mal><mal><text>Hem</text></mal></ns:plan>"
    "<ns:plan><planId>2</planId><titel>In</titel></ns:plan></ns:svar>"
).encode()


def scaffold(tmp_path: Path, raw: bytes, name: str) -> tuple[Path, dict[str, Any]]:
    tmp_path.mkdir(exist_ok=True)
    sample = tmp_path / name
    sample.write_bytes(raw)
    result = CliRunner().invoke(app, ["new-mapping", "mine", "--from", str(sample), "--out", str(tmp_path), "--json"])
    assert result.exit_code == 0, result.output
    return tmp_path / "mine", json.loads(result.stdout)


@pytest.mark.parametrize(("raw", "name"), [(CSV, "plan.csv"), (JSON, "plan.json"), (XML, "plan.xml")])
def test_a_first_mapping_loads_and_its_check_finds_no_problem(tmp_path: Path, raw: bytes, name: str) -> None:
    folder, made = scaffold(tmp_path, raw, name)
    checked = check_mapping(f"{folder}/")
    assert [finding for finding in checked.findings if finding.severity == "problem"] == []
    text = (folder / "mapping.yaml").read_text("utf-8") + (folder / "codes.yaml").read_text("utf-8")
    assert made["guesses"] == text.count("# guess:") > 0
    assert set(made["files"]) == {str(path.relative_to(folder)) for path in folder.rglob("*.*")}


def bundle(folder: Path, raw: bytes, place: int = 0) -> dict[str, list[dict[str, Any]]]:
    """The resources of a record by their type."""
    converted = map_file(f"{folder}/", raw, one_a_line=True)
    found: dict[str, list[dict[str, Any]]] = {}
    for entry in json.loads(converted.output.splitlines()[place])["entry"]:
        found.setdefault(entry["resource"]["resourceType"], []).append(entry["resource"])
    return found


def test_columns_that_name_a_list_are_its_items_and_dates_and_words_are_understood(tmp_path: Path) -> None:
    folder, _ = scaffold(tmp_path, CSV, "plan.csv")
    found = bundle(folder, CSV)
    assert [goal["description"]["text"] for goal in found["Goal"]] == ["Komme seg ut", "Lage middag"]
    assert found["Goal"][0]["target"] == [{"dueDate": "2026-06-01"}]
    assert [each["status"] for each in found["ServiceRequest"]] == ["active", "draft"]
    assert found["Patient"][0]["identifier"][0]["system"] == "urn:oid:2.16.578.1.12.4.1.4.1"
    assert bundle(folder, CSV, 1)["CarePlan"][0]["status"] == "draft"


def test_what_is_not_understood_is_refused_with_a_mark_and_stays_with_the_sender(tmp_path: Path) -> None:
    folder, _ = scaffold(tmp_path, JSON, "plan.json")
    mapping = load(folder)
    assert {path.text for path in mapping.refused} >= {"borger.odd, name", "andet", "ord"}
    assert bundle(folder, JSON)["Patient"][0]["identifier"][0]["value"] == "2512489996"
    assert mapping.format.read(JSON).entries[0].taken()["id"] == "A-1"


def test_records_in_xml_are_found_below_the_root_with_their_namespaces(tmp_path: Path) -> None:
    folder, _ = scaffold(tmp_path, XML, "plan.xml")
    assert [goal["description"]["text"] for goal in bundle(folder, XML)["Goal"]] == ["Gå ut", "Hem"]
    for record in ({"id": "3", "planId": "3"}, {"id": "3"}):
        assert "<planId>3</planId>" in load(folder).format.write([record]).decode()


PLAN = {
    "suunnitelmaId": "AS-42",
    "tila": "voimassa",
    "laatimispaiva": "14.03.2025",
    "asiakas": {
        "hetu": "131052-308T",
        "sukunimi": "Virtanen",
        "puhelin": "+358 40 1234567",
        "osoite": {"katu": "Rantatie 3", "postinumero": "33100"},
        "kieli": "fi",
        "tulkki": False,
    },
    "omatyontekija": {"nimi": "Matti Meikäläinen", "organisaatio": "Järvilä", "puhelin": "03 123"},
    "tavoitteet": [
        {
            "id": 1,
            "kuvaus": "Asua itsenäisesti",
            "tila": "saavutettu",
            "arviot": [{"pvm": "2025-05-01", "arvo": 3, "arvioija": "Matti Meikäläinen"}],
            "osatavoitteet": [{"id": 1, "kuvaus": "Laittaa ruokaa"}],
            "toimenpiteet": [
                {"id": "P1", "palvelu": "Kotihoito", "alkaa": "2025-04-01", "paattyy": "2025-10-01",
                 "kertaaViikossa": 2, "tuottaja": "Kotiapu Oy", "tila": "jonossa"},
                {"id": "P2", "palvelu": "Päivätoiminta", "tila": "kaynnissa"},
            ],
        },
        {"id": 2, "kuvaus": "Työ", "toimenpiteet": [{"id": "P1", "palvelu": "Valmennus"}]},
    ],
    "tapaamiset": [
        {"aika": "2025-04-01T13:00", "kestoMin": 60, "tila": "sovittu", "paikka": "Talo", "osallistujat": ["Liisa"]}
    ],
    "suostumus": {"annettu": "2025-03-01", "voimassaAsti": "2026-03-01", "saajat": ["Terveysasema"]},
    "verkosto": [{"nimi": "Liisa", "rooli": "sisar"}],
    "kirjaukset": [{"teksti": "Soitettu", "pvm": "2025-03-02"}],
    "pisteet": None,
}  # fmt: skip


def test_what_stands_in_a_plan_gets_its_place_also_inside_goals(tmp_path: Path) -> None:
    raw = json.dumps([PLAN, {**PLAN, "suunnitelmaId": "AS-43"}]).replace("jonossa", "kaynnissa").encode()
    folder, _ = scaffold(tmp_path, raw, "plan.json")
    assert [finding for finding in check_mapping(f"{folder}/").findings if finding.severity == "problem"] == []
    assert [path.text for path in load(folder).refused] == ["pisteet"]
    found = bundle(folder, raw)
    requests = {
        each["code"]["text"]: each["extension"][0]["valueReference"]["reference"] for each in found["ServiceRequest"]
    }
    goals = {each["description"]["text"]: f"Goal/{each['id']}" for each in found["Goal"]}
    assert requests == {"Kotihoito": goals["Asua itsenäisesti"], "Päivätoiminta": goals["Asua itsenäisesti"],
                        "Valmennus": goals["Työ"]}  # fmt: skip
    assert found["Appointment"][0]["start"] == "2025-04-01T13:00:00+03:00"
    assert found["Consent"][0]["dateTime"] == "2025-03-01"
    assert found["Practitioner"][0]["name"] == [{"text": "Matti Meikäläinen"}]
    assert found["Patient"][0]["address"] == [{"line": ["Rantatie 3"], "postalCode": "33100"}]
    assert found["Observation"][0]["valueInteger"] == 3


def test_words_that_no_language_has_are_asked_about_and_warned_of(tmp_path: Path) -> None:
    folder, _ = scaffold(tmp_path, json.dumps([PLAN]).encode(), "plan.json")
    assert "# - [jonossa, CODE]  # guess: what it means is not known; active | " in (folder / "codes.yaml").read_text()
    issues = map_file(f"{folder}/", json.dumps([PLAN]).encode()).issues
    assert [(issue["severity"], issue["path"]) for issue in issues if issue["severity"] != "information"] == [
        ("warning", "tavoitteet[0].toimenpiteet[0].tila")
    ]


ATTRIBUTES = """<plans>
<plan nr="A"><goals><goal id="1"><text>x</text><activity id="1"><name kind="k">y</name></activity></goal></goals></plan>
<plan nr="B"><goals><goal id="1"><text>z</text></goal><goal id="2"><text>z</text></goal></goals></plan>
</plans>"""


def test_attributes_and_single_elements_of_xml_are_ids_and_lists(tmp_path: Path) -> None:
    folder, _ = scaffold(tmp_path, ATTRIBUTES.encode(), "plan.xml")
    records = [entry.taken() for entry in load(folder).format.read(ATTRIBUTES.encode()).entries]
    assert records[0]["goals"]["goal"][0]["activity"][0]["name"] == {"@kind": "k", "$": "y"}
    assert [goal["description"]["text"] for goal in bundle(folder, ATTRIBUTES.encode(), 1)["Goal"]] == ["z", "z"]
    assert [path.text for path in load(folder).refused] == ["goals.goal[].activity[].name.@kind"]


ROWS = """Nr;Navn;Mål;Frist;Tiltak;Leverandør;Starter
1;Kari;Bo selv;1.9.2025;Støtte;Nav;1.3.2025
1;;;;Trening;Klubben;
1;;Arbeid;31.12.2025;;;
2;Ola;Lese;;;;2.3.2025
"""


def test_columns_that_differ_within_a_record_are_of_the_list_before_them(tmp_path: Path) -> None:
    folder, _ = scaffold(tmp_path, ROWS.encode(), "plan.csv")
    found = bundle(folder, ROWS.encode())
    assert [goal["target"][0]["dueDate"] for goal in found["Goal"]] == ["2025-09-01", "2025-12-31"]
    assert [task["owner"]["display"] for task in found["Task"]] == ["Nav", "Klubben"]


@pytest.mark.parametrize(("name", "value"), [("mobiltelefon", "0701740605"), ("telefonnr", "2012345678")])
def test_a_telephone_number_is_nobodys_national_number(name: str, value: str, tmp_path: Path) -> None:
    record = {"id": "1", "borger": {"navn": "Kim Test", name: value}}
    folder, _ = scaffold(tmp_path, json.dumps(record).encode(), "plan.json")
    declaration = (folder / "mapping.yaml").read_text("utf-8")
    assert f"borger.{name} <-> patient:telecom[system=phone].value" in declaration
    assert "patient:identifier" not in declaration


def test_ten_digits_without_a_day_in_them_are_no_national_number(tmp_path: Path) -> None:
    record = {"id": "1", "client": {"contact": "0634567890"}}
    folder, _ = scaffold(tmp_path, json.dumps(record).encode(), "plan.json")
    assert "patient:identifier" not in (folder / "mapping.yaml").read_text("utf-8")


@pytest.mark.parametrize("name", ["id", "asiaNumero"])
def test_numbers_are_ids_too(name: str, tmp_path: Path) -> None:
    records = [{name: place, "asiakas": {"hetu": "131052-9085"}, "goals": [{"id": 1, "text": "x"}]} for place in (7, 8)]
    folder, _ = scaffold(tmp_path, json.dumps(records).encode(), "plan.json")
    back = unmap_file(f"{folder}/", map_file(f"{folder}/", json.dumps(records).encode()).output, one_a_line=True)
    assert [json.loads(line) for line in back.output.splitlines()] == records


@pytest.mark.parametrize(
    ("raw", "words", "code"),
    [
        (b"[]", ["mine"], 1),
        (b'{"a": "b"}', ["mine"], 1),
        (b'{"resourceType": "Bundle"}', ["mine"], 1),
        (b"<a", ["mine"], 1),
        (b"", ["mine"], 1),
        (JSON, ["Not A Name"], 2),
    ],
)
def test_a_sample_that_is_none_or_a_name_that_is_none_is_told(
    tmp_path: Path, raw: bytes, words: list[str], code: int
) -> None:
    sample = tmp_path / "sample.txt"
    sample.write_bytes(raw)
    from fhir_adapter import cli

    result = CliRunner().invoke(cli.app, ["new-mapping", *words, "--from", str(sample), "--out", str(tmp_path)])
    assert type(result.exception).__name__ == ("BadRequest" if code == 1 else "BadDeclaration")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["sample.txt"]


@pytest.mark.parametrize(
    ("given", "status"),
    [(True, "active"), (False, "rejected"), ("yes", "active"), ("no", "rejected"), ("withdrawn", "inactive")],
)
def test_a_consent_is_what_the_record_says_of_it(tmp_path: Path, given: Any, status: str) -> None:
    folder, _ = scaffold(tmp_path, json.dumps(consent_of(given)).encode(), "plan.json")
    assert check_mapping(f"{folder}/").ok
    assert consents(folder, consent_of(given)) == [status]


@pytest.mark.parametrize("given", ["as agreed on the phone", None, 17])
def test_a_consent_of_which_nobody_knows_what_it_means_is_not_given(tmp_path: Path, given: Any) -> None:
    folder, _ = scaffold(tmp_path, json.dumps([consent_of("yes"), consent_of(given, "P-2")]).encode(), "plan.json")
    alone, _ = scaffold(tmp_path / "other", json.dumps(consent_of(given)).encode(), "plan.json")
    assert "active" not in consents(alone, consent_of(given))
    if not isinstance(given, int):  # in a format whose field holds words
        assert "active" not in consents(folder, consent_of(given, "P-2"))


def consent_of(given: Any, name: str = "P-1") -> dict[str, Any]:
    said = {} if given is None else {"given": given}
    return {"id": name, "person": {"cpr": "2512489996"}, "consent": {"date": "2025-03-01", "recipients": ["A"], **said}}


def consents(folder: Path, record: dict[str, Any]) -> list[str]:
    mapped = load(folder).get(record, source="https://s.example", namespace=UUID(int=1)).resources
    return [one["status"] for one in mapped if one["resourceType"] == "Consent"]
