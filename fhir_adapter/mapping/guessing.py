"""What a name and its values probably mean, by the words of guesses.yaml."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from functools import lru_cache
from pathlib import Path
from typing import Any

import yaml

from fhir_adapter.mapping.converters.registry import CONVERTERS
from fhir_adapter.mapping.samples import Found
from fhir_adapter.mapping.words import folded

_GUESSES = Path(__file__).parent / "guesses.yaml"

_DAYS = {
    r"\d{4}(-\d\d(-\d\d)?)?": "",
    r"\d\d\.\d\d\.\d{4}": "form=DD.MM.YYYY",
    r"\d?\d\.\d?\d\.\d{4}": "form=D.M.YYYY",
    r"\d\d/\d\d/\d{4}": "form=DD/MM/YYYY",
    r"\d\d-\d\d-\d{4}": "form=DD-MM-YYYY",
    r"\d{8}": "form=YYYYMMDD",
}
"""how dates look -> the words with which a converter reads them"""

_TIMES = {
    r"\d{4}-\d\d-\d\dT\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d)": "",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d": "local",
    r"\d{4}-\d\d-\d\dT\d\d:\d\d": "form=YYYY-MM-DDThh:mm",
    r"\d{4}-\d\d-\d\d \d\d:\d\d": '"form=YYYY-MM-DD hh:mm"',
    r"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d": '"form=YYYY-MM-DD hh:mm:ss"',
    r"\d\d\.\d\d\.\d{4} \d\d:\d\d": '"form=DD.MM.YYYY hh:mm"',
    r"\d?\d\.\d?\d\.\d{4} \d?\d:\d\d": '"form=D.M.YYYY h:mm"',
    r"\d{14}": "form=YYYYMMDDhhmmss",
    r"\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d)?(Z|[+-]\d\d:\d\d)?)?": "",
}
"""the same for times"""

_VALUES = {"valueBoolean": {"boolean"}, "valueInteger": {"integer"}, "valueQuantity.value": {"integer", "number"}}
"""elements of FHIR that hold no text -> the kinds of values that they take"""


@lru_cache(maxsize=1)
def guesses() -> dict[str, Any]:
    """The words to guess from."""
    known: dict[str, Any] = yaml.safe_load(_GUESSES.read_text("utf-8"))
    return known


def plain(name: str) -> str:
    """A field's name as it is compared: small letters and digits alone."""
    return re.sub(r"[\W_]", "", folded(name))


def is_id(name: str) -> bool:
    """Does a field's name say that it tells things apart?"""
    return plain(name.rpartition(".")[2]) in guesses()["id"]


def ends_like_id(name: str) -> bool:
    """Does it end as the name of such a field does (`planId`, `sagsnummer`), and is no telephone or national number?"""
    return plain(name).endswith(tuple(guesses()["id_ends"])) and not is_of_the_person(name)


def is_of_the_person(name: str) -> bool:
    """Does its name alone say what it is of the person: a telephone number, a postal code, a national number?"""
    return plain(name.rpartition(".")[2]) in _names_of_the_person()


@lru_cache(maxsize=1)
def _names_of_the_person() -> frozenset[str]:
    numbers = [one["names"] for one in guesses()["numbers"]]
    return frozenset(word for words in (*guesses()["patient"].values(), *numbers) for word in words)


def is_called(name: str, words: Sequence[str]) -> bool:
    """Is a field's name, without what holds it, one of these words?"""
    return plain(name.rpartition(".")[2]) in words


def kind_called(name: str, place: str) -> str | None:
    """What a list (or, in the `record`, an object) of this name is, where it may stand."""
    kinds = guesses()["kinds"].items()
    return next((kind for kind, about in kinds if place in about["in"] and is_called(name, about["names"])), None)


def is_list_name(name: str) -> bool:
    """Is it what a list of a plan is called, or one item of it?"""
    return any(kind_called(name, place) for place in ("plan", "goal"))


def target_for(found: Found, known: Mapping[str, Sequence[str]], taken: set[str]) -> str | None:
    """The first target that a field's name stands for, that takes its values, and that no other field has; one whose
    code table has none of the words comes last."""
    meant = [target for target, words in known.items() if is_called(found.path, words) or plain(found.path) in words]
    free = {target: fitted(target, [found]) for target in meant if target not in taken}
    fitting = [target for target, text in free.items() if text is not None]
    chosen = min(fitting, key=lambda target: not _knows_words(target, found), default=None)
    if chosen is None:
        return None
    taken.add(chosen)
    return free[chosen]


def _knows_words(target: str, found: Found) -> bool:
    table = table_of(target)
    return table is None or any(code is not None for code in codes_of(table, found).values())


def table_of(target: str) -> str | None:
    """The code table that a target names."""
    named = re.search(r"\| (code|concept) ([a-z-]+)$", target)
    return None if named is None else named[2]


def codes_of(table: str, found: Found) -> dict[str, str | None]:
    """The words of a field, each with its code; where one sample says true, another may say false."""
    words = ["true", "false"] if found.kinds() == {"boolean"} else map(str, found.values)
    return {word: code_for(table, word) for word in words}


def fitted(target: str, fields: Sequence[Found]) -> str | None:
    """The target with the converter, or the form of times, that fits the values; None where it does not take them."""
    path, _, words = target.partition(" | ")
    converter = {"DATE": "date", "DAY": "day"}.get(words, words.split(" ")[0])
    if not all(found.is_plain and _takes(path, converter, place, found) for place, found in enumerate(fields)):
        return None
    if converter == words or not words.endswith(("DATE", "DAY", "TIMES")):
        return target
    form = _form_of(fields, _DAYS if words == "DAY" else _DAYS | _TIMES)
    if form is None:
        return None
    return f"{path} | {re.sub('DATE|DAY', converter, words).replace('TIMES', '')} {form}".replace("  ", " ").strip()


def _takes(path: str, converter: str, place: int, found: Found) -> bool:
    if found.is_list() and (not path.endswith("[]") or converter not in CONVERTERS or CONVERTERS[converter].whole):
        return False
    wanted = next((kinds for end, kinds in _VALUES.items() if path.endswith(end)), {"string"})
    if converter:
        wanted = set(CONVERTERS[converter].takes(place))
    has_table = converter == "code" and found.kinds() == {"boolean"}
    return bool(found.kinds()) and (found.kinds() <= wanted or has_table)


def _form_of(fields: Sequence[Found], forms: Mapping[str, str]) -> str | None:
    values = [value for found in fields for value in found.values if isinstance(value, str)]
    if len(fields) > 1:
        values = [value for value in values if value[:1].isdigit()]
    fitting = (form for look, form in forms.items() if values and all(re.fullmatch(look, value) for value in values))
    return next(fitting, None)


def code_for(table: str, word: str) -> str | None:
    """FHIR's code for a word of the samples; None where no language has it."""
    known = guesses()["words"][table].items()
    code = next((code for code, words in known if plain(word) in words), None)
    if code is None:
        code = next((code for code in guesses()["codes"][table] if plain(code) == plain(word)), None)
    return None if code is None else str(guesses()["other_names"].get(table, {}).get(code, code))
