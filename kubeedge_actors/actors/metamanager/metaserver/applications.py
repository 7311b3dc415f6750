"""Requests of programs as Applications for the cloud. Pure.

Source: KubeEdge edge/pkg/metamanager/metaserver/kubernetes/storage/storage.go, handlerfactory/standard_write.go.
"""

from __future__ import annotations

from collections.abc import Mapping

import msgspec

from kubeedge_actors import depth_limit
from kubeedge_actors.actors.metamanager.metaserver.request_info import RequestInfo
from kubeedge_actors.wire import application as wire
from kubeedge_actors.wire.application import ApiKey, Application, PatchInfo, with_id
from kubeedge_actors.wire.messages import Json
from kubeedge_actors.yaml_documents import NotYaml, yaml_document

JSON, YAML, ANY = "application/json", "application/yaml", "*/*"
PATCH_TYPES = frozenset(
    {
        "application/json-patch+json",
        "application/merge-patch+json",
        "application/strategic-merge-patch+json",
        "application/apply-patch+yaml",
    }
)
NUMBERS, FLAGS = ("limit", "timeoutSeconds", "gracePeriodSeconds"), ("force", "orphanDependents")
LIST_OPTIONS = (
    "labelSelector",
    "fieldSelector",
    "resourceVersion",
    "resourceVersionMatch",
    "limit",
    "continue",
    "timeoutSeconds",
)
WRITE_OPTIONS = ("fieldManager", "fieldValidation", "force")
DELETE_OPTIONS = ("gracePeriodSeconds", "propagationPolicy", "orphanDependents")
STATUS = "status"


class BadRequest(ValueError):
    """What is asked can not be asked; `code` of HTTP."""

    def __init__(self, sentence: str, code: int = 400) -> None:
        super().__init__(sentence)
        self.code = code


class Asker(msgspec.Struct, frozen=True):
    """Of which node a program is, and with what `token` it comes; empty: with none. `trusted`: the node itself trusts it with everything."""

    node: str
    token: str = ""
    trusted: bool = False


def read_application(asker: Asker, verb: str, info: RequestInfo, query: Mapping[str, str]) -> Application:
    """A get, list or watch."""
    names = ("resourceVersion",) if verb == wire.GET else LIST_OPTIONS
    option = _options(query, names) | ({"watch": True} if verb == wire.WATCH else {})
    return _application(asker, verb, _key(info), option, subresource=info.subresource)


def discovery_application(asker: Asker, path: str) -> Application:
    """What there is at a path of discovery."""
    return _application(asker, wire.GET, path, {})


def write_application(
    asker: Asker, method: str, info: RequestInfo, query: Mapping[str, str], content_type: str, body: bytes
) -> Application:
    """A create, update, patch or delete. Errors: BadRequest."""
    media = content_type.partition(";")[0].strip().lower()
    dry = {"dryRun": [query["dryRun"]]} if query.get("dryRun") else {}
    option = dry | _options(query, WRITE_OPTIONS)
    if method == "PATCH":
        return _patch(asker, info, media, body, option)
    if method == "DELETE":
        option = dry | _options(query, DELETE_OPTIONS) | (json_object(media or JSON, body) if body else {})
        return _application(asker, wire.DELETE, _key(info), option)
    object = json_object(media or JSON, body)
    _check_identity(info, object)
    verb = wire.CREATE if method == "POST" else wire.UPDATE_STATUS if info.subresource == STATUS else wire.UPDATE
    text = msgspec.json.encode(object)
    return _application(asker, verb, _key(info), option, text, subresource=info.subresource)


def _patch(asker: Asker, info: RequestInfo, media: str, body: bytes, option: Json) -> Application:
    if media not in PATCH_TYPES:
        raise BadRequest(f"the body of a patch is one of {', '.join(sorted(PATCH_TYPES))}", 415)
    if not body:
        raise BadRequest("the patch is empty")
    patch = PatchInfo(name=info.name, patch_type=media, data=body, options=option, subresources=[info.subresource])
    return _application(asker, wire.PATCH, _key(info), msgspec.to_builtins(patch), subresource=info.subresource)


def _application(
    asker: Asker, verb: str, key: ApiKey | str, option: Json, body: bytes | None = None, subresource: str = ""
) -> Application:
    return with_id(
        Application(
            key=str(key),
            verb=verb,
            nodename=asker.node,
            option=msgspec.json.encode(option),
            req_body=body,
            subresource=subresource,
            status=wire.IN_APPLYING,
            token=asker.token,
        )
    )


def _key(info: RequestInfo) -> ApiKey:
    return ApiKey(info.group, info.version, info.plural, info.namespace, info.name)


def _options(query: Mapping[str, str], names: tuple[str, ...]) -> Json:
    found: Json = {name: query[name] for name in names if query.get(name)}
    for name in NUMBERS:
        if name in found:
            if not (found[name].isascii() and found[name].isdecimal() and len(found[name]) < 10):
                raise BadRequest(f"{name} is a number, not {found[name][:50]!r}")
            found[name] = int(found[name])
    return found | {name: found[name] in ("true", "1") for name in FLAGS if name in found}


def _check_identity(info: RequestInfo, object: Json) -> None:
    """An object is of the name and namespace of its path, as Kubernetes demands; what it does not say is not demanded here."""
    metadata = object.get("metadata")
    if not isinstance(metadata, dict):
        return  # a subresource as `scale` may have none; of the rest the API says so
    name, namespace = metadata.get("name"), metadata.get("namespace")
    if info.name and name and name != info.name:
        raise BadRequest(f"the name of the object ({str(name)[:100]}) does not match the name on the URL ({info.name})")
    if info.namespace and namespace and namespace != info.namespace:
        raise BadRequest("the namespace of the provided object does not match the namespace sent on the request")


def json_object(media: str, body: bytes) -> Json:
    """The object in a body of JSON or YAML. Errors: BadRequest."""
    try:
        if media == JSON:
            value = msgspec.json.decode(depth_limit.check_depth(body))
        elif media == YAML:
            value = yaml_document(body.decode())
        else:
            raise BadRequest(f"the body is {JSON} or {YAML}, not {media[:100]}", 415)
    except (msgspec.MsgspecError, NotYaml, UnicodeDecodeError, RecursionError) as error:
        raise BadRequest(f"the body can not be read: {error}") from error
    if not isinstance(value, dict):
        raise BadRequest("the body is no object")
    return value
