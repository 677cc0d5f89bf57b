"""The whole road with one person's SIP, told in words that a care professional understands."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from uuid import uuid4

from rich.console import Console
from rich.panel import Panel
from rich.table import Table

from fhir_adapter.app import SANDBOX, Service, begin_anew, build
from fhir_adapter.fhir.resources import Resource, parse_json
from fhir_adapter.flows import sync
from fhir_adapter.flows.overview import concept_text, name_in
from fhir_adapter.remotes.client import FhirClient
from fhir_adapter.serving import address_of, answering_in_a_thread, listen
from fhir_adapter.settings import as_demo, mark_demo, read_settings

PERSONNUMMER = "http://electronichealth.se/identifier/personnummer"

EVERYTHING = {
    "_include": ["CarePlan:subject", "CarePlan:care-team", "CarePlan:goal", "CarePlan:activity-reference"],
    "_include:iterate": ["CareTeam:participant", "PractitionerRole:practitioner"],
    "_revinclude:iterate": "Task:focus",
}
"""What an EHR asks for to get plan, team, goals and activities in one request."""


@dataclass(slots=True)
class Stage:
    """The running service, and the two systems that talk to it."""

    service: Service
    address: str
    municipality: FhirClient
    ehr: FhirClient
    region: FhirClient
    region_url: str
    data: Path
    console: Console

    def say(self, heading: str, text: str = "") -> None:
        self.console.print(f"\n[bold]{heading}[/bold]")
        if text:
            self.console.print(text)


def run_demo(region: str | None, data: Path) -> None:
    """Run the story. `region` is a FHIR server's base URL; left out, the in-process sandbox plays the region.

    In a terminal the server stays up afterwards, so that the plan can be looked at in a browser.
    """
    begin_anew(data)
    listening = listen("127.0.0.1", 0)
    address = address_of(listening)
    region_url = region or f"{address}{SANDBOX}"
    settings = as_demo(read_settings(None, data=data), region_url)
    service = build(settings, sandbox=region is None)
    try:
        mark_demo(data, region_url)
        with answering_in_a_thread(service.asgi, listening):
            _tell(
                Stage(
                    service,
                    address,
                    FhirClient(address),
                    FhirClient(f"{address}/fhir"),
                    FhirClient(region_url),
                    region_url,
                    data,
                    Console(highlight=False, width=None if sys.stdout.isatty() else 110),
                )
            )
    finally:
        service.close()


def _tell(stage: Stage) -> None:
    sip = _sample(stage)
    sandbox = SANDBOX in stage.region_url
    stage.console.print(
        Panel(
            "One person, one plan. Elin (who is invented) lives in Södertälje; her municipality and her region's\n"
            "psychiatry share a SIP. The region is "
            + ("the built-in sandbox FHIR server." if sandbox else f"the FHIR server at {stage.region_url}."),
            title="fhir-adapter demo",
        )
    )
    plan = _push(stage, sip)
    _pull(stage, sip)
    cursor = _changes(stage, "0")["cursor"]
    _region_works(stage, plan)
    _municipality_sees(stage, sip, cursor)
    _both_edit(stage, sip, plan)
    _where_to_look(stage, plan)


def _push(stage: Stage, sip: dict[str, Any]) -> str:
    stage.say("1. Södertälje's social system sends Elin's SIP, in its own format.")
    receipt = _deliver(stage, sip)
    stage.console.print(
        f"   Receipt: {receipt['state']}, plan {receipt['plan']['id']}, version {receipt['plan']['version']}."
    )
    for issue in receipt["issues"]:
        stage.console.print(f"   {issue['severity']}: {issue['path']}: {issue['message']}")
    for field in receipt["unmapped"]:
        stage.console.print(f"   not carried further: {field['path']} ({field['reason']})")
    return str(receipt["plan"]["id"])


def _pull(stage: Stage, sip: dict[str, Any]) -> None:
    stage.say("2. A health record asks for the plan by Elin's person number: one FHIR request.")
    question = {"patient.identifier": f"{PERSONNUMMER}|{sip['person']['personnummer']}", **EVERYTHING}
    found = list(stage.ehr.search("CarePlan", question))
    _show_plan(stage, found)
    stage.console.print(f"   All of it in one answer ({len(found)} FHIR resources).")


HOW_FAR = {
    "proposed": "proposed",
    "planned": "planned",
    "accepted": "planned",
    "requested": "planned",
    "active": "under way",
    "in-progress": "under way",
    "on-hold": "resting",
    "completed": "done",
    "cancelled": "ended",
}
"""FHIR's statuses of goals and Tasks in a care professional's words; others are shown as they are."""


def _how_far(status: str) -> str:
    return HOW_FAR.get(status, status)


def _show_plan(stage: Stage, found: list[Resource]) -> None:
    by_reference = {f"{resource['resourceType']}/{resource['id']}": resource for resource in found}
    plan = next(resource for resource in found if resource["resourceType"] == "CarePlan")
    tasks = [resource for resource in found if resource["resourceType"] == "Task" and "focus" in resource]
    status_of = {task["focus"]["reference"]: task["status"] for task in tasks}
    table = Table("", "in the plan", "who, how far", box=None, padding=(0, 2, 0, 1))
    for goal in _targets(plan.get("goal", []), by_reference):
        table.add_row("goal", goal["description"]["text"], _how_far(goal["lifecycleStatus"]))
    for request in _targets([each["reference"] for each in plan["activity"] if "reference" in each], by_reference):
        if request["resourceType"] == "Appointment":
            when = request.get("start") or request.get("requestedPeriod", [{}])[0].get("start", "")
            table.add_row("meeting", concept_text(request.get("appointmentType")), when[:10])
        else:
            who = ", ".join(name_in(by_reference, each) for each in request.get("performer", []))
            far = _how_far(status_of.get(f"ServiceRequest/{request['id']}") or request["status"])
            table.add_row("intervention", concept_text(request.get("code")), f"{who}, {far}".strip(", "))
    for team in _targets(plan.get("careTeam", []), by_reference):
        for participant in team["participant"]:
            roles = ", ".join(concept_text(role) for role in participant["role"])
            table.add_row("team", name_in(by_reference, participant["member"]), roles)
    stage.console.print(table)


def _region_works(stage: Stage, plan: str) -> None:
    stage.say("3. The region's server has the plan now. Psychiatry works with it there:")
    _sync(stage)
    care_plan = _at_region(stage, "CarePlan", plan)
    goal = _goal_called(stage, care_plan, "ringer")
    goal["achievementStatus"] = {
        "coding": [{"system": "http://terminology.hl7.org/CodeSystem/goal-achievement", "code": "achieved"}]
    }
    _put(stage, goal)
    stage.console.print(f"   - marks the goal “{goal['description']['text']}” as achieved")
    request = {
        "resourceType": "ServiceRequest",
        "id": str(uuid4()),
        "status": "active",
        "intent": "plan",
        "code": {"text": "Samtal om sömn, fyra gånger"},
        "subject": care_plan["subject"],
        "basedOn": [{"reference": f"CarePlan/{plan}"}],
    }
    _put(stage, request)
    care_plan["activity"].append({"reference": {"reference": f"ServiceRequest/{request['id']}"}})
    care_plan.setdefault("note", []).append(
        {
            "authorString": "Psykiatri Södertälje",
            "time": "2025-03-10T09:30:00+01:00",
            "text": "Elin vill gärna ha samtalen på förmiddagen.",
        }
    )
    _put(stage, care_plan)
    stage.console.print("   - adds an intervention “Samtal om sömn, fyra gånger”\n   - writes a note")
    _sync(stage)


def _municipality_sees(stage: Stage, sip: dict[str, Any], cursor: str) -> None:
    stage.say("4. Södertälje fetches its record: the same SIP, in its own words, with the region's work in it.")
    record = _record(stage, sip["id"])
    table = Table("where", "what the region changed", box=None, padding=(0, 2, 0, 1))
    for path, value in _differences(sip, record):
        table.add_row(path, value)
    stage.console.print(table)
    (changed,) = _changes(stage, cursor)["records"]
    stage.console.print(
        f"   What is new since it last asked: record {changed['record']}, changed by {', '.join(changed['changedBy'])}."
    )


def _both_edit(stage: Stage, sip: dict[str, Any], plan: str) -> None:
    stage.say("5. Both sides now change the words of the same goal, before either has seen the other.")
    record = _record(stage, sip["id"])
    goal = _goal_called(stage, _at_region(stage, "CarePlan", plan), "buss")
    goal["description"] = {"text": "Jag åker buss till Järna varannan vecka, med sällskap."}
    _put(stage, goal)
    mal = next(each for each in record["mal"] if "buss" in each["text"])
    mal["text"] = "Jag åker buss till Järna två gånger i veckan."
    receipt = _deliver(stage, record)
    stage.console.print(f"   Södertälje: {mal['text']} ({receipt['state']}, version {receipt['plan']['version']})")
    stage.console.print(f"   Region:     {goal['description']['text']}")
    _sync(stage)
    kept = parse_json(stage.ehr.send("GET", f"Goal/{goal['id']}").body)
    stage.console.print(f"   In the plan: “{kept['description']['text']}” - whose goal it is decides.")
    tasks = [
        task for task in stage.ehr.search("Task", {"focus": f"Goal/{goal['id']}"}) if task["status"] == "requested"
    ]
    for task in tasks:
        words = {concept_text(part["type"]): part.get("valueString", "") for part in task["input"]}
        other = parse_json(words["other"].encode())["text"]
        stage.console.print(
            f"   Nothing is lost: the region's words, “{other}”, are kept beside it,\n"
            f"   and Task/{task['id']} asks the coordinator to decide."
        )


def _where_to_look(stage: Stage, plan: str) -> None:
    stage.say("Where to look in the browser")
    if sys.stdin.isatty() and sys.stdout.isatty():
        stage.console.print(
            f"   {stage.address}/plans/{plan}   the plan, with the open question\n"
            f"   {stage.address}/docs          the municipal interface\n"
            f"   {stage.address}/fhir/metadata the FHIR interface\n"
            "   Press Enter to stop."
        )
        input()
        return
    stage.console.print(
        f"   .venv/bin/fhir-adapter serve --demo --data {stage.data}\n"
        f"   http://127.0.0.1:8080/plans/{plan}   the plan, with the open question\n"
        "   http://127.0.0.1:8080/docs   the municipal interface, to try out\n"
        "   http://127.0.0.1:8080/fhir/metadata   what health records can ask"
    )


def _sample(stage: Stage) -> dict[str, Any]:
    folder = stage.service.hub.mappings["se-sip"].folder
    sip: dict[str, Any] = parse_json((folder / "samples" / "SIP-1.json").read_bytes())
    return sip


def _deliver(stage: Stage, record: dict[str, Any]) -> dict[str, Any]:
    answer = stage.municipality.send(
        "POST",
        "parties/sodertalje/records",
        json=record,
        headers={"Content-Type": "application/json", "Idempotency-Key": str(uuid4())},
    )
    receipt: dict[str, Any] = parse_json(answer.body)
    return receipt


def _record(stage: Stage, name: str) -> dict[str, Any]:
    record: dict[str, Any] = parse_json(stage.municipality.send("GET", f"parties/sodertalje/records/{name}").body)
    return record


def _changes(stage: Stage, cursor: str) -> dict[str, Any]:
    answer = stage.municipality.send("GET", "parties/sodertalje/records", params={"since": cursor})
    changes: dict[str, Any] = parse_json(answer.body)
    return changes


def _sync(stage: Stage) -> None:
    """What the worker does all the time, done here at the moment the story needs it."""
    region = stage.service.hub.parties["region-stockholm"]
    sync.collect(stage.service.hub, region)
    sync.deliver(stage.service.hub, region)


def _at_region(stage: Stage, type_: str, id_: str) -> Resource:
    found = stage.region.read(type_, id_)
    if found is None or found.resource is None:
        raise SystemExit(f"the region's server does not have {type_}/{id_}")
    return found.resource


def _goal_called(stage: Stage, care_plan: Resource, word: str) -> Resource:
    goals = [_at_region(stage, *each["reference"].split("/")) for each in care_plan["goal"]]
    return next(goal for goal in goals if word in goal["description"]["text"])


def _put(stage: Stage, resource: Resource) -> None:
    version = resource.get("meta", {}).get("versionId")
    stage.region.send(
        "PUT",
        f"{resource['resourceType']}/{resource['id']}",
        json=resource,
        headers={"If-Match": f'W/"{version}"'} if version else None,
    )


def _targets(references: list[Resource], by_reference: dict[str, Resource]) -> list[Resource]:
    return [by_reference[each["reference"]] for each in references if each.get("reference") in by_reference]


def _differences(before: Any, after: Any, path: str = "") -> list[tuple[str, str]]:
    """Field paths where the record now says something else."""
    if isinstance(before, dict) and isinstance(after, dict):
        names = [*before, *(name for name in after if name not in before)]
        return [
            found
            for name in names
            for found in _differences(before.get(name), after.get(name), f"{path}.{name}" if path else name)
        ]
    if isinstance(before, list) and isinstance(after, list):
        pairs = [
            (before[i] if i < len(before) else None, after[i] if i < len(after) else None)
            for i in range(max(len(before), len(after)))
        ]
        return [found for i, pair in enumerate(pairs) for found in _differences(*pair, f"{path}[{i}]")]
    return [] if before == after else [(path, _in_words(after))]


def _in_words(value: Any) -> str:
    if isinstance(value, dict):
        return "; ".join(f"{name}: {_in_words(each)}" for name, each in value.items() if name != "id")
    if isinstance(value, list):
        return ", ".join(map(_in_words, value))
    return str(value)
