"""Reads a mapping's folder and compiles it; a wrong declaration fails here, with file, line, rule and reason."""

from __future__ import annotations

import difflib
import functools
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, NoReturn

from fhir_adapter.errors import BadDeclaration
from fhir_adapter.mapping.anchor_words import Types, anchor_of, as_list, check_id, condition, held_by_roots
from fhir_adapter.mapping.compiled import make_function, write_function
from fhir_adapter.mapping.converters.times import zone_of
from fhir_adapter.mapping.declaration import read_declaration
from fhir_adapter.mapping.demands import Demands, read_demands, read_variants
from fhir_adapter.mapping.ends import words_for_ends
from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.files import Files, Place
from fhir_adapter.mapping.frames import native_path, schema_path
from fhir_adapter.mapping.inputs.declared import declared_format
from fhir_adapter.mapping.inputs.formats import Format
from fhir_adapter.mapping.knowledge import Knowledge, Register
from fhir_adapter.mapping.named_fields import check_names, check_names_of_variants
from fhir_adapter.mapping.nesting import check_lists
from fhir_adapter.mapping.rule_words import Line, fields_of
from fhir_adapter.mapping.rules import Field
from fhir_adapter.mapping.said import Said
from fhir_adapter.mapping.schema import RecordSchema
from fhir_adapter.mapping.scopes import Scope, watch_of
from fhir_adapter.mapping.shorthand import Shorthand
from fhir_adapter.mapping.tables import register_of, tables_of

__all__ = ["FOLDER", "find", "load"]

FOLDER = Path(__file__).resolve().parents[2] / "mappings"
"""The mappings of this repository, found in a checkout and in an editable installation."""

_SELECTED = re.compile(r"(?P<list>\[(?P<key>[^=\]]+)=[^\]]*\])")


def load(folder: Path) -> Mapping:
    """The mapping declared in `folder`. Raises BadDeclaration."""
    return _Loader(folder).mapping()


def find(name: str, folder: Path | None = None) -> Mapping:
    """The mapping called `name` in `folder` (else FOLDER), compiled once; a name with a / is a folder of one's own.

    Raises BadDeclaration where there is none.
    """
    if "/" in name or name in (".", ".."):
        own = Path(name).resolve()
        if not (own / "mapping.yaml").is_file():
            raise BadDeclaration(f"{name}: there is no mapping.yaml in this folder")
        return _find(own.name, own.parent)
    return _find(name, folder or FOLDER)


@functools.lru_cache(maxsize=32)
def _find(name: str, folder: Path) -> Mapping:
    if re.fullmatch(r"[\w][\w. -]*", name) is None or not (folder / name / "mapping.yaml").is_file():
        known = sorted(path.parent.name for path in folder.glob("*/mapping.yaml"))
        hint = f"; the folder of this name is written {name}/" if (Path(name) / "mapping.yaml").is_file() else ""
        raise BadDeclaration(f"there is no mapping {name!r}; there are: {', '.join(known) or 'none'}{hint}")
    return load(folder / name)


class _Loader:
    """Compiles one folder."""

    def __init__(self, folder: Path) -> None:
        self.files = Files(folder)

    def mapping(self) -> Mapping:
        declared, self.lines = read_declaration(self.files)
        zone = self.zone(declared.get("zone") or "")
        schema = self.schema(declared["schema"])
        tables = tables_of(self.files, as_list(declared.get("codes")))
        register = (
            register_of(self.files, declared["organisations"], tables) if "organisations" in declared else Register()
        )
        self.knowledge = Knowledge(tables, register, zone, declared.get("converters") or {})
        self.fields = dict(schema.fields())
        self.required = schema.required_fields()
        refused, constants = declared.get("refused") or {}, declared.get("constants") or {}
        copied = as_list((declared.get("input") or {}).get("id"))  # the fields whose value is the record's id
        self.covered: set[str] = {"id", *constants, *self.refused(refused), *map(schema_path, copied)}
        """the fields that are dealt with"""
        self.whole: set[str] = {*refused, *(f"{path}[]" for path in refused)}
        """the fields that are dealt with together with all that is in them"""
        self.said = Said()
        self.ruled: dict[str, int | None] = {}
        """the fields that rules are about, with the line of the first of them"""
        self.types_of_lists: Types = dict(_types_of_lists(declared["lists"]))
        check_names(self.files, self.lines, declared, self.fields)
        root = self.scope(declared["lists"][0], ("lists", 0), {}, {}, "")
        check_lists(root, self.files)
        self.check_refused(refused)
        self.check_coverage()
        format_ = self.format(declared.get("input"), schema)
        name, version = declared["name"], str(declared["version"])
        folder, owners = self.files.folder, self.owners(root)
        return Mapping(
            name, version, folder, root, schema, self.knowledge, constants, refused, format_, owners,
            self.demands(declared), shorthand_of(declared["lists"]),
            declared.get("profiles") or {}, declared.get("lossy") or {},
        )  # fmt: skip

    def demands(self, declared: dict[str, Any]) -> Demands:
        self.at("demands", ("demands",))
        chosen = declared.get("variants") or {}
        try:
            always = read_demands(declared.get("demands") or (), self.condition)
            if not chosen:
                return Demands(always)
            declared_variants, lines = self.files.yaml(chosen["file"])
            variants = read_variants(declared_variants, self.condition)
            check_names_of_variants(self.files, chosen["file"], lines, declared_variants, self.fields)
            return Demands(always, variants, chosen["by"])
        except (ValueError, KeyError, TypeError, re.error) as fault:
            self.files.fail(str(fault))

    def condition(self, text: str, place: str) -> Callable[[dict[str, Any]], bool]:
        return condition(self.files, text, self.said.at(place))

    def at(self, place: str, path: Place) -> None:
        self.files.at("mapping.yaml", place, self.lines.get(path))

    def zone(self, name: str) -> str:
        self.at("zone", ("zone",))
        try:
            return zone_of(name).key if name else ""
        except ValueError as fault:
            self.files.fail(str(fault))

    def schema(self, name: str) -> RecordSchema:
        declared = self.files.json(name)
        try:
            return RecordSchema(declared)
        except RecursionError:
            self.files.fail("a $ref leads back to itself, a cycle: write out as many levels as records have")
        except (ValueError, KeyError, TypeError) as fault:
            self.files.fail(f"is not a JSON Schema: {fault}")

    def format(self, declared: Any, schema: RecordSchema) -> Format:
        self.at("input", ("input",))
        try:
            return declared_format(declared, schema)
        except KeyError as fault:
            self.files.fail(f"the word {fault} is missing")
        except (ValueError, TypeError, AttributeError) as fault:
            self.files.fail(str(fault))

    def refused(self, refused: dict[str, str]) -> set[str]:
        for path in refused:
            self.at(f"refused {path!r}", ("refused", path))
            if path not in self.fields and f"{path}[]" not in self.fields:
                self.unknown_field(path)
            try:
                native_path(path)
            except ValueError as fault:
                self.files.fail(str(fault))
        return set(refused)

    def unknown_field(self, path: str) -> NoReturn:
        near = difflib.get_close_matches(path, self.fields, n=1)
        hint = f"; did you mean {near[0]!r}?" if near else ""
        self.files.fail(f"{path!r} is not a field of the format's schema{hint}")

    def check_refused(self, refused: dict[str, str]) -> None:
        """What FHIR does not get has no rule."""
        for path in refused:
            own = next(
                (field for field in self.ruled if field == path or field.startswith((f"{path}.", f"{path}[]"))), None
            )
            if own is not None:
                self.at(f"refused {path!r}", ("refused", path))
                self.files.fail(f"{own!r} has a rule in line {self.ruled[own]}: take away the rule, or this reason")

    def owners(self, root: Scope) -> dict[str, str]:
        """FHIR type and element path without positions -> the kind of owner that the rules name: one for each."""
        owners: dict[str, str] = {}
        for rule in (rule for scope in root.with_all_inside() for field in scope.fields for rule in field.rules):
            for element in rule.elements() if rule.owner is not None else ():
                if owners.setdefault(element, str(rule.owner)) != rule.owner:
                    self.files.at("mapping.yaml", f"rule `{rule.text}`", rule.line)
                    self.files.fail(f"{element} has two owners, {owners[element]} and {rule.owner}: name one")
        return owners

    # ---- lists

    def scope(
        self, declared: dict[str, Any], place: Place, outer: Types, owners: dict[str, str], prefix: str, label: str = ""
    ) -> Scope:
        native = declared["native"]
        is_root = native == "."
        name = "" if is_root else f"{prefix}{native}"
        self.at(f"list {name or '.'}", place)
        if not is_root and (not native.endswith("[]") or schema_path(name) not in self.fields):
            self.files.fail(f"is not a list of the format's schema{self._instead_of(schema_path(name))}")
        self.covered.update({schema_path(name), f"{schema_path(name)}.id"} if name else ())
        inside = "" if is_root else f"{name}."
        types = dict(outer)
        anchors = []
        for anchor_name, anchor in declared["anchors"].items():
            self.at(f"list {name or '.'}, anchor {anchor_name!r}", (*place, "anchors", anchor_name))
            for text in as_list(anchor.get("id")):
                check_id(self.files, text, is_root=is_root)
            anchors.append(
                anchor_of(
                    self.files, anchor_name, anchor, types, self.types_of_lists, self.knowledge, self.said.at(name)
                )
            )
        anchors = held_by_roots(anchors)
        owners = owners | {known: one["owner"] for known, one in declared["anchors"].items() if "owner" in one}
        self.at(f"list {name or '.'}", place)
        primary = next((a for a in anchors if a.type is not None or a.element is not None), None)
        if primary is None:
            self.files.fail("no anchor of its own: nothing would tell its items apart")
        where = self.condition(declared["where"], name) if "where" in declared else None
        if (key := declared.get("key")) and schema_path(f"{inside}{key}") not in self.fields:
            self.files.fail(f"the key {key!r} is not a field of the format's schema")
        fields = fields_of(
            self.files, self.rules(declared.get("rules") or [], (*place, "rules")), types, owners,
            lambda field: self.check_native(f"{inside}{field}"), self.knowledge,
        )  # fmt: skip
        self.carry(fields, name)
        below = declared.get("lists") or []
        lists = tuple(
            self.scope(inner, (*place, "lists", index), types, owners, inside, label_of(index, below))
            for index, inner in enumerate(below)
        )
        standing = (primary, *(anchor for anchor in anchors if anchor.root and anchor is not primary))
        naming = tuple(one for one in lists if one.naming or one.numbered or one.is_placed)
        make, made = make_function(name or ".", native.removesuffix("[]"), anchors, standing)
        write, written = write_function(name or ".", fields)
        return Scope(
            name, native_path(native.removesuffix("[]")), declared.get("key"), tuple(anchors), primary, fields, lists,
            bool(declared.get("early")), make, write, f"{made}\n\n{written}", where, self.lines.get(place, 0), standing,
            f"{schema_path(name)}.id" in self.fields and any(anchor.type is not None for anchor in anchors),
            next((anchor.type for anchor in anchors if anchor.adopt), None),
            frozenset(
                path.removeprefix(inside)
                for path, node in self.fields.items()
                if "required" in node and path.startswith(inside)
            ),
            watch_of(anchors, primary, fields, lists), words_for_ends(anchors, standing, fields, is_root=is_root),
            label or native, naming,
        )  # fmt: skip

    def carry(self, fields: Iterable[Field], name: str) -> None:
        """Notes what the rules of a list carry to FHIR, and that an item's id says that it is there."""
        here = self.said.at(name)
        if name:
            here.at("id").carry()
        for field in fields:
            for rule in (rule for rule in field.rules if rule.writes):
                for native in field.natives:
                    here.at(native.text).carry(rule.pair.silent if rule.pair is not None else ())

    def rules(self, declared: list[Any], place: Place) -> list[Line]:
        """The rules with their lines, and those that were taken over from another list as a whole."""
        found: list[Line] = []
        for index, entry in enumerate(declared):
            inner = (*place, index)
            found += self.rules(entry, inner) if isinstance(entry, list) else [(entry, self.lines[inner])]
        return found

    def _instead_of(self, name: str) -> str:
        """What to do about a list that the schema does not have."""
        field = name.removesuffix("[]")
        if field != name and field in self.fields:
            return '; say `"type": "array"` there, and what it says now of the one item under `items`'
        near = difflib.get_close_matches(f"{field}[]", [known for known in self.fields if known.endswith("[]")], n=1)
        return f"; did you mean {near[0]!r}?" if near else ""

    def check_native(self, path: str) -> tuple[dict[str, Any], bool]:
        """What the schema says of a field that a rule is about, and whether what it is in must have it."""
        keys = [schema_path(path[: at.end("list")]) + f".{at['key']}" for at in _SELECTED.finditer(path)]
        path = schema_path(path)
        path = path if path in self.fields else path.removesuffix("[]")  # one item of a list of plain values
        if path not in self.fields and f"{path}[]" not in self.fields:
            self.unknown_field(path)
        self.covered |= {path, *keys}
        self.whole |= {path, f"{path}[]"}
        self.ruled.setdefault(path, self.files.line)
        return self.fields[path if path in self.fields else f"{path}[]"], path in self.required

    def check_coverage(self) -> None:
        """Every field of the format must be mapped, or refused with a reason: nothing is dropped by oversight."""
        self.files.at("mapping.yaml")
        if missing := [path for path in self.fields if not self.is_covered(path)]:
            more = f"; nor have: {', '.join(missing[1:])}" if len(missing) > 1 else ""
            self.files.fail(f"the format's field {missing[0]!r} has no rule, and no reason in `refused`{more}")

    def is_covered(self, path: str) -> bool:
        """Is a field dealt with by itself, with all that is in it, or with what it is in?"""
        is_object = any(other.startswith(f"{path}.") for other in self.fields)
        above = {path[: found.start()] for found in re.finditer(r"\.", path)}
        return is_object or path.removesuffix("[]") in self.covered or bool(above & self.whole)


def _types_of_lists(lists: list[dict[str, Any]]) -> Iterator[tuple[str, str]]:
    """The name of each list, as `of` calls it, with the resource type of its items."""
    for declared in lists:
        kinds = [anchor["type"] for anchor in declared["anchors"].values() if "type" in anchor]
        if kinds:
            yield declared["native"].removesuffix("[]"), kinds[0]
        yield from _types_of_lists(declared.get("lists") or [])


def label_of(index: int, lists: list[dict[str, Any]]) -> str:
    """The path of a list in the item around; with a number where it is a later one over the same items."""
    native = lists[index]["native"].removesuffix("[]")
    earlier = sum(1 for other in lists[:index] if other["native"] == lists[index]["native"])
    return f"{native} {earlier + 1}" if earlier else str(native)


def shorthand_of(lists: list[Any], outer: str = "") -> Shorthand:
    """The lists whose items may stand as a bare value, by their paths in the record."""
    fields: dict[str, str] = {}
    alone: set[str] = set()
    for one in lists:
        path = outer + one["native"].removesuffix("[]").removeprefix(".")
        if "bare" in one:
            fields[path] = one["bare"]
            alone.update({path} if one.get("alone") else ())
        below = shorthand_of(one.get("lists") or [], f"{path}[]." if path else "")
        fields |= below.fields
        alone |= below.alone
    return Shorthand(fields, frozenset(alone))
