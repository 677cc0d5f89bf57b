"""The way back: the items of the record as it was are matched with the nodes that came, and take what is new in them.

What says the same as the record did is the very object that it was (Run.take). So a list or an item about which nothing
new came is known by that, and stays without being looked for.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.mapping.anchors import Anchor, Candidates, key_in, own_identifier
from fhir_adapter.mapping.ends import is_left_out
from fhir_adapter.mapping.frames import Frame, Look, NativePath, Nodes, are_same, says_something
from fhir_adapter.mapping.model import Run
from fhir_adapter.mapping.naming import in_their_places, keep_the_key, keys_of_those_left, name_new_item, new_key
from fhir_adapter.mapping.scopes import Scope

# ---- the items of a list


def close(scope: Scope, outer: Frame, run: Run, opened: list[tuple[Scope, Frame]]) -> None:
    """Looks for the nodes of the items that a list had among those that came; new items are appended."""
    before, watch = outer.before, scope.watch
    olds = before.lists.get(scope.label, []) if before is not None else []
    is_found = before is not None and are_same(watch.found_by, outer.nodes, before.nodes)
    is_quiet = before is not None and are_same(watch.around, outer.nodes, before.nodes)
    is_quiet = is_quiet and run.edited.isdisjoint(watch.types_inside)
    if is_found and is_quiet and run.edited.isdisjoint(watch.types):
        for old in olds:
            _stay(scope, old, run)
        return
    stand = _stand if is_found and scope.primary.type not in run.news else _match
    frames = stand(scope, outer, run, olds, is_quiet=is_quiet)
    for frame in frames:
        find_nodes(scope, frame, scope.primary, run)
        opened.append((scope, frame))
    for frame in frames:
        for inner in scope.lists:
            close(inner, frame, run, opened)


def _stand(scope: Scope, outer: Frame, run: Run, olds: Sequence[Frame], *, is_quiet: bool) -> list[Frame]:
    """The frames of the items that have something new, where all stand for what they stood for."""
    frames = []
    sent = run.sent(scope.native.text, outer.native, scope.native.read)
    for old in olds:
        was = old.nodes.get(scope.primary.name)
        if was is None or scope.primary.is_mute(was):
            continue  # FHIR never said that it is there
        node = scope.primary.came_for(was, outer.nodes, run)
        if node is was and is_quiet and _is_quiet(scope, old, run):
            _stay(scope, old, run)
        elif node is not None:
            frames.append(_frame(scope, sent[old.place], old.key, node, outer, old))
    return frames


def _is_quiet(scope: Scope, old: Frame, run: Run) -> bool:
    """Is nothing new in the resources of an item, but for the one that stands for it?"""
    for anchor in scope.anchors:
        was = old.nodes.get(anchor.name)
        if was is None:
            if anchor.type in run.news:
                return False
        elif anchor.type in run.edited and run.index.get(reference_of(was)) is not was:
            return False
    return True


def _stay(scope: Scope, old: Frame, run: Run) -> None:
    """The item keeps its resources, and is known by its key, as if they had been looked for."""
    was = old.nodes.get(scope.primary.name)
    if was is None:
        return  # FHIR never said that it is there
    if scope.primary.element is None:
        run.keys[reference_of(was)] = old.key
    for anchor in scope.anchors:
        if anchor.type is not None and anchor.name in old.nodes:
            run.claimed.add(reference_of(old.nodes[anchor.name]))
    for inner in scope.lists:
        for each in old.lists.get(inner.label, ()):
            _stay(inner, each, run)


def _match(scope: Scope, outer: Frame, run: Run, olds: Sequence[Frame], *, is_quiet: bool) -> list[Frame]:
    """The frames of the items that have something new, or are new. Those that are no more are taken away."""
    found = scope.primary.candidates(outer.nodes, run)
    if found is None and scope.primary.hangs_on(outer.gone):
        found = []
    if found is None:
        _keep(scope, outer, run, olds)
        return []
    found = _still_there(scope, found, outer, olds, run)
    if not found and not olds:
        return []
    sent = run.sent(scope.native.text, outer.native, scope.native.read)
    pairs, left, new = _matched(scope, olds, found, outer, run)
    stays = scope.primary.anywhere
    gone = [sent[old.place] for old in left if not stays or _is_over(scope.primary, old.nodes, run)]
    if gone:
        run.free(scope.watch.types | scope.watch.types_inside)
    kept = [item for item in scope.native.read(outer.native) or () if not _is_any_of(item, gone)]
    frames = []
    for old, node in pairs:
        was = old.nodes[scope.primary.name]
        if node is was and is_quiet and _is_quiet(scope, old, run):
            _stay(scope, old, run)
        elif node is not None:
            frames.append(_frame(scope, sent[old.place], old.key, node, outer, old))
    if new or gone:
        keys = keys_of_those_left(scope, olds, kept, sent, run)
        for node in in_their_places(scope, new, outer, run, keys):
            item: dict[str, Any] = {}
            key = new_key(scope, item, node, outer, run, keys, len(found))
            frames.append(_frame(scope, item, key, node, outer, None, keys))
            kept.append(item)
    if len(kept) != len(sent) or any(one is not other for one, other in zip(kept, sent, strict=True)):
        scope.native.write(outer.native, kept or None)
    return frames


def _still_there(scope: Scope, found: Candidates, outer: Frame, olds: Sequence[Frame], run: Run) -> Candidates:
    """Those that were not taken away, but for what the format has a word for."""
    if not scope.ends:
        return found
    primary = scope.primary
    known = (old.nodes.get(primary.name) for old in olds)
    before = {primary.identity(was): was for was in known if was is not None}
    for name, node in found:
        if node is not None and is_left_out(scope.ends, primary, node, before.get(name), outer.nodes, run):
            run.over.add(name)
            _claim(scope, node, outer.nodes, run)
    return [one for one in found if one[0] not in run.over]


def _is_over(anchor: Anchor, before: Nodes, run: Run) -> bool:
    """Was the node of before taken away, without a word for it in the format?"""
    return anchor.type is not None and reference_of(before[anchor.name]) in run.over


def _claim(scope: Scope, node: Resource, around: Nodes, run: Run) -> None:
    """What was taken away is nobody else's to take, nor is what hangs on it."""
    nodes = around | {scope.primary.name: node}
    run.claimed.add(reference_of(node))
    for anchor in scope.anchors:
        found = anchor.find(nodes, run) if anchor is not scope.primary and anchor.type is not None else None
        if found is not None:
            nodes[anchor.name] = found
            run.claimed.add(reference_of(found))
    for inner in scope.lists:
        for _, below in inner.primary.candidates(nodes, run) or () if inner.primary.type is not None else ():
            if below is not None:
                _claim(inner, below, nodes, run)


def _matched(
    scope: Scope, olds: Sequence[Frame], found: Candidates, outer: Frame, run: Run
) -> tuple[list[tuple[Frame, Resource | None]], list[Frame], list[Resource]]:
    """The items of before with the nodes that they are now, those that are no more, and the nodes that are new."""
    primary = scope.primary
    came: dict[str, list[Resource | None]] = {}
    for identity, node in found:
        came.setdefault(identity, []).append(node)
    by_key = _by_key(scope, found, outer, run)
    pairs: list[tuple[Frame, Resource | None]] = []
    left: list[Frame] = []
    for old in olds:
        was = old.nodes.get(primary.name)
        if was is None or primary.is_mute(was):
            continue  # FHIR never said that it is there, so it cannot say that it is gone
        twins = came.get(by_key.get(old.key, "")) or came.get(primary.identity(was))
        if twins:
            node = twins.pop(0)
            is_settled = primary.element is not None and node == was  # as Run.take does it for a resource
            pairs.append((old, was if is_settled else node))
        else:
            left.append(old)
    over = {id(node) for twins in came.values() for node in twins}
    news = [node for _, node in found if node is not None and id(node) in over]
    for old in left if primary.element is not None else ():
        said = primary.words_of(old.nodes[primary.name])
        node = next((node for node in news if said and primary.words_of(node) == said), None)
        if node is not None:
            pairs.append((old, node))
            news = [other for other in news if other is not node]
    paired = {id(old) for old, _ in pairs}
    return pairs, [old for old in left if id(old) not in paired], news


def _keep(scope: Scope, outer: Frame, run: Run, olds: Sequence[Frame]) -> None:
    """What holds the items did not come, so that nothing can be said about them; but for one of which something else
    that came lets a part go."""
    ended = [old for old in olds if any(anchor.is_taken_away(old.nodes, outer.nodes) for anchor in scope.anchors)]
    for old in olds:
        if not _is_any_of(old, ended):
            _stay(scope, old, run)
    if ended:
        sent = run.sent(scope.native.text, outer.native, scope.native.read)
        away = [sent[old.place] for old in ended]
        kept = [item for item in scope.native.read(outer.native) or () if not _is_any_of(item, away)]
        keys_of_those_left(scope, olds, kept, sent, run)
        scope.native.write(outer.native, kept or None)


def _by_key(scope: Scope, found: Candidates, outer: Frame, run: Run) -> dict[str, str]:
    """The key of each node that came -> its identity: one that lost its public number is still the same item."""
    keys: dict[str, str] = {}
    for identity, node in found if scope.primary.may_be_public else ():
        if node is not None:
            own = own_identifier(node, run.source)
            keys[node["id"] if own is None else key_in(own, scope.primary, outer.key, run)] = identity
    return keys


def _is_any_of(one: Any, others: Iterable[Any]) -> bool:
    return any(one is other for other in others)


def _frame(
    scope: Scope, item: dict[str, Any], key: str, node: Resource, outer: Frame, old: Frame | None, keys: Any = None
) -> Frame:
    nodes = outer.nodes.copy()
    nodes[scope.primary.name] = node
    return Frame(item, "", key, outer.key, nodes, {}, before=old, keys=keys)


def find_nodes(scope: Scope, frame: Frame, primary: Anchor, run: Run) -> None:
    """Finds the item's other nodes, by the one that stands for it and those around; and which of them are no more."""
    if primary.element is None:
        reference = reference_of(frame.nodes[primary.name])
        run.claimed.add(reference)
        run.keys[reference] = frame.key
    before = frame.before.nodes if frame.before is not None else None
    gone: list[str] = []
    for anchor in scope.anchors:
        if anchor is primary or anchor.of is not None:
            continue
        was = before.get(anchor.name) if before is not None else None
        if before is not None and anchor.stays(before, frame.nodes, run):
            node = anchor.came_for(was, frame.nodes, run) if was is not None else None
        else:
            node = _found(scope, anchor, was, frame.nodes, run)
            if was is not None and anchor.type is not None:
                run.free((anchor.type,))
        if node is not None:
            frame.nodes[anchor.name] = node
            if anchor.type is not None:
                run.claimed.add(reference_of(node))
        elif before is not None and was is not None and _is_gone(scope, anchor, before, frame.nodes, gone, run):
            gone.append(anchor.name)
    frame.gone = frozenset(gone)


def _found(scope: Scope, anchor: Anchor, was: Resource | None, nodes: Nodes, run: Run) -> Resource | None:
    """The anchor's node among those that came and were not taken away, but for what the format has a word for."""
    node = anchor.find(nodes, run)
    while node is not None and is_left_out(scope.ends, anchor, node, was, nodes, run):
        run.over.add(reference_of(node))
        run.claimed.add(reference_of(node))  # it is nobody else's to take
        node = anchor.find(nodes, run)
    return node


def _is_gone(scope: Scope, anchor: Anchor, before: Nodes, nodes: Nodes, gone: list[str], run: Run) -> bool:
    if _is_over(anchor, before, run):
        return True
    if anchor in scope.standing:
        return anchor.is_let_go(before[anchor.name], nodes)
    return anchor.is_gone(before, nodes, gone, run)


# ---- the fields of an item


def put(scope: Scope, frame: Frame, run: Run, run_before: Run | None) -> None:
    """Writes into an item what is new in the elements that its rules read."""
    changed = _changed(scope, frame)
    if not (changed or frame.gone or frame.keys is not None):
        return
    for field in scope.fields:
        if not changed.isdisjoint(field.looks):
            field.put(frame, run, run_before)
    for anchor in scope.anchors if frame.gone else ():
        if anchor.name in frame.gone and anchor.stands_on is not None:
            _clear(scope, anchor.stands_on, frame)
    if scope.key is not None:
        if frame.keys is not None:
            name_new_item(scope, frame, run)
        elif frame.before is not None:
            keep_the_key(scope, frame, frame.before)


def _changed(scope: Scope, frame: Frame) -> set[Look]:
    """The elements that the rules read and that say something else than before."""
    before = frame.before.nodes if frame.before is not None else {}
    found: set[Look] = set()
    for anchor, elements in scope.watch.read.items():
        node, was = frame.nodes.get(anchor, _NOTHING), before.get(anchor, _NOTHING)
        if node is not was:
            found.update((anchor, name) for name in elements if node.get(name) != was.get(name))
    return found


_NOTHING: Resource = {}


def _clear(scope: Scope, path: NativePath, frame: Frame) -> None:
    """Takes all that FHIR gets out of an object, where no other node says any of it: what stood on it is no more, and
    would be there again."""
    inside = [field for field in scope.fields if field.natives[0].text.startswith(f"{path.text}.")]
    others = [field for field in inside if any(rule.first in frame.nodes for rule in field.readers)]
    lists = [inner.native for inner in scope.lists if inner.native.text.startswith(f"{path.text}.")]
    told = [native for field in others for native in field.natives] + lists
    if any(says_something(native.read(frame.native)) for native in told):
        return
    for native in [path] if path.text in scope.whole else [native for field in inside for native in field.natives]:
        native.write(frame.native, None)
