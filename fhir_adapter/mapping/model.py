"""What the mapping engine works with: one run over one record, converter pairs, and what a run hands back."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from hashlib import sha1
from types import MappingProxyType
from typing import Any, Literal
from uuid import UUID

from fhir_adapter.errors import Issue
from fhir_adapter.fhir.differences import Untold
from fhir_adapter.fhir.ends import is_taken_away
from fhir_adapter.fhir.resources import Resource, reference_of
from fhir_adapter.mapping.bearers import Bearers
from fhir_adapter.mapping.knowledge import Knowledge, Table

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")


@dataclass(frozen=True, slots=True)
class Unmapped:
    """A native field that FHIR does not carry: `unknown` to the format, or `refused` with the reason."""

    path: str
    reason: str
    kind: Literal["unknown", "refused"]


@dataclass(frozen=True, slots=True)
class Mapped:
    """One record in FHIR: the root's resource first (a CarePlan, an offer), references inside as `Type/id`."""

    record_id: str
    resources: list[Resource]
    issues: list[Issue]
    unmapped: list[Unmapped]
    trace: Callable[[str, str], str] = field(default=lambda _reference, _element: "", compare=False, repr=False)
    """looks up `native_path`; nothing is worked out before somebody asks"""

    def native_path(self, reference: str, element: str) -> str:
        """The record's own field (`mal[1].text`) that a FHIR element came from; "" where none, or no single one.

        `element` is a path in the resource `reference` as the merge writes it: list items by key (`note[...]`), empty
        for the whole resource, which is the item (`insatser[1]`) or the object (`person`) that it stands for.
        """
        return self.trace(reference, element)


class Run:
    """One pass over one record: its resources by reference, the names in it, and what there is to say about it."""

    __slots__ = (
        "_adopted",
        "_linked",
        "_numbered",
        "_pointers",
        "_sent",
        "bearers",
        "claimed",
        "edited",
        "index",
        "issues",
        "keys",
        "knowledge",
        "known_keys",
        "namespace",
        "news",
        "organisations",
        "over",
        "places",
        "record",
        "record_id",
        "source",
        "unmapped",
        "untold",
    )

    def __init__(
        self,
        record: Any,
        record_id: str,
        source: str,
        namespace: UUID,
        knowledge: Knowledge,
        known_keys: Mapping[str, Sequence[str | None]] = MappingProxyType({}),
        known_bearers: Bearers | None = None,
    ) -> None:
        self.record = record
        self.record_id = record_id
        self.source = source
        self.namespace = namespace.bytes
        self.knowledge = knowledge
        self.known_keys = known_keys
        """path of a list in the record -> the keys of its items, where an earlier record tells them"""
        self.index: dict[str, Resource] = {}
        self.issues: list[Issue] = []
        self.unmapped: list[Unmapped] = []
        self.bearers = Bearers(known_bearers)
        self.places: dict[tuple[str, str], Resource] = {}
        """(list, business key) -> the resource of that item"""
        self.organisations: dict[str, Resource] = {}
        """`system|value`, or the identity of one that has no number -> the Organization"""
        self.keys: dict[str, str] = {}
        """reference -> business key"""
        self.claimed: set[str] = set()
        """references to the resources that stand for something already"""
        self.over: set[str] = set()
        """references to what was taken away and is told no more: the format has no word for its end"""
        self.untold: list[Untold] = []
        """what says something else than the element that its field is told from"""
        self.edited: set[str] = set()
        """the types of which a resource came that says something new, or is new, or did not come"""
        self.news: set[str] = set()
        """those of them of which one may stand for something else than before, or for nothing"""
        self._adopted: set[str] = set()
        self._numbered: dict[tuple[str, str], str] = {}
        self._linked: dict[tuple[int, str, str], list[str]] = {}
        self._sent: dict[tuple[int, str], list[Any]] = {}
        self._pointers: dict[tuple[str, str], dict[str, list[str]]] = {}

    def fresh(self) -> Run:
        """A run over the same record that knows nothing yet."""
        return Run(self.record, self.record_id, self.source, UUID(bytes=self.namespace), self.knowledge)

    def again(self) -> Run:
        """One more pass over the same record, in which a name leads to who has it wherever the record says so."""
        place = (self.record, self.record_id, self.source, UUID(bytes=self.namespace))
        return Run(*place, self.knowledge, self.known_keys, self.bearers)

    def id_of(self, kind: str, business_id: str) -> str:
        """The id of a thing that only this source numbers."""
        return self.national_id(self.identity_of(kind, business_id))

    def identity_of(self, kind: str, business_id: str) -> str:
        """What such a thing is known by, among all sources."""
        return f"{self.source}|{kind}|{business_id}"

    def national_id(self, identity: str) -> str:
        """The id of a thing with a public number, `system|value`: the same from every source.

        RFC 4122 version 5, without the detour over a UUID object (this is on the hot path).
        """
        text = sha1(self.namespace + identity.encode(), usedforsecurity=False).hexdigest()
        return f"{text[:8]}-{text[8:12]}-5{text[13:16]}-{_VARIANT[text[16]]}{text[17:20]}-{text[20:32]}"

    def add(self, resource: Resource) -> Resource:
        """The resource under its reference; the one already there, where there is one."""
        return self.index.setdefault(reference_of(resource), resource)

    def error(self, path: str, code: str, message: str, expected: str | None = None) -> None:
        """Refuses the record, saying why; the run goes on so that all errors come at once."""
        self.issues.append(Issue("error", code, path, message, expected))

    def warn(self, path: str, code: str, message: str, expected: str | None = None) -> None:
        """Says what was taken but should be looked at."""
        self.issues.append(Issue("warning", code, path, message, expected))

    def linked(self, node: Resource, path: str, read: Callable[[Resource], Any], kind: str) -> list[str]:
        """The references to resources of a type that `read` finds at `path` in a node which came; each once.

        Many lists look for their items at one place, so it is read once. The nodes must not change meanwhile.
        """
        known = self._linked.get((id(node), path, kind))
        if known is None:
            fragment = read(node)
            pointers = fragment if isinstance(fragment, list) else [fragment]
            references = dict.fromkeys(reference for one in pointers if (reference := reference_in(one)) is not None)
            known = [reference for reference in references if reference.startswith(f"{kind}/")]
            self._linked[id(node), path, kind] = known
        return known

    def is_first(self, reference: str) -> bool:
        """Is it the first item that brings this id of a resource?"""
        is_new = reference not in self._adopted
        self._adopted.add(reference)
        return is_new

    def is_first_with(self, number: str, item: str) -> bool:
        """Is it the first item of its list (`Organization[1].`) that has this public number?"""
        return self._numbered.setdefault((item.rpartition("[")[0], number), item) == item

    def take(
        self, resources: Iterable[Resource], before: Mapping[str, Resource], told_by: Mapping[str, Iterable[str]]
    ) -> None:
        """What came; `before`: what the record said, by reference; `told_by`: the elements of a type that tell what a
        resource stands for.

        A resource that says the same is from now on that very one, and so is an element of one that does not: nobody
        need look into it again.
        """
        for resource in resources:
            if "id" in resource:
                kind = resource["resourceType"]
                reference = f"{kind}/{resource['id']}"
                was = before.get(reference)
                if was == resource:
                    self.index[reference] = was
                    continue
                self.edited.add(kind)
                now = self.index[reference] = resource if was is None else _settled(resource, was)
                may_be_other = was is None or any(now.get(name) is not was.get(name) for name in told_by.get(kind, ()))
                if may_be_other or is_taken_away(now):
                    self.news.add(kind)
        self.free({reference.partition("/")[0] for reference in before.keys() - self.index.keys()})

    def free(self, types: Iterable[str]) -> None:
        """Resources of these types may be there no more, or stand for nothing from now on: others may take them."""
        self.edited.update(types)
        self.news.update(types)

    def sent(self, path: str, holder: dict[str, Any], read: Callable[[dict[str, Any]], Any]) -> list[Any]:
        """A list of the record as it was sent, although another list of the declaration may have changed it since."""
        known = self._sent.get((id(holder), path))
        if known is None:
            known = self._sent[id(holder), path] = list(read(holder) or ())
        return known

    def of_type(self, kind: str) -> list[str]:
        """The references to the resources of a type."""
        prefix = f"{kind}/"
        return [reference for reference in self.index if reference.startswith(prefix)]

    def pointing(self, kind: str, path: str, read: Callable[[Resource], Any]) -> dict[str, list[str]]:
        """The references to resources of a type, by what `read` finds at `path` in them: a Reference, or several."""
        known = self._pointers.get((kind, path))
        if known is None:
            known = self._pointers[kind, path] = {}
            for reference in self.of_type(kind):
                fragment = read(self.index[reference])
                for pointer in fragment if isinstance(fragment, list) else [fragment]:
                    target = reference_in(pointer)
                    if target is not None:
                        known.setdefault(target, []).append(reference)
        return known


def _settled(node: Resource, was: Resource) -> Resource:
    return {name: old if (old := was.get(name)) == value else value for name, value in node.items()}


def reference_in(pointer: Any) -> str | None:
    """The literal reference of a Reference, or None."""
    reference = pointer.get("reference") if isinstance(pointer, dict) else None
    return reference if isinstance(reference, str) else None


@dataclass(frozen=True, slots=True)
class Pair:
    """A converter: `to_fhir(value, run, path)` and `to_native(fragment, run)`.

    A rule over several native fields hands over a tuple and, as path, the place of the item they are in. None means
    that there is nothing to write; a value that cannot be converted is reported on the run.
    """

    to_fhir: Callable[[Any, Run, str], Any]
    to_native: Callable[[Any, Run], Any]
    table: Table | None = None
    """the code table that it reads"""
    known: Mapping[str, str] = field(default_factory=dict)
    """values whose fragment is always this text: `to_fhir` need not be asked"""
    silent: tuple[Any, ...] = ()
    """native values that FHIR does not tell from nothing said"""


def is_uuid(text: str) -> bool:
    """Is it a UUID as FHIR writes it: a thing that was born elsewhere and keeps its id?"""
    return len(text) == 36 and _UUID.fullmatch(text) is not None


_VARIANT = {digit: "89ab"[int(digit, 16) & 3] for digit in "0123456789abcdef"}
"""The first digit of a UUID's fourth group says, in its high bits, that it is one of RFC 4122."""
