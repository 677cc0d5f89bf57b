"""A wrong declaration fails when it is loaded, and the message gives file, rule and reason."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest
import yaml

from fhir_adapter.errors import BadDeclaration
from fhir_adapter.mapping.load import FOLDER, find, load

SMALL: dict[str, Any] = {
    "name": "small",
    "version": 1,
    "schema": "schema.json",
    "codes": "codes.yaml",
    "lists": [
        {
            "native": ".",
            "anchors": {"plan": {"type": "CarePlan", "id": "{record}"}},
            "rules": ["title <-> plan:title", "status <-> plan:status | code status"],
            "lists": [
                {
                    "native": "goals[]",
                    "anchors": {"goal": {"type": "Goal", "id": "{record}/{key}", "link": "plan.goal[]"}},
                    "rules": ["text <-> goal:description.text"],
                }
            ],
        }
    ],
}
SCHEMA: dict[str, Any] = {
    "type": "object",
    "properties": {
        "id": {"type": "string"},
        "title": {"type": "string"},
        "status": {"type": "string"},
        "goals": {"type": "array", "items": {"type": "object", "properties": {"text": {"type": "string"}}}},
    },
}
CODES: dict[str, Any] = {"status": {"rows": [["aktiv", "active"]]}}


def written(folder: Path, mapping: Any = SMALL, schema: Any = SCHEMA, codes: Any = CODES) -> Path:
    (folder / "mapping.yaml").write_text(yaml.safe_dump(mapping), encoding="utf-8")
    (folder / "schema.json").write_text(json.dumps(schema), encoding="utf-8")
    (folder / "codes.yaml").write_text(yaml.safe_dump(codes), encoding="utf-8")
    return folder


def changed(path: list[Any], value: Any) -> Any:
    """SMALL with one thing in it set, or taken away where `value` is None."""
    mapping = json.loads(json.dumps(SMALL))
    node = mapping
    for step in path[:-1]:
        node = node[step]
    if value is None:
        del node[path[-1]]
    else:
        node[path[-1]] = value
    return mapping


def test_a_right_declaration_loads(tmp_path: Path) -> None:
    mapping = load(written(tmp_path))
    assert (mapping.name, mapping.version) == ("small", "1")


ROOT = ["lists", 0]
GOALS = [*ROOT, "lists", 0]


@pytest.mark.parametrize(
    ("path", "value", "message"),
    [
        (["schema"], None, "'schema' is missing"),
        ([*ROOT, "rules", 0], "title -> plan:title", "rule `title -> plan:title`: is not"),
        ([*ROOT, "rules", 0], "titel <-> plan:title", "rule `titel <-> plan:title`: 'titel' is not a field"),
        ([*ROOT, "rules", 0], "title <-> goal:title", "does not begin with an anchor"),
        ([*ROOT, "rules", 0], "title <-> plan:a..b", "cannot read the path"),
        ([*ROOT, "rules", 0], "title <-> plan:title | nonsense", "there is no converter 'nonsense'"),
        ([*ROOT, "rules", 0], "title <-> plan:title | txt", "did you mean 'text'?"),
        ([*ROOT, "rules", 0], "title <-> plan:title | text loud", "it does not know the word 'loud'"),
        (["zone"], "Europe/Copenhavn", "there is no time zone 'Europe/Copenhavn'"),
        ([*ROOT, "rules", 0], "title <-> plan:title | code nonsense", "there is no code table 'nonsense'"),
        ([*ROOT, "rules", 0], "title <-> plan:title | code", "'code' says: a word is missing; its words are: TABLE"),
        ([*ROOT, "rules", 0], "title <-> plan:title | day | date", "names two converters"),
        ([*ROOT, "rules", 0], "title, status <-> plan:title", "several fields together need a converter"),
        ([*ROOT, "rules", 0], "title <-> plan:title, plan:status", "several targets need a converter"),
        ([*ROOT, "rules"], ["title <-> plan:title"], "field 'status' has no rule, and no reason in `refused`"),
        ([*ROOT, "nonsense"], 1, "unknown word 'nonsense'"),
        ([*GOALS, "native"], "mal[]", "list mal[]: is not a list of the format's schema"),
        ([*GOALS, "native"], "goal[]", "is not a list of the format's schema; did you mean 'goals[]'?"),
        ([*GOALS, "native"], "goals", "is not a list of the format's schema; did you mean 'goals[]'?"),
        ([*GOALS, "native"], "title[]", 'is not a list of the format\'s schema; say `"type": "array"` there'),
        ([*GOALS, "key"], "namn", "the key 'namn' is not a field"),
        ([*GOALS, "anchors", "goal", "link"], "team.goal[]", "anchor 'goal': there is no anchor 'team' before it"),
        ([*GOALS, "anchors", "goal", "id"], None, "a resource needs an id"),
        ([*GOALS, "anchors", "goal", "type"], None, "must be exactly one of type, element, same, of"),
        ([*GOALS, "anchors", "goal", "match"], ["text"], "match says nothing beside type: take it away"),
        (
            [*GOALS, "anchors", "why"],
            {"element": "goal.note[]", "set": {"text": "x"}, "match": ["text"]},
            "set says nothing beside element: take it away",
        ),
        ([*GOALS, "anchors", "goal", "colour"], "red", "unknown word 'colour'"),
        ([*GOALS, "anchors", "goal", "when"], "text =~ (", "cannot read the pattern"),
        ([*GOALS, "anchors", "goal", "mark"], "category[] = sip-goal#x", "has no display among the marks"),
        ([*GOALS, "anchors", "goal", "mark"], "category[] sip-goal", "is not `path = system#code`"),
        ([*GOALS, "anchors", "goal", "reverse"], "focus plan", "there is no anchor ''"),
        ([*GOALS, "anchors"], {"goal": {"same": "plan"}}, "no anchor of its own"),
        (
            [*GOALS, "anchors", "plan"],
            {"same": "goal"},
            "anchor 'plan': a list around this one has an anchor of this name",
        ),
        ([*ROOT, "rules", 0], 5, "list ., rules: is not what is expected here: `native <-> anchor:path"),
        ([*ROOT, "rules", 0], "title <-> plan:titel", "R4 has no element CarePlan.titel; did you mean 'title'?"),
        ([*ROOT, "rules", 0], "title <-> plan:title[]", "CarePlan.title is no list in R4"),
        ([*ROOT, "rules", 0], "title <-> plan:note.text", "CarePlan.note is a list in R4: write note[0]"),
        ([*ROOT, "rules", 0], "title <-> plan:period.start.x", "R4 has no element dateTime.x"),
        ([*ROOT, "rules", 0], "title <-> plan:status", "is the target of the rule in line"),
        ([*ROOT, "rules", 0], "title <-> plan:title | owner", "owner is one word"),
        ([*ROOT, "rules", 0], "title <-> plan:title | owner boss", "there is no owner 'boss'"),
        (
            [*ROOT, "rules"],
            ["title <-> plan:title | owner lead", "status <-> plan:title | write | owner person"],
            "CarePlan.title has two owners",
        ),
        ([*GOALS, "anchors", "goal", "type"], "Gaol", "R4 has no resource type 'Gaol'"),
        ([*GOALS, "anchors", "goal", "link"], "plan.goals[]", "R4 has no element CarePlan.goals; did you mean 'goal'?"),
        ([*GOALS, "anchors", "goal", "refer"], {"subject": "goal"}, "refers to itself: a cycle"),
        ([*GOALS, "anchors", "goal", "refer"], {"subject": "person"}, "two that wait for each other"),
        ([*GOALS, "anchors", "goal", "when"], ["a"], "list goals[], anchor 'goal'"),
        (["refused"], {"nothing": "a reason"}, "refused 'nothing': 'nothing' is not a field of the format's schema"),
        (["refused"], {"title": "a reason"}, "refused 'title': 'title' has a rule in line"),
        ([*ROOT, "rules", 0], "title <-> plan:note[tekst=x].text", "R4 has no element Annotation.tekst; did you mean"),
        ([*GOALS, "rules", 0], "text <-> goal:description", "CodeableConcept is no plain value: name a converter"),
        ([*GOALS, "rules", 0], "text <-> goal:note[].text", "note[].text is a list: write the field as FIELD[]"),
        ([*GOALS, "rules", 0], "text[] <-> goal:description | text", "each item would overwrite the one before"),
        ([*GOALS, "rules", 0], "text[] <-> goal:target[] | due", "'due' finds its part in the whole list: write the"),
        ([*GOALS, "rules", 0], "text <-> goal:target[0] | due", "'due' finds its part in a list: end the path"),
        (
            [*GOALS, "where"],
            "txt",
            "list goals[]: where names 'goals[].txt', which is not a field of the format's schema",
        ),
        ([*GOALS, "anchors", "goal", "when"], "txt =~ a", "when names 'goals[].txt', which is not a field"),
        ([*GOALS, "anchors", "goal", "when"], "text and status", "when names 'goals[].status'"),
        (
            [*GOALS, "anchors", "goal", "id"],
            "{record}/{nr}",
            "anchor 'goal': id names 'goals[].nr', which is not a field",
        ),
        (
            [*GOALS, "anchors", "goal", "call"],
            "test",
            "call names 'goals[].test', which is not a field of the format's",
        ),
        (
            [*GOALS, "rules", 0],
            "text <-> goal:extension[] | pertains_to_goal goal",
            "names 'goal', which is not a list of",
        ),
        (
            ["demands"],
            [{"need": "titel", "say": "x"}],
            "need names 'titel', which is not a field of the format's schema; did",
        ),
        (["demands"], [{"each": "goals", "need": "txt", "say": "x"}], "need names 'goals[].txt'"),
        (["demands"], [{"need": "title", "when": "text", "say": "x"}], "demands: when names 'text'"),
        (
            ["lossy"],
            {"titel": "a reason"},
            "lossy: it names 'titel', which is not a field of the format's schema; did you mean",
        ),
        (
            ["refused"],
            {"titel": "a reason"},
            "refused 'titel': 'titel' is not a field of the format's schema; did you mean 't",
        ),
        (
            ["input"],
            {"format": "csv", "columns": {"T": "titel"}},
            "input: the column 'T' names 'titel', which is not a",
        ),
        (["input"], {"format": "csv", "words": {"false": [False]}}, 'input.words.false.0: false is not a "string"'),
        (["input"], {"format": "csv", "colums": {}}, "input: unknown word 'colums'; did you mean 'columns'?"),
        (["input"], {"format": "xml", "columns": {}}, "input: unknown word 'columns'; for xml there are: "),
        (["codes"], [], "codes: is not what is expected here: File with the code tables, or several; later ones add"),
        (
            [*ROOT, "anchors", "again"],
            {"type": "CarePlan", "id": "{record}"},
            "the anchor 'again' has the same id {record}: the two CarePlan would be one",
        ),
        ([*ROOT, "anchors", "plan", "id"], "plan", "id 'plan' is the same in all records, whose things would be "),
        ([*GOALS, "anchors", "goal", "id"], "{record}/goal", "is the same in all items, whose things would be one:"),
        (
            [*ROOT, "anchors", "plan", "id"],
            "nr|{title}",
            "id 'nr|{title}': what stands before | is the number's system",
        ),
        ([*GOALS, "anchors", "goal", "set"], {"statuss": "x"}, "set: R4 has no element Goal.statuss"),
        ([*GOALS, "anchors", "goal", "set"], {"note": {"text": "x"}}, "set: note is a list in R4: write [...]"),
        (
            [*GOALS, "anchors", "goal", "set"],
            {"startDate": ["2025"]},
            "set: startDate is no list in R4: write it without",
        ),
        ([*GOALS, "anchors", "goal", "set"], {"description": "x"}, "set: description is an object in R4, not 'x'"),
        (
            [*GOALS, "anchors", "goal", "set"],
            {"lifecycleStatus": True},
            "set: lifecycleStatus is a code in R4, not True: put",
        ),
        (
            [*GOALS, "anchors", "goal", "set"],
            {"description": {"text": ["x"]}},
            "set: description.text is no list in R4",
        ),
        (
            [*GOALS, "rules", 0],
            "text <-> goal:target[0].detailInteger",
            "the schema says string, and integer in FHIR is",
        ),
    ],
)
def test_a_wrong_declaration_is_refused_with_place_and_reason(
    path: list[Any], value: Any, message: str, tmp_path: Path
) -> None:
    with pytest.raises(BadDeclaration) as refusal:
        load(written(tmp_path, changed(path, value)))
    assert "mapping.yaml" in str(refusal.value)
    assert message in str(refusal.value)


def test_the_message_names_the_line_of_the_rule(tmp_path: Path) -> None:
    written(tmp_path)
    lines = (tmp_path / "mapping.yaml").read_text(encoding="utf-8").replace("plan:title", "plan:titel")
    (tmp_path / "mapping.yaml").write_text(lines, encoding="utf-8")
    line = next(number for number, text in enumerate(lines.split("\n"), start=1) if "plan:titel" in text)
    with pytest.raises(BadDeclaration, match=f"line {line}, rule `title <-> plan:titel`"):
        load(tmp_path)


def test_several_words_or_codes_of_one_row_stand_for_each_other(tmp_path: Path) -> None:
    codes = {"status": {"rows": [[["aktiv", "pågår"], ["active", "on-hold"]], [None, "draft"]]}}
    table = load(written(tmp_path, codes=codes)).knowledge.tables["status"]
    assert [table.code_of(word) for word in ("aktiv", "PÅGÅR", "draft")] == ["active", "active", None]
    assert [table.words.get(code) for code in ("active", "on-hold", "draft")] == ["aktiv", "aktiv", None]


def test_an_alias_inside_itself_is_a_cycle_that_is_told(tmp_path: Path) -> None:
    written(tmp_path)
    (tmp_path / "mapping.yaml").write_text("name: x\nlists: &a\n- native: .\n  lists: *a\n", encoding="utf-8")
    with pytest.raises(BadDeclaration, match="an alias stands inside what it stands for"):
        load(tmp_path)


def test_a_schema_that_leads_back_to_itself_is_told(tmp_path: Path) -> None:
    goal = {"type": "object", "properties": {"text": {"type": "string"}, "parts": {"$ref": "#/$defs/goals"}}}
    schema = {"$defs": {"goals": {"type": "array", "items": goal}}, **SCHEMA}
    schema["properties"] = {**SCHEMA["properties"], "goals": {"$ref": "#/$defs/goals"}}
    with pytest.raises(BadDeclaration, match=r"schema.json in .*leads back to itself"):
        load(written(tmp_path, schema=schema))


def test_a_field_that_stands_for_one_part_of_a_list_is_the_first_that_the_converter_knows(tmp_path: Path) -> None:
    mapping = changed([*GOALS, "rules"], ["text <-> goal:extension[] | in_extension goal-remark valueString"])
    mapping = load(written(tmp_path, mapping))
    record = {"id": "1", "title": "t", "status": "aktiv", "goals": [{"text": "once a week"}]}
    place: dict[str, Any] = {"source": "https://town.example", "namespace": UUID(int=1)}
    resources = mapping.get(record, **place).resources
    resources[1]["extension"].insert(0, {"url": "https://elsewhere.example", "valueString": "another's"})
    assert mapping.create(resources, **place)["goals"][0]["text"] == "once a week"


def test_a_reference_that_r4_does_not_take_there_is_a_name(tmp_path: Path) -> None:
    mapping = changed([*GOALS, "rules"], ["text <-> goal:expressedBy | named quiet", "by <-> goal:note[0].text"])
    mapping["lists"][0]["anchors"]["school"] = {
        "type": "Organization", "id": "{record}", "call": "title", "link": "plan.contributor[]"
    }  # fmt: skip
    schema = json.loads(json.dumps(SCHEMA))
    schema["properties"]["goals"]["items"]["properties"]["by"] = {"type": "string"}
    record = {"id": "1", "title": "Kolding School", "goals": [{"text": "Kolding School"}]}
    mapped = load(written(tmp_path, mapping, schema)).get(record, source="s", namespace=UUID(int=1))
    goal = next(one for one in mapped.resources if one["resourceType"] == "Goal")
    assert goal["expressedBy"] == {"display": "Kolding School"}


@pytest.mark.parametrize("leads", ["#/$defs/nothing", "#/properties/title", "other.json", "http://127.0.0.1:1/x.json"])
def test_a_schema_refers_to_its_own_definitions_only_and_nothing_is_fetched(leads: str, tmp_path: Path) -> None:
    schema = {**SCHEMA, "properties": {**SCHEMA["properties"], "title": {"$ref": leads}}}
    with pytest.raises(BadDeclaration, match=r"properties.title: `\$ref: .*` leads nowhere: write #/\$defs/NAME"):
        load(written(tmp_path, schema=schema))


def test_definitions_that_stand_for_each_other_are_a_cycle(tmp_path: Path) -> None:
    schema = {
        **SCHEMA,
        "$defs": {"a": {"$ref": "#/$defs/b"}, "b": {"$ref": "#/$defs/a"}},
        "properties": {**SCHEMA["properties"], "title": {"$ref": "#/$defs/a"}},
    }
    with pytest.raises(BadDeclaration, match="leads back to itself"):
        load(written(tmp_path, schema=schema))


@pytest.mark.parametrize(
    ("file", "text", "message"),
    [
        ("mapping.yaml", "name: a\nversion: 1\nname: b\n", "line 3: 'name' stands in line 1 already"),
        ("mapping.yaml", "", "holds no declaration"),
        ("mapping.yaml", "- a\n", "holds no declaration"),
        ("mapping.yaml", "lists:\n\t- native: .\n", "a tab? YAML is indented by spaces"),
        ("mapping.yaml", "set: {link: plan.goal[]}\n", "words that hold brackets or commas stand in quotes"),
        ("mapping.yaml", "{{record}: 1}\n", "line 1: a word stands before a colon"),
        ("mapping.yaml", "# \xf8\n", "line 1 is not UTF-8 (byte 0xf8): save the file as UTF-8"),
        ("codes.yaml", "yes: {rows: [[x, y]]}\n", "line 1: YAML takes 'yes' for true or false: put it in quotes"),
        ("codes.yaml", "a: {rows: [[true, y]]}\n", "the word 'true' is not text: put it in quotes"),
        ("codes.yaml", "a: {rows: [[x, y]]}\na: {rows: [[x, y]]}\n", "line 2: 'a' stands in line 1 already"),
        ("schema.json", '{"properties": {"id": {}, "id": {}}}', "properties.id: stands twice in the same object"),
        (
            "schema.json",
            '{"properties": {"id": {"type": "strng"}}}',
            "properties.id.type: 'strng' is no type; there are",
        ),
        ("schema.json", '{\n  "properties": {\n  // x\n}}', "line 3: cannot be read: not valid JSON"),
        ("schema.json", "[]", "is not a JSON Schema: [] is not of types"),
    ],
)
def test_a_file_that_is_none_is_told_in_one_line(file: str, text: str, message: str, tmp_path: Path) -> None:
    (written(tmp_path) / file).write_bytes(text.encode("latin-1"))
    with pytest.raises(BadDeclaration, match=f"{file} in ") as refusal:
        load(tmp_path)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_a_declaration_names_whose_value_wins(tmp_path: Path) -> None:
    mapping = changed([*ROOT, "rules", 0], "title <-> plan:title | owner person")
    mapping["lists"][0]["lists"][0]["anchors"]["goal"]["owner"] = "shared"
    assert load(written(tmp_path, mapping)).owners == {"CarePlan.title": "person", "Goal.description.text": "shared"}


def test_the_fields_of_variants_are_those_of_the_format(tmp_path: Path) -> None:
    folder = written(tmp_path, SMALL | {"variants": {"by": "status", "file": "variants.yaml"}})
    (folder / "variants.yaml").write_text("a:\n  match: a\n  demands:\n    - {need: titel, say: x}\n", encoding="utf-8")
    with pytest.raises(BadDeclaration, match=r"variants\.yaml.* line 4, a demands: need names 'titel', .*'title'\?"):
        load(folder)


def test_a_refused_field_needs_no_rule(tmp_path: Path) -> None:
    mapping = changed([*ROOT, "rules"], ["title <-> plan:title"]) | {"refused": {"status": "the region decides"}}
    assert load(written(tmp_path, mapping)).coverage()


@pytest.mark.parametrize(
    ("rows", "message"),
    [
        ([["aktiv", "active"], ["aktiv", "draft"]], "the word 'aktiv' has two codes, 'active' and 'draft'"),
        ([["aktiv", "active"], ["Aktiv", "draft"]], "the word 'Aktiv' has two codes, 'active' and 'draft'"),
        ([["aktiv", "active"], ["pågår", "active"]], "the code 'active' has two ways back, 'aktiv' and 'pågår'"),
        ([], "has no rows"),
        ([["aktiv"]], "is not [word, code]"),
        ([[True, "active"]], "the word 'true' is not text"),
    ],
)
def test_a_wrong_code_table_is_refused(rows: list[Any], message: str, tmp_path: Path) -> None:
    with pytest.raises(BadDeclaration, match=r"codes.yaml in .*, table 'status'") as refusal:
        load(written(tmp_path, codes={"status": {"rows": rows}}))
    assert message in str(refusal.value)


def test_files_that_cannot_be_read_are_named(tmp_path: Path) -> None:
    with pytest.raises(BadDeclaration, match=r"mapping.yaml in .*: cannot be read"):
        load(tmp_path)
    written(tmp_path)
    (tmp_path / "mapping.yaml").write_text("a: [", encoding="utf-8")
    with pytest.raises(BadDeclaration, match=r"mapping.yaml in .*: cannot be read"):
        load(tmp_path)
    written(tmp_path, schema={"type": "nonsense"})
    with pytest.raises(BadDeclaration, match=r"schema.json in .*: is not a JSON Schema"):
        load(tmp_path)


def test_a_mapping_is_found_by_name_and_compiled_once() -> None:
    assert find("se-sip") is find("se-sip")
    assert find("se-sip").folder == FOLDER / "se-sip"


def test_a_mapping_is_found_in_another_folder(tmp_path: Path) -> None:
    shutil.copytree(FOLDER / "se-sip", tmp_path / "other")
    assert find("other", tmp_path).folder == tmp_path / "other"


@pytest.mark.parametrize("name", ["nonsense", "", "SE-SIP"])
def test_an_unknown_mapping_is_told_with_those_there_are(name: str) -> None:
    with pytest.raises(BadDeclaration, match=r"there are: .*se-sip"):
        find(name)


def test_a_folder_of_ones_own_is_written_with_a_slash(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    shutil.copytree(FOLDER / "se-sip", tmp_path / "mine")
    monkeypatch.chdir(tmp_path)
    with pytest.raises(BadDeclaration, match=r"no mapping 'mine'; .*; the folder of this name is written mine/$"):
        find("mine")
    assert find("mine/").name == "se-sip"
