"""Write the generated part of docs/mapping-recipes.md: each kind of thing that `new-mapping` knows, as it writes it."""

from __future__ import annotations

import json
import re
import textwrap
from pathlib import Path
from typing import Any

from fhir_adapter.mapping.guessing import guesses
from fhir_adapter.mapping.scaffold import scaffold

DOCUMENT = Path(__file__).parents[1] / "docs" / "mapping-recipes.md"

_PART = re.compile(r"(<!-- generated: recipes -->\n).*?(<!-- end -->)", re.DOTALL)

SAMPLES: dict[str, dict[str, Any]] = {
    "consent": {
        "consent": {"status": "given", "date": "2025-03-01", "validUntil": "2026-03-01",
                    "recipients": ["Health centre"], "information": ["diagnoses"], "exceptions": ["addiction care"]}
    },
    "worker": {
        "caseWorker": {"name": "Kim Test", "role": "coordinator", "organisation": "Town of Example", "phone": "123"}
    },
    "goal": {
        "goals": [{"id": "G1", "text": "I cook twice a week", "ownWords": "I want to cook", "status": "active",
                   "due": "2026-03", "area": "Living alone"}]
    },
    "subgoal": {
        "goals": [{"id": "G1", "text": "I cook", "subgoals": [{"id": "1", "text": "I shop", "due": "2025-12"}]}]
    },
    "request": {
        "interventions": [{"id": "I1", "name": "Home help", "status": "active", "from": "2025-04-01",
                           "to": "2025-10-01", "timesAWeek": 2, "provider": "Help Ltd", "responsible": "Kim Test"}]
    },
    "score": {
        "goals": [{"id": "G1", "text": "I cook", "scores": [{"date": "2025-05-01", "score": 3, "scale": "1-5",
                                                            "scoredBy": "Kim Test", "note": "on a good day"}]}]
    },
    "meeting": {
        "meetings": [{"id": "M1", "time": "2025-04-01T13:00", "minutes": 60, "status": "planned", "place": "Town hall",
                      "participants": ["Kim Test"], "topic": "first meeting"}]
    },
    "member": {"members": [{"name": "Kim Test", "role": "nurse", "organization": "Health centre"}]},
    "note": {"notes": [{"text": "Called home", "date": "2025-03-02", "author": "Kim Test"}]},
}  # fmt: skip
"""what a record of a made-up town has of each kind"""


def with_current_recipes(text: str) -> str:
    """The document with what is generated made anew."""
    text, count = _PART.subn(lambda found: f"{found[1]}{recipes()}\n{found[2]}", text)
    if count != 1:
        raise SystemExit(f"{DOCUMENT.name} has {count} places for the recipes")
    return text


def recipes() -> str:
    """A section for each kind: what FHIR has for it, a record, and the part of the declaration."""
    parts = [_recipe(kind, about) for kind, about in guesses()["kinds"].items()]
    return "\n\n".join([*parts, _nested_request()])


def _recipe(kind: str, about: dict[str, Any]) -> str:
    says = textwrap.fill(about["says"].strip(), 140)
    return f"### {about['title']}\n\n{says}\n\n{_shown(SAMPLES[kind])}"


def _nested_request() -> str:
    item = SAMPLES["request"]["interventions"][0]
    short = {"goals": [{"id": "G1", "text": "I cook", "interventions": [{"id": item["id"], "name": item["name"]}]}]}
    return f"### Interventions inside a goal\n\nThe same, found by the goal that they serve.\n\n{_shown(short)}"


def _shown(record: dict[str, Any]) -> str:
    declaration = scaffold("recipe", [{"id": "1", **record}], []).declaration
    text = json.dumps(record, ensure_ascii=False)
    return f"```json\n{text}\n```\n\n```yaml\n{_own_part(declaration)}\n```"


def _own_part(declaration: str) -> str:
    """What it has beside the plan and the person: anchors and rules of the record, and lists; without remarks."""
    body = re.sub(r"\s+# guess:.*", "", declaration.partition("        link: plan.subject\n")[2])
    body = body.replace("    rules: []\n    lists:\n", "").removeprefix("    lists:\n")
    of_record = "    anchors:\n" if body.startswith("      ") and not body.lstrip().startswith("- ") else ""
    return textwrap.dedent(of_record + body).rstrip()


if __name__ == "__main__":
    DOCUMENT.write_text(with_current_recipes(DOCUMENT.read_text(encoding="utf-8")), encoding="utf-8")
