"""Write the generated parts of docs/negotiation.md, diagram and tables, from the tables that the code uses."""

from __future__ import annotations

import re
from pathlib import Path

from fhir_adapter.plan.negotiation import IMMUTABLE, LEFT, MEMBER, STEPS, SUBTASK_STEPS, Steps

DOCUMENT = Path(__file__).parents[1] / "docs" / "negotiation.md"


def with_current_parts(text: str) -> str:
    """The document with everything between `<!-- generated: x -->` and `<!-- end -->` made anew."""
    parts = {"diagram": diagram(STEPS), "subtasks": diagram(SUBTASK_STEPS), "team": team(), "immutable": immutable()}
    for name, body in parts.items():
        pattern = re.compile(rf"(<!-- generated: {name} -->\n).*?(<!-- end -->)", re.DOTALL)
        text, count = pattern.subn(lambda found, body=body: f"{found[1]}{body}\n{found[2]}", text)  # type: ignore[misc]
        if count != 1:
            raise SystemExit(f"{DOCUMENT.name} has {count} places for the generated part {name!r}")
    return text


def diagram(steps: Steps) -> str:
    """The table as a picture: every step with who may take it."""
    states = dict.fromkeys([*steps, *(after for following in steps.values() for after in following)])
    states.pop("entered-in-error", None)
    lines = ["```mermaid", "stateDiagram-v2"]
    lines += [f'    state "{state}" as {_name(state)}' for state in states]
    for state, following in steps.items():
        lines += [f"    {_name(state)} --> {_name(after)}: {_who(roles)}" for after, roles in following.items()]
    lines += [f"    {_name(state)} --> [*]" for state in states if not steps.get(state)]
    return "\n".join([*lines, "```"])


def _who(roles: tuple[str, ...]) -> str:
    return " or ".join(roles)


def _name(state: str) -> str:
    return state.replace("-", "_")


def team() -> str:
    """What each state means for the membership of who does the Task."""
    rows = [f"| {state} | {_membership(state)} |" for state in STEPS]
    return "\n".join(["| state | who does it |", "|---|---|", *rows])


def _membership(state: str) -> str:
    if state in MEMBER:
        return "is a member; period.start: when it became one"
    return "gets period.end, unless another Task keeps it a member" if state in LEFT else "becomes no member by it"


def immutable() -> str:
    """What nobody changes once a Task was requested."""
    return ", ".join(f"`{name}`" for name in IMMUTABLE)


if __name__ == "__main__":
    DOCUMENT.write_text(with_current_parts(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
