"""The fields and lists that a declaration's words name: one that the format does not have would never say anything."""

from __future__ import annotations

import difflib
import re
import shlex
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from fhir_adapter.mapping.anchor_words import as_list
from fhir_adapter.mapping.converters.registry import CONVERTERS
from fhir_adapter.mapping.files import Files, Place
from fhir_adapter.mapping.frames import schema_path

Fields = Mapping[str, Mapping[str, Any]]
"""path in the record -> what the schema says of it"""

_PLACE = re.compile(r"\{([^{}]*)\}")
_OF_RUN = {"record", "key", "parent", "id"}
_OF_DEMANDS = ("need", "never", "of", "from", "to", "in", "same", "as")


@dataclass(frozen=True, slots=True)
class Named:
    """One word that names a field or list: where it stands, what it says, and whether a field or a list is meant."""

    place: Place
    about: str
    word: str
    text: str
    kind: str = "field"


def check_names(files: Files, lines: dict[Place, int], declared: dict[str, Any], fields: Fields) -> None:
    """Fails where a word of the declaration names a field or list that there is not."""
    root = declared["lists"][0]
    named = [*_in_list(root, ("lists", 0), ""), *_in_demands(declared.get("demands") or (), ("demands",))]
    _check(files, "mapping.yaml", lines, [*named, *_in_the_rest(declared)], fields, set(_lists_in(root)))


def check_names_of_variants(
    files: Files, file: str, lines: dict[Place, int], variants: dict[str, Any], fields: Fields
) -> None:
    """The same for the demands of a file of variants."""
    for name, variant in variants.items():
        named = _in_demands(variant.get("demands") or (), (name, "demands"))
        _check(files, file, lines, named, fields, set())


def _check(
    files: Files, file: str, lines: dict[Place, int], names: Iterable[Named], fields: Fields, lists: set[str]
) -> None:
    known = {name.removesuffix("[]"): node for name, node in fields.items()} | {"id": {}}
    for named in names:
        text = schema_path(named.text).removesuffix("[]")
        if text in lists if named.kind == "list" else _is_known(text, known):
            continue
        near = difflib.get_close_matches(text, lists if named.kind == "list" else known, n=1)
        meant = "a list of the declaration" if named.kind == "list" else "a field of the format's schema"
        hint = f"; did you mean {near[0]!r}?" if near else ""
        files.at(file, named.about, lines.get(named.place))
        files.fail(f"{named.word} names {named.text!r}, which is not {meant}{hint}")


def _is_known(text: str, known: Fields) -> bool:
    """Is it a field, the id of an item, or something in an object of which the schema says nothing more?"""
    if text in known or text.rpartition(".")[2] == "id":
        return True
    above = (text[: dot.start()].removesuffix("[]") for dot in re.finditer(r"\.", text))
    return any(name in known and _is_open(name, known) for name in above)


def _is_open(name: str, known: Fields) -> bool:
    said = known[name].get("type") or ()
    kinds = {said} if isinstance(said, str) else set(said)
    has_fields = any(other.startswith((f"{name}.", f"{name}[].")) for other in known)
    return not has_fields and not kinds & {"string", "number", "integer", "boolean"}


def _lists_in(declared: dict[str, Any]) -> Iterator[str]:
    yield declared["native"].removesuffix("[]")
    for inner in declared.get("lists") or ():
        yield from _lists_in(inner)


def _in_list(declared: dict[str, Any], place: Place, outer: str) -> Iterator[Named]:
    native = declared["native"]
    name = "" if native == "." else f"{outer}{native}"
    prefix = f"{name}." if name else ""
    about = f"list {name or '.'}"
    for field in _fields_of_condition(declared.get("where", "")):
        yield Named(place, about, "where", prefix + field)
    for anchor, words in declared["anchors"].items():
        for word, field in _in_anchor(words):
            yield Named((*place, "anchors", anchor), f"{about}, anchor {anchor!r}", word, prefix + field)
    yield from _in_rules(declared.get("rules") or (), (*place, "rules"))
    for index, inner in enumerate(declared.get("lists") or ()):
        yield from _in_list(inner, (*place, "lists", index), prefix)


def _in_anchor(declared: dict[str, Any]) -> Iterator[tuple[str, str]]:
    for word in ("id", "born"):
        for text in as_list(declared.get(word)):
            yield from ((word, field) for field in _PLACE.findall(text) if field not in _OF_RUN)
    yield from (("when", field) for field in _fields_of_condition(declared.get("when", "")))
    yield from ((word, declared[word]) for word in ("call", "by") if word in declared)
    if "needed" in declared:
        yield "needed", declared["needed"]["field"]


def _fields_of_condition(text: str) -> Iterator[str]:
    for part in filter(None, text.split(" and ")):
        yield from (field.strip() for field in re.split(" =~ | !~ ", part)[0].split(" / "))


def _in_rules(declared: Any, place: Place) -> Iterator[Named]:
    """What the words of converters name."""
    for index, rule in enumerate(declared):
        if isinstance(rule, list):
            yield from _in_rules(rule, (*place, index))
        elif isinstance(rule, str):
            yield from _in_rule(rule, (*place, index))


def _in_rule(text: str, place: Place) -> Iterator[Named]:
    for words in map(shlex.split, text.split(" | ")[1:]):
        converter = CONVERTERS.get(words[0]) if words else None
        for kind, value in converter.named(words[1:]) if converter is not None else ():
            if kind in ("LIST", "FIELD"):
                yield Named(place, f"rule `{text}`", f"the converter {words[0]!r}", value, kind.lower())


def _in_the_rest(declared: dict[str, Any]) -> Iterator[Named]:
    """What the declaration says of fields outside its lists and demands."""
    for path in (path for path in declared.get("lossy") or () if path not in CONVERTERS):
        yield Named(("lossy", path), "lossy", "it", path)
    columns = (declared.get("input") or {}).get("columns")
    for name, path in columns.items() if isinstance(columns, dict) else ():
        yield Named(("input", "columns", name), "input", f"the column {name!r}", str(path))
    if "variants" in declared:
        yield Named(("variants", "by"), "variants", "by", declared["variants"]["by"])


def _in_demands(declared: Any, place: Place) -> Iterator[Named]:
    about = " ".join(map(str, place))
    for index, demand in enumerate(declared):
        each = demand.get("each")
        prefix = f"{each}[]." if each else ""
        if each:
            yield Named((*place, index), about, "each", each)
        for field in _fields_of_condition(demand.get("when", "")):
            yield Named((*place, index), about, "when", prefix + field)
        for word in (word for word in _OF_DEMANDS if isinstance(demand.get(word), str)):
            for field in demand[word].split(" / "):
                if not field.startswith("'"):
                    yield Named((*place, index), about, word, prefix + field)
