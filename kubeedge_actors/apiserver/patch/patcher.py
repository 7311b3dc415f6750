"""Which patch a request carries, and what it makes of an object."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.kubernetes.objects import merge_patch

from ..codec.builtin_types import BuiltinTypes
from ..errors import ApiError, Json, bad_request, forbidden_field, invalid_options, required
from ..http_messages import Request
from ..registry.builtin import Resource
from ..request_info import RequestInfo
from ..storage.entry import Entry
from . import json_patch
from .fieldmanager import ManagedFields, applied_object
from .strategic import BadPatch, StrategicMerge

JSON_PATCH, MERGE_PATCH = "application/json-patch+json", "application/merge-patch+json"
STRATEGIC_PATCH, APPLY_PATCH = "application/strategic-merge-patch+json", "application/apply-patch+yaml"
CUSTOM_TYPES = (JSON_PATCH, MERGE_PATCH, APPLY_PATCH)
REJECTED = "the server rejected our request due to an error in our request"


class ApplyResult(msgspec.Struct):
    """What a server-side apply makes: the object, and what the managers own then."""

    body: Json
    managed_fields: bytes


class Patcher:
    """Reads patches and applies them."""

    def __init__(self, types: BuiltinTypes) -> None:
        self._strategic = StrategicMerge(types.fields)
        self._types = types

    def is_apply(self, request: Request) -> bool:
        """Whether the patch is a server-side apply."""
        return content_type_of(request) == APPLY_PATCH

    def patch_function(self, request: Request, resource: Resource) -> Callable[[Json], Json]:
        """The function from an object to the patched one. Raises 400, 415, 422."""
        media = content_type_of(request)
        check_patch_type(media, resource)
        if "force" in request.query:
            raise invalid_options("PatchOptions", forbidden_field("force", "may not be specified for non-apply patch"))
        patch = parse_patch(request.body)
        if media == JSON_PATCH:
            return lambda old: apply_json_patch(old, patch)
        if not isinstance(patch, dict):
            raise bad_request(
                "error decoding patch: json: cannot unmarshal into Go value of type map[string]interface {}"
            )
        if media == MERGE_PATCH:
            return lambda old: apply_merge_patch(old, patch)
        return lambda old: self._strategically(old, patch, resource.type)

    def _strategically(self, old: Json, patch: Json, kind: str) -> Json:
        try:
            return self._strategic.merge(old, patch, kind)
        except BadPatch as error:
            raise bad_request(str(error)) from error

    def apply(self, request: Request, target: RequestInfo, resource: Resource, entry: Entry | None) -> ApplyResult:
        """A server-side apply. Raises 400, 409, 422."""
        manager = request.query.get("fieldManager", "")
        if not manager:
            raise invalid_options("PatchOptions", required("fieldManager", "is required for apply patch"))
        config = parse_patch(request.body)
        check_apply_configuration(config, target, resource)
        owners = ManagedFields.of(entry, resource.type, self._types.fields)
        old = entry.object() if entry is not None else None
        body, after = applied_object(owners, old, config, manager, target.subresource, request.flag("force"))
        return ApplyResult(body, after.encode())

    def managed_fields_after(
        self, entry: Entry, new: Json, request: Request, target: RequestInfo, resource: Resource
    ) -> bytes | None:
        """The managed fields after a write without apply; None while there was never an apply."""
        if entry.managed_fields is None:
            return None
        owners = ManagedFields.of(entry, resource.type, self._types.fields)
        manager = request.query.get("fieldManager") or user_agent_manager(request)
        return owners.after_update(entry.object(), new, manager, target.subresource).encode()


def user_agent_manager(request: Request) -> str:
    """The manager's name when the request does not say it: the program of the user agent."""
    return request.headers.get("user-agent", "unknown").partition("/")[0] or "unknown"


def content_type_of(request: Request) -> str:
    """The content type without parameters."""
    return request.headers.get("content-type", "").partition(";")[0].strip()


def check_patch_type(media: str, resource: Resource) -> None:
    """Refuses other content types, with 415."""
    if resource.is_custom and media == STRATEGIC_PATCH:
        text = f"the body of the request was in an unknown format - accepted media types include: {', '.join(CUSTOM_TYPES)}"
        raise ApiError(415, "UnsupportedMediaType", text)
    if media not in (JSON_PATCH, MERGE_PATCH, STRATEGIC_PATCH):
        raise ApiError(415, "UnsupportedMediaType", "415: Unsupported Media Type", {})


def parse_patch(body: bytes) -> Any:
    """The patch. Raises 400."""
    try:
        return msgspec.json.decode(depth_limit.check_depth(body))
    except msgspec.DecodeError as error:
        reason = "unexpected end of JSON input" if "truncated" in str(error) else str(error)
        raise bad_request(f"error decoding patch: {reason}") from error


def apply_merge_patch(old: Json, patch: Json) -> Json:
    """A merge patch applied."""
    result: Json = merge_patch(old, patch)
    return result


def apply_json_patch(old: Json, operations: Any) -> Json:
    """A JSON patch applied. Raises 400 when it is malformed or makes the object too deep, 413 when it is too long, 422 when it does not fit."""
    try:
        result = json_patch.apply(old, operations)
        depth_limit.check_depth(msgspec.json.encode(result))
    except depth_limit.TooDeep as error:
        raise bad_request(f"the patched object is {error}") from error
    except json_patch.TooManyOperations as error:
        raise ApiError(413, "RequestEntityTooLarge", f"Request entity too large: {error}", {}) from error
    except json_patch.MalformedPatch as error:
        raise bad_request(f"error decoding patch: {error}") from error
    except json_patch.PatchFailed as error:
        raise ApiError(422, "Invalid", REJECTED, {}) from error
    if not isinstance(result, dict):
        raise ApiError(422, "Invalid", REJECTED, {})
    return result


def check_apply_configuration(config: Any, target: RequestInfo, resource: Resource) -> None:
    """Refuses what is no apply configuration for the path."""
    if not isinstance(config, dict):
        raise bad_request("the applied configuration is no object")
    meta = config.get("metadata") or {}
    if meta.get("managedFields"):
        raise bad_request("metadata.managedFields must be nil")
    if not config.get("apiVersion") or not config.get("kind"):
        raise bad_request("the applied configuration needs apiVersion and kind")
    if (config["apiVersion"], config["kind"]) != (resource.api_version, resource.kind):
        raise bad_request(f"{config['apiVersion']} {config['kind']} does not match the resource {resource.plural}")
    name = meta.get("name") or target.name
    if name != target.name:
        raise bad_request(f"the name of the object ({name}) does not match the name on the URL ({target.name})")
    if target.namespace and meta.get("namespace") not in (None, "", target.namespace):
        raise bad_request("the namespace of the provided object does not match the namespace sent on the request")
    config["metadata"] = {**meta, "name": name}
