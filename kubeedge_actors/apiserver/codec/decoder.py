"""Decoder of request bodies: from bytes to an object of the right kind, checked, pruned and defaulted."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import msgspec

from kubeedge_actors import depth_limit

from ..crd.structural import StructuralSchema
from ..errors import ApiError, FieldError, Json, bad_request
from ..http_messages import JSON_TYPE, Request
from ..registry.builtin import Resource
from ..strategies.by_kind import DEFAULT_STRATEGY, SHORT_NAMES, STRATEGIES
from ..strategies.strategy import Strategy
from ..strategies.validation import metadata_errors
from .builtin_types import BuiltinTypes, TypeMismatch

PROTOBUF_TYPE = "application/vnd.kubernetes.protobuf"
KNOWN_TYPES = (
    f"the body of the request was in an unknown format - accepted media types include: {JSON_TYPE}, {PROTOBUF_TYPE}"
)


class DecodedObject(msgspec.Struct):
    """An object that fits its type, and the paths of what was thrown away."""

    body: Json
    unknown: list[str]


class ObjectDecoder:
    """Decodes and checks what clients send. `structural(resource)` is the schema of a custom resource, if it has one."""

    def __init__(self, types: BuiltinTypes, structural: Callable[[Resource], StructuralSchema | None]) -> None:
        self.types, self._structural = types, structural

    def decode(self, request: Request, resource: Resource) -> Json:
        """The object in the body of a POST or PUT, of the resource's kind; not shaped yet."""
        media = request.headers.get("content-type", JSON_TYPE).partition(";")[0].strip()
        body = decode_body(request.body, media, resource.kind)
        self._check_kind(body, resource)
        return body

    def _check_kind(self, body: Json, resource: Resource) -> None:
        kind, version = body.get("kind"), body.get("apiVersion")
        if not isinstance(kind, str | None) or not isinstance(version, str | None):
            raise bad_request(f"{resource.kind} cannot be handled: kind and apiVersion must be strings")
        if not kind and resource.is_custom:
            text = msgspec.json.encode(body).decode()
            raise unrecognized_error(resource.kind, f"Object 'Kind' is missing in '{text}'", text)
        if kind and kind != resource.kind:
            text = f'{kind} in version "{version_without_group(version or resource.api_version)}" cannot be handled as a {resource.kind}: '
            was = f"({version_without_group(version or '')}.{kind})"
            raise bad_request(
                f"{text}converting {was} to ({resource.group or 'core'}.{resource.kind}): unknown conversion"
            )
        if version and version != resource.api_version:
            text = f'{resource.kind} in version "{version_without_group(version)}" cannot be handled as a {resource.kind}: '
            raise bad_request(f'{text}no kind "{resource.kind}" is registered for version "{version}"')
        body["kind"], body["apiVersion"] = resource.kind, resource.api_version

    def prune(self, body: Json, resource: Resource) -> DecodedObject:
        """Prunes unknown fields and checks types. Raises 400 on a value of the wrong type."""
        unknown: list[str] = []
        try:
            if not resource.is_custom:
                return DecodedObject(self.types.prune(body, resource.type, unknown), unknown)
            meta = body.get("metadata") or {}
            pruned = {**body, "metadata": self.types.prune(meta, "ObjectMeta", unknown)}
        except TypeMismatch as error:
            text = f'{resource.kind} in version "{resource.version}" cannot be handled as a {resource.kind}: {error}'
            raise bad_request(text) from error
        if (schema := self._structural(resource)) is not None:
            pruned = schema.prune(pruned, unknown)
        return DecodedObject(pruned, unknown)

    def default(self, body: Json, resource: Resource) -> None:
        """Fills in what was left out."""
        if resource.is_custom:
            if (schema := self._structural(resource)) is not None:
                schema.default(body)
        else:
            self.strategy(resource).default(body)

    def validate(self, body: Json, resource: Resource) -> list[FieldError]:
        """What is wrong with an object."""
        errors = list(metadata_errors(body["metadata"], resource.key in SHORT_NAMES))
        if resource.is_custom:
            schema = self._structural(resource)
            errors.extend(schema.validate(body) if schema is not None else ())
        else:
            errors.extend(self.strategy(resource).validate(body))
        return errors

    def strategy(self, resource: Resource) -> Strategy:
        """What is special about a kind."""
        return STRATEGIES.get(resource.key, DEFAULT_STRATEGY)


def decode_body(body: bytes, media: str, kind: str) -> Json:
    """The object in a body. Raises 400 and 415."""
    if media == PROTOBUF_TYPE:
        from .protobuf_decoder import decode  # late: only kubectl's imperative commands need it

        return decode(body, kind)
    if media not in (JSON_TYPE, ""):
        raise ApiError(415, "UnsupportedMediaType", KNOWN_TYPES)
    object = decode_json(body, kind)
    if not isinstance(object, dict):
        text = body.decode(errors="replace")
        raise unrecognized_error(kind, "json: cannot unmarshal into Go value of type struct", text)
    if not isinstance(object.get("metadata", {}), dict | None):
        raise bad_request(f"{kind} cannot be handled: metadata is not an object")
    return object


def decode_json(body: bytes, kind: str) -> Any:
    """A JSON value, or 400 in the words of the genuine server."""
    try:
        return msgspec.json.decode(depth_limit.check_depth(body))
    except msgspec.DecodeError as error:
        text = body.decode(errors="replace")
        reason = "unexpected end of JSON input" if not body or "truncated" in str(error) else str(error)
        raise unrecognized_error(kind, f"json parse error: {reason}", text, "couldn't get version/kind; ") from error


def unrecognized_error(kind: str, reason: str, text: str, prefix: str = "") -> ApiError:
    """400 of a body that is no object of that kind."""
    shown = f"{text[:30]} ..." if len(text) > 30 else text or "<empty>"
    return bad_request(f"the object provided is unrecognized (must be of type {kind}): {prefix}{reason} ({shown})")


def version_without_group(version: str) -> str:
    """The version without its group."""
    return version.rpartition("/")[2]


def field_validation(request: Request) -> str:
    """`Strict`, `Warn` or `Ignore`."""
    return request.query.get("fieldValidation") or "Warn"


def strict_error_text(unknown: Sequence[str]) -> str:
    """What a strict decoder says of unknown fields."""
    return "strict decoding error: " + ", ".join(f'unknown field "{path}"' for path in unknown)


def warning_header(unknown: Sequence[str]) -> dict[str, str]:
    """The Warning header for unknown fields."""
    texts = ['299 - "unknown field \\"' + path + '\\""' for path in unknown]
    return {"Warning": ", ".join(texts)} if texts else {}
