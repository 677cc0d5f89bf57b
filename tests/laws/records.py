"""Records of any native format: made by its schema, with values that the mapping's samples and code tables know.

Nothing here knows a format. What a field takes is found out: each value of a pool is put into a sample in the field's
place, and those that the mapping takes without an error are used from then on.
"""

from __future__ import annotations

import json
import re
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from functools import cached_property
from random import Random
from typing import Any
from uuid import UUID

import yaml

from fhir_adapter.errors import Issue, Refused
from fhir_adapter.mapping.engine import Mapping, copied
from fhir_adapter.mapping.frames import says_something, schema_path
from fhir_adapter.mapping.inputs.declared import read_any
from fhir_adapter.mapping.rules import Rule

Record = dict[str, Any]
Place = tuple[str | int, ...]

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
IDS = ["nr 1", "M 2", "ü-3", "3f2b8f0e-64f5-4b59-9a3f-0d8a0f5a1c11", "8c2b8f0e-64f5-4b59-9a3f-0d8a0f5a1c12"]


class Records:
    """The records of one mapping. `random` decides; the same random makes the same records."""

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping
        self.schema = mapping.schema.schema

    # ---- what the samples know

    @cached_property
    def samples(self) -> list[Record]:
        """Every record among the samples."""
        found = []
        for path in sorted((self.mapping.folder / "samples").iterdir()):
            if ".fhir." not in path.name and path.is_file():
                found += [entry.taken() for entry in read_any(self.mapping.format, path.read_bytes())[1].entries]
        return [record for record in found if not self._faults(record)]

    @cached_property
    def seen(self) -> dict[str, list[tuple[Record, Place]]]:
        """Path in the format -> every place in a sample where it has a value."""
        seen: defaultdict[str, list[tuple[Record, Place]]] = defaultdict(list)
        for sample in self.samples:
            for place in places_in(sample):
                seen[path_of(place)].append((sample, place))
        return seen

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
            found |= {name + field for field in re.findall(r"\|\{([^}]+)\}", ids)}
        return found | {number for _, number in self.organisations}

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

    def values(self, path: str) -> list[Any]:
        """The values that the mapping takes at a path, where a sample has the path."""
        known = self._values.get(path)
        if known is None:
            known = self._values[path] = self._find_values(path)
        return known

    @cached_property
    def _values(self) -> dict[str, list[Any]]:
        return {}

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
            return [value for value in _each_once(pool) if is_free or self._takes(sample, place, value)]
        pool += [True, False] if any(isinstance(value, bool) for value in sent) else NUMBERS
        return [value for value in _each_once(pool) if self._takes(sample, place, value)]

    def _words_of(self, path: str) -> list[Any]:
        tables = [rule.pair.table for field, rule in self.mapping.coverage() if field == path and rule.pair is not None]
        return [word for table in tables if table is not None for row in table.rows for word in row.words]

    def _takes(self, sample: Record, place: Place, value: Any) -> bool:
        changed = copied(sample)
        at(changed, place[:-1])[place[-1]] = value
        try:
            self.mapping.get(changed, **PLACE)
        except Refused:
            return False
        return True

    # ---- records

    def record(self, random: Random) -> Record | None:
        """A record that the mapping takes, or None where none of three that were made could be mended."""
        return next(filter(None, (self._mended(random) for _ in range(3))), None)

    def _mended(self, random: Random) -> Record | None:
        used: set[Any] = set()
        made = self._object(self.schema, "", random, used)
        made["id"] = random.choice(["R-1", "Ü 2", IDS[3], *(str(sample["id"]) for sample in self.samples)])
        for _ in range(4):
            faults = self._faults(made)
            if not faults:
                return made
            for issue in faults:
                self._mend(made, issue)
        return None

    def _faults(self, record: Record) -> list[Issue]:
        try:
            self.mapping.get(record, **PLACE)
        except Refused as refusal:
            return [issue for issue in refusal.issues if issue.severity == "error"]
        return []

    def _mend(self, record: Record, issue: Issue) -> None:
        """Gives the field that is wrong a sample's value, or takes it away; a record that says too little says more."""
        if not issue.path:
            smallest = min(self.samples, key=lambda one: len(str(one)))
            record.update({name: copied(value) for name, value in smallest.items() if not record.get(name)})
            return
        place = place_of(issue.path)
        known = (at(*one) for one in self.seen.get(path_of(place), ()))
        value = next(filter(says_something, known), None)
        try:
            holder: Any = record
            for step in place[:-1]:
                holder = holder.setdefault(step, {}) if isinstance(holder, dict) else holder[step]
            is_tried = isinstance(holder, dict) and holder.get(place[-1]) == value
            if value is None or is_tried:
                del holder[place[-1]]
            else:
                holder[place[-1]] = copied(value)
        except (LookupError, TypeError):
            return

    def value(self, node: dict[str, Any], path: str, random: Random, used: set[Any]) -> Any:
        """A value for a node of the schema; NOTHING where the field had better be left out."""
        node = self._one_of(node, random)
        if "properties" in node and "object" in _types(node, "object"):
            return self._object(node, path, random, used)
        if "items" in node:
            return self._items(node, path, random, used)
        if "const" in node or "enum" in node:
            return random.choice([node["const"]] if "const" in node else node["enum"])
        pool: list[Any] = self.values(path) or _pool_by_type(node)
        if path in self.unique:
            pool = [value for value in pool if value not in used]
        chosen = random.choice(pool) if pool else NOTHING
        if path in self.unique:
            used.add(chosen)
        return chosen

    def _one_of(self, node: dict[str, Any], random: Random) -> dict[str, Any]:
        node = self.mapping.schema.resolved(node)
        for word in ("anyOf", "oneOf"):
            if word in node:
                return self._one_of(random.choice(node[word]), random)
        kinds = [kind for kind in _types(node, "") if kind in ("array", "object", "string", "number", "integer")]
        if len(kinds) > 1 and ("items" in node or "properties" in node):  # an item may stand as a bare value
            kind = random.choice(kinds)
            return {name: part for name, part in node.items() if _belongs(name, kind)} | {"type": kind}
        return node

    def _object(self, node: dict[str, Any], path: str, random: Random, used: set[Any]) -> Record:
        made: Record = {}
        properties = node.get("properties", {})
        share = random.choice([0, 0.1, 0.25, 0.5, 0.8, 0.8])
        alone = None if share else random.choice(list(properties))
        for name, child in properties.items():
            below = f"{path}.{name}" if path else name
            if name != alone and name not in node.get("required", ()) and random.random() >= share:
                continue
            value = self.value(child, below, random, used)
            if value is not NOTHING:
                made[name] = value
        return made

    def _items(self, node: dict[str, Any], path: str, random: Random, used: set[Any]) -> list[Any]:
        many = max(node.get("minItems", 0), random.choice([0, 1, 1, 2]))
        items = [
            self.value(node["items"], f"{path}[]", random, used) for _ in range(min(many, node.get("maxItems", many)))
        ]
        items = [item for item in items if item is not NOTHING]
        ids: set[Any] = set()
        for item in items:
            if isinstance(item, dict) and "id" in item:
                free = [one for one in [*self._ids_at(f"{path}[].id"), *IDS] if one not in ids]
                item["id"] = random.choice(free)
                ids.add(item["id"])
        return items if all(isinstance(item, dict) for item in items) else _each_once(items)

    # ---- changes

    def changed(self, record: Record, random: Random) -> Record | None:
        """The record after one to three changes that its system could make: a value, an added or removed item."""
        after = copied(record)
        for _ in range(random.choice([1, 1, 2, 3])):
            self._change(after, random)
        return None if self._faults(after) else after

    def _change(self, record: Record, random: Random) -> None:
        places = [place for place in places_in(record) if place != ("id",)]
        lists = [place for place in places if isinstance(at(record, place), list)]
        if lists and random.random() < 0.4:
            self._change_list(record, random.choice(lists), random)
            return
        place = random.choice(places) if places else None
        if place is None or place[-1] == "id" or any(path_of(place) in pair for pair in self.organisations):
            return
        holder, path = at(record, place[:-1]), path_of(place)
        if random.random() < 0.2 and isinstance(holder, dict):
            del holder[place[-1]]
        elif not isinstance(holder[place[-1]], dict | list) and self.values(path) and path not in self.unique:
            holder[place[-1]] = random.choice(self.values(path))

    def _change_list(self, record: Record, place: Place, random: Random) -> None:
        items = at(record, place)
        if items and random.random() < 0.5:
            del items[random.randrange(len(items))]
            return
        node = self._node_at(path_of(place))
        used = {at(record, other) for other in places_in(record) if path_of(other) in self.unique}
        made = self.value(node["items"], f"{path_of(place)}[]", random, used) if "items" in node else NOTHING
        if made is NOTHING or made in items:
            return
        if isinstance(made, dict) and "id" in made:
            made["id"] = next(
                (one for one in IDS if all(item.get("id") != one for item in items if isinstance(item, dict))), "9"
            )
        items.append(made)

    def _ids_at(self, path: str) -> list[Any]:
        """Ids of a list, none of them a word that another field may have: an item told by that word is another one."""
        return [value if value not in (*WORDS, *TIMES) else f"id {value}" for value in self.values(path)]

    def _node_at(self, path: str) -> dict[str, Any]:
        node = self.mapping.schema.resolved(self.schema)
        for step in path.split("."):
            node = self.mapping.schema.resolved(node.get("properties", {}).get(step.removesuffix("[]"), {}))
            if step.endswith("[]"):
                node = self.mapping.schema.resolved(node.get("items", {}))
        return node


def is_called(rule: Rule, name: str) -> bool:
    """Is it a rule with this converter?"""
    return rule.converter is not None and rule.converter.name == name


class _Nothing:
    """Stands for no value at all: None is one in JSON."""


NOTHING = _Nothing()


def places_in(value: Any, place: Place = ()) -> Iterator[Place]:
    """Every place of a JSON value, the value itself left out."""
    children = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for step, child in children:
        yield (*place, step)
        yield from places_in(child, (*place, step))


def at(value: Any, place: Place) -> Any:
    """What stands at a place."""
    for step in place:
        value = value[step]
    return value


def path_of(place: Place) -> str:
    """The path in the format of a place: `mal[].text`."""
    path = ""
    for step in place:
        path += "[]" if isinstance(step, int) else f".{step}" if path else str(step)
    return path


def place_of(path: str) -> Place:
    """The place of a sender's path: `mal[1].text`."""
    steps: list[str | int] = []
    for step in path.split("."):
        name, *indexes = step.replace("]", "").split("[")
        steps += [name, *(int(index) for index in indexes if index.isdigit())]
    return tuple(steps)


def _each_once(values: list[Any]) -> list[Any]:
    return list({json.dumps([type(value).__name__, value], default=str): value for value in values}.values())


def _types(node: dict[str, Any], otherwise: str) -> list[str]:
    kinds = node.get("type", otherwise)
    return [kinds] if isinstance(kinds, str) else list(kinds)


def _belongs(name: str, kind: str) -> bool:
    if name in ("properties", "required", "additionalProperties"):
        return kind == "object"
    return kind == "array" if name in ("items", "minItems", "maxItems") else True


def _pool_by_type(node: dict[str, Any]) -> list[Any]:
    kinds = _types(node, "string")
    if "pattern" in node or node.get("format"):
        return [NOTHING, *TIMES] if node.get("format") else WORDS
    pools: dict[str, list[Any]] = {"string": WORDS, "boolean": [True, False], "number": NUMBERS, "integer": [1, 7, 60]}
    return [value for kind in kinds for value in pools.get(kind, [])] or [NOTHING]
