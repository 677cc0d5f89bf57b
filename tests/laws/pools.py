"""What may stand where in the records of a mapping: words of its samples and code tables, and words that are hard.

Nothing here knows a format. What a field takes is found out: each value of a pool is put into a sample in the field's
place, and those that the mapping takes without an error are used from then on.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from decimal import Decimal
from functools import cached_property
from typing import Any
from uuid import UUID

import yaml

from fhir_adapter.errors import Issue, Refused
from fhir_adapter.mapping.engine import Mapping, copied
from fhir_adapter.mapping.frames import schema_path
from fhir_adapter.mapping.inputs.declared import read_any
from fhir_adapter.mapping.knowledge import plain_number
from fhir_adapter.mapping.rules import Rule
from tests.laws.places import NOTHING, Place, Record, at, path_of, places_in

PLACE: dict[str, Any] = {"source": "https://source.example", "namespace": UUID(int=7)}

WORDS = [
    "Åsa Öberg", "Größwang", "Nordisk e\u0301", "Søren Ægir, læge", "x", "a, b (c)", " spaces ", "#1", "0",
    "<b>&amp;</b>", "'; --", "🙂", "ﬁ ligature", "1992", "line\nbreak",
]  # fmt: skip
TIMES = [
    "1992", "1992-05", "2025-02-28", "2024-02-29", "2025-02-19T13:00:00+01:00", "2025-07-01T00:00:00Z",
    "2025-10-26T02:30:00", "2025-03-30T02:30:00", "2026-12-31T23:59:59.123+01:00", "20250219130501", "199205",
]  # fmt: skip
NUMBERS = [0, 1, 7, 60, 10**12, -5, Decimal("0.10"), Decimal("12.50")]
IDS = ["nr 1", "M 2", "ü-3"]
BORN = "3f2b8f0e-64f5-4b59-9a3f-0d8a0f5a1c11"
"""an id that FHIR gave"""

Node = dict[str, Any]
"""of a JSON Schema"""


class Pools:
    """The values that the fields of one mapping take."""

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping
        self.schema = mapping.schema.schema
        self._values: dict[str, list[Any]] = {}

    def faults(self, record: Record) -> list[Issue]:
        """Why the mapping refuses a record; empty where it takes it."""
        try:
            self.mapping.get(record, **PLACE)
        except Refused as refusal:
            return [issue for issue in refusal.issues if issue.severity == "error"]
        return []

    @cached_property
    def samples(self) -> list[Record]:
        """Every record among the samples."""
        found = []
        for path in sorted((self.mapping.folder / "samples").iterdir()):
            if ".fhir." not in path.name and path.is_file():
                found += [entry.taken() for entry in read_any(self.mapping.format, path.read_bytes())[1].entries]
        return [record for record in found if not self.faults(record)]

    @cached_property
    def seen(self) -> dict[str, list[tuple[Record, Place]]]:
        """Path in the format -> every place in a sample where it has a value."""
        seen: defaultdict[str, list[tuple[Record, Place]]] = defaultdict(list)
        for sample in self.samples:
            for place in places_in(sample):
                seen[path_of(place)].append((sample, place))
        return seen

    def node_at(self, path: str) -> Node:
        """The schema's node for a path."""
        node = self.mapping.schema.resolved(self.schema)
        for step in filter(None, path.split(".")):
            node = self.mapping.schema.resolved(node.get("properties", {}).get(step.removesuffix("[]"), {}))
            if step.endswith("[]"):
                node = self.mapping.schema.resolved(node.get("items", {}))
        return node

    # ---- what is told apart by a value, or called by it

    @cached_property
    def unique(self) -> set[str]:
        """Fields with a public number of a list's item: one number is one thing, so no two items may share it."""
        found = set()
        declared = yaml.safe_load((self.mapping.folder / "mapping.yaml").read_text("utf-8"))
        waiting = [("", declared["lists"][0])]
        while waiting:
            prefix, one = waiting.pop()
            name = "" if one["native"] == "." else f"{prefix}{schema_path(one['native'])}."
            waiting += [(name, inner) for inner in one.get("lists") or ()]
            ids = str([anchor.get("id") for anchor in one["anchors"].values()]) if name else ""
            found |= {schema_path(name + field) for field in re.findall(r"\|\{([^}]+)\}", ids)}
        return found | {number for _, number in self.organisations}

    def numbers_in(self, record: Record) -> set[Any]:
        """The numbers in these fields of a record, as they are compared."""
        return {as_number(at(record, place)) for place in places_in(record) if path_of(place) in self.unique}

    @cached_property
    def organisations(self) -> set[tuple[str, str]]:
        """Fields with name and number of an organisation: under one number it has one name, whoever writes it."""
        found = set()
        for scope in self.mapping.scopes():
            for field in scope.fields:
                if len(field.natives) == 2 and any(is_called(rule, "organisation") for rule in field.rules):
                    prefix = f"{scope.name}." if scope.name else ""
                    name, number = (schema_path(prefix + native.text) for native in field.natives)
                    found.add((name, number))
        return found

    @cached_property
    def naming(self) -> set[str]:
        """Fields by whose value other fields call what they are in."""
        return {
            f"{scope.name}.{anchor.call.text}".removeprefix(".")
            for scope in self.mapping.scopes()
            for anchor in scope.anchors
            if anchor.call is not None
        }

    @cached_property
    def calling(self) -> set[str]:
        """Fields that call something by its name in a sample."""
        found = set()
        for sample in self.samples:
            named = {at(sample, place) for place in places_in(sample) if path_of(place) in self.naming}
            found |= {path_of(place) for place in places_in(sample) if _is_word(at(sample, place), named)}
        return found - self.naming

    # ---- values

    def values(self, path: str) -> list[Any]:
        """The values that the mapping takes at a path, where a sample has the path."""
        if path not in self._values:
            self._values[path] = self._find_values(path)
        return self._values[path]

    def _find_values(self, path: str) -> list[Any]:
        here = self.seen.get(path, [])
        sent = [value for value in (at(*one) for one in here) if not isinstance(value, dict | list)]
        if not sent:
            return []
        sample, place = min(here, key=lambda one: len(str(one[0])))
        pool = [*sent, *self._words_of(path)]
        if any(isinstance(value, str) for value in sent):
            is_free = all(self._takes(sample, place, word) for word in WORDS[:2])
            pool += [*WORDS, *TIMES] if is_free else TIMES
            return [value for value in each_once(pool) if is_free or self._takes(sample, place, value)]
        pool += [True, False] if any(isinstance(value, bool) for value in sent) else NUMBERS
        return [value for value in each_once(pool) if self._takes(sample, place, value)]

    def _words_of(self, path: str) -> list[Any]:
        tables = [rule.pair.table for field, rule in self.mapping.coverage() if field == path and rule.pair is not None]
        return [word for table in tables if table is not None for row in table.rows for word in row.words]

    def _takes(self, sample: Record, place: Place, value: Any) -> bool:
        changed = copied(sample)
        at(changed, place[:-1])[place[-1]] = value
        return not self.faults(changed)

    def parts(self, path: str) -> list[Record]:
        """The objects that samples have where the schema leaves open what is in them: here, or where it says so too."""
        return self._parts.get(path) or self._parts.get(_as_key(self.node_at(path)), [])

    @cached_property
    def _parts(self) -> dict[str, list[Record]]:
        found: defaultdict[str, list[Record]] = defaultdict(list)
        for path, places in self.seen.items():
            if is_open(self.node_at(path)):
                for name in (path, _as_key(self.node_at(path))):
                    found[name] += [at(*one) for one in places]
        return dict(found)

    def ids(self, path: str) -> list[Any]:
        """Ids for the items of a list, none of them a word that other fields take: who is told by that is another."""
        known = self.values(f"{path}.id")
        ids = [*(f"id {value}" if value in (*WORDS, *TIMES) else value for value in known), *IDS]
        pattern = re.compile(self.node_at(f"{path}.id").get("pattern", ""))
        return [one for one in ids if pattern.search(str(one))]


def as_number(value: Any) -> Any:
    """A value as a number is compared: `1992-05` and `199205` are one."""
    return plain_number(value) if isinstance(value, str) else value


def is_called(rule: Rule, name: str) -> bool:
    """Is it a rule with this converter?"""
    return rule.converter is not None and rule.converter.name == name


def is_open(node: Node) -> bool:
    """Is it an object of which the schema leaves open what is in it?"""
    return types_of(node, "") == ["object"] and "properties" not in node


def types_of(node: Node, otherwise: str) -> list[str]:
    """The JSON types that a node allows."""
    kinds = node.get("type", otherwise)
    return [kinds] if isinstance(kinds, str) else list(kinds)


def pool_by_type(node: Node) -> list[Any]:
    """Values for a field that no sample has."""
    kinds = types_of(node, "string")
    if "pattern" in node or node.get("format"):
        return [NOTHING, *TIMES] if node.get("format") else WORDS
    pools: dict[str, list[Any]] = {"string": WORDS, "boolean": [True, False], "number": NUMBERS, "integer": [1, 7, 60]}
    return [value for kind in kinds for value in pools.get(kind, [])] or [NOTHING]


def each_once(values: list[Any]) -> list[Any]:
    """The values without their doubles; 1 and True are two."""
    return list({json.dumps([type(value).__name__, value], default=str): value for value in values}.values())


def _is_word(value: Any, words: set[Any]) -> bool:
    return isinstance(value, str) and value in words


def _as_key(node: Node) -> str:
    return json.dumps(
        {name: part for name, part in node.items() if name not in ("title", "description")}, sort_keys=True
    )
