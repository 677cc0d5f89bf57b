"""Codes with or without words: the code decides, and nothing that was sent is lost."""

from __future__ import annotations

from typing import Any
from uuid import UUID

import pytest

from fhir_adapter.mapping.converters import CONVERTERS
from fhir_adapter.mapping.knowledge import Knowledge, Table
from fhir_adapter.mapping.model import Pair, Run
from fhir_adapter.mapping.words import folded

SYSTEM, OLD = "urn:oid:1.2.208.176.2.22", "http://kl.dk/fhir/common/caresocial/CodeSystem/FFB"
WORDS = {"Angst": "303deb9b", "Depression": "ee5b52bd"}
TABLE = Table(
    "ffb", SYSTEM, WORDS | {folded(word): code for word, code in WORDS.items()}, {c: w for w, c in WORDS.items()},
    {c: w for w, c in WORDS.items()}, "Angst, Depression", frozenset({OLD}),
)  # fmt: skip
MARKS = Table("marks", None, {}, {}, {"dk-x#niveau": "Niveau"}, "")
KNOWLEDGE = Knowledge({"ffb": TABLE, "marks": MARKS})


def pair(name: str, *words: str, fields: tuple[str, ...] = ("code", "text")) -> Pair:
    made = CONVERTERS[name]
    return made.build(fields, made.words(words), KNOWLEDGE)


def a_run() -> Run:
    return Run({}, "1", "s", UUID(int=1), KNOWLEDGE)


ANGST = {"system": SYSTEM, "code": "303deb9b", "display": "Angst"}


@pytest.mark.parametrize(
    ("sent", "concept", "warned"),
    [
        (("303deb9b", None), {"coding": [ANGST]}, []),
        (("303deb9b", "Angst"), {"coding": [ANGST | {"userSelected": True}], "text": "Angst"}, []),
        ((None, "Angst"), {"coding": [ANGST], "text": "Angst"}, []),
        (("303deb9b", "Uro"), {"coding": [ANGST], "text": "Uro"}, ["text"]),
        ((None, "Uro i kroppen"), {"text": "Uro i kroppen"}, ["text"]),
        (("ffff", "Uro"), {"coding": [{"system": SYSTEM, "code": "ffff"}], "text": "Uro"}, ["code"]),
        (("http://loinc.org|1-8", None), {"coding": [{"system": "http://loinc.org", "code": "1-8"}]}, ["code"]),
    ],
)
def test_code_and_words_become_one_concept_and_come_back_as_sent(sent: Any, concept: Any, warned: list[str]) -> None:
    run = a_run()
    made = pair("coded", "ffb").to_fhir(sent, run, "")
    assert made == concept
    assert [issue.path for issue in run.issues] == warned
    assert pair("coded", "ffb").to_native(made, run) == sent


def test_words_of_another_code_beside_a_code_are_told_and_the_code_counts() -> None:
    run = a_run()
    made = pair("coded", "ffb").to_fhir(("303deb9b", "Depression"), run, "x.")
    assert made["coding"] == [ANGST]
    assert [(issue.severity, issue.path, issue.expected) for issue in run.issues] == [("warning", "x.text", "Angst")]
    assert pair("coded", "ffb").to_native(made, run) == ("303deb9b", "Depression")


def test_every_spelling_of_a_code_system_is_understood_and_the_current_one_written() -> None:
    alone = pair("coded", "ffb", fields=("code",))
    for spelled in ("303deb9b", f"{OLD}|303deb9b", f"{SYSTEM}|303deb9b", "angst"):
        assert alone.to_fhir(spelled, a_run(), "") == {"coding": [ANGST]}
    assert alone.to_native({"coding": [{"system": OLD, "code": "303deb9b"}]}, a_run()) == "303deb9b"
    assert alone.to_native({"coding": [{"system": "x", "code": "1"}]}, a_run()) == "x|1"


def test_a_target_is_found_by_its_measure() -> None:
    target = pair("target_of", "dk-x#niveau", "ffb", fields=("niveau",))
    made = target.to_fhir("303deb9b", a_run(), "")
    assert made["detailCodeableConcept"] == {"coding": [ANGST]}
    other = {"measure": {"text": "andet"}, "detailString": "x"}
    assert target.to_native([other, made], a_run()) == "303deb9b"
    assert target.to_native([other], a_run()) is None


def test_free_words_have_a_code_where_the_table_knows_them() -> None:
    optional = pair("optional_words", "ffb", fields=("rolle",))
    for word, coded in (("Angst", True), ("noget andet", False)):
        run = a_run()
        made = optional.to_fhir(word, run, "")
        assert ("coding" in made) is coded
        assert run.issues == []
        assert optional.to_native(made, run) == word
    assert optional.to_native({"coding": [ANGST]}, a_run()) == "Angst"


def test_a_concept_that_carries_a_code_of_ours_is_the_rules_that_names_it() -> None:
    marked, plain = pair("coded", "ffb", "mark=dk-x#niveau", fields=("k",)), pair("coded", "ffb", "only", fields=("k",))
    made = marked.to_fhir("303deb9b", a_run(), "k")
    ours = {"system": "https://fhir-adapter.example/fhir/CodeSystem/dk-x", "code": "niveau", "display": "Niveau"}
    assert made == {"coding": [ANGST, ours]}
    assert (marked.to_native(made, a_run()), plain.to_native(made, a_run())) == ("303deb9b", None)
    alone = plain.to_fhir("303deb9b", a_run(), "k")
    assert (marked.to_native(alone, a_run()), plain.to_native(alone, a_run())) == (None, "303deb9b")
