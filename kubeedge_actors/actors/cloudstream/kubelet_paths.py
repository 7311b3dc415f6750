"""What a request to a kubelet asks for: which node or pod, which right that takes, which frame carries it. Pure.

Source: Kubernetes pkg/kubelet/server (paths, and the attributes for authorization), KubeEdge cloud/pkg/cloudstream (frames, X-Forwarded-Uri).
"""

from __future__ import annotations

from urllib.parse import unquote, urlsplit

import msgspec

from kubeedge_actors.wire import constants
from kubeedge_actors.wire.tunnel import FrameType

LOGS, EXEC, ATTACH, PORT_FORWARD = (
    constants.PATH_LOGS,
    constants.PATH_EXEC,
    constants.PATH_ATTACH,
    constants.PATH_PORT_FORWARD,
)
OF_PODS = frozenset({LOGS, EXEC, ATTACH, PORT_FORWARD})
FRAMES = {LOGS: FrameType.LOGS, EXEC: FrameType.EXEC, ATTACH: FrameType.ATTACH, PORT_FORWARD: FrameType.EXEC}
"""A request for ports has no frame of its own; whoever takes an exec frame looks at the path."""
VERBS = {"GET": "get", "POST": "create"}
"""Methods that are served, and the right that they take."""
SUBRESOURCES = {"stats": "stats", "metrics": "metrics", "logs": "log", "spec": "spec", "checkpoint": "checkpoint"}
"""Of a Node, by the first part of the path; everything else is `proxy`."""
JSON, METRICS, TEXT = "application/json", "text/plain; version=0.0.4; charset=utf-8", "text/plain; charset=utf-8"
PROXY_PARTS = 7
"""Of /api/v1/nodes/NODE/proxy/..., with the empty one before the first slash."""


class KubeletTarget(msgspec.Struct, frozen=True):
    """What a request is about. `pod` is empty where it is about the node itself."""

    endpoint: str
    path: str
    query: str
    namespace: str = ""
    pod: str = ""

    @property
    def frame(self) -> FrameType:
        """The frame that carries it to the node."""
        return FRAMES.get(self.endpoint, FrameType.METRICS)

    @property
    def is_connection(self) -> bool:
        """Whether the connection is handed over to the node."""
        return self.endpoint in OF_PODS and self.endpoint != LOGS

    @property
    def content_type(self) -> str:
        """Of an answer."""
        if self.endpoint == "metrics":
            return METRICS
        return TEXT if self.endpoint in (LOGS, "healthz") else JSON

    @property
    def subresource(self) -> str:
        """Of the Node, that one has to have a right to."""
        return SUBRESOURCES.get(self.endpoint, "proxy")


def parse_target(target: str) -> KubeletTarget:
    """The parts of path and query. ValueError: there is nothing of that kind in a kubelet."""
    url = urlsplit(target)
    parts = url.path.strip("/").split("/")
    if not url.path.startswith("/") or any(part in ("", ".", "..") for part in map(unquote, parts)):
        raise ValueError(f"there is nothing at {url.path}")
    if parts[0] not in OF_PODS:
        return KubeletTarget(parts[0], url.path, url.query)
    if len(parts) < (3 if parts[0] == PORT_FORWARD else 4):
        raise ValueError(f"{url.path} names no pod")
    return KubeletTarget(parts[0], url.path, url.query, unquote(parts[1]), unquote(parts[2]))


def forwarded_node(uri: str) -> str:
    """The node that `kubectl get --raw /api/v1/nodes/NODE/proxy/...` names; an API server says it in X-Forwarded-Uri.

    >>> forwarded_node("/api/v1/nodes/e1/proxy/stats/summary"), forwarded_node("/healthz")
    ('e1', '')
    """
    parts = uri.partition("?")[0].split("/")
    named = len(parts) >= PROXY_PARTS - 1 and parts[1:4] == ["api", "v1", "nodes"] and parts[5] == "proxy"
    return unquote(parts[4]).partition(":")[0] if named else ""


def host_name(host: str) -> str:
    """The host of a Host header, without its port.

    >>> host_name("10.0.0.7:10351"), host_name("[::1]:10351"), host_name("e1")
    ('10.0.0.7', '::1', 'e1')
    """
    if host.startswith("["):
        return host[1:].partition("]")[0]
    return host.rpartition(":")[0] or host if host.count(":") == 1 else host
