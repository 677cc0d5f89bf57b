"""The lens: one compiled declaration, read both ways.

`get` walks the record twice: first it makes every anchor (so that any field may refer to any other), then it lets every
rule write, both through functions that compiled.py generated from the declaration. `put` makes the same walk over
`before`, finds the items again in the FHIR that came (matching.py), and lets only those rules speak whose fragment
differs from what `get(before)` gives: everything else in the record stays as it was sent, to the letter. Hence
put(get(n), n) == n by construction.
"""

from __future__ import annotations

from collections.abc import Callable, Container, Iterable, Iterator, Sequence
from copy import copy
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import Any
from uuid import UUID

from fhir_adapter.errors import Issue, Refused
from fhir_adapter.fhir.differences import Untold
from fhir_adapter.fhir.resources import Resource
from fhir_adapter.mapping import origins
from fhir_adapter.mapping.anchors import Anchor, own_identifier, told_by
from fhir_adapter.mapping.bare import without_bare_items
from fhir_adapter.mapping.blanks import emptied, has_blanks, what_is_said
from fhir_adapter.mapping.demands import Demands
from fhir_adapter.mapping.ends import stated
from fhir_adapter.mapping.frames import Frame, copied, native_path
from fhir_adapter.mapping.inputs.declared import one_of_any
from fhir_adapter.mapping.inputs.formats import Format, without_copied_id
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.matching import close, find_nodes, put
from fhir_adapter.mapping.model import Mapped, Run, Unmapped, is_uuid
from fhir_adapter.mapping.recognising import (
    NO_NAMES,
    Earlier,
    Names,
    keys_in,
    mark_of,
    named_lists,
    names_again,
    names_in,
)
from fhir_adapter.mapping.rules import Rule
from fhir_adapter.mapping.schema import RecordSchema
from fhir_adapter.mapping.scopes import Scope
from fhir_adapter.mapping.shorthand import Shorthand

__all__ = ["Mapped", "Mapping", "Unmapped", "copied"]


class Mapping:
    """One system's declaration, compiled: `get`, `put` and `create` between its records and FHIR."""

    def __init__(
        self,
        name: str,
        version: str,
        folder: Path,
        root: Scope,
        schema: RecordSchema,
        knowledge: Knowledge,
        constants: dict[str, Any],
        refused: dict[str, str],
        format_: Format,
        owners: dict[str, str],
        demands: Demands,
        shorthand: Shorthand,
        profiles: dict[str, str],
        lossy: dict[str, str],
    ) -> None:
        self.name = name
        self.version = version
        self.folder = folder
        self.root = root
        self.schema = schema
        self.knowledge = knowledge
        self.constants = constants
        self.format = format_
        self.demands = demands
        self.shorthand = shorthand
        roots = {anchor.type for anchor in root.standing}
        others = (anchor for scope in root.with_all_inside() for anchor in scope.anchors if anchor not in root.standing)
        self._others = tuple(anchor for anchor in others if anchor.type in roots and anchor.mark is not None)
        """what is of a root's type, and is another thing by its mark"""
        self._stated = tuple(anchor for scope in root.with_all_inside() for anchor in stated(scope.ends, scope.anchors))
        self.refused = {native_path(path): reason for path, reason in refused.items()}
        self.profiles = profiles
        """resource type -> the profile that it follows"""
        self.lossy = lossy
        """a field or a converter that does not come back from FHIR alone -> why that is accepted"""
        self._is_searching = False
        self._told_by = told_by(anchor for scope in root.with_all_inside() for anchor in scope.anchors)
        self.owners = owners
        """whose value wins in a conflict: `Goal.description` -> kind of owner, where the declaration says so"""

    def is_stated(self, resource: Resource) -> bool:
        """Whether records say of such a thing that it is there or is not, and have no word for how far it is."""
        return any(anchor.is_known_as(resource) for anchor in self._stated)

    def searching(self) -> Mapping:
        """The same mapping, which looks for everything that came, even for what says the same as before. Its `put` is
        slower, and gives the same, or the declaration leads to the wrong place: for checks."""
        other = copy(self)
        other._is_searching = True
        return other

    def record_in(self, raw: bytes) -> Any:
        """The one record in `raw`, in the system's own format or as JSON. Raises BadRequest."""
        return one_of_any(self.format, raw)

    def get(
        self,
        native: Any,
        *,
        source: str,
        namespace: UUID,
        names: Names = NO_NAMES,
        shown: Callable[[], Iterable[Any]] = tuple,
    ) -> Mapped:
        """The record in FHIR, the root's resource first. Raises Refused with every error at once, by native path.

        `names`: of the items that do not tell their own, where an earlier record told them (`names_in`). `shown`: the
        records that the sender was given; what does not follow the format in those may come again."""
        is_blank_somewhere = has_blanks(native)
        faults = self.schema.errors(emptied(native) if is_blank_somewhere else native, lambda: map(emptied, shown()))
        if any(issue.severity == "error" for issue in faults):
            raise Refused("the record does not follow its format", faults)
        whole = self.shorthand.expanded(what_is_said(native) if is_blank_somewhere else native)
        run = Run(whole, str(native["id"]), source, namespace, self.knowledge, keys_in(names))
        opened, run = self._forward(whole, run)
        if not any(anchor.name in opened[0][1].nodes for anchor in self.root.standing):
            run.error("", "required", "the record says nothing that could stand for it in FHIR")
        spelled = self.shorthand.spelled(whole)
        issues = [
            _respelled(issue, spelled) for issue in dict.fromkeys([*faults, *run.issues, *self.demands.issues(whole)])
        ]
        if any(issue.severity == "error" for issue in issues):
            raise Refused("the record cannot be taken", issues)
        unmapped = self.schema.unknown(native) + run.unmapped
        unmapped += [
            Unmapped(place, reason, "refused")
            for path, reason in self.refused.items()
            for place in _places_of(native, path.text.split("."))
        ]
        trace = partial(origins.native_path, opened, run)
        if spelled:
            trace = partial(_traced, trace, spelled)
        return Mapped(run.record_id, list(run.index.values()), issues, unmapped, trace)

    def mark_of(self, native: dict[str, Any]) -> str | None:
        """The same for all records whose items without id or name of their own say the same at the same places; None
        where there is no such item."""
        return mark_of(self.root, self.shorthand.expanded(native))

    def names_in(
        self,
        native: dict[str, Any],
        earlier: Sequence[Earlier],
        *,
        source: str,
        namespace: UUID,
        held: Container[str] = (),
    ) -> Names:
        """The names of the items that do not tell their own: those that they had in the `earlier` records, first the
        one that this was made from. One that is new gets the name of none, nor of a resource among those `held`."""
        run = Run(native, str(native.get("id", "")), source, namespace, self.knowledge)
        known = [Earlier(self._said(one.record), one.names) for one in earlier]
        return names_in(self.root, self._said(native), known, run, held)

    def walked(
        self, native: dict[str, Any], *, source: str, namespace: UUID, names: Names = NO_NAMES
    ) -> tuple[list[tuple[Scope, Frame]], Run, dict[str, str]]:
        """The frames and the run that `get` leaves behind, for reports; and the sender's own paths of bare items."""
        whole = self._said(native)
        run = Run(whole, str(native["id"]), source, namespace, self.knowledge, keys_in(names))
        return *self._forward(whole, run), self.shorthand.spelled(whole)

    def _said(self, native: dict[str, Any]) -> dict[str, Any]:
        """The whole record, without texts that say nothing."""
        return self.shorthand.expanded(what_is_said(native) if has_blanks(native) else native)

    def _forward(self, native: dict[str, Any], run: Run) -> tuple[list[tuple[Scope, Frame]], Run]:
        """Every item's frame with its list, the record's own first, and the run that has the resources: one in which
        every name leads to who has it, whichever of the two the record says first.

        Whom a record names, and gives a name, is known after the first pass; which organisations of the file it
        mentions, after the second; the third, if there is one, finds everybody.
        """
        opened = self._walk(native, run)
        for _ in range(2):
            if not run.bearers.are_elsewhere():
                break
            run = run.again()
            opened = self._walk(native, run)
        return opened, run

    def _walk(self, native: dict[str, Any], run: Run) -> list[tuple[Scope, Frame]]:
        root = Frame(native, "", run.record_id, "", {}, {}, own=native.get("id"))
        opened: list[tuple[Scope, Frame]] = [(self.root, root)]
        self.root.make(root, run)
        self.root.open(root, run, opened)
        for early in (True, False):
            for scope, frame in opened:
                if scope.early is early:
                    scope.write(frame, run)
        for scope, frame in opened:
            scope.drop_empty(frame)
        return opened

    def put(
        self,
        resources: Sequence[Resource],
        before: dict[str, Any],
        *,
        source: str,
        namespace: UUID,
        names: Names = NO_NAMES,
        untold: list[Untold] | None = None,
    ) -> dict[str, Any]:
        """`before`, with what `resources` say differently; fields and items that they say nothing about stay.

        `names`: of its items that do not tell their own, as for `get`. `untold` gets what was taken away and is told no
        more, since the format has no word for that, and what somebody edited where its field is told from elsewhere."""
        return self._back(resources, Earlier(before, names), source, namespace, untold).record

    def create(
        self, resources: Sequence[Resource], *, source: str, namespace: UUID, untold: list[Untold] | None = None
    ) -> dict[str, Any]:
        """A record for a plan that its system has not seen yet, in the format's first words. `untold`: as for `put`."""
        return self._back(resources, Earlier({}), source, namespace, untold).record

    def put_named(
        self,
        resources: Sequence[Resource],
        before: Earlier,
        *,
        source: str,
        namespace: UUID,
        untold: list[Untold] | None = None,
    ) -> Earlier:
        """What `put` gives, or `create` before anything was said, with the names of its items that do not tell their
        own. `untold`: as for `put`."""
        return self._back(resources, before, source, namespace, untold)

    def _back(
        self, resources: Sequence[Resource], earlier: Earlier, source: str, namespace: UUID, untold: list[Untold] | None
    ) -> Earlier:
        native = self.shorthand.expanded(copied(earlier.record))
        lists = named_lists(self.root, native, earlier.names)
        before = self._said(earlier.record)
        run = Run(native, str(before.get("id", "")), source, namespace, self.knowledge)
        run_before, frame_before = None, None
        if before:
            known_keys = keys_in(earlier.names)
            first = Run(before, run.record_id, source, namespace, self.knowledge, known_keys)
            opened_before, run_before = self._forward(before, first)
            frame_before = opened_before[0][1]
        known = run_before.index if run_before is not None and not self._is_searching else {}
        run.take(resources, known, self._told_by)
        if self._is_searching:
            run.free(self._told_by)
        found = self._root_node(run)
        if found is None or (before and not run.edited):  # nothing new was said
            return Earlier(self.shorthand.contracted(native, is_new=not before), earlier.names)
        anchor, node = found
        if not before:
            run.record_id = own_identifier(node, run.source) or str(node["id"])
            native.update({"id": run.record_id, **self.constants})
            if self.format.id_path is not None:
                native.update(without_copied_id(native, self.format.id_path))
        root = Frame(native, "", run.record_id, "", {anchor.name: node}, {}, frame_before)
        opened: list[tuple[Scope, Frame]] = [(self.root, root)]
        find_nodes(self.root, root, anchor, run)
        for inner in self.root.lists:
            close(inner, root, run, opened)
        for scope, frame in opened:
            put(scope, frame, run, run_before)
        for keys in {id(frame.keys): frame.keys for _, frame in opened if frame.keys is not None}.values():
            keys.settle(run)
        if untold is not None:
            untold += [*map(Untold, run.over), *run.untold]
        names = names_again(self.root, native, lists)
        native = self.shorthand.contracted(native, is_new=not before)
        if not self.schema.holds_for(native):
            self.schema.complete(native)
            native = without_bare_items(native, self.schema)
        return Earlier(native if before else self.schema.ordered(native), names)

    def _root_node(self, run: Run) -> tuple[Anchor, Resource] | None:
        """What the record is about (its plan, enquiry, offer), and as which anchor: known by its id, else by its
        business id, else the first of its kind."""
        for anchor in self.root.standing if run.record_id else ():
            made = run.record_id if is_uuid(run.record_id) else run.id_of(anchor.type or "", run.record_id)
            node = run.index.get(f"{anchor.type}/{made}")
            if node is not None and self._may_stand(anchor, node):
                return anchor, node
        found = list(self._possible_roots(run.index.values()))
        known = (one for one in found if run.record_id and own_identifier(one[1], run.source) == run.record_id)
        return next(known, found[0] if found else None)

    def _possible_roots(self, resources: Iterable[Resource]) -> Iterator[tuple[Anchor, Resource]]:
        came = [node for node in resources if not any(other.is_known_as(node) for other in self._others)]
        for anchor in self.root.standing:
            for node in came:
                if node.get("resourceType") == anchor.type and self._may_stand(anchor, node):
                    yield anchor, node

    def _may_stand(self, anchor: Anchor, node: Resource) -> bool:
        return anchor is self.root.primary or anchor.carries_mark(node)

    def root_types(self) -> tuple[str, ...]:
        """The resource types that may stand for a record."""
        return tuple(dict.fromkeys(anchor.type or "" for anchor in self.root.standing))

    def record_id_in(self, resources: Iterable[Resource], source: str) -> str | None:
        """The business id of what stands for the record among `resources`, in the system `source`."""
        found = (own_identifier(node, source) for _, node in self._possible_roots(resources))
        return next((business_id for business_id in found if business_id is not None), None)

    def scopes(self) -> Iterator[Scope]:
        """Every list of the declaration, the record itself first."""
        return self.root.with_all_inside()

    def is_an_id(self, path: str) -> bool:
        """Whether a field is the record's own id, under whatever name the format has for it, or an item's."""
        return path == self.format.id_path or path.rpartition(".")[2] == "id"

    def coverage(self) -> Iterable[tuple[str, Rule]]:
        """Every native field, by its path in the format, with each rule that carries it."""
        for scope in self.scopes():
            prefix = "" if scope is self.root else f"{scope.name}."
            for field in scope.fields:
                for native in field.natives:
                    for rule in field.rules:
                        yield f"{prefix}{native.text}", rule


def _places_of(item: dict[str, Any], names: Sequence[str], prefix: str = "") -> Iterator[str]:
    """Where a record says something in the field `names`: `mal[1].not` for `mal[].not` in the second item."""
    name = names[0].removesuffix("[]")
    value = item.get(name)
    if value is None:
        return
    if len(names) == 1:
        yield prefix + name
    elif isinstance(value, dict):
        yield from _places_of(value, names[1:], f"{prefix}{name}.")
    elif isinstance(value, list):
        for place, child in enumerate(value):
            if isinstance(child, dict):
                yield from _places_of(child, names[1:], f"{prefix}{name}[{place}].")


def _respelled(issue: Issue, spelled: dict[str, str]) -> Issue:
    """An issue of a bare item points at the item: its sender knows no field in it."""
    return replace(issue, path=spelled[issue.path]) if issue.path in spelled else issue


def _traced(trace: Callable[[str, str], str], spelled: dict[str, str], reference: str, element: str) -> str:
    path = trace(reference, element)
    return spelled.get(path, path)
