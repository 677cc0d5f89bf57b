"""Parts of FHIR for formats that are FHIR themselves: the same on both sides but for references and spellings."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fhir_adapter.fhir.resources import CODES, EXTENSIONS, Resource
from fhir_adapter.mapping.converters.codes import table_named
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.inputs.bundles import ENVELOPE
from fhir_adapter.mapping.knowledge import Knowledge, Table
from fhir_adapter.mapping.model import Pair, Run
from fhir_adapter.mapping.words import folded


@dataclass(frozen=True, slots=True)
class _Spellings:
    """`systems`: every known spelling of a code system -> its tables; `names`: other names of urls -> the current."""

    systems: Mapping[str, tuple[Table, ...]]
    names: Mapping[str, str]


@converter("fhir", "[names=TABLE] [with=ELEMENT] [url=URL] [must] [words]", kinds="any")
def _fhir(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A part of FHIR <-> the same part. References lead to what the record's resources became. A code system that a
    table knows by an alias, and an identifier system or url that the table `names` has, is spelled the current way; a
    missing display comes from the tables; an unknown code or other words for it stay, with a warning. `with=ELEMENT`,
    `url=URL`: only parts with this element, only extensions with this url; `must`: the reference has to lead to a
    resource of the record. Extensions of ours, and what only our codes tell, stay inside; `words`: what these stand for
    is told, as text."""
    names = table_named(words.option("names"), knowledge).codes if words.option("names") else {}
    spellings = _Spellings(_systems_of(knowledge), names)
    element, url, must = words.option("with"), words.option("url"), "must" in words.flags
    tells_words = "words" in words.flags

    def is_mine(part: Any) -> bool:
        if not isinstance(part, dict):
            return True
        name = str(part.get("url"))
        own = name.startswith(EXTENSIONS) or _is_by_our_codes(part)
        return not own and (not element or element in part) and (not url or spellings.names.get(name, name) == url)

    def to_fhir(part: Any, run: Run, path: str) -> Any:
        if not is_mine(part):
            return None
        made = _inward(part, spellings, run, path)
        if must and "reference" not in made:
            run.error(f"{path}.reference", "not-found", "the resource is not in the Bundle", "one of its entries")
        return made

    def to_native(part: Any, run: Run) -> Any:
        if tells_words and isinstance(part, dict) and _is_by_our_codes(part):
            return _in_words(part)
        is_ours = isinstance(part, dict) and part.get("system") == run.source  # the business id that mapping adds
        made = _outward(part, run) if is_mine(part) and not is_ours else _NOTHING
        return None if made is _NOTHING else made

    return Pair(to_fhir, to_native)


@converter("record_reference", "TYPE", loses="what else was referred to: for rules that only read", kinds="any")
def _record_reference(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """One Reference to the record's own resource, of this type, whatever the value <-> anything."""
    return Pair(
        lambda _value, _run, _path: None,
        lambda _value, run: [{"reference": f"{words.plain[0]}/{run.record_id}"}],
    )


def _is_by_our_codes(part: Resource) -> bool:
    codings = part.get("coding")
    if not isinstance(codings, list) or not all(isinstance(one, dict) for one in codings):
        return False  # that it is no FHIR is told by whoever checks it
    return bool(codings) and all(str(one.get("system")).startswith(CODES) for one in codings)


def _in_words(concept: Resource) -> Resource | None:
    """A concept with nothing but its text, or the display of its code."""
    displays = (coding.get("display") for coding in concept["coding"])
    text = concept.get("text") or next(filter(None, displays), None)
    return {"text": text} if text else None


def _systems_of(knowledge: Knowledge) -> dict[str, tuple[Table, ...]]:
    systems: dict[str, tuple[Table, ...]] = {}
    for table in knowledge.tables.values():
        for spelling in (table.system, *table.aliases):
            if spelling is not None:
                systems[spelling] = (*systems.get(spelling, ()), table)
    return systems


def _inward(part: Any, spellings: _Spellings, run: Run, path: str) -> Any:
    if isinstance(part, list):
        return [_inward(one, spellings, run, f"{path}[{index}]") for index, one in enumerate(part)]
    if not isinstance(part, dict):
        return part
    made = {name: _inward(value, spellings, run, f"{path}.{name}") for name, value in part.items()}
    for name in ("system", "url"):
        if isinstance(made.get(name), str):
            made[name] = spellings.names.get(made[name], made[name])
    if isinstance(made.get("reference"), str):
        return _referring(made, run, path)
    tables = spellings.systems.get(str(made.get("system")))
    return _spelled(made, tables, run, path) if tables and isinstance(made.get("code"), str) else made


def _spelled(coding: Resource, tables: Sequence[Table], run: Run, path: str) -> Resource:
    """A Coding with the current name of its system, and with its display."""
    made, code = {**coding, "system": tables[0].system}, coding["code"]
    if not any(code in table.words for table in tables):
        run.warn(f"{path}.code", "code-invalid", "this code is not in the code list: it is kept", tables[0].system)
        return made
    display = next((table.displays[code] for table in tables if code in table.displays), None)
    if display is None or "display" not in made:
        return made if display is None else made | {"display": display}
    if folded(str(made["display"])) != folded(display):
        run.warn(f"{path}.display", "code-invalid", "other words than the code's: the code counts", display)
    return made


def _referring(pointer: Resource, run: Run, path: str) -> Resource:
    """A Reference to what an entry of the Bundle became; one to another server stays."""
    said = pointer["reference"]
    found = _resource_at(said, run)
    if found is not None:
        return {**pointer, "reference": f"{found['resourceType']}/{found['id']}"}
    if said.startswith(("http://", "https://", "#")):
        return pointer
    run.warn(f"{path}.reference", "not-found", "the resource is not in the Bundle: the reference is kept as text")
    left = {name: value for name, value in pointer.items() if name != "reference"}
    return {"display": said, **left}


def _resource_at(reference: str, run: Run) -> Resource | None:
    """The resource that an item of the record became: `Goal/1`, at any server, or by the address of its entry."""
    type_, _, key = reference.partition("/")
    if (type_, key) not in run.places:
        entries = run.record.get(ENVELOPE, {}).get("entry", ())
        name = str(next((one.get("resource") for one in entries if one.get("fullUrl") == reference), reference))
        type_, _, key = name.partition("/")
    if (type_, key) in run.places:
        return run.places[type_, key]
    root = run.places.get((".", run.record_id))
    is_root = root is not None and (reference == f"{root['resourceType']}/{run.record_id}" or _is_part(type_, run))
    return root if is_root else None


def _is_part(name: str, run: Run) -> bool:
    """Is it the name of a resource that has a field of its own in the record?"""
    return isinstance(run.record.get(name), dict) and name != ENVELOPE


_NOTHING = object()


def _outward(part: Any, run: Run) -> Any:
    """The part without what is ours, _NOTHING where that was all in it: FHIR has no empty objects and lists."""
    if isinstance(part, list):
        made: Any = [one for each in part if (one := _outward(each, run)) is not _NOTHING]
    elif isinstance(part, dict):
        made = {}
        for name, value in part.items():
            left = _foreign(value) if name == "extension" else value
            one = _outward(left, run) if left or not value else _NOTHING
            made |= {} if one is _NOTHING else {name: one}
        if isinstance(made.get("reference"), str):
            made["reference"] = _address_of(made["reference"], run)
    else:
        return part
    return made if made or not part else _NOTHING


def _foreign(extensions: list[Resource]) -> list[Resource]:
    """The extensions that are not ours: only those are the format's."""
    return [one for one in extensions if not str(one.get("url")).startswith(EXTENSIONS)]


def _address_of(reference: str, run: Run) -> str:
    """How the record refers to a resource: by the list that holds its item."""
    key = run.keys.get(reference)
    if key is None:
        return reference
    type_ = reference.partition("/")[0]
    return next((f"{name}/{key}" for name in _lists_with(key, run, type_)), f"{type_}/{key}")


def _lists_with(key: str, run: Run, first: str) -> Iterator[str]:
    """The lists of the record that hold an item with this id, the one of this name first."""
    for name in sorted(run.record, key=lambda name: name != first):
        items = run.record[name]
        if isinstance(items, list) and any(isinstance(item, dict) and item.get("id") == key for item in items):
            yield name
