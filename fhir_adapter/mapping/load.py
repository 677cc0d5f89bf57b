"""Reads a mapping's folder and compiles it; a wrong declaration fails here, with file, rule and reason."""

from __future__ import annotations

import difflib
import functools
import json
import re
import shlex
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import yaml

from fhir_adapter.errors import BadDeclaration
from fhir_adapter.fhir.paths import compile_path, extension_url
from fhir_adapter.fhir.resources import CODES, Resource
from fhir_adapter.mapping.anchors import Anchor, Identify, Link, Mark, PublicIdentity
from fhir_adapter.mapping.compiled import make_function, write_function
from fhir_adapter.mapping.converters import CONVERTERS
from fhir_adapter.mapping.converters.codes import marked
from fhir_adapter.mapping.converters.times import zone_of
from fhir_adapter.mapping.demands import Demands, read_demands, read_variants
from fhir_adapter.mapping.engine import Mapping
from fhir_adapter.mapping.frames import Frame, native_path
from fhir_adapter.mapping.inputs.declared import declared_format
from fhir_adapter.mapping.inputs.formats import Format
from fhir_adapter.mapping.model import (
    Knowledge,
    KnownOrganisation,
    Municipality,
    Pair,
    Register,
    Run,
    Table,
    folded,
    pattern_of_names,
)
from fhir_adapter.mapping.rules import Field, Rule, Target
from fhir_adapter.mapping.schema import RecordSchema
from fhir_adapter.mapping.scopes import Scope
from fhir_adapter.mapping.shorthand import Shorthand

__all__ = ["FOLDER", "find", "load"]

_LOADER = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
"""libyaml where PyYAML was built with it: a tenth of the time."""

FOLDER = Path(__file__).resolve().parents[2] / "mappings"
"""The mappings of this repository, found in a checkout and in an editable installation."""

_PLACE = re.compile(r"\{([A-Za-z_.]+)\}")
_RULE = re.compile(r"(?P<native>.+?)\s*<->\s*(?P<fhir>[^|]+?)\s*(?P<words>(\|.*)?)")
_ANCHOR_WORDS = {
    "type", "id", "adopt", "born", "identifier", "set", "refer", "link", "also", "reverse", "element", "match", "mark",
    "tag", "extension", "skip", "gone", "same", "of", "by", "needs", "when", "call", "needed",
}  # fmt: skip
_LIST_WORDS = {"native", "key", "early", "bare", "alone", "anchors", "rules", "lists"}


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
        raise BadDeclaration(f"there is no mapping {name!r}; there are: {', '.join(known) or 'none'}")
    return load(folder / name)


class _Loader:
    """Compiles one folder, keeping the place in the declaration for messages."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.file = folder / "mapping.yaml"
        self.place = ""
        self.known: set[str] = set()

    def fail(self, reason: str) -> NoReturn:
        where = f", {self.place}" if self.place else ""
        raise BadDeclaration(f"{self.file.name} in {self.folder.name}{where}: {reason}")

    def read(self, name: str) -> Any:
        self.file, self.place = self.folder / name, ""
        try:
            text = self.file.read_text(encoding="utf-8")
            return json.loads(text) if name.endswith(".json") else yaml.load(text, Loader=_LOADER)  # noqa: S506 - a safe loader
        except (OSError, ValueError, yaml.YAMLError) as fault:
            self.fail(f"cannot be read: {fault}")

    def mapping(self) -> Mapping:
        declared = self.read("mapping.yaml")
        if not isinstance(declared, dict):
            self.fail("is not a set of named parts")
        for word in ("name", "version", "schema", "lists"):
            if word not in declared:
                self.fail(f"{word!r} is missing")
        self.zone = self.zone_named(declared.get("zone") or "")
        schema = self.schema(declared["schema"])
        self.knowledge = self.read_knowledge(declared)
        self.file, self.place = self.folder / "mapping.yaml", ""
        self.fields = dict(schema.fields())
        refused = declared.get("refused") or {}
        self.covered: set[str] = {"id", *refused, *(declared.get("constants") or {})}
        root = self.scope(declared["lists"][0], {}, "")
        self.check_coverage()
        return Mapping(
            declared["name"], str(declared["version"]), self.folder, root, schema, self.knowledge,
            declared.get("constants") or {}, refused, self.format(declared.get("input"), schema),
            self.demands(declared), shorthand_of(declared["lists"]),
        )  # fmt: skip

    def demands(self, declared: dict[str, Any]) -> Demands:
        self.place = "demands"
        chosen = declared.get("variants") or {}
        try:
            always = read_demands(declared.get("demands") or (), self.condition)
            if not chosen:
                return Demands(always)
            variants = read_variants(self.read(chosen["file"]), self.condition)
            return Demands(always, variants, chosen["by"])
        except (ValueError, KeyError, TypeError, re.error) as fault:
            self.fail(str(fault))

    def format(self, declared: Any, schema: RecordSchema) -> Format:
        self.place = "input"
        try:
            return declared_format(declared, schema)
        except (ValueError, TypeError, AttributeError) as fault:
            self.fail(str(fault))

    def schema(self, name: str) -> RecordSchema:
        declared = self.read(name)
        try:
            return RecordSchema(declared)
        except (ValueError, KeyError, TypeError) as fault:
            self.fail(f"is not a JSON Schema: {fault}")

    # ---- tables

    def read_knowledge(self, declared: dict[str, Any]) -> Knowledge:
        codes = {name: table for file in as_list(declared.get("codes")) for name, table in self.read(file).items()}
        marks = codes.pop("marks", {})
        tables = {name: self.table(name, table) for name, table in codes.items()}
        tables["marks"] = Table("marks", None, {}, {}, marks, "")
        known = self.read(declared["organisations"]) if "organisations" in declared else {}
        register = self.register(known, tables)
        return Knowledge(tables, register, self.zone, declared.get("converters") or {})

    def zone_named(self, name: str) -> str:
        try:
            return zone_of(name).key if name else ""
        except ValueError as fault:
            self.fail(str(fault))

    def register(self, declared: dict[str, Any], tables: dict[str, Table]) -> Register:
        numbers, places = declared.get("numbers") or {}, declared.get("municipality") or {}
        kinds = tables.get(numbers.get("kinds", ""))
        if "kinds" in numbers and kinds is None:
            self.fail(f"`numbers: kinds:` names {numbers['kinds']!r}, which is not a code table")
        columns = places.get("columns") or []
        try:
            organisations = {
                number: KnownOrganisation(number, *row) for number, row in (declared.get("organisations") or {}).items()
            }
            municipalities = {
                code: Municipality(row[0], dict(zip(columns, row[1:], strict=True)))
                for code, row in (declared.get("municipalities") or {}).items()
            }
        except (TypeError, ValueError) as fault:
            self.fail(f"a row has too few or too many columns: {fault}")
        units = [(unit, str(number)) for number, names in (declared.get("units") or {}).items() for unit in names]
        return Register(
            numbers.get("system", ""),
            organisations,
            municipalities,
            (*organisations, *(number for _, number in units)),
            pattern_of_names([*(one.name for one in organisations.values()), *(unit for unit, _ in units)]),
            kinds,
            {str(first): kind for first, kind in (numbers.get("kind_by_beginning") or {}).items()},
            numbers.get("kind_otherwise"),
            re.compile(places.get("code") or "[0-9]+"),
        )

    def table(self, name: str, declared: dict[str, Any]) -> Table:
        self.place = f"table {name!r}"
        codes: dict[str, str] = {}
        words: dict[str, str | None] = {}
        displays: dict[str, str] = {}
        for row in declared.get("rows") or self.fail("has no rows"):
            if not isinstance(row, list) or len(row) not in (2, 3) or not isinstance(row[1], str):
                self.fail(f"the row {row!r} is not [word, code] or [word, code, display]")
            word, code = row[0], row[1]
            if isinstance(word, str):
                codes.setdefault(word, code)
                codes.setdefault(folded(word), code)
            elif word is not None:
                self.fail(f"the word {word!r} is not text: put it in quotes")
            words.setdefault(code, word)
            if len(row) == 3:
                displays[code] = row[2]
        self.place = ""
        allowed = dict.fromkeys(row[0] for row in declared["rows"] if row[0])
        aliases = frozenset(declared.get("aliases") or ())
        return Table(name, declared.get("system"), codes, words, displays, ", ".join(allowed), aliases)

    # ---- lists

    def scope(self, declared: dict[str, Any], outer: dict[str, str | None], prefix: str) -> Scope:
        native = declared.get("native", "")
        self.place = f"list {prefix}{native}"
        if unknown := set(declared) - _LIST_WORDS:
            self.fail(f"unknown word {sorted(unknown)[0]!r}")
        is_root = native == "."
        if not is_root and (not native.endswith("[]") or f"{prefix}{native}" not in self.fields):
            self.fail("is not a list of the format's schema")
        name = "" if is_root else f"{prefix}{native}"
        self.covered.update({name, f"{name}.id"} if name else ())
        inside = "" if is_root else f"{name}."
        types = dict(outer)
        anchors = []
        for anchor_name, anchor in declared["anchors"].items():
            self.place = f"list {name or '.'}, anchor {anchor_name!r}"
            anchors.append(self.anchor(anchor_name, anchor, types))
            types[anchor_name] = anchor.get("type") or types.get(anchor.get("same", ""))
        primary = next((a for a in anchors if a.type is not None or a.element is not None), None)
        if primary is None:
            self.fail("no anchor of its own: nothing would tell its items apart")
        fields = self.fields_of(flat(declared.get("rules") or []), types, inside)
        lists = tuple(self.scope(inner, types, inside) for inner in declared.get("lists") or [])
        path = native.removesuffix("[]")
        if (key := declared.get("key")) and f"{inside}{key}" not in self.fields:
            self.fail(f"the key {key!r} is not a field of the format's schema")
        watched = tuple(sorted({anchor for field in fields for anchor in field.anchors}))
        make, made = make_function(name or ".", anchors)
        write, written = write_function(name or ".", fields)
        return Scope(
            name, native_path(path), declared.get("key"), tuple(anchors), primary, fields, lists,
            bool(declared.get("early")), watched, make, write, f"{made}\n\n{written}",
        )  # fmt: skip

    # ---- anchors

    def anchor(self, name: str, declared: dict[str, Any], known: dict[str, str | None]) -> Anchor:
        if unknown := set(declared) - _ANCHOR_WORDS:
            self.fail(f"unknown word {sorted(unknown)[0]!r}")
        kinds = [word for word in ("type", "element", "same", "of") if word in declared]
        if len(kinds) != 1:
            self.fail("must be exactly one of type, element, same, of")
        if kinds == ["type"] and "id" not in declared:
            self.fail("a resource needs an id")
        self.refers_to_known(declared, name, known)
        return Anchor(
            name=name,
            type=declared.get("type"),
            identify=self.identify(declared["id"]) if "id" in declared else None,
            id_text=declared["id"] if isinstance(declared.get("id"), str) else None,
            constants=declared.get("set") or {},
            refers=tuple((target, self.path(path).text) for path, target in (declared.get("refer") or {}).items()),
            links=tuple(self.link(text) for text in as_list(declared.get("link"))),
            also=tuple(self.link(text) for text in as_list(declared.get("also"))),
            reverse=self.reverse(declared["reverse"]) if "reverse" in declared else None,
            element=self.link(declared["element"]) if "element" in declared else None,
            match=tuple(self.first_of(text) for text in declared.get("match") or ()),
            mark=self.mark(declared),
            extension=extension_url(declared["extension"]) if "extension" in declared else None,
            skip=self.skip(declared["skip"]) if "skip" in declared else None,
            gone=self.path(declared["gone"]).read if "gone" in declared else None,
            same=declared.get("same"),
            of=(declared["of"], native_path(declared["by"])) if "of" in declared else None,
            needs=declared.get("needs"),
            when=self.condition(declared.get("when")),
            adopt=bool(declared.get("adopt")),
            born=self.template(declared["born"]) if "born" in declared else None,
            identifier=bool(declared.get("identifier")),
            call=native_path(declared["call"]) if "call" in declared else None,
            needed=self.needed(declared["needed"]) if "needed" in declared else None,
        )

    def refers_to_known(self, declared: dict[str, Any], name: str, known: dict[str, str | None]) -> None:
        wanted = [*(declared.get("refer") or {}).values(), declared.get("same"), declared.get("needs")]
        wanted += [
            text.partition(".")[0] for word in ("link", "also", "element") for text in as_list(declared.get(word))
        ]
        if "reverse" in declared:
            wanted.append(declared["reverse"].partition("->")[2].strip())
        for target in wanted:
            if target is not None and target not in known and target != name:
                self.fail(f"there is no anchor {target!r} before it")

    def needed(self, declared: dict[str, str]) -> tuple[str, str, str]:
        try:
            return declared["field"], declared["message"], declared["expected"]
        except (KeyError, TypeError):
            self.fail("needed is not field, message and expected")

    def identify(self, declared: Any) -> Identify:
        templates = [self.template(text) for text in as_list(declared)]
        if len(templates) == 1:
            return templates[0]
        return lambda run, frame: next((made for template in templates if (made := template(run, frame))), None)

    def template(self, text: str) -> Identify:
        """Compiles `{record}/uppfoljning/{key}`; None where a field of the item has no value."""
        if text == "{record}":
            return lambda run, _frame: run.record_id
        if text == "{record}/{key}":
            return lambda run, frame: f"{run.record_id}/{frame.key}"
        pieces = _PLACE.split(text)
        made = PublicIdentity if "|{" in text and "{record}" not in text and "{key}" not in text else str
        parts: list[Callable[[Run, Frame], Any]] = [_literal(piece) for piece in pieces]
        parts[1::2] = [_filled(place) for place in pieces[1::2]]

        def fill(run: Run, frame: Frame) -> str | None:
            values = [part(run, frame) for part in parts]
            return None if any(value is None for value in values) else made("".join(map(str, values)))

        return fill

    def link(self, text: str) -> Link:
        parent, _, path = text.partition(".")
        compiled = self.path(path)
        return Link(parent, path, "[]" in path, compiled.read)

    def reverse(self, text: str) -> tuple[str, str]:
        path, arrow, parent = (part.strip() for part in text.partition("->"))
        if not arrow:
            self.fail(f"reverse {text!r} is not `path -> anchor`")
        return self.path(path).text, parent

    def mark(self, declared: dict[str, Any]) -> Mark | None:
        text = declared.get("mark") or declared.get("tag")
        if text is None:
            return None
        path, equals, short = (part.strip() for part in text.partition("="))
        if not equals or "#" not in short:
            self.fail(f"{text!r} is not `path = system#code`")
        try:
            code = marked(short, self.knowledge)
        except ValueError as fault:
            self.fail(str(fault))
        compiled = self.path(path)
        return Mark(compiled.text, {"coding": [code]}, compiled.read, code["system"], code["code"], "mark" in declared)

    def skip(self, text: str) -> tuple[Callable[[Resource], Any], str]:
        path, _, system = (part.strip() for part in text.partition("="))
        return self.path(path).read, f"{CODES}/{system}"

    def condition(self, text: str | None) -> Callable[[dict[str, Any]], bool] | None:
        if text is None:
            return None
        for sign, wanted in ((" =~ ", True), (" !~ ", False)):
            if sign in text:
                return self.pattern_condition(*text.split(sign, 1), wanted=wanted)
        read = native_path(text).read
        return lambda item: says_something(read(item))

    def pattern_condition(self, field: str, pattern: str, *, wanted: bool) -> Callable[[dict[str, Any]], bool]:
        read = native_path(field).read
        try:
            search = re.compile(pattern).search
        except re.error as fault:
            self.fail(f"cannot read the pattern {pattern!r}: {fault}")
        return lambda item: (search(folded(str(read(item) or ""))) is not None) is wanted

    def first_of(self, text: str) -> Callable[[Resource], Any]:
        """Reads `a / b`: the first of several paths that holds something."""
        readers = [self.path(path.strip()).read for path in text.split("/")]
        return lambda node: next((found for read in readers if (found := read(node)) is not None), None)

    def path(self, text: str) -> Any:
        try:
            return compile_path(text)
        except ValueError as fault:
            self.fail(str(fault))

    # ---- rules

    def fields_of(self, texts: list[str], types: dict[str, str | None], inside: str) -> tuple[Field, ...]:
        grouped: dict[str, list[Rule]] = {}
        for text in texts:
            self.place = f"rule `{text}`"
            parts = _RULE.fullmatch(text.strip())
            if parts is None:
                self.fail("is not `native <-> anchor:path | converter`")
            native = parts["native"]
            names = [name.strip().rstrip("[]*") for name in native.split(",")]
            for name in names:
                self.check_native(f"{inside}{name}")
            grouped.setdefault(native, []).append(self.rule(text, names, parts["fhir"], parts["words"], types))
        return tuple(self.field(native, rules) for native, rules in grouped.items())

    def check_native(self, path: str) -> None:
        if path not in self.fields:
            self.fail(f"{path!r} is not a field of the format's schema")
        self.covered.add(path)

    def field(self, native: str, rules: list[Rule]) -> Field:
        many = "list" if native.endswith("[]") else "either" if native.endswith("*") else "one"
        natives = tuple(native_path(name.strip().rstrip("[]*")) for name in native.split(","))
        if len(natives) > 1 and (many != "one" or any(rule.pair is None for rule in rules)):
            self.fail("several fields together need a converter, and none of them may be a list")
        anchors = frozenset(target.anchor for rule in rules for target in rule.targets)
        return Field(natives, many, tuple(rules), anchors)

    def rule(self, text: str, names: Sequence[str], fhir: str, words: str, types: dict[str, str | None]) -> Rule:
        targets = tuple(self.target(target.strip(), types) for target in fhir.split(","))
        parts = [part.strip() for part in words.split("|") if part.strip()]
        flags = {part for part in parts if part in ("read", "write")}
        called = [part for part in parts if part not in flags]
        if len(called) > 1:
            self.fail("names two converters")
        pair = self.pair(shlex.split(called[0]), names) if called else None
        if pair is None and len(targets) > 1:
            self.fail("several targets need a converter")
        return Rule(text, targets, targets[0].anchor, pair, reads="write" not in flags, writes="read" not in flags)

    def target(self, text: str, types: dict[str, str | None]) -> Target:
        anchor, colon, path = text.partition(":")
        if not colon or anchor not in types:
            self.fail(f"{text!r} does not begin with an anchor of this list and a colon")
        compiled = self.path(path)
        return Target(anchor, path, compiled.read)

    def pair(self, words: list[str], names: Sequence[str]) -> Pair:
        converter = CONVERTERS.get(words[0])
        if converter is None:
            near = difflib.get_close_matches(words[0], CONVERTERS, n=1)
            hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(CONVERTERS))}"
            self.fail(f"there is no converter {words[0]!r}; {hint}")
        try:
            return converter.build(names, converter.words(words[1:]), self.knowledge)
        except (ValueError, KeyError, re.error) as fault:
            self.fail(f"the converter {words[0]!r} says: {fault}")

    def check_coverage(self) -> None:
        """Every field of the format must be mapped, or refused with a reason: nothing is dropped by oversight."""
        self.place = ""
        for path in self.fields:
            name = path.removesuffix("[]")
            is_object = any(other.startswith(f"{path}.") for other in self.fields)
            if not is_object and name not in self.covered and path not in self.covered:
                self.fail(f"the format's field {path!r} has no rule, and no reason in `refused`")


def _literal(text: str) -> Callable[[Run, Frame], str]:
    return lambda _run, _frame: text


def _filled(place: str) -> Callable[[Run, Frame], Any]:
    known: dict[str, Callable[[Run, Frame], Any]] = {
        "record": lambda run, _frame: run.record_id,
        "key": lambda _run, frame: frame.key,
        "parent": lambda _run, frame: frame.parent_key,
    }
    if place in known:
        return known[place]
    read = native_path(place).read
    return lambda _run, frame: read(frame.native) or None


def says_something(value: Any) -> bool:
    """Is there anything in a JSON value but empty objects, lists and words?"""
    if isinstance(value, dict):
        return any(says_something(child) for child in value.values())
    if isinstance(value, list):
        return any(says_something(child) for child in value)
    return value is not None and value != ""


def shorthand_of(lists: list[Any], outer: str = "") -> Shorthand:
    """The lists whose items may stand as a bare value, by their paths in the record."""
    fields: dict[str, str] = {}
    alone: set[str] = set()
    for one in lists:
        path = outer + one.get("native", ".").removesuffix("[]").removeprefix(".")
        if "bare" in one:
            fields[path] = one["bare"]
            alone.update({path} if one.get("alone") else ())
        below = shorthand_of(one.get("lists") or [], f"{path}[]." if path else "")
        fields |= below.fields
        alone |= below.alone
    return Shorthand(fields, frozenset(alone))


def as_list(value: Any) -> list[str]:
    """One word or several."""
    return [] if value is None else value if isinstance(value, list) else [value]


def flat(rules: list[Any]) -> list[str]:
    """Rules, with those that were taken over from another list as a whole."""
    return [rule for entry in rules for rule in (flat(entry) if isinstance(entry, list) else [entry])]
