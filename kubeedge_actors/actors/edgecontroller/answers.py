"""The messages that answer a request, for success and for each sort of failure. Pure.

An error as the whole content ("form 2") is poison for a genuine edge: it stores it as if it were the object. So a
question for an object is answered only with the object or with the truth that it does not exist; otherwise the edge's
own time-out is the better answer.
"""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.edgecontroller import refusals
from kubeedge_actors.drivers.cluster.base import identity
from kubeedge_actors.errors import ClusterError, NotFound
from kubeedge_actors.wire import names
from kubeedge_actors.wire.mapping import route_of
from kubeedge_actors.wire.messages import (
    Answered,
    DeletePod,
    InsertPod,
    ObjectSeen,
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
    Said,
    UpdateNode,
    WriteLease,
)

Json = dict[str, Any]

RETRIED: dict[type[Said], float] = {
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

BESIDE: dict[type[Said], Json | None] = {
    PatchNode: refusals.EMPTY_NODE,
    InsertPod: refusals.EMPTY_POD,
    PatchPod: refusals.EMPTY_POD,
    QueryLease: None,
    WriteLease: None,
    RequestCertificate: {"metadata": {"creationTimestamp": None}, "spec": {}, "status": {}},
}
"""What stands beside the error where the answer is {"Object", "Err"}."""

UNANSWERED: tuple[type[Said], ...] = (UpdateNode, ReportEvent)
ASKS_FOR_AN_OBJECT: tuple[type[Said], ...] = (QueryObject, RequestToken)


def answered(request: Said, content: Any, version: str = "", resource: str = "") -> Answered:
    """The response to a request, on the path of the request unless `resource` is given."""
    return Answered(
        node=request.node,
        parent_msg_id=request.msg_id,
        resource=resource or route_of(request).resource,
        content=content,
        resource_version=version,
    )


def written(request: Said, object: Json, *, versioned: bool) -> Answered:
    """{"Object": what was written, "Err": null}; `versioned`: with its version in the header."""
    return answered(request, refusals.success(object), identity(object).version if versioned else "")


def read(request: Said, object: Json) -> Answered:
    """The object itself, with its version."""
    return answered(request, object, identity(object).version)


def seen(request: Said, type: str, object: Json) -> ObjectSeen:
    """That the node gets this version with the answer."""
    who = identity(object)
    return ObjectSeen(
        node=request.node,
        type=type,
        namespace=who.namespace or names.CLUSTER_SCOPE,
        name=who.name,
        uid=who.uid,
        resource_version=who.version,
    )


def failed(request: Said, error: ClusterError) -> list[Answered]:
    """The answer to a request that the API or we refused; none where the original gives none, or where it would do
    harm.
    """
    if isinstance(request, UNANSWERED):
        return []
    if isinstance(request, ASKS_FOR_AN_OBJECT) and not isinstance(error, NotFound):
        return []
    if isinstance(request, RegisterNode):
        metadata = {**refusals.EMPTY_NODE["metadata"], "labels": _labels(request.object)}
        return [answered(request, refusals.failure(error, {**refusals.EMPTY_NODE, "metadata": metadata}))]
    if isinstance(request, ReportNodeStatus):
        text = str(error)
        return [answered(request, text, resource=node_path(request.name))] if request.operation == names.INSERT else []
    if type(request) in BESIDE:
        return [answered(request, refusals.failure(error, BESIDE[type(request)]))]
    return [answered(request, refusals.err_status(error))]


def node_path(name: str) -> str:
    """The path on which old edges are answered about their node."""
    return f"{names.DEFAULT_NAMESPACE}/{names.NODE}/{name}"


def _labels(object: Json) -> Json:
    metadata = object.get("metadata")
    return (metadata.get("labels") or {}) if isinstance(metadata, dict) else {}
