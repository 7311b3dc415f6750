"""Registry of the nodes' tunnels and the streams through each. Thread-safe: the link's thread, the API's and the actor's
all use it.
"""

from __future__ import annotations

import itertools
import logging
import threading
from collections.abc import Callable, Mapping

from kubeedge_actors.actors.cloudstream.stream import TunnelStream
from kubeedge_actors.drivers.link.base import Peer, UpgradeResponse
from kubeedge_actors.errors import FrameError, LinkError
from kubeedge_actors.kubernetes.certificates.info import node_of
from kubeedge_actors.wire import constants, tunnel
from kubeedge_actors.wire.tunnel import Frame, FrameType

log = logging.getLogger(__name__)

NODE, ADDRESS = constants.HEADER_TUNNEL_NODE.lower(), constants.HEADER_TUNNEL_ADDRESS.lower()
NATIVE_HEADERS = {constants.HEADER_STREAM: ["1"]}
WITH_CREDITS = frozenset({FrameType.LOGS, FrameType.METRICS})
"""What a node says in these is all there is, so the way back is free for telling it how much was read."""
Send = Callable[[Peer, str], None]
OnTunnel = Callable[[str], None]


class TunnelRegistry:
    """The link server's events, and `open_stream` for whoever wants a stream. It outlives the actor's crashes."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._changed = threading.Condition(self._lock)
        self._numbers = itertools.count(1)
        self._peers: dict[str, Peer] = {}
        self._streams: dict[int, tuple[int, TunnelStream]] = {}
        self._send: Send = lambda peer, text: None
        self._close: Send = lambda peer, reason: None
        self._opened: OnTunnel = lambda node: None

    def attach(self, send: Send, close: Send, on_tunnel: OnTunnel) -> None:
        """Set how peers are reached from now on, and the callback for new tunnels."""
        self._send, self._close, self._opened = send, close, on_tunnel

    def nodes(self) -> list[str]:
        """The nodes that have a tunnel."""
        with self._lock:
            return sorted(self._peers)

    def has_tunnel(self, node: str) -> bool:
        """Whether a node has one."""
        with self._lock:
            return node in self._peers

    def node_at(self, address: str) -> str:
        """The node whose own address this is; empty when there is none, or several behind NAT have the same."""
        with self._lock:
            found = [node for node, peer in self._peers.items() if peer.headers.get(ADDRESS) == address]
        return found[0] if len(found) == 1 else ""

    def is_native(self, node: str) -> bool:
        """Whether the node has a tunnel, and is one of ours."""
        with self._lock:
            peer = self._peers.get(node)
        return peer is not None and constants.HEADER_STREAM.lower() in peer.headers

    def wait_for_change(self, seconds: float) -> None:
        """Wait until a node opens a tunnel, `seconds` at most."""
        with self._changed:
            self._changed.wait(seconds)

    def stream_count(self) -> int:
        """Streams under way."""
        return len(self._streams)

    def open_stream(
        self, node: str, kind: FrameType, path: str, query: str = "", headers: Mapping[str, list[str]] | None = None,
        method: str = "",
    ) -> TunnelStream:  # fmt: skip
        """Begin a stream; whoever reads it closes it. LinkError: the node has no tunnel."""
        id = next(self._numbers)
        with self._lock:
            peer = self._peers.get(node)
            if peer is None:
                raise LinkError(f"node {node} has no stream tunnel with this cloud: it is not connected, or too old")
            stream = TunnelStream(
                lambda kind, data: self._say(peer, Frame(id, kind, data)),
                lambda: self._forget(id),
                credits=kind in WITH_CREDITS,
            )
            self._streams[id] = peer.id, stream
        extended = {**(headers or {}), **NATIVE_HEADERS}
        self._say(peer, Frame(id, kind, tunnel.encode_open(id, path, query, extended, method)))
        return stream

    def _say(self, peer: Peer, frame: Frame) -> None:
        self._send(peer, tunnel.encode(frame))

    def _forget(self, id: int) -> None:
        with self._lock:
            self._streams.pop(id, None)

    # --- what the link server tells, on its thread

    def admit(self, peer: Peer) -> UpgradeResponse:
        """Authorize a tunnel: only a node, under the name in its certificate."""
        node = peer.headers.get(NODE, "")
        if peer.path.partition("?")[0].rstrip("/") != constants.PATH_TUNNEL:
            return UpgradeResponse(404, reason="404: Page Not Found")
        if not node or node_of(peer.common_name, peer.organizations) != node:
            return UpgradeResponse(403, reason=f"the certificate of {peer.common_name!r} is not that of node {node!r}")
        return UpgradeResponse()

    def on_connect(self, peer: Peer) -> None:
        """A node has opened a tunnel; its newest one wins."""
        node = peer.headers[NODE]
        with self._lock:
            before, self._peers[node] = self._peers.get(node), peer
            self._changed.notify_all()
        if before is not None:
            self._close(before, "the node has opened another tunnel")
        self._opened(node)

    def on_text(self, peer: Peer, text: str) -> bool:
        """A frame of a node. One of an unknown stream is ignored: its reader has left."""
        try:
            frame = tunnel.decode(text)
        except FrameError as error:
            log.warning("node %s: %s; its tunnel is closed", peer.headers[NODE], error)
            self._close(peer, str(error))
            return True
        owner_id, stream = self._streams.get(frame.id, (0, None))
        if stream is None or owner_id != peer.id:
            return True
        if frame.kind is FrameType.DATA:
            return stream.on_data(frame.data)
        if frame.kind is FrameType.CREDIT:
            stream.on_credit(tunnel.decode_varint(frame.data + b"\0")[0])
        elif frame.kind is FrameType.REMOVE:
            stream.on_end(frame.data.decode("utf-8", "replace"))
        return True

    def on_close(self, peer: Peer, reason: str) -> None:
        """A tunnel is gone, and the streams in it."""
        node = peer.headers[NODE]
        with self._lock:
            if self._peers.get(node) is peer:
                del self._peers[node]
            lost = [stream for owner_id, stream in self._streams.values() if owner_id == peer.id]
        for stream in lost:
            stream.on_end(broken=LinkError(f"the stream tunnel of node {node} broke: {reason}"))
