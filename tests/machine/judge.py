"""The judgement: what must be true whenever everything has been quiet for a while. docs/laws.md lists it.

Each function is one law; what it raises begins with a word of WRONG. It looks into the stores, not at what the product
says about itself.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from fhir_adapter.access.projection import WITHHELD, project
from fhir_adapter.fhir.resources import (
    Resource,
    asks_for_a_decision,
    dump_json,
    parse_json,
    reference_of,
    references_in,
)
from fhir_adapter.flows.naming import write_id_of
from fhir_adapter.flows.pull import decision_for
from fhir_adapter.flows.push import receipt_of
from fhir_adapter.plan import lifecycle
from fhir_adapter.store import conflicts, outbox, tombstones
from tests.machine.words import content, matters, words_in, words_of
from tests.machine.world import FIRST_RECORD, MUNICIPALITY, NUMBERS

if TYPE_CHECKING:
    from tests.machine.state import State

WRONG = (
    "lost",
    "doubled",
    "leaked",
    "false conflict",
    "unsettled",
    "not acknowledged",
    "not in the journal",
    "back from the dead",
    "not audited",
    "touched",
)
"""How a judgement begins that went wrong."""

Law = Callable[["State"], None]

LAWS: list[Law] = []

HARM: list[Law] = []
"""Those among them that find harm to somebody; the others look at the service's own books."""


def law(judge: Law) -> Law:
    """Part of every judgement: where it is broken, somebody suffers."""
    HARM.append(judge)
    return law_of_the_books(judge)


def law_of_the_books(judge: Law) -> Law:
    """Part of every judgement."""
    LAWS.append(judge)
    return judge


@law
def every_edit_is_live_or_kept_or_knowingly_replaced(machine: State) -> None:
    """Kept: in a conflict, under a tombstone, or parked."""
    lost = machine.ledger.lost(_live(machine), _kept(machine))
    assert not lost, f"lost: {lost}"


@law
def a_value_is_replaced_only_by_who_had_seen_it(machine: State) -> None:
    """What was live when it was quiet last, and is not now."""
    kept, ledger = _kept(machine), machine.ledger
    now = {ref: words for ref, one in machine.world.held().items() if (words := words_of(one)) is not None}
    for reference, before in machine.live.items():
        after = now.get(reference, "")
        if after == before or before not in ledger.edits or before in kept or before in ledger.given_up:
            continue
        if any(ledger.knew(words, before) for words in ledger.given_up):  # what had taken its place was given up
            continue
        went_on = (words for words in ledger.edits if words == after or words in kept)  # kept: was live in between
        assert any(ledger.knew(words, before) for words in went_on), (
            f"lost: {before} was replaced by {after}, whose author had not seen it"
        )
    machine.live = now


@law
def there_is_no_conflict_where_one_side_had_seen_the_other(machine: State) -> None:
    """Each of the two values was written, or saved again, by somebody who did not know the other."""
    ledger = machine.ledger
    for each in machine.world.conflicts():
        if each.kind != "both-changed" or not each.live or not each.other:
            continue
        live, other = words_in(each.live), words_in(each.other)
        if ledger.edits.keys() >= {live, other} and not machine.said_again & {live, other}:
            assert not ledger.knew(live, other), f"false conflict: {live} was written by who had seen {other}"
            assert not ledger.knew(other, live), f"false conflict: {other} was written by who had seen {live}"


@law
def nothing_is_there_twice(machine: State) -> None:
    """Words that were written once stand in one resource; an identifier names one resource of a type."""
    places = {"the plan": list(machine.world.held().values())}
    places |= {name: region.there() for name, region in machine.world.regions.items()}
    for name, found in places.items():
        said = [one for one in found if not asks_for_a_decision(one)]
        words = Counter(words_of(one) for one in said)
        twice = [each for each in machine.ledger.edits if words[each] > 1]
        identifiers = Counter(
            (one["resourceType"], each.get("system"), each.get("value"))
            for one in said
            for each in one.get("identifier", [])
        )
        twice += [str(each) for each, count in identifiers.items() if count > 1]
        assert not twice, f"doubled: {twice} at {name}"


@law
def every_region_holds_its_projection(machine: State) -> None:
    """What a region may see is what it has; what was parked or deleted there is not written again by itself.

    Where one region has forgotten what it points to before anybody saw that, the others may have the pointer's words.
    """
    world, held = machine.world, machine.world.held()
    nowhere = {pointer["reference"] for one in held.values() for _, pointer in references_in(one)} - held.keys()
    for name, region in world.regions.items():
        party, deleted = world.hub.parties[name], region.deleted
        waits = {each.reference for each in world.parked() if each.party == name}
        if not decision_for(world.database.read(), world.hub, party, world.plan, held).permit:
            continue
        expected = {
            ref: content(one, deleted | nowhere)
            for ref, one in project(held, party).items()
            if one["resourceType"] not in WITHHELD and ref not in deleted | waits
        }
        types = {ref.partition("/")[0] for ref in expected}
        found = {
            reference_of(one): content(one, deleted | nowhere)
            for one in region.there()
            if one["resourceType"] in types and reference_of(one) not in waits
        }
        assert found == expected, _difference(name, found, expected)
        left = outbox.open_count(world.database.read(), name)
        assert left == (0, 0), f"unsettled: deliveries to {name} wait, are parked: {left}"


@law
def what_a_party_deleted_stays_deleted_there(machine: State) -> None:
    """Nobody but the party itself brings it back, or who decided that it stays; and what stays away is told."""
    world = machine.world
    for name, region in world.regions.items():
        party = world.hub.parties[name]
        back = machine.trashed[name] - region.deleted
        assert not back, f"unsettled: {name} deleted {back}, and was sent it again"
        if decision_for(world.database.read(), world.hub, party, world.plan, world.held()).permit:
            live = {ref for ref, one in world.held().items() if not lifecycle.has_ended(one)}
            asked = conflicts.open_removals(world.database.read(), name).keys()
            untold = (machine.trashed[name] & live) - asked
            assert not untold, f"unsettled: {name} deleted {untold}, and nobody is asked"


@law
def nothing_leaks(machine: State) -> None:
    """Nobody has what is the service's own, and what a party was never shown does not change by it."""
    for name, region in machine.world.regions.items():
        secret = [reference_of(one) for type_ in WITHHELD for one in region.there(type_)]
        assert not secret, f"leaked: {name} has {secret}"
    live = _live(machine)
    changed = [words for words in machine.blind if words in live]
    assert not changed, f"leaked: {changed} changed what their author was never shown"


@law
def nothing_is_sent_after_a_revocation(machine: State) -> None:
    """Not even what was queued before; what the network still carries was sent before."""
    for name, sent in (machine.sent_at_revocation or {}).items():
        assert machine.world.regions[name].wire.sent == sent, f"leaked: {name} was sent something after the revocation"


@law_of_the_books
def every_received_version_is_in_the_journal(machine: State) -> None:
    """Of what is shared, each version that a region has was made by a write of ours, or is in the journal as it is."""
    connection = machine.world.database.read()
    ours = set(connection.execute("SELECT write_id, type, id, version FROM remote_write_item"))
    for name, region in machine.world.regions.items():
        shared = set(connection.execute("SELECT type, id FROM copy WHERE party = ? AND version <> 'theirs'", (name,)))
        journaled = {key for (key,) in connection.execute("SELECT key FROM journal WHERE party = ?", (name,))}
        begun: set[tuple[str, str]] = set()
        for type_, id_, number, updated, body in region.versions():
            if (type_, id_) not in shared:
                continue
            key = f"{type_}/{id_}/_history/{number}@{updated}"
            mark = write_id_of(parse_json(body)) if body else None
            if key in journaled or (mark, type_, id_, str(number)) in ours:
                begun.add((type_, id_))
            else:  # what was there before it became part of the plan was nobody's to receive
                assert (type_, id_) not in begun, f"not in the journal: {key} of {name}"


@law
def what_was_acknowledged_is_in_the_journal(machine: State) -> None:
    """Whatever died meanwhile."""
    party = machine.world.hub.parties[MUNICIPALITY]
    for delivery, answer in machine.answered:
        found = receipt_of(machine.world.hub, party, delivery.key)
        assert found, f"not acknowledged: {delivery.key} was answered and is not there"
        assert found.receipt == answer.receipt, f"not acknowledged: {delivery.key} has another answer now"


@law
def tombstones_stay(machine: State) -> None:
    """What was taken out stays under its tombstone, and ended, until somebody speaks of it again."""
    world, held = machine.world, machine.world.held()
    buried = tombstones.of_plan(world.database.read(), world.plan.id)
    assert buried[: len(machine.buried)] == machine.buried, "back from the dead: a tombstone is gone"
    machine.buried = buried
    for one in buried:
        resource = held.get(one.reference)
        if one.path or resource is None or one.reference in machine.spoken_of:
            continue
        assert lifecycle.is_removed(resource), f"back from the dead: {one.reference}, which nobody brought back"


@law_of_the_books
def each_disclosure_is_audited_once(machine: State) -> None:
    """Each write that arrived at a region, and each record that the municipality was shown.

    Of a write that the region lost before anybody could look, nobody can tell whether it arrived.
    """
    shown = Counter(_read_by(machine))
    for name, region in machine.world.regions.items():
        noticed, audited = machine.world.noticed(name), shown[NUMBERS[name]]
        assert audited == len(noticed), f"not audited: {len(noticed)} writes to {name}, and {audited} records"
        unnoticed = region.wire.arrived - noticed - machine.unsure
        assert not unnoticed, f"not audited: {unnoticed} arrived at {name}, and nobody noticed"
    least, most = machine.fetched
    assert least <= shown[NUMBERS[MUNICIPALITY]] <= most, f"not audited: {least} to {most} answers, {shown} records"


@law
def what_nobody_touched_is_as_it_was(machine: State) -> None:
    """However often it went round: persons, staff and organisations at the regions, each byte of their content."""
    for name, region in machine.world.regions.items():
        for one in region.there():
            before = machine.untouched.get((name, reference_of(one)))
            assert before in (None, content(one)), f"touched: {name} holds {one}, which was {before}"


def a_record_shows_what_is_live(machine: State, record: dict[str, Any], held: dict[str, Resource]) -> None:
    """Asked whenever the municipality fetches: the plan's words and no others, and its own fields as it sent them."""
    told = dump_json(record).decode()
    live = {words: ref for ref, one in held.items() if (words := words_of(one)) and not lifecycle.is_removed(one)}
    missing = [words for words in live if words in machine.ledger.edits and words not in told]
    assert not missing, f"lost: the record does not tell {missing}"
    everything = _live(machine)
    old = [words for words in machine.ledger.edits if words in told and words not in everything]
    assert not old, f"touched: the record tells {old}, which is not in the plan any more"
    ended = [ref for ref, one in held.items() if matters(one) and lifecycle.is_removed(one)]
    assert not (ended and "vad_ar_viktigt" in record), "back from the dead: the record tells what was taken away"
    for name in ("person", "huvudansvar", "intern_kod"):
        came_back = dump_json(record.get(name))
        assert came_back == dump_json(FIRST_RECORD[name]), f"touched: {name} came back as {came_back!r}"


def _live(machine: State) -> str:
    return dump_json([one for one in machine.world.held().values() if not asks_for_a_decision(one)]).decode()


def _kept(machine: State) -> str:
    kept = json.dumps([(each.live, each.other) for each in machine.world.conflicts()])
    buried = tombstones.of_plan(machine.world.database.read(), machine.world.plan.id)
    return kept + "".join(one.removed for one in buried) + "".join(each.body for each in machine.world.parked())


def _read_by(machine: State) -> list[str]:
    """The organisation number of whoever was shown something, once for each record of it."""
    rows = machine.world.database.read().execute("SELECT body FROM version WHERE type = 'AuditEvent'")
    events = [parse_json(body) for (body,) in rows]
    return [
        next(each["who"]["identifier"]["value"] for each in one["agent"] if "identifier" in each.get("who", {}))
        for one in events
        if one["action"] == "R"
    ]


def _difference(name: str, found: dict[str, Resource], expected: dict[str, Resource]) -> str:
    lines = [f"unsettled: {name} does not hold what it may see:"]
    for ref in sorted(found.keys() | expected.keys()):
        if found.get(ref) != expected.get(ref):
            lines += [f"  {ref}", f"    there: {found.get(ref)}", f"    plan:  {expected.get(ref)}"]
    return "\n".join(lines)
