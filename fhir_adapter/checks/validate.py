"""Is a resource valid FHIR R4? All that is wrong with it, at once, by path. It only looks: nothing is written back.

`fhir.resources` (R4B, whose element sets equal R4's for the types used here) knows the structure. It accepts what is
looked at by hand below: unknown codes, empty values, ids and references of a wrong form, modifier extensions.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from decimal import Decimal
from functools import lru_cache
from itertools import chain
from typing import Any

from fhir_adapter.checks.terminology import check_codes
from fhir_adapter.errors import Issue
from fhir_adapter.fhir.resources import Resource

DEEPEST = 60
"""Levels of nesting. Real resources stay under 20; a deeper one is an attack on somebody's stack."""

EMPTY_LIST = "an empty list: leave the element out"
EMPTY_OBJECT = "an empty object: leave the element out"

_CONTROL = re.compile(r"[\x00-\x08\x0b\x0c\x0e-\x1f]")
_ID = re.compile(r"[A-Za-z0-9\-.]{1,64}")
_REFERENCE = re.compile(
    r"#[A-Za-z0-9\-.]{0,64}"  # contained
    r"|[A-Z][A-Za-z]+/[A-Za-z0-9\-.]{1,64}(?:/_history/[A-Za-z0-9\-.]{1,64})?"
    r"|[A-Z][A-Za-z]+\?.+"  # conditional, in transactions
    r"|urn:(?:uuid:[0-9a-fA-F]{8}(?:-[0-9a-fA-F]{4}){3}-[0-9a-fA-F]{12}|oid:[0-2](?:\.\d+)+)"
    r"|https?://[^\s]+"
)


def check_resource(resource: Any) -> list[Issue]:
    """Everything that is wrong with a resource, with FHIR paths (`CarePlan.activity[0].detail.status`)."""
    if not isinstance(resource, dict):
        return [Issue("error", "structure", "", "not a FHIR resource: a JSON object is expected")]
    type_ = resource.get("resourceType")
    if not isinstance(type_, str) or _model_of(type_) is None:
        return [Issue("error", "structure", "resourceType", "no resource type of FHIR R4", "CarePlan, for example")]
    shape = list(_check_shape(resource, type_, 0))
    if any(issue.code == "too-long" for issue in shape):
        return shape
    parts = (check_codes(resource), _check_narrative(resource, type_), _check_contained(resource, type_),
             _check_structure(resource, type_))  # fmt: skip
    return list(dict.fromkeys([*shape, *chain.from_iterable(parts)]))  # the shape of contained ones is seen twice


def errors_in(resource: Any) -> list[Issue]:
    """The same without warnings: what keeps a resource from being taken."""
    return [issue for issue in check_resource(resource) if issue.severity == "error"]


def _check_shape(value: Any, path: str, depth: int) -> Iterator[Issue]:
    """What no FHIR JSON has, whatever the type: nothing, empty things, modifier extensions that nobody here knows."""
    if depth > DEEPEST:
        yield Issue("error", "too-long", path, f"nested deeper than {DEEPEST} levels")
    elif isinstance(value, dict):
        yield from _check_object(value, path, depth)
    elif isinstance(value, list):
        if not value:
            yield Issue("error", "structure", path, EMPTY_LIST)
        for index, item in enumerate(value):
            yield from _check_shape(item, f"{path}[{index}]", depth + 1)
    elif value is None or (isinstance(value, str) and not value.strip()):
        yield Issue("error", "structure", path, "an empty value: leave the element out")
    elif isinstance(value, str) and _CONTROL.search(value):
        yield Issue("error", "value", path, "holds a control character other than tab and line end")


def _check_object(value: Resource, path: str, depth: int) -> Iterator[Issue]:
    if not value:
        yield Issue("error", "structure", path, EMPTY_OBJECT)
    for name, child in value.items():
        here = f"{path}.{name}"
        if name == "modifierExtension":
            yield Issue("error", "extension", here, "changes the meaning of what it stands in, and is not known here")
        elif isinstance(child, list) and None in child and _is_primitive_list(value, name):
            # null keeps the places of a list of primitives and of its extensions in step
            yield from (
                issue
                for index, item in enumerate(child)
                if item is not None
                for issue in _check_shape(item, f"{here}[{index}]", depth + 2)
            )
        else:
            yield from _check_shape(child, here, depth + 1)
    yield from _check_id_and_reference(value, path)


def _is_primitive_list(value: Resource, name: str) -> bool:
    sibling = value.get(name[1:] if name.startswith("_") else f"_{name}")
    return isinstance(sibling, list) and len(sibling) == len(value[name])


def _check_id_and_reference(value: Resource, path: str) -> Iterator[Issue]:
    if "resourceType" in value and "id" in value and not _fits(_ID, value["id"]):
        yield Issue("error", "value", f"{path}.id", "not a FHIR id", "1 to 64 of A-Z a-z 0-9 - .")
    if isinstance(value.get("reference"), str) and not _fits(_REFERENCE, value["reference"]):
        yield Issue("error", "value", f"{path}.reference", "not a reference", "Type/id, a URL, urn:uuid:… or #id")


_ACTIVE = re.compile(
    r"<\s*(?:script|iframe|object|embed|form|input|link|meta|base)\b|\son\w+\s*=|javascript:", re.IGNORECASE
)


def _check_narrative(resource: Resource, type_: str) -> Iterator[Issue]:
    """http://hl7.org/fhir/R4/narrative.html: words and tables, nothing that acts when somebody looks at it."""
    text = resource.get("text")
    if isinstance(text, dict) and isinstance(text.get("div"), str) and _ACTIVE.search(text["div"]):
        yield Issue("error", "invalid", f"{type_}.text.div", "active content is not allowed in a narrative")


def _fits(form: re.Pattern[str], value: Any) -> bool:
    return isinstance(value, str) and form.fullmatch(value) is not None


def _check_contained(resource: Resource, type_: str) -> Iterator[Issue]:
    contained = resource.get("contained", [])
    for index, inner in enumerate(contained if isinstance(contained, list) else ()):
        path = f"{type_}.contained[{index}]"
        for issue in check_resource(inner):
            yield Issue(issue.severity, issue.code, _below(path, issue.path), issue.message, issue.expected)


def _below(path: str, inner: str) -> str:
    rest = inner if inner == "resourceType" else inner.partition(".")[2]
    return f"{path}.{rest}" if rest else path


def _check_structure(resource: Resource, type_: str) -> Iterator[Issue]:
    """What the model says. Contained resources were checked on their own: the model stumbles over unknown types."""
    model = _model_of(type_)
    from pydantic import ValidationError  # like the models: when the first resource is checked

    given = {name: value for name, value in resource.items() if name != "contained"}
    try:
        yield from _check_types(given, model.model_validate(given), type_)
    except ValidationError as fault:
        for error in fault.errors(include_url=False, include_input=False, include_context=False):
            code, message = _CODES.get(error["type"], "structure"), error["msg"].removeprefix("Value error, ")
            yield Issue("error", code, _path(type_, error["loc"]), message[:LONGEST_MESSAGE])
    except (TypeError, KeyError, ValueError, AttributeError) as fault:
        yield Issue("error", "structure", type_, f"the structure is not understood ({type(fault).__name__})")


LONGEST_MESSAGE = 200


def _check_types(given: Any, read: Any, path: str) -> Iterator[Issue]:
    """The model reads "false" as a boolean and a text with braces as an object: JSON types must be FHIR's own."""
    if hasattr(read, "model_fields_set"):
        if not isinstance(given, dict):
            yield _wrong_type(path, "an object")
            return
        fields = type(read).model_fields
        for name in read.model_fields_set:
            alias = fields[name].alias or name
            if alias in given:
                yield from _check_types(given[alias], getattr(read, name), f"{path}.{alias}")
    elif isinstance(read, list):
        for index, (inner, item) in enumerate(zip(given, read, strict=True)):
            yield from _check_types(inner, item, f"{path}[{index}]")
    elif isinstance(read, bool):
        if not isinstance(given, bool):
            yield _wrong_type(path, "true or false")
    elif isinstance(read, int | float | Decimal):
        if isinstance(given, bool | str):
            yield _wrong_type(path, "a number")
    elif read is not None and not isinstance(given, str):
        yield _wrong_type(path, "a string")


def _wrong_type(path: str, expected: str) -> Issue:
    return Issue("error", "value", path, "of the wrong JSON type", expected)


_CODES = {"missing": "required", "extra_forbidden": "structure", "string_type": "value"}


def _path(type_: str, location: tuple[int | str, ...]) -> str:
    path = type_
    for part in location:
        path += f"[{part}]" if isinstance(part, int) else f".{part}"
    return path


@lru_cache(maxsize=256)
def _model_of(type_: str) -> Any:
    """The model of a resource type, None for a name that is none. Read when it is first asked for: start-up is fast."""
    if not re.fullmatch(r"[A-Z][A-Za-z]{2,40}", type_):
        return None
    from fhir.resources.R4B import get_fhir_model_class  # half a second that a start need not wait for

    try:
        model = get_fhir_model_class(type_)
    except (ValueError, LookupError, AttributeError, ImportError):
        return None
    return model if "Resource" in {base.__name__ for base in model.__mro__} else None
