"""What an Application is as a request to the Kubernetes API, and its answer as an Application. Pure.

Source: KubeEdge cloud/pkg/dynamiccontroller/application/application.go (ProcessApplication, Response).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, NamedTuple
from urllib.parse import quote, urlencode

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.errors import FrameError
from kubeedge_actors.wire import application as wire
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.application import ApiKey, Application, PatchInfo, is_discovery, parse_key

JSON = "application/json"
MAX_ANSWER = 16 << 20
"""Bytes of an answer that a node is sent: as base64 it fits into one message."""
QUERY_OPTIONS = (
    *("labelSelector", "fieldSelector", "resourceVersion", "resourceVersionMatch", "limit", "continue"),
    *("timeoutSeconds", "dryRun", "fieldManager", "fieldValidation", "force"),
)
"""What of an option goes into the query; of `watch` and the rest nothing does."""
METHODS = {
    wire.GET: "GET",
    wire.LIST: "GET",
    wire.WATCH: "GET",
    wire.CREATE: "POST",
    wire.UPDATE: "PUT",
    wire.UPDATE_STATUS: "PUT",
    wire.PATCH: "PATCH",
    wire.DELETE: "DELETE",
}
Json = dict[str, Any]


class ApiRequest(NamedTuple):
    """One request; `target` with its query."""

    method: str
    target: str
    body: bytes | None = None
    content_type: str = ""


def api_request(application: Application) -> ApiRequest:
    """The request of an Application; that of a watch asks for one object, to learn whether it is allowed. Errors: FrameError."""
    method = METHODS.get(application.verb)
    if method is None:
        raise FrameError(f"unsupported Application Verb type: {application.verb[:50]}")
    if application.verb == wire.GET and is_discovery(application.key):
        return ApiRequest(method, quote(application.key))
    key = parse_key(application.key)
    if application.verb == wire.PATCH:
        return _patch(application, key)
    option, body = _json_object(application.option), application.req_body
    parts, query = [key.name], _query(option)
    if application.verb in (wire.LIST, wire.WATCH):
        parts = []
    if application.verb == wire.WATCH:
        query = {"limit": "1"} | {name: query[name] for name in ("labelSelector", "fieldSelector") if name in query}
    elif application.verb == wire.CREATE:
        parts = [key.name or _name_in(body), application.subresource] if application.subresource else []
    elif application.verb == wire.UPDATE_STATUS:
        parts = [key.name, "status"]
    elif application.verb == wire.DELETE:
        body = msgspec.json.encode({"kind": "DeleteOptions", "apiVersion": "v1", **option})
    else:
        parts = [key.name, application.subresource]
    has_body = method != "GET"
    return ApiRequest(method, _target(key, parts, query), body if has_body else None, JSON if has_body else "")


def _patch(application: Application, key: ApiKey) -> ApiRequest:
    try:
        patch = msgspec.json.decode(depth_limit.check_depth(application.option or b""), type=PatchInfo)
    except (msgspec.MsgspecError, ValueError) as error:
        raise FrameError(f"the patch can not be read: {error}") from error
    parts = [key.name or patch.name, *(patch.subresources or [])]
    return ApiRequest("PATCH", _target(key, parts, _query(patch.options)), patch.data, patch.patch_type)


def _target(key: ApiKey, parts: list[str], query: Mapping[str, Any]) -> str:
    root = ["apis", key.group, key.version] if key.group else ["api", key.version]
    scope = ["namespaces", key.namespace] if key.namespace else []
    segments = [*root, *scope, key.plural, *(part for part in parts if part)]
    for segment in segments:
        if segment in (".", "..") or not segment.isprintable():
            raise FrameError(f"impossible name {segment!r}")
    path = "/" + "/".join(quote(segment, safe="") for segment in segments)
    return f"{path}?{urlencode(query, doseq=True)}" if query else path


def _query(option: Json) -> dict[str, Any]:
    found = {name: option[name] for name in QUERY_OPTIONS if option.get(name) not in (None, "", [], False)}
    return {name: "true" if value is True else value for name, value in found.items()}


def _name_in(body: bytes | None) -> str:
    metadata = _json_object(body).get("metadata")
    return str(metadata.get("name") or "") if isinstance(metadata, dict) else ""


def _json_object(text: bytes | None) -> Json:
    if not text:
        return {}
    try:
        value = msgspec.json.decode(depth_limit.check_depth(text))
    except (msgspec.MsgspecError, ValueError) as error:
        raise FrameError(f"this is no JSON: {error}") from error
    if not isinstance(value, dict | None):
        raise FrameError("this is no JSON object")
    return value or {}


# --- answers ----------------------------------------------------------------------------------------------------------


def answered(application: Application, status: int, body: bytes, shown: Callable[[Json], Json]) -> Application:
    """The Application with what the API has answered. `shown`: what its node is shown of an object or a list."""
    if status >= HTTPStatus.MULTIPLE_CHOICES:
        return refused(application, error_status(status, body))
    if application.verb == wire.WATCH:
        return _reply(application, wire.APPROVED)
    if application.verb in (wire.GET, wire.LIST) and not is_discovery(application.key):
        body = msgspec.json.encode(shown(with_kinds(msgspec.json.decode(body))))
    if len(body) > MAX_ANSWER:
        sentence = (
            f"the answer has {len(body)} bytes, {MAX_ANSWER} at most are sent to a node: ask for less of it (limit)"
        )
        return refused(application, status_of(HTTPStatus.REQUEST_ENTITY_TOO_LARGE, "RequestEntityTooLarge", sentence))
    return _reply(application, wire.APPROVED, resp_body=body)


def refused(application: Application, status: Json) -> Application:
    """The Application with the Status of its refusal."""
    return _reply(
        application, wire.REJECTED, error={constants.ERR_STATUS: status}, reason=str(status.get("message", ""))
    )


def _reply(application: Application, status: str, **given: Any) -> Application:
    """What was asked does not go back, above all no token."""
    cleared = {"option": None, "req_body": None, "token": ""}
    return msgspec.structs.replace(application, status=status, **cleared, **given)


def error_status(code: int, body: bytes) -> Json:
    """The Status in an answer; made from its text when there is none."""
    try:
        status = msgspec.json.decode(body)
    except msgspec.MsgspecError:
        status = None
    if isinstance(status, dict) and status.get("status"):
        return {**status, "code": code}
    return status_of(code, "", body[:200].decode("utf-8", "replace").strip() or f"HTTP status {code}")


def status_of(code: int, reason: str, sentence: str) -> Json:
    """A Status of a failure."""
    return {"metadata": {}, "status": "Failure", "message": sentence, "reason": reason, "code": int(code)}


def with_kinds(content: Any) -> Json:
    """A list with the kind of each of its items, which the API leaves out; everything else as it is."""
    if not isinstance(content, dict):
        return {}
    found: Json = content
    items = found.get("items")
    if isinstance(items, list):
        head = {"kind": item_kind(content), "apiVersion": content.get("apiVersion", "")}
        return {**found, "items": [{**head, **item} for item in items if isinstance(item, dict)]}
    return found


def item_kind(listed: Json) -> str:
    """The kind of the items of a list."""
    return str(listed.get("kind", "")).removesuffix("List")
