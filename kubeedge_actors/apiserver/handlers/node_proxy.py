"""`nodes/proxy`: what the kubelet of a node answers, to `kubectl get --raw /api/v1/nodes/NODE/proxy/PATH` and to whoever else asks so."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from urllib.parse import quote

import msgspec

from kubeedge_actors.errors import DriverError

from ..errors import ApiError, method_not_allowed
from ..http_messages import Request, StreamingResponse
from .logs import iterate_in_thread, unavailable_error

PROXY = "proxy"


class NodeProxyRequest(msgspec.Struct, frozen=True):
    """A GET to the kubelet of a node; `path` begins with a slash."""

    node: str
    path: str
    query: str = ""


class NodeProxyAnswer(msgspec.Struct, frozen=True):
    """`pieces` as those of a LogSource."""

    content_type: str
    pieces: Iterator[bytes]


# Raises ApiError, and DriverError when the node can not be asked.
NodeProxySource = Callable[[NodeProxyRequest], NodeProxyAnswer]


def node_proxy_response(request: Request, node: str, rest: str, source: NodeProxySource | None) -> StreamingResponse:
    """The answer of the node's kubelet at the path `rest`. Raises 404, 405, 501, 503."""
    if request.method != "GET":
        raise method_not_allowed()
    if source is None:
        raise ApiError(501, "NotImplemented", "the server has no way to the kubelets of nodes")
    try:
        answer = source(NodeProxyRequest(node, f"/{quote(rest)}", request.query_string))
    except DriverError as error:
        raise unavailable_error(error) from error
    return StreamingResponse(lambda: iterate_in_thread(answer.pieces), answer.content_type, patient=True)
