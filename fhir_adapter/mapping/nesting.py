"""What the lists of a declaration may not leave open: in whose item an inner one stands, and whose an id is."""

from __future__ import annotations

from collections.abc import Iterator

from fhir_adapter.mapping.anchors import Anchor
from fhir_adapter.mapping.files import Files
from fhir_adapter.mapping.scopes import Scope

Takers = dict[tuple[str | None, str, str], tuple[Scope, str]]
"""(resource type, anchor, list of references in it) -> the list and anchor that takes whatever it finds there"""

_PERTAINS = "extension[http://hl7.org/fhir/StructureDefinition/resource-pertainsToGoal].valueReference"


def check_lists(root: Scope, files: Files) -> None:
    """Fails where items would be lost: two that make one resource, or inner ones that come back in another item."""
    ids: dict[tuple[str, str], Scope] = {}
    takers: Takers = {}
    for scope in root.with_all_inside():
        _check_ids(scope, files)
    for anchor in root.anchors:
        _check_takers(root, anchor, takers, files)
    for outer, scope in _with_outer(root):
        for anchor in (each for each in scope.anchors if "{key}" in (each.id_text or "")):
            files.at("mapping.yaml", f"list {scope.name}, anchor {anchor.name!r}", scope.line)
            other = ids.setdefault((str(anchor.type), str(anchor.id_text)), scope)
            if other.name != scope.name:
                files.fail(
                    f"list {other.name} (line {other.line}) gives its {anchor.type} the same id {anchor.id_text}: two"
                    f" items of one key would be one resource; put the list into the id, {{record}}/LIST/{{key}}"
                )
            if outer is not root and "{parent}" not in str(anchor.id_text):
                files.fail(
                    f"the id {anchor.id_text} does not say in which item of {outer.name} it stands: two items of one"
                    f" key would be one resource; write {str(anchor.id_text).replace('{key}', '{parent}/{key}')}"
                )
        if outer is not root:
            _check_way_back(outer, scope, files)
        _check_takers(scope, scope.primary, takers, files)


def _check_ids(scope: Scope, files: Files) -> None:
    """Each anchor of a list makes a resource of its own."""
    known: dict[tuple[str, str], str] = {}
    for anchor in (each for each in scope.anchors if each.id_text is not None):
        other = known.setdefault((str(anchor.type), str(anchor.id_text)), anchor.name)
        if other != anchor.name:
            files.at("mapping.yaml", f"list {scope.name or '.'}, anchor {anchor.name!r}", scope.line)
            files.fail(f"the anchor {other!r} has the same id {anchor.id_text}: the two {anchor.type} would be one")


def _with_outer(root: Scope) -> Iterator[tuple[Scope, Scope]]:
    """Every list that stands in a record or an item, with what it stands in; in the order in which they look for their
    items on the way back."""
    for inner in root.lists:
        yield root, inner
        yield from _with_outer(inner)


def _check_way_back(outer: Scope, scope: Scope, files: Files) -> None:
    """FHIR must tell in which item of the list around it an item stands."""
    if {anchor.name for anchor in outer.anchors} & set(_leads_to(scope.primary)):
        return
    own = outer.primary
    path = _PERTAINS if own.type == "Goal" else "PATH"
    files.at("mapping.yaml", f"list {scope.name}, anchor {scope.primary.name!r}", scope.line)
    files.fail(
        f"nothing leads from it to its item of {outer.name}: on the way back all would come into the first one; say"
        f" `reverse: {path} -> {own.name}` (a link to the plan can stay, as `also`)"
    )


def _check_takers(scope: Scope, own: Anchor, takers: Takers, files: Files) -> None:
    """Of several anchors that look into one list of references, those before the last must know their own."""
    if own.element is not None:
        return
    for link in (link for link in (*own.links, *own.also) if link.every):
        taker, name = takers.get((own.type, link.parent, link.text), (scope, own.name))
        if (taker.name, name) != (scope.name, own.name):
            files.at("mapping.yaml", f"list {taker.name or '.'}, anchor {name!r}", taker.line)
            files.fail(
                f"anchor {own.name!r} of list {scope.name or '.'} (line {scope.line}) has its {own.type} in"
                f" {link.parent}.{link.text} too, and this one would take them all on the way back: let this one"
                " come after it, give this one a `mark`, or let it `skip` what the other is known by"
            )
    if own.mark is None and own.skip is None and own.reverse is None:
        takers.update({(own.type, link.parent, link.text): (scope, own.name) for link in own.links})


def _leads_to(anchor: Anchor) -> Iterator[str]:
    """The anchors from which it is found again."""
    if anchor.element is not None:
        yield anchor.element.parent
    if anchor.reverse is not None:
        yield anchor.reverse.parent
    yield from (link.parent for link in anchor.links if anchor.reverse is None)
