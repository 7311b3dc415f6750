"""`pods/exec`, `attach` and `portforward`: an upgraded connection is handed, byte by byte, to whoever runs commands in containers (apiserver:
streaming proxy).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Any, cast

import msgspec

from kubeedge_actors.errors import DriverError

from ...osutil.connection_relay import ConnectionRelay, Duplex
from ..errors import ApiError, Json, bad_request
from ..http_messages import Request
from .logs import log_container, unavailable_error

FORWARDED_HEADERS = ("upgrade", "connection", "sec-websocket-", "x-stream-protocol-version")


EXEC, ATTACH, PORT_FORWARD = "exec", "attach", "portforward"
"""The subresources of pods that are streams."""
OUTPUTS = ("stdin", "stdout", "stderr")


class PodExecRequest(msgspec.Struct, frozen=True):
    """Which container, and the request to carry there: `query` is the query string, `headers` those of the upgrade.

    `subresource` is exec, attach or portforward; the last is of a pod, and names no container.
    """

    subresource: str
    namespace: str
    pod: str
    node: str
    container: str
    method: str
    query: str
    headers: Mapping[str, list[str]]


ExecSource = Callable[[PodExecRequest], Duplex]


class Upgrade(msgspec.Struct):
    """A response whose bytes are `duplex`'s, from the status line on."""

    duplex: Duplex


def exec_response(request: Request, pod: Json, subresource: str, source: ExecSource | None) -> Upgrade:
    """The answer to a request for a command in a container, for what runs there, or for ports. Raises 400, 501, 503."""
    meta, spec = pod["metadata"], pod.get("spec", {})
    if not spec.get("nodeName"):
        raise bad_request(f"pod {meta['name']} does not have a host assigned")
    if "upgrade" not in request.headers:
        raise bad_request("Upgrade request required")
    if source is None:
        raise ApiError(501, "NotImplemented", f"{subresource} is not served by this API server")
    container = "" if subresource == PORT_FORWARD else log_container(request, meta["name"], spec)
    if subresource != PORT_FORWARD and not any(request.flag(name) for name in OUTPUTS):
        raise bad_request("you must specify at least 1 of stdin, stdout, stderr")
    headers = {name.title(): [value] for name, value in request.headers.items() if name.startswith(FORWARDED_HEADERS)}
    query = PodExecRequest(
        subresource,
        meta["namespace"],
        meta["name"],
        spec["nodeName"],
        container,
        request.method,
        request.query_string,
        headers,
    )
    try:
        return Upgrade(source(query))
    except DriverError as error:
        raise unavailable_error(error) from error


def refusal(error: DriverError) -> bytes:
    """A whole HTTP answer in place of a stream that was refused."""
    return error_response_bytes(unavailable_error(error))


def error_response_bytes(error: ApiError) -> bytes:
    """A whole HTTP answer."""
    body = msgspec.json.encode(error.body())
    head = f"HTTP/1.1 {error.code} {HTTPStatus(error.code).phrase}\r\nContent-Type: application/json\r\n"
    return f"{head}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body


def upgrade_connection(protocol: Any, duplex: Duplex) -> None:
    """Hand the connection of a uvicorn protocol, in the middle of a request, to `duplex`."""
    connections: set[Any] = protocol.connections

    def on_closed(relay: ConnectionRelay) -> None:
        connections.discard(relay)
        protocol.leave()

    pipe = ConnectionRelay(cast(asyncio.Transport, protocol.transport), duplex, protocol.loop, on_closed, refusal)
    protocol.cycle.disconnected = True  # uvicorn expects no answer any more
    protocol.transport.set_protocol(pipe)
    connections.discard(protocol)
    connections.add(pipe)
    protocol.transport.resume_reading()
    pipe.start()
