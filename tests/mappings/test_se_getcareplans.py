"""GetCarePlans 2.0: what is particular to an XML response, beside what every sample shows."""

from __future__ import annotations

import base64
import json
from typing import Any

from fhir_adapter.fhir.resources import parse_json
from fhir_adapter.flows.convert import Converted, map_file, unmap_file
from fhir_adapter.mapping.load import FOLDER

SAMPLES = FOLDER / "se-getcareplans" / "samples"
CORE = "urn:riv:clinicalprocess:logistics:logistics:3"


def response(name: str = "SIP-1") -> str:
    return (SAMPLES / f"{name}.xml").read_text("utf-8")


def mapped(text: str) -> Converted:
    return map_file("se-getcareplans", text.encode())


def resources(converted: Converted, type_: str) -> list[dict[str, Any]]:
    entries = parse_json(converted.output)["entry"]
    return [entry["resource"] for entry in entries if entry["resource"]["resourceType"] == type_]


def issue_at(converted: Converted, path: str) -> dict[str, Any]:
    return next(issue for issue in converted.issues if issue["path"] == path)


def test_a_response_in_a_soap_envelope_is_read() -> None:
    inner = response().partition("?>\n")[2]
    soap = f'<s:Envelope xmlns:s="http://schemas.xmlsoap.org/soap/envelope/"><s:Body>{inner}</s:Body></s:Envelope>'
    assert parse_json(mapped(soap).output) == parse_json(mapped(response()).output)


def test_each_plan_of_a_response_is_a_record_and_a_wrong_one_does_not_stop_the_others() -> None:
    plan = response().partition("<tns:carePlan>")[2].partition("</tns:carePlan>")[0]
    wrong = plan.replace("<id>198507142381</id>", "")
    both = response().replace(f"<tns:carePlan>{plan}", f"<tns:carePlan>{wrong}</tns:carePlan><tns:carePlan>{plan}")
    converted = mapped(both)
    assert not converted.ok
    assert issue_at(converted, "carePlanHeader.patientId.id")["record"] == 1
    assert len(converted.output.splitlines()) == 1


def test_an_empty_response_is_no_record() -> None:
    head, _, rest = response().partition("<tns:carePlan>")
    converted = mapped(head + rest.partition("</tns:carePlan>")[2])
    assert converted.ok
    assert converted.output == b""


def test_an_error_instead_of_an_answer_is_refused() -> None:
    converted = mapped(response().replace("<resultCode>OK", "<resultCode>ERROR"))
    assert not converted.ok
    assert converted.output == b""
    assert issue_at(converted, "tns:GetCarePlansResponse/tns:result/resultCode")["expected"] == "OK or INFO"


def test_what_the_contract_lets_others_add_is_told_beside_the_plans() -> None:
    converted = mapped(response().replace("</tns:result>", '</tns:result><x:more xmlns:x="urn:x"/>'))
    assert converted.ok
    assert issue_at(converted, "tns:GetCarePlansResponse/{urn:x}more")["record"] == 0


def test_a_plan_that_is_only_a_pdf_is_a_document_of_the_person() -> None:
    (document,) = resources(mapped(response("SIP-3")), "DocumentReference")
    (patient,) = resources(mapped(response("SIP-3")), "Patient")
    assert document["subject"] == {"reference": f"Patient/{patient['id']}"}
    attachment = document["content"][0]["attachment"]
    assert attachment["contentType"] == "application/pdf"
    assert base64.b64decode(attachment["data"]).startswith(b"%PDF-")


def test_content_over_100_kilobytes_is_refused_at_its_field() -> None:
    large = base64.b64encode(b"x" * 102_403).decode()
    converted = mapped(response().replace("SmFnIHZpbGwgYm8ga3ZhciBpIG1pbiBsw6RnZW5oZXQu", large))
    assert not converted.ok
    assert issue_at(converted, "carePlanBody.content[0].value")


def test_times_are_swedish_and_the_doubled_hour_is_told() -> None:
    (plan,) = resources(mapped(response("SIP-3")), "CarePlan")
    assert plan["created"] == "2025-10-21T10:15:00+02:00"
    issue = issue_at(mapped(response("SIP-3")), "carePlanHeader.documentTime")
    assert issue["severity"] == "warning"


def test_a_time_that_no_calendar_has_is_refused_at_its_field() -> None:
    converted = mapped(response().replace("20250219140500", "20250231140500"))
    assert not converted.ok
    assert issue_at(converted, "carePlanHeader.accountableHealthcareProfessional.authorTime")


def test_a_plan_without_care_unit_is_taken_with_a_warning() -> None:
    unit = "healthcareProfessionalCareUnitHSAId"
    converted = mapped(response().replace(f"<{unit}>SE2321000016-TEST4</{unit}>", ""))
    assert converted.ok
    path = f"carePlanHeader.accountableHealthcareProfessional.{unit}"
    assert issue_at(converted, path)["severity"] == "warning"


def test_the_number_in_both_spellings_of_its_oid_is_the_same_person() -> None:
    long = response().replace("<type>1.2.752.129.2.1.3.1<", "<type>urn:oid:1.2.752.129.2.1.3.1<")
    assert resources(mapped(long), "Patient") == resources(mapped(response()), "Patient")
    back = unmap_file("se-getcareplans", mapped(long).output, before=long.encode())
    assert b"<type>urn:oid:1.2.752.129.2.1.3.1</type>" in back.output


def test_the_same_person_as_in_the_municipalitys_own_record() -> None:
    sip = map_file("se-sip", (FOLDER / "se-sip" / "samples" / "SIP-1.json").read_bytes())
    (there,), (here,) = resources(sip, "Patient"), resources(mapped(response()), "Patient")
    assert here["id"] == there["id"]


def test_an_edited_title_comes_back_and_all_else_stays() -> None:
    bundle = parse_json(mapped(response()).output)
    bundle["entry"][0]["resource"]["title"] = "Ny titel"
    back = unmap_file("se-getcareplans", json.dumps(bundle).encode(), before=response().encode())
    assert back.output.decode() == response().replace("Elin – psykos, boendestöd och öppenvårdspsykiatri", "Ny titel")


def test_a_document_type_is_refused() -> None:
    bomb = response().replace("?>\n", '?>\n<!DOCTYPE x [<!ENTITY a "aaaa">]>\n', 1)
    converted = mapped(bomb)
    assert not converted.ok
    assert "DOCTYPE" in converted.issues[0]["message"]
