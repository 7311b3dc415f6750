"""Writes the annotation `cloudcore` on each Node: with several replicas, others have to find the one that holds its
link.

Source: KubeEdge cloud/pkg/cloudhub/handler/message_handler.go (the annotation `cloudcore`, three tries).
"""

from __future__ import annotations

from dataclasses import dataclass

from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.errors import ClusterError, NotFound
from kubeedge_actors.kubernetes.object_types import NODE_KIND
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import SessionOpened

MAX_TRIES, RETRY_SECONDS = 3, 1.0
MAILBOX = 20_000


@dataclass(frozen=True, slots=True)
class AnnotateNode:
    """A node is connected to this replica; `tries_left`: attempts left."""

    node: str
    tries_left: int


class CloudCoreAnnotator(Module):
    """Annotates Nodes with the address of this replica. A node without a Node object gets it when it registers."""

    name = f"{constants.EDGECONTROLLER}-mark"
    group = constants.EDGECONTROLLER
    emits = (AnnotateNode,)

    def __init__(self, cluster: Cluster, address: str) -> None:
        self._cluster = cluster
        self._address = address

    @classmethod
    def spec_for(cls, cluster: Cluster, address: str) -> ChildSpec:
        """Its child spec."""
        return cls.spec(lambda: cls(cluster, address), mailbox=MailboxSpec(capacity=MAILBOX))

    @on
    def on_session_opened(self, message: SessionOpened) -> None:
        """Annotate the Node."""
        self.on_annotate_node(AnnotateNode(message.node, MAX_TRIES))

    @on
    def on_annotate_node(self, message: AnnotateNode) -> None:
        """Write the annotation if it differs; retry later if that fails."""
        try:
            self._write(message.node)
        except NotFound:
            self.log.debug("node %s has not registered yet", message.node)
        except ClusterError as error:
            if message.tries_left > 1:
                self.after(RETRY_SECONDS, AnnotateNode(message.node, message.tries_left - 1))
            else:
                self.log.warning("the annotation of node %s can not be written: %s", message.node, error)

    def _write(self, node: str) -> None:
        annotations = self._cluster.get(NODE_KIND, "", node)["metadata"].get("annotations") or {}
        if annotations.get(constants.CLOUDCORE_ANNOTATION) != self._address:
            change = {"metadata": {"annotations": {constants.CLOUDCORE_ANNOTATION: self._address}}}
            self._cluster.patch(NODE_KIND, "", node, change)
