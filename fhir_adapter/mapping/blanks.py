"""Texts of nothing but blanks: forms send them for fields that nobody filled in, and FHIR has no such text."""

from __future__ import annotations

from typing import Any


def has_blanks(value: Any) -> bool:
    """Whether an empty text, or one of blanks alone, stands anywhere in the value."""
    found = [value]
    for one in found:  # it grows meanwhile: a call for each of some hundred values would be dear
        if one.__class__ is str:
            if not one or one.isspace():
                return True
        elif one.__class__ is dict:
            found += one.values()
        elif one.__class__ is list:
            found += one
    return False


def emptied(value: Any) -> Any:
    """The value with empty texts in place of blank ones, so that a format that demands a text gets none."""
    if isinstance(value, str):
        return value.strip() and value
    if isinstance(value, dict):
        return {name: emptied(child) for name, child in value.items()}
    return [emptied(child) for child in value] if isinstance(value, list) else value


def what_is_said(value: Any) -> Any:
    """The value without fields whose text is blank; an item of a list that is one says nothing, in its place."""
    if isinstance(value, dict):
        return {name: what_is_said(child) for name, child in value.items() if not _is_blank(child)}
    if isinstance(value, list):
        return [None if _is_blank(child) else what_is_said(child) for child in value]
    return value


def _is_blank(value: Any) -> bool:
    return isinstance(value, str) and not value.strip()
