"""Files in every format: what is read, what is written, and how a wrong file is told about in the sender's places."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest

from fhir_adapter.errors import BadRequest, Issue
from fhir_adapter.mapping.inputs.declared import declared_format
from fhir_adapter.mapping.inputs.formats import Contents, Entry, Format
from fhir_adapter.mapping.schema import RecordSchema

TEXT = {"type": "string"}
SCHEMA = RecordSchema(
    {
        "type": "object",
        "properties": {
            "id": TEXT,
            "name": TEXT,
            "age": {"type": "integer"},
            "score": {"type": "number"},
            "open": {"type": "boolean"},
            "person": {"type": "object", "properties": {"name": TEXT, "phone": TEXT}},
            "tags": {"type": "array", "items": TEXT},
            "goals": {
                "type": "array",
                "items": {
                    "type": "object",
                    "properties": {
                        "id": TEXT,
                        "text": TEXT,
                        "notes": {"type": "array", "items": {"type": "object", "properties": {"text": TEXT}}},
                    },
                },
            },
        },
    }
)


def csv(**declared: Any) -> Format:
    return declared_format({"format": "csv", "delimiter": ";", **declared}, SCHEMA)


def xml(**declared: Any) -> Format:
    return declared_format({"format": "xml", "record": "plans/plan", **declared}, SCHEMA)


def fhir() -> Format:
    return declared_format({"format": "fhir"}, SCHEMA)


def json_() -> Format:
    return declared_format(None, SCHEMA)


def records(contents: Contents) -> list[Any]:
    return [entry.taken() for entry in contents.entries]


def faults(entry: Entry) -> list[Issue]:
    assert isinstance(entry.record, BadRequest), entry.record
    return list(entry.record.issues)


def refusal(format_: Format, raw: bytes) -> Issue:
    """The one issue of a file that is refused as a whole."""
    with pytest.raises(BadRequest) as refused:
        format_.read(raw)
    (issue,) = refused.value.issues
    return issue


# ---- CSV


def test_a_row_is_a_record_with_typed_cells_and_empty_ones_are_absent() -> None:
    raw = (
        "id;age;score;open;person.name;goals[0].text;goals[1].text\r\n1;7;1,50;Ja;Åsa;Ut;\r\n2;;;nej;;;Hem\r\n".encode()
    )
    read = csv(decimal=",", words={True: ["ja"], False: ["nej"]}).read(raw)
    assert records(read) == [
        {
            "id": "1", "age": 7, "score": Decimal("1.50"), "open": True,
            "person": {"name": "Åsa"}, "goals": [{"text": "Ut"}],
        },
        {"id": "2", "open": False, "goals": [{"text": "Hem"}]},
    ]  # fmt: skip


def test_rows_with_one_key_are_one_record_with_nested_lists() -> None:
    raw = (
        b"id;name;tags[];goals[].id;goals[].text;goals[].notes[].text\n"
        b"1;Eva;a;M1;Out;first\n1;;b;M1;;second\n2;Ada;;M1;Home;\n1;Eva;;M2;In;\n"
    )
    assert records(csv(key="id").read(raw)) == [
        {
            "id": "1", "name": "Eva", "tags": ["a", "b"],
            "goals": [
                {"id": "M1", "text": "Out", "notes": [{"text": "first"}, {"text": "second"}]},
                {"id": "M2", "text": "In"},
            ],
        },
        {"id": "2", "name": "Ada", "goals": [{"id": "M1", "text": "Home"}]},
    ]  # fmt: skip


def test_columns_may_have_the_senders_own_names_and_others_are_kept() -> None:
    format_ = csv(columns={"Sagsnr": "id", "Mål": "goals[].text", "Mærker": "tags[]"}, separator="|", key="id")
    (record,) = records(format_.read("Sagsnr;Mål;Mærker;Tel. nr\n1;Ud;a|b;12\n1;Hjem;;\n".encode()))
    assert record == {"id": "1", "goals": [{"text": "Ud"}, {"text": "Hjem"}], "tags": ["a", "b"], "Tel. nr": "12"}
    assert format_.write([record]).decode() == "Sagsnr;Mål;Mærker;Tel. nr\r\n1;Ud;a|b;12\r\n1;Hjem;;\r\n"


def test_a_ragged_row_refuses_its_record_with_row_and_column_and_the_rest_goes_on() -> None:
    read = csv().read(b"id;name;age\n1;Eva;7\n2;Ada\n3;Bo;8;9\n4;Ann;5;;\n")
    assert [entry.number for entry in read.entries if isinstance(entry.record, dict)] == [1, 4]
    (short,), (long,) = faults(read.entries[1]), faults(read.entries[2])
    assert (short.path, short.message) == ("row 3, column age", "this row has 2 cells, and the header names 3 columns")
    assert long.path == "row 4, column 4"


def test_a_ragged_row_of_a_record_with_several_refuses_all_of_that_record() -> None:
    read = csv(key="id").read(b"id;goals[].text;age\n1;a;7\n1;b\n2;c;8\n")
    assert [isinstance(entry.record, dict) for entry in read.entries] == [False, True]
    assert read.entries[0].raw == b"id;goals[].text;age\n1;a;7\n1;b\n"


@pytest.mark.parametrize(
    ("raw", "path", "message"),
    [
        (b"", "row 1", "there is no header"),
        (b"id;name;id\n", "row 1, column id", "two columns have this name"),
        (b"name;age\nEva;7\n", "row 1, column id", "this column is missing"),
        (b"\x1f\x8b", "", "this is compressed"),
        (b"\xff\xfei\x00d\x00", "", "this is UTF-16"),
        (b"id;name\n1;\xc5sa\n", "line 2", "this is not utf-8: byte 0xc5 is none of its letters"),
    ],
)
def test_a_file_that_cannot_be_read_is_told_with_its_place(raw: bytes, path: str, message: str) -> None:
    issue = refusal(csv(key="id"), raw)
    assert issue.path == path
    assert issue.message.startswith(message)


def test_a_row_without_its_key_and_one_that_contradicts_another_are_refused_alone() -> None:
    read = csv(key="id").read(b"id;name\n;Eva\n1;Ada\n1;Bo\n2;Cy\n")
    assert [faults(entry)[0].path for entry in read.entries[:2]] == ["row 2, column id", "row 4, column name"]
    assert read.entries[2].taken() == {"id": "2", "name": "Cy"}


def test_an_open_quote_ends_the_file_but_not_what_came_before() -> None:
    read = csv().read(b'id;name\n1;Eva\n2;"Ada\n3;Bo\n')
    assert read.entries[0].taken() == {"id": "1", "name": "Eva"}
    assert faults(read.entries[1])[0].path == "row 3"


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252"])
def test_an_old_encoding_is_read_and_written_and_never_garbled(encoding: str) -> None:
    format_ = csv(encoding=encoding)
    raw = "id;name\r\n1;Åse Bjørk\r\n".encode(encoding)
    assert records(format_.read(raw)) == [{"id": "1", "name": "Åse Bjørk"}]
    assert format_.write([{"id": "1", "name": "Åse Bjørk"}]) == raw
    (garbled,) = format_.read("id;name\n1;Bjørk\n".encode()).entries
    assert faults(garbled)[0].path == "row 2, column name"
    with pytest.raises(BadRequest, match="U\\+4E2D does not exist"):
        format_.write([{"id": "1", "name": "中"}])


def test_a_byte_order_mark_says_utf8_whatever_was_declared() -> None:
    assert records(csv(encoding="latin-1").read("\ufeffid;name\n1;Åse\n".encode())) == [{"id": "1", "name": "Åse"}]


@pytest.mark.parametrize("text", ["=1+1", "+A1", "-cmd", "@x", "'=1", "''=1", "\t=1", "\r1"])
def test_a_formula_is_made_harmless_and_comes_back_as_it_was(text: str) -> None:
    written = csv().write([{"id": "1", "name": text}])
    cell = written.split(b";", 2)[2].strip(b'\r\n"')
    assert cell.startswith(b"'")
    assert records(csv().read(written)) == [{"id": "1", "name": text}]


@pytest.mark.parametrize("text", ["+46 70-123 45 67", "-7", "'", "a=b", "'quoted'"])
def test_a_telephone_number_or_plain_text_is_left_alone(text: str) -> None:
    assert text.encode() in csv().write([{"id": "1", "name": text}])


def test_an_error_of_a_field_is_told_by_row_and_column() -> None:
    (entry,) = csv(key="id", columns={"Nr": "id", "Mål": "goals[].text"}).read("Nr;Mål\n1;a\n1;b\n".encode()).entries
    assert entry.place("goals[1].text") == "row 3, column Mål"
    assert entry.place("goals[].text") == "row 2, column Mål"
    assert entry.place("person.name") == "person.name"


# ---- XML


def test_elements_attributes_lists_and_types_are_read_and_written_in_the_schemas_order() -> None:
    raw = (
        b'<plans xmlns="urn:p" xmlns:o="urn:o"><plan o:new="1"><id>1</id><!-- x --><open> true </open>'
        b'<goals id="a"><text>Out &amp; in</text></goals><person><name>Eva</name></person><age>7</age>'
        b'<o:extra lang="sv">y</o:extra></plan></plans>'
    )
    format_ = xml(namespaces={"": "urn:p"})
    (record,) = records(format_.read(raw))
    assert record == {
        "@{urn:o}new": "1", "id": "1", "open": True, "goals": [{"@id": "a", "text": "Out & in"}],
        "person": {"name": "Eva"}, "age": 7, "{urn:o}extra": {"@lang": "sv", "$": "y"},
    }  # fmt: skip
    written = format_.write([record])
    assert records(format_.read(written)) == [record]
    text = written.decode()
    assert text.index("<age>") < text.index("<open>") < text.index("<person>") < text.index("<goals")


def test_records_are_found_inside_an_envelope_and_what_follows_them_is_written() -> None:
    format_ = xml(
        namespaces={"": "urn:p", "t": "urn:t"}, record="t:answer/t:plan", after={"t:result": {"code": "OK"}}, id="no.nr"
    )
    raw = (
        b'<s:E xmlns:s="urn:s"><s:B><a:answer xmlns:a="urn:t"><a:plan><no xmlns="urn:p"><nr>9</nr></no></a:plan>'
        b"</a:answer></s:B></s:E>"
    )
    (record,) = records(format_.read(raw))
    assert record == {"id": "9", "no": {"nr": "9"}}
    assert format_.write([record]).decode() == (
        '<?xml version="1.0" encoding="UTF-8"?>\n<t:answer xmlns="urn:p" xmlns:t="urn:t">\n  <t:plan>\n    <no>\n'
        "      <nr>9</nr>\n    </no>\n  </t:plan>\n  <t:result>\n    <code>OK</code>\n  </t:result>\n</t:answer>\n"
    )


BOMB = (
    b'<!DOCTYPE p [<!ENTITY a "ha"><!ENTITY b "&a;&a;&a;&a;&a;&a;&a;&a;&a;&a;">'
    b'<!ENTITY c "&b;&b;&b;&b;&b;&b;&b;&b;&b;&b;">]><plans><plan><id>&c;</id></plan></plans>'
)
OUTSIDE = b'<!DOCTYPE p [<!ENTITY x SYSTEM "file:///etc/passwd">]><plans><plan><id>&x;</id></plan></plans>'


@pytest.mark.parametrize(
    ("raw", "message"),
    [
        (BOMB, "declares a type or entities"),
        (OUTSIDE, "declares a type or entities"),
        (b'<!DOCTYPE p SYSTEM "http://127.0.0.1:9/p.dtd"><plans/>', "declares a type or entities"),
        (b"<a>" * 10_000, "nested deeper than 64 levels"),
        (b"<plans><plan></plans>", "this is not XML: mismatched tag"),
        (b"<plans>&nbsp;</plans>", "this is not XML: undefined entity"),
        (b"", "this is not XML"),
        ("<plans>Å</plans>".encode("latin-1"), "this is not utf-8"),
        (b'<?xml version="1.0" encoding="x-none"?><plans/>', "this is not XML"),
    ],
)
def test_an_xml_bomb_or_what_is_no_xml_is_refused(raw: bytes, message: str) -> None:
    assert message in refusal(xml(), raw).message


@pytest.mark.parametrize(
    ("record", "raw"),
    [
        ("plans/plan", b"<journal><plan><id>1</id></plan></journal>"),
        ("plan", b"<plans><note/></plans>"),
        ("t:answer/t:plan", b"<Envelope><Body><Fault/></Body></Envelope>"),
    ],
)
def test_a_document_of_another_kind_is_refused(record: str, raw: bytes) -> None:
    told = refusal(xml(record=record, namespaces={"t": "urn:t"}), raw)
    assert told.message.startswith(f"there is no {record.partition('/')[0]} in this document: it begins with ")
    assert told.expected == record


def test_a_list_without_records_is_none_and_what_stands_beside_records_is_told() -> None:
    assert xml().read(b"<plans/>").entries == []
    contents = xml(after={"sum": "1"}).read(b"<plans><plan><id>1</id></plan><sum>1</sum><x>2</x><x>3</x></plans>")
    assert records(contents) == [{"id": "1"}]
    assert [(issue.severity, issue.path) for issue in contents.remarks] == [("information", "plans/x")]


@pytest.mark.parametrize(("said", "is_well"), [("OK", True), ("INFO", True), ("ERROR", False), ("", False)])
def test_a_document_that_says_that_not_all_is_well_is_refused(said: str, is_well: bool) -> None:
    format_ = xml(only_if={"result/code": ["OK", "INFO"]})
    raw = f"<s><plans><plan><id>1</id></plan><result><code> {said}</code></result></plans></s>".encode()
    if is_well:
        assert records(format_.read(raw)) == [{"id": "1"}]
    else:
        told = refusal(format_, raw)
        assert (told.path, told.expected) == ("plans/result/code", "OK or INFO")


def test_text_between_elements_and_signs_that_xml_lacks_are_told() -> None:
    good, mixed = xml().read(b"<plans><plan><id>1</id></plan><plan>a<id>2</id></plan></plans>").entries
    assert good.taken() == {"id": "1"}
    assert faults(mixed)[0].path == "plan"
    with pytest.raises(BadRequest) as refused:
        xml().write([{"id": "1", "goals": [{"text": "a\x00"}]}])
    assert refused.value.issues[0].path == "goals[0].text"


def test_latin_1_that_says_so_is_read() -> None:
    raw = '<?xml version="1.0" encoding="ISO-8859-1"?><plans><plan><name>Åsa</name></plan></plans>'.encode("latin-1")
    assert records(xml().read(raw)) == [{"name": "Åsa"}]


@pytest.mark.parametrize(("sign", "shown"), [("\t", "tab"), (",", "','")])
def test_a_table_that_is_cut_at_another_sign_is_told(sign: str, shown: str) -> None:
    told = refusal(csv(key="id"), f"id{sign}name\n1{sign}a\n".encode())
    assert (told.path, told.expected) == ("row 1", f"';' between cells, not {shown}")


def test_a_header_in_the_wrong_letters_is_told_by_its_column() -> None:
    assert refusal(csv(), "id;fÃ¸dt\n1;2\n".encode()).path == "row 1, column fÃ¸dt"


# ---- FHIR and JSON


def test_a_bundle_becomes_lists_of_resources_and_comes_back_to_the_letter() -> None:
    bundle = {
        "resourceType": "Bundle", "id": "b", "type": "collection", "future": 1,
        "entry": [
            {"fullUrl": "http://x/Goal/1", "resource": {"resourceType": "Goal", "id": "1", "unknown": {"a": [1]}}},
            {"resource": {"resourceType": "CarePlan", "id": "p"}, "request": {"method": "PUT", "url": "CarePlan/p"}},
            {"fullUrl": "urn:uuid:1", "resource": {"resourceType": "Goal"}},
            {"request": {"method": "DELETE", "url": "Goal/9"}},
        ],
    }  # fmt: skip
    (record,) = records(fhir().read(json.dumps(bundle).encode()))
    assert (record["id"], len(record["Goal"]), len(record["CarePlan"])) == ("p", 2, 1)
    assert json.loads(fhir().write([record])) == bundle
    record["Goal"] = [record["Goal"][0], {"resourceType": "Goal", "id": "new"}]
    written = json.loads(fhir().write([record]))["entry"]
    assert [entry.get("fullUrl") for entry in written] == ["http://x/Goal/1", None, None, "http://x/Goal/new"]


@pytest.mark.parametrize("value", [[[]], {"resourceType": "Goal"}, {"resourceType": "Bundle", "entry": [[]]}])
def test_what_is_no_bundle_is_refused(value: Any) -> None:
    assert isinstance(fhir().read(json.dumps(value).encode()).entries[0].record, BadRequest)


def test_letters_in_the_wrong_encoding_are_told_by_their_field() -> None:
    (latin,) = json_().read('{"id": "1", "goals": [{"text": "Gå ut"}]}'.encode("latin-1")).entries
    assert faults(latin)[0].path == "goals[0].text"
    good, garbled = json_().read('{"id": "1"}\n{"id": "2", "name": "BjÃ¸rk", "tags": ["Ã–st"]}\n'.encode()).entries
    assert good.taken() == {"id": "1"}
    assert [issue.path for issue in faults(garbled)] == ["name", "tags[0]"]


def test_a_name_that_stands_twice_is_told_by_its_field_and_the_other_records_go_on() -> None:
    raw = b'[{"id": "1"}, {"id": "2", "goals": [{"text": "a"}, {"text": "b", "text": "c"}]}]'
    good, bad = json_().read(raw).entries
    assert good.taken() == {"id": "1"}
    assert [issue.path for issue in faults(bad)] == ["goals[1].text"]
    (alone,) = json_().read(b'{"id": "1", "id": "2"}').entries
    assert [issue.path for issue in faults(alone)] == ["id"]
    first, second = json_().read(b'{"id": "1", "id": "1"}\n{"id": "2"}\n').entries
    assert [issue.path for issue in faults(first)] == ["id"]
    assert second.taken() == {"id": "2"}


@pytest.mark.parametrize("raw", [b'{"id": "1", "name": "a\\u0000"}', b'{"id": "1", "name": "\\u001f"}'])
def test_a_sign_that_fhir_has_no_place_for_is_told_by_its_field(raw: bytes) -> None:
    (entry,) = json_().read(raw).entries
    assert [issue.path for issue in faults(entry)] == ["name"]


def test_a_control_sign_in_a_table_is_told_by_row_and_column() -> None:
    (entry,) = csv().read(b"id;name\n1;a\0b\n").entries
    assert [(entry.place(issue.path), issue.code) for issue in faults(entry)] == [("row 2, column name", "structure")]


@pytest.mark.parametrize(
    ("declared", "reason"),
    [
        ({"format": "xls"}, "'xls' is none of"),
        ({"format": "json", "delimiter": ";"}, "unknown word 'delimiter'"),
        ({"format": "csv", "encoding": "ebcdic"}, "'ebcdic' is none of"),
        ({"format": "csv", "delimiter": ";;"}, "is not one sign"),
        ({"format": "csv", "columns": {"A": "a..b"}}, "is not the path of a field"),
        ({"format": "xml"}, "`record` is missing"),
    ],
)
def test_a_wrong_input_is_told(declared: dict[str, Any], reason: str) -> None:
    with pytest.raises(ValueError, match=reason):
        declared_format(declared, SCHEMA)
