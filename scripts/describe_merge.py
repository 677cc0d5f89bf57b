"""Write the generated parts of docs/merge.md, rules and lifecycles, from the tables that the code uses."""

from __future__ import annotations

import re
from collections.abc import Mapping
from pathlib import Path

from fhir_adapter.plan.lifecycle import ENDS, LIFECYCLES, TASK_FOLLOWS, Transitions
from fhir_adapter.plan.ownership import ANY, ANY_OWNER, CHOICES, OWNERS, RULES, Rule

DOCUMENT = Path(__file__).parents[1] / "docs" / "merge.md"

_REMOVALS = {
    "dropped": "goes",
    "ended": "gets period.end",
    "followed": "what it points to is ended, the link stays",
    "kept": "stays (append-only)",
}


def with_current_parts(text: str) -> str:
    """The document with everything between `<!-- generated: x -->` and `<!-- end -->` made anew."""
    parts = {"rules": rules(), "owners": owners(), "choices": choices(), "ends": ends(), "lifecycles": lifecycles()}
    for name, body in parts.items():
        pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = pattern.subn(lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise SystemExit(f"{DOCUMENT.name} has {count} places for the generated part {name!r}")
    return text


def rules() -> str:
    """One row for every listed element."""
    head = (
        "| element | owner | items are the same by | inside | an item that its owner leaves out |\n" + "|---" * 5 + "|"
    )
    rows = [_row(type_, path, rule) for type_, by_path in RULES.items() for path, rule in by_path.items()]
    rows += [_row("any type", path, rule) for path, rule in ANY.items()]
    return "\n".join([head, *rows])


def _row(type_: str, path: str, rule: Rule) -> str:
    keys = ", else ".join((*rule.keys, "content")) if rule.keys else "–"
    inside = "field by field" if rule.fields else "one value"
    return f"| {type_}: `{path}` | {rule.owner} | {keys} | {inside} | {_REMOVALS[rule.removal] if rule.keys else '–'} |"


def owners() -> str:
    """Who owns what no rule names."""
    rows = [f"| {type_} | {owner} |" for type_, owner in OWNERS.items()]
    return "\n".join(["| type | owner of all other elements |", "|---|---|", *rows, f"| any other | {ANY_OWNER} |"])


def choices() -> str:
    """The elements that have several forms."""
    return "\n".join(
        f"* {type_}{'.' + path if path else ''}: {', '.join(f'`{stem}[x]`' for stem in stems)}"
        for (type_, path), stems in CHOICES.items()
    )


def ends() -> str:
    """What becomes of a thing that its owner takes out of the plan, and of a Task when its request ends."""
    rows = [f"| {type_} | `{element}` = {state} |" for type_, (element, state) in ENDS.items()]
    rows += ["| Condition | `clinicalStatus` = inactive |", "| any other | left alone |"]
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
