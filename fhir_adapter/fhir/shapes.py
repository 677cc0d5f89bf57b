"""Is JSON shaped as R4 has it, a list where R4 has a list, an object where it has an object? No more is looked at."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from fhir_adapter.fhir.elements import Element, elements_of, is_resource_type


def misshapen(resource: Any, path: str = "") -> Iterator[tuple[str, str]]:
    """Each place that has another shape than in R4, with what is expected there; `path` is written before each.

    Elements that R4 does not know are let through: whether a resource is valid is for checks/validate to say.
    """
    type_ = resource.get("resourceType") if isinstance(resource, dict) else None
    if not isinstance(type_, str) or not is_resource_type(type_):
        yield _joined(path, "resourceType"), "a resource type of FHIR R4"
        return
    yield from _in_object(resource, type_, path)


def _in_object(value: dict[str, Any], type_: str, path: str) -> Iterator[tuple[str, str]]:
    elements = elements_of(type_)
    for name, child in value.items():
        element = elements.get(name)
        if name.startswith("_") and (beside := elements.get(name[1:])) and _is_primitive(beside):
            element = Element("Element", beside.is_list, False)
        if element is not None:
            yield from _in_element(child, element, _joined(path, name))


def _in_element(value: Any, element: Element, path: str) -> Iterator[tuple[str, str]]:
    if element.is_list != isinstance(value, list):
        yield path, "a list" if element.is_list else "no list"
        return
    for index, item in enumerate(value) if element.is_list else [(None, value)]:
        here = path if index is None else f"{path}[{index}]"
        if item is None and index is not None and (_is_primitive(element) or element.type == "Element"):
            continue  # null keeps the places of a list of primitives and of its extensions in step
        if _is_primitive(element):
            if item is None or isinstance(item, dict | list):
                yield here, f"a {element.type}"
        elif not isinstance(item, dict):
            yield here, "an object"
        elif element.type == "Resource":
            yield from misshapen(item, here)
        else:
            yield from _in_object(item, element.type, here)


def _is_primitive(element: Element) -> bool:
    return element.type[:1].islower()


def _joined(path: str, name: str) -> str:
    return f"{path}.{name}" if path else name
