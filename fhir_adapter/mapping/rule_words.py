"""The words of a rule in a declaration, compiled: `native <-> anchor:path | converter | owner kind | read or write`."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Callable, Sequence
from dataclasses import replace
from typing import Any

from fhir_adapter.fhir.paths import parse_path
from fhir_adapter.mapping.anchor_words import Types, path_in
from fhir_adapter.mapping.converters import CONVERTERS
from fhir_adapter.mapping.declaration import DECLARATION, published_schema
from fhir_adapter.mapping.files import Files
from fhir_adapter.mapping.frames import native_path
from fhir_adapter.mapping.kinds import fitted_to
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Pair
from fhir_adapter.mapping.rules import Field, Rule, Target
from fhir_adapter.mapping.shapes import first_of_its_own, leads_to_list, misfit, within_r4

_RULE = re.compile(r"(?P<native>.+?)\s*<->\s*(?P<fhir>[^|]+?)\s*(?P<words>(\|.*)?)")

OWNERS: tuple[str, ...] = tuple(published_schema(DECLARATION)["$defs"]["owner"]["enum"])
"""whose value may win in a conflict"""

Line = tuple[str, int]
"""a rule and the line that it stands in"""


def fields_of(
    files: Files,
    rules: Sequence[Line],
    types: Types,
    owners: dict[str, str],
    check_native: Callable[[str], tuple[dict[str, Any], bool]],
    tables: Knowledge,
) -> tuple[Field, ...]:
    """The fields of a list with their rules. `owners`: of each anchor that names one; `check_native`: what the record's
    schema says of a field, and whether it requires it."""
    grouped: dict[str, list[Rule]] = {}
    required: set[str] = set()
    for text, line in rules:
        files.at(files.file, f"rule `{text}`", line)
        parts = _RULE.fullmatch(text.strip())
        if parts is None:
            files.fail("is not `native <-> anchor:path | converter`")
        names = [name.strip().removesuffix("*").removesuffix("[]") for name in _split(parts["native"])]
        checked = [check_native(name) for name in names]
        declared = [schema for schema, _ in checked]
        required.update(name for name, (_, is_required) in zip(names, checked, strict=True) if is_required)
        rule = _rule(files, text, line, names, parts["fhir"], parts["words"], types, owners, tables)
        many = _many(parts["native"])
        if fault := misfit(many, rule.targets, rule.converter, declared[0]):
            files.fail(fault)
        rule = _fitted(many, _of_kinds(files, rule, names, declared, many))
        grouped.setdefault(parts["native"], []).append(rule)
    in_order = [rule for each in grouped.values() for rule in each]
    _check_targets(files, in_order)
    _check_order(files, in_order)
    return tuple(_field(files, native, each, required) for native, each in grouped.items())


def _split(text: str) -> list[str]:
    """At commas that stand in no brackets."""
    return re.split(r",(?![^\[\]]*\])", text)


def _many(native: str) -> str:
    return "list" if native.endswith("[]") else "either" if native.endswith("*") else "one"


def _fitted(many: str, rule: Rule) -> Rule:
    """The rule with its pair fitted to what R4 says of its one target: a part of a list, a reference."""
    if rule.pair is None or rule.converter is None or rule.converter.whole or len(rule.targets) > 1:
        return rule
    pair = within_r4(rule.pair, rule.targets[0]) if rule.writes else rule.pair
    is_part = many == "one" and leads_to_list(rule.targets[0])
    return replace(rule, pair=first_of_its_own(pair) if is_part else pair)


def _of_kinds(files: Files, rule: Rule, names: Sequence[str], declared: Sequence[dict[str, Any]], many: str) -> Rule:
    """The rule with its pair fitted to what the schema says of its fields."""
    if rule.pair is None or rule.converter is None:
        return rule
    try:
        return replace(rule, pair=fitted_to(rule.pair, rule.converter, names, declared, many))
    except ValueError as fault:
        files.fail(f"the converter {rule.converter.name!r} says: {fault}")


def _field(files: Files, native: str, rules: list[Rule], required: set[str]) -> Field:
    many = _many(native)
    names = [name.strip().rstrip("*").removesuffix("[]") for name in _split(native)]
    natives = tuple(replace(native_path(name), is_required=name in required) for name in names)
    if len(natives) > 1 and (many != "one" or any(rule.pair is None for rule in rules)):
        files.at(files.file, f"rule `{rules[0].text}`", rules[0].line)
        files.fail("several fields together need a converter, and none of them may be a list")
    readers = tuple(rule for rule in rules if rule.reads)
    targets = [target for rule in readers for target in rule.targets]
    looks = frozenset((target.anchor, parse_path(target.text)[0].name) for target in targets)
    return Field(natives, many, tuple(rules), readers, looks)


def _rule(
    files: Files, text: str, line: int, names: Sequence[str], fhir: str, words: str, types: Types,
    owners: dict[str, str], tables: Knowledge,
) -> Rule:  # fmt: skip
    targets = tuple(_target(files, target.strip(), types) for target in _split(fhir))
    parts = [part.strip() for part in words.split("|") if part.strip()]
    flags = {part for part in parts if part in ("read", "write")}
    owned = [part.split()[1:] for part in parts if part.split()[0] == "owner"]
    called = [part for part in parts if part not in flags and part.split()[0] != "owner"]
    if len(called) > 1:
        files.fail("names two converters")
    if len(owned) > 1 or any(len(each) != 1 for each in owned):
        files.fail("owner is one word, such as `| owner person`")
    pair = _pair(files, shlex.split(called[0]), names, len(targets), tables) if called else None
    if pair is None and len(targets) > 1:
        files.fail("several targets need a converter")
    if owned and owned[0][0] not in OWNERS:
        files.fail(f"there is no owner {owned[0][0]!r}; there are: {', '.join(OWNERS)}")
    owner = owned[0][0] if owned else owners.get(targets[0].anchor)
    name = called[0].split()[0] if called else None
    return Rule(
        text, targets, targets[0].anchor, pair, reads="write" not in flags, writes="read" not in flags,
        line=line, owner=owner, converter=CONVERTERS[name] if name else None,
    )  # fmt: skip


def _target(files: Files, text: str, types: Types) -> Target:
    anchor, colon, path = text.partition(":")
    if not colon or anchor not in types:
        files.fail(f"{text!r} does not begin with an anchor of this list and a colon; there are: {', '.join(types)}")
    return Target(anchor, path, path_in(files, types[anchor], path, whole_list=True).read, types[anchor])


def _pair(files: Files, words: list[str], names: Sequence[str], targets: int, tables: Knowledge) -> Pair:
    converter = CONVERTERS.get(words[0])
    if converter is None:
        near = difflib.get_close_matches(words[0], CONVERTERS, n=1)
        hint = f"did you mean {near[0]!r}?" if near else f"there are: {', '.join(sorted(CONVERTERS))}"
        files.fail(f"there is no converter {words[0]!r}; {hint}")
    try:
        told = converter.words(words[1:])
        converter.check_sides(len(names), targets)
        pair = converter.build(names, told, tables)
        return (
            pair
            if pair.table is not None
            else replace(pair, table=tables.tables.get(converter.table_in(words[1:]) or ""))
        )
    except (ValueError, KeyError, TypeError, re.error) as fault:
        files.fail(f"the converter {words[0]!r} says: {fault}")


def _check_targets(files: Files, rules: Sequence[Rule]) -> None:
    """Two rules that both write and read one element would overwrite each other; a list takes what each appends."""
    first: dict[tuple[str, str], Rule] = {}
    for rule in rules:
        for target in rule.targets if rule.reads and rule.writes else ():
            if target.text.endswith("[]") and rule.pair is not None:
                continue
            other = first.setdefault((target.anchor, target.text), rule)
            if other is not rule:
                files.at(files.file, f"rule `{rule.text}`", rule.line)
                files.fail(
                    f"{target.anchor}:{target.text} is the target of the rule in line {other.line} as well: the two"
                    " would overwrite each other; join the fields in one rule with a converter, or let one only `write`"
                )


def _check_order(files: Files, rules: Sequence[Rule]) -> None:
    """What writes a whole element comes before what writes parts of it, else the parts would be lost."""
    earlier: list[tuple[Target, Rule]] = []
    for rule in rules:
        for target in rule.targets if rule.writes else ():
            inside = f"{target.text}."
            lost = next(
                (one for part, one in earlier if part.anchor == target.anchor and part.text.startswith(inside)), None
            )
            if lost is not None and lost is not rule:
                files.at(files.file, f"rule `{rule.text}`", rule.line)
                files.fail(
                    f"{target.anchor}:{target.text} is written as a whole after the rule in line {lost.line} wrote a"
                    " part of it, which would be lost: put this rule first (a field's rules are run together)"
                )
        earlier += [(target, rule) for target in rule.targets if rule.writes]
