"""Streams from pods on nodes: what joins the embedded API, and the API server of a cluster, to CloudStream's tunnels."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from typing import TypedDict
from urllib.parse import parse_qsl, urlencode

from kubeedge_actors.actors.cloudstream.cloud_stream import CloudStream, TunnelListenConfig
from kubeedge_actors.actors.cloudstream.kubelet_paths import parse_target
from kubeedge_actors.actors.cloudstream.stream import TunnelStream
from kubeedge_actors.actors.cloudstream.tunnel_registry import TunnelRegistry
from kubeedge_actors.apiserver import (
    ATTACH,
    EXEC,
    PORT_FORWARD,
    ApiError,
    ExecSource,
    LogSource,
    NodeProxyAnswer,
    NodeProxyRequest,
    NodeProxySource,
    PodExecRequest,
    PodLogRequest,
    StatsSource,
    is_true,
)
from kubeedge_actors.assembly.followed_log import FollowedLog
from kubeedge_actors.assembly.kubelet import KubeletSide
from kubeedge_actors.assembly.port_errors import ChosenPort, bind_or_do_without
from kubeedge_actors.config import TUNNEL_PORT, CloudConfig
from kubeedge_actors.drivers.cluster.base import Cluster
from kubeedge_actors.drivers.link.loop_thread import LoopThread
from kubeedge_actors.drivers.link.server import WebSocketServer
from kubeedge_actors.drivers.pki.base import TlsPaths
from kubeedge_actors.errors import LinkError
from kubeedge_actors.supervisors import ChildSpec
from kubeedge_actors.wire import constants
from kubeedge_actors.wire.tunnel import BYTES, MAX_DATA, FrameType

log = logging.getLogger(__name__)

WAIT_SECONDS = 0.5
"""How long nothing may come from a node before it is seen whether its reader is still there."""
STATS_SECONDS, MAX_STATS = 5.0, 4 << 20
"""How long, and how many bytes, a node may answer when it is asked what it uses."""
SWITCHES = {"input": "stdin", "output": "stdout", "error": "stderr", "tty": "tty"}
IN_A_KUBELET = {api: kubelet for kubelet, api in SWITCHES.items()} | {"command": "command", "ports": "port"}
ENDPOINTS = {
    EXEC: constants.PATH_EXEC,
    ATTACH: constants.PATH_ATTACH,
    PORT_FORWARD: constants.PATH_PORT_FORWARD,
}


def tunnel_listener(config: CloudConfig, loop: LoopThread, stack: ExitStack) -> WebSocketServer | None:
    """The server of the tunnels, bound; None when none is wanted, or the default port is taken. Error: LinkError."""
    if config.tunnel_port == 0:
        return None
    server = WebSocketServer(loop, max_message=2 * MAX_DATA, encoding=BYTES)
    port = TUNNEL_PORT if config.tunnel_port < 0 else config.tunnel_port
    chosen = ChosenPort("--tunnel-port", port, "--host", config.host)
    without = "no stream tunnels, so no kubectl logs and exec"
    if bind_or_do_without(server.bind, chosen, asked=config.tunnel_port > 0, without=without) is None:
        return None
    stack.callback(server.stop)
    return server


def cloud_stream_specs(
    config: CloudConfig,
    server: WebSocketServer | None,
    tls: TlsPaths,
    tunnels: TunnelRegistry,
    cluster: Cluster,
    kubelet: KubeletSide,
) -> list[ChildSpec]:
    """CloudStream, if there is a server for it, and what leads a cluster's API server to it."""
    if server is None:
        return []
    port = TUNNEL_PORT if config.tunnel_port < 0 else config.tunnel_port
    listen = TunnelListenConfig(config.host, port, tls)
    return [
        CloudStream.spec(lambda: CloudStream(server, listen, tunnels, cluster, kubelet.endpoint)),
        *kubelet.specs(cluster),
    ]


class NodeSources(TypedDict):
    """What the embedded API has from the nodes, by the names of ApiServer's parameters."""

    log_source: LogSource
    exec_source: ExecSource
    stats_source: StatsSource
    proxy_source: NodeProxySource


def node_sources(tunnels: TunnelRegistry) -> NodeSources:
    """All of it through the tunnels."""
    return {
        "log_source": log_source(tunnels),
        "exec_source": exec_source(tunnels),
        "stats_source": stats_source(tunnels),
        "proxy_source": proxy_source(tunnels),
    }


def log_source(tunnels: TunnelRegistry) -> LogSource:
    """Container logs for the embedded API."""

    def source(query: PodLogRequest) -> Iterator[bytes]:
        return FollowedLog(tunnels, query).pieces()

    return source


def stats_source(tunnels: TunnelRegistry) -> StatsSource:
    """What nodes and their pods use, for the embedded API."""

    def source(node: str) -> bytes:
        stream, deadline = (
            tunnels.open_stream(node, FrameType.METRICS, f"/{constants.PATH_STATS_SUMMARY}"),
            time.monotonic() + STATS_SECONDS,
        )
        text = b""
        try:
            while (piece := stream.read(max(deadline - time.monotonic(), 0.0))) is not None:
                text += piece
                if not piece or len(text) > MAX_STATS:
                    raise LinkError(f"node {node} does not say what it uses")
        finally:
            stream.close()
        return text

    return source


def proxy_source(tunnels: TunnelRegistry) -> NodeProxySource:
    """What kubelets answer, for the embedded API. ApiError: a kubelet has nothing at the path; LinkError: the node has no tunnel."""

    def source(request: NodeProxyRequest) -> NodeProxyAnswer:
        try:
            target = parse_target(request.path)
        except ValueError as error:
            raise ApiError(404, "NotFound", str(error)) from error
        if target.is_connection:
            raise ApiError(400, "BadRequest", "Upgrade request required")
        stream = tunnels.open_stream(request.node, target.frame, target.path, request.query)
        return NodeProxyAnswer(target.content_type, pieces_of(stream))

    return source


def pieces_of(stream: TunnelStream) -> Iterator[bytes]:
    """What a node says, with b"" while nothing comes; the stream is closed then."""
    try:
        while (piece := stream.read(WAIT_SECONDS)) is not None:
            yield piece
    finally:
        stream.close()


def exec_source(tunnels: TunnelRegistry) -> ExecSource:
    """Commands in containers, what runs there, and ports of pods, for the embedded API.

    A frame of its own type there is for exec and attach only: a request for ports goes as an exec, which a genuine node carries to its kubelet too.
    """

    def source(query: PodExecRequest) -> TunnelStream:
        kind = FrameType.ATTACH if query.subresource == ATTACH else FrameType.EXEC
        place = "/".join(filter(None, (query.namespace, query.pod, query.container)))
        path = f"/{ENDPOINTS[query.subresource]}/{place}"
        return tunnels.open_stream(query.node, kind, path, kubelet_query(query.query), query.headers, query.method)

    return source


def kubelet_query(query: str) -> str:
    """The options of a stream in a kubelet's words: switches that are on, the words of the command one by one, ports."""
    pairs = parse_qsl(query, keep_blank_values=True)
    translated = [(IN_A_KUBELET[name], value) for name, value in pairs if name in IN_A_KUBELET]
    return urlencode(
        [
            (name, "1" if name in SWITCHES else value)
            for name, value in translated
            if name not in SWITCHES or is_true(value)
        ]
    )
