"""The core of a SIP mapped by hand, both ways: plan, person, goals, interventions. benchmarks/mapping.py uses it.

Written as a programmer would for this one format: no declaration, no trace of where an element came from, no report of
unknown fields, no schema check beyond what would raise, and only the first words of each code.
"""

from __future__ import annotations

import copy
from datetime import date
from typing import Any
from uuid import UUID, uuid5

Resource = dict[str, Any]

OURS = "https://fhir-adapter.example/fhir"
NUMBER = "http://electronichealth.se/identifier/personnummer"
PERTAINS = "http://hl7.org/fhir/StructureDefinition/resource-pertainsToGoal"
RELATION = "http://hl7.org/fhir/StructureDefinition/goal-relationship"
LEGAL = f"{OURS}/StructureDefinition/legal-basis"
PLAN_STATUS = {"upprättad/pågående": "active", "under upprättande": "draft", "avslutad": "completed"}
GOAL_STATUS = {"pågående": "active", "planerat": "planned", "avslutat": "completed"}
TASK_STATUS = {"planerad": "requested", "pågående": "in-progress", "klar": "completed", "avbruten": "cancelled"}
REQUEST_STATUS = {"planerad": "active", "pågående": "active", "klar": "completed", "avbruten": "revoked"}
GOAL_TYPE = {"huvudmål": ("huvudmal", "Huvudmål"), "delmål": ("delmal", "Delmål")}
GENDER = {"female": "female", "male": "male"}


def turned(table: dict[str, Any]) -> dict[Any, str]:
    """A table read backwards: the first word of each code."""
    return {code: word for word, code in reversed(table.items())}


PLAN_WORDS, GOAL_WORDS, TASK_WORDS, GENDER_WORDS = map(turned, (PLAN_STATUS, GOAL_STATUS, TASK_STATUS, GENDER))
TYPE_WORDS = {code: word for word, (code, _) in GOAL_TYPE.items()}


def checked(day: str) -> str:
    """A whole date of the calendar. Raises ValueError."""
    date.fromisoformat(day)
    return day


def luhn_holds(number: str) -> bool:
    """The check digit of a personnummer."""
    digits = [int(digit) * (2 - place % 2) for place, digit in enumerate(number[-10:])]
    return sum(digit - 9 if digit > 9 else digit for digit in digits) % 10 == 0


def get(record: Resource, source: str, namespace: UUID) -> list[Resource]:
    """The record in FHIR, the plan first."""

    def id_of(kind: str, key: str) -> str:
        return str(uuid5(namespace, f"{source}|{kind}|{key}"))

    key = record["id"]
    person = record["person"]
    number = person["personnummer"]
    if not luhn_holds(number):
        raise ValueError("check digit")
    patient = {
        "resourceType": "Patient",
        "id": str(uuid5(namespace, f"{NUMBER}|{number}")),
        "identifier": [{"use": "official", "system": NUMBER, "value": number}],
        "name": [{"text": person["name"]}],
        "gender": GENDER[person["gender"]],
        "birthDate": checked(person["birthDate"]),
        "telecom": [{"system": "phone", "value": person["phone"]}],
    }
    subject = {"reference": f"Patient/{patient['id']}"}
    team = {"resourceType": "CareTeam", "id": id_of("CareTeam", key), "status": "active", "subject": dict(subject)}
    plan: Resource = {
        "resourceType": "CarePlan",
        "id": id_of("CarePlan", key),
        "identifier": [{"system": source, "value": key}],
        "status": PLAN_STATUS[record["status"]],
        "intent": "plan",
        "subject": dict(subject),
        "careTeam": [{"reference": f"CareTeam/{team['id']}"}],
        "goal": [],
        "activity": [],
        "title": record["title_local"],
        "description": record["gloss"],
    }
    resources = [plan, patient, team]
    goals = {item["id"]: f"Goal/{id_of('Goal', key + '/' + item['id'])}" for item in record["mal"]}
    for item in record["mal"]:
        code, display = GOAL_TYPE[item["typ"]]
        goal: Resource = {
            "resourceType": "Goal",
            "id": goals[item["id"]][5:],
            "identifier": [{"system": source, "value": f"{key}/{item['id']}"}],
            "lifecycleStatus": GOAL_STATUS[item["status"]],
            "subject": dict(subject),
            "category": [{"coding": [{"system": f"{OURS}/CodeSystem/sip-goal", "code": code, "display": display}]}],
            "description": {"text": item["text"]},
        }
        if "overmal" in item:
            part = {"system": f"{OURS}/CodeSystem/sip-goal-relation", "code": "del-av", "display": "Del av"}
            target = {"reference": goals[item["overmal"]]}
            goal["extension"] = [
                {
                    "url": RELATION,
                    "extension": [
                        {"url": "type", "valueCodeableConcept": {"coding": [part]}},
                        {"url": "target", "valueReference": target},
                    ],
                }
            ]
        if "senast" in item:
            goal["target"] = [{"dueDate": checked(item["senast"])}]
        plan["goal"].append({"reference": goals[item["id"]]})
        resources.append(goal)
    for item in record["insatser"]:
        business = f"{key}/{item['id']}"
        request: Resource = {
            "resourceType": "ServiceRequest",
            "id": id_of("ServiceRequest", business),
            "identifier": [{"system": source, "value": business}],
            "status": REQUEST_STATUS[item["status"]],
            "intent": "plan",
            "subject": dict(subject),
            "code": {"text": item["text"]},
            "extension": [{"url": PERTAINS, "valueReference": {"reference": goals[goal]}} for goal in item["mal"]],
        }
        period = {name: checked(item[word]) for word, name in (("start", "start"), ("klart", "end")) if word in item}
        if period:
            request["occurrencePeriod"] = period
        if "lagrum" in item:
            request["extension"].append({"url": LEGAL, "valueString": item["lagrum"]})
        task = {
            "resourceType": "Task",
            "id": id_of("Task", business),
            "status": TASK_STATUS[item["status"]],
            "intent": "plan",
            "for": dict(subject),
            "basedOn": [{"reference": f"CarePlan/{plan['id']}"}],
            "focus": {"reference": f"ServiceRequest/{request['id']}"},
        }
        plan["activity"].append({"reference": {"reference": f"ServiceRequest/{request['id']}"}})
        resources += [request, task]
    return resources


def put(resources: list[Resource], before: Resource, source: str) -> Resource:
    """The record as the resources have it; fields that are none of the core stay, and so do words of the same code."""
    after = copy.deepcopy(before)
    index = {f"{one['resourceType']}/{one['id']}": one for one in resources}
    plan = next(one for one in resources if one["resourceType"] == "CarePlan")
    patient = index[plan["subject"]["reference"]]
    after["title_local"], after["gloss"] = plan["title"], plan["description"]
    _set_word(after, "status", PLAN_STATUS, PLAN_WORDS, plan["status"])
    person = after["person"]
    person["name"], person["birthDate"] = patient["name"][0]["text"], patient["birthDate"]
    person["phone"] = next(one["value"] for one in patient["telecom"] if one["system"] == "phone")
    person["personnummer"] = next(one["value"] for one in patient["identifier"] if one["system"] == NUMBER)
    _set_word(person, "gender", GENDER, GENDER_WORDS, patient["gender"])
    goals = [index[pointer["reference"]] for pointer in plan["goal"]]
    keys = {f"Goal/{goal['id']}": _key_of(goal, source) for goal in goals}
    after["mal"] = _items(before["mal"], goals, source)
    for item, goal in zip(after["mal"], goals, strict=True):
        _put_goal(item, goal, keys)
    requests = [index[pointer["reference"]["reference"]] for pointer in plan["activity"]]
    tasks = {one["focus"]["reference"]: one for one in resources if one["resourceType"] == "Task"}
    after["insatser"] = _items(before["insatser"], requests, source)
    for item, request in zip(after["insatser"], requests, strict=True):
        _put_request(item, request, tasks[f"ServiceRequest/{request['id']}"], keys)
    return after


def _key_of(resource: Resource, source: str) -> str:
    value = next(one["value"] for one in resource["identifier"] if one["system"] == source)
    return str(value).partition("/")[2]


def _items(before: list[Resource], resources: list[Resource], source: str) -> list[Resource]:
    known = {item["id"]: item for item in before}
    keys = [_key_of(resource, source) for resource in resources]
    return [copy.deepcopy(known[key]) if key in known else {"id": key} for key in keys]


def _set_word(item: Resource, field: str, table: dict[str, str], words: dict[Any, str], code: str) -> None:
    if table.get(item.get(field, "")) != code:
        item[field] = words[code]


def _set_or_drop(item: Resource, field: str, value: Any) -> None:
    if value is None:
        item.pop(field, None)
    else:
        item[field] = value


def _put_goal(item: Resource, goal: Resource, keys: dict[str, str]) -> None:
    item["text"] = goal["description"]["text"]
    item["typ"] = TYPE_WORDS[goal["category"][0]["coding"][0]["code"]]
    _set_word(item, "status", GOAL_STATUS, GOAL_WORDS, goal["lifecycleStatus"])
    _set_or_drop(item, "senast", (goal.get("target") or [{}])[0].get("dueDate"))
    relation = next((one for one in goal.get("extension", ()) if one["url"] == RELATION), None)
    above = next(one["valueReference"] for one in relation["extension"] if one["url"] == "target") if relation else None
    _set_or_drop(item, "overmal", keys[above["reference"]] if above else None)


def _put_request(item: Resource, request: Resource, task: Resource, keys: dict[str, str]) -> None:
    extensions = request.get("extension", ())
    item["text"] = request["code"]["text"]
    item["mal"] = [keys[one["valueReference"]["reference"]] for one in extensions if one["url"] == PERTAINS]
    _set_or_drop(item, "lagrum", next((one["valueString"] for one in extensions if one["url"] == LEGAL), None))
    period = request.get("occurrencePeriod", {})
    _set_or_drop(item, "start", period.get("start"))
    _set_or_drop(item, "klart", period.get("end"))
    _set_word(item, "status", TASK_STATUS, TASK_WORDS, task["status"])
