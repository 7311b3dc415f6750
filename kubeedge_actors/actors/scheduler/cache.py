"""Scheduler cache with assumed pods, and the queue of unschedulable ones (kube-scheduler: Cache, AssumePod,
unschedulable queue). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeedge_actors.actors.scheduler.objects import NodeSpec, PodInfo, current_fit_error, parse_node, parse_pod
from kubeedge_actors.drivers.cluster.base import EventType, WatchEvent
from kubeedge_actors.kubernetes.object_types import NODE_KIND

Key = tuple[str, str]


class SchedulerCache:
    """All nodes, and the pods that wait or take up room. `dirty`: it changed since somebody last decided by it."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeSpec] = {}
        self.dirty = False
        self._pods: dict[Key, PodInfo] = {}
        self._pending: set[Key] = set()
        self._unschedulable: set[Key] = set()
        self._fit_errors: dict[Key, str] = {}

    def apply(self, change: WatchEvent) -> None:
        """Take in what a watch told. Errors: those of objects.py; the object is then as good as gone."""
        if change.kind == NODE_KIND:
            self._apply_node(change)
        else:
            self._apply_pod(change)

    def pods(self) -> Iterator[PodInfo]:
        """All pods to decide by: those that take up room, and those that wait and are not set aside."""
        return (pod for key, pod in self._pods.items() if key not in self._unschedulable)

    def is_pending(self, pod: PodInfo) -> bool:
        """Whether this very pod still waits for a node."""
        return self._pods.get(pod.key) == pod and pod.key in self._pending

    @property
    def has_pending(self) -> bool:
        """Whether any pod waits."""
        return bool(self._pending)

    def fit_error(self, pod: PodInfo) -> str:
        """What the pod was last told about why it has no node."""
        return self._fit_errors.get(pod.key, "")

    # --- what the scheduler has done ----------------------------------------------------------------------------------

    def assume(self, pod: PodInfo, node: str) -> None:
        """The API took the binding; the watch will tell so later."""
        if self.is_pending(pod):
            self._put(pod.bound_to(node))

    def set_fit_error(self, pod: PodInfo, sentence: str) -> None:
        """The pod has been told."""
        if self.is_pending(pod):
            self._fit_errors[pod.key] = sentence

    def move_to_unschedulable(self, pod: PodInfo) -> None:
        """Leave the pod out until it changes or `flush_unschedulable`: the API did not take what was decided."""
        if self.is_pending(pod):
            self._unschedulable.add(pod.key)

    def flush_unschedulable(self) -> None:
        """Decide again, also about what was set aside."""
        self._unschedulable.clear()
        self.dirty = True

    # --- what the watches told ----------------------------------------------------------------------------------------

    def _apply_node(self, change: WatchEvent) -> None:
        name = str(change.object["metadata"]["name"])
        old = self.nodes.pop(name, None)
        try:
            if change.type is not EventType.DELETED:
                self.nodes[name] = parse_node(change.object)
        finally:
            self.dirty |= self.nodes.get(name) != old

    def _apply_pod(self, change: WatchEvent) -> None:
        metadata = change.object["metadata"]
        key = str(metadata.get("namespace", "")), str(metadata["name"])
        new: PodInfo | None = None
        try:
            if change.type is not EventType.DELETED:
                new = parse_pod(change.object)
        finally:
            self._step(key, self._pods.get(key), new)
        if key in self._pending:
            self._fit_errors[key] = current_fit_error(change.object)

    def _step(self, key: Key, old: PodInfo | None, new: PodInfo | None) -> None:
        if old is not None and new is not None and old.uid == new.uid and old.node and not new.node:
            return  # an older state of a pod that was bound meanwhile
        if old == new:
            return
        self._unschedulable.discard(key)
        self._fit_errors.pop(key, None)
        self.dirty = True
        if new is not None:
            self._put(new)
        else:
            self._pods.pop(key, None)
            self._pending.discard(key)

    def _put(self, pod: PodInfo) -> None:
        self._pods[pod.key] = pod
        if pod.node:
            self._pending.discard(pod.key)
            self._unschedulable.discard(pod.key)
            self._fit_errors.pop(pod.key, None)
        else:
            self._pending.add(pod.key)
