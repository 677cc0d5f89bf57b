"""Write tests/scenarios/README.md: which story shows which case, and every story in a sentence, from the folders."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import yaml

FOLDER = Path(__file__).parents[1] / "tests" / "scenarios"
DOCUMENT = FOLDER / "README.md"

CASES = {
    "E2": "a protected identity: old and new number are never linked",
    "E3": "protection arrives after sharing",
    "E4": "a consent is withdrawn",
    "E5": "a party sees a part of the plan",
    "E6": "a topic is withheld",
    "E8": "a consent ends",
    "E10": "one of two parents withdraws",
    "E11": "a parent is hidden from another viewer",
    "E12": "the person moves to another municipality",
    "E13": "a municipality becomes part of another",
    "E14": "two records of one person; a new number",
    "E15": "one number, two persons",
    "E16": "a plan that was closed is opened again",
    "E17": "two edit one goal in the same hour",
    "E18": "the same arrives twice",
    "E19": "deleted here, edited there",
    "E20": "late, out of order",
    "E21": "what was delivered comes back",
    "E22": "letters composed and decomposed",
    "E30": "a coordination number becomes a person number",
    "E33": "the person has died",
    "E34": "an anonymous contact becomes a person",
    "E35": "a member leaves, a Task is rejected",
    "E36": "a part of a Task is completed",
    "E37": "an offer closes while a referral is open",
    "E38": "an offer is full",
    "E39": "a party was away for three days",
    "E40": "goals without a plan, two coordinators",
    "E42": "a meeting is moved or cancelled",
    "F1": "membership follows the state of Tasks",
    "DK-SIL": "level and text of one goal at 10:05 and 10:42",
    "BP-1": "a goal of the person's own words, scores by two",
    "SIP-3": "discharge, a consent for one municipality, a coordination number",
    "ORCA": "the published cases of Shared Care Planning",
}
"""The cases that a merge must get right, each in a few words."""

KINDS = {
    "merge": "three versions of a plan, by `fhir-adapter merge`",
    "statements": "what a native sender says, with what it said and was shown before",
    "negotiation": "steps with a Task, and the team that follows",
}
"""The folders of stories."""

_HEAD = """# Stories of the merge

Each folder is one story: its files in, what comes out beside them, and what it is about in `scenario.yaml`.
`.venv/bin/python -m scripts.list_scenarios` writes this page from the folders.
"""


def document() -> str:
    """The page: the cases with their stories, then every story."""
    stories = {kind: dict(_stories(kind)) for kind in KINDS}
    told = {name: text for some in stories.values() for name, text in some.items()}
    rows = [f"| {case} | {what} | {_shown_by(case, told)} |" for case, what in CASES.items()]
    parts = [_HEAD, "\n".join(["| case | what happens | stories |", "|---|---|---|", *rows])]
    for kind, what in KINDS.items():
        lines = [f"* `{name}`: {text}" for name, text in stories[kind].items()]
        parts.append(f"## {kind}: {what} ({len(lines)})\n\n" + "\n".join(lines))
    return "\n\n".join(part.strip() for part in parts) + "\n"


def stories_of(case: str, told: dict[str, str]) -> list[str]:
    """The names of the stories that say that they are about the case."""
    return [name for name, text in told.items() if re.search(rf"(?<![\w-]){re.escape(case)}(?![\w-])", text)]


def _shown_by(case: str, told: dict[str, str]) -> str:
    found = stories_of(case, told)
    if not found:
        raise SystemExit(f"no story shows {case}: {CASES[case]}")
    return ", ".join(f"`{name}`" for name in found)


def _stories(kind: str) -> Iterator[tuple[str, str]]:
    for folder in sorted((FOLDER / kind).iterdir()):
        said = yaml.load((folder / "scenario.yaml").read_text(encoding="utf-8"), Loader=yaml.BaseLoader)
        yield folder.name, " ".join(said["description"].split())


if __name__ == "__main__":
    DOCUMENT.write_text(document(), encoding="utf-8")
