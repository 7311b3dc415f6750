"""Bindings, conditions and Events as kube-scheduler writes them (source: Kubernetes pkg/scheduler)."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.actors.scheduler.pod_info import SCHEDULED, SCHEDULER_NAME, PodInfo
from kubeedge_actors.kubernetes.events import event
from kubeedge_actors.kubernetes.time import format_time

Json = dict[str, Any]

UNSCHEDULABLE, SCHEDULER_ERROR = "Unschedulable", "SchedulerError"


def binding(pod: PodInfo, node: str) -> Json:
    """The v1.Binding of this very pod (by uid) to a node."""
    metadata = {"name": pod.name, "namespace": pod.namespace, "uid": pod.uid}
    target = {"apiVersion": "v1", "kind": "Node", "name": node}
    return {"apiVersion": "v1", "kind": "Binding", "metadata": metadata, "target": target}


def unschedulable_patch(pod: PodInfo, sentence: str, reason: str, now: float, *, again: bool) -> Json:
    """The patch of the pod's status that says why it has no node. `again`: it said so before, with another sentence."""
    condition: Json = {
        "type": SCHEDULED,
        "status": "False",
        "reason": reason,
        "message": sentence,
        "lastProbeTime": None,
    }
    if not again:
        condition["lastTransitionTime"] = format_time(now)
    return {"metadata": {"uid": pod.uid}, "status": {"conditions": [condition]}}


def scheduled_event(pod: PodInfo, node: str, now: float) -> Json:
    """The v1.Event `Scheduled` of a pod that was bound."""
    return _event(pod, "Normal", "Scheduled", f"Successfully assigned {pod.namespace}/{pod.name} to {node}", now)


def failed_scheduling_event(pod: PodInfo, sentence: str, now: float) -> Json:
    """The v1.Event `FailedScheduling` of a pod that fits no node."""
    return _event(pod, "Warning", "FailedScheduling", sentence, now)


def _event(pod: PodInfo, type: str, reason: str, message: str, now: float) -> Json:
    about = {"kind": "Pod", "apiVersion": "v1", "namespace": pod.namespace, "name": pod.name, "uid": pod.uid}
    return event(about, type, reason, message, now, SCHEDULER_NAME)
