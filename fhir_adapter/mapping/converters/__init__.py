"""Converter pairs, one topic a file: `CONVERTERS` holds each under the name that rules call it by."""

from importlib import import_module
from pkgutil import iter_modules

from fhir_adapter.mapping.converters.registry import CONVERTERS, Builder, Converter, Words

__all__ = ["CONVERTERS", "Builder", "Converter", "Words"]

for _topic in iter_modules(__path__):  # a new topic is a new file: importing it registers its converters
    import_module(f"{__name__}.{_topic.name}")
