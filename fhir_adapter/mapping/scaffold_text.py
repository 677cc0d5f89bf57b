"""What has been found about sample records, as the YAML of a first declaration and its code tables."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from fhir_adapter.mapping.guessing import guesses, plain

_YAML_WORDS = {"true", "false", "yes", "no", "on", "off", "null", "y", "n"}


@dataclass(slots=True)
class Draft:
    """What has been found so far, as lines; those of lists and anchors still without their indentation."""

    rules: list[str] = field(default_factory=list)
    anchors: list[str] = field(default_factory=list)
    lists: list[str] = field(default_factory=list)
    refused: list[str] = field(default_factory=list)
    lossy: list[str] = field(default_factory=list)
    tables: dict[str, dict[str, str]] = field(default_factory=dict)
    """code table -> the words that the samples have for it, with their codes"""
    unknown: dict[str, dict[str, None]] = field(default_factory=dict)
    """code table -> words whose code nobody knows yet"""
    person: str = ""
    """the object that holds the person; empty: the record itself"""
    number_field: str = ""
    number: dict[str, Any] = field(default_factory=dict)
    is_everywhere: bool = True
    """Has every record the number?"""
    taken: set[str] = field(default_factory=set)

    def refuse(self, path: str, why: str) -> None:
        """Notes that a field stays with the sender for now."""
        self.refused.append(f"  {quoted(path)}: not looked at yet  # guess: {why}")


def rule_line(native: str, target: str, why: str = "by its name") -> str:
    """A rule as an entry of a YAML list."""
    text = f"{native} <-> {target}"
    return f"- {_single_quoted(text) if text[0] in '@$-' else text}  # guess: {why}"


def list_lines(
    kind: str, path: str, place: str, key: str | None, rules: Sequence[str], inner: Sequence[str]
) -> list[str]:
    """A list of the record; `place`: what it stands in; `inner`: the lists inside its items."""
    lines = [f"- native: {quoted(f'{path}[]')}  # guess: by its name"]
    lines += [f"  key: {quoted(key)}"] if key is not None else []
    lines += ["  anchors:", *(f"    {line}" for line in anchor_lines(kind, path, place))]
    lines += ["  rules:" if rules else "  rules: []", *(f"    {rule}" for rule in rules)]
    return lines + (["  lists:", *(f"    {line}" for line in inner)] if inner else [])


def anchor_lines(kind: str, path: str, place: str) -> list[str]:
    """The anchors of an item (`place`: what it stands in), or those that the record itself needs for it (`root`)."""
    about = guesses()["kinds"][kind]
    key = "{key}" if place in ("plan", "record", "root") else "{parent}/{key}"
    text = about["root" if place == "root" else "anchors"].replace("LIST", plain(path) or kind).replace("KEY", key)
    lines: list[str] = []
    for line in text.replace("FIELD", quoted(path)).splitlines():
        indent = line[: len(line) - len(line.lstrip())]
        leads = about["in"][place].splitlines() if line.strip() == "LEADS" else [line.strip()]
        lines += [indent + each for each in leads]
    return lines


def with_word(lines: Sequence[str], word: str) -> list[str]:
    """The lines of a list, one more word at its first anchor."""
    place = next(index for index, line in enumerate(lines) if line == "  anchors:") + 2
    return [*lines[:place], f"      {word}", *lines[place:]]


def declaration_text(name: str, draft: Draft, input_lines: Sequence[str]) -> str:
    """mapping.yaml."""
    zone = draft.number.get("zone", "Europe/Berlin")
    lines = [
        "# A first mapping, made from a sample. Every line with `# guess:` is to be looked at: keep it and delete the",
        "# remark, or change it. The words are explained in docs/mapping-language.md, what else a record may hold in",
        "# docs/mapping-recipes.md; `fhir-adapter check` and `fhir-adapter explain` show what it does with a record.",
        "",
        f"name: {name}",
        "version: 0.1.0",
        "schema: schema.json",
        "codes: codes.yaml",
        f"zone: {zone}  # guess: the country of the person's number",
        *input_lines,
        "refused:" if draft.refused else "refused: {}",
        *draft.refused,
        *(["lossy:"] if draft.lossy else []),
        *(
            f"  {quoted(path)}: FHIR has no place for it; it stays in the record  # guess: nobody asks"
            for path in draft.lossy
        ),
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
        *(f"      {line}" for line in [*_person_lines(draft), *draft.anchors]),
    ]
    rules = [f"      {rule}" for rule in [*_person_rules(draft), *draft.rules]]
    lines += ["    rules:", *rules] if rules else ["    rules: []"]
    return "\n".join(lines + (["    lists:", *(f"      {line}" for line in draft.lists)] if draft.lists else [])) + "\n"


def _person_lines(draft: Draft) -> list[str]:
    own = '"{record}/person"'
    if not draft.number:
        identity = [f"  id: {own}  # guess: no national number was found: each plan has a person of its own"]
    else:
        about, number_field = draft.number["name"], draft.number_field
        public = f'"{draft.number["system"]}|{{{number_field}}}"'
        identity = [f"  id: {public if draft.is_everywhere else f'[{public}, {own}]'}  # guess: {about}"]
        needed = [
            f"    field: {quoted(number_field)}",
            "    message: the person has no number",
            f"    expected: {about}",
        ]
        identity += ["  needed:", *needed] if draft.is_everywhere else []
    return ["patient:", "  type: Patient", *identity, "  link: plan.subject"]


def _person_rules(draft: Draft) -> list[str]:
    if not draft.number:
        return []
    system, about = draft.number["system"], draft.number["name"]
    return [rule_line(draft.number_field, f"patient:identifier[system={system}].value", about)]


def _one_or_several(words: Sequence[str]) -> str:
    return words[0] if len(words) == 1 else f"[{', '.join(words)}]"


def codes_text(draft: Draft) -> str:
    """codes.yaml."""
    lines = ["# Code tables: [the sender's word, FHIR's code]. Several words for one code: [[first, second], code]."]
    for table, words in draft.tables.items():
        codes = guesses()["codes"][table]
        system = guesses()["systems"].get(table)
        lines += ["", f"{table}:", *([f"  system: {system}"] if system else []), "  rows:"]
        others = [code for code in codes if code not in words.values() and code not in words]
        with_false = others if set(words) == {"true", "false"} else []  # such a field has no other words
        for code in dict.fromkeys(words.values()):
            mine = [quoted(word) for word in words if words[word] == code]
            stand_for = [quoted(code), *(with_false if words.get("false") == code else ())]
            row = f"[{_one_or_several(mine)}, {_one_or_several(stand_for)}]"
            lines.append(f"    - {row}  # guess: what the words mean")
        for word in draft.unknown.get(table, ()):
            lines.append(f"    # - [{quoted(word)}, CODE]  # guess: what it means is not known; {' | '.join(codes)}")
        lines += [f"    - [{quoted(code)}, {code}]" for code in others if code not in with_false]
    return "\n".join(lines) + "\n" if draft.tables else "{}\n"


def quoted(text: str) -> str:
    """Text for YAML, in quotes where it could be read as anything else."""
    if re.fullmatch(r"[^\W\d_][\w.]*(\[\](\.\w+)?)*", text) and text.lower() not in _YAML_WORDS:
        return text
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n").replace("\t", "\\t") + '"'


def _single_quoted(text: str) -> str:
    return "'" + text.replace("'", "''") + "'"
