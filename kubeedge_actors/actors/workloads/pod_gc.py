"""Pod garbage collector: pods whose node is gone (Kubernetes: podgc). Pure.

Kubernetes deletes pods of any node that is not there, 40 s later (source: pkg/controller/podgc/gc_controller.go). Here only of nodes that were seen:
a pod may be bound by hand to a node that is yet to join.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from kubeedge_actors.drivers.cluster.base import Json

GC_PERIOD = 1.0
QUARANTINE = 2.0
"""Seconds from the end of a node to the end of its pods; one that registers again at once keeps them for itself to end."""


class PodGarbageCollector:
    """Finds pods of deleted nodes; remembers when nodes went (monotonic seconds)."""

    def __init__(self) -> None:
        self._gone: dict[str, float] = {}

    def on_node_deleted(self, name: str, now: float) -> None:
        """The node was deleted."""
        self._gone[name] = now

    def orphaned_pods(self, pods: Iterable[Json], nodes: Iterable[Json], now: float) -> Iterator[Json]:
        """The v1.Pods to delete: of nodes that were seen to go, and of nodes that do not exist and have run them."""
        existing = {str(node["metadata"]["name"]) for node in nodes}
        self._gone = {name: since for name, since in self._gone.items() if name not in existing}
        for pod in pods:
            node = str((pod.get("spec") or {}).get("nodeName") or "")
            if not node or node in existing:
                continue
            if node not in self._gone and (pod.get("status") or {}).get("startTime"):
                self._gone[node] = now
            if now - self._gone.get(node, now) >= QUARANTINE:
                yield pod
