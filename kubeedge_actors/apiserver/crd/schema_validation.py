"""Validation of the schema in a CustomResourceDefinition."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

from ..errors import FieldError, invalid_value, unsupported_value
from .patterns import pattern_error

TYPES = ("array", "boolean", "integer", "number", "object", "string")
NUMBERS = ("minimum", "maximum", "multipleOf")
COUNTS = ("minLength", "maxLength", "minItems", "maxItems", "minProperties", "maxProperties")
FLAGS = (
    "nullable",
    "exclusiveMinimum",
    "exclusiveMaximum",
    "x-kubernetes-preserve-unknown-fields",
    "x-kubernetes-int-or-string",
    "x-kubernetes-embedded-resource",
)


def schema_errors(schema: Any, path: str) -> Iterator[FieldError]:
    """What is wrong with a schema, and with the schemas in it."""
    if not isinstance(schema, dict):
        yield invalid_value(path, schema, "must be an object")
        return
    yield from keyword_errors(schema, path)
    properties = schema.get("properties", {})
    if not isinstance(properties, dict):
        yield invalid_value(f"{path}.properties", properties, "must be an object")
    else:
        for name, inner in properties.items():
            yield from schema_errors(inner, f"{path}.properties[{name}]")
    if "items" in schema:
        yield from schema_errors(schema["items"], f"{path}.items")
    more = schema.get("additionalProperties")
    if more is not None and not isinstance(more, bool):
        yield from schema_errors(more, f"{path}.additionalProperties")


def keyword_errors(schema: dict[str, Any], path: str) -> Iterator[FieldError]:
    """What is wrong with the words that are no schemas."""
    if "type" in schema and schema["type"] not in TYPES:
        yield unsupported_value(f"{path}.type", schema["type"], TYPES)
    if not isinstance(schema.get("enum", []), list):
        yield invalid_value(f"{path}.enum", schema["enum"], "must be a list")
    required_names = schema.get("required", [])
    if not isinstance(required_names, list) or not all(isinstance(name, str) for name in required_names):
        yield invalid_value(f"{path}.required", required_names, "must be a list of names")
    for word in FLAGS:
        if not isinstance(schema.get(word, False), bool):
            yield invalid_value(f"{path}.{word}", schema[word], "must be true or false")
    for word in (*NUMBERS, *COUNTS):
        value = schema.get(word, 1)
        if not isinstance(value, int | float) or isinstance(value, bool) or (word in COUNTS and value < 0):
            yield invalid_value(f"{path}.{word}", value, "must be a number")
        elif word == "multipleOf" and value <= 0:
            yield invalid_value(f"{path}.{word}", value, "must be greater than 0")
    if (reason := pattern_error(schema.get("pattern", ""))) is not None:
        yield invalid_value(f"{path}.pattern", schema["pattern"], reason)
