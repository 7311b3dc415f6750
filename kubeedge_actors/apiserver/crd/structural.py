"""Structural schemas of custom resources: pruning, defaults, validation."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from copy import deepcopy
from typing import Any

from ..codec.builtin_types import Path, dotted_path, json_type
from ..errors import FieldError, Json, invalid_value, required, unsupported_value
from .patterns import is_match

Schema = Mapping[str, Any]
PRESERVE = "x-kubernetes-preserve-unknown-fields"
ROOT_FIELDS = ("apiVersion", "kind", "metadata")
NUMBERS: Mapping[str, tuple[type, ...]] = {"integer": (int,), "number": (int, float)}


class StructuralSchema:
    """The schema of one version of one custom resource."""

    def __init__(self, schema: Schema) -> None:
        self._schema = schema

    @property
    def schema(self) -> Schema:
        """The schema as the definition says it."""
        return self._schema

    def prune(self, body: Json, unknown: list[str]) -> Json:
        """The object without fields that the schema does not know; their paths are added to `unknown`."""
        fields = {key: value for key, value in body.items() if key not in ROOT_FIELDS}
        roots = {key: value for key, value in body.items() if key in ROOT_FIELDS}
        pruned: Json = prune(fields, self._schema, (), unknown)
        return {**roots, **pruned}

    def default(self, body: Json) -> None:
        """Fills in the schema's defaults, and drops nulls where no null may be (Go's clients send them for fields that are not set)."""
        default(body, self._schema)
        drop_nulls(body, self._schema)

    def validate(self, body: Json) -> list[FieldError]:
        """What the schema says against an object."""
        fields = {key: value for key, value in body.items() if key not in ROOT_FIELDS}
        return list(validate(fields, self._schema, ()))


def prune(value: Any, schema: Schema, path: Path, unknown: list[str]) -> Any:
    """A value without what its schema does not know."""
    if isinstance(value, list):
        items = schema.get("items")
        if items is None:
            return value
        return [prune(item, items, (*path, index), unknown) for index, item in enumerate(value)]
    if not isinstance(value, dict):
        return value
    pruned = {}
    properties, more = schema.get("properties", {}), schema.get("additionalProperties")
    for key, inner in value.items():
        if key in properties:
            pruned[key] = prune(inner, properties[key], (*path, key), unknown)
        elif isinstance(more, dict):
            pruned[key] = prune(inner, more, (*path, key), unknown)
        elif more or schema.get(PRESERVE) or schema.get("x-kubernetes-embedded-resource"):
            pruned[key] = inner
        else:
            unknown.append(dotted_path((*path, key)))
    return pruned


def default(value: Any, schema: Schema) -> None:
    """Fills defaults into an object, in place."""
    if isinstance(value, list):
        for item in value:
            default(item, schema.get("items", {}))
    if not isinstance(value, dict):
        return
    properties, more = schema.get("properties", {}), schema.get("additionalProperties")
    for key, inner in properties.items():
        if "default" in inner and (key not in value or (value[key] is None and not inner.get("nullable"))):
            value[key] = deepcopy(inner["default"])
    for key, field_value in value.items():
        if key in properties:
            default(field_value, properties[key])
        elif isinstance(more, dict):
            default(field_value, more)


def drop_nulls(value: Any, schema: Schema) -> None:
    """Removes nulls from an object, in place, where the schema knows the field and does not allow null; items of lists stay."""
    if isinstance(value, list):
        for item in value:
            drop_nulls(item, schema.get("items", {}))
    if not isinstance(value, dict):
        return
    properties, more = schema.get("properties", {}), schema.get("additionalProperties")
    for key in list(value):
        inner = properties.get(key, more)
        if not isinstance(inner, dict):
            continue
        if value[key] is None and not inner.get("nullable"):
            del value[key]
        else:
            drop_nulls(value[key], inner)


def validate(value: Any, schema: Schema, path: Path) -> Iterator[FieldError]:
    """Complaints about a value."""
    if value is None and schema.get("nullable"):
        return
    if not type_fits(value, schema):
        type_name = schema.get("type", "")
        text = f'{dotted_path(path)} in body must be of type {type_name}: "{json_type(value)}"'
        yield FieldError(dotted_path(path), "FieldValueTypeInvalid", f'Invalid value: "{json_type(value)}": {text}')
        return
    if (choices := schema.get("enum")) is not None and value not in choices:
        yield unsupported_value(dotted_path(path), value, [str(choice) for choice in choices])
    if isinstance(value, dict):
        yield from validate_object(value, schema, path)
    elif isinstance(value, list):
        yield from validate_list(value, schema, path)
    elif isinstance(value, str):
        yield from validate_text(value, schema, path)
    elif isinstance(value, int | float) and not isinstance(value, bool):
        yield from validate_number(value, schema, path)


def type_fits(value: Any, schema: Schema) -> bool:
    """Whether a value has the schema's JSON type."""
    if schema.get("x-kubernetes-int-or-string"):
        return isinstance(value, int | str) and not isinstance(value, bool)
    type_name = schema.get("type", "")
    if type_name in NUMBERS:
        whole = type_name == "integer" and isinstance(value, float) and value.is_integer()
        return whole or (isinstance(value, NUMBERS[type_name]) and not isinstance(value, bool))
    types = {"object": dict, "array": list, "string": str, "boolean": bool}
    return type_name not in types or isinstance(value, types[type_name])


def validate_object(value: Json, schema: Schema, path: Path) -> Iterator[FieldError]:
    """Complaints about an object: missing and wrong properties."""
    for key in schema.get("required", ()):
        if key not in value:
            yield required(dotted_path((*path, key)))
    properties, more = schema.get("properties", {}), schema.get("additionalProperties")
    for key, inner in value.items():
        if key in properties:
            yield from validate(inner, properties[key], (*path, key))
        elif isinstance(more, dict):
            yield from validate(inner, more, (*path, key))
    if (least := schema.get("minProperties")) is not None and len(value) < least:
        yield invalid_error(path, value, f"should have at least {least} properties")
    if (most := schema.get("maxProperties")) is not None and len(value) > most:
        yield invalid_error(path, value, f"should have at most {most} properties")


def validate_list(value: list[Any], schema: Schema, path: Path) -> Iterator[FieldError]:
    """Complaints about a list and its items."""
    if (least := schema.get("minItems")) is not None and len(value) < least:
        yield invalid_error(path, len(value), f"should have at least {least} items")
    if (most := schema.get("maxItems")) is not None and len(value) > most:
        yield FieldError(
            dotted_path(path), "FieldValueTooMany", f"Too many: {len(value)}: must have at most {most} items"
        )
    items = schema.get("items")
    if items is not None:
        for index, item in enumerate(value):
            yield from validate(item, items, (*path, index))


def validate_text(value: str, schema: Schema, path: Path) -> Iterator[FieldError]:
    """Complaints about a string."""
    if (pattern := schema.get("pattern")) is not None and not is_match(pattern, value):
        yield invalid_error(path, value, f"should match '{pattern}'")
    if (least := schema.get("minLength")) is not None and len(value) < least:
        yield invalid_error(path, value, f"should be at least {least} chars long")
    if (most := schema.get("maxLength")) is not None and len(value) > most:
        yield FieldError(dotted_path(path), "FieldValueTooLong", f"Too long: may not be more than {most} bytes")


def validate_number(value: float, schema: Schema, path: Path) -> Iterator[FieldError]:
    """Complaints about a number."""
    if (least := schema.get("minimum")) is not None:
        if schema.get("exclusiveMinimum") and value <= least:
            yield invalid_error(path, value, f"should be greater than {least}")
        elif value < least:
            yield invalid_error(path, value, f"should be greater than or equal to {least}")
    if (most := schema.get("maximum")) is not None:
        if schema.get("exclusiveMaximum") and value >= most:
            yield invalid_error(path, value, f"should be less than {most}")
        elif value > most:
            yield invalid_error(path, value, f"should be less than or equal to {most}")
    if (step := schema.get("multipleOf")) is not None and value % step:
        yield invalid_error(path, value, f"should be a multiple of {step}")


def invalid_error(path: Path, value: object, reason: str) -> FieldError:
    """A complaint in the words of the genuine validator."""
    return invalid_value(dotted_path(path), value, f"{dotted_path(path)} in body {reason}")
