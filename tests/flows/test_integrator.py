"""The integrator's commands: explain, check, diff, and whole folders, through the command line as it is called."""

from __future__ import annotations

import json
import re
import shutil
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from fhir_adapter.cli import app
from fhir_adapter.errors import BadDeclaration, Refused
from fhir_adapter.fhir.resources import parse_json, reference_of
from fhir_adapter.flows.check import check_mapping, samples_of
from fhir_adapter.flows.convert import NAMESPACE, source_of
from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.explain import explain
from fhir_adapter.mapping.load import FOLDER, find
from fhir_adapter.mapping.schema import written_path
from fhir_adapter.mapping.sources import leaves
from tests.laws.smaller import without

SIP = FOLDER / "se-sip"
SAMPLES = [
    sample for folder in sorted(FOLDER.glob("*/mapping.yaml")) for sample in samples_of(find(folder.parent.name))
]


def run(*words: str | Path) -> tuple[int, str, str]:
    """Exit code, standard output and standard error of the command line."""
    result = CliRunner().invoke(app, [str(word) for word in words])
    assert result.exception is None or isinstance(result.exception, SystemExit), result.exception
    return result.exit_code, result.stdout, result.stderr


def as_json(*words: str | Path) -> tuple[int, Any]:
    code, out, _ = run(*words, "--json")
    return code, json.loads(out)


@pytest.fixture
def own(tmp_path: Path) -> Path:
    """A mapping in a folder of its own, outside the project."""
    return Path(shutil.copytree(SIP, tmp_path / "my-sip"))


def edit(folder: Path, file: str, old: str, new: str) -> None:
    text = (folder / file).read_text("utf-8")
    assert old in text
    (folder / file).write_text(text.replace(old, new, 1), "utf-8")


# ---- explain


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: f"{path.parent.parent.name}/{path.stem}")
def test_every_element_and_every_field_of_a_sample_is_explained(sample: Path) -> None:
    mapping = find(sample.parent.parent.name)
    for entry in mapping.format.read(sample.read_bytes()).entries:
        explained = explain(mapping, entry.taken(), source=source_of(mapping.name), namespace=NAMESPACE)
        assert [f"{each.resource}#{each.element}" for each in explained.elements if not each.origins] == []
        assert [each.path for each in explained.fields if each.became == "kept"] == []
        assert len(explained.fields) == sum(value is not None for _, value in leaves(entry.taken()))


def said_by(mapping: Mapping, record: Any) -> dict[str, Any]:
    """Every element of a record's FHIR, as explain calls it, with its value; empty where the record is refused."""
    try:
        resources = mapping.get(record, source=source_of(mapping.name), namespace=NAMESPACE).resources
    except Refused:
        return {}
    return {
        f"{reference_of(resource)}#{written_path(list(path))}": value
        for resource in resources
        for path, value in leaves(resource)
    }


@pytest.mark.parametrize("sample", SAMPLES, ids=lambda path: f"{path.parent.parent.name}/{path.stem}")
def test_a_field_that_is_left_out_changes_what_explain_says_it_became(sample: Path) -> None:
    """Or nothing, where the record says the same twice; what is not mapped changes nothing."""
    mapping = find(sample.parent.parent.name)
    for entry in mapping.format.read(sample.read_bytes()).entries:
        record = entry.taken()
        said = said_by(mapping, record)
        explained = explain(mapping, record, source=source_of(mapping.name), namespace=NAMESPACE)
        reports = {each.path: each for each in explained.fields}
        for place, value in leaves(record):
            report = reports.get(written_path(list(place)))
            less = without(record, place)
            now = said_by(mapping, less) if value is not None else {}
            if report is None or not now:
                continue
            changed = {name for name in said.keys() | now.keys() if said.get(name) != now.get(name)}
            if report.became == "mapped":
                found = [name for name in changed for told in report.elements if name.startswith(told)]
                assert found or not changed, report.path
            elif report.became != "identity":
                assert not changed, report.path


def test_a_bundle_tells_what_becomes_of_its_envelope_and_of_its_links() -> None:
    code, (report,) = as_json("explain", "dk-kl-ffb", FOLDER / "dk-kl-ffb" / "samples" / "FFB-2.json")
    fields = {field["path"]: field for field in report["fields"]}
    assert code == 0
    url = fields["Bundle.entry[0].fullUrl"]
    assert (url["became"], url["reason"]) == ("constant", "it stays as it was sent")
    goal, based_on = fields["plan.goal[0].reference"], fields["CarePlan[0].basedOn[0].reference"]
    assert (goal["became"], [place.partition("#")[2] for place in goal["elements"]]) == ("mapped", ["goal[0]"])
    assert (based_on["became"], [place.partition("/")[0] for place in based_on["elements"]]) == ("mapped", ["CarePlan"])


def test_an_element_names_its_field_rule_line_and_code_row() -> None:
    code, (report,) = as_json("explain", "se-sip", SIP / "samples" / "SIP-1.json", "--element", "CarePlan#status")
    assert code == 0
    (element,) = report["elements"]
    (origin,) = element["origins"]
    line = int(origin.pop("at").removeprefix("mapping.yaml:"))
    assert origin.pop("rule") in (SIP / "mapping.yaml").read_text("utf-8").splitlines()[line - 1]
    row = origin.pop("row")
    assert (element["value"], origin) == ("active", {"kind": "rule", "fields": ["status"]})
    assert re.fullmatch(r"plan-status: .* = active \(line \d+\)", row)


def test_a_field_tells_what_became_of_it(tmp_path: Path) -> None:
    record = {"id": "1", "person": {"personnummer": "196101182803"}, "extra": [1], "mal": [{"id": "M1", "text": "Ut"}]}
    (tmp_path / "r.json").write_text(json.dumps(record))
    _, (report,) = as_json("explain", "se-sip", tmp_path / "r.json")
    became = {field["path"]: field["became"] for field in report["fields"]}
    assert became == {
        "id": "identity", "person.personnummer": "mapped", "extra[0]": "unknown", "mal[0].id": "identity",
        "mal[0].text": "mapped",
    }  # fmt: skip
    goal = next(field for field in report["fields"] if field["path"] == "mal[0].text")["elements"]
    assert [place.partition("#")[2] for place in goal] == ["description.text"]
    _, out, _ = run("explain", "se-sip", tmp_path / "r.json")
    assert "not a field of this format" in out
    assert "Goal.description.text" in out


def test_an_unknown_code_is_kept_and_told_and_a_refused_record_gives_exit_code_1(tmp_path: Path) -> None:
    bad = {"id": "2", "person": {"personnummer": "196101182803"}, "mal": [{"text": 5}]}
    (tmp_path / "r.json").write_text(json.dumps(bad))
    code, (report,) = as_json("explain", "se-sip", tmp_path / "r.json")
    assert (code, report["issues"][0]["path"], report["elements"]) == (1, "mal[0].text", [])


# ---- check


def test_the_projects_own_mappings_have_no_problem() -> None:
    code, checked = as_json("check", *sorted(FOLDER.iterdir()))
    assert [(each["mapping"], [f for f in each["findings"] if f["severity"] == "problem"]) for each in checked] == [
        (path.parent.name, []) for path in sorted(FOLDER.glob("*/mapping.yaml"))
    ]
    assert code == 0
    for each in checked:
        coverage = each["coverage"]
        assert coverage["fields"] == sum(coverage.values()) - coverage["fields"], each["mapping"]


def problems(folder: Path) -> list[tuple[str, str]]:
    checked = check_mapping(f"{folder}/")
    return [(finding.about, finding.message) for finding in checked.findings if finding.severity == "problem"]


def test_a_field_without_rule_or_reason_is_a_problem(own: Path) -> None:
    edit(own, "mapping.yaml", "      - gloss <-> plan:description\n", "")
    ((about, message),) = problems(own)
    assert about == "declaration"
    assert "'gloss' has no rule" in message


def test_a_required_element_that_nothing_fills_is_a_problem(own: Path) -> None:
    edit(own, "mapping.yaml", "        set: {lifecycleStatus: active}\n", "")
    edit(own, "mapping.yaml", "lists:\n", "profiles: {CarePlan: shared-care-plan}\nlists:\n")
    found = [message for about, message in problems(own) if about == "required"]
    assert found == ["Goal.lifecycleStatus (anchor important) is required, and no rule, constant or link fills it"]


def test_a_code_that_r4_does_not_know_is_a_problem_of_its_row(own: Path) -> None:
    edit(own, "codes.yaml", "[okänd, unknown]", "[okänd, unknwon]")
    ((about, message),) = problems(own)
    assert re.fullmatch(r"table plan-status, line \d+", about)
    assert message.startswith("CarePlan.status knows no 'unknwon'; its codes are: active, ")


def test_a_constant_that_r4_does_not_know_is_a_problem_of_its_anchor(own: Path) -> None:
    edit(own, "mapping.yaml", "        set: {lifecycleStatus: active}\n", "        set: {lifecycleStatus: actve}\n")
    message = dict(problems(own))["anchor important of the record"]
    assert message.startswith("set: Goal.lifecycleStatus 'actve' is not allowed here: accepted | active | ")


def test_an_extension_or_code_system_that_this_project_does_not_have_is_a_problem(own: Path) -> None:
    edit(
        own,
        "mapping.yaml",
        "gloss <-> plan:description",
        "gloss <-> plan:extension[mitt].valueString",
    )
    told = "'mitt' is no extension of this project: write the whole URL of your own, such as https://my.town/mitt"
    assert ("SIP-1.json", told) in problems(own)


def test_a_sample_that_gives_other_fhir_or_is_refused_is_a_problem(own: Path) -> None:
    edit(own, "samples/SIP-3.json", '"gloss": "', '"gloss": "not ')
    edit(own, "samples/SIP-1.json", '"person": {', '"person": 5, "was": {')
    found = dict(problems(own))
    assert found["SIP-3.json"] == "gives other FHIR than SIP-3.fhir.json"
    assert found["SIP-1.json"] == "is refused: person: expected an object, got number"


def test_two_lists_that_take_the_same_resources_are_a_problem(own: Path) -> None:
    edit(
        own,
        "mapping.yaml",
        "mark: category[] = sip-intervention#atgard-av-annan",
        "tag: category[] = sip-intervention#atgard-av-annan",
    )
    told = "unchanged FHIR does not leave the record as it was: put(get(n), n) is not n"
    assert ("full.json", told) in problems(own)


def test_what_does_not_come_back_is_a_problem_unless_it_is_accepted_with_a_reason(own: Path) -> None:
    edit(own, "samples/SIP-1.json", '"status": "upprättad/pågående"', '"status": "aktiv"')
    assert problems(own) == [("SIP-1.json", "status comes back otherwise from FHIR alone")]
    accepting = Path(shutil.copytree(own, own.parent / "accepting"))
    edit(accepting, "mapping.yaml", "lists:\n", "lossy: {status: the first word of each row is enough}\nlists:\n")
    assert problems(accepting) == []
    notes = [each.message for each in check_mapping(f"{accepting}/").findings if each.about == "SIP-1.json"]
    assert notes == ["status comes back otherwise from FHIR alone; accepted: the first word of each row is enough"]


def test_the_table_of_a_check_shows_coverage_and_problems(own: Path) -> None:
    edit(own, "samples/SIP-3.json", '"gloss": "', '"gloss": "not ')
    code, out, _ = run("check", f"{own}/")
    assert code == 1
    assert "gives other FHIR than SIP-3.fhir.json" in out
    assert "PROBLEMS" in out


def test_a_name_that_is_no_mapping_is_wrong_usage(tmp_path: Path) -> None:
    with pytest.raises(BadDeclaration, match="no mapping among"):
        CliRunner().invoke(app, ["check", str(tmp_path)], catch_exceptions=False)
    with pytest.raises(BadDeclaration, match="there is no mapping 'nonsense'"):
        CliRunner().invoke(app, ["check", "se-sip", "nonsense"], catch_exceptions=False)


# ---- diff


def test_diff_tells_what_changes_per_record_field_and_rule(own: Path) -> None:
    assert as_json("diff", "se-sip", "se-sip", SIP / "samples" / "SIP-3.json")[0] == 0
    edit(own, "mapping.yaml", "- title_local <-> plan:title\n", "- title_local <-> plan:note[0].text\n")
    code, found = as_json("diff", "se-sip", f"{own}/", SIP / "samples")
    assert code == 1
    sip = next(each for each in found if each["record"] == "SIP-1")
    assert [(change["element"].partition("#")[2], change["field"]) for change in sip["changes"]] == [
        ("title", "title_local"), ("note[0].text", "title_local"),
    ]  # fmt: skip
    assert sip["changes"][0]["after"] == "-"
    assert sip["changes"][1]["rule"].endswith("title_local <-> plan:note[0].text")
    assert "3 of 3 records change" in run("diff", "se-sip", f"{own}/", SIP / "samples")[1]


# ---- folders


def test_a_folder_of_records_is_mapped_file_by_file_and_a_bad_one_holds_up_no_other(own: Path) -> None:
    (own / "samples" / "A.json").write_bytes(b'{"id": "')
    (own / "samples" / "B.json").write_bytes(b'{"id": "1", "person": []}\n{"id": "2"}\n')
    code, out, err = run("map", f"{own}/", own / "samples")
    told = [json.loads(line) for line in err.splitlines()]
    assert code == 1
    assert [parse_json(line.encode())["type"] for line in out.splitlines()] == ["transaction"] * 3
    assert [(one["file"], one["record"], one["path"]) for one in told if one.get("severity") == "error"] == [
        ("A.json", 1, ""), ("B.json", 1, "person"), ("B.json", 2, "person"),
    ]  # fmt: skip
    assert told[-1] == {"event": "mapped", "files": 5, "records": 6, "refused": 3}


# ---- bad input


GOOD = {"id": "1", "person": {"personnummer": "196101182803"}}
BOMB = b'<!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;">]><planer><sip><id>&b;</id></sip></planer>'


def reading(own: Path, declared: str) -> Path:
    """The mapping for another kind of file."""
    text = (own / "mapping.yaml").read_text("utf-8")
    (own / "mapping.yaml").write_text(f"{text}\ninput: {declared}\n", "utf-8")
    return own


def errors(own: Path, raw: bytes) -> tuple[int, int, list[tuple[int, str]]]:
    """Exit code, how many records were mapped, and (record, path) of each error."""
    (own / "in").write_bytes(raw)
    code, out, err = run("map", f"{own}/", own / "in")
    told = [issue for issue in json.loads(err or "[]") if issue["severity"] == "error"]
    return code, out.count('"type":"transaction"'), [(issue["record"], issue["path"]) for issue in told]


@pytest.mark.parametrize(
    ("bad", "path"),
    [
        (GOOD | {"mal": [{"id": "M1", "text": 5}]}, "mal[0].text"),
        (GOOD | {"mal": [{"id": "M1"}]}, "mal[0].text"),
        (GOOD | {"mal": [{"id": "M1", "text": "a"}, {"id": "M1", "text": "b"}]}, "mal[1].id"),
        (GOOD | {"id": None}, "id"),
    ],
)
def test_a_bad_record_is_told_by_its_own_field_and_the_rest_goes_on(own: Path, bad: Any, path: str) -> None:
    lines = b"\n".join(json.dumps(record).encode() for record in (GOOD, bad, GOOD | {"id": "3"}))
    assert errors(own, lines) == (1, 2, [(2, path)])
    assert errors(own, b"\xef\xbb\xbf" + json.dumps([bad, GOOD]).encode()) == (1, 1, [(1, path)])


@pytest.mark.parametrize("raw", [b"[" * 10_000, b'{"a":' * 10_000, b'{"id": "1"', "{}".encode("utf-16")])
def test_json_that_cannot_be_read_is_one_wrong_record(own: Path, raw: bytes) -> None:
    assert errors(own, raw) == (1, 0, [(1, "")])


def test_latin_1_that_is_not_declared_is_told_by_its_field(own: Path) -> None:
    latin = json.dumps(GOOD | {"gloss": "Gå"}, ensure_ascii=False).encode("latin-1")
    assert errors(own, json.dumps(GOOD).encode() + b"\n" + latin) == (1, 1, [(2, "gloss")])


def test_a_table_in_latin_1_that_is_not_declared_is_told_by_its_line(own: Path) -> None:
    table = reading(own, "{format: csv, key: id, columns: {Nr: id, P: person.personnummer, Om: gloss}}")
    assert errors(table, "Nr;P;Om\n1;196101182803;Gå\n".encode("latin-1")) == (1, 0, [(1, "line 2")])


def test_a_ragged_table_is_told_by_row_and_column_and_the_rest_goes_on(own: Path) -> None:
    table = reading(own, "{format: csv, key: id, columns: {Nr: id, P: person.personnummer, Om: gloss}}")
    raw = b"\xef\xbb\xbfNr;P;Om\n1;196101182803;a\n2;196101182803\n3;196101182803;c;d\n4;x;e\n5;196101182803;f\n"
    assert errors(table, raw) == (1, 2, [(2, "row 3, column Om"), (3, "row 4, column 4"), (4, "row 5, column P")])


@pytest.mark.parametrize("raw", [BOMB, b"<a>" * 10_000, b'<!DOCTYPE p SYSTEM "file:///etc/passwd"><planer/>', b"<a"])
def test_an_xml_bomb_is_refused(own: Path, raw: bytes) -> None:
    assert errors(reading(own, "{format: xml, record: planer/sip}"), raw)[:2] == (1, 0)


def test_a_record_in_xml_is_told_by_its_elements_and_the_rest_goes_on(own: Path) -> None:
    good = "<id>1</id><person><personnummer>196101182803</personnummer></person>"
    raw = f"<planer><sip>{good}</sip><sip>{good}<mal><id>M1</id></mal></sip></planer>".encode()
    assert errors(reading(own, "{format: xml, record: planer/sip}"), raw) == (1, 1, [(2, "mal[0].text")])


# ---- exit codes and lines for machines


def test_lines_for_machines_hold_a_bundle_a_record_or_an_issue_each(tmp_path: Path) -> None:
    record = {
        "id": "1",
        "person": {"personnummer": "196101182803"},
        "insatser": [{"ansvarig": "Ingen"}, {"ansvarig": "X"}],
    }
    (tmp_path / "r.json").write_text(json.dumps(record), "utf-8")
    code, out, err = run("map", "se-sip", tmp_path / "r.json", "--json")
    assert (code, out.count("\n")) == (0, 1)
    assert [json.loads(line)["path"] for line in err.splitlines()] == ["insatser[0].ansvarig", "insatser[1].ansvarig"]
    (tmp_path / "f.json").write_text(out, "utf-8")
    _, out, _ = run("unmap", "se-getcareplans", tmp_path / "f.json", "--json")
    assert json.loads(out)["carePlanHeader"]["patientId"]["id"] == "196101182803"


def test_a_folder_without_records_an_element_that_is_not_there_and_a_broken_declaration_are_told(
    own: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty").mkdir()
    code, _, err = run("map", "se-sip", tmp_path / "empty")
    assert (code, ".ndjson" in err) == (2, True)
    code, _, err = run("explain", "se-sip", SIP / "samples" / "SIP-1.json", "--element", "Goal#titel")
    assert (code, "no record became anything at 'Goal#titel'" in err) == (0, True)
    edit(own, "mapping.yaml", "zone: Europe/Stockholm", "zone: Europe/Stokholm")
    assert run("check", f"{own}/", "se-sip")[0] == 2


def test_what_a_format_has_no_word_for_once_it_was_taken_away_is_told() -> None:
    notes = [finding for finding in check_mapping("se-sip").findings if "taken away" in finding.message]
    assert {finding.severity for finding in notes} == {"note"}
    told = {finding.about for finding in notes}
    assert {"anchor important of the record", "anchor stay of the record", "anchor need of behov[]"} <= told
    assert not told & {"anchor goal of mal[]", "anchor invitation of the record", "anchor consent of the record"}
