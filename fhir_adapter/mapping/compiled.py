"""The way native -> FHIR as Python source: for each list of the record one function that makes, one that writes.

A declaration is data; walking that data for every field of every record costs more than the work itself. So at load
time each list becomes two straight functions, `make` (the FHIR nodes of an item) and `write` (its fields into them).
Every rule stands above its lines as a comment: `python -m fhir_adapter.mapping.compiled NAME` prints all of it.
Words of the declaration get into the source through `repr` alone.
"""

from __future__ import annotations

import re
import sys
from collections.abc import Callable, Sequence
from contextlib import nullcontext
from itertools import groupby
from typing import Any
from uuid import UUID, uuid5

from fhir_adapter.fhir.paths import enter_at, enter_with, parse_path, write_at
from fhir_adapter.fhir.resources import reference_of
from fhir_adapter.mapping.anchors import Anchor, Link, PublicIdentity
from fhir_adapter.mapping.frames import Frame, NativePath
from fhir_adapter.mapping.lines import Source, Walk, as_name, write_line
from fhir_adapter.mapping.model import Run, Unmapped, is_uuid
from fhir_adapter.mapping.rules import Field, Rule, Target

_PLACE = re.compile(r"\{([^{}]+)\}")
_KNOWN = {"record": "run.record_id", "key": "key", "parent": "frame.parent_key"}


# ---- the nodes of an item


def make_function(place: str, list_: str, anchors: Sequence[Anchor], standing: Sequence[Anchor]) -> tuple[Walk, str]:
    """Makes every anchor's node for an item, with its constants, references and the references to it; other items find
    the first of those `standing` for it by the item's key. `list_`: the record's own name of the list."""
    source = Source("make", _HELPERS)
    source.add("key, own = frame.key, frame.own")
    source.add("is_born = own is not None and len(key) == 36 and is_uuid(key)")
    for anchor in anchors:
        source.own(anchor.name)
        source.add(f"# {anchor.name}")
        conditions = []
        if anchor.when is not None:
            conditions.append(f"{source.called(f'when_{anchor.name}', anchor.when)}(native)")
        if anchor.needs is not None:
            conditions.append(f"{source.node(anchor.needs)} is not None")
        conditions += _held(source, anchor)
        with source.block(f"if {' and '.join(conditions)}") if conditions else nullcontext():
            _make(source, anchor)
    for index, anchor in enumerate(standing if standing[0].element is None else ()):
        with source.block(f"{'elif' if index else 'if'} {source.node(anchor.name)} is not None"):
            source.add(f"run.places[{list_!r}, key] = {source.node(anchor.name)}")
            source.add(f"run.keys[{source.reference(anchor.name)}] = key")
    return source.compiled(f"{place} make")


def _held(source: Source, anchor: Anchor) -> list[str]:
    """A resource that hangs on others is made where one of them is: nobody could find it again by itself."""
    holders = [link.parent for link in anchor.links] or ([anchor.reverse.parent] if anchor.reverse is not None else [])
    if not holders or anchor.root:
        return []
    there = " or ".join(f"{source.node(holder)} is not None" for holder in dict.fromkeys(holders))
    return [f"({there})"]


def _make(source: Source, anchor: Anchor) -> None:
    node = source.node(anchor.name)
    if anchor.of is not None:
        scope, by = anchor.of
        source.add(f"found = run.places.get(({scope!r}, str({source.called('by', by.read)}(native))))")
        with source.block("if found is not None"):
            source.add(f"{node} = nodes[{anchor.name!r}] = found")
            source.add(f"{source.reference(anchor.name)} = reference_of(found)")
    elif anchor.same is not None:
        with source.block(f"if {source.node(anchor.same)} is not None"):
            source.add(f"{node} = {source.node(anchor.same)}")
            if not anchor.is_element:
                source.add(f"{source.reference(anchor.name)} = {source.reference(anchor.same)}")
            _connect(source, anchor)
    elif anchor.element is not None:
        parent = source.node(anchor.element.parent)
        with source.block(f"if {parent} is not None"):
            source.add(f"{node} = {_literal({'url': anchor.extension} if anchor.extension is not None else {})}")
            source.add(write_line(parent, parse_path(anchor.element.text), node))
            _connect(source, anchor)
    else:
        _make_resource(source, anchor)


def _make_resource(source: Source, anchor: Anchor) -> None:
    """The resource under its reference; it is not made where the item does not say enough for a business id."""
    text = anchor.id_text
    if text is not None and set(_PLACE.findall(text)) <= set(_KNOWN):
        pieces = _PLACE.split(text)
        written = [_KNOWN[piece] if index % 2 else repr(piece) for index, piece in enumerate(pieces) if piece]
        source.add(f"business = {' + '.join(written)}")
        _add_resource(source, anchor)
        return
    source.add(f"business = {source.called(f'identify_{anchor.name}', anchor.identify)}(run, frame)")
    with source.block("if business is not None"):
        _add_resource(source, anchor)
    if anchor.needed is not None:
        field, message, expected = anchor.needed
        with source.block("else"):
            source.add(f"run.error(frame.path + {field!r}, 'required', {message!r}, {expected!r})")


def _add_resource(source: Source, anchor: Anchor) -> None:
    """With its identifier, constants and mark, in this order."""
    node = source.node(anchor.name)
    source.add(f"made = {_made_id(source, anchor)}")
    fixed = "".join(f", {name!r}: {_literal(value)}" for name, value in anchor.constants.items())
    begin = f"{{'resourceType': {anchor.type!r}, 'id': made"
    if anchor.identifier:
        condition = "own is not None and (not is_born or key == run.record_id)" if anchor.adopt else "own is not None"
        if anchor.may_be_public:
            condition += " and business.__class__ is not PublicIdentity"
        identifier = "'identifier': [{'system': run.source, 'value': business}]"
        with source.block(f"if {condition}"):
            source.add(f"{node} = {begin}, {identifier}{fixed}}}")
        with source.block("else"):
            source.add(f"{node} = {begin}{fixed}}}")
    else:
        source.add(f"{node} = {begin}{fixed}}}")
    if anchor.mark is not None:
        source.add(write_line(node, parse_path(anchor.mark.text), _literal(anchor.mark.concept)))
    source.add(f"{source.reference(anchor.name)} = {f'{anchor.type}/'!r} + made")
    source.add(f"{node} = run.index.setdefault({source.reference(anchor.name)}, {node})")
    _connect(source, anchor)


def _made_id(source: Source, anchor: Anchor) -> str:
    made = f"run.national_id(run.source + {f'|{anchor.type}|'!r} + business)"  # what id_of does, in one call
    if anchor.born is not None:
        made = f"within_root(run, {source.called('born', anchor.born)}(run, frame)) if is_born else {made}"
    if anchor.adopt:
        made = f"key if is_born else {made}"
    if anchor.may_be_public:
        made = f"run.national_id(business) if business.__class__ is PublicIdentity else {made}"
    return made


def within_root(run: Run, words: str | None) -> str:
    """The id of what hangs on a thing that was born elsewhere: told by these words within the root's id."""
    root = next(iter(run.index.values()))
    return str(uuid5(UUID(root["id"]), words or ""))


def _connect(source: Source, anchor: Anchor) -> None:
    """The node under its name, its references, the references to it, and the name that it answers to."""
    node = source.node(anchor.name)
    source.add(f"nodes[{anchor.name!r}] = {node}")
    for target, path in anchor.refers:
        _refer(source, node, path, target)
    if anchor.links:
        _link_first(source, anchor.links, source.reference(anchor.name))
    for link in anchor.also:
        _refer(source, source.node(link.parent), link.text, anchor.name, only_if=source.node(link.parent))
    if anchor.reverse is not None:
        _refer(source, node, anchor.reverse.text, anchor.reverse.parent)
    if anchor.call is not None:
        source.add(f"name = {source.called('name', anchor.call.read)}(native)")
        with source.block("if name"):
            source.add(f"run.bearers.call(name, {source.reference(anchor.name)})")


def _refer(source: Source, node: str, path: str, target: str, only_if: str | None = None) -> None:
    referred = source.node(target)
    with source.block(f"if {only_if or referred} is not None"):
        source.add(write_line(node, parse_path(path), f"{{'reference': {source.reference(target)}}}"))


def _link_first(source: Source, links: Sequence[Link], reference: str) -> None:
    for place, link in enumerate(links):
        parent = source.node(link.parent)
        with source.block(f"{'elif' if place else 'if'} {parent} is not None"):
            source.add(write_line(parent, parse_path(link.text), f"{{'reference': {reference}}}"))


def _literal(value: Any) -> str:
    """JSON as a Python literal: evaluated anew each time, so nobody shares it."""
    return repr(value)


# ---- the fields of an item


def write_function(place: str, fields: Sequence[Field]) -> tuple[Walk, str]:
    """Writes every field of an item into its nodes; says so where no node can carry it."""
    source = Source("write", _HELPERS)
    source.add("path = frame.path")
    source.add("get = native.get")
    holders = dict.fromkeys(native.names[:-1] for field in fields for native in field.natives if native.names[1:])
    getters: dict[tuple[str, ...], str] = {(): "get"}
    for names in holders:
        _open_object(source, names, getters)
    for holder, inside in groupby(fields, _holder):
        with source.block(f"if {getters[holder]} is not nothing") if holder else nullcontext():
            for field in inside:
                _write_field(source, field, getters)
    return source.compiled(f"{place} write")


def _holder(field: Field) -> tuple[str, ...]:
    """The object of the record that all of a field is in: where it is missing, nothing is to be written."""
    holders = {native.names[:-1] for native in field.natives}
    return holders.pop() if len(holders) == 1 else ()


def _open_object(source: Source, names: tuple[str, ...], getters: dict[tuple[str, ...], str]) -> None:
    """`get` of an object of the record, or of an empty one where it is missing."""
    if names in getters:
        return
    _open_object(source, names[:-1], getters)
    getters[names] = f"get_{as_name('_'.join(names))}_{len(getters)}"
    source.add(f"value = {getters[names[:-1]]}({names[-1]!r})")
    source.add(f"{getters[names]} = value.get if value.__class__ is dict else nothing")


def _write_field(source: Source, field: Field, getters: dict[tuple[str, ...], str]) -> None:
    for rule in field.rules:
        source.add(f"# {rule.text}")
    values = [_value_of(source, native, getters) for native in field.natives]
    if len(values) == 1:
        source.add(f"value = {values[0]}")
        head = "if value or value is not None and value != '' and value != []"  # FHIR has no empty values
    else:
        source.add(f"value = ({', '.join(values)})")
        head = f"if value != {(None,) * len(values)}"
    with source.block(head):
        writing = [rule for rule in field.rules if rule.writes]
        for rule in writing:
            with source.block(f"if {source.node(rule.first)} is not None"):
                _write_rule(source, field, rule)
        readable = {source.node(rule.first): None for rule in field.rules if rule.reads}
        is_same = len(writing) == 1 and list(readable) == [source.node(writing[0].first)]
        if not readable:
            return  # only written: another field carries what is sent
        unread = " and ".join(f"{node} is None" for node in readable)
        unwritten = " and ".join(dict.fromkeys(f"{source.node(rule.first)} is None" for rule in writing))
        with source.block("else" if is_same else f"if {unread} or {unwritten}" if writing else f"if {unread}"):
            source.add(f"report({source.called('field', field)}, frame, run)")


def _value_of(source: Source, native: NativePath, getters: dict[tuple[str, ...], str]) -> str:
    if native.steps:
        return f"{source.called('read', native.read)}(native)"
    return f"{getters[native.names[:-1]]}({native.names[-1]!r})"


def _write_rule(source: Source, field: Field, rule: Rule) -> None:
    name = field.natives[0].text if len(field.natives) == 1 else ""
    convert = _conversion(source, rule)
    here = f"path + {name!r}" if name else "path"
    if field.many == "one":
        _write_value(source, rule, convert, "value", here)
        return
    each = source.block("for place, item in enumerate(value)")
    with source.block("if value.__class__ is list"), each, source.block("if item is not None"):
        _write_value(source, rule, convert, "item", f"path + {name + '['!r} + str(place) + ']'")
    with source.block("else"):
        _write_value(source, rule, convert, "value", here)


Conversion = Callable[[str, str], str]
"""the expressions of a value and of its path in the record -> that of what it is in FHIR"""


def _conversion(source: Source, rule: Rule) -> Conversion | None:
    if rule.pair is None:
        return None
    convert = source.called(f"to_{rule.first}", rule.pair.to_fhir)
    if not rule.pair.known:
        return lambda value, here: f"{convert}({value}, run, {here})"
    known = source.called("known", rule.pair.known.get)
    return lambda value, here: f"{known}({value}) or {convert}({value}, run, {here})"


def _write_value(source: Source, rule: Rule, convert: Conversion | None, value: str, here: str) -> None:
    if convert is None:
        source.add(_target_line(source, rule.targets[0], value))
        return
    source.add(f"made = {convert(value, here)}")
    if len(rule.targets) == 1:
        with source.block("if made is not None"):
            source.add(_target_line(source, rule.targets[0], "made"))
        return
    with source.block("if made is not None"):
        parts = [f"part{index}" for index in range(len(rule.targets))]
        source.add(f"{', '.join(parts)} = made")
        for part, target in zip(parts, rule.targets, strict=True):
            with source.block(f"if {part} is not None and {source.node(target.anchor)} is not None"):
                source.add(_target_line(source, target, part))


def _target_line(source: Source, target: Target, value: str) -> str:
    return write_line(source.node(target.anchor), parse_path(target.text), value)


def report(field: Field, frame: Frame, run: Run) -> None:
    """Says that an item has no node which could carry this field."""
    anchors = " or ".join(dict.fromkeys(rule.first for rule in field.rules))
    sent = [native.text for native in field.natives if native.read(frame.native) is not None]
    run.unmapped += [
        Unmapped(frame.path + text, f"cannot be carried for this item: no {anchors}", "refused") for text in sent
    ]


_HELPERS: dict[str, Any] = {
    "PublicIdentity": PublicIdentity,
    "enter_at": enter_at,
    "enter_with": enter_with,
    "is_uuid": is_uuid,
    "nothing": {}.get,
    "reference_of": reference_of,
    "report": report,
    "within_root": within_root,
    "write_at": write_at,
}
"""What every generated function may call."""


def main(name: str) -> None:
    """Prints the functions of a mapping."""
    from fhir_adapter.mapping.load import find  # the loader needs this module

    for scope in find(name).scopes():
        sys.stdout.write(f"# ---- {scope.name or 'the record'}\n\n{scope.source}\n")


if __name__ == "__main__":
    main(sys.argv[1])
