"""What scheduling needs of a Pod and of a Node, read once from their objects (kube-scheduler: PodInfo). Pure.

Amounts are whole numbers, as in Kubernetes: thousandths of a CPU, bytes, pieces; a fraction counts as the next whole one.
Errors of every reader here: ValueError, TypeError, KeyError or AttributeError for an object of a strange shape.
"""

from __future__ import annotations

from typing import Any

import msgspec

from kubeedge_actors.kubernetes.objects import get_condition
from kubeedge_actors.kubernetes.pod_requirements import PodRequirements, occupied_room, pod_requirements
from kubeedge_actors.kubernetes.quantity import rounded_up_quantity
from kubeedge_actors.kubernetes.taints import Taint

Json = dict[str, Any]

SCHEDULER_NAME = "default-scheduler"
MEMORY = "memory"
SCHEDULED = "PodScheduled"
TERMINAL = frozenset({"Succeeded", "Failed"})


class PodInfo(msgspec.Struct, frozen=True):
    """A pod that waits for a node (`node` is empty) or takes up room on one; of the latter only amounts and ports are kept."""

    namespace: str
    name: str
    uid: str
    node: str
    requirements: PodRequirements
    priority: int = 0
    created: str = ""

    @property
    def key(self) -> tuple[str, str]:
        """Namespace and name."""
        return self.namespace, self.name

    def bound_to(self, node: str) -> PodInfo:
        """The same pod on a node."""
        return PodInfo(
            self.namespace,
            self.name,
            self.uid,
            node,
            PodRequirements(self.requirements.amounts, self.requirements.ports),
        )


class NodeSpec(msgspec.Struct, frozen=True):
    """A node and what it has to give."""

    name: str
    ready: bool
    unschedulable: bool
    labels: dict[str, str]
    taints: tuple[Taint, ...]
    allocatable: dict[str, int]


def parse_pod(pod: Json) -> PodInfo | None:
    """The PodInfo of a v1.Pod that waits for this scheduler or takes up room; None for one that does neither."""
    metadata, spec = pod["metadata"], pod.get("spec") or {}
    if (pod.get("status") or {}).get("phase") in TERMINAL:
        return None
    namespace, name, uid = str(metadata.get("namespace", "")), str(metadata["name"]), str(metadata.get("uid", ""))
    if node := spec.get("nodeName"):
        return PodInfo(namespace, name, uid, str(node), occupied_room(spec))
    foreign = spec.get("schedulerName", SCHEDULER_NAME) != SCHEDULER_NAME
    if foreign or metadata.get("deletionTimestamp") or spec.get("schedulingGates"):
        return None
    created = str(metadata.get("creationTimestamp") or "")
    return PodInfo(namespace, name, uid, "", pod_requirements(spec), int(spec.get("priority") or 0), created)


def parse_node(node: Json) -> NodeSpec:
    """The NodeSpec of a v1.Node."""
    metadata, spec, status = node["metadata"], node.get("spec") or {}, node.get("status") or {}
    ready = get_condition(node, "Ready").get("status") == "True"
    taints = tuple(Taint.of(taint) for taint in spec.get("taints") or ())
    allocatable = {name: rounded_up_quantity(name, text) for name, text in (status.get("allocatable") or {}).items()}
    labels = dict(metadata.get("labels") or {})
    return NodeSpec(str(metadata["name"]), ready, bool(spec.get("unschedulable")), labels, taints, allocatable)


def current_fit_error(pod: Json) -> str:
    """The message of a v1.Pod's PodScheduled condition; empty for none."""
    scheduled = get_condition(pod, SCHEDULED)
    return str(scheduled.get("message") or "") if scheduled.get("status") == "False" else ""
