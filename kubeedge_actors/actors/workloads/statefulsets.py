"""Sync of a StatefulSet: its revisions and pods in; pods to create and delete, and the status out. Pure.

Source: Kubernetes pkg/controller/statefulset/stateful_set_control.go, stateful_set_utils.go.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from typing import NamedTuple

from kubeedge_actors.actors.workloads import controller_utils
from kubeedge_actors.actors.workloads.revisions import Revisions
from kubeedge_actors.drivers.cluster.base import Json
from kubeedge_actors.kubernetes.object_types import STATEFULSET_KIND

REVISION_LABEL = "controller-revision-hash"
POD_NAME_LABEL, POD_INDEX_LABEL = "statefulset.kubernetes.io/pod-name", "apps.kubernetes.io/pod-index"
_ORDINAL = re.compile(r"(.*)-([0-9]+)")


class StatefulPlan(NamedTuple):
    """`create`: pods; `delete`: which; `status`: as it should be; `again`: seconds until a pod counts as available."""

    create: list[Json]
    delete: list[Json]
    status: Json
    again: float | None


class _Steps:
    """What one look at a set comes to. In order (`OrderedReady`) a step waits until the one before is done; with `Parallel` none does."""

    def __init__(self, *, in_order: bool) -> None:
        self.in_order = in_order
        self.create: list[Json] = []
        self.delete: list[Json] = []
        self.blocked = False

    def wait(self) -> None:
        """Something is not done yet: with an order nothing further happens now."""
        self.blocked |= self.in_order


def plan_stateful_set(stateful_set: Json, known: Revisions, pods: Iterable[Json], now: float) -> StatefulPlan:
    """The plan of an apps/v1 StatefulSet; `known`: its revisions, the one of its template among them; `pods`: the v1.Pods that it owns."""
    own = list(pods)
    wanted = _ordinals(stateful_set)
    by_ordinal = {ordinal: pod for pod in own if (ordinal := ordinal_of(stateful_set, pod)) is not None}
    steps = _Steps(in_order=stateful_set["spec"].get("podManagementPolicy", "OrderedReady") == "OrderedReady")
    if not controller_utils.is_terminating(stateful_set):
        _fill(stateful_set, known, wanted, by_ordinal, steps, now)
        _condemn(wanted, by_ordinal, steps)
        if not (steps.blocked or steps.create or steps.delete):
            _update(stateful_set, known, wanted, by_ordinal, steps, now)
    status = _status(stateful_set, known, own, now)
    return StatefulPlan(steps.create, steps.delete, status, _requeue_delay(stateful_set, own, now))


def ordinal_of(stateful_set: Json, pod: Json) -> int | None:
    """The number in the pod's name; None for a pod of another name."""
    match = _ORDINAL.fullmatch(str(pod["metadata"]["name"]))
    return int(match[2]) if match is not None and match[1] == stateful_set["metadata"]["name"] else None


def _ordinals(stateful_set: Json) -> range:
    spec = stateful_set["spec"]
    start, replicas = int((spec.get("ordinals") or {}).get("start") or 0), spec.get("replicas")
    return range(start, start + (1 if replicas is None else int(replicas)))


def _is_well(stateful_set: Json, pod: Json, now: float) -> bool:
    """Whether the next pod's turn may come: it runs, is ready, and for long enough."""
    seconds = int(stateful_set["spec"].get("minReadySeconds") or 0)
    return not controller_utils.is_terminating(pod) and controller_utils.is_available(pod, seconds, now)


# --- steps ------------------------------------------------------------------------------------------------------------


def _fill(
    stateful_set: Json, known: Revisions, wanted: range, pods: Mapping[int, Json], steps: _Steps, now: float
) -> None:
    """From the first ordinal on: create what is missing, replace what has ended."""
    for ordinal in wanted:
        if steps.blocked:
            return
        pod = pods.get(ordinal)
        if pod is None:
            steps.create.append(_pod(stateful_set, known, ordinal))
            steps.wait()
        elif not controller_utils.is_active(pod) and not controller_utils.is_terminating(pod):
            steps.delete.append(pod)
            steps.wait()
        elif not _is_well(stateful_set, pod, now):
            steps.wait()


def _condemn(wanted: range, pods: Mapping[int, Json], steps: _Steps) -> None:
    """From the last ordinal on: delete what is too much. In order one at a time."""
    for ordinal in sorted((ordinal for ordinal in pods if ordinal not in wanted), reverse=True):
        if steps.blocked:
            return
        if not controller_utils.is_terminating(pods[ordinal]):
            steps.delete.append(pods[ordinal])
        steps.wait()


def _update(
    stateful_set: Json, known: Revisions, wanted: range, pods: Mapping[int, Json], steps: _Steps, now: float
) -> None:
    """From the last ordinal down to the partition: delete the first pod of another revision, once all above it are well."""
    if _strategy(stateful_set) != "RollingUpdate":
        return
    for ordinal in reversed(range(max(wanted.start, _partition(stateful_set)), wanted.stop)):
        pod = pods[ordinal]
        if revision_of(pod) != known.update and not controller_utils.is_terminating(pod):
            steps.delete.append(pod)
            return
        if not _is_well(stateful_set, pod, now):
            return


def _strategy(stateful_set: Json) -> str:
    return str((stateful_set["spec"].get("updateStrategy") or {}).get("type") or "RollingUpdate")


def _partition(stateful_set: Json) -> int:
    update = (stateful_set["spec"].get("updateStrategy") or {}).get("rollingUpdate") or {}
    return int(update.get("partition") or 0)


def revision_of(pod: Json) -> str:
    """The name of the revision that a pod was made from."""
    return str((pod["metadata"].get("labels") or {}).get(REVISION_LABEL) or "")


def _pod(stateful_set: Json, known: Revisions, ordinal: int) -> Json:
    """The pod with this number; below the partition it is of the revision from which the update goes on."""
    old = _strategy(stateful_set) == "RollingUpdate" and ordinal < _partition(stateful_set)
    revision = known.current if old else known.update
    name = f"{stateful_set['metadata']['name']}-{ordinal}"
    labels = {REVISION_LABEL: revision, POD_NAME_LABEL: name, POD_INDEX_LABEL: str(ordinal)}
    spec: Json = {"hostname": name}
    if stateful_set["spec"].get("serviceName"):
        spec["subdomain"] = stateful_set["spec"]["serviceName"]
    owner = {**stateful_set, "spec": {**stateful_set["spec"], "template": known.template(revision)}}
    pod = controller_utils.pod_from_template(STATEFULSET_KIND, owner, labels, **spec)
    del pod["metadata"]["generateName"]
    pod["metadata"]["name"] = name
    return pod


# --- status -----------------------------------------------------------------------------------------------------------


def _status(stateful_set: Json, known: Revisions, pods: list[Json], now: float) -> Json:
    seconds, replicas = int(stateful_set["spec"].get("minReadySeconds") or 0), len(_ordinals(stateful_set))
    staying = [pod for pod in pods if not controller_utils.is_terminating(pod)]
    updated = sum(revision_of(pod) == known.update for pod in staying)
    ready = sum(controller_utils.ready_since(pod) is not None for pod in pods)
    is_complete = _strategy(stateful_set) == "RollingUpdate" and updated == ready == len(pods) == replicas
    current = known.update if is_complete else known.current
    return {
        "observedGeneration": stateful_set["metadata"].get("generation", 0),
        "replicas": len(pods),
        "readyReplicas": ready,
        "availableReplicas": sum(controller_utils.is_available(pod, seconds, now) for pod in pods),
        "currentReplicas": sum(revision_of(pod) == current for pod in staying),
        "updatedReplicas": updated,
        "currentRevision": current,
        "updateRevision": known.update,
        "collisionCount": 0,
    }


def _requeue_delay(stateful_set: Json, pods: list[Json], now: float) -> float | None:
    seconds = int(stateful_set["spec"].get("minReadySeconds") or 0)
    waiting = [since + seconds - now for pod in pods if (since := controller_utils.ready_since(pod)) is not None]
    return min((delay for delay in waiting if delay > 0), default=None)
