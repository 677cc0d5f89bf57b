"""A first declaration from sample records: what is known is written, what had to be guessed is marked `# guess:`."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace
from itertools import chain, product
from typing import Any

from fhir_adapter.mapping.guessing import (
    codes_of,
    ends_like_id,
    fitted,
    guesses,
    is_called,
    is_id,
    is_of_the_person,
    kind_called,
    table_of,
    target_for,
)
from fhir_adapter.mapping.samples import Found, Record, is_name, lists_in, objects_in, plain_fields, schema_of
from fhir_adapter.mapping.scaffold_text import (
    Draft,
    anchor_lines,
    codes_text,
    declaration_text,
    list_lines,
    rule_line,
    with_word,
)

_NO_PLACE = "no place in FHIR was found by its name"


@dataclass(frozen=True, slots=True)
class Scaffold:
    """The files of a first mapping: JSON as values; `guesses`: how many lines are marked."""

    declaration: str
    codes: str
    schema: dict[str, Any]

    @property
    def guesses(self) -> int:
        """How many lines were guessed."""
        return sum("# guess:" in line for line in [*self.declaration.splitlines(), *self.codes.splitlines()])


def scaffold(name: str, records: Sequence[Record], input_lines: Sequence[str], id_path: str = "id") -> Scaffold:
    """A declaration, its code tables and its schema from sample records.

    `input_lines`: its `input`, as YAML; `id_path`: the field that is the record's id.
    """
    draft = Draft()
    fields = [found for found in plain_fields(records) if found.path not in ("id", id_path)]
    _find_person(draft, fields, [path for path, _ in objects_in(records)], len(records))
    lists = sorted(lists_in(records), key=lambda one: kind_called(one[0], "plan") == "request")  # goals may hold some
    if any(kind_called(path, "plan") == "note" for path, _ in lists):
        draft.taken.add("plan:note[0].text")
    placed = [path for path, values in objects_in(records) if _place_object(draft, path, values)]
    for found in fields:
        if found.path != draft.number_field and found.path.partition(".")[0] not in placed:
            _place_field(draft, found)
    for path, items in lists:
        draft.lists += _list(draft, path, items, "plan", "")
    schema = {**schema_of(records), "title": name}
    return Scaffold(declaration_text(name, draft, input_lines), codes_text(draft), schema)


def _find_person(draft: Draft, fields: Sequence[Found], objects: Sequence[str], records: int) -> None:
    """The field with the person's national number, by its name or else by the form of its values in every record, and
    the object that holds the person."""
    pairs = list(product(guesses()["numbers"], (found for found in fields if found.is_plain and _is_text(found))))
    named = ((number, found) for number, found in pairs if is_called(found.path, number["names"]))
    alike = ((number, found) for number, found in pairs if _looks_like(number["like"], found, records))
    if (known := next(chain(named, alike), None)) is not None:
        draft.number, found = known
        draft.number_field, draft.person = found.path, found.holder
        draft.is_everywhere = len(found.values) == records
    else:
        draft.person = next((path for path in objects if is_called(path, guesses()["person"])), "")


def _is_text(found: Found) -> bool:
    return bool(found.values) and all(isinstance(value, str) and value for value in found.values)


def _looks_like(pattern: str, found: Found, records: int) -> bool:
    is_candidate = len(found.values) == records and not is_id(found.path) and not is_of_the_person(found.path)
    return is_candidate and all(re.fullmatch(pattern, value) for value in found.values)


# ---- the record's own fields, and objects in it


def _place_field(draft: Draft, found: Found) -> None:
    kind = None if found.holder else kind_called(found.path, "record")
    main = guesses()["kinds"][kind].get("main") if kind is not None else None
    if kind is not None and main is not None and f"object {kind}" not in draft.taken and fitted(main, [found]):
        draft.taken.add(f"object {kind}")
        if (line := _rule(draft, found, main, "")) is not None:
            draft.anchors += anchor_lines(kind, found.path, "record")
            draft.rules.append(line)
        return
    target = _target_in_record(draft, found)
    if target is None:
        draft.refuse(found.path, _NO_PLACE)
    elif (line := _rule(draft, found, target, "")) is not None:
        draft.rules.append(line)


def _target_in_record(draft: Draft, found: Found) -> str | None:
    is_person = f"{found.holder}.".startswith(f"{draft.person}.") if draft.person else not found.holder
    if draft.person and is_person:
        return target_for(found, guesses()["patient"], draft.taken)
    if found.holder and not is_called(found.holder, guesses()["plan"]):
        return None
    known = guesses()["record"] | (guesses()["patient"] if is_person else {})
    return target_for(found, known, draft.taken)


def _place_object(draft: Draft, path: str, values: Sequence[Record]) -> bool:
    """An object that becomes a resource of its own."""
    kind = kind_called(path, "record")
    if kind is None or f"object {kind}" in draft.taken or path == draft.person:
        return False
    draft.taken.add(f"object {kind}")
    every = (replace(found, path=f"{path}.{found.path}") for found in plain_fields(values))
    fields = [found for found in every if found.path != draft.number_field]
    rules, left = _rules(draft, kind, fields, "")
    draft.anchors += anchor_lines(kind, path, "record") if rules else []
    draft.rules += rules
    for found in left:
        draft.refuse(found.path, _NO_PLACE)
    return True


# ---- lists


def _list(draft: Draft, path: str, items: Sequence[Record], place: str, outer: str) -> list[str]:
    """The lines of a list and of those inside it; none where it is refused. `outer`: the path of what holds it."""
    kind = kind_called(path, place) if all(map(is_name, path.split("."))) else None
    if kind is None or f"{outer}{kind}" in draft.taken:
        why = "what its items are could not be told" if kind is None else "there is a list of this kind already"
        draft.refuse(f"{outer}{path}", why)
        return []
    prefix, key = f"{outer}{path}[].", _key_in(items)
    rules, left = _rules(draft, kind, [found for found in plain_fields(items) if found.path not in ("id", key)], prefix)
    if not rules:
        draft.refuse(f"{outer}{path}", f"its name says {kind}, and none of its fields fits")
        return []
    draft.taken.add(f"{outer}{kind}")
    if (line := _key_rule(kind, key)) is not None:
        rules.append(line)
    elif key is not None:
        draft.refuse(f"{prefix}{key}", _NO_PLACE)
    for found in left:
        draft.refuse(f"{prefix}{found.path}", _NO_PLACE)
    if (
        key is None
        and "identifier: true" not in guesses()["kinds"][kind]["anchors"]
        and any("id" in one for one in items)
    ):
        draft.lossy.append(f"{prefix}id")
    inner = [line for name, below in lists_in(items) for line in _list(draft, name, below, kind, prefix)]
    draft.anchors += anchor_lines(kind, path, "root") if "root" in guesses()["kinds"][kind] else []
    lines = list_lines(kind, path, place, key, rules, inner)
    for other, about in guesses()["kinds"].items():
        lines = with_word(lines, about["outer"]) if "outer" in about and f"{prefix}{other}" in draft.taken else lines
    return lines


def _key_in(items: Sequence[Record]) -> str | None:
    """The field that tells items apart where they have no `id`."""
    if any("id" in item for item in items):
        return None
    names = [name for name, value in items[0].items() if isinstance(value, str) and is_name(name)]
    named = [name for name in names if is_id(name)] or [name for name in names if ends_like_id(name)]
    return next(iter(named), None)


def _key_rule(kind: str, key: str | None) -> str | None:
    anchor, _, words = guesses()["kinds"][kind]["anchors"].partition(":")
    if key is None or "identifier: true" not in words:
        return None
    return rule_line(key, f"{anchor}:identifier[use=secondary].value", "tells an item from its neighbours")


# ---- rules


def _rules(draft: Draft, kind: str, fields: Sequence[Found], prefix: str) -> tuple[list[str], list[Found]]:
    """The rules for an item's fields, and the fields that have no place. `prefix`: the item's path, with a dot."""
    about = guesses()["kinds"][kind]
    taken: set[str] = set()
    rules, used = _joined(draft, about.get("joined") or (), fields)
    left = []
    for found in (found for found in fields if found.path not in used):
        target = target_for(found, about["fields"], taken)
        if target is None:
            left.append(found)
        elif (line := _rule(draft, found, target, prefix)) is not None:
            rules.append(line)
    main = about.get("main")
    text = next((found for found in left if main is not None and fitted(main, [found]) is not None), None)
    if prefix and main not in taken and text is not None:
        left.remove(text)
        taken.add(main)
        rules.insert(0, rule_line(text.path, str(fitted(main, [text])), "the first that fits"))
    return [] if "needed" in about and main not in taken else rules, left


def _joined(draft: Draft, joined: Sequence[dict[str, Any]], fields: Sequence[Found]) -> tuple[list[str], set[str]]:
    """Rules over several fields, where all of them are there and all their words are known."""
    rules: list[str] = []
    used: set[str] = set()
    for one in joined:
        parts = [next((found for found in fields if is_called(found.path, words)), None) for words in one["fields"]]
        there = [found for found in parts if found is not None]
        target = fitted(one["target"], there) if len(there) == len(parts) else None
        tables = {table: codes_of(table, there[place]) for table, place in one.get("words", {}).items() if target}
        if target is not None and all(None not in codes.values() for codes in tables.values()):
            for table, codes in tables.items():
                draft.tables.setdefault(table, {}).update({word: str(code) for word, code in codes.items()})
            used |= {found.path for found in there}
            rules.append(rule_line(", ".join(found.path for found in there), target, "by their names"))
    return rules, used


def _rule(draft: Draft, found: Found, target: str, prefix: str) -> str | None:
    """A rule as a line, its words noted for the code table. None where none of them is known: the field is refused."""
    native = f"{found.path}[]" if found.is_list() else found.path
    table = table_of(target)
    if table is None:
        return rule_line(native, target)
    codes = codes_of(table, found)
    known = {word: code for word, code in codes.items() if code is not None}
    unknown = [word for word in codes if word not in known]
    if not known:
        draft.refuse(f"{prefix}{found.path}", f"{target}, with rows for {', '.join(unknown)} in the table {table}")
        return None
    draft.tables.setdefault(table, {}).update(known)
    draft.unknown.setdefault(table, {}).update(dict.fromkeys(unknown))
    if unknown and " | code " in target:
        target = f"{target} else={guesses()['codes'][table][0]}"
    return rule_line(native, target)
