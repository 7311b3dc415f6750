"""`pods/exec`, `attach` and `portforward`: an upgraded connection is handed, byte by byte, to whoever runs commands in containers (apiserver:
streaming proxy).
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from contextlib import suppress
from http import HTTPStatus
from typing import Any, Protocol, cast

import msgspec

from kubeedge_actors.errors import DriverError

from ..errors import ApiError, Json, bad_request
from ..http_messages import Request
from .logs import log_container, unavailable_error

RETRY_SECONDS = 0.02
"""Seconds after which a client who was stopped for writing too fast is listened to again."""
FORWARDED_HEADERS = ("upgrade", "connection", "sec-websocket-", "x-stream-protocol-version")


EXEC, ATTACH, PORT_FORWARD = "exec", "attach", "portforward"
"""The subresources of pods that are streams."""
OUTPUTS = ("stdin", "stdout", "stderr")


class Duplex(Protocol):
    """A stream of bytes in both directions that never blocks. Any thread."""

    def read(self, timeout: float | None = None) -> bytes | None:
        """What came; b"": nothing within `timeout` seconds, None: the end. DriverError: it broke, or was refused."""

    def write(self, data: bytes) -> None:
        """Queue bytes to be sent."""

    def is_congested(self) -> bool:
        """Whether the peer is behind: send nothing more for now."""

    def close(self) -> None:
        """Close both directions. Idempotent."""

    def call_on_change(self, callback: Callable[[], None] | None) -> None:
        """Have `callback` called when `read` has something new to say, and now."""


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


class ConnectionRelay(asyncio.Protocol):
    """Joins a client's connection and a Duplex; `gone` is called when it is over."""

    def __init__(
        self,
        transport: asyncio.Transport,
        duplex: Duplex,
        loop: asyncio.AbstractEventLoop,
        on_closed: Callable[[ConnectionRelay], None],
    ) -> None:
        self._transport, self._duplex, self._loop, self._gone = transport, duplex, loop, on_closed
        self._answered = self._paused = False

    def start(self) -> None:
        """Start to copy."""
        self._duplex.call_on_change(self._alarm)

    def _alarm(self) -> None:
        with suppress(RuntimeError):  # the loop has ended, and this connection with it
            self._loop.call_soon_threadsafe(self._pump)

    def data_received(self, data: bytes) -> None:
        """From the client."""
        self._duplex.write(data)
        if self._duplex.is_congested():
            self._transport.pause_reading()
            self._loop.call_later(RETRY_SECONDS, self._listen)

    def _listen(self) -> None:
        if self._transport.is_closing():
            return
        if self._duplex.is_congested():
            self._loop.call_later(RETRY_SECONDS, self._listen)
        else:
            self._transport.resume_reading()

    def _pump(self) -> None:
        """To the client, as long as it takes it."""
        try:
            while not (self._paused or self._transport.is_closing()):
                data = self._duplex.read(0)
                if data is None:
                    self._transport.close()
                elif data:
                    self._answered = True
                    self._transport.write(data)
                else:
                    return
        except DriverError as error:
            if not self._answered:
                self._transport.write(error_response_bytes(unavailable_error(error)))
            self._transport.close()

    def pause_writing(self) -> None:
        """The client is slow."""
        self._paused = True

    def resume_writing(self) -> None:
        """The client has caught up."""
        self._paused = False
        self._pump()

    def connection_lost(self, exc: Exception | None) -> None:
        """The client has left, or we have hung up."""
        self._duplex.call_on_change(None)
        self._duplex.close()
        self._gone(self)

    def shutdown(self) -> None:
        """The server ends."""
        self._transport.close()


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

    pipe = ConnectionRelay(cast(asyncio.Transport, protocol.transport), duplex, protocol.loop, on_closed)
    protocol.cycle.disconnected = True  # uvicorn expects no answer any more
    protocol.transport.set_protocol(pipe)
    connections.discard(protocol)
    connections.add(pipe)
    protocol.transport.resume_reading()
    pipe.start()
