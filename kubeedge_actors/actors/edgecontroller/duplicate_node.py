"""The Event `DuplicateNode` on a Node whose name two edges have."""

from __future__ import annotations

import time
from typing import Any

from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.errors import AlreadyExists, ClusterError
from kubeedge_actors.kubernetes.object_types import EVENT_KIND, NODE_KIND
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import NodeDuplicated, NodeRemoved

Json = dict[str, Any]

REASON = "DuplicateNode"
NAMESPACE = "default"
"""Where events of what has no namespace are."""


class DuplicateNodeReporter(Module):
    """Writes one v1.Event per node, whose count grows. CloudHub reports at most once a minute; a failed write is retried then."""

    name = f"{constants.EDGECONTROLLER}-duplicates"
    group = constants.EDGECONTROLLER

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._counts: dict[str, int] = {}

    @on
    def on_node_duplicated(self, message: NodeDuplicated) -> None:
        """Create the Event or raise its count."""
        count = self._counts[message.node] = self._counts.get(message.node, 0) + 1
        try:
            self._write(message, count)
        except ClusterError as error:
            self.log.warning("the event about node %s can not be written: %s", message.node, error)

    @on
    def on_node_removed(self, message: NodeRemoved) -> None:
        """Forget the node."""
        self._counts.pop(message.node, None)

    def _write(self, message: NodeDuplicated, count: int) -> None:
        now = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(self.clock.now()))
        news: Json = {"message": message.text, "count": count, "lastTimestamp": now}
        uid = self._cluster.get(NODE_KIND, "", message.node)["metadata"].get("uid", "")
        name = f"{message.node[:200].rstrip('.-')}.{REASON.lower()}"
        event: Json = {
            "apiVersion": "v1",
            "kind": "Event",
            "metadata": {"name": name, "namespace": NAMESPACE},
            "involvedObject": {"kind": NODE_KIND.kind, "apiVersion": "v1", "name": message.node, "uid": uid},
            "type": "Warning",
            "reason": REASON,
            "firstTimestamp": now,
            "source": {"component": constants.CLOUDHUB},
            "reportingComponent": constants.CLOUDHUB,
            **news,
        }
        try:
            self._cluster.create(EVENT_KIND, NAMESPACE, event)
        except AlreadyExists:
            self._cluster.patch(EVENT_KIND, NAMESPACE, name, news)
