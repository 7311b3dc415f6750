"""Conditions and Events of lost nodes and their pods, as Kubernetes' node lifecycle controller writes them. Pure.

Source: Kubernetes pkg/controller/nodelifecycle/node_lifecycle_controller.go and pkg/controller/util/node/controller_utils.go.
"""

from __future__ import annotations

from typing import Any

from kubeedge_actors.kubernetes.events import event
from kubeedge_actors.kubernetes.objects import get_condition
from kubeedge_actors.kubernetes.time import format_time

Json = dict[str, Any]

READY = "Ready"
UNKNOWN_CONDITIONS = (READY, "MemoryPressure", "DiskPressure", "PIDPressure")
TRUE, FALSE, UNKNOWN = "True", "False", "Unknown"
COMPONENT = "node-controller"
NODE_READY, NODE_NOT_READY = "NodeReady", "NodeNotReady"


def renew_time(lease: Json) -> str:
    """The renewTime of a coordination.k8s.io Lease, by its holder's clock; empty for none."""
    return str((lease.get("spec") or {}).get("renewTime") or "")


def ready_status(node: Json) -> str:
    """The status of a v1.Node's Ready condition; empty for none."""
    return str(get_condition(node, READY).get("status") or "")


def last_heartbeat(node: Json) -> str:
    """The lastHeartbeatTime of a v1.Node, by its clock; empty when the condition was written by another."""
    ready = get_condition(node, READY)
    return "" if ready.get("status") == UNKNOWN else str(ready.get("lastHeartbeatTime") or "")


def unknown_node_patch(node: Json, now: float) -> Json | None:
    """The patch of a v1.Node's status that marks it Unknown; None when it is already."""
    changes = [change for type in UNKNOWN_CONDITIONS if (change := _unknown(node, type, now)) is not None]
    return _status_patch(node, changes) if changes else None


def not_ready_pod_patch(pod: Json, now: float) -> Json | None:
    """The patch of a v1.Pod's status that marks it not ready; None when it is already.

    The pod may well be running. The reason and message of the condition stay as they are, as in Kubernetes: its node, which
    would not know of another reason, takes back what it said itself.
    """
    if get_condition(pod, READY).get("status") in (None, FALSE):
        return None
    return _status_patch(pod, [{"type": READY, "status": FALSE, "lastTransitionTime": format_time(now)}])


def node_event(node: Json, reason: str, now: float) -> Json:
    """The v1.Event of a node that became ready or not ready."""
    name = node["metadata"]["name"]
    return _event(node, "Normal", reason, f"Node {name} status is now: {reason}", now)


def pod_event(pod: Json, now: float) -> Json:
    """The v1.Event of a v1.Pod on a lost node."""
    return _event(pod, "Warning", NODE_NOT_READY, "Node is not ready", now)


def _unknown(node: Json, type: str, now: float) -> Json | None:
    old = get_condition(node, type)
    if old.get("status") == UNKNOWN:
        return None
    change: Json = {"type": type, "status": UNKNOWN, "lastTransitionTime": format_time(now)}
    if old:
        return {**change, "reason": "NodeStatusUnknown", "message": "Kubelet stopped posting node status."}
    never = {"reason": "NodeStatusNeverUpdated", "message": "Kubelet never posted node status."}
    return {**change, **never, "lastHeartbeatTime": node["metadata"].get("creationTimestamp")}


def _status_patch(object: Json, conditions: list[Json]) -> Json:
    # with the version it was decided by: a word of the node that came meanwhile wins
    metadata = {key: object["metadata"][key] for key in ("uid", "resourceVersion") if key in object["metadata"]}
    return {"metadata": metadata, "status": {"conditions": conditions}}


def _event(object: Json, type: str, reason: str, message: str, now: float) -> Json:
    metadata = object["metadata"]
    identity = {key: metadata[key] for key in ("namespace", "name", "uid") if key in metadata}
    return event({"kind": object.get("kind"), "apiVersion": "v1", **identity}, type, reason, message, now, COMPONENT)
