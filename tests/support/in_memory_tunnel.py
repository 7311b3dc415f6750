"""A node's end of the stream tunnel, joined to a registry of the cloud without a network."""

from __future__ import annotations

from collections.abc import Mapping

from kubeedge_actors.actors.cloudstream.tunnel_registry import TunnelRegistry
from kubeedge_actors.actors.edgestream.resource_sampler import KubeletFacts
from kubeedge_actors.actors.edgestream.tunnel import Tunnel
from kubeedge_actors.drivers.containers.base import ContainerRuntime
from kubeedge_actors.drivers.link.base import LinkEvents, Peer
from kubeedge_actors.drivers.pki.base import TlsPaths


class InMemoryLink:
    """The link of such a tunnel: what is sent is there."""

    def __init__(self, tunnels: TunnelRegistry, peer: Peer) -> None:
        self._tunnels, self._peer = tunnels, peer
        self.events: Tunnel | None = None

    def open(self, url: str, headers: Mapping[str, str], tls: TlsPaths | None, events: LinkEvents) -> None: ...

    def send(self, text: str, message_id: str = "") -> None:
        assert self._tunnels.on_text(self._peer, text)
        if message_id and self.events is not None:
            self.events.on_written([message_id])

    def close(self) -> None: ...


def join(
    tunnels: TunnelRegistry,
    node: str,
    runtime: ContainerRuntime,
    address: str = "192.0.2.7",
    facts: KubeletFacts | None = None,
) -> Peer:
    """Open the tunnel of a node; to be called once for each registry, whose only node it is."""
    headers = {"sessionhostnameoverride": node, "sessioninternalip": address}
    peer = Peer(1, "/v1/kubeedge/connect", headers, f"system:node:{node}", ("system:nodes",), f"{address}:1")
    link = InMemoryLink(tunnels, peer)
    link.events = Tunnel(link, runtime, lambda reason, lived: None, facts=facts)
    events = link.events
    tunnels.attach(lambda to, text: events.on_text(text), lambda to, why: None, lambda name: None)
    tunnels.on_connect(peer)
    return peer
