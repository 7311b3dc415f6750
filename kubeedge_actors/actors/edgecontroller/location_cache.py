"""Which node uses which ConfigMap, Secret and volume claim (KubeEdge: manager.LocationCache). Pure."""

from __future__ import annotations

from typing import Any

from kubeedge_actors.kubernetes.node_graph import NodeGraph
from kubeedge_actors.kubernetes.pod_references import ConfigReference

Json = dict[str, Any]


class LocationCache(NodeGraph):
    """What pods give their nodes a right to, and who has a copy of it.

    A node keeps receiving updates of an object until it is deleted, even when no pod uses it any more: the edge caches
    the object and would give a stale copy to the next pod. What a node may *ask* for is only what its pods use now.
    """

    def __init__(self) -> None:
        super().__init__()
        self._holders: dict[ConfigReference, set[str]] = {}

    def put(self, pod: Json) -> frozenset[ConfigReference]:
        """A v1.Pod was added or changed; one without a node counts as deleted. Returns what its node may read for it."""
        references = super().put(pod)
        for reference in references:
            self._holders.setdefault(reference, set()).add(str(pod["spec"]["nodeName"]))
        return references

    def nodes_for(self, reference: ConfigReference) -> list[str]:
        """The nodes to which changes of this object are pushed."""
        return sorted(self._holders.get(reference, ()))

    def forget_object(self, reference: ConfigReference) -> None:
        """The object was deleted: nodes without a pod that uses it need no push of its successor."""
        users = self.users_of(reference)
        if users:
            self._holders[reference] = users
        else:
            self._holders.pop(reference, None)

    def forget_node(self, node: str) -> None:
        """The node is gone, and its copies with it."""
        for reference in [reference for reference, nodes in self._holders.items() if node in nodes]:
            if not self.node_uses(node, reference):
                self._holders[reference].discard(node)
