"""Whole-status reports, as edges before 1.13 send them instead of patches.

Source: KubeEdge cloud/pkg/edgecontroller/controller/upstream.go.

Each function blocks until the API has answered and gives the messages to say, or raises what the API refused.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable
from typing import Any

import msgspec

from kubeedge_actors.actors.edgecontroller.downstream import pod_deletion_push
from kubeedge_actors.actors.edgecontroller.responses import err_status, node_path, rejection_error, response
from kubeedge_actors.drivers.cluster.base import Cluster, object_reference
from kubeedge_actors.errors import AlreadyExists, Conflict, NotFound
from kubeedge_actors.kubernetes.object_types import NODE_KIND, POD_KIND
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import Message, ReportNodeStatus, ReportPodStatus

Json = dict[str, Any]

MAX_TRIES = 3
GPU, GPU_ANNOTATION = "nvidia.com/gpu", "huawei.com/gpu-status"


def write_node_status(
    cluster: Cluster, request: ReportNodeStatus, status_of: Callable[[Json, str], Json]
) -> list[Message]:
    """Register the node, or take over its status, `status_of` it and its name."""
    if request.operation == constants.INSERT:
        metadata = {**(request.content.get("metadata") or {}), "name": request.name}
        metadata.pop("creationTimestamp", None)
        with contextlib.suppress(AlreadyExists):  # an old edge registers at each start
            cluster.create(NODE_KIND, "", {**request.content, "metadata": metadata})
        return [response(request, constants.OK, resource=node_path(request.name))]
    node = cluster.get(NODE_KIND, "", request.name)
    annotations = _annotations(request.content.get("ExtendResources") or {})
    if annotations:
        node = cluster.patch(NODE_KIND, "", request.name, {"metadata": {"annotations": annotations}})
    reported = status_of(request.content.get("Status") or {}, request.name)
    status = _merged_status(node.get("status") or {}, reported)
    node = cluster.replace(NODE_KIND, "", request.name, {**node, "status": status}, subresource="status")
    return [response(request, constants.OK, object_reference(node).version, node_path(request.name))]


def _merged_status(stored: Json, reported: Json) -> Json:
    """The reported status, with what the edge can not know."""
    status = dict(reported)
    for field in ("volumesAttached", "daemonEndpoints"):
        if field in stored:
            status[field] = stored[field]
    return status


def _annotations(resources: Json) -> Json:
    texts = {name: msgspec.json.encode(value).decode() for name, value in resources.items()}
    if resources.get(GPU):
        cards = [{"id": card.get("name", ""), "healthy": True} for card in resources[GPU] if isinstance(card, dict)]
        texts[GPU_ANNOTATION] = msgspec.json.encode(cards).decode()
    return texts


def write_pod_status(cluster: Cluster, request: ReportPodStatus) -> list[Message]:
    """Take over the status of one pod or of several; one answer for each."""
    entries = [{"Name": request.name, **request.content}] if request.name else request.content
    messages: list[Message] = []
    for entry in entries:
        if isinstance(entry, dict) and entry.get("Name"):
            messages += _one_pod(
                cluster, request, str(entry["Name"]), str(entry.get("UID", "")), entry.get("Status") or {}
            )
    return messages


def _one_pod(cluster: Cluster, request: ReportPodStatus, name: str, uid: str, status: Json) -> list[Message]:
    for _ in range(MAX_TRIES):
        try:
            pod = cluster.get(POD_KIND, request.namespace, name)
            if uid and object_reference(pod).uid != uid:
                return _pod_not_found(request, name)
            if (pod.get("spec") or {}).get("nodeName") != request.node:
                error = rejection_error(f"node {request.node} may not touch pod {request.namespace}/{name}")
                return [response(request, err_status(error))]
            pod = cluster.replace(POD_KIND, request.namespace, name, {**pod, "status": status}, subresource="status")
            if _is_terminated(pod):
                cluster.delete(POD_KIND, request.namespace, name, grace=0, uid=object_reference(pod).uid)
            return [response(request, constants.OK)]
        except Conflict as error:
            conflict = error  # somebody else wrote in between: look again
        except NotFound:
            return _pod_not_found(request, name)
    return [response(request, err_status(conflict))]


def _pod_not_found(request: ReportPodStatus, name: str) -> list[Message]:
    return [pod_deletion_push(request.node, request.namespace, name), response(request, constants.OK)]


def _is_terminated(pod: Json) -> bool:
    """Whether a pod that is being deleted has no container left that runs."""
    status = pod.get("status") or {}
    if not pod["metadata"].get("deletionTimestamp") or status.get("phase") not in ("Succeeded", "Failed"):
        return False
    return not any(
        "running" in (container_status.get("state") or {}) for container_status in status.get("containerStatuses") or ()
    )
