"""Pods and nodes as the scheduler knows them: what the watches told, and what it has done since. Pure."""

from __future__ import annotations

from collections.abc import Iterator

from kubeedge_actors.actors.scheduler.facts import Node, Pod, node_facts, pod_facts, refusal_of
from kubeedge_actors.drivers.cluster.base import NODE_KIND, Change, Operation

Key = tuple[str, str]


class Picture:
    """All nodes, and the pods that wait or take up room. `dirty`: it changed since somebody last decided by it."""

    def __init__(self) -> None:
        self.nodes: dict[str, Node] = {}
        self.dirty = False
        self._pods: dict[Key, Pod] = {}
        self._waiting: set[Key] = set()
        self._aside: set[Key] = set()
        self._refusals: dict[Key, str] = {}

    def apply(self, change: Change) -> None:
        """Take in what a watch told. Errors: those of facts.py; the object is then as good as gone."""
        if change.kind == NODE_KIND:
            self._apply_node(change)
        else:
            self._apply_pod(change)

    def pods(self) -> Iterator[Pod]:
        """All pods to decide by: those that take up room, and those that wait and are not set aside."""
        return (pod for key, pod in self._pods.items() if key not in self._aside)

    def waits(self, pod: Pod) -> bool:
        """Whether this very pod still waits for a node."""
        return self._pods.get(pod.key) == pod and pod.key in self._waiting

    @property
    def waiting(self) -> bool:
        """Whether any pod waits."""
        return bool(self._waiting)

    def refusal(self, pod: Pod) -> str:
        """What the pod was last told about why it has no node."""
        return self._refusals.get(pod.key, "")

    # --- what the scheduler has done ----------------------------------------------------------------------------------

    def bound(self, pod: Pod, node: str) -> None:
        """The API took the binding; the watch will tell so later."""
        if self.waits(pod):
            self._put(pod.bound_to(node))

    def refused(self, pod: Pod, sentence: str) -> None:
        """The pod has been told."""
        if self.waits(pod):
            self._refusals[pod.key] = sentence

    def set_aside(self, pod: Pod) -> None:
        """Leave the pod out until it changes or `look_again`: the API did not take what was decided."""
        if self.waits(pod):
            self._aside.add(pod.key)

    def look_again(self) -> None:
        """Decide again, also about what was set aside."""
        self._aside.clear()
        self.dirty = True

    # --- what the watches told ----------------------------------------------------------------------------------------

    def _apply_node(self, change: Change) -> None:
        name = str(change.object["metadata"]["name"])
        old = self.nodes.pop(name, None)
        try:
            if change.operation is not Operation.DELETED:
                self.nodes[name] = node_facts(change.object)
        finally:
            self.dirty |= self.nodes.get(name) != old

    def _apply_pod(self, change: Change) -> None:
        metadata = change.object["metadata"]
        key = str(metadata.get("namespace", "")), str(metadata["name"])
        new: Pod | None = None
        try:
            if change.operation is not Operation.DELETED:
                new = pod_facts(change.object)
        finally:
            self._step(key, self._pods.get(key), new)
        if key in self._waiting:
            self._refusals[key] = refusal_of(change.object)

    def _step(self, key: Key, old: Pod | None, new: Pod | None) -> None:
        if old is not None and new is not None and old.uid == new.uid and old.node and not new.node:
            return  # an older state of a pod that was bound meanwhile
        if old == new:
            return
        self._aside.discard(key)
        self._refusals.pop(key, None)
        self.dirty = True
        if new is not None:
            self._put(new)
        else:
            self._pods.pop(key, None)
            self._waiting.discard(key)

    def _put(self, pod: Pod) -> None:
        self._pods[pod.key] = pod
        if pod.node:
            self._waiting.discard(pod.key)
            self._aside.discard(pod.key)
            self._refusals.pop(pod.key, None)
        else:
            self._waiting.add(pod.key)
