"""Writes on each Node which cloud its link is with: of several replicas, others have to find the one that holds it.

Source: KubeEdge cloud/pkg/cloudhub/handler/message_handler.go (the annotation `cloudcore`, three tries).
"""

from __future__ import annotations

from dataclasses import dataclass

from kubeedge_actors.drivers.cluster.base import NODE_KIND, Cluster
from kubeedge_actors.errors import ClusterError, NotFound
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec
from kubeedge_actors.wire import names
from kubeedge_actors.wire.messages import SessionOpened

TRIES, PAUSE = 3, 1.0
MAILBOX = 20_000


@dataclass(frozen=True, slots=True)
class Mark:
    """A node came to us; `tries` are left."""

    node: str
    tries: int


class NodeMarker(Module):
    """Waits for the API, so that nobody else has to. A node without a Node object is marked when it registers."""

    name = f"{names.EDGECONTROLLER}-mark"
    group = names.EDGECONTROLLER
    emits = (Mark,)

    def __init__(self, cluster: Cluster, address: str) -> None:
        self._cluster = cluster
        self._address = address

    @classmethod
    def of(cls, cluster: Cluster, address: str) -> ChildSpec:
        """Its place in the tree."""
        return cls.spec(lambda: cls(cluster, address), mailbox=MailboxSpec(capacity=MAILBOX))

    @on
    def opened(self, message: SessionOpened) -> None:
        """Mark it."""
        self.mark(Mark(message.node, TRIES))

    @on
    def mark(self, message: Mark) -> None:
        """Write, if there is something else; later again if that fails."""
        try:
            self._write(message.node)
        except NotFound:
            self.log.debug("node %s has not registered yet", message.node)
        except ClusterError as error:
            if message.tries > 1:
                self.after(PAUSE, Mark(message.node, message.tries - 1))
            else:
                self.log.warning("that node %s is with this cloud can not be written down: %s", message.node, error)

    def _write(self, node: str) -> None:
        annotations = self._cluster.get(NODE_KIND, "", node)["metadata"].get("annotations") or {}
        if annotations.get(names.CLOUDCORE_ANNOTATION) != self._address:
            change = {"metadata": {"annotations": {names.CLOUDCORE_ANNOTATION: self._address}}}
            self._cluster.patch(NODE_KIND, "", node, change)
