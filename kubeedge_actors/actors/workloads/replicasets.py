"""Sync of a ReplicaSet: its pods in; pods to create and delete, and the status out. Pure.

Source: Kubernetes pkg/controller/replicaset/replica_set.go.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

from kubeedge_actors.actors.workloads import controller_utils
from kubeedge_actors.drivers.cluster.base import Json
from kubeedge_actors.kubernetes.time import parse_time

KEPT_FINISHED = 3
"""Finished pods that stay to be looked at; one that fails at once must not fill the API with its remains."""


class ReplicaPlan(NamedTuple):
    """`create`: how many pods; `delete`: which; `status`: as it should be; `again`: seconds until a pod counts as available."""

    create: int
    delete: list[Json]
    status: Json
    again: float | None


def plan_replica_set(replica_set: Json, pods: Iterable[Json], now: float) -> ReplicaPlan:
    """The plan of an apps/v1 ReplicaSet; `pods` are the v1.Pods that it owns."""
    own = list(pods)
    running = [pod for pod in own if controller_utils.is_active(pod)]
    delete = [] if controller_utils.is_terminating(replica_set) else _surplus(own)
    missing = 0 if controller_utils.is_terminating(replica_set) else _desired_replicas(replica_set) - len(running)
    if missing < 0:
        delete += sorted(running, key=_rank)[:-missing]
    return ReplicaPlan(
        max(0, missing), delete, _status(replica_set, running, now), _requeue_delay(replica_set, running, now)
    )


def _desired_replicas(replica_set: Json) -> int:
    replicas = replica_set["spec"].get("replicas")
    return 1 if replicas is None else int(replicas)


def _surplus(pods: list[Json]) -> list[Json]:
    finished = [pod for pod in pods if not controller_utils.is_active(pod) and not controller_utils.is_terminating(pod)]
    return sorted(finished, key=_created)[:-KEPT_FINISHED]


def _rank(pod: Json) -> tuple[bool, bool, bool, float]:
    """Who goes first: without a node, not running, not ready, younger."""
    status, bound = pod.get("status") or {}, bool((pod.get("spec") or {}).get("nodeName"))
    return bound, status.get("phase") == "Running", controller_utils.ready_since(pod) is not None, -_created(pod)


def _created(pod: Json) -> float:
    return parse_time(str(pod["metadata"].get("creationTimestamp") or "")) or 0.0


def _status(replica_set: Json, running: list[Json], now: float) -> Json:
    seconds = int(replica_set["spec"].get("minReadySeconds") or 0)
    labels = ((replica_set["spec"].get("template") or {}).get("metadata") or {}).get("labels") or {}
    return {
        "replicas": len(running),
        "fullyLabeledReplicas": sum(labels.items() <= (pod["metadata"].get("labels") or {}).items() for pod in running),
        "readyReplicas": sum(controller_utils.ready_since(pod) is not None for pod in running),
        "availableReplicas": sum(controller_utils.is_available(pod, seconds, now) for pod in running),
        "observedGeneration": replica_set["metadata"].get("generation", 0),
    }


def _requeue_delay(replica_set: Json, running: list[Json], now: float) -> float | None:
    seconds = int(replica_set["spec"].get("minReadySeconds") or 0)
    waiting = [since + seconds - now for pod in running if (since := controller_utils.ready_since(pod)) is not None]
    return min((delay for delay in waiting if delay > 0), default=None)
