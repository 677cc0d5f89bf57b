"""Write the generated parts of docs/merge.md, rules and lifecycles, from the tables that the code uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from fhir_adapter.fhir.ends import ENDS
from fhir_adapter.plan.lifecycle import LIFECYCLES, TASK_FOLLOWS, Transitions
from fhir_adapter.plan.ownership import (
    ANY,
    ANY_OWNER,
    CONTRIBUTED,
    NAMED_BY,
    NAMED_BY_ITEM,
    OWNERS,
    RULES,
    STRICT_FIRST,
    Rule,
)

DOCUMENT = Path(__file__).parents[1] / "docs" / "merge.md"

_REMOVALS = {
    "dropped": "goes",
    "ended": "gets period.end",
    "followed": "what it points to is ended, the link stays",
    "kept": "stays (append-only)",
    "retired": "stays as an old one (use = old)",
}

_PREFERRED = {
    "owner": "the owner's",
    "stricter": "the stricter one",
    "earlier": "the earlier one",
    "later": "the later one",
}

_KINDS = {
    "lead": "who leads the plan",
    "setter": "who set it",
    "measurer": "who measured",
    "requester": "who asked for the intervention",
    "performer": "who carries it out",
    "member": "the member's organisation",
    "author": "who wrote the note",
    "adder": "who added the link",
    "sender": "who said it first",
    "person": "the person",
    "shared": "nobody",
}


def with_current_parts(text: str) -> str:
    """The document with everything between `<!-- generated: x -->` and `<!-- end -->` made anew."""
    parts = {
        "kinds": kinds(),
        "rules": rules(),
        "owners": owners(),
        "ends": ends(),
        "lifecycles": lifecycles(),
    }
    for name, body in parts.items():
        pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = pattern.subn(lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise SystemExit(f"{DOCUMENT.name} has {count} places for the generated part {name!r}")
    return text


def rules() -> str:
    """One row for every listed element."""
    head = (
        "| element | owner | of two values is live | items are the same by | inside | an item that is left out |\n"
        + "|---" * 6
        + "|"
    )
    rows = [_row(type_, path, rule) for type_, by_path in RULES.items() for path, rule in by_path.items()]
    rows += [_row("any type", path, rule) for path, rule in ANY.items()]
    return "\n".join([head, *rows])


def _row(type_: str, path: str, rule: Rule) -> str:
    keys = ", else ".join((*rule.keys, "content")) if rule.keys else "–"
    inside = "field by field" if rule.fields else "one value"
    left_out = _REMOVALS[rule.removal] if rule.keys else "–"
    if rule.keys and rule.owner in CONTRIBUTED and rule.removal in ("dropped", "ended"):
        left_out += ", if its owner leaves it out"
    return f"| {type_}: `{path}` | {rule.owner} | {_PREFERRED[rule.prefer]} | {keys} | {inside} | {left_out} |"


def kinds() -> str:
    """One row for every kind of owner."""
    rows = [f"| {kind} | {meaning} | {_named_by(kind)} |" for kind, meaning in _KINDS.items()]
    strict = ", ".join(STRICT_FIRST)
    return "\n".join(
        ["| owner | who that is | named by |", "|---|---|---|", *rows, "", f"The stricter one comes first: {strict}."]
    )


def _named_by(kind: str) -> str:
    elements = [f"{type_}.{element}" for (owner, type_), element in NAMED_BY.items() if owner == kind]
    items = [f"the item's {element}" for owner, names in NAMED_BY_ITEM.items() if owner == kind for element in names]
    return ", else ".join(items) or ", ".join(elements) or "–"


def owners() -> str:
    """Who owns what no rule names."""
    rows = [f"| {type_} | {owner} |" for type_, owner in OWNERS.items()]
    return "\n".join(
        [
            "| type | owner of all other elements, who may take it out of the plan |",
            "|---|---|",
            *rows,
            f"| any other | {ANY_OWNER} |",
        ]
    )


def ends() -> str:
    """What becomes of a thing that its owner takes out of the plan, and of a Task when its request ends."""
    rows = [f"| {type_} | `{element}` = {state} |" for type_, (element, state) in ENDS.items()]
    rows.append("| any other | left alone |")
    follows = [f"| {request} | {task} |" for request, task in TASK_FOLLOWS.items()]
    return "\n".join(
        [
            "| type | after its removal |",
            "|---|---|",
            *rows,
            "",
            "| ServiceRequest | its Task becomes |",
            "|---|---|",
            *follows,
        ]
    )


def lifecycles() -> str:
    """One diagram for every table of transitions; types that share one share the diagram."""
    shared: dict[int, list[str]] = {}
    tables: dict[int, Transitions] = {}
    for type_, (_, transitions) in LIFECYCLES.items():
        shared.setdefault(id(transitions), []).append(type_)
        tables[id(transitions)] = transitions
    return "\n\n".join(f"### {' and '.join(types)}\n\n{_diagram(tables[key])}" for key, types in shared.items())


def _diagram(transitions: Mapping[str, tuple[str, ...]]) -> str:
    """The table as a picture; the step to entered-in-error, which all have, is told in words to keep it readable."""
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f'    state "{state}" as {_name(state)}' for state in transitions]
    for state, following in transitions.items():
        lines += [f"    {_name(state)} --> {_name(other)}" for other in following if other != "entered-in-error"]
    lines += [
        f"    {_name(state)} --> [*]" for state, following in transitions.items() if set(following) <= _CORRECTION
    ]
    return "\n".join([*lines, "```", "", "From every other state: entered-in-error."])


_CORRECTION = {"entered-in-error"}


def _name(state: str) -> str:
    return state.replace("-", "_")


if __name__ == "__main__":
    DOCUMENT.write_text(with_current_parts(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
