"""Records of any native format, made by its schema with the values that its fields take."""

from __future__ import annotations

from random import Random
from typing import Any
from uuid import UUID

from fhir_adapter.errors import Issue
from fhir_adapter.mapping.engine import Mapping, copied
from fhir_adapter.mapping.frames import native_path, says_something
from tests.laws.places import NOTHING, Record, at, path_of, place_of, places_in
from tests.laws.pools import BORN, Node, Pools, as_number, each_once, is_open, pool_by_type, types_of


class Records:
    """The records of one mapping. `random` decides; the same random makes the same records."""

    def __init__(self, mapping: Mapping) -> None:
        self.mapping = mapping
        self.pools = Pools(mapping)

    def record(self, random: Random) -> Record | None:
        """A record that the mapping takes, or None where none of three that were made could be mended."""
        return next(filter(None, (self._mended(random) for _ in range(3))), None)

    def _mended(self, random: Random) -> Record | None:
        used: set[Any] = set()
        made = self._object(self.pools.schema, "", random, used)
        self._name(made, random.choice(["R-1", "Ü 2", BORN, *(str(one["id"]) for one in self.pools.samples)]))
        self._aim(made, random)
        for _ in range(4):
            faults = self.pools.faults(made)
            if not faults:
                return made
            for issue in faults:
                self._mend(made, issue)
        return None

    def _name(self, record: Record, name: str) -> None:
        """Gives the record its id, in the field that the format copies it from too."""
        for path in filter(None, ("id", self.mapping.format.id_path)):
            native_path(path).write(record, name)

    def _aim(self, record: Record, random: Random) -> None:
        """Lets half of what is called by a name, and most references (`Goal/1`), lead to somebody in the record."""
        places = [*places_in(record)]
        names = [at(record, place) for place in places if path_of(place) in self.pools.naming]
        for place in places:
            said, holder = at(record, place), at(record, place[:-1])
            if path_of(place) in self.pools.calling and names and random.random() < 0.5:
                holder[place[-1]] = random.choice(names)
            elif place[-1] == "reference" and "/" in str(said) and random.random() < 0.95:
                type_ = str(said).partition("/")[0]
                items = record.get(type_)
                keys = [item["id"] for item in items if "id" in item] if isinstance(items, list) else []
                holder[place[-1]] = f"{type_}/{random.choice(keys)}" if keys else said

    def _mend(self, record: Record, issue: Issue) -> None:
        """Gives the field that is wrong a sample's value, or takes it away; a record that says too little says more."""
        if not issue.path:
            smallest = min(self.pools.samples, key=lambda one: len(str(one)))
            record.update({name: copied(value) for name, value in smallest.items() if not record.get(name)})
            return
        place = place_of(issue.path)
        known = (at(*one) for one in self.pools.seen.get(path_of(place), ()))
        value = next(filter(says_something, known), None)
        try:
            holder: Any = record
            for step in place[:-1]:
                holder = holder.setdefault(step, {}) if isinstance(holder, dict) else holder[step]
            is_tried = isinstance(holder, dict) and holder.get(place[-1]) == value
            if issue.code == "duplicate":
                holder[place[-1]] = f"another-{place[-2]}"
            elif value is None or is_tried:
                del holder[place[-1]]
            else:
                holder[place[-1]] = copied(value)
        except (LookupError, TypeError):
            return

    def value(self, node: Node, path: str, random: Random, used: set[Any]) -> Any:
        """A value for a node of the schema; NOTHING where the field had better be left out."""
        node = self._one_of(node, random)
        if "properties" in node and "object" in types_of(node, "object"):
            return self._object(node, path, random, used)
        if "items" in node:
            return self._items(node, path, random, used)
        if "const" in node or "enum" in node:
            return random.choice([node["const"]] if "const" in node else node["enum"])
        pool: list[Any] = self.pools.parts(path) if is_open(node) else self.pools.values(path) or pool_by_type(node)
        if path in self.pools.unique:
            pool = [value for value in pool if as_number(value) not in used]
        chosen = copied(random.choice(pool)) if pool else NOTHING
        if path in self.pools.unique:
            used.add(as_number(chosen))
        return chosen

    def _one_of(self, node: Node, random: Random) -> Node:
        node = self.mapping.schema.resolved(node)
        for word in ("anyOf", "oneOf"):
            if word in node:
                return self._one_of(random.choice(node[word]), random)
        kinds = [kind for kind in types_of(node, "") if kind in ("array", "object", "string", "number", "integer")]
        if len(kinds) > 1 and ("items" in node or "properties" in node):  # an item may stand as a bare value
            kind = random.choice(kinds)
            return {name: part for name, part in node.items() if _belongs(name, kind)} | {"type": kind}
        return node

    def _object(self, node: Node, path: str, random: Random, used: set[Any]) -> Record:
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

    def _items(self, node: Node, path: str, random: Random, used: set[Any]) -> list[Any]:
        many = max(node.get("minItems", 0), random.choice([0, 1, 1, 2, 3]))
        many = min(many, node.get("maxItems", many))
        items = [self.value(node["items"], f"{path}[]", random, used) for _ in range(many)]
        items = [item for item in items if item is not NOTHING]
        numbered = [item for item in items if isinstance(item, dict) and "id" in item]
        for item in numbered if not is_open(self.pools.node_at(f"{path}[]")) else ():
            item["id"] = self.new_id(f"{path}[]", [other["id"] for other in numbered if other is not item], random)
        return items if all(isinstance(item, dict) for item in items) else each_once(items)

    def new_id(self, path: str, taken: list[Any], random: Random) -> str:
        """An id for an item of a list; a UUID is one thing wherever it stands."""
        born = str(UUID(int=random.getrandbits(128), version=4))
        return random.choice([one for one in [*self.pools.ids(path), born] if one not in taken])  # type: ignore[no-any-return]


def _belongs(name: str, kind: str) -> bool:
    if name in ("properties", "required", "additionalProperties"):
        return kind == "object"
    return kind == "array" if name in ("items", "minItems", "maxItems") else True
