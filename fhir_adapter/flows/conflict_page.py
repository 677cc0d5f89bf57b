"""One conflict as a person decides it: the value before, the live one and the other, in the words of who decides."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from fhir_adapter.errors import BadRequest, NotFound
from fhir_adapter.fhir.resources import parse_json
from fhir_adapter.flows.conflicts import case_of, in_words, who_decides
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.overview import about, text_of

if TYPE_CHECKING:
    import sqlite3


@dataclass(frozen=True, slots=True)
class ConflictPage:
    """What stands on the page: `deciders` are (name, title) of who may decide, `by` who is about to.

    `base`, `live` and `kept` are texts, None where nothing stands; `told` is the conflict as systems are told of it.
    """

    id: str
    plan: str
    about: str
    by: str
    deciders: tuple[tuple[str, str], ...]
    base: str | None
    live: str | None
    live_from: str
    kept: str | None
    kept_from: str
    told: dict[str, Any]


def show_page(hub: Hub, plan: str, conflict: str, by: str | None) -> ConflictPage:
    """The conflict for the party that is about to decide (left out: the first who may). Raises NotFound."""
    connection = hub.database.read()
    whole = case_of(connection, hub, None, conflict)
    if whole.plan.id != plan:
        raise NotFound("no such conflict")
    deciders = [name for name in who_decides(connection, hub, whole) if _sees(connection, hub, name, conflict)]
    name = by or next(iter(deciders), "")
    case = case_of(connection, hub, hub.party(name), conflict) if name else whole
    told = in_words(connection, hub, case)
    return ConflictPage(
        conflict,
        plan,
        about(whole.found, whole.kept.reference, whole.kept.path),
        name,
        tuple((each, hub.parties[each].title) for each in deciders),
        text_of(told["base"]),
        text_of(told["live"]),
        _title(hub, told["liveFrom"]),
        text_of(told["kept"]),
        _title(hub, told["keptFrom"]),
        told,
    )


def _sees(connection: sqlite3.Connection, hub: Hub, name: str, conflict: str) -> bool:
    try:
        case_of(connection, hub, hub.party(name), conflict)
    except NotFound:
        return False
    return True


def _title(hub: Hub, name: str | None) -> str:
    party = hub.parties.get(name or "")
    return party.title if party else name or ""


def typed(text: str, page: ConflictPage) -> Any:
    """The value that was typed: the text itself where the others are texts or concepts, else JSON where it is some."""
    values = [page.told[name] for name in ("base", "live", "kept")]
    if page.told["words"] == "fhir" or any(isinstance(value, str) for value in values):
        return text
    try:
        return parse_json(text.encode())
    except BadRequest:
        return text
