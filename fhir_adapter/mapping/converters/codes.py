"""Words of the sender and codes of FHIR, by a code table of the mapping."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from fhir_adapter.fhir.resources import CODES, Resource
from fhir_adapter.mapping.converters.registry import Words, converter
from fhir_adapter.mapping.converters.texts import words_of
from fhir_adapter.mapping.knowledge import Knowledge, Table
from fhir_adapter.mapping.model import Pair, Run


def table_named(name: str, knowledge: Knowledge) -> Table:
    """The code table of the mapping with this name. Raises ValueError."""
    table = knowledge.tables.get(name)
    if table is None:
        known = ", ".join(sorted(knowledge.tables.keys() - {"marks"}))
        raise ValueError(f"there is no code table {name!r} in the codes file; there are: {known or 'none'}")
    return table


def marked(short: str, knowledge: Knowledge) -> Resource:
    """The Coding for `system#code`, with the display (empty: none) that it has among the mapping's marks.

    Raises ValueError.
    """
    system, hash_, code = short.rpartition("#")
    if not hash_:
        raise ValueError(f"{short!r} is not `system#code`")
    display = knowledge.tables["marks"].displays.get(short) if "marks" in knowledge.tables else None
    if display is None:
        raise ValueError(f"the code {short!r} has no display among the marks")
    made = {"system": system if ":" in system else f"{CODES}/{system}", "code": code}
    return made | ({"display": display} if display else {})


def has_code(codings: Sequence[Resource] | None, wanted: Resource) -> bool:
    """Is the Coding `wanted` among these, by system and code?"""
    return any(
        entry.get("system") == wanted["system"] and entry.get("code") == wanted["code"] for entry in codings or ()
    )


@converter("code", "TABLE [silent=CODE] [else=CODE]")
def _code(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A word <-> a code that FHIR requires. An unknown word is an error, or `else=CODE` with a warning;
    `silent=CODE`: the record leaves the field out for this code."""
    table = table_named(words.plain[0], knowledge)
    silent, otherwise = words.option("silent"), words.option("else") or None

    def to_fhir(value: str, run: Run, path: str) -> str | None:
        code = table.code_of(value)
        if code is None and otherwise is None:
            run.error(path, "code-invalid", "this word is not in the code list", table.allowed)
        elif code is None:
            run.warn(path, "code-invalid", f"this word is not in the code list: taken as {otherwise}", table.allowed)
        return code or otherwise

    return Pair(to_fhir, lambda code, _run: None if code == silent else table.words.get(code), table, table.codes)


@converter("concept", "TABLE")
def _concept(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A word <-> a coded CodeableConcept; a word that the table does not know is kept as text, with a warning."""
    table = table_named(words.plain[0], knowledge)

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        code = table.code_of(value)
        if code is None:
            run.warn(path, "code-invalid", "this word is not in the code list: it is kept as text", table.allowed)
            return {"text": value}
        return {"coding": [coding(table, code)]}

    def to_native(concept: Resource, _run: Run) -> str | None:
        for entry in concept.get("coding") or ():
            code = entry.get("code")
            if code is not None and table.has_system(entry.get("system")) and code in table.words:
                return table.words[code]
        return words_of(concept)

    return Pair(to_fhir, to_native, table)


@converter("coding", "TABLE", whole=True)
def _coding(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A word <-> the table's Coding in a list of Codings; Codings of other systems are left alone."""
    table = table_named(words.plain[0], knowledge)

    def to_fhir(value: str, run: Run, path: str) -> Resource | None:
        code = table.code_of(value)
        if code is None:
            run.error(path, "code-invalid", "this word is not in the code list", table.allowed)
            return None
        return coding(table, code)

    def to_native(entries: list[Resource], _run: Run) -> str | None:
        mine = (str(entry.get("code")) for entry in entries if table.has_system(entry.get("system")))
        return next((table.words[code] for code in mine if code in table.words), None)

    return Pair(to_fhir, to_native, table)


def coding(table: Table, code: str) -> Resource:
    """A Coding of a table's code, with its display where the table has one."""
    made: Resource = {"system": table.system, "code": code}
    if code in table.displays:
        made["display"] = table.displays[code]
    return made


@converter("one_coding", "TABLE [quiet]")
def _one_coding(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A word <-> one Coding of the table. An unknown word is an error; `quiet`: it is another rule's business."""
    table = table_named(words.plain[0], knowledge)
    quiet = "quiet" in words.flags

    def to_fhir(value: str, run: Run, path: str) -> Resource | None:
        code = table.code_of(value)
        if code is None and not quiet:
            run.error(path, "code-invalid", "this word is not in the code list", table.allowed)
        return coding(table, code) if code is not None else None

    def to_native(entry: Resource, _run: Run) -> str | None:
        return table.words.get(str(entry.get("code"))) if table.has_system(entry.get("system")) else None

    return Pair(to_fhir, to_native)


@converter("plain_coding", "SYSTEM")
def _plain_coding(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """A code as the sender writes it <-> one Coding of this system."""
    system = words.plain[0]

    def to_native(entry: Resource, _run: Run) -> str | None:
        return entry.get("code") if entry.get("system") == system else None

    return Pair(lambda value, _run, _path: {"system": system, "code": value}, to_native)


@converter("flag", "MARK", loses="false, which reads like nothing said", whole=True, kinds="boolean")
def _flag(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """True <-> this Coding, a `system#code` among the marks, in a list of Codings; others are left alone."""
    mark = marked(words.plain[0], knowledge)
    return Pair(
        lambda value, _run, _path: dict(mark) if value else None,
        lambda entries, _run: True if has_code(entries, mark) else None,
        silent=(False,),
    )


@converter("coding_or_words", "TABLE")
def _coding_or_words(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A word <-> a Coding of the table; a word that the table does not know is a Coding that has a display only, with a
    warning."""
    table = table_named(words.plain[0], knowledge)

    def to_fhir(value: str, run: Run, path: str) -> Resource:
        code = table.code_of(value)
        if code is None:
            run.warn(path, "code-invalid", "this word is not in the code list: it is kept as text", table.allowed)
            return {"display": value}
        return coding(table, code)

    def to_native(entry: Resource, _run: Run) -> str | None:
        known = table.words.get(str(entry.get("code"))) if table.has_system(entry.get("system")) else None
        return known or entry.get("display")

    return Pair(to_fhir, to_native)


@converter("stands_for", "CODE", loses="everything but that there is a value: for rules that only write", kinds="any")
def _stands_for(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """Any value <-> this code."""
    return Pair(lambda _value, _run, _path: words.plain[0], lambda _code, _run: None)


@converter("status_and_more", "TABLE FINER", targets=2)
def _status_and_more(fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A word <-> (a status that FHIR requires, a CodeableConcept beside it): the second table holds the words for which
    the status alone says too little, such as the waiting list. Once the status says something else, that holds."""
    table, finer = (table_named(name, knowledge) for name in words.plain)

    def to_fhir(value: str, run: Run, path: str) -> tuple[Any, ...]:
        status, more = table.code_of(value), finer.code_of(value)
        if status is None:
            run.error(path, "code-invalid", "this word is not in the code list", table.allowed)
        return status, {"coding": [coding(finer, more)]} if more else None

    def to_native(fragments: tuple[Any, ...], _run: Run) -> str | None:
        status, more = fragments
        entries = (more or {}).get("coding") or ()
        said = (finer.words.get(str(entry.get("code"))) for entry in entries if finer.has_system(entry.get("system")))
        own = table.words.get(status)
        return next((word for word in said if word and table.words.get(table.code_of(word) or "") == own), own)

    return Pair(to_fhir, to_native)


@converter("prefixed", "PREFIX [table=TABLE]")
def _prefixed(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A code <-> the same after this prefix, such as `urn:oid:` before an OID; one that has it already keeps it.
    `table`: words that it knows have their code from there instead."""
    prefix = words.plain[0]
    table = table_named(words.option("table"), knowledge) if words.option("table") else None

    def to_fhir(value: str, _run: Run, _path: str) -> str:
        known = table.code_of(value) if table else None
        return known or (value if value.startswith(prefix) else prefix + value)

    def to_native(value: str, _run: Run) -> str:
        known = table.words.get(value) if table else None
        return known or value.removeprefix(prefix)

    return Pair(to_fhir, to_native, table)


@converter("true_as", "CODE", loses="false, and codes other than this one", kinds="boolean")
def _true_as(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """True <-> this code; false and any other code say nothing about each other."""
    wanted = words.plain[0]
    return Pair(
        lambda value, _run, _path: wanted if value else None,
        lambda code, _run: True if code == wanted else None,
        silent=(False,),
    )


@converter("availability", "TABLE", kinds="boolean/string")
def _availability(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """True, false, or a word between the two <-> a CodeableConcept: `yes`, `no`, a code of the table, or text. What the
    record does not say is not said in FHIR either: never `no`."""
    table = table_named(words.plain[0], knowledge)

    def to_fhir(value: bool | str, _run: Run, _path: str) -> Resource:
        code = table.code_of(value) if isinstance(value, str) else "yes" if value else "no"
        return {"text": value} if code is None else {"coding": [coding(table, code)]}

    def to_native(concept: Resource, _run: Run) -> bool | str | None:
        entries = concept.get("coding") or ()
        code = next((str(entry.get("code")) for entry in entries if table.has_system(entry.get("system"))), None)
        if code in ("yes", "no"):
            return code == "yes"
        return (table.words.get(code) if code else None) or words_of(concept)

    return Pair(to_fhir, to_native)


@converter("true_for", "TABLE CODE else=CODE", loses="words other than those of the two codes")
def _true_for(_fields: Sequence[str], words: Words, knowledge: Knowledge) -> Pair:
    """A word for this code of the table <-> true; any other <-> false, which reads as the word for the code `else`."""
    table, code, otherwise = table_named(words.plain[0], knowledge), words.plain[1], words.option("else")
    return Pair(
        lambda value, _run, _path: table.code_of(value) == code,
        lambda value, _run: table.words.get(code if value else otherwise),
    )


@converter("identifier_of", "SYSTEM")
def _identifier_of(_fields: Sequence[str], words: Words, _knowledge: Knowledge) -> Pair:
    """A code as the sender writes it <-> an Identifier of this system."""
    system = words.plain[0]

    def to_native(identifier: Resource, _run: Run) -> str | None:
        return identifier.get("value") if identifier.get("system") == system else None

    return Pair(lambda value, _run, _path: {"system": system, "value": value}, to_native)
