"""The actor CloudStream: serves the tunnels while it runs, and writes their port into the status of each Node.

Source: KubeEdge cloud/pkg/cloudstream. Different on purpose: a node comes in under its own certificate only.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import msgspec

from kubeedge_actors.actors.cloudstream.tunnel_registry import TunnelRegistry
from kubeedge_actors.drivers.cluster.base import TEMPORARY, Cluster
from kubeedge_actors.drivers.link.base import LinkServer
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.errors import ClusterError, NotFound
from kubeedge_actors.kubernetes.kubelet_address import KubeletAddress, with_address
from kubeedge_actors.kubernetes.object_types import NODE_KIND
from kubeedge_actors.module import Module, on
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.messages import Message

RETRY_SECONDS, MAX_TRIES = 20.0, 6


class TunnelListenConfig(msgspec.Struct, frozen=True):
    """Where to serve the tunnels."""

    host: str
    port: int
    tls: TlsPaths


class KubeletEndpoint(msgspec.Struct, frozen=True):
    """What stands in a Node with a tunnel, for a cluster's API server: the port of its kubelet (0: nothing is written), the cloud's
    address, and where the replica that has the tunnel is found by others (HOST:PORT; empty: there is no server for that).
    """

    port: Callable[[], int]
    address: KubeletAddress | None = None
    replica: str = ""


class TunnelOpened(Message, frozen=True, kw_only=True):
    """A node has a tunnel; `tries`: how often its Node object could not be written."""

    node: str
    tries: int = 0


class CloudStream(Module):
    """Serves the nodes' stream tunnels. `tunnels` is shared with those who open streams; `endpoint`: what a Node with a tunnel says."""

    name = constants.CLOUDSTREAM
    group = "stream"
    emits = (TunnelOpened,)

    def __init__(
        self,
        server: LinkServer,
        listen: TunnelListenConfig,
        tunnels: TunnelRegistry,
        cluster: Cluster,
        endpoint: KubeletEndpoint,
    ) -> None:
        self._server, self._listen, self._tunnels = server, listen, tunnels
        self._cluster, self._endpoint = cluster, endpoint

    def on_start(self) -> None:
        """Start to serve; tunnels that are open already stay."""
        ref = self.ref

        def opened(node: str) -> None:
            ref.offer(TunnelOpened(node=node))

        self._tunnels.attach(self._server.send, self._server.close, opened)
        self._server.start(self._listen.host, self._listen.port, self._listen.tls, self._tunnels)

    @on
    def on_tunnel_opened(self, message: TunnelOpened) -> None:
        """Write into the Node how its kubelet is reached, if something else stands there."""
        try:
            port = self._endpoint.port()
            if port:
                self._write(message.node, port)
        except NotFound:
            self._later(message, "there is no such Node yet")
        except ClusterError as error:
            if error.code not in TEMPORARY:
                self.log.warning("the port of node %s could not be written: %s", message.node, error)
                return
            self._later(message, str(error))

    def _write(self, node: str, port: int) -> None:
        stored = self._cluster.get(NODE_KIND, "", node)
        replica = self._endpoint.replica
        annotations = (stored.get("metadata") or {}).get("annotations") or {}
        if replica and annotations.get(constants.CLOUDSTREAM_ANNOTATION) != replica:
            mark = {"metadata": {"annotations": {constants.CLOUDSTREAM_ANNOTATION: replica}}}
            self._cluster.patch(NODE_KIND, "", node, mark)
        changes = self._status_changes(stored.get("status") or {}, node, port)
        if changes:
            self._cluster.patch(NODE_KIND, "", node, {"status": changes}, form="strategic", subresource="status")

    def _status_changes(self, status: dict[str, Any], node: str, port: int) -> dict[str, Any]:
        changes: dict[str, Any] = {}
        endpoints = {"kubeletEndpoint": {"Port": port}}
        if status.get("daemonEndpoints") != endpoints:
            changes["daemonEndpoints"] = endpoints
        addresses = status.get("addresses") or []
        wanted = with_address(addresses, node, self._endpoint.address)
        if self._endpoint.replica and wanted != addresses:
            changes["addresses"] = [*wanted, {"$patch": "replace"}]
        return changes

    def _later(self, message: TunnelOpened, reason: str) -> None:
        if message.tries + 1 < MAX_TRIES:
            self.after(RETRY_SECONDS, TunnelOpened(node=message.node, tries=message.tries + 1))
        else:
            self.log.warning("the port of node %s could not be written: %s", message.node, reason)
