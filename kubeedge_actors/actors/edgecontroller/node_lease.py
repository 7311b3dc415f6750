"""Renews the Lease of nodes on their keepalives, as agreed in the handshake of the two hubs (Kubernetes: nodelease)."""

from __future__ import annotations

import datetime
from typing import Any

from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.errors import AlreadyExists, ClusterError, NotFound
from kubeedge_actors.kubernetes import well_known
from kubeedge_actors.kubernetes.object_types import LEASE_KIND, NODE_KIND
from kubeedge_actors.kubernetes.objects import owner_reference
from kubeedge_actors.module import Module, on
from kubeedge_actors.supervisors import ChildSpec, MailboxSpec, Overflow
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import KeepaliveReceived, NodeRemoved

Json = dict[str, Any]

LEASE_SECONDS = 40
MIN_RENEW_SECONDS = 8.0
"""Seconds between two renewals of one lease at least, however often its node beats."""
RETRY_SECONDS = 2.0
"""Seconds for which an API that failed is left alone: no beat waits for it, the next one renews."""
MAILBOX = 20_000


class NodeLeaseRenewer(Module):
    """Renews the Lease of each node on its keepalives; creates it when the node is registered and has none."""

    name = f"{constants.EDGECONTROLLER}-beats"
    group = constants.EDGECONTROLLER

    def __init__(self, cluster: Cluster) -> None:
        self._cluster = cluster
        self._renewed: dict[str, float] = {}
        self._not_before = 0.0
        self._failing = False

    @classmethod
    def spec_for(cls, cluster: Cluster) -> ChildSpec:
        """Its child spec, with a mailbox that coalesces keepalives of a node."""
        box = MailboxSpec(capacity=MAILBOX, overflow=Overflow.COALESCE, key=_node_of)
        return cls.spec(lambda: cls(cluster), mailbox=box)

    @on
    def on_keepalive_received(self, message: KeepaliveReceived) -> None:
        """Renew the lease, unless that was done a moment ago or the API is away."""
        node, now = message.node, self.clock.monotonic()
        if now < self._not_before or now - self._renewed.get(node, -MIN_RENEW_SECONDS) < MIN_RENEW_SECONDS:
            return
        try:
            renewed = self._renew(node)
        except ClusterError as error:
            self._not_before = now + RETRY_SECONDS
            if not self._failing:
                self.log.warning("leases can not be renewed: %s", error)
            self._failing = True
            return
        if self._failing:
            self.log.warning("leases can be renewed again")
        self._failing = False
        if renewed:
            self._renewed[node] = now

    @on
    def on_node_removed(self, message: NodeRemoved) -> None:
        """Forget the node; the API removes its lease with it."""
        self._renewed.pop(message.node, None)

    def _renew(self, node: str) -> bool:
        """Whether there is a lease now: a node that is not registered yet has none."""
        time = datetime.datetime.fromtimestamp(self.clock.now(), datetime.UTC)
        spec = {
            "holderIdentity": node,
            "leaseDurationSeconds": LEASE_SECONDS,
            "renewTime": time.strftime("%Y-%m-%dT%H:%M:%S.%fZ"),
        }
        try:
            if node not in self._renewed:
                self._cluster.get(
                    LEASE_KIND, well_known.LEASE_NAMESPACE, node
                )  # some APIs let a patch make it, without owner
            self._cluster.patch(LEASE_KIND, well_known.LEASE_NAMESPACE, node, {"spec": spec})
        except NotFound:
            return self._create(node, spec)
        return True

    def _create(self, node: str, spec: Json) -> bool:
        try:
            owner = self._cluster.get(NODE_KIND, "", node)["metadata"]
        except NotFound:
            return False
        owners = [owner_reference("v1", NODE_KIND.kind, node, owner.get("uid", ""))]
        metadata = {"name": node, "namespace": well_known.LEASE_NAMESPACE, "ownerReferences": owners}
        try:
            self._cluster.create(LEASE_KIND, well_known.LEASE_NAMESPACE, {"metadata": metadata, "spec": spec})
        except AlreadyExists:
            return False  # made by somebody else just now: the next beat renews it
        return True


def _node_of(message: object) -> str | None:
    return message.node if isinstance(message, KeepaliveReceived) else None
