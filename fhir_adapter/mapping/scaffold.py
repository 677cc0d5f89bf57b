"""A first declaration from sample records: what is known is written, what had to be guessed is marked `# guess:`."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from fhir_adapter.mapping.model import folded

GUESSES = Path(__file__).parent / "guesses.yaml"

_SUBJECT = {"goal": "subject", "request": "subject"}
_ITEMS = {
    "goal": ("Goal", "plan.goal[]", "{lifecycleStatus: active}"),
    "request": ("ServiceRequest", "plan.activity[].reference", "{status: active, intent: plan}"),
}
_TASK = """\
    task:
      type: Task
      id: "{record}/LIST/{key}"
      born: ServiceRequest|{key}|task
      reverse: focus -> request
      set: {status: requested, intent: plan}
      refer: {for: patient, "basedOn[]": plan}"""
"""An intervention is a ServiceRequest, and a Task for who does it and how far it is."""

_TITLES = {"plan-status": "active", "goal-status": "active", "request-status": "active", "gender": "unknown"}
_CODES = {
    "plan-status": {"active", "completed", "draft", "on-hold", "revoked"},
    "goal-status": {"active", "completed", "planned", "on-hold", "cancelled"},
    "request-status": {"active", "completed", "draft", "on-hold", "revoked"},
    "gender": {"female", "male", "other", "unknown"},
}
_YAML_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}
_AS_GOAL = {"draft": "planned", "revoked": "cancelled"}
"""what a goal calls the states of a plan"""


@dataclass(frozen=True, slots=True)
class Scaffold:
    """The files of a first mapping by their names, JSON as values; `guesses`: how many lines are marked."""

    declaration: str
    codes: str
    schema: dict[str, Any]

    @property
    def guesses(self) -> int:
        """How many lines were guessed."""
        return sum("# guess:" in line for line in [*self.declaration.splitlines(), *self.codes.splitlines()])


@dataclass(slots=True)
class _Draft:
    """What has been found so far."""

    rules: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    tables: dict[str, dict[str, None]] = field(default_factory=dict)
    """code table -> the words that the samples have for it"""
    person: str = ""
    number: dict[str, Any] = field(default_factory=dict)
    taken: set[str] = field(default_factory=set)


@lru_cache(maxsize=1)
def guesses() -> dict[str, Any]:
    """The words to guess from."""
    known: dict[str, Any] = yaml.safe_load(GUESSES.read_text("utf-8"))
    return known


def plain(name: str) -> str:
    """A field's name as it is compared: small letters and digits alone."""
    return re.sub(r"[\W_]", "", folded(name))


def is_id(name: str) -> bool:
    """Does a field's name say that it tells things apart?"""
    return plain(name.rpartition(".")[2]) in guesses()["id"]


def scaffold(name: str, records: Sequence[dict[str, Any]], input_lines: Sequence[str]) -> Scaffold:
    """A declaration, its code tables and its schema from sample records. `input_lines`: its `input`, as YAML."""
    schema = schema_of(records)
    draft = _Draft()
    _find_person(draft, records)
    for path, values in _plain_fields(records):
        if path != "id" and values == [record.get("id") for record in records]:
            draft.rules.append(f"- {path} <-> plan:identifier[use=secondary].value  # guess: the id of the record")
        else:
            _place_field(draft, path, values)
    for path, items in _lists_in(records):
        _place_list(draft, path, items)
    return Scaffold(_declaration(name, draft, input_lines), _codes(draft), {**schema, "title": name})


# ---- what the records hold


def schema_of(values: Iterable[Any], name: str = "") -> dict[str, Any]:
    """A JSON Schema that these values follow. Only `id` is required: one sample does not show what may be missing."""
    values = [value for value in values if value is not None]
    objects = [value for value in values if isinstance(value, dict)]
    if objects and len(objects) == len(values):
        names = list(dict.fromkeys(key for value in objects for key in value))
        properties = {
            key: {
                "title": key,
                "description": f"{key}, as in the sample.",
                **schema_of((one.get(key) for one in objects), key),
            }
            for key in names
        }
        required = {"required": ["id"]} if not name and "id" in names else {}
        return {"type": "object", **required, "properties": properties}
    if values and all(isinstance(value, list) for value in values):
        return {"type": "array", "items": schema_of([item for value in values for item in value], name)}
    kinds = {_kind_of(value) for value in values}
    return {"type": kinds.pop()} if len(kinds) == 1 else {} if kinds else {"type": "string"}


def _kind_of(value: Any) -> str:
    if isinstance(value, bool):
        return "boolean"
    if isinstance(value, int | float | Decimal):
        return "number"
    return "object" if isinstance(value, dict) else "array" if isinstance(value, list) else "string"


def _plain_fields(records: Sequence[dict[str, Any]], prefix: str = "") -> Iterator[tuple[str, list[Any]]]:
    """Every field that is neither an object nor a list of objects, with its values."""
    for name in dict.fromkeys(key for record in records for key in record):
        values = [record[name] for record in records if record.get(name) is not None]
        objects = [value for value in values if isinstance(value, dict)]
        if objects:
            yield from _plain_fields(objects, f"{prefix}{name}.")
        elif not any(isinstance(item, dict) for value in values if isinstance(value, list) for item in value):
            yield f"{prefix}{name}", values


def _lists_in(records: Sequence[dict[str, Any]], prefix: str = "") -> Iterator[tuple[str, list[dict[str, Any]]]]:
    """Every list of objects with all its items; lists inside them belong to their items."""
    for name in dict.fromkeys(key for record in records for key in record):
        values = [record[name] for record in records if record.get(name) is not None]
        if objects := [value for value in values if isinstance(value, dict)]:
            yield from _lists_in(objects, f"{prefix}{name}.")
        items = [item for value in values if isinstance(value, list) for item in value if isinstance(item, dict)]
        if items:
            yield f"{prefix}{name}", items


# ---- guessing


def _find_person(draft: _Draft, records: Sequence[dict[str, Any]]) -> None:
    """The field with the person's national number: by its name, else by the form of its values."""
    fields = [(path, [value for value in values if isinstance(value, str)]) for path, values in _plain_fields(records)]
    for number in guesses()["numbers"]:
        for path, _ in fields:
            if plain(path.rpartition(".")[2]) in number["names"]:
                draft.person, draft.number = path, number
                return
    for number in guesses()["numbers"]:
        for path, values in fields:
            if values and not is_id(path) and all(re.fullmatch(number["like"], value) for value in values):
                draft.person, draft.number = path, number
                return


def _place_field(draft: _Draft, path: str, values: list[Any]) -> None:
    if path in ("id", draft.person):
        return
    target = _target_for(path, values, guesses()["record"], draft.taken)
    if target is None or not re.fullmatch(r"[\w.-]+", path) or any(isinstance(value, list) for value in values):
        draft.refused.append(f"{_refusal(path)}no place in FHIR was found by its name")
        return
    draft.rules.append(_rule(draft, path, target, values))


def _target_for(path: str, values: list[Any], known: dict[str, list[str]], taken: set[str]) -> str | None:
    """The target that a field's name stands for, the first of them that no other field has."""
    names = {plain(path.rpartition(".")[2]), plain(path)}
    for target, words in known.items():
        if names & set(words) and target not in taken and (dated := _dated(target, values)) is not None:
            taken.add(target)
            return dated
    return None


def _dated(target: str, values: list[Any]) -> str | None:
    """The target with the converter that fits the form of the dates; None where they are no dates."""
    if "DATE" not in target and "DAY" not in target:
        return target
    word = "day" if "DAY" in target else "date"
    for pattern, form in ((r"\d{4}(-\d\d(-\d\d)?)?([T ].*)?", ""), (r"\d\d\.\d\d\.\d{4}", " form=DD.MM.YYYY"),
                          (r"\d\d/\d\d/\d{4}", " form=DD/MM/YYYY"), (r"\d{8}", " form=YYYYMMDD")):  # fmt: skip
        if values and all(isinstance(value, str) and re.fullmatch(pattern, value) for value in values):
            return re.sub("DATE|DAY", word + form, target)
    return None


def _rule(draft: _Draft, path: str, target: str, values: list[Any]) -> str:
    if (code := re.search(r"\| code ([a-z-]+)$", target)) is not None:
        draft.tables.setdefault(code[1], {}).update(dict.fromkeys(str(value) for value in values))
    return f"- {path} <-> {target}  # guess: by its name"


def _place_list(draft: _Draft, path: str, items: list[dict[str, Any]]) -> None:
    known = next(
        (kind for kind, one in guesses()["lists"].items() if plain(path.rpartition(".")[2]) in one["names"]), None
    )
    if known is None or f"list {known}" in draft.taken:
        draft.refused.append(f"{_refusal(path)}what its items are could not be told")
        return
    draft.taken.add(f"list {known}")
    about = guesses()["lists"][known]
    taken: set[str] = set()
    rules: list[str] = []
    left: list[str] = []
    key = _key_in(items)
    if key:
        rules.append(f"- {key} <-> {known}:identifier[use=secondary].value  # guess: tells an item from its neighbours")
    fields = [(name, values) for name, values in _plain_fields(items) if name not in ("id", key)]
    for name, values in fields:
        target = _target_for(name, values, about["fields"], taken) if re.fullmatch(r"[\w.-]+", name) else None
        if target is None:
            left.append(name)
        else:
            rules.append(_rule(draft, name, target, values))
    texts = [name for name, values in fields if name in left and all(isinstance(value, str) for value in values)]
    if about["main"] not in taken and texts:
        left.remove(texts[0])
        rules.insert(0, f"- {texts[0]} <-> {about['main']}  # guess: the first text of an item")
    left += [name for name, _ in _lists_in(items)]
    draft.refused += [
        f'  {_quoted(f"{path}[].{name}")}: "not looked at yet"  # guess: no place was found' for name in left
    ]
    draft.lists.append(_list_text(known, path, items, rules))


def _refusal(path: str) -> str:
    return f"  {_quoted(path)}: not looked at yet  # guess: "


def _key_in(items: list[dict[str, Any]]) -> str | None:
    """The field that tells items apart where they have no `id`."""
    if any("id" in item for item in items):
        return None
    return next((name for name, value in items[0].items() if is_id(name) and isinstance(value, str)), None)


def _list_text(kind: str, path: str, items: list[dict[str, Any]], rules: list[str]) -> str:
    type_, link, constants = _ITEMS[kind]
    key = _key_in(items)
    lines = [
        f"- native: {path}[]  # guess: by its name",
        *([f"  key: {key}"] if key else []),
        "  anchors:",
        f"    {kind}:",
        f"      type: {type_}",
        '      id: "{record}/' + plain(path) + '/{key}"',
        "      adopt: true",
        "      identifier: true",
        f"      link: {link}",
        f"      set: {constants}",
        f"      refer: {{{_SUBJECT[kind]}: patient}}",
        *(_TASK.replace("LIST", plain(path)).splitlines() if kind == "request" else []),
        "  rules:" if rules else "  rules: []",
        *(f"    {rule}" for rule in rules),
    ]
    return "\n".join(f"      {line}" for line in lines)


# ---- writing


def _declaration(name: str, draft: _Draft, input_lines: Sequence[str]) -> str:
    zone = draft.number.get("zone", "Europe/Berlin")
    lines = [
        "# A first mapping, made from a sample. Every line with `# guess:` is to be looked at: keep it and delete the",
        "# remark, or change it. The words are explained in docs/mapping-language.md; `fhir-adapter check` and",
        "# `fhir-adapter explain` show what it does with a record.",
        "",
        f"name: {name}",
        "version: 0.1.0",
        "schema: schema.json",
        "codes: codes.yaml",
        f"zone: {zone}  # guess: the country of the person's number",
        *input_lines,
        "refused:" if draft.refused else "refused: {}",
        *draft.refused,
        "",
        "lists:",
        "  - native: .",
        "    anchors:",
        "      plan:",
        "        type: CarePlan",
        '        id: "{record}"',
        "        adopt: true",
        "        identifier: true",
        "        set: {status: active, intent: plan}",
        *_person_lines(draft),
        "    rules:",
        *_person_rules(draft),
        *(f"      {rule}" for rule in draft.rules),
    ]
    if draft.lists:
        lines += ["    lists:", *draft.lists]
    return "\n".join(lines) + "\n"


def _person_lines(draft: _Draft) -> list[str]:
    if not draft.person:
        identity = [
            '        id: "{record}/person"  # guess: no national number was found: each plan has a person of its own'
        ]
    else:
        identity = [
            f"        id: {draft.number['system']}|{{{draft.person}}}  # guess: a {draft.number['name']}",
            "        needed:",
            f"          field: {draft.person}",
            "          message: the person has no number",
            f"          expected: a {draft.number['name']}",
        ]
    return ["      patient:", "        type: Patient", *identity, "        link: plan.subject"]


def _person_rules(draft: _Draft) -> list[str]:
    if not draft.person:
        return []
    system = draft.number["system"]
    return [f"      - {draft.person} <-> patient:identifier[system={system}].value  # guess: a {draft.number['name']}"]


def _codes(draft: _Draft) -> str:
    lines = ["# Code tables: [the sender's word, FHIR's code]. Several words for one code: [[first, second], code]."]
    for table, words in draft.tables.items():
        lines += ["", f"{table}:", "  rows:"]
        by_code: dict[str, list[str]] = {}
        for word in words:
            by_code.setdefault(_code_for(table, word), []).append(word)
        for code, all_words in by_code.items():
            said = _quoted(all_words[0]) if len(all_words) == 1 else f"[{', '.join(map(_quoted, all_words))}]"
            lines.append(f"    - [{said}, {code}]  # guess: what the words mean")
        lines += [f"    - [{code}, {code}]" for code in sorted(_CODES[table] - by_code.keys()) if code not in words]
    return "\n".join(lines) + "\n" if draft.tables else "{}\n"


def _code_for(table: str, word: str) -> str:
    known = guesses()["gender" if table == "gender" else "status"]
    code = next((code for code, words in known.items() if plain(word) in map(plain, words)), _TITLES[table])
    return _AS_GOAL.get(code, code) if table == "goal-status" else code


def _quoted(text: str) -> str:
    """Text for YAML, in quotes where it could be read as anything else."""
    if re.fullmatch(r"[^\W\d_]\w*", text) and text.lower() not in _YAML_WORDS:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"') + '"'
