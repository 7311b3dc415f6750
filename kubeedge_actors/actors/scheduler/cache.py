"""Scheduler cache with assumed pods, and the queue of unschedulable ones (kube-scheduler: Cache, AssumePod,
unschedulable queue). Pure.
"""

from __future__ import annotations

from collections.abc import Iterator

from kubeedge_actors.actors.scheduler.pod_info import NodeSpec, PodInfo, current_fit_error, parse_node, parse_pod
from kubeedge_actors.drivers.cluster.base import EventType, WatchEvent
from kubeedge_actors.kubernetes.object_types import NODE_KIND

Key = tuple[str, str]


class SchedulerCache:
    """Nodes, and pods that are pending or take up room. `dirty`: it changed since the last scheduling pass."""

    def __init__(self) -> None:
        self.nodes: dict[str, NodeSpec] = {}
        self.dirty = False
        self._pods: dict[Key, PodInfo] = {}
        self._pending: set[Key] = set()
        self._unschedulable: set[Key] = set()
        self._fit_errors: dict[Key, str] = {}

    def apply(self, change: WatchEvent) -> None:
        """Take in what a watch told. Errors: those of pod_info.py; the object is then as good as gone."""
        if change.kind == NODE_KIND:
            self._apply_node(change)
        else:
            self._apply_pod(change)

    def pods(self) -> Iterator[PodInfo]:
        """The pods for a scheduling pass: bound ones, and pending ones that are not set aside as unschedulable."""
        return (pod for key, pod in self._pods.items() if key not in self._unschedulable)

    def is_pending(self, pod: PodInfo) -> bool:
        """Whether this very pod (by uid) is still pending."""
        return self._pods.get(pod.key) == pod and pod.key in self._pending

    @property
    def has_pending(self) -> bool:
        """Whether any pod waits."""
        return bool(self._pending)

    def last_fit_error(self, pod: PodInfo) -> str:
        """The pod's last fit error; empty for none."""
        return self._fit_errors.get(pod.key, "")

    # --- what the scheduler has done ----------------------------------------------------------------------------------

    def assume(self, pod: PodInfo, node: str) -> None:
        """Assume a binding that the API accepted, until the watch shows it."""
        if self.is_pending(pod):
            self._put(pod.bound_to(node))

    def set_last_fit_error(self, pod: PodInfo, sentence: str) -> None:
        """The fit error was written to the pod."""
        if self.is_pending(pod):
            self._fit_errors[pod.key] = sentence

    def move_to_unschedulable(self, pod: PodInfo) -> None:
        """Set the pod aside until it changes or `flush_unschedulable` is called."""
        if self.is_pending(pod):
            self._unschedulable.add(pod.key)

    def flush_unschedulable(self) -> None:
        """Schedule again, including the pods that were set aside."""
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
