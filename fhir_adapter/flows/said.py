"""What parties said last, in FHIR: each record is compared with that at its next push, and the newest are remembered.

They are found by the digest of their bytes, so it does not matter what became of the push that brought them. And they
are kept as JSON: the objects would take more room, and be looked through for garbage again and again.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Container, Iterable, Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple
from uuid import UUID, uuid5

from fhir_adapter.fhir.differences import Untold
from fhir_adapter.fhir.resources import Readings, Resource, reference_of
from fhir_adapter.mapping.engine import Mapped, Mapping
from fhir_adapter.mapping.recognising import NO_NAMES, Earlier, Names, names_of
from fhir_adapter.plan.called import with_the_plans_tasks
from fhir_adapter.plan.identity import as_the_known_person, under_the_name
from fhir_adapter.plan.merge import Refs
from fhir_adapter.store import journal
from fhir_adapter.store.journal import Entry
from fhir_adapter.store.plans import Record

if TYPE_CHECKING:
    import sqlite3

MOST = 1024
"""Records that are remembered, of some 30 kB each."""


def own_name(namespace: UUID, source: str, person: str) -> str:
    """What a system's own record is called of a person whom another one brought first under this name."""
    return f"{person.partition('/')[0]}/{uuid5(namespace, f'{source}|{person}')}"


ON_ITS_OWN = frozenset({"Practitioner", "PractitionerRole", "RelatedPerson"})
"""People beside the one whom a plan is about: of them, too, each party has a record of its own."""


class _Told(NamedTuple):
    resources: tuple[bytes, ...]
    rest: Mapped


@dataclass(frozen=True, slots=True)
class Lens:
    """A mapping, the system whose ids a record uses, and our namespace: all that its form in FHIR depends on.

    `home`: the system that brought the plan, where the record uses another one's ids.
    """

    mapping: Mapping
    source: str
    namespace: UUID
    home: str = ""

    def own_name(self, person: str) -> str:
        """The reference of the plan's own record of a person, relative or staff whom another party brought first."""
        return own_name(self.namespace, self.home or self.source, person)

    def get(self, native: Any, names: Names = NO_NAMES, shown: Callable[[], Iterable[Any]] = tuple) -> Mapped:
        """The record in FHIR; `names` of its items without id, `shown` to its sender before. Raises Refused."""
        return self.mapping.get(native, source=self.source, namespace=self.namespace, names=names, shown=shown)

    def get_again(self, native: Any, names: Names) -> Mapped:
        """What was taken or shown before: if others wrote in it what its format does not allow, that is known."""
        return self.get(native, names, lambda: (native,))

    def put(self, resources: Sequence[Resource], before: Earlier, untold: list[Untold] | None = None) -> Earlier:
        """The record as it was before, with what the resources say differently; `untold`: as for the mapping's."""
        return self.mapping.put_named(resources, before, source=self.source, namespace=self.namespace, untold=untold)

    def names_in(self, native: dict[str, Any], earlier: Sequence[Earlier], held: Container[str]) -> Names:
        """The names of the items without id, as they were in earlier records; `held`: what there is already."""
        return self.mapping.names_in(native, earlier, source=self.source, namespace=self.namespace, held=held)

    def remember(self, digest: bytes, names: str | None, mapped: Mapped, readings: Readings) -> None:
        """Keep what the bytes with this digest say, where its items have these names; `readings` of its resources."""
        rest = replace(mapped, resources=[], trace=lambda _reference, _element: "")
        _told[self, digest, names] = _Told(readings.raw, rest)
        if len(_told) > MOST:
            _told.popitem(last=False)

    def resources(self, said: Entry, names: str | None, readings: Readings) -> list[Resource]:
        """What an entry says: remembered, or mapped once more."""
        told = _told.pop((self, said.digest, names), None)
        if told is None:
            return self.get_again(self.mapping.record_in(said.body), names_of(names)).resources
        return [readings.read(raw) for raw in told.resources]

    def rest(self, said: Entry, names: str | None) -> Mapped | None:
        """What the mapping had to tell of an entry beside the resources, if it is remembered."""
        told = _told.get((self, said.digest, names))
        return told.rest if told else None


def by_reference(lens: Lens, said: Sequence[Resource], ours: Refs) -> Refs:
    """The record's resources; the Task of an intervention is the one that the plan has for it, whoever made that, and
    a person who got another number, or of whom its party has a record of its own, is the one whom the plan knows."""
    found = with_the_plans_tasks(said, ours)
    new = (ref for ref in tuple(found) if ref not in ours and ref.partition("/")[0] in ON_ITS_OWN)
    for name in new if ours else ():
        if (its_own := lens.own_name(name)) in ours:
            found = under_the_name(found, name, its_own)
    return as_the_known_person(found, ours, reference_of(said[0]), lens.own_name)


def record_said(connection: sqlite3.Connection, mapping: Mapping, record: Record | None) -> Earlier | None:
    """What a party said last of a plan, in its own format; None where it said nothing yet."""
    if record is None or record.said is None:
        return None
    return Earlier(mapping.record_in(journal.by_id(connection, record.said).body), names_of(record.names))


_told: OrderedDict[tuple[Lens, bytes, str | None], _Told] = OrderedDict()
