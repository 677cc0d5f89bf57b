"""What a FHIR server does with what it is given: tried out with test resources of our own, deleted in the end."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from uuid import UUID, uuid4

from fhir_adapter.errors import RemoteConflict, RemoteError
from fhir_adapter.fhir.resources import WRITE_ID, Resource
from fhir_adapter.flows.circuit import problem
from fhir_adapter.remotes.client import Entry, FhirClient, RemoteVersion

TEST_DATA = {"system": "http://terminology.hl7.org/CodeSystem/v3-ActReason", "code": "HTEST"}
"""The mark of test data (http://hl7.org/fhir/R4/security-labels.html)."""


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was tried: whether it works, whether we need it, and what that means."""

    name: str
    works: bool
    needed: bool
    words: str


@dataclass(slots=True)
class Probe:
    """A server under test: what was found, and which resources of ours are there."""

    client: FhirClient
    new_id: Callable[[], UUID]
    checks: list[Check] = field(default_factory=list)
    made: list[str] = field(default_factory=list)

    @property
    def is_usable(self) -> bool:
        """Whether everything that is needed works."""
        return all(check.works for check in self.checks if check.needed)

    def note(self, name: str, works: bool, words: str = "", *, needed: bool = False) -> bool:
        self.checks.append(Check(name, works, needed, words))
        return works


def probe_at(url: str) -> Probe:
    """`probe` for the server at this base URL."""
    client = FhirClient(url)
    try:
        return probe(client, uuid4)
    finally:
        client.close()


def probe(client: FhirClient, new_id: Callable[[], UUID]) -> Probe:
    """Try everything out, each once; whatever happens, the test resources are deleted in the end."""
    found = Probe(client, new_id)
    try:
        if _answers(found) and _takes_our_ids(found):
            for step in (_keeps_what_it_is_given, _guards_writes, _has_histories, _searches, _guards_deletes):
                _try(found, step)
    finally:
        _clean_up(found)
    return found


def _try(found: Probe, step: Callable[[Probe], None]) -> None:
    try:
        step(found)
    except RemoteError as fault:
        found.note(step.__name__.strip("_").replace("_", " "), False, f"could not be tried out: {problem(fault)}")


def _answers(found: Probe) -> bool:
    try:
        capability = found.client.capability()
    except RemoteError as fault:
        return found.note("answers", False, f"{problem(fault)}{_advice(fault)}", needed=True)
    if capability["resourceType"] != "CapabilityStatement":
        words = f"{capability['resourceType']} instead of a CapabilityStatement: is this the base URL of a FHIR server?"
        return found.note("answers", False, words, needed=True)
    version = str(capability.get("fhirVersion", "nothing"))
    software = capability.get("software")
    name = software.get("name", "") if isinstance(software, dict) else ""
    found.note("answers", True, str(name), needed=True)
    offers = found.client.abilities().subscriptions
    found.note("subscriptions", offers, "" if offers else "changes are found by looking every few seconds")
    return found.note("FHIR R4", version.startswith("4.0"), f"it says that it speaks {version}", needed=True)


_ADVICE = {
    200: ": is this the base URL of a FHIR server?",
    401: ": it asks who calls, and nobody is named yet when a FHIR server is called",
    403: ": whoever calls from here may not",
    404: ": there is no `metadata` below this URL; a base URL often ends in /fhir",
}


def _advice(fault: RemoteError) -> str:
    """What an operator can do about a server that does not say what it is."""
    if fault.answered is not None and 300 <= fault.answered < 400:
        return ": it leads elsewhere, and that is not followed; name the address itself"
    if "certificate" in str(fault):
        return "; REQUESTS_CA_BUNDLE names a file of those to trust"
    return _ADVICE.get(fault.answered or 0, "")


def _takes_our_ids(found: Probe) -> bool:
    patient, goal = _patient(found), _goal(found)
    goal["subject"] = {"reference": f"Patient/{patient['id']}"}
    names = [f"{each['resourceType']}/{each['id']}" for each in (patient, goal)]
    try:
        found.made += names
        made = found.client.transaction([Entry(patient), Entry(goal)])
    except RemoteError as fault:
        words = f"PUT of two new resources in a transaction was {problem(fault)}"
        return found.note("transaction with our own ids", False, words, needed=True)
    kept = [f"{version.type}/{version.id}" for version in made] == names
    return found.note("transaction with our own ids", kept, "" if kept else "it gave them other ids", needed=True)


def _patient(found: Probe) -> Resource:
    return {
        "resourceType": "Patient",
        "id": str(found.new_id()),
        "meta": {"tag": [TEST_DATA]},
        "active": False,
        "name": [{"id": "n1", "text": "Test resource of fhir-adapter parties probe"}],
        "_birthDate": {"extension": [{"url": "http://hl7.org/fhir/StructureDefinition/data-absent-reason",
                                      "valueCode": "unknown"}]},
    }  # fmt: skip


def _goal(found: Probe) -> Resource:
    return {
        "resourceType": "Goal",
        "id": str(found.new_id()),
        "meta": {"tag": [TEST_DATA]},
        "lifecycleStatus": "proposed",
        "description": {"text": "Test resource of fhir-adapter parties probe"},
        "extension": [{"url": WRITE_ID, "valueId": str(found.new_id())}],
    }


def _current(found: Probe, place: int) -> tuple[RemoteVersion, Resource]:
    type_, _, id_ = found.made[place].partition("/")
    version = found.client.read(type_, id_)
    if version is None or version.resource is None:
        raise RemoteError("what was just written is not there", answered=404)
    return version, version.resource


def _keeps_what_it_is_given(found: Probe) -> None:
    patient, goal = _current(found, 0)[1], _current(found, 1)[1]
    kept = WRITE_ID in str(goal.get("extension"))
    found.note("keeps extensions it does not know", kept, "our own writes are known by one of ours", needed=True)
    found.note("keeps Element.id", str(patient.get("name", [{}])[0].get("id")) == "n1")
    found.note("keeps extensions of plain values", "data-absent-reason" in str(patient.get("_birthDate")))
    found.note("counts versions", bool(goal.get("meta", {}).get("versionId")), needed=True)


def _guards_writes(found: Probe) -> None:
    version, goal = _current(found, 1)
    (second,) = found.client.transaction([Entry(_with_text(goal, "second"), if_match=version.version)])
    fault = _refusal(lambda: found.client.transaction([Entry(_with_text(goal, "third"), if_match=version.version)]))
    told = isinstance(fault, RemoteConflict)
    words = problem(fault) if fault else "a stale write was taken: edits made there meanwhile would be lost"
    found.note("If-Match on PUT", told and second.version != version.version, words, needed=True)
    fault = _refusal(lambda: found.client.transaction([Entry(_with_text(goal, "fourth"), only_if_new=True)]))
    how = ", ".join(f"{name}: {value}" for name, value in found.client.abilities().condition_to_create().items())
    words = how if fault else "a repeated create writes over what is there; one worker with deliveries_at_once = 1"
    found.note("create only where nothing is", isinstance(fault, RemoteConflict), words)


def _with_text(goal: Resource, text: str) -> Resource:
    return goal | {"description": {"text": f"Test resource of fhir-adapter parties probe ({text})"}}


def _refusal(call: Callable[[], object]) -> RemoteError | None:
    try:
        call()
    except RemoteError as fault:
        return fault
    return None


def _has_histories(found: Probe) -> None:
    version, goal = _current(found, 1)
    abilities = found.client.abilities()
    of_one = abilities.history_of_all or "Goal" in abilities.history_of_one
    versions = found.client.history("Goal", goal["id"]) if of_one else []
    found.note("history of one resource", len(versions) > 1, "" if versions else "only its newest version can be read")
    since = version.updated
    works = abilities.history_of_all and any(each.id == goal["id"] for each in found.client.history(since=since))
    found.note("history of everything since", works, "" if works else "changes are searched for by _lastUpdated")


def _searches(found: Probe) -> None:
    patient, goal = (name.partition("/")[2] for name in found.made[:2])
    by_id = list(found.client.search("Goal", {"_id": f"{goal},{found.new_id()}"}))
    found.note("search by several ids", [each["id"] for each in by_id] == [goal], needed=True)
    version, _ = _current(found, 1)
    since = list(found.client.search("Goal", {"_lastUpdated": f"ge{version.updated}", "_id": goal}))
    found.note("search by _lastUpdated", [each["id"] for each in since] == [goal])
    fault = _refusal(lambda: list(found.client.search("Goal", {"_sort": "_lastUpdated", "_id": goal})))
    found.note("search with _sort", fault is None, problem(fault) if fault else "")
    second = _goal(found) | {"subject": {"reference": f"Patient/{patient}"}}
    found.made.append(f"Goal/{second['id']}")
    found.client.transaction([Entry(second)])
    pages = list(found.client.search("Goal", {"subject": f"Patient/{patient}", "_count": "1"}))
    found.note("pages of a search", {each["id"] for each in pages} == {goal, second["id"]}, needed=True)


def _guards_deletes(found: Probe) -> None:
    """Last: the resource may be gone after it. We never delete; others do."""
    _current(found, 1)
    headers = {"If-Match": 'W/"1"'}
    fault = _refusal(lambda: found.client.send("DELETE", found.made[1], headers=headers))
    found.note("If-Match on DELETE", fault is not None, problem(fault) if fault else "it is not looked at")


def _clean_up(found: Probe) -> None:
    left = [name for name in reversed(found.made) if not _is_gone(found.client, name)]
    if found.made:
        words = f"left behind: {', '.join(left)} (marked HTEST)" if left else "the test resources are deleted"
        found.note("cleaned up", not left, words)


def _is_gone(client: FhirClient, name: str) -> bool:
    for _ in range(3):  # HAPI just started answers a first delete with a conflict that is none
        fault = _refusal(lambda: client.send("DELETE", name))
        if fault is None or fault.answered in (404, 410):
            return True
    return False
