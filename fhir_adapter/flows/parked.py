"""The story of a change that was parked: neither applied nor dropped when it came, until somebody has looked at it.

A record is parked where it looks like a broken export, a version of a FHIR server where it is no valid FHIR, belongs to
no plan, or stands where something of the plan would go. What is quarantined inside a plan is a conflict instead.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import Conflict, Issue, NotFound, Refused
from fhir_adapter.fhir.differences import differences
from fhir_adapter.fhir.resources import parse_json
from fhir_adapter.fhir.times import instant
from fhir_adapter.flows import change, intake
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.push import Delivery, push
from fhir_adapter.remotes.client import RemoteVersion
from fhir_adapter.store import copies, journal, plans, resources

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class ParkedChange:
    """A parked change as it is told: `what` names the record's key or the version, `why` the reason.

    `decision`: applied or dropped, None while it waits; `elements`: where it says otherwise than its party did before
    (else the plan), by name, left out of lists and of what is decided; `said`: what came, only where it is asked for.
    """

    id: int
    party: str
    plan: str | None
    received: str
    about: str
    what: str
    why: str
    decision: str | None
    reason: str | None
    decided: str | None
    elements: tuple[str, ...] = ()
    said: Any = None


def listed(hub: Hub, *, also_decided: bool = False) -> list[ParkedChange]:
    """What waits for somebody to look, oldest first; or everything that ever did."""
    found = journal.parked(hub.database.read())
    return [_told(one) for one in found if also_decided or one.word is None]


def show(hub: Hub, id_: int, *, values: bool = False) -> ParkedChange:
    """One parked change; what came, which is personal data, only with `values`. Raises NotFound."""
    connection = hub.database.read()
    parked = _known(connection, id_)
    elements = _elements(connection, hub, parked) if parked.word is None else ()
    return replace(_told(parked), elements=elements, said=_said(parked.body) if values else None)


def apply(hub: Hub, id_: int, reason: str | None = None) -> ParkedChange:
    """Merge it after all, as what its party says. Raises NotFound, Conflict where it is decided or something newer
    came since, Refused where it still cannot be."""
    parked = _waiting(hub.database.read(), id_)
    party = hub.party(parked.party)
    if party.mapping is None:
        hub.database.write(lambda connection: _take_version_in(connection, hub, party, parked, reason))
    else:
        _take_record_in(hub, party, parked, reason)
    hub.changed()
    return show(hub, id_)


def drop(hub: Hub, id_: int, reason: str) -> ParkedChange:
    """Leave it aside for good; the plan's own word is delivered over it. Raises NotFound and Conflict."""

    def work(connection: sqlite3.Connection) -> None:
        parked = _waiting(connection, id_)
        party = hub.parties.get(parked.party, Party(parked.party, ""))
        if party.name in hub.clients and not _is_followed(connection, parked):
            intake.leave_aside(connection, hub, party, _version(parked))
        _decide(connection, hub, party, parked, "dropped", reason)

    hub.database.write(work)
    hub.changed()
    return show(hub, id_)


def _take_version_in(
    connection: sqlite3.Connection, hub: Hub, party: Party, parked: journal.Parked, reason: str | None
) -> None:
    _waiting(connection, parked.id)
    problem = intake.take_in_again(connection, hub, party, _version(parked), parked.id)
    if problem:
        raise _refused(parked, problem)
    journal.close(connection, parked.id, "applied", plan=parked.plan, receipt=parked.receipt)
    _decide(connection, hub, party, parked, "applied", reason)


def _take_record_in(hub: Hub, party: Party, parked: journal.Parked, reason: str | None) -> None:
    """The record once more, under a key of its own: after a crash in between the same answer is given again."""
    if journal.has_newer(hub.database.read(), parked):
        raise Conflict(f"parked change {parked.id}: {party.name} has delivered a newer record of this plan since")
    answer = push(hub, party, Delivery(f"parked/{parked.id}", parked.media_type, parked.body, is_meant=True))
    if answer.status >= 400:
        issues = [Issue(**one) for one in parse_json(answer.receipt)["issues"]]
        raise Refused("this record still cannot be taken", issues)

    def work(connection: sqlite3.Connection) -> None:
        receipt = answer.receipt.decode()
        journal.close(connection, parked.id, "applied", status=answer.status, plan=parked.plan, receipt=receipt)
        _decide(connection, hub, party, parked, "applied", reason)

    hub.database.write(work)


def _decide(
    connection: sqlite3.Connection, hub: Hub, party: Party, parked: journal.Parked, word: str, reason: str | None
) -> None:
    now = hub.now()
    journal.decide_parked(connection, parked.id, word, reason, instant(now))
    plan = plans.get(connection, parked.plan) if parked.plan else None
    if plan:
        said = f"parked change {parked.id} {word}" + (f": {reason}" if reason else "")
        change.audit(connection, hub, plan, party, "E", now, [said])


def _known(connection: sqlite3.Connection, id_: int) -> journal.Parked:
    found = journal.parked_by_id(connection, id_)
    if found is None:
        raise NotFound(f"there is no parked change {id_}")
    return found


def _waiting(connection: sqlite3.Connection, id_: int) -> journal.Parked:
    parked = _known(connection, id_)
    if parked.word is not None:
        raise Conflict(f"parked change {id_} was {parked.word} already")
    return parked


def _is_followed(connection: sqlite3.Connection, parked: journal.Parked) -> bool:
    """Whether a later version of the same resource waits too: then that one stands there, and nothing goes over it."""
    later = (one for one in journal.parked(connection) if one.word is None and one.id > parked.id)
    name = parked.key.partition("/_history/")[0]
    return any(one.party == parked.party and one.key.partition("/_history/")[0] == name for one in later)


def _refused(parked: journal.Parked, problem: str) -> Refused:
    return Refused(problem, [Issue("error", "business-rule", parked.key, problem, "drop it with a reason")])


def _version(parked: journal.Parked) -> RemoteVersion:
    """The version of a FHIR server that was parked, by its key: Type/id/_history/version[@when]."""
    name, _, made = parked.key.partition("@")
    type_, id_, _, version = name.split("/")
    resource = parse_json(parked.body)
    return RemoteVersion(type_, id_, version, made, not resource, resource or None)


def _told(parked: journal.Parked) -> ParkedChange:
    return ParkedChange(
        parked.id,
        parked.party,
        parked.plan,
        parked.received,
        _about(parked),
        parked.key,
        _why(parked),
        parked.word,
        parked.reason,
        parked.decided,
    )


def _about(parked: journal.Parked) -> str:
    """The record by its own id; of a version the resource."""
    if not _is_a_record(parked):
        return parked.key.partition("/_history/")[0]
    return f"record {parse_json((parked.receipt or '{}').encode())['record']}"


def _elements(connection: sqlite3.Connection, hub: Hub, parked: journal.Parked) -> tuple[str, ...]:
    """By name, where what came is otherwise than what its party said before; than the plan if it said nothing."""
    party = hub.parties.get(parked.party)
    if party is None:
        return ()
    pair = (
        _records(connection, hub, party, parked) if _is_a_record(parked) else _versions(connection, hub, party, parked)
    )
    return tuple(one.path for one in differences(*pair))


def _records(connection: sqlite3.Connection, hub: Hub, party: Party, parked: journal.Parked) -> tuple[Any, Any]:
    record = plans.record_of(connection, party.name, parked.plan) if parked.plan else None
    before = journal.by_id(connection, record.said).body if record and record.said is not None else None
    mapping = hub.mapping_of(party)
    return mapping.record_in(before) if before else {}, mapping.record_in(parked.body)


def _versions(connection: sqlite3.Connection, hub: Hub, party: Party, parked: journal.Parked) -> tuple[Any, Any]:
    version = _version(parked)
    copy = copies.by_remote(connection, party.name, version.type, version.id)
    ours = resources.read(connection, copy.type, copy.id) if copy else None
    before = copy.body if copy and copy.body != b"{}" else ours.body if ours else b"{}"
    return change.without_storage_meta(parse_json(before)), change.without_storage_meta(version.resource or {})


def _is_a_record(parked: journal.Parked) -> bool:
    """Of a push the receipt is kept, of a version the reason."""
    return (parked.receipt or "").startswith("{")


def _why(parked: journal.Parked) -> str:
    """The first issue of a push's receipt; of a version the reason itself."""
    receipt = parked.receipt or ""
    if not _is_a_record(parked):
        return receipt
    return next((str(issue["message"]) for issue in parse_json(receipt.encode())["issues"]), "")


def _said(body: bytes) -> Any:
    """What came, as JSON where it is some."""
    try:
        return parse_json(body)
    except Exception:  # noqa: BLE001 - a record may be in any format
        return body.decode("utf-8", "replace")
