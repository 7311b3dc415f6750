"""Sync of a DaemonSet: its nodes and pods in; pods to create and delete, and the status out. Pure.

Source: Kubernetes pkg/controller/daemon/daemon_controller.go.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import NamedTuple

from kubeedge_actors.actors.workloads import controller_utils
from kubeedge_actors.drivers.cluster.base import Json
from kubeedge_actors.kubernetes.taints import REPELLING, Taint, Toleration, is_tolerated

HASH_LABEL = "controller-revision-hash"
ALWAYS_TOLERATED = frozenset(
    f"node.kubernetes.io/{name}"
    for name in ("not-ready", "unreachable", "disk-pressure", "memory-pressure", "pid-pressure", "unschedulable")
)


class DaemonPlan(NamedTuple):
    """`create`: the nodes that get a pod; `delete`: pods that go; `labels`: what the new pods carry; `status`: as it should be."""

    create: list[str]
    delete: list[Json]
    labels: Json
    status: Json


def plan_daemon_set(daemon_set: Json, nodes: Sequence[Json], pods: Iterable[Json], now: float) -> DaemonPlan:
    """The plan of an apps/v1 DaemonSet; `nodes` are the edge v1.Nodes, `pods` the v1.Pods that it owns."""
    suffix = controller_utils.template_hash(daemon_set["spec"]["template"])
    desired = {str(node["metadata"]["name"]) for node in nodes if should_run_on(daemon_set, node)}
    by_node: dict[str, list[Json]] = {}
    for pod in pods:
        by_node.setdefault(str(pod["spec"].get("nodeName") or ""), []).append(pod)
    retained, delete = _keep(desired, by_node)
    create = (
        []
        if controller_utils.is_terminating(daemon_set)
        else sorted(desired - {node for node in by_node if _has_pod(by_node[node])})
    )
    old = {node: pod for node, pod in retained.items() if _suffix(pod) != suffix}
    if not controller_utils.is_terminating(daemon_set):
        delete += _outdated(daemon_set, desired, retained, old, now)
    status = _status(daemon_set, desired, retained, by_node, old, now)
    return DaemonPlan(create, delete, {HASH_LABEL: suffix}, status)


def should_run_on(daemon_set: Json, node: Json) -> bool:
    """Whether a v1.Node should run a pod of the apps/v1 DaemonSet."""
    spec, labels = daemon_set["spec"]["template"]["spec"], node["metadata"].get("labels") or {}
    if not (spec.get("nodeSelector") or {}).items() <= labels.items():
        return False
    if spec.get("nodeName") and spec["nodeName"] != node["metadata"]["name"]:
        return False
    taints = (node.get("spec") or {}).get("taints") or ()
    tolerations = [Toleration.of(toleration) for toleration in spec.get("tolerations") or ()]
    return all(_bears(Taint.of(taint), tolerations) for taint in taints)


def _bears(taint: Taint, tolerations: Sequence[Toleration]) -> bool:
    return taint.effect not in REPELLING or taint.key in ALWAYS_TOLERATED or is_tolerated(taint, tolerations)


def _keep(desired: set[str], by_node: dict[str, list[Json]]) -> tuple[dict[str, Json], list[Json]]:
    """The one pod that stays on each node, and those that go: doubles, finished ones, pods where none should be."""
    retained: dict[str, Json] = {}
    delete: list[Json] = []
    for node, pods in by_node.items():
        alive = sorted((pod for pod in pods if controller_utils.is_active(pod)), key=_age)
        if node in desired and alive:
            retained[node] = alive.pop(0)
        finished = [
            pod for pod in pods if not controller_utils.is_active(pod) and not controller_utils.is_terminating(pod)
        ]
        delete += [*alive, *finished]
    return retained, delete


def _age(pod: Json) -> tuple[bool, str]:
    return controller_utils.ready_since(pod) is None, str(pod["metadata"].get("creationTimestamp"))


def _has_pod(pods: list[Json]) -> bool:
    """Whether a node has a pod, be it one on its way out: two would fight for the same ports."""
    return any(controller_utils.is_active(pod) or controller_utils.is_terminating(pod) for pod in pods)


def _suffix(pod: Json) -> str:
    return str((pod["metadata"].get("labels") or {}).get(HASH_LABEL) or "")


def _outdated(
    daemon_set: Json, desired: set[str], retained: dict[str, Json], old: dict[str, Json], now: float
) -> list[Json]:
    strategy = daemon_set["spec"].get("updateStrategy") or {}
    if strategy.get("type", "RollingUpdate") != "RollingUpdate" or not old:
        return []
    most = max(
        1,
        controller_utils.scaled_value(
            (strategy.get("rollingUpdate") or {}).get("maxUnavailable", 1), len(desired), up=True
        ),
    )
    seconds = int(daemon_set["spec"].get("minReadySeconds") or 0)
    lame = {
        node
        for node in desired
        if node not in retained or not controller_utils.is_available(retained[node], seconds, now)
    }
    broken = [pod for node, pod in sorted(old.items()) if node in lame]
    working = [pod for node, pod in sorted(old.items()) if node not in lame]
    return [*broken, *working[: max(0, most - len(lame))]]


def _status(
    daemon_set: Json,
    desired: set[str],
    retained: dict[str, Json],
    by_node: dict[str, list[Json]],
    old: dict[str, Json],
    now: float,
) -> Json:
    seconds = int(daemon_set["spec"].get("minReadySeconds") or 0)
    available = sum(controller_utils.is_available(pod, seconds, now) for pod in retained.values())
    return {
        "desiredNumberScheduled": len(desired),
        "currentNumberScheduled": len(retained),
        "numberMisscheduled": sum(
            node not in desired and any(map(controller_utils.is_active, pods)) for node, pods in by_node.items()
        ),
        "numberReady": sum(controller_utils.ready_since(pod) is not None for pod in retained.values()),
        "updatedNumberScheduled": len(retained) - len(old),
        "numberAvailable": available,
        "numberUnavailable": len(desired) - available,
        "observedGeneration": daemon_set["metadata"].get("generation", 0),
    }
