"""How fast mapping is, in one run on one core:  .venv/bin/python -m benchmarks.mapping

The core of a SIP (plan, person, goals, interventions; benchmarks/by_hand.py) by the declaration `se-sip`, by a function
written for it alone, and by fpml (`pip install -e .[bench]`), a template language over FHIRPath with its compiled
expressions cached; they take turns and must say the same. The whole sample `full` follows, for its own sake.

Nothing is remembered from one call to the next: every `put` makes out anew what the record said before, as the first
one for a record does.
"""

from __future__ import annotations

import statistics
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any
from uuid import UUID

from rich.console import Console
from rich.table import Table

from benchmarks import by_hand
from fhir_adapter.fhir.resources import parse_json, reference_of
from fhir_adapter.mapping.load import FOLDER, find

Resource = dict[str, Any]

SOURCE, NAMESPACE = "https://sip.kommun.example", UUID(int=7)
ROUNDS, SECONDS = 15, 0.15
MAPPING = find("se-sip")
PERSON = ("name", "personnummer", "gender", "birthDate", "phone")
GOAL = ("id", "typ", "overmal", "text", "senast")
REQUEST = ("id", "mal", "text", "start", "klart", "lagrum", "status")


def only(item: Resource, fields: tuple[str, ...]) -> Resource:
    return {name: item[name] for name in fields if name in item}


def core() -> Resource:
    """SIP-1 with the fields of the core."""
    sip: Resource = parse_json((FOLDER / "se-sip" / "samples" / "SIP-1.json").read_bytes())
    return only(sip, ("id", "system", "title_local", "gloss", "status")) | {
        "person": only(sip["person"], PERSON),
        "mal": [only(goal, GOAL) | {"status": "pågående"} for goal in sip["mal"]],
        "insatser": [only(one, REQUEST) for one in sip["insatser"]],
    }


def changed(resources: list[Resource]) -> list[Resource]:
    """The same with a goal on which something is said anew, and an intervention that is done."""
    goal = next(one for one in resources if one["resourceType"] == "Goal")
    task = next(one for one in resources if one["resourceType"] == "Task")
    request = next(one for one in resources if reference_of(one) == task["focus"]["reference"])
    new = [
        goal | {"description": {"text": "Nya ord"}},
        task | {"status": "completed"},
        request | {"status": "completed"},
    ]
    return list(({reference_of(one): one for one in resources} | {reference_of(one): one for one in new}).values())


def with_one_more(resources: list[Resource]) -> list[Resource]:
    """The same with an intervention that somebody else added: the plan, the request and its Task are new."""
    plan, request = (
        next(one for one in resources if one["resourceType"] == kind) for kind in ("CarePlan", "ServiceRequest")
    )
    new = request | {"id": str(UUID(int=1)), "identifier": [], "code": {"text": "Nytt stöd"}}
    pointer = {"reference": reference_of(new)}
    task = next(one for one in resources if one["resourceType"] == "Task") | {"id": str(UUID(int=2)), "focus": pointer}
    return [plan | {"activity": [*plan["activity"], {"reference": pointer}]}, *resources[1:], new, task]


# ---- fpml: the same way there, as far as it goes

_SYSTEM = by_hand.OURS + "/CodeSystem/"
TEMPLATE: list[Any] = [
    {
        "resourceType": "CarePlan",
        "identifier": [{"system": SOURCE, "value": "{{ id }}"}],
        "status": "{{ iif(status = 'upprättad/pågående', 'active', iif(status = 'avslutad', 'completed', 'draft')) }}",
        "intent": "plan",
        "title": "{{ title_local }}",
        "description": "{{ gloss }}",
    },
    {
        "resourceType": "Patient",
        "identifier": [{"use": "official", "system": by_hand.NUMBER, "value": "{{ person.personnummer }}"}],
        "name": [{"text": "{{ person.name }}"}],
        "gender": "{{ person.gender }}",
        "birthDate": "{{ person.birthDate }}",
        "telecom": [{"system": "phone", "value": "{{ person.phone }}"}],
    },
    {
        "{% for goal in mal %}": {
            "resourceType": "Goal",
            "identifier": [{"system": SOURCE, "value": "{{ %context.id & '/' & %goal.id }}"}],
            "lifecycleStatus": "{{ iif(%goal.status = 'pågående', 'active', 'completed') }}",
            "category": [{"coding": [{
                "system": f"{_SYSTEM}sip-goal",
                "code": "{{ iif(%goal.typ = 'huvudmål', 'huvudmal', 'delmal') }}",
                "display": "{{ iif(%goal.typ = 'huvudmål', 'Huvudmål', 'Delmål') }}",
            }]}],
            "description": {"text": "{{ %goal.text }}"},
            "target": [{"dueDate": "{{ %goal.senast }}"}],
        }
    },
    {
        "{% for one in insatser %}": {
            "resourceType": "ServiceRequest",
            "identifier": [{"system": SOURCE, "value": "{{ %context.id & '/' & %one.id }}"}],
            "status": "{{ iif(%one.status = 'klar', 'completed', 'active') }}",
            "intent": "plan",
            "code": {"text": "{{ %one.text }}"},
            "occurrencePeriod": {"start": "{{ %one.start }}", "end": "{{ %one.klart }}"},
        }
    },
    {
        "{% for one in insatser %}": {
            "resourceType": "Task",
            "status": "{{ iif(%one.status = 'pågående', 'in-progress', 'requested') }}",
            "intent": "plan",
        }
    },
]  # fmt: skip
"""Without ids, references between resources, extensions and the way back, which the language does not have."""


def fpml_get() -> Callable[[Resource], list[Resource]] | None:
    """fpml's way there, its expressions compiled once; None where it is not installed."""
    try:
        from fhirpathpy import compile as compiled  # type: ignore[import-not-found,import-untyped,unused-ignore]
        from fpml import resolve_template  # type: ignore[import-not-found,import-untyped,unused-ignore]
    except ImportError:
        return None
    cached = lru_cache(maxsize=1024)(compiled)

    def get(record: Resource) -> list[Resource]:
        made = resolve_template(
            record, TEMPLATE, {"context": record}, evaluate=lambda node, text, names: cached(text)(node, names)
        )
        return [one for part in made for one in (part if isinstance(part, list) else [part])]

    return get


# ---- measuring


def rates(runs: dict[str, Callable[[], Any]]) -> dict[str, float]:
    """Calls per CPU second of each, in turns; the median of the rounds."""
    found: dict[str, list[float]] = {name: [] for name in runs}
    for _ in range(ROUNDS):
        for name, run in runs.items():
            calls, begin = 0, time.process_time()
            while (spent := time.process_time() - begin) < SECONDS:
                run()
                calls += 1
            found[name].append(calls / spent)
    return {name: statistics.median(each) for name, each in found.items()}


def check_that_all_say_the_same(record: Resource, fpml: Callable[[Resource], list[Resource]] | None) -> None:
    """The function and the declaration give the same FHIR and the same record; fpml what its template has of it."""
    ours = MAPPING.get(record, source=SOURCE, namespace=NAMESPACE).resources
    hand = by_hand.get(record, SOURCE, NAMESPACE)
    assert {reference_of(one): one for one in hand} == {reference_of(one): one for one in ours}
    edited = changed(ours)
    assert by_hand.put(edited, record, SOURCE) == MAPPING.put(edited, record, source=SOURCE, namespace=NAMESPACE)
    assert by_hand.put(edited, record, SOURCE) != record
    longer = MAPPING.put(with_one_more(ours), record, source=SOURCE, namespace=NAMESPACE)
    assert [*map(len, (longer["mal"], longer["insatser"]))] == [len(record["mal"]), len(record["insatser"]) + 1]
    kinds = ("CarePlan", "Patient", "Goal", "ServiceRequest", "Task")
    wanted = [one for kind in kinds for one in ours if one["resourceType"] == kind]
    for mine, theirs in zip(wanted, fpml(record) if fpml else wanted, strict=True):
        assert theirs.items() <= mine.items(), theirs


def main() -> None:
    record, fpml = core(), fpml_get()
    check_that_all_say_the_same(record, fpml)
    resources = MAPPING.get(record, source=SOURCE, namespace=NAMESPACE).resources
    edited, longer = changed(resources), with_one_more(resources)
    place: dict[str, Any] = {"source": SOURCE, "namespace": NAMESPACE}
    runs: dict[str, Callable[[], Any]] = {
        "get, declared": lambda: MAPPING.get(record, **place),
        "get, by hand": lambda: by_hand.get(record, SOURCE, NAMESPACE),
        "put, declared": lambda: MAPPING.put(edited, record, **place),
        "put, by hand": lambda: by_hand.put(edited, record, SOURCE),
        "put, declared, nothing new": lambda: MAPPING.put(resources, record, **place),
        "put, declared, an intervention more": lambda: MAPPING.put(longer, record, **place),
    }
    if fpml is not None:
        runs["get, fpml"] = lambda: fpml(record)
    full = parse_json((FOLDER / "se-sip" / "samples" / "full.json").read_bytes())
    whole = MAPPING.get(full, **place).resources
    runs["get, declared, the sample full"] = lambda: MAPPING.get(full, **place)
    runs["put, declared, the sample full, nothing new"] = lambda: MAPPING.put(whole, full, **place)
    found = rates(runs)
    table = Table(title="The core of a SIP, records per CPU second")
    for column in ("what", "per second", "the declared one is"):
        table.add_column(column, justify="left" if column == "what" else "right")
    for name, rate in found.items():
        ours = found[name.partition(",")[0] + ", declared"]
        beside = "" if "declared" in name else f"{ours / rate:.2f}x as fast"
        table.add_row(name, f"{rate:,.0f}", beside)
    Console().print(table)


if __name__ == "__main__":
    main()
