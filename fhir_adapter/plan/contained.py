"""Contained resources have ids of their own resource only: two parties may mean different things by the same one."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_adapter.fhir.resources import Resource, references_in, rewrite_references
from fhir_adapter.plan.keys import content, fingerprint


def with_own_contained_ids(bases: Sequence[Any], ours: Resource, theirs: Resource) -> Resource:
    """Theirs, in which what it newly contains under an id that ours newly gave to something else has another id.

    Its references follow; the new id is made from the content, so that the same input gives the same output.
    """
    if "contained" not in ours or "contained" not in theirs:
        return theirs
    known = {id_ for base in bases if isinstance(base, dict) for id_ in _contained(base)}
    mine, said = _contained(ours), _contained(theirs)
    new_ids = {
        id_: f"{id_}-{fingerprint(content(one))}"
        for id_, one in said.items()
        if id_ in mine and id_ not in known and mine[id_] != one
    }
    if not new_ids:
        return theirs
    names = {f"#{old}": f"#{new}" for old, new in new_ids.items()}
    renamed: Resource = rewrite_references(theirs, lambda name: names.get(name, name))
    inner = [one | {"id": new_ids.get(one.get("id", ""), one.get("id"))} if "id" in one else one
             for one in renamed["contained"]]  # fmt: skip
    return renamed | {"contained": inner}


def pointed_to_and_gone(live: Resource, *sides: Resource) -> list[Resource]:
    """What one side took out of `contained` while the other points to it: the contained resources of the sides that
    are not in the merged one and that a reference of it still names."""
    if not any("contained" in side for side in sides):
        return []
    named = {pointer["reference"] for _, pointer in references_in(live)}
    here = _contained(live)
    lost: dict[str, Resource] = {}
    for side in sides:
        lost |= {id_: one for id_, one in _contained(side).items() if id_ not in here and f"#{id_}" in named}
    return list(lost.values())


def _contained(resource: Resource) -> dict[str, Resource]:
    return {one["id"]: one for one in resource.get("contained", ()) if "id" in one}
