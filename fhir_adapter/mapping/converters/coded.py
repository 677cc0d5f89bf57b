"""Codes that the sender itself holds, with or without its words for them."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_adapter.fhir.paths import extension_url
from fhir_adapter.fhir.resources import CODES, Resource
from fhir_adapter.mapping.converters.codes import coding, has_code, marked, table_named
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.knowledge import Knowledge, Table
from fhir_adapter.mapping.model import Pair, Run
from fhir_adapter.mapping.words import folded


@converter(
    "coded",
    "TABLE [only] [free] [mark=MARK]",
    loses="words in the place of a code, and another spelling of its system: the code",
    fields=2,
    least=1,
)
def _coded(fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A code (or `system|code`, or the table's words for it) <-> a CodeableConcept; or (code, words) <-> the same, the
    words as its text. The code decides: words that say something else are kept, with a warning, and so is a code that
    the table does not know. userSelected marks a code that was sent beside its own words, not told by them.
    `only`: codes of other systems, and concepts with a code of ours beside theirs, belong to other rules; `free`: words
    without a code are no matter for a warning; `mark=MARK`: the concept carries this code of ours, a `system#code`
    among the marks, as well, and is known by it."""
    table = table_named(words.plain[0], knowledge)
    only, free = "only" in words.flags, "free" in words.flags
    if len(fields) == 1:
        mark = marked(words.option("mark"), knowledge) if words.option("mark") else None
        return _marked_code(table, mark) if mark is not None else _code_alone(table, only=only)
    if len(fields) != 2:
        raise ValueError("it stands for a code, or for a code and its words")

    def to_fhir(values: tuple[Any, ...], run: Run, prefix: str) -> Resource:
        code, said = values
        if code is None:
            return _of_words(said, table, run, prefix + fields[1], free=free)
        concept = _concept_of(code, table, run, prefix + fields[0], as_code=True)
        if said is None or "coding" not in concept:
            return concept if said is None else concept | {"text": said}
        display = concept["coding"][0].get("display")
        if display is not None and folded(display) != folded(said):
            run.warn(prefix + fields[1], "code-invalid", "other words than the code's: the code counts", display)
        if table.code_of(said) == concept["coding"][0]["code"]:
            concept["coding"][0]["userSelected"] = True
        return concept | {"text": said}

    def to_native(concept: Resource, _run: Run) -> tuple[Any, ...]:
        said = concept.get("text")
        found = _entry_in(concept, table)
        if found is None:
            return _code_in(concept | {"text": None}, table), said
        is_by_words = said is not None and not found.get("userSelected") and table.code_of(said) == found.get("code")
        return None if is_by_words else found.get("code"), said

    return Pair(to_fhir, to_native)


def _code_alone(table: Table, *, only: bool) -> Pair:
    def to_native(concept: Resource, _run: Run) -> str | None:
        is_others = only and (_entry_in(concept, table) is None or _has_code_of_ours(concept))
        return None if is_others else _code_in(concept, table)

    return Pair(lambda value, run, path: _concept_of(value, table, run, path, as_code=only), to_native)


def _marked_code(table: Table, mark: Resource) -> Pair:
    def to_fhir(value: str, run: Run, path: str) -> Resource:
        concept = _concept_of(value, table, run, path)
        return concept | {"coding": [*concept.get("coding", ()), dict(mark)]}

    def to_native(concept: Resource, _run: Run) -> str | None:
        if not has_code(concept.get("coding"), mark):
            return None
        others = [one for one in concept["coding"] if one.get("system") != mark["system"]]
        return _code_in(concept | {"coding": others}, table)

    return Pair(to_fhir, to_native)


def _has_code_of_ours(concept: Resource) -> bool:
    return any(str(one.get("system")).startswith(CODES) for one in concept.get("coding") or ())


def _concept_of(value: str, table: Table, run: Run, path: str, *, as_code: bool = False) -> Resource:
    """The concept of a code, of words for one, or of something that the table does not know: kept as it came, but for
    spaces that no code in FHIR may have."""
    system, bar, code = value.rpartition("|")
    code = " ".join(code.split())
    if not code:
        run.warn(path, "code-invalid", "this is no code: it is kept as text", f"a code of {table.system}")
        return {"text": value}
    if bar and not table.has_system(system):
        run.warn(path, "code-invalid", "a code of another system than is expected here: it is kept", table.system)
        return {"coding": [{"system": system, "code": code}]}
    if code in table.words:
        return {"coding": [coding(table, code)]}
    by_words = table.code_of(value)
    if by_words is not None:
        return {"coding": [coding(table, by_words)]}
    if value.split() != [value] and not as_code:
        run.warn(path, "code-invalid", "these words are not in the code list: they are kept as text", table.allowed)
        return {"text": value}
    run.warn(path, "code-invalid", "this code is not in the code list: it is kept", f"a code of {table.system}")
    return {"coding": [{"system": table.system, "code": code}]}


def _of_words(said: str, table: Table, run: Run, path: str, *, free: bool) -> Resource:
    code = table.code_of(said)
    if code is None and not free:
        run.warn(path, "code-invalid", "these words are not in the code list: they are kept as text", table.allowed)
    return {"text": said} if code is None else {"coding": [coding(table, code)], "text": said}


def _entry_in(concept: Resource, table: Table) -> Resource | None:
    codings = concept.get("coding") or ()
    return next((one for one in codings if table.has_system(one.get("system")) and one.get("code")), None)


def _code_in(concept: Resource, table: Table) -> str | None:
    """The concept's code in the table's system; a code of another one with its system; else its words."""
    found = _entry_in(concept, table)
    if found is not None:
        return str(found["code"])
    other = next((one for one in concept.get("coding") or () if one.get("system") and one.get("code")), None)
    if other is not None:
        return f"{other['system']}|{other['code']}"
    return concept.get("text")


@converter("optional_words", "TABLE")
def _optional_words(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A word of the table <-> a coded CodeableConcept; any other words <-> its text, and no warning: the field is free
    text in which some words have a code."""
    table = table_named(words.plain[0], knowledge)

    def to_fhir(value: str, _run: Run, _path: str) -> Resource:
        code = table.code_of(value)
        return {"text": value} if code is None else {"coding": [coding(table, code)], "text": value}

    def to_native(concept: Resource, _run: Run) -> str | None:
        said = concept.get("text")
        found = _entry_in(concept, table)
        return said or (table.words.get(found["code"]) if found is not None else None)

    return Pair(to_fhir, to_native)


@converter("target_of", "MARK TABLE", whole=True)
def _target_of(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A code <-> the Goal.target whose measure is the mark, a `system#code`: its detail is a concept of the table."""
    measure, table = marked(words.plain[0], knowledge), table_named(words.plain[1], knowledge)

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        return {"measure": {"coding": [dict(measure)]}, "detailCodeableConcept": _concept_of(value, table, run, path)}

    def to_native(targets: list[Resource], _run: Run) -> str | None:
        mine = (one for one in targets if has_code((one.get("measure") or {}).get("coding"), measure))
        detail = next((one["detailCodeableConcept"] for one in mine if "detailCodeableConcept" in one), None)
        return _code_in(detail, table) if detail is not None else None

    return Pair(to_fhir, to_native)


@converter("coded_extension", "WORD TABLE")
def _coded_extension(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A code or the table's words for it <-> an extension with this url (a word of ours, or any url) that holds a
    CodeableConcept, among other extensions."""
    url, table = extension_url(words.plain[0]), table_named(words.plain[1], knowledge)

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        return {"url": url, "valueCodeableConcept": _concept_of(value, table, run, path)}

    def to_native(extension: Resource, _run: Run) -> str | None:
        concept = extension.get("valueCodeableConcept")
        return _code_in(concept, table) if extension.get("url") == url and isinstance(concept, dict) else None

    return Pair(to_fhir, to_native)
