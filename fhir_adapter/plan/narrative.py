"""A narrative that was generated from a resource stands only beside what it was generated from.

http://hl7.org/fhir/R4/narrative.html: whoever reads it may show it instead of the elements. After a merge nobody has
generated it anew, and it would tell what the elements say no more. What somebody wrote (`additional`) is kept.
"""

from __future__ import annotations

from fhir_adapter.fhir.resources import Resource

GENERATED = frozenset({"generated", "extensions"})
"""Narrative.status of a text that says nothing but what the elements say."""


def without_text_of_before(before: Resource | None, after: Resource) -> Resource:
    """The resource without a generated text that stood beside other elements before."""
    if before is None or not _is_generated(after) or after["text"] != before.get("text"):
        return after
    return after if _rest(after) == _rest(before) else _without_text(after)


def with_a_text_of_its_own(live: Resource, ours: Resource, theirs: Resource) -> Resource:
    """What a merge of ours and theirs gives, without a generated text of theirs that tells what was not taken."""
    if not _is_generated(live) or live["text"] == ours.get("text") or _rest(live) == _rest(theirs):
        return live
    bare = _without_text(live)
    return bare | {"text": ours["text"]} if "text" in ours and _rest(live) == _rest(ours) else bare


def _is_generated(resource: Resource) -> bool:
    text = resource.get("text")
    return isinstance(text, dict) and text.get("status") in GENERATED


def _rest(resource: Resource) -> Resource:
    """What a text is generated from: labels and profiles in meta are no part of it."""
    return {name: value for name, value in resource.items() if name not in ("text", "meta")}


def _without_text(resource: Resource) -> Resource:
    return {name: value for name, value in resource.items() if name != "text"}
