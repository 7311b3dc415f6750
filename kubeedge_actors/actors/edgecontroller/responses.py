"""Responses to a node's requests, for success and for each sort of error: {"Object", "Err"} (KubeEdge:
common/types.ObjectResp) or {"ErrStatus"}. Pure.

Upstream edgecore stores a bare ErrStatus as if it were the object. So a question for an object is answered only with
the object or with the truth that it does not exist; otherwise the edge's own time-out is the better answer.
"""

from __future__ import annotations

from typing import Any

from kubeedge_actors.drivers.cluster.base import object_reference
from kubeedge_actors.errors import ClusterError, NotFound, Unreachable
from kubeedge_actors.kubernetes.object_types import ResourceKind
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.mapping import route_of
from kubeedge_actors.wire.messages import (
    DeletePod,
    InsertPod,
    LinkMessage,
    ObjectVersionDelivered,
    PatchNode,
    PatchPod,
    QueryLease,
    QueryObject,
    RegisterNode,
    ReportEvent,
    ReportNodeStatus,
    ReportPodStatus,
    RequestCertificate,
    RequestToken,
    Response,
    UpdateNode,
    WriteLease,
)

# --- errors as KubeEdge writes them -----------------------------------------------------------------------------------
#
# Never an empty error and never a missing one: an upstream edge takes both for success and reads an object that is not
# there (source: KubeEdge cloud/pkg/edgecontroller/controller/upstream.go, common/types).


Json = dict[str, Any]
UNAVAILABLE, FORBIDDEN, BAD_REQUEST = 503, 403, 400
_NODE_STATUS: Json = {
    "daemonEndpoints": {"kubeletEndpoint": {"Port": 0}},
    "nodeInfo": dict.fromkeys(
        (
            "machineID",
            "systemUUID",
            "bootID",
            "kernelVersion",
            "osImage",
            "containerRuntimeVersion",
            "kubeletVersion",
            "kubeProxyVersion",
            "operatingSystem",
            "architecture",
        ),
        "",
    ),
}
EMPTY_NODE: Json = {"metadata": {"creationTimestamp": None}, "spec": {}, "status": _NODE_STATUS}
EMPTY_POD: Json = {"metadata": {"creationTimestamp": None}, "spec": {"containers": None}, "status": {}}


def err_status(error: ClusterError) -> Json:
    """{"ErrStatus": ...} with a reason and a code, whatever the API left out."""
    status = error.status
    if isinstance(error, Unreachable):
        status = {"message": str(error), "reason": "ServiceUnavailable", "code": UNAVAILABLE}
    answer: Json = {
        "metadata": {},
        "status": "Failure",
        "message": str(status.get("message") or "the API server gave no message"),
        "reason": str(status.get("reason") or "InternalError"),
    }
    if status.get("details"):
        answer["details"] = status["details"]
    answer["code"] = int(status.get("code") or 500)
    return {constants.ERR_STATUS: answer}


def not_found_as_cached(error: ClusterError, type: str, kind: ResourceKind, name: str) -> ClusterError:
    """A NotFound in the words of the caches from which a genuine cloud answers: the type in the singular."""
    if not isinstance(error, NotFound):
        return error
    qualified = f"{type}.{kind.group}" if kind.group else type
    details = {"name": name, "group": kind.group, "kind": type} if kind.group else {"name": name, "kind": type}
    message = f'{qualified} "{name}" not found'
    return NotFound({"message": message, "reason": "NotFound", "details": details, "code": 404})


def rejection_error(sentence: str, code: int = FORBIDDEN, reason: str = "Forbidden") -> ClusterError:
    """A ClusterError (403 by default) for a request that is not allowed or malformed."""
    return ClusterError({"message": sentence, "reason": reason, "code": code})


def object_resp_content(object: Json | None) -> Json:
    """{"Object": ..., "Err": null}; the object without kind and apiVersion, as the original's."""
    return {constants.OBJECT: without_type_meta(object) if object is not None else None, constants.ERR: None}


def error_object_resp_content(error: ClusterError, object: Json | None) -> Json:
    """{"Object": almost empty, "Err": {...}}."""
    return {constants.OBJECT: object, constants.ERR: err_status(error)}


def without_type_meta(object: Json) -> Json:
    """The object without kind and apiVersion."""
    return {key: value for key, value in object.items() if key not in ("kind", "apiVersion")}


RETRY_SECONDS: dict[type[LinkMessage], float] = {
    QueryObject: 50.0,
    RequestToken: 50.0,
    DeletePod: 50.0,
    UpdateNode: 300.0,
    ReportNodeStatus: 50.0,
    ReportPodStatus: 50.0,
    ReportEvent: 300.0,
}
"""Seconds for which a request is tried again while the API is away; the others are answered with an error at once,
their askers try again.
"""
EMPTY_OBJECT: dict[type[LinkMessage], Json | None] = {
    PatchNode: EMPTY_NODE,
    InsertPod: EMPTY_POD,
    PatchPod: EMPTY_POD,
    QueryLease: None,
    WriteLease: None,
    RequestCertificate: {"metadata": {"creationTimestamp": None}, "spec": {}, "status": {}},
}
"""What stands beside the error where the answer is {"Object", "Err"}."""
NO_RESPONSE: tuple[type[LinkMessage], ...] = (UpdateNode, ReportEvent)
OBJECT_QUERIES: tuple[type[LinkMessage], ...] = (QueryObject, RequestToken)


def response(request: LinkMessage, content: Any, version: str = "", resource: str = "") -> Response:
    """The response to a request, on the path of the request unless `resource` is given."""
    return Response(
        node=request.node,
        parent_msg_id=request.msg_id,
        resource=resource or route_of(request).resource,
        content=content,
        resource_version=version,
    )


def object_response(request: LinkMessage, object: Json, *, versioned: bool) -> Response:
    """{"Object": what was written, "Err": null}; `versioned`: with its version in the header."""
    return response(request, object_resp_content(object), object_reference(object).version if versioned else "")


def query_response(request: LinkMessage, object: Json) -> Response:
    """The object itself, with its version."""
    return response(request, object, object_reference(object).version)


def version_delivered(request: LinkMessage, type: str, object: Json) -> ObjectVersionDelivered:
    """The message that the node gets this version with the response."""
    reference = object_reference(object)
    return ObjectVersionDelivered(
        node=request.node,
        type=type,
        namespace=reference.namespace or constants.CLUSTER_SCOPE,
        name=reference.name,
        uid=reference.uid,
        resource_version=reference.version,
    )


def error_responses(request: LinkMessage, error: ClusterError) -> list[Response]:
    """The error responses to a request that failed or was rejected; none where KubeEdge sends none, or where one would do harm."""
    if isinstance(request, NO_RESPONSE):
        return []
    if isinstance(request, OBJECT_QUERIES) and not isinstance(error, NotFound):
        return []
    if isinstance(request, RegisterNode):
        metadata = {**EMPTY_NODE["metadata"], "labels": _labels(request.object)}
        return [response(request, error_object_resp_content(error, {**EMPTY_NODE, "metadata": metadata}))]
    if isinstance(request, ReportNodeStatus):
        text = str(error)
        return (
            [response(request, text, resource=node_path(request.name))] if request.operation == constants.INSERT else []
        )
    if type(request) in EMPTY_OBJECT:
        return [response(request, error_object_resp_content(error, EMPTY_OBJECT[type(request)]))]
    return [response(request, err_status(error))]


def node_path(name: str) -> str:
    """The path on which old edges are answered about their node."""
    return f"{constants.DEFAULT_NAMESPACE}/{constants.NODE}/{name}"


def _labels(object: Json) -> Json:
    metadata = object.get("metadata")
    return (metadata.get("labels") or {}) if isinstance(metadata, dict) else {}
