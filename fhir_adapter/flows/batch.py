"""A delivery in whatever format the party writes: one record, or a file of them, each taken or refused on its own."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain, count
from typing import Any

from fhir_adapter.access.identity import Party
from fhir_adapter.errors import BadRequest, Conflict, Issue, UnsupportedMedia
from fhir_adapter.fhir.resources import dump_json, parse_json
from fhir_adapter.flows.hub import Hub
from fhir_adapter.flows.pull import Shown
from fhir_adapter.flows.push import Answer, Delivery, push, push_each
from fhir_adapter.flows.push import receipt_of as receipt_of_one
from fhir_adapter.mapping.inputs.declared import JSON, NDJSON, read_any
from fhir_adapter.mapping.inputs.formats import Contents
from fhir_adapter.store.database import MOST_IN_A_COMMIT


def deliver(hub: Hub, party: Party, delivery: Delivery) -> Answer:
    """Takes in what a body holds: one record and its receipt, or for a file of records a list of receipts.

    Raises what `push` raises, and UnsupportedMedia for a content type that is not the party's.
    """
    declared = hub.mapping_of(party).format
    if delivery.media_type == JSON.media_types[0]:
        return push(hub, party, delivery)
    try:
        contents = JSON.read(delivery.body) if delivery.media_type in NDJSON else read_any(declared, delivery.body)[1]
    except BadRequest as fault:
        return push(hub, party, replace(delivery, fault=fault))
    if contents.single and len(contents.entries) == 1:
        return push(hub, party, delivery)
    return _deliver_each(hub, party, delivery, contents)


def _deliver_each(hub: Hub, party: Party, delivery: Delivery, contents: Contents) -> Answer:
    """Each record under a key of its own, `key#1`; one that is refused holds up no other."""
    if delivery.seen is not None:
        issue = Issue("error", "value", "If-Match", "a version is one record's, and this is a file", "no If-Match")
        raise BadRequest("If-Match", [issue])
    if not contents.entries:
        raise BadRequest("the file holds no record")
    deliveries = [
        replace(
            delivery,
            key=f"{delivery.key}#{entry.number}",
            body=entry.raw,
            fault=entry.record if isinstance(entry.record, BadRequest) else None,
            place=entry.place,
        )
        for entry in contents.entries
    ]
    places = range(0, len(deliveries), MOST_IN_A_COMMIT)
    answers = chain.from_iterable(
        push_each(hub, party, deliveries[place : place + MOST_IN_A_COMMIT]) for place in places
    )
    return _together(delivery.key, [_as_receipt(each, one) for each, one in zip(deliveries, answers, strict=True)])


def _as_receipt(delivery: Delivery, answer: Answer | Conflict) -> Answer:
    if isinstance(answer, Answer):
        return answer
    refused = {"state": "refused", "key": delivery.key, "issues": [issue.as_dict() for issue in answer.issues]}
    return Answer(answer.status, dump_json(refused))


def receipt_of(hub: Hub, party: Party, key: str) -> Answer | None:
    """What was answered under this key: the receipt of a record, or those of a file's records that were taken in."""
    whole = receipt_of_one(hub, party, key)
    if whole is not None:
        return whole
    numbers = count(1)
    answers = list(iter(lambda: receipt_of_one(hub, party, f"{key}#{next(numbers)}"), None))
    return _together(key, answers) if answers else None


def _together(key: str, answers: Sequence[Answer]) -> Answer:
    """One answer: 200 where every record was taken, else 207."""
    receipts = [parse_json(answer.receipt) for answer in answers]
    status = 200 if all(answer.status < 300 for answer in answers) else 207
    return Answer(status, dump_json({"state": "file", "key": key, "receipts": receipts}))


def encoding_of(hub: Hub, party: Party, media_type: str) -> str:
    """The encoding that the party writes this content type in. Raises UnsupportedMedia where it is not the party's."""
    declared = hub.mapping_of(party).format
    accepted = list(dict.fromkeys([*declared.media_types, *JSON.media_types]))
    if media_type not in accepted:
        wanted = ", ".join(accepted)
        raise UnsupportedMedia(
            "not the party's format",
            [Issue("error", "not-supported", "Content-Type", f"this party delivers {declared.name}", wanted)],
        )
    return JSON.encoding if media_type in JSON.media_types else declared.encoding


def as_content(hub: Hub, party: Party, shown: Shown) -> Any:
    """The record as it stands inside a JSON answer: text where the party's own format is not JSON."""
    return hub.mapping_of(party).format.shown(shown.native)


def as_document(hub: Hub, party: Party, shown: Shown, accept: str) -> tuple[bytes, str]:
    """The record alone in the party's own format and its media type; in JSON where only that is accepted."""
    own = hub.mapping_of(party).format
    only_json = "application/json" in accept and not any(kind in accept for kind in own.media_types)
    format_ = JSON if only_json else own
    return format_.document(shown.native), format_.media_types[0]
