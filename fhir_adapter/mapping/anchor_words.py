"""The words of an anchor in a declaration, compiled; each function says what is wrong through the files' `fail`."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator, Sequence
from dataclasses import replace
from typing import Any

from fhir_adapter.fhir.elements import is_resource_type, targets_at, type_at
from fhir_adapter.fhir.paths import Path, compile_path, extension_url, parse_path
from fhir_adapter.fhir.resources import CODES, Resource
from fhir_adapter.mapping.anchors import Anchor, Identify, Link, Mark, PublicIdentity
from fhir_adapter.mapping.constants import faults_in
from fhir_adapter.mapping.converters.codes import marked
from fhir_adapter.mapping.files import Files
from fhir_adapter.mapping.frames import Frame, Look, native_path
from fhir_adapter.mapping.knowledge import Knowledge
from fhir_adapter.mapping.model import Run
from fhir_adapter.mapping.said import Said
from fhir_adapter.mapping.words import folded

Types = dict[str, str]
"""anchor -> its resource type, or the element that it is: `CareTeam.participant`"""

_OF_A_RESOURCE = {"id", "needed", "adopt", "born", "identifier", "set", "mark", "tag", "root", "anywhere"}
_OF_AN_ELEMENT = {"match", "extension", "gone"}
_REFERRING = {"refer", "link", "also", "reverse", "call"}
_USELESS = {
    "type": _OF_AN_ELEMENT | {"by"},
    "element": _OF_A_RESOURCE | {"by"},
    "same": _OF_A_RESOURCE | _OF_AN_ELEMENT | {"by", "skip"},
    "of": _OF_A_RESOURCE | _OF_AN_ELEMENT | _REFERRING | {"skip", "needs", "when"},
}
"""words that would have no effect at an anchor of each kind"""

_PLACE = re.compile(r"\{([^{}]+)\}")
_FIELD = re.compile(r"[^ \[\]]+")


def anchor_of(
    files: Files, name: str, declared: dict[str, Any], known: Types, lists: Types, tables: Knowledge, said: Said
) -> Anchor:
    """One anchor; `known`: the anchors before it (this one is added), `lists`: the type of each list's items, `said`:
    what the item's fields say."""
    kinds = [word for word in ("type", "element", "same", "of") if word in declared]
    if len(kinds) != 1:
        files.fail("must be exactly one of type, element, same, of")
    if useless := sorted(set(declared) & _USELESS[kinds[0]]):
        files.fail(f"{useless[0]} says nothing beside {kinds[0]}: take it away")
    if kinds == ["type"] and "id" not in declared:
        files.fail("a resource needs an id")
    if kinds == ["type"] and not is_resource_type(declared["type"]):
        files.fail(f"R4 has no resource type {declared['type']!r}")
    if kinds == ["of"] and (declared["of"] not in lists or "by" not in declared):
        files.fail(f"of: {declared['of']!r} is not a list of the declaration, or `by` is missing")
    _refers_to_known(files, declared, name, known)
    if name in known:
        files.fail("a list around this one has an anchor of this name: call it otherwise, or a rule could mean either")
    own = _type_of(files, declared, known, lists)
    _check_references(files, declared, own, known)
    if (fault := next(faults_in(own, declared.get("set", {})), None)) and "set" in declared:
        files.fail(f"set: {fault}")
    known[name] = own
    return Anchor(
        name=name,
        type=declared.get("type"),
        identify=identify(declared["id"]) if "id" in declared else None,
        id_text=declared["id"] if isinstance(declared.get("id"), str) else None,
        constants=declared.get("set") or {},
        refers=tuple(
            (target, path_in(files, own, path).text)
            for path, targets in (declared.get("refer") or {}).items()
            for target in reversed(as_list(targets))  # what is written last stays: the first that is there
        ),
        links=tuple(_link(files, text, known) for text in as_list(declared.get("link"))),
        also=tuple(_link(files, text, known) for text in as_list(declared.get("also"))),
        held_by=(),
        reverse=_reverse(files, declared["reverse"], own) if "reverse" in declared else None,
        element=_link(files, declared["element"], known) if "element" in declared else None,
        match=tuple(_first_of(files, text, own) for text in declared.get("match") or ()),
        words=tuple(_first_of(files, text.split(" / ")[-1], own) for text in declared.get("match") or ()),
        mark=_mark(files, declared, own, tables),
        extension=extension_url(declared["extension"]) if "extension" in declared else None,
        skip=_skip(files, declared["skip"], own) if "skip" in declared else None,
        gone=path_in(files, own, declared["gone"], whole_list=True).read if "gone" in declared else None,
        same=declared.get("same"),
        of=(declared["of"], native_path(declared["by"])) if "of" in declared else None,
        needs=declared.get("needs"),
        when=condition(files, declared["when"], said) if "when" in declared else None,
        stands_on=native_path(declared["when"]) if _FIELD.fullmatch(declared.get("when", "")) else None,
        adopt=bool(declared.get("adopt")),
        born=_template(declared["born"]) if "born" in declared else None,
        identifier=bool(declared.get("identifier")),
        call=native_path(declared["call"]) if "call" in declared else None,
        needed=_needed(declared["needed"]) if "needed" in declared else None,
        root=bool(declared.get("root")),
        anywhere=bool(declared.get("anywhere")),
        is_element=not is_resource_type(own),
        found_by=tuple(dict.fromkeys(_found_by(declared))),
        told_by=tuple(_first(declared[word]) for word in ("mark", "skip", "reverse") if word in declared),
    )


def held_by_roots(anchors: Sequence[Anchor]) -> list[Anchor]:
    """The anchors of a list; those that a later root refers to know where: it goes on without what it lets go."""
    holders = [(one.name, one.reverse) for one in anchors if one.root and one.reverse is not None]
    links = [(by.parent, replace(by, parent=name)) for name, by in holders]
    return [replace(each, held_by=tuple(link for held, link in links if held == each.name)) for each in anchors]


def path_in(files: Files, type_: str, text: str, *, whole_list: bool = False) -> Path:
    """A FHIR path that leads somewhere in `type_`."""
    try:
        type_at(type_, parse_path(text), whole_list=whole_list)
        return compile_path(text)
    except ValueError as fault:
        files.fail(str(fault))


def _found_by(declared: dict[str, Any]) -> Iterator[Look]:
    """The elements of other anchors by which an anchor is found again."""
    for text in (text for word in ("link", "also", "element") for text in as_list(declared.get(word))):
        anchor, _, path = text.partition(".")
        yield anchor, _first(path)
    if "reverse" in declared:
        yield declared["reverse"].partition("->")[2].strip(), "id"
    if "same" in declared:
        yield declared["same"], "id"


def _first(text: str) -> str:
    """The element that a path begins with."""
    return re.split(r"[.\[ ]", text.strip(), maxsplit=1)[0]


def _refers_to_known(files: Files, declared: dict[str, Any], name: str, known: Types) -> None:
    """Anchors are made in their order, so that none can wait for one that waits for it."""
    wanted: list[str | None] = [declared.get("needs"), *(anchor for anchor, _ in _found_by(declared))]
    wanted += [target for targets in (declared.get("refer") or {}).values() for target in as_list(targets)]
    for target in wanted:
        if target == name:
            files.fail(f"refers to itself: a cycle cannot be made; name another anchor than {name!r}")
        if target is not None and target not in known:
            files.fail(f"there is no anchor {target!r} before it; declare that one first (two that wait for each other"
                       " are a cycle: let one refer, and the other be found by `reverse`)")  # fmt: skip


def _check_references(files: Files, declared: dict[str, Any], own: str, known: Types) -> None:
    """R4 says for most references what they may lead to."""
    pairs = [
        (own, path, target) for path, targets in (declared.get("refer") or {}).items() for target in as_list(targets)
    ]
    if "reverse" in declared:
        path, _, parent = (part.strip() for part in declared["reverse"].partition("->"))
        pairs.append((own, path, parent))
    wanted = [(holder, path, known[target]) for holder, path, target in pairs]
    links = (text.partition(".") for word in ("link", "also") for text in as_list(declared.get(word)))
    wanted += [(known[parent], path, own) for parent, _, path in links]
    for holder, path, type_ in wanted:
        path_in(files, holder, path)
        targets = targets_at(holder, parse_path(path))
        if targets and type_ not in targets:
            files.fail(f"{holder}.{path} in R4 refers to {' or '.join(sorted(targets))}, not to {type_}")


def _type_of(files: Files, declared: dict[str, Any], known: Types, lists: Types) -> str:
    if "element" in declared:
        parent, _, path = declared["element"].partition(".")
        if not path.endswith("[]"):
            files.fail(f"element: {declared['element']!r} does not end in [], as a list element does")
        path_in(files, known[parent], path)
        return type_at(known[parent], parse_path(path))
    return str(declared.get("type") or known.get(declared.get("same", "")) or lists[declared["of"]])


def _needed(declared: dict[str, str]) -> tuple[str, str, str]:
    return declared["field"], declared["message"], declared["expected"]


def check_id(files: Files, text: str, *, is_root: bool) -> None:
    """An id tells a record's thing from those of other records, and an item's from those of other items: or the things
    of two persons would be one."""
    told = set(_PLACE.findall(text)) - (set() if is_root else {"record", "parent"})
    if not told:
        others, place = ("records", "{record}") if is_root else ("items", "{key}")
        files.fail(f"id {text!r} is the same in all {others}, whose things would be one: it needs {place}, or a field")
    system, bar, _ = text.partition("|{")
    if bar and system and ":" not in system and "{" not in system:
        files.fail(
            f"id {text!r}: what stands before | is the number's system, a URI such as urn:oid:1.2.3 or https://…"
        )


def identify(declared: Any) -> Identify:
    """Words for the business id of an item's resource; of several the first that can be filled."""
    templates = [_template(text) for text in as_list(declared)]
    if len(templates) == 1:
        return templates[0]
    return lambda run, frame: next((made for template in templates if (made := _free(template, run, frame))), None)


def _free(template: Identify, run: Run, frame: Frame) -> str | None:
    """A public number is that of the first item of a list that has it; another item is told by what comes after."""
    made = template(run, frame)
    return made if made.__class__ is not PublicIdentity or run.is_first_with(str(made), frame.path) else None


def _template(text: str) -> Identify:
    """Compiles `{record}/uppfoljning/{key}`; None where a field of the item has no value."""
    if text == "{record}":
        return lambda run, _frame: run.record_id
    if text == "{record}/{key}":
        return lambda run, frame: f"{run.record_id}/{frame.key}"
    pieces = _PLACE.split(text)
    made = PublicIdentity if "|{" in text and "{record}" not in text and "{key}" not in text else str
    kind = pieces[0] if made is PublicIdentity and "|" not in pieces[0] else ""
    form = "%s".join(piece.replace("%", "%%") for piece in pieces[::2])
    places = [_filled(place) for place in pieces[1::2]]

    def fill(run: Run, frame: Frame) -> str | None:
        values = [place(run, frame) for place in places]
        if None in values:
            return None
        filled = form % tuple(values)  # `urn:oid:{type}|{id}`: who sends `urn:oid:1.2.3` as the type means 1.2.3
        return made(filled.removeprefix(kind) if kind and filled.startswith(kind * 2) else filled)

    return fill


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


def _link(files: Files, text: str, known: Types) -> Link:
    parent, _, path = text.partition(".")
    compiled = path_in(files, known[parent], path)
    return Link(parent, path, "[]" in path, compiled.read)


def _reverse(files: Files, text: str, own: str) -> Link:
    path, arrow, parent = (part.strip() for part in text.partition("->"))
    if not arrow:
        files.fail(f"reverse {text!r} is not `path -> anchor`")
    return Link(parent, path, "[]" in path, path_in(files, own, path).read)


def _mark(files: Files, declared: dict[str, Any], own: str, tables: Knowledge) -> Mark | None:
    text = declared.get("mark") or declared.get("tag")
    if text is None:
        return None
    path, equals, short = (part.strip() for part in text.partition(" = "))
    if not equals:
        files.fail(f"{text!r} is not `path = system#code`")
    try:
        code = marked(short, tables)
    except ValueError as fault:
        files.fail(str(fault))
    compiled = path_in(files, own, path)
    return Mark(compiled.text, {"coding": [code]}, compiled.read, code["system"], code["code"], "mark" in declared)


def code_system(word: str) -> str:
    """The url of a code system: one of ours by its word, any other as it is."""
    return word if ":" in word else f"{CODES}/{word}"


def _skip(files: Files, text: str, own: str) -> tuple[Callable[[Resource], Any], str]:
    path, _, system = (part.strip() for part in text.partition(" = "))
    return path_in(files, own, path).read, code_system(system)


def condition(files: Files, text: str, said: Said) -> Callable[[dict[str, Any]], bool]:
    """Says a field of an item (`a / b`: one of them) something, or does it match (=~) or not match (!~) a pattern?

    Several conditions, joined by ` and `, must all hold."""
    first, joined, rest = text.partition(" and ")
    if joined:
        here, there = condition(files, first, said), condition(files, rest, said)
        return lambda item: here(item) and there(item)
    for sign, wanted in ((" =~ ", True), (" !~ ", False)):
        if sign in text:
            return _pattern_condition(files, *text.split(sign, 1), wanted=wanted)
    asked = [(native_path(field.strip()).read, said.at(field.strip()).says) for field in text.split(" / ")]
    if len(asked) == 1:
        return _says(*asked[0])
    return lambda item: any(says(read(item)) for read, says in asked)


def _says(read: Callable[[dict[str, Any]], Any], says: Callable[[Any], bool]) -> Callable[[dict[str, Any]], bool]:
    return lambda item: says(read(item))


def _pattern_condition(files: Files, field: str, pattern: str, *, wanted: bool) -> Callable[[dict[str, Any]], bool]:
    read = native_path(field.strip()).read
    try:
        search = re.compile(pattern).search
    except re.error as fault:
        files.fail(f"cannot read the pattern {pattern!r}: {fault}")
    return lambda item: (search(folded(str(read(item) or ""))) is not None) is wanted


def _first_of(files: Files, text: str, own: str) -> Callable[[Resource], Any]:
    """Reads `a / b`: the first of several paths that holds something."""
    readers = [path_in(files, own, path.strip(), whole_list=True).read for path in text.split(" / ")]
    return lambda node: next((found for read in readers if (found := read(node)) is not None), None)


def as_list(value: Any) -> list[str]:
    """One word or several."""
    return [] if value is None else value if isinstance(value, list) else [value]
