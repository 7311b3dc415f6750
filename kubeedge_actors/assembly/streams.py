"""Streams from pods on nodes: what joins the embedded API, and the API server of a cluster, to CloudStream's tunnels."""

from __future__ import annotations

import logging
import time
from collections.abc import Iterator
from contextlib import ExitStack
from urllib.parse import parse_qsl, urlencode

from kubeedge_actors.actors.cloudstream.cloud_stream import CloudStream, TunnelListenConfig
from kubeedge_actors.actors.cloudstream.stream import TunnelStream
from kubeedge_actors.actors.cloudstream.tunnel_registry import TunnelRegistry
from kubeedge_actors.apiserver import (
    ATTACH,
    EXEC,
    PORT_FORWARD,
    ExecSource,
    LogSource,
    PodExecRequest,
    PodLogRequest,
    StatsSource,
    is_true,
)
from kubeedge_actors.assembly.followed_log import FollowedLog
from kubeedge_actors.assembly.kubelet import KubeletSide
from kubeedge_actors.assembly.port_errors import ChosenPort, naming_port_options
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
    try:
        with naming_port_options(ChosenPort("--tunnel-port", port, "--host", config.host)):
            server.bind(config.host, port)
    except LinkError as error:
        if config.tunnel_port > 0:
            raise
        log.warning("no stream tunnels, so no kubectl logs and exec: %s", error)
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
