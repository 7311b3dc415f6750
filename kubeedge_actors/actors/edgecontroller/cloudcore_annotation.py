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
    """A node came to us; `tries_left` are left."""

    node: str
    tries_left: int


class CloudCoreAnnotator(Module):
    """Waits for the API, so that nobody else has to. A node without a Node object is marked when it registers."""

    name = f"{constants.EDGECONTROLLER}-mark"
    group = constants.EDGECONTROLLER
    emits = (AnnotateNode,)

    def __init__(self, cluster: Cluster, address: str) -> None:
        self._cluster = cluster
        self._address = address

    @classmethod
    def of(cls, cluster: Cluster, address: str) -> ChildSpec:
        """Its place in the tree."""
        return cls.spec(lambda: cls(cluster, address), mailbox=MailboxSpec(capacity=MAILBOX))

    @on
    def on_session_opened(self, message: SessionOpened) -> None:
        """Mark it."""
        self.on_annotate_node(AnnotateNode(message.node, MAX_TRIES))

    @on
    def on_annotate_node(self, message: AnnotateNode) -> None:
        """Write, if there is something else; later again if that fails."""
        try:
            self._write(message.node)
        except NotFound:
            self.log.debug("node %s has not registered yet", message.node)
        except ClusterError as error:
            if message.tries_left > 1:
                self.after(RETRY_SECONDS, AnnotateNode(message.node, message.tries_left - 1))
            else:
                self.log.warning("that node %s is with this cloud can not be written down: %s", message.node, error)

    def _write(self, node: str) -> None:
        annotations = self._cluster.get(NODE_KIND, "", node)["metadata"].get("annotations") or {}
        if annotations.get(constants.CLOUDCORE_ANNOTATION) != self._address:
            change = {"metadata": {"annotations": {constants.CLOUDCORE_ANNOTATION: self._address}}}
            self._cluster.patch(NODE_KIND, "", node, change)
